"""Ties by products of matrices: against enumeration, and against couplers that are added up."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn import kernels
from qubo_attn.ir.program import Program

SEEDS = st.integers(0, 10_000)
OBJECTIVES = ("mean", "carried", "array", "renormalised")


def problem(seed: int, keys: int, mask: str) -> dict[str, Any]:
    """Three heads over two key/value heads, four queries."""
    generator = np.random.default_rng(seed)
    scores = 1.5 * generator.normal(size=(3, 4, keys))
    if mask == "causal":
        scores[:, np.arange(keys) > np.arange(keys - 4, keys)[:, None]] = -np.inf
    if mask == "ragged":
        scores[generator.random(scores.shape) < 0.4] = -np.inf
        scores[:, 0, 0] = 0.0
    return {
        "scores": scores,
        "values": 3.0 + generator.normal(size=(2, keys, 3)),
        "kv_head": [0, 1, 0],
        "target": None,
    }


def objective_of(name: str, seed: int) -> Any:
    if name == "renormalised":
        return "renormalised"
    if name == "selection":
        return qa.Selection(alpha=0.03)
    background = np.random.default_rng(seed + 1).normal(size=(3, 4, 3))
    return qa.Output(background=background if name == "array" else name)


def tied(given: dict[str, Any], objective: Any, k: int, **more: Any) -> qa.CompiledAttention:
    tie = qa.TieVariables.from_kv_head(given["kv_head"], queries=True)
    options = {"select": qa.Budget(k), "objective": objective, "tie": tie, "slots": None}
    rest = {name: given[name] for name in given if name != "scores"}
    return qa.compile(given["scores"], 3, **(options | rest | more))


def row_energy(compiled: qa.CompiledAttention, name: str, head: int, q: int, kept: Any) -> float:
    """The energy of one row by its definition: squared errors, behind the projection if any."""
    attention = compiled.attention
    p, seen = attention.softmax[head, q], attention.visible[head, q]
    values, project = attention.values, np.eye(3)
    assert values is not None
    v = values[head]
    if attention.projection is not None:
        project = attention.projection[head]
    kept = [i for i in kept if seen[i]]
    output = p @ v
    if name != "renormalised":
        background = v[seen].mean(axis=0)
        if compiled.backgrounds is not None:
            background = compiled.backgrounds[head, q]
        guess = background + sum((p[i] * (v[i] - background) for i in kept), np.zeros(3))
        return float((((guess - output) @ project) ** 2).sum())

    def error(keys: Any) -> float:
        own = sum((p[i] * v[i] for i in keys), np.zeros(3)) / sum(p[i] for i in keys)
        return float((((own - output) @ project) ** 2).sum())

    group = [h for h in range(3) if (h == 1) == (head == 1)]
    mass = attention.softmax[group].sum(axis=(0, 1))
    k = int(compiled.recipe.selects[0].k)  # type: ignore[attr-defined]  # a budget
    start = [i for i in np.argsort(-mass, kind="stable")[:k] if seen[i]]
    size = float(((output @ project) ** 2).sum())
    shift, held = (error(start), p[start].sum()) if start else (size, 0.0)
    scale = 1.0 / (size * max(held, 1e-3) ** 2)
    return scale * p[kept].sum() ** 2 * (error(kept) - shift) if kept else 0.0


@pytest.mark.parametrize("mask", ["none", "causal", "ragged"])
@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("projected", [False, True])
def test_energies_are_sums_of_the_rows_of_a_group(name: str, mask: str, projected: bool) -> None:
    given, weight = problem(7, 5, mask), np.random.default_rng(3).normal(size=(3, 3, 4))
    more = {"output_projection": weight} if projected else {}
    compiled = tied(given, objective_of(name, 7), 2, passes=None, **more)
    form, v = compiled.stages[1].program.objective, compiled.stages[1].program.variables
    points = np.array(list(product((0.0, 1.0), repeat=len(v))))
    expected = np.zeros(len(points))
    for head, q in np.ndindex(3, 4):
        own = v.head == (1 if head == 1 else 0 if (v.head == 0).any() else 2)
        memo: dict[tuple[int, ...], float] = {}
        for n, point in enumerate(points):
            kept = tuple(sorted(v.key[own & (point > 0)].tolist()))
            if kept not in memo:
                memo[kept] = row_energy(compiled, name, head, q, kept)
            expected[n] += memo[kept]
    np.testing.assert_allclose(form.energies(points), expected, atol=1e-9)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_count_of_a_group_is_solved(name: str) -> None:
    given = problem(2, 8, "causal")
    for k in range(1, 8):
        compiled = tied(given, objective_of(name, 2), k)
        program = compiled.stages[compiled.unpriced].program
        solution = qa.LocalSolver("exact").solve(program)
        for block, head in enumerate((0, 1)):
            own = [h for h in range(3) if (h == 1) == (head == 1)]
            least = min(
                sum(row_energy(compiled, name, h, q, kept) for h in own for q in range(4))
                for kept in combinations(range(8), k)
            )
            point = np.where(program.components == block, solution.point, 0.0)
            none = sum(row_energy(compiled, name, h, q, ()) for h in own for q in range(4))
            gain = program.objective.energies(point[None])[0] - program.objective.offset
            assert gain == pytest.approx(least - none, abs=1e-9)


def added_up(before: Program, source: np.ndarray, n: int) -> tuple[np.ndarray, ...]:
    """Couplers one by one."""
    o = before.objective
    return kernels.collect_couplers(n, source[o.i], source[o.j], o.bias)


@given(
    seed=SEEDS,
    mask=st.sampled_from(["none", "causal", "ragged"]),
    name=st.sampled_from([*OBJECTIVES, "selection"]),
)
@settings(max_examples=40, deadline=None)
def test_products_are_the_sum_of_the_couplers(seed: int, mask: str, name: str) -> None:
    given = problem(seed, 12, mask)
    for queries in (True, False) if mask != "ragged" else (True,):
        tie = qa.TieVariables(((0, 2),), queries=queries)
        compiled = tied(given, objective_of(name, seed), 3, tie=tie)
        before, after = (stage.program for stage in compiled.stages[:2])
        assert after.objective.is_late
        source = compiled.stages[1].lift.sources
        i, j, bias = added_up(before, source, len(after))
        dense = np.zeros((2, len(after), len(after)))
        dense[0, i, j] = bias
        dense[1, after.objective.i, after.objective.j] = after.objective.bias
        np.testing.assert_allclose(dense[1], dense[0], atol=1e-9)
        some = np.flatnonzero(np.random.default_rng(seed).random(len(after)) < 0.5)
        part, whole = after.objective.couplers.among(some), after.objective.among(None)
        inside = np.isin(whole.i, some) & np.isin(whole.j, some)
        part = tuple(column[part[2] != 0] for column in part)
        np.testing.assert_array_equal(some[part[0]], whole.i[inside])
        np.testing.assert_array_equal(some[part[1]], whole.j[inside])
        np.testing.assert_allclose(part[2], whole.bias[inside], atol=1e-12)


@given(
    seed=SEEDS,
    name=st.sampled_from([*OBJECTIVES, "selection"]),
    soft=st.booleans(),
    hard=st.booleans(),
)
@settings(max_examples=30, deadline=None)
def test_couplers_between_heads_are_added_to_late_ones(
    seed: int, name: str, soft: bool, hard: bool
) -> None:
    """Couplings, soft ties, and hard ties of coupled heads, against couplers one by one."""
    given = problem(seed, 8, "causal")
    late = qa.TieVariables(groups=((0, 2),), strength=0.7)
    tie = qa.TieVariables(groups=((0, 2),)) if hard else late if soft else None
    more = {"coupling": qa.Diversity(0.3), "tie": tie, "passes": None}
    select = qa.ExactlyK(2)
    compiled = tied(given, objective_of(name, seed), 2, select=select, **more)
    alone = tied(given, objective_of(name, seed), 2, select=select, tie=tie, passes=None)
    form = compiled.stages[1 if tie else 0].program.objective
    assert form.is_late
    first, coupled = alone.stages[0].program.objective, compiled.stages[0].program.objective
    v, points = compiled.stages[0].program.variables, np.random.default_rng(seed)
    bits = points.integers(0, 2, (20, len(v)))
    paid = np.zeros(20)
    for i, j, bias in zip(coupled.i, coupled.j, coupled.bias, strict=True):
        if v.head[i] != v.head[j]:
            assert (v.query[i], v.key[i]) == (v.query[j], v.key[j])
            assert bias > 0
            paid += bias * bits[:, i] * bits[:, j]
    np.testing.assert_allclose(coupled.energies(bits), first.energies(bits) + paid, atol=1e-9)
    if tie is not None and hard:
        i, j, bias = added_up(
            compiled.stages[0].program, compiled.stages[1].lift.sources, len(form.linear)
        )
        np.testing.assert_array_equal([form.i, form.j], [i[bias != 0], j[bias != 0]])
        np.testing.assert_allclose(form.bias, bias[bias != 0], atol=1e-9)
    some = np.flatnonzero(points.random(len(form.linear)) < 0.5)
    part, whole = form.among(some), form.among(None)
    inside = np.isin(whole.i, some) & np.isin(whole.j, some)
    np.testing.assert_array_equal(some[part.i], whole.i[inside])
    np.testing.assert_array_equal(some[part.j], whole.j[inside])
    np.testing.assert_allclose(part.bias, whole.bias[inside], atol=1e-12)


def test_no_coupler_of_a_single_row_is_worked_out() -> None:
    given = problem(1, 12, "causal")
    heads = [qa.Head(objective="output"), qa.Head(objective="renormalised")]
    for objective, select in (("output", qa.Budget(3)), ("renormalised", qa.Budget(3))):
        compiled = tied(given, objective, 3, select=select)
        compiled.solve(seed=1)
        assert "terms" not in vars(compiled.stages[0].program.objective)
    # Heads of different objectives, tied each by itself.
    mixed = qa.compile(
        given["scores"][:2],
        heads,
        select=qa.Budget(3),
        values=given["values"],
        tie=qa.TieVariables(queries=True),
        target=None,
        slots=None,
    )
    before, after = (stage.program for stage in mixed.stages[:2])
    assert "terms" not in vars(before.objective)
    i, j, bias = added_up(before, mixed.stages[1].lift.sources, len(after))
    np.testing.assert_array_equal((after.objective.i, after.objective.j), (i, j))
    np.testing.assert_allclose(after.objective.bias, bias, atol=1e-9)


def test_heads_of_different_objectives_in_one_group_add_up() -> None:
    given = problem(4, 6, "none")
    heads = [
        qa.Head(objective="output"),
        qa.Head(objective="renormalised"),
        qa.Head(objective="hard"),
    ]
    compiled = qa.compile(
        given["scores"],
        heads,
        select=qa.ExactlyK(2),
        values=given["values"][[0, 1, 0]],
        tie=qa.TieVariables(((0, 1, 2),)),
        target=None,
        slots=None,
    )
    before, after = (stage.program for stage in compiled.stages[:2])
    i, j, bias = added_up(before, compiled.stages[1].lift.sources, len(after))
    np.testing.assert_array_equal((after.objective.i, after.objective.j), (i, j))
    np.testing.assert_allclose(after.objective.bias, bias, atol=1e-9)
