"""Backgrounds, output projections and whole layers, against their formulas in plain loops."""

from __future__ import annotations

from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qubo_attn as qa
from tests.support import enumeration

SEEDS = st.integers(0, 10_000)


def problem(
    seed: int, *, causal: bool, heads: int = 2, queries: int = 5
) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    scores = 1.5 * generator.normal(size=(heads, queries, queries))
    if causal:
        scores = np.where(np.tri(queries, dtype=bool), scores, -np.inf)
    return scores, generator.normal(size=(heads, queries, 3))


def softmax(row: np.ndarray) -> np.ndarray:
    weights = np.exp(row - row.max())
    return np.asarray(weights / weights.sum())


def carried(
    scores: np.ndarray, values: np.ndarray, k: int, state: np.ndarray | None = None
) -> np.ndarray:
    """Backgrounds of one head, query by query: what other queries that see no later key leave."""
    queries, _ = scores.shape
    rest, last = [], []
    for row in scores:
        p, seen = softmax(row), np.flatnonzero(row > -np.inf)
        top = set(seen[np.argsort(-p[seen], kind="stable")][:k])
        light = [i for i in seen if i not in top]
        sums = sum((p[i] * values[i] for i in light), np.zeros(values.shape[1]))
        rest.append(np.append(sums, sum(p[i] for i in light)))
        last.append(seen.max())
    backgrounds = []
    for q in range(queries):
        total = np.zeros(values.shape[1] + 1) if state is None else state.copy()
        for r in range(queries):
            if r != q and last[r] <= last[q]:
                total = total + rest[r]
        seen = scores[q] > -np.inf
        mean = values[seen].mean(axis=0)
        backgrounds.append(total[:-1] / total[-1] if total[-1] > 1e-12 else mean)
    return np.array(backgrounds)


@pytest.mark.parametrize("causal", [True, False])
@given(seed=SEEDS)
@settings(max_examples=5, deadline=None)
def test_energy_is_the_squared_error_about_a_carried_background(seed: int, *, causal: bool) -> None:
    scores, values = problem(seed, causal=causal)
    compiled = qa.compile(
        scores,
        2,
        select=qa.ExactlyK(2),
        objective=qa.Output(background="carried"),
        values=values,
        target=None,
    )
    result = compiled.solve(seed=1)
    assert compiled.backgrounds is not None
    assert result.context is not None
    for head in range(2):
        expected = carried(scores[head], values[head], 2)
        np.testing.assert_allclose(compiled.backgrounds[head], expected, atol=1e-9)
        for q in range(5):
            p, b = softmax(scores[head, q]), expected[q]
            full, seen = p @ values[head], np.flatnonzero(scores[head, q] > -np.inf)
            outputs = {
                kept: b + sum(p[i] * (values[head, i] - b) for i in kept)
                for kept in combinations(seen, min(2, len(seen)))
            }
            least = min(((o - full) ** 2).sum() for o in outputs.values())
            gap = result.context[head, q] - full
            assert (gap**2).sum() == pytest.approx(least, abs=1e-9)
            kept = tuple(np.flatnonzero(result.selected[head, q]))
            np.testing.assert_allclose(result.context[head, q], outputs[kept], atol=1e-9)
            np.testing.assert_allclose(
                result.weights[head, q], np.where(result.selected[head, q], p, 0.0)
            )


def test_a_stream_of_batches_carries_its_background_along() -> None:
    """Queries of a causal text in two batches have the backgrounds of one."""
    scores, values = problem(4, causal=True, queries=8)
    options = {"select": qa.ExactlyK(2), "values": values, "target": None}
    objective = qa.Output(background="carried")
    whole = qa.compile(scores, 2, objective=objective, **options)
    first = qa.compile(scores[:, :4], 2, objective=objective, **options)
    second = first.rebind(scores[:, 4:])
    both = np.concatenate([first.backgrounds, second.backgrounds], axis=1)
    np.testing.assert_allclose(both, whole.backgrounds, atol=1e-12)
    np.testing.assert_allclose(second.carried, whole.carried, atol=1e-12)
    fresh = qa.compile(scores[:, 4:], 2, objective=objective, carried=first.carried, **options)
    assert str(fresh.program) == str(second.program)
    plain = qa.compile(scores, 2, objective="output", **options)
    assert plain.backgrounds is None
    assert plain.carried is None


def test_auto_takes_what_serves_each_head_and_holds_it(tmp_path: Path) -> None:
    scores, values = problem(8, causal=True, heads=6, queries=12)
    # Two heads without a pattern; and four with a sink, whose value is no guide to the others.
    scores[2:, :, 0], values[2:, 0] = 4.0, 30.0
    options = {"select": qa.ExactlyK(2), "values": values, "target": None}
    auto = qa.compile(scores, 6, objective=qa.Output(background="auto"), **options)
    chosen = auto.recipe.objectives[0].background
    errors = {}
    for name in ("mean", "carried"):
        compiled = qa.compile(scores, 6, objective=qa.Output(background=name), **options)
        attention = compiled.attention
        top = attention.softmax.argsort(axis=-1)[..., ::-1].argsort(axis=-1) < 2
        gap = []
        for head in range(6):
            b = (
                compiled.backgrounds[head]
                if name == "carried"
                else np.stack([values[head, : q + 1].mean(axis=0) for q in range(12)])
            )
            p = attention.softmax[head]
            kept = np.where(top[head] & (scores[head] > -np.inf), p, 0.0)
            output, full = kept @ values[head], p @ values[head]
            output = output + (1 - kept.sum(axis=1, keepdims=True)) * b
            size = np.linalg.norm(full, axis=1)
            gap.append((np.linalg.norm(output - full, axis=1) / size).mean())
        errors[name] = np.array(gap)
    expected = np.where(errors["carried"] < errors["mean"], "carried", "mean")
    assert chosen == tuple(expected.tolist())
    assert len(set(chosen)) == 2
    again = auto.rebind(scores)
    assert again.recipe.objectives[0].background == chosen
    again.save(tmp_path / "out")
    loaded = qa.load(tmp_path / "out")
    np.testing.assert_array_equal(loaded.backgrounds, again.backgrounds)
    np.testing.assert_array_equal(loaded.carried, again.carried)


@pytest.mark.parametrize("shape", [(2, 3), (2, 5, 3)])
def test_vectors_of_ones_own_are_backgrounds(shape: tuple[int, ...], tmp_path: Path) -> None:
    scores, values = problem(1, causal=False)
    own = np.random.default_rng(5).normal(size=shape)
    for select in (qa.ExactlyK(2), qa.SoftWeights(2, k=2)):
        compiled = qa.compile(
            scores,
            2,
            select=select,
            objective=qa.Output(background=own),
            values=values,
            target=None,
        )
        table = np.broadcast_to(own[:, None] if own.ndim == 2 else own, (2, 5, 3))
        np.testing.assert_array_equal(compiled.backgrounds, table)
        result = compiled.solve(seed=1)
        weights = result.weights
        np.testing.assert_allclose(
            result.context,
            weights @ values + (1 - weights.sum(axis=-1, keepdims=True)) * table,
        )
        gap = ((result.context - compiled.attention.softmax @ values) ** 2).sum(axis=-1)
        offset = compiled.stages[0].program.objective.offset
        assert result.energies.sum() + offset == pytest.approx(gap.sum())
        compiled.save(tmp_path / "out")
        assert qa.load(tmp_path / "out").recipe.objectives == compiled.recipe.objectives


@pytest.mark.parametrize(
    ("background", "message"),
    [
        ("median", "unknown background"),
        (np.zeros(3), "expected \\(heads, d\\) or"),
        ([[np.nan]], "finite"),
        (("mean", "auto"), "unknown background"),
    ],
)
def test_backgrounds_are_checked(background: object, message: str) -> None:
    with pytest.raises(qa.InputError, match=message):
        qa.Output(background=background)


def test_backgrounds_that_do_not_fit_are_named() -> None:
    scores, values = problem(1, causal=False)
    options = {"values": values, "target": None}
    for background in (np.zeros((1, 3)), ("mean", "carried", "mean")):
        with pytest.raises(qa.InputError, match="background"):
            qa.compile(scores, 2, objective=qa.Output(background=background), **options)
    with pytest.raises(qa.InputError, match=r"carried has shape \(2, 3\); expected \(2, 4\)"):
        qa.compile(scores, 2, objective="output", carried=np.zeros((2, 3)), **options)
    with pytest.raises(qa.InputError, match="masses at least 0"):
        qa.compile(scores, 2, objective="output", carried=-np.ones((2, 4)), **options)


# -- output projections ---------------------------------------------------------------------------


@pytest.mark.parametrize("model", [2, 3, 7])
@pytest.mark.parametrize("objective", ["output", "renormalised", "soft"])
def test_errors_are_measured_behind_the_projection(model: int, objective: str) -> None:
    scores, values = problem(3, causal=True)
    weight = np.random.default_rng(model).normal(size=(2, 3, model))
    select = qa.SoftWeights(2, k=2) if objective == "soft" else qa.ExactlyK(2)
    name = "output" if objective == "soft" else objective
    options = {"select": select, "objective": name, "target": None}
    compiled = qa.compile(scores, 2, values=values, output_projection=weight, **options)
    projected = qa.compile(scores, 2, values=values @ weight, **options)
    a, b = compiled.stages[0].program.objective, projected.stages[0].program.objective
    np.testing.assert_allclose(a.linear, b.linear, atol=1e-9)
    np.testing.assert_allclose(a.bias, b.bias, atol=1e-9)
    flat = weight.transpose(2, 0, 1).reshape(model, 6)
    assert str(
        qa.compile(scores, 2, values=values, output_projection=flat, **options).program
    ) == str(compiled.program)
    again = compiled.rebind(scores)
    assert str(again.program) == str(compiled.program)


def test_bad_projections_are_named(tmp_path: Path) -> None:
    scores, values = problem(3, causal=True)
    options = {"values": values, "objective": "output", "target": None}
    for bad, message in (
        (np.zeros((2, 4, 3)), r"has shape \(2, 4, 3\); expected \(2, 3, model\)"),
        (np.full((2, 3, 1), np.inf), "must be finite"),
        (np.full((2, 3, 1), 1e200), "overflow"),
    ):
        with pytest.raises(qa.InputError, match=message):
            qa.compile(scores, 2, output_projection=bad, **options)
    with pytest.raises(qa.InputError, match="needs values"):
        qa.compile(scores, 2, output_projection=np.ones((2, 3, 1)), target=None)
    with pytest.raises(qa.InputError, match="needs output_projection"):
        qa.compile(scores, 2, objective="layer", values=values, target=None)
    compiled = qa.compile(scores, 2, output_projection=np.ones((2, 3, 1)), **options)
    compiled.save(tmp_path / "out")
    loaded = qa.load(tmp_path / "out")
    np.testing.assert_array_equal(loaded.attention.projection, np.ones((2, 3, 1)))
    plain = qa.compile(scores, 2, **options)
    result = plain.solve(seed=1)
    with pytest.raises(qa.DecodeError, match="output_projection"):
        result.layer_errors(plain.attention)


# -- layers ---------------------------------------------------------------------------------------


@given(SEEDS)
@settings(max_examples=4, deadline=None)
def test_layer_energy_is_the_squared_error_of_the_layer(seed: int) -> None:
    scores, values = problem(seed, causal=False, queries=4)
    scores = scores[:, :1]
    weight = np.random.default_rng(seed).normal(size=(2, 3, 5))
    options = {"values": values, "output_projection": weight, "target": None}
    for background in ("mean", np.ones((2, 3))):
        objective = qa.Layer(background=background)
        compiled = qa.compile(
            scores, 2, select=qa.ExactlyK(2), objective=objective, passes=(), **options
        )
        assert len(set(compiled.program.components.tolist())) == 1
        for bits in product((0, 1), repeat=8):
            error = np.zeros(5)
            for head in range(2):
                p = softmax(scores[head, 0])
                b = values[head].mean(axis=0) if isinstance(background, str) else np.ones(3)
                own = b + sum(bits[4 * head + i] * p[i] * (values[head, i] - b) for i in range(4))
                error += (own - p @ values[head]) @ weight[head]
            expected = (error**2).sum()
            assert enumeration.energy(compiled.program, bits) == pytest.approx(expected, abs=1e-9)


def test_a_layer_is_solved_as_one_problem() -> None:
    scores, values = problem(2, causal=True, heads=3, queries=6)
    weight = np.random.default_rng(1).normal(size=(3, 3, 4))
    options = {
        "select": qa.ExactlyK(2),
        "values": values,
        "output_projection": weight,
        "target": None,
    }
    whole = qa.compile(scores, 3, objective="layer", slots=4, **options)
    assert whole.stages[0].program.objective.is_late
    sizes = np.bincount(whole.program.components)
    assert sizes.max() == 12
    result = whole.solve(seed=1)
    apart = qa.compile(scores, 3, objective="output", **options).solve(seed=1)
    attention = whole.attention
    one, other = result.layer_errors(attention), apart.layer_errors(attention)
    assert (one <= other + 1e-9).all()
    assert (one < other - 1e-9).any()
    absolute = result.layer_errors(attention, absolute=True)
    offset = whole.stages[0].program.objective.offset
    assert result.energies.sum() + offset == pytest.approx((absolute**2).sum())
