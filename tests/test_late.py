"""Couplers worked out late, against those worked out at once; bounds that wait to be asked for."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import qubo_attn as qa
from qubo_attn.late import LateQuadratic


@pytest.mark.parametrize("objective", ["selection", "redundancy", "output"])
def test_part_is_that_of_the_whole(objective: str) -> None:
    generator = np.random.default_rng(3)
    scores, vectors = generator.normal(size=(2, 6, 6)), generator.normal(size=(2, 6, 5))
    scores[:, np.triu_indices(6, 1)[0], np.triu_indices(6, 1)[1]] = -np.inf
    made = qa.compile(
        scores,
        2,
        select=qa.ExactlyK(2),
        objective=objective,
        values=vectors,
        keys=vectors,
        passes=(qa.Sparsify(slots=4), qa.InsertPenalties(relax=False)),
        target=None,
    )
    first, second = made.stages[0].program, made.stages[1]
    assert isinstance(first.objective, LateQuadratic)
    assert not first.objective.made
    late = second.program
    copy = pickle.loads(pickle.dumps(made.stages[1].rewrite))
    assert len(first.objective) > 0
    assert first.objective.made
    first.verify()
    again = qa.Sparsify(slots=4).apply(first)
    assert np.array_equal(again.program.objective.bias, late.objective.bias)
    assert np.array_equal(again.program.objective.i, late.objective.i)
    assert np.allclose(again.program.objective.linear, late.objective.linear, rtol=0, atol=1e-13)
    assert again.program.objective.offset == pytest.approx(late.objective.offset, abs=1e-12)
    assert again.bound == second.rewrite.bound == copy.bound >= 0
