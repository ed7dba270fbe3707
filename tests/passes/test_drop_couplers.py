"""DropCouplers, and what it shares with Compress: the optimum stays where it was."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn.ir.program import Program
from qubo_attn.kernels.live import live_parts
from tests.support import enumeration
from tests.support.strategies import programs

Kind: TypeAlias = type[qa.DropCouplers] | type[qa.Compress]
BOTH: tuple[Kind, ...] = (qa.DropCouplers, qa.Compress)


def best_points(program: Program) -> list[tuple[int, ...]]:
    """All feasible points of least energy, by enumeration."""
    energies = {p: enumeration.energy(program, p) for p in enumeration.points(program)}
    feasible = {p: e for p, e in energies.items() if enumeration.holds(program, p)}
    least = min(feasible.values())
    scale = 1e-9 * max(1.0, *(abs(e) for e in feasible.values()))
    return [p for p, e in feasible.items() if e <= least + scale]


def dense_row(seed: int, n: int, k: int, scale: float) -> Program:
    """One row with a coupler on every pair, of a size that makes proofs neither sure nor rare."""
    generator = np.random.default_rng(seed)
    lines = [f"x[0,0,{v}] : {generator.normal():.6f}" for v in range(n)]
    for u in range(n):
        for v in range(u + 1, n):
            lines.append(f"x[0,0,{u}] * x[0,0,{v}] : {scale * generator.normal():.6f}")
    row = " + ".join(f"x[0,0,{v}]" for v in range(n))
    return Program.parse("\n".join([*lines, f"pick[0,0]: {row} == {k}"]))


@given(st.integers(0, 10_000), st.integers(2, 8), st.sampled_from([0.05, 0.3, 1.0]), st.data())
@settings(max_examples=60)
def test_live_parts_hold_every_best_selection(
    seed: int, n: int, scale: float, data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, n - 1))
    program = dense_row(seed, n, k, scale)
    o = program.objective
    local = np.zeros((n, n))
    local[o.i, o.j] = local[o.j, o.i] = o.bias
    state, pairs, chosen, energy = live_parts(local, o.linear, k, 40)
    assert energy == pytest.approx(enumeration.energy(program, tuple(chosen)))
    for point in best_points(program):
        held = np.flatnonzero(point)
        assert (state[held] >= 0).all()
        assert set(np.flatnonzero(state == 1)) <= set(held)
        assert pairs[np.ix_(held, held)][~np.eye(k, dtype=bool)].all()


@pytest.mark.parametrize("kind", BOTH)
@given(st.integers(0, 10_000), st.integers(2, 8), st.sampled_from([0.05, 0.3, 1.0]), st.data())
@settings(max_examples=40)
def test_by_proof_the_best_selections_stay_best(
    kind: Kind, seed: int, n: int, scale: float, data: st.DataObject
) -> None:
    program = dense_row(seed, n, data.draw(st.integers(0, n)), scale)
    rewrite = kind().apply(program)
    qa.validate(program, rewrite)
    assert rewrite.prove() == 0
    assert set(best_points(rewrite.program)) <= set(best_points(program))


@pytest.mark.parametrize("kind", BOTH)
@given(programs(weights=True), st.sampled_from([0.0, 0.05, 0.5]))
@settings(max_examples=40)
def test_any_program_keeps_the_promise(kind: Kind, program: Program, budget: float) -> None:
    qa.validate(program, kind(budget=budget).apply(program))


@pytest.mark.parametrize("kind", BOTH)
@given(st.integers(0, 10_000), st.sampled_from([0.01, 0.1, 0.5]))
@settings(max_examples=40)
def test_the_rise_stays_within_bound_and_budget(kind: Kind, seed: int, budget: float) -> None:
    program = dense_row(seed, 8, 3, 1.0)
    rewrite = kind(budget=budget).apply(program)
    qa.validate(program, rewrite)
    points = [p for p in enumeration.points(program) if enumeration.holds(program, p)]
    energies = [enumeration.energy(program, p) for p in points]
    # No good selection lies below the optimum, so neither does the spread lie above this.
    assert rewrite.prove() <= budget * (np.mean(energies) - min(energies)) + 1e-9


def test_a_budget_drops_more(minilm: dict[str, np.ndarray]) -> None:
    program = output_rows(minilm)
    counts, bounds = [], []
    for budget in (0.0, 0.01, 0.2):
        rewrite = qa.DropCouplers(budget=budget).apply(program)
        qa.validate(program, rewrite)
        counts.append(len(rewrite.program.objective))
        bounds.append(rewrite.prove())
    assert len(program.objective) > 3 * counts[0] > 0
    assert counts[0] > counts[1] > counts[2]
    assert 0 == bounds[0] < bounds[1] < bounds[2]


def output_rows(arrays: dict[str, np.ndarray], keys: int = 4) -> Program:
    """Real rows: the output objective over all keys."""
    compiled = qa.compile(
        arrays["scores"],
        len(arrays["scores"]),
        select=qa.ExactlyK(keys),
        objective="output",
        values=arrays["value"],
        target=None,
        passes=(),
    )
    return compiled.program


@pytest.mark.parametrize("kind", BOTH)
def test_real_rows_keep_their_optimum_row_by_row(kind: Kind, minilm: dict[str, np.ndarray]) -> None:
    program = output_rows(minilm)
    changed = kind().apply(program).program
    points = (np.arange(1 << 10)[:, None] >> np.arange(10) & 1).astype(float)
    points = points[points.sum(axis=1) == 4]
    for r in range(0, len(program.constraints), 5):
        full = np.zeros((len(points), len(program)))
        full[:, program.constraints.var[10 * r : 10 * r + 10]] = points
        before, after = program.objective.energies(full), changed.objective.energies(full)
        assert before[after.argmin()] == pytest.approx(before.min(), abs=1e-9)


def test_decided_rows_lose_all_couplers_and_their_penalty_is_linear() -> None:
    program = Program.parse(
        "x[0,0,0] : -9\nx[0,0,1] : -8\nx[0,0,2] : 1\nx[0,0,3] : 2\n"
        "x[0,0,0] * x[0,0,1] : 0.5\nx[0,0,1] * x[0,0,2] : -0.5\nx[0,0,2] * x[0,0,3] : -0.5\n"
        "pick[0,0]: x[0,0,0] + x[0,0,1] + x[0,0,2] + x[0,0,3] == 2\n"
    )
    rewrite = qa.DropCouplers().apply(program)
    assert rewrite.notes == (
        "3 of 3 couplers dropped, 3 of them by proof",
        "the optimum rises by at most 0",
    )
    assert enumeration.optimum(rewrite.program) == enumeration.optimum(program) == -16.5
    priced = qa.InsertPenalties().apply(rewrite.program).program
    assert len(priced.total()) == 0


def test_rows_coupled_to_others_are_left_alone() -> None:
    text = (
        "x[0,0,0] : 1\nx[0,0,1] : -2\nx[1,0,0] : 1\nx[1,0,1] : 3\nx[0,0,0] * x[1,0,1] : -4\n"
        "pick[0,0]: x[0,0,0] + x[0,0,1] == 1\npick[1,0]: x[1,0,0] + x[1,0,1] == 1\n"
    )
    for kind in BOTH:
        program = Program.parse(text)
        assert kind().apply(program).program.same(program)


@pytest.mark.parametrize("kind", BOTH)
def test_tying_comes_before(kind: Kind) -> None:
    message = (
        "tie-variables needs a program that still has the objective's own energies, and "
        f"{kind.name} before it takes that away: put tie-variables before {kind.name}"
    )
    with pytest.raises(qa.OrderError, match=message):
        qa.Pipeline((kind(), qa.TieVariables()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget": -0.1}, "budget must be a share from 0 to 1, not -0.1"),
        ({"budget": float("nan")}, "budget must be a share from 0 to 1, not nan"),
    ],
)
def test_a_budget_is_a_share(options: dict[str, float], message: str) -> None:
    for kind in BOTH:
        with pytest.raises(qa.InputError, match=message):
            kind(**options)


def test_equal_keys_and_rows_without_couplers() -> None:
    program = Program.parse(
        "\n".join(f"x[0,0,{k}] : 0" for k in range(4))
        + "\npick[0,0]: x[0,0,0] + x[0,0,1] + x[0,0,2] + x[0,0,3] == 2"
    )
    for kind in BOTH:
        rewrite = kind().apply(program)
        qa.validate(program, rewrite)
        assert rewrite.error == 0
