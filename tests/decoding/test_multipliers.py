"""Linear penalties, and slopes that move between rounds of samples."""

from __future__ import annotations

import numpy as np
import pytest

import qubo_attn as qa
from qubo_attn.decoding.multipliers import linear_rows

PASSES = (qa.Sparsify(slots=10), qa.InsertPenalties(linear=True))


def compiled_rows(
    arrays: dict[str, np.ndarray], target: str | None = None, heads: int = 4
) -> qa.CompiledAttention:
    return qa.compile(
        arrays["scores"][:heads],
        heads,
        select=qa.ExactlyK(4),
        objective="output",
        values=arrays["value"][:heads],
        target=target,
        passes=PASSES,
    )


def test_constraints_cost_no_couplers(minilm: dict[str, np.ndarray]) -> None:
    compiled = compiled_rows(minilm)
    program = compiled.program
    assert linear_rows(program).all()
    assert len(program.total()) == len(program.objective)
    proven = compiled.certificates
    assert 0 < len(proven) < len(program.constraints)
    assert (proven.weight == 0).all()
    assert proven.recheck(exact=True) == []


def test_some_rows_without_proof_become_feasible(minilm: dict[str, np.ndarray]) -> None:
    compiled = compiled_rows(minilm)
    options = {"seed": 3, "num_reads": 16}
    before = compiled.solve("anneal", **options)
    after = compiled.solve("anneal", multiplier_steps=6, **options)
    proven = {tuple(map(int, label[5:-1].split(","))) for label in compiled.certificates.labels}
    unproven = [(h, q) for h in range(4) for q in range(10) if (h, q) not in proven]
    won = [row for row in unproven if after.feasible[row] and not before.feasible[row]]
    lost = [row for row in unproven if before.feasible[row] and not after.feasible[row]]
    assert len(won) >= 2
    # Reads of earlier rounds are kept, so what was found stays found, or gets better.
    assert not lost
    assert (after.energies[before.feasible] <= before.energies[before.feasible] + 1e-9).all()
    again = compiled.solve("anneal", multiplier_steps=6, **options)
    assert np.array_equal(again.selected, after.selected)


def test_on_a_machine_only_fields_change(minilm: dict[str, np.ndarray]) -> None:
    compiled = compiled_rows(minilm, target="zephyr:3", heads=1)
    seen: list[qa.Submission] = []
    compiled.solve("anneal", seed=1, multiplier_steps=1, before=seen.append, num_reads=4)
    first, second = seen[: len(seen) // 2], seen[len(seen) // 2 :]
    assert len(first) == len(second) > 0
    for a, b in zip(first, second, strict=True):
        assert a.embedding == b.embedding
        assert set(a.bqm.quadratic) == set(b.bqm.quadratic)
    assert any(not np.array_equal(a.linear, b.linear) for a, b in zip(first, second, strict=True))


def test_without_linear_rows_nothing_is_sampled_again() -> None:
    scores = np.random.default_rng(0).normal(size=(1, 1, 6))
    passes = (qa.InsertPenalties(margin=5.0),)  # a margin that wide needs a square
    program = qa.compile(scores, 1, select=qa.ExactlyK(2), passes=passes, target=None)
    assert not linear_rows(program.program).any()
    count: list[qa.Submission] = []
    program.solve("anneal", seed=0, multiplier_steps=5, before=count.append)
    assert len(count) == 1


def test_whole_coefficients_cannot_move(minilm: dict[str, np.ndarray]) -> None:
    passes = (*PASSES, qa.Quantize())
    compiled = qa.compile(
        minilm["scores"][:1], 1, select=qa.ExactlyK(4), passes=passes, target=None
    )
    with pytest.raises(qa.PassError, match="whole steps of quantize"):
        compiled.solve("anneal", seed=0, multiplier_steps=1)


@pytest.mark.parametrize("steps", [-1, 1.5])
def test_steps_are_counted(steps: object) -> None:
    compiled = qa.compile(np.zeros((1, 1, 4)), 1, target=None)
    message = "multiplier_steps must be a whole number from 0 to 10000"
    with pytest.raises(qa.InputError, match=message):
        compiled.solve("anneal", multiplier_steps=steps)


def test_bounds_compose_over_moved_energies(minilm: dict[str, np.ndarray]) -> None:
    passes = (qa.DropCouplers(budget=0.1), qa.Compress(budget=0.1), qa.InsertPenalties())
    compiled = qa.compile(
        minilm["scores"][:2],
        2,
        select=qa.ExactlyK(4),
        objective="output",
        values=minilm["value"][:2],
        target=None,
        passes=passes,
    )
    drop, compress = compiled.stages[1].rewrite, compiled.stages[2].rewrite
    assert compiled.bound == drop.prove() + compress.prove() + 2 * drop.error
    first, last = compiled.stages[0].program.objective, compiled.stages[2].program.objective
    points = (np.arange(1 << 10)[:, None] >> np.arange(10) & 1).astype(float)
    points = points[points.sum(axis=1) == 4]
    rise = 0.0
    for r in range(20):
        full = np.zeros((len(points), 200))
        full[:, 10 * r : 10 * r + 10] = points
        before, after = first.energies(full), last.energies(full)
        rise += before[after.argmin()] - before.min()
    assert 0 <= rise <= compiled.bound
