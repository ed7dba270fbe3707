"""Backgrounds other than the mean in torch: context, gradients, and what is carried along."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.autograd import gradcheck  # noqa: E402

import qubo_attn as qa  # noqa: E402
from qubo_attn.torch import AnnealedAttention, Annealing, annealed_attention  # noqa: E402

HEADS, TOKENS, WIDTH = 2, 8, 3
GIVEN = np.random.default_rng(8).normal(size=(HEADS, WIDTH)).tolist()


def doubles(*shape: int, seed: int = 3) -> Any:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def causal(seed: int = 3) -> Any:
    scores = doubles(HEADS, TOKENS, TOKENS, seed=seed)
    return scores.masked_fill(~torch.tril(torch.ones(TOKENS, TOKENS, dtype=torch.bool)), -torch.inf)


def how(background: Any, **options: Any) -> Annealing:
    objective = qa.Output(background=background)
    return Annealing(qa.ExactlyK(2), objective=objective, **{"sampler": "exact", **options})


@pytest.mark.parametrize("background", ["carried", "auto", GIVEN], ids=str)
def test_context_is_that_of_the_compiler(background: Any) -> None:
    scores, values = causal(), doubles(HEADS, TOKENS, WIDTH)
    options = {"select": qa.ExactlyK(2), "values": values, "target": None}
    compiled = qa.compile(scores, objective=qa.Output(background=background), **options)
    context = compiled.solve("exact").context
    found = annealed_attention(scores, values, how(background))
    np.testing.assert_allclose(found.context, context, atol=1e-12)


def test_calls_carry_on_where_they_are_asked_to() -> None:
    scores, again = causal(), causal(seed=4)
    values, next_values = doubles(HEADS, TOKENS, WIDTH), doubles(HEADS, TOKENS, WIDTH, seed=5)
    options = {"select": qa.ExactlyK(2), "values": values, "target": None}
    compiled = qa.compile(scores, objective=qa.Output(background="carried"), **options)
    layer = how("carried")
    carried = annealed_attention(scores, values, layer).result.carried
    np.testing.assert_allclose(carried, compiled.carried)
    found = annealed_attention(again, next_values, layer, carried=carried)
    expected = compiled.rebind(again, values=next_values).solve("exact").context
    np.testing.assert_allclose(found.context, expected, atol=1e-12)
    fresh = annealed_attention(again, next_values, layer)
    assert not np.allclose(fresh.context, expected)


def test_a_layer_carries_on_what_it_is_given() -> None:
    torch.manual_seed(0)
    objective = qa.Output(background="carried")
    layer = AnnealedAttention(8, 2, batch_first=True, select=qa.ExactlyK(2), objective=objective)
    x = torch.randn(1, 5, 8)
    first = layer(x, x, x)[0]
    layer.carried = layer.result.carried
    assert layer.carried.shape == (2, 5)
    assert not torch.allclose(layer(x, x, x)[0], first)
    layer.carried = None
    torch.testing.assert_close(layer(x, x, x)[0], first)


def test_exact_gradients_of_context() -> None:
    annealing = how(GIVEN, backward="exact")

    def attend(scores: Any, values: Any) -> Any:
        return annealed_attention(scores, values, annealing).context

    scores, values = doubles(HEADS, 3, 5), doubles(HEADS, 5, WIDTH)
    assert gradcheck(attend, (scores.requires_grad_(), values.requires_grad_()))


@pytest.mark.parametrize("projected", [False, True])
@pytest.mark.parametrize("background", ["mean", GIVEN], ids=["mean", "given"])
def test_energy_gradients_are_those_of_the_compiled_energies(
    background: Any, projected: bool
) -> None:
    """By differences: the energies of the kept keys alone, at a fixed selection."""
    scores, values = doubles(HEADS, 3, 5), doubles(HEADS, 5, WIDTH)
    projection = doubles(HEADS, WIDTH, 4, seed=6) if projected else None
    annealing = how(background, backward="energy")
    leaf = scores.clone().requires_grad_()
    found = annealed_attention(leaf, values, annealing, output_projection=projection)
    found.weights.sum().backward()
    selected = found.result.selected

    def energy(at: Any) -> float:
        compiled = annealing.compiled(at.numpy(), values.numpy()) if projection is None else None
        if compiled is None:
            options = {"values": values, "output_projection": projection, "target": None}
            objective = qa.Output(background=background)
            compiled = qa.compile(at, objective=objective, select=qa.ExactlyK(2), **options)
        first = compiled.stages[0].program
        v = first.variables
        point = selected[v.head, v.query, v.key].astype(float)
        return float(first.objective.energies(point[None])[0] - first.objective.offset)

    step = 1e-5
    for place in ((0, 0, 0), (1, 2, 3), (0, 1, 4)):
        up, down = scores.clone(), scores.clone()
        up[place] += step
        down[place] -= step
        slope = (energy(up) - energy(down)) / (2 * step)
        assert float(leaf.grad[place]) == pytest.approx(-slope, abs=1e-6)
