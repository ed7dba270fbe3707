"""The local solver against the enumeration of every point."""

from __future__ import annotations

from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn import kernels
from qubo_attn.ir.columns import Constraints, Kind, Role, Sense, Variables
from qubo_attn.ir.program import Program
from qubo_attn.ir.quadratic import Quadratic
from qubo_attn.solving import exact
from qubo_attn.solving.options import option_blocks
from tests.support.strategies import programs
from tests.support.twins import interpreted

# Values of few bits: sums of them are exact, so ties are ties.
EXACT = st.integers(-3, 3).map(float)


def optima(program: Program) -> tuple[float, list[int]] | None:
    """Return the least objective, and of its points the one that the rule takes; None for none."""
    ranges = [range(int(upper), -1, -1) for upper in program.variables.upper]
    points = np.array(list(product(*ranges)))
    points = points[program.feasible(points)]
    if not len(points):
        return None
    energies = program.objective.energies(points) - program.objective.offset
    best = energies.min()
    return float(best), points[np.flatnonzero(energies <= best + 1e-9)[0]].tolist()


@st.composite
def option_programs(draw: st.DrawFn) -> Program:
    """Rows of every kind: exactly or at most k keys, with levels behind some, a sum, or several."""
    kinds = ["free", "count", "levels", "sum", "several", "several with levels"]
    n, kind = draw(st.integers(1, 5)), draw(st.sampled_from(kinds))
    held = draw(st.lists(st.booleans(), min_size=n, max_size=n)) if "levels" in kind else []
    levels = [v for v, has in enumerate(held) if has]
    total = n + len(levels)
    upper = np.ones(total, np.int64)
    if kind in ("sum", "several"):
        upper[:] = draw(st.lists(st.integers(1, 3), min_size=n, max_size=n))
    upper[n:] = draw(st.integers(1, 3))
    reach = int(upper[:n].sum())
    rows = [] if kind == "free" else [(np.arange(n), draw(st.integers(0, reach)))]
    sense = draw(st.sampled_from([Sense.EQ, Sense.LE]))
    if "several" in kind:
        sense, row = Sense.EQ, np.array(draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)))
        parts = [np.flatnonzero(row == number) for number in np.unique(row)]
        rows = [(part, draw(st.integers(0, int(upper[part].sum())))) for part in parts]
    constraints = [
        Constraints.over(
            np.array([0, len(part)]), part, sense=sense, rhs=rhs, kind=Kind.PICK,
            head=0, query=0,
        )
        for part, rhs in rows
    ]  # fmt: skip
    constraints += [
        Constraints.over(
            np.array([0, 2]), np.array([v, n + t]), np.array([-float(upper[n + t]), 1.0]),
            sense=Sense.LE, rhs=0, kind=Kind.GATE, head=0, query=0,
        )
        for t, v in enumerate(levels)
    ]  # fmt: skip
    i, j = np.triu_indices(total)
    some = (i != j) | (upper[i] > 1)
    bias = np.array(draw(st.lists(EXACT, min_size=int(some.sum()), max_size=int(some.sum()))))
    linear = draw(st.lists(EXACT, min_size=total, max_size=total))
    used = bias != 0
    role = np.where(np.arange(total) < n, Role.SELECT, Role.WEIGHT)
    columns = Variables(
        head=np.zeros(total), query=np.zeros(total), key=np.r_[np.arange(n), levels],
        bit=np.full(total, -1), upper=upper, role=role, mass=np.full(total, np.nan),
    )  # fmt: skip
    form = Quadratic(draw(EXACT), linear, i[some][used], j[some][used], bias[used])
    return Program(columns, form, Constraints.concatenate(constraints))


@given(option_programs())
@settings(max_examples=150)
def test_rows_of_options_reach_the_optimum_and_the_rule_breaks_ties(program: Program) -> None:
    solution, expected = qa.LocalSolver().solve(program), optima(program)
    # A row of several blocks may hold, or fail, in each of them.
    if expected is None or not solution.proven.all():
        assert not solution.proven.all()
        return
    assert solution.energy.sum() == pytest.approx(expected[0], abs=1e-9)
    assert solution.point.tolist() == expected[1]
    assert np.array_equal(solution.bound, solution.energy)
    assert set(solution.methods) == {"exact"}


@given(programs(heads=3, weights=True))
@settings(max_examples=100)
def test_what_is_proven_is_the_optimum_of_its_block(program: Program) -> None:
    solution, block = qa.LocalSolver().solve(program), program.components
    best = optima(program)
    if best is None:
        return
    least = program.objective.energies([best[1]])[0]
    point = np.where(solution.proven[block], solution.point, best[1])
    assert program.feasible([point]).all()
    assert program.objective.energies([point])[0] == pytest.approx(least, abs=1e-9)


@pytest.mark.parametrize("k", [4, 8])
@pytest.mark.parametrize("objective", ["output", "selection", "redundancy"])
def test_real_rows_are_proven_and_equal_enumeration(
    minilm: dict[str, np.ndarray], objective: str, k: int
) -> None:
    given_ = {"output": {"values": minilm["value"][:2]}, "redundancy": {"keys": minilm["key"][:2]}}
    compiled = qa.compile(
        minilm["scores"][:2], 2, select=qa.ExactlyK(k), objective=objective, slots=16,
        target=None, **given_.get(objective, {}),
    )  # fmt: skip
    result, program = compiled.solve(), compiled.stages[compiled.unpriced].program
    assert result.proven.all()
    assert set(np.unique(result.methods)) <= {"exact", "settled"}
    solution, block = qa.LocalSolver("exact").solve(program), program.components
    dense = np.zeros((len(program), len(program)))
    dense[program.objective.i, program.objective.j] = program.objective.bias
    dense += dense.T
    for number in np.unique(block)[::9]:
        var = np.flatnonzero(block == number)
        n = len(var)
        chosen = np.array(list(product([0, 1], repeat=n)))
        chosen = chosen[chosen.sum(axis=1) == k]
        assert len(chosen) == comb(n, k)
        form = dense[np.ix_(var, var)]
        energies = chosen @ program.objective.linear[var]
        energies = energies + 0.5 * np.einsum("mi,ij,mj->m", chosen, form, chosen)
        assert solution.energy[number] == pytest.approx(energies.min(), rel=1e-9)
        assert solution.point[var].tolist() == chosen[energies.argmin()].tolist()


def test_equal_scores_keep_the_first_keys() -> None:
    compiled = qa.compile(np.ones((1, 3, 7)), 1, select=qa.ExactlyK(3), target=None)
    assert compiled.solve().selected.tolist() == [[[True] * 3 + [False] * 4] * 3]


def test_the_search_under_the_interpreter(minilm: dict[str, np.ndarray]) -> None:
    compiled = qa.compile(
        minilm["scores"][:1, :3, :8], 1, select=qa.SoftWeights(2, k=2), objective="output",
        values=minilm["value"][:1, :8], target=None,
    )  # fmt: skip
    program = compiled.stages[compiled.unpriced].program
    rows, objective = option_blocks(program).rows, program.objective
    for low in (-np.inf, -100.0):
        arguments = (
            rows, objective.linear, objective.squares(), objective.adjacency(),
            kernels.Minorants(np.full(3, low), np.full(len(rows.item), -50.0)),
            np.full(3, 1e9), 10**9,
        )  # fmt: skip
        searched = kernels.search_rows(*arguments)
        expected = interpreted(kernels.search_rows)(*arguments)
        assert searched.proven.all()
        for mine, theirs in zip(searched, expected, strict=True):
            np.testing.assert_array_equal(mine, theirs)


@given(option_programs(), st.integers(1, 40))
@settings(max_examples=60)
def test_bounds_lie_nowhere_above(program: Program, steps: int) -> None:
    """A search under the bound of a row meets its optimum as well, by the same rule."""
    blocks, objective = option_blocks(program), program.objective
    form = objective.linear, objective.squares(), objective.adjacency()
    low = kernels.bound_rows(blocks.rows, *form, steps)
    states = np.full(len(blocks.block), 1e9)
    nothing = kernels.Minorants(np.full(len(states), -np.inf), np.zeros(len(blocks.rows.item)))
    free = kernels.search_rows(blocks.rows, *form, nothing, states, 1)
    bounded = kernels.search_rows(blocks.rows, *form, low, states, 10**6)
    short = kernels.search_rows(blocks.rows, *form, low, states, 1)
    np.testing.assert_array_equal(free.proven, bounded.proven | np.isinf(free.energy))
    np.testing.assert_array_equal(free.chosen, bounded.chosen)
    np.testing.assert_allclose(free.energy, bounded.energy, rtol=1e-12, atol=1e-12)
    assert (short.bound <= free.energy + 1e-9).all()
    assert (short.energy >= free.energy - 1e-9).all()


def test_a_bound_proves_long_rows(minilm: dict[str, np.ndarray]) -> None:
    generator = np.random.default_rng(3)
    compiled = qa.compile(
        generator.normal(size=(1, 3, 24)), 1, select=qa.ExactlyK(8), objective="output", slots=None,
        values=generator.normal(size=(1, 24, 6)), target=None,
    )  # fmt: skip
    program = compiled.stages[compiled.unpriced].program
    assert comb(24, 8) > exact._MOST_STATES
    solution = qa.LocalSolver("exact").solve(program)
    assert solution.proven.all()
    rows, objective = option_blocks(program).rows, program.objective
    plain = kernels.search_rows(
        rows, objective.linear, objective.squares(), objective.adjacency(),
        kernels.Minorants(np.full(3, -np.inf), np.zeros(len(rows.item))), np.full(3, 1e9), 1,
    )  # fmt: skip
    np.testing.assert_allclose(solution.energy, plain.energy, rtol=1e-12)
    assert np.array_equal(solution.point, plain.chosen)


@given(programs(heads=3), st.integers(0, 5))
@settings(max_examples=60)
def test_swaps_keep_the_constraints(program: Program, seed: int) -> None:
    """Whatever joins rows; and nothing is below the optimum."""
    solution = qa.LocalSolver("swap", seed=seed).solve(program)
    again = qa.LocalSolver("swap", seed=seed).solve(program)
    assert np.array_equal(solution.point, again.point)
    best = optima(program)
    assert best is not None
    assert program.feasible(solution.point[None]).all()
    energy = program.objective.energies(solution.point[None])[0] - program.objective.offset
    assert solution.energy.sum() == pytest.approx(energy, abs=1e-9)
    assert energy >= best[0] - 1e-9
    assert not solution.proven.any()


def test_more_sweeps_come_nearer_to_the_optimum() -> None:
    scores = np.random.default_rng(2).normal(size=(1, 12, 24))
    keys = np.random.default_rng(3).normal(size=(1, 24, 3))
    rows = qa.compile(
        scores, 1, select=qa.ExactlyK(8), objective=qa.Redundancy(), keys=keys, slots=None,
        target=None,
    )  # fmt: skip
    program = rows.stages[rows.unpriced].program
    one, usual, named = (
        qa.LocalSolver("swap", sweeps=sweeps).solve(program) for sweeps in (1, None, 64)
    )
    assert one.energy.sum() > usual.energy.sum()
    assert np.array_equal(usual.point, named.point)
    with pytest.raises(qa.InputError, match="sweeps must be a whole number"):
        qa.LocalSolver(sweeps=0)


def test_coupled_heads_are_proven(minilm: dict[str, np.ndarray]) -> None:
    """Rows that couplers join are one block, whose sums are the digits of one number."""
    compiled = qa.compile(
        minilm["scores"][:3, :6, :8], 3, select=qa.ExactlyK(3), coupling=qa.Diversity(),
        target=None,
    )  # fmt: skip
    program = compiled.stages[compiled.unpriced].program
    assert np.bincount(program.components).max() == 24
    result, swapped = compiled.solve(), compiled.solve("swap")
    assert result.proven.all()
    assert result.feasible.all()
    assert "exact" in result.methods
    assert "swap" in swapped.methods
    assert not swapped.proven[swapped.methods == "swap"].any()
    assert result.energies.sum() <= swapped.energies.sum() + 1e-9
    annealed = compiled.solve("anneal", seed=1)
    assert result.energies.sum() <= annealed.energies.sum() + 1e-9
    # With more heads the digits are too many to search, and no bound is known.
    many = qa.compile(
        minilm["scores"][:6, :2, :8], 6, select=qa.ExactlyK(3), coupling=qa.Diversity(),
        target=None,
    )  # fmt: skip
    assert set(np.unique(many.solve().methods)) == {"swap"}


def test_rows_beyond_the_limits_are_named() -> None:
    rows = qa.compile(
        np.random.default_rng(0).normal(size=(1, 1, 40)), 1, select=qa.ExactlyK(20), slots=None,
        objective=qa.Redundancy(), keys=np.random.default_rng(1).normal(size=(1, 40, 3)),
        target=None,
    )  # fmt: skip
    program = rows.stages[rows.unpriced].program
    solution = qa.LocalSolver(steps=1).solve(program)
    assert not solution.proven.any()
    assert np.isfinite(solution.bound).all()
    assert (solution.bound <= solution.energy).all()
    with pytest.raises(qa.InputError, match=r"the block of x\[0,0,0\] is too large") as error:
        qa.LocalSolver("exact", steps=1).solve(program)
    assert (error.value.head, error.value.query) == (0, 0)
