"""Results of the local solver: what they say of themselves, and what they ask for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import qubo_attn as qa

SCORES = np.array([[[2.0, 1.0, 0.5, -1.0], [0.0, 3.0, 1.0, -np.inf], [-np.inf] * 4]])


def compiled(**options: Any) -> qa.CompiledAttention:
    return qa.compile(SCORES, 1, **({"select": qa.ExactlyK(2), "target": None} | options))


def test_rows_say_how_they_were_solved() -> None:
    result = compiled().solve()
    assert result.methods.tolist() == [["exact", "exact", "settled"]]
    assert result.proven.all()
    assert result.feasible.all()
    assert not result.repaired.any()
    assert "rows solved here: 2 by 'exact'; 2 proven optimal" in str(result)


def test_no_reads_are_booked_where_none_were_drawn() -> None:
    reads = compiled().solve().reads
    assert np.isnan(reads.feasible).all()
    assert np.isnan(reads.feasible_share)
    for energies in (reads.sampled, reads.repaired, reads.descended):
        assert np.isinf(energies[0, :2]).all()
    assert "feasible as sampled" not in str(compiled().solve())


def test_annealing_and_samplers_have_reads_and_prove_nothing() -> None:
    annealed = compiled().solve("anneal", seed=1, num_reads=4)
    same = compiled().solve(qa.LocalSolver("anneal", seed=1), num_reads=4)
    assert annealed.methods.tolist() == [["anneal", "anneal", "settled"]]
    assert annealed.proven.tolist() == [[False, False, True]]
    assert np.array_equal(annealed.energies, same.energies)
    assert annealed.reads.feasible_share > 0
    assert "feasible as sampled" in str(annealed)
    import dimod

    sampled = compiled().solve(dimod.ExactSolver())
    assert sampled.methods.tolist() == [["sampler", "sampler", "settled"]]
    assert np.array_equal(sampled.selected, compiled().solve().selected)


def test_what_is_not_proven_is_swapped_and_says_so() -> None:
    scores = np.random.default_rng(0).normal(size=(2, 36))
    scores[1, 6:] = -np.inf
    rows = qa.compile(scores[None], 1, select=qa.ExactlyK(18), slots=None, target=None)
    result = rows.solve(qa.LocalSolver(steps=1), seed=1)
    assert result.methods.tolist() == [["swap", "settled"]]
    assert result.proven.tolist() == [[False, True]]
    assert result.feasible.all()
    assert result.selected[0].sum() == 24


def test_means_over_reads_take_reads() -> None:
    rows = compiled(objective="boltzmann", select=qa.OneHot())
    assert rows.solve("anneal", seed=1).methods[0, 0] == "anneal"
    with pytest.raises(qa.InputError, match="'exact' of the local solver draws no reads"):
        rows.solve("exact")
    assert rows.solve("exact", decoder="renormalise").proven.all()
    with pytest.raises(qa.InputError, match="draws no reads"):
        compiled().solve("exact", multiplier_steps=1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: compiled().solve(num_reads=3), r"solve\('anneal', num_reads=...\) anneals"),
        (lambda: compiled().solve("exact", num_sweeps=3), "num_sweeps is an option of annealing"),
        (lambda: compiled().solve(num_raeds=3), "did you mean 'num_reads'"),
        (lambda: compiled().solve("aneal"), "did you mean 'anneal'"),
        (lambda: compiled().solve("anneal", seed=-1), "seed must be from 0"),
        (lambda: qa.LocalSolver("anneal").solve(compiled().program), "annealing takes a QUBO"),
        (lambda: qa.LocalSolver(steps=0), "steps must be a whole number of at least 1"),
        (lambda: qa.LocalSolver(**{"sed": 1}), "did you mean 'seed'"),
    ],
)
def test_what_does_not_fit_is_named(call: Any, message: str) -> None:
    with pytest.raises(qa.InputError, match=message):
        call()
