"""Renormalised errors, Dinkelbach's rounds and their proofs, against enumeration in plain loops."""

from __future__ import annotations

from itertools import combinations, pairwise, product
from pathlib import Path

import dimod
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn import kernels
from tests.support import enumeration

SEEDS = st.integers(0, 10_000)


def problem(
    seed: int, heads: int = 2, queries: int = 3, keys: int = 7
) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    scores = 1.5 * generator.normal(size=(heads, queries, keys))
    return scores, generator.normal(size=(heads, keys, 3))


def squared_error(p: np.ndarray, values: np.ndarray, kept: list[int]) -> float:
    """|o(z) - o|^2, term by term."""
    output = sum((p[i] * values[i] for i in range(len(p))), np.zeros(values.shape[1]))
    own = sum((p[i] * values[i] for i in kept), np.zeros(values.shape[1])) / sum(p[i] for i in kept)
    return float(((own - output) ** 2).sum())


def least_error(p: np.ndarray, values: np.ndarray, sizes: list[int]) -> float:
    return min(
        squared_error(p, values, list(kept))
        for size in sizes
        for kept in combinations(range(len(p)), size)
    )


@given(SEEDS)
@settings(max_examples=10)
def test_energies_are_the_parametric_form_at_the_starts_error(seed: int) -> None:
    scores, values = problem(seed, heads=1, queries=1, keys=5)
    start = np.zeros((1, 1, 5), bool)
    start[0, 0, np.random.default_rng(seed).permutation(5)[:2]] = True
    compiled = qa.compile(
        scores,
        1,
        select=qa.ExactlyK(2),
        objective=qa.Renormalised(start=start),
        values=values,
        passes=(),
        target=None,
    )
    p, v = compiled.attention.softmax[0, 0], values[0]
    output, first = p @ v, list(np.flatnonzero(start[0, 0]))
    t, held = squared_error(p, v, first), p[first].sum()
    for bits in product((0, 1), repeat=5):
        kept = [i for i, bit in enumerate(bits) if bit]
        # z'(N - t D) z / (|o|^2 held^2) = (p.z)^2 (error^2(z) - t) / (|o|^2 held^2)
        expected = (
            p[kept].sum() ** 2 * (squared_error(p, v, kept) - t) / ((output**2).sum() * held**2)
            if kept
            else 0.0
        )
        assert enumeration.energy(compiled.program, bits) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("select", [qa.ExactlyK, qa.AtMostK])
@pytest.mark.parametrize("keys", [4, 8, 12])
def test_every_count_is_solved_and_proven(select: type, keys: int) -> None:
    scores, values = problem(keys, heads=1, queries=2, keys=keys)
    for k in range(1, keys + 1):
        compiled = qa.compile(
            scores, 1, select=select(k), objective="renormalised", values=values, target=None
        )
        result = compiled.solve(seed=k)
        assert result.rounds is not None
        assert result.rounds.optimal.all()
        sizes = [k] if select is qa.ExactlyK else list(range(1, k + 1))
        for query in range(2):
            p, v = compiled.attention.softmax[0, query], values[0]
            least = least_error(p, v, sizes) ** 0.5 / np.linalg.norm(p @ v)
            assert result.rounds.error[0, query] == pytest.approx(least, abs=1e-7)
            assert result.selected[0, query].sum() in sizes
        np.testing.assert_allclose(
            result.output_errors(compiled.attention), result.rounds.error, atol=1e-9
        )
        if k < keys:
            assert not compiled.certificates.recheck(exact=True)


@given(SEEDS)
@settings(max_examples=6, deadline=None)
def test_rounds_fall_and_prove_what_enumeration_says(seed: int) -> None:
    scores, values = problem(seed)
    compiled = qa.compile(
        scores, 2, select=qa.ExactlyK(3), objective="renormalised", values=values, target=None
    )
    for rounds in (1, 2, 6):
        # A sampler that draws at random: what is proven holds whoever sampled.
        result = compiled.solve(dimod.RandomSampler(), num_reads=1, rounds=rounds, descend=False)
        report = result.rounds
        assert report is not None
        assert report.count <= rounds
        assert not report.searched.any()
        for head, query in np.ndindex(2, 3):
            p, v = compiled.attention.softmax[head, query], values[head]
            top = list(np.argsort(-p)[:3])
            kept = list(np.flatnonzero(result.selected[head, query]))
            size = np.linalg.norm(p @ v)
            before, after = (squared_error(p, v, z) ** 0.5 / size for z in (top, kept))
            assert report.start[head, query] == pytest.approx(before)
            assert report.error[head, query] == pytest.approx(after)
            assert report.better[head, query] == (after < before - 1e-12)
            least = least_error(p, v, [3]) ** 0.5 / size
            assert report.optimal[head, query] == (after < least + 1e-9)
    annealed = [compiled.solve(seed=1, rounds=rounds).rounds for rounds in (1, 2, 6)]
    errors = [report.error for report in annealed if report is not None]
    for earlier, later in pairwise(errors):
        assert (later <= earlier + 1e-12).all()
    assert annealed[-1] is not None
    assert annealed[-1].optimal.all()


def test_a_machine_gets_no_help_by_the_search() -> None:
    scores, values = problem(3, queries=8)
    compiled = qa.compile(
        scores, 2, select=qa.ExactlyK(3), objective="renormalised", values=values, target=None
    )
    options = {"num_reads": 1, "rounds": 1, "repair": "best", "descend": False}
    machine = compiled.solve(dimod.RandomSampler(), **options).rounds
    alone = compiled.solve(seed=1, rounds=1).rounds
    assert machine is not None
    assert alone is not None
    assert not machine.optimal.all()
    assert alone.optimal.all()
    assert set(machine.states.ravel().tolist()) <= {"optimal", "better", "not improved"}


def test_least_ratios_run_out_of_room_honestly() -> None:
    scores, values = problem(1, heads=1, queries=1, keys=12)
    attention = qa.compile(scores, 1, target=None, values=values).attention
    rows, start = attention.rows, np.arange(12) < 6
    columns = rows.ptr, rows.mass, rows.key, rows.head, attention.values
    centre = kernels.row_outputs(*columns)
    counts = np.array([6]), np.array([6])
    taken = np.zeros(12, bool)
    short, whole = (
        kernels.least_ratios(*columns, centre, start, taken, *counts, room) for room in (1, 9999)
    )
    assert not short.proven[0]
    assert whole.proven[0]
    assert whole.ratio[0] == pytest.approx(least_error(rows.mass, values[0], [6]))


def test_required_keys_start_and_stay() -> None:
    scores, values = problem(5, heads=1, queries=1, keys=8)
    light = int(scores[0, 0].argmin())
    heavy = int(scores[0, 0].argmax())
    required, forbidden = np.zeros((2, 1, 1, 8), bool)
    required[0, 0, light], forbidden[0, 0, heavy] = True, True
    compiled = qa.compile(
        scores,
        1,
        select=qa.ExactlyK(3),
        objective="renormalised",
        values=values,
        required=required,
        forbidden=forbidden,
        target=None,
    )
    result = compiled.solve(seed=1)
    p, v = compiled.attention.softmax[0, 0], values[0]
    least = min(
        squared_error(p, v, list(kept))
        for kept in combinations(range(8), 3)
        if light in kept and heavy not in kept
    )
    assert result.rounds is not None
    assert result.rounds.optimal.all()
    assert result.rounds.error[0, 0] * np.linalg.norm(p @ v) == pytest.approx(least**0.5)


@pytest.mark.parametrize("over", ["head", "all"])
def test_tied_rows_are_bettered_together(over: str) -> None:
    scores, values = problem(11, heads=2, queries=5, keys=9)
    compiled = qa.compile(
        scores,
        2,
        select=qa.Budget(3 if over == "head" else 6, over=over),
        objective="renormalised",
        values=values,
        tie=qa.TieVariables(queries=True),
        target=None,
    )
    result = compiled.solve(seed=2)
    report = result.rounds
    assert report is not None
    assert not report.optimal.any()
    mass = compiled.attention.softmax.sum(axis=1)
    kept = result.selected.any(axis=1)
    assert (result.selected == kept[:, None]).all()
    for head in range(2):
        if over == "head":
            top = np.argsort(-mass[head])[:3]
            for query in range(5):
                p = compiled.attention.softmax[head, query]
                size = np.linalg.norm(p @ values[head])
                before = squared_error(p, values[head], list(top)) ** 0.5 / size
                assert report.start[head, query] == pytest.approx(before)
    groups = range(2) if over == "head" else [slice(None)]
    for group in groups:
        assert (report.error[group] ** 2).sum() <= (report.start[group] ** 2).sum() + 1e-12
    assert kept.sum() == 6


def test_a_start_of_ones_own_is_saved_and_checked(tmp_path: Path) -> None:
    scores, values = problem(2)
    start = np.zeros(scores.shape, bool)
    start[..., -2:] = True
    objective = qa.Renormalised(start=start, rounds=2)
    assert objective == qa.Renormalised(start=objective.start, rounds=2)
    options = {"select": qa.ExactlyK(2), "values": values, "target": None}
    compiled = qa.compile(scores, 2, objective=objective, **options)
    compiled.save(tmp_path / "out")
    loaded = qa.load(tmp_path / "out")
    assert loaded.recipe.objectives[0] == objective
    again, first = loaded.solve(seed=1).rounds, compiled.solve(seed=1).rounds
    assert again is not None
    assert first is not None
    np.testing.assert_array_equal(again.start, first.start)
    hidden = np.where(np.arange(7) == 6, -np.inf, scores)
    with pytest.raises(qa.InputError, match=r"key 6 of head 0, query 0, which the query does not"):
        qa.compile(hidden, 2, objective=objective, **options)
    with pytest.raises(qa.InputError, match="start is for 2 heads"):
        qa.compile(scores[:1], 1, objective=objective, **(options | {"values": values[:1]}))


def test_rows_that_keep_nothing_of_the_start() -> None:
    """A tied set of which a query sees no key: an output of zero is what is to be bettered."""
    scores = np.full((1, 5, 6), -np.inf)
    scores[0, 0, 0], scores[0, 1:] = 0.0, (-5.0, 5.0, 5.0, 0.0, 0.1, 0.2)
    compiled = qa.compile(
        scores,
        1,
        select=qa.Budget(2),
        objective="renormalised",
        values=np.random.default_rng(1).normal(size=(1, 6, 2)),
        tie=qa.TieVariables(queries=True),
        target=None,
    )
    report = compiled.solve(seed=1).rounds
    assert report is not None
    assert np.isfinite(report.error).all()
    assert report.start[0, 0] == 1.0
