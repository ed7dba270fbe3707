"""Each objective against a naive reference, by enumeration."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn.frontend.attention import Attention
from qubo_attn.frontend.program import build_program


def program_of(attention: Attention, objective: object) -> qa.Program:
    heads = attention.shape[0]
    return build_program(attention, (objective,) * heads, (qa.ExactlyK(2),) * heads)


@given(st.integers(0, 10_000), st.floats(0, 1))
@settings(max_examples=25)
def test_selection_is_the_articles_matrix(seed: int, alpha: float) -> None:
    """z^T Q z with both triangles filled, all 2^8 energies."""
    scores = np.random.default_rng(seed).normal(size=8)
    matrix = alpha * np.outer(scores, scores)
    np.fill_diagonal(matrix, alpha - scores)
    program = program_of(Attention.check(scores[None, None], 1), qa.Selection(alpha=alpha))
    points = np.array(list(product((0, 1), repeat=8)))
    expected = [z @ matrix @ z for z in points]
    np.testing.assert_allclose(program.objective.energies(points), expected, atol=1e-9)


@given(st.integers(0, 10_000))
@settings(max_examples=25)
def test_redundancy_is_scores_and_centred_cosine(seed: int) -> None:
    generator = np.random.default_rng(seed)
    scores, keys = generator.normal(size=(1, 1, 6)), generator.normal(size=(1, 6, 4)) + 3
    attention = Attention.check(scores, 1, keys=keys)
    program = program_of(attention, qa.Redundancy(strength=0.7))
    centre = sum(keys[0]) / 6
    for z in product((0, 1), repeat=6):
        energy = -sum(s for s, on in zip(scores[0, 0], z, strict=True) if on)
        for i in range(6):
            for j in range(i):
                if z[i] and z[j]:
                    a, b = keys[0, i] - centre, keys[0, j] - centre
                    energy += 0.7 * a @ b / np.sqrt((a @ a) * (b @ b))
        assert program.objective.energies([z])[0] == pytest.approx(energy, abs=1e-9)


@given(st.integers(0, 10_000))
@settings(max_examples=25)
def test_output_is_the_squared_error_of_the_residual_decoder(seed: int) -> None:
    generator = np.random.default_rng(seed)
    scores, values = generator.normal(size=(2, 1, 5)), generator.normal(size=(2, 5, 3))
    scores[1, 0, 4] = -np.inf
    attention = Attention.check(scores, 2, values=values)
    program = program_of(attention, qa.Output())
    for z in product((0, 1), repeat=9):
        error = 0.0
        for head, (start, n) in enumerate(((0, 5), (5, 4))):
            weight = np.exp(scores[head, 0, :n])
            p = weight / weight.sum()
            mean = values[head, :n].mean(axis=0)
            kept = mean + sum(p[i] * (values[head, i] - mean) for i in range(n) if z[start + i])
            error += ((kept - p @ values[head, :n]) ** 2).sum()
        assert program.objective.energies([z])[0] == pytest.approx(error, abs=1e-9)


def test_each_head_its_own_objective() -> None:
    generator = np.random.default_rng(3)
    scores, values = generator.normal(size=(3, 2, 5)), generator.normal(size=(3, 5, 2))
    heads = [qa.Head(objective="output"), qa.Head(), qa.Head(objective="output")]
    how = {"objective": "selection", "values": values, "target": None}
    compiled = qa.compile(scores, heads, select=qa.ExactlyK(2), **how)
    mixed = compiled.stages[0].program
    for head, name in enumerate(("output", "selection", "output")):
        alone = (
            qa.compile(
                scores[head : head + 1],
                1,
                select=qa.ExactlyK(2),
                objective=name,
                values=values[head : head + 1],
                target=None,
            )
            .stages[0]
            .program
        )
        mine = mixed.variables.head == head
        np.testing.assert_array_equal(mixed.objective.linear[mine], alone.objective.linear)
        inside = mine[mixed.objective.i]
        np.testing.assert_array_equal(mixed.objective.bias[inside], alone.objective.bias)


@pytest.mark.parametrize(("objective", "argument"), [("output", "values"), ("redundancy", "keys")])
def test_what_an_objective_lacks_is_named(objective: str, argument: str) -> None:
    with pytest.raises(qa.InputError, match=f"objective '{objective}' needs {argument}="):
        qa.compile(np.zeros((1, 2, 3)), 1, objective=objective, target=None)


def test_a_key_at_the_mean_is_redundant_with_none() -> None:
    keys = np.zeros((1, 3, 2))
    attention = Attention.check(np.ones((1, 1, 3)), 1, keys=keys)
    assert len(program_of(attention, qa.Redundancy()).objective) == 0


@pytest.mark.parametrize("value", [1e8, 1e20, 1e200, np.nan])
def test_values_of_keys_that_no_query_sees_take_no_digits(value: float) -> None:
    plain, odd = (
        qa.compile(
            [[0.5, -0.5, 1.0, -np.inf]],
            1,
            select=qa.OneHot(),
            objective="output",
            values=[[[3.0], [1.0], [0.0], [v]]],
            target=None,
        )
        for v in (0.0, value)
    )
    np.testing.assert_array_equal(
        odd.stages[0].program.objective.linear, plain.stages[0].program.objective.linear
    )
    assert (
        odd.solve("anneal", seed=1).context[0, 0, 0]
        == plain.solve("anneal", seed=1).context[0, 0, 0]
    )
