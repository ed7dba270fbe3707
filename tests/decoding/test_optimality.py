"""Optimality: results beside proven optima, and reads beside them."""

from __future__ import annotations

import dimod
import numpy as np
import pytest

import qubo_attn as qa


def test_reads_beside_the_optimum() -> None:
    scores = np.array([[[2.0, 1.0, 0.5], [0.0, 1.0, 3.0]]])
    compiled = qa.compile(scores, 1, select=qa.OneHot(), target=None)
    (part,) = compiled.submissions
    names = part.variables.tolist()
    reads = np.array([[1, 0, 0, 0, 0, 1], [0, 1, 0, 0, 0, 1], [1, 0, 0, 1, 0, 1], [0] * 6])
    answer = dimod.SampleSet.from_samples_bqm((reads, names), part.bqm)
    found = compiled.decode([answer], repair="best").optimality()
    np.testing.assert_allclose(found.success, [[0.5, 0.5]])
    assert found.share == 1
    assert found.proven.all()
    np.testing.assert_array_equal(found.gap, 0.0)
    np.testing.assert_allclose(found.reads_to_solution(0.75), 2.0)
    np.testing.assert_allclose(found.time_to_solution(20, 0.75), 40.0)
    worst = dimod.SampleSet.from_samples_bqm((reads[1:2], names), part.bqm)
    second = compiled.decode([worst], repair="none").optimality()
    optimum = compiled.solve().energies
    np.testing.assert_allclose(second.optimum, optimum)
    assert second.success.tolist() == [[0.0, 1.0]]
    assert np.isinf(second.reads_to_solution()[0, 0])
    np.testing.assert_allclose(second.gap, compiled.decode([worst]).energies * 0 + [[
        compiled.decode([worst], repair="none", descend=False).energies[0, 0] - optimum[0, 0], 0.0
    ]], atol=1e-9)  # fmt: skip
    assert second.share == 0.5


def test_what_was_solved_here_has_no_reads(minilm: dict[str, np.ndarray]) -> None:
    compiled = qa.compile(
        minilm["scores"][:2], 2, select=qa.ExactlyK(4), objective="output",
        values=minilm["value"][:2], target=None,
    )  # fmt: skip
    found = compiled.solve().optimality()
    assert found.share == 1
    assert np.isnan(found.success).all()
    with pytest.raises(qa.InputError, match="chance"):
        found.reads_to_solution(1.5)
