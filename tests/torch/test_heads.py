"""Heads of a layer: key/value heads, ties, options of each, W_O, several sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import qubo_attn as qa  # noqa: E402
from qubo_attn.torch import AnnealedAttention, Annealing, annealed_attention  # noqa: E402

OWNERS = [0, 0, 1, 1]


def inputs(sequences: int = 2) -> tuple[Any, Any]:
    """Return scores of four heads, and values of two key/value heads."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(sequences, 4, 5, 9, generator=generator, dtype=torch.float64)
    values = torch.randn(sequences, 2, 9, 3, generator=generator, dtype=torch.float64)
    return scores, values


def test_values_of_key_value_heads_are_those_of_their_query_heads() -> None:
    scores, values = inputs()
    how = Annealing(qa.ExactlyK(3), sampler="auto")
    grouped = annealed_attention(scores, values.requires_grad_(), how, kv_head=OWNERS)
    repeated = values.detach()[:, OWNERS].requires_grad_()
    alone = annealed_attention(scores, repeated, how)
    assert torch.equal(grouped.context, alone.context)
    grouped.context.sum().backward()
    alone.context.sum().backward()
    expected = repeated.grad.reshape(2, 2, 2, 9, 3).sum(2)
    torch.testing.assert_close(values.grad, expected)


def test_a_batch_is_its_sequences_one_by_one() -> None:
    scores, values = inputs(3)
    weight = torch.randn(6, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    background = np.arange(12.0).reshape(4, 3) / 12
    for options in (
        {"tie": "kv-head"},
        {"tie": "kv"},
        {"tie": qa.TieVariables(((1, 2),))},
        {"heads": [qa.Head(qa.ExactlyK(k)) for k in (1, 2, 3, 4)]},
        {"heads": [qa.Head(tie="a"), qa.Head(tie="b"), qa.Head(tie="a"), qa.Head(tie="b")]},
        {"objective": qa.Output(background=background)},
        {"objective": qa.Output(background=("mean", "carried", "mean", "carried"))},
        {"objective": "renormalised"},
    ):
        how = Annealing(qa.ExactlyK(3), sampler="auto", **options)
        for projection in (None, weight):
            more = {"kv_head": OWNERS, "output_projection": projection}
            whole = annealed_attention(scores, values, how, **more)
            for number in range(3):
                one = slice(number, number + 1)
                alone = annealed_attention(scores[one], values[one], how, **more)
                assert torch.equal(whole.weights[one], alone.weights), options
                torch.testing.assert_close(whole.context[one], alone.context)


def test_the_result_is_that_of_compile() -> None:
    scores, values = inputs(1)
    weight = torch.randn(6, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    how = Annealing(qa.ExactlyK(2), objective="layer", sampler="auto", slots=4)
    found = annealed_attention(scores, values, how, kv_head=OWNERS, output_projection=weight)
    compiled = qa.compile(
        scores[0],
        4,
        select=qa.ExactlyK(2),
        objective="layer",
        values=values[0],
        kv_head=OWNERS,
        output_projection=weight,
        slots=4,
        target=None,
    )
    result = compiled.solve()
    np.testing.assert_array_equal(found.weights[0].numpy(), result.weights)
    np.testing.assert_allclose(found.context[0].numpy(), result.context)


def test_a_layer_hands_in_its_output_projection() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 6, 8)
    layer = AnnealedAttention(8, 2, batch_first=True, sampler="auto", objective="layer")
    layer(x, x, x)
    attention = layer.result.behind.compiled.attention
    assert attention.projection.shape == (2, 4, 8)
    np.testing.assert_allclose(
        np.concatenate(attention.projection).T, layer.out_proj.weight.detach().numpy(), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("more", "options", "message"),
    [
        ({"kv_head": [0, 1]}, {}, "one whole number >= 0 for each of 4 heads"),
        ({"kv_head": [0, 0, 1, 2]}, {}, "values have shape"),
        ({}, {"tie": "kv-head"}, "needs kv_head="),
        ({"kv_head": OWNERS}, {"tie": qa.TieVariables(((3, 4),))}, "tie names head 4"),
        ({"kv_head": OWNERS}, {"heads": [qa.Head()] * 3}, "heads= names 3 heads"),
        ({"kv_head": OWNERS}, {"objective": "layer"}, "one sequence at a time"),
        ({"kv_head": OWNERS, "output_projection": torch.zeros(2, 5)}, {}, "output_projection has"),
    ],
)
def test_what_does_not_fit_is_named(
    more: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    scores, values = inputs()
    if "kv_head" not in more:
        values = values[:, OWNERS]
    with pytest.raises(qa.InputError, match=message):
        annealed_attention(scores, values, Annealing(sampler="auto", **options), **more)
    with pytest.raises(qa.InputError, match="needs an axis of heads"):
        annealed_attention(scores[0, 0], values[0, 0], kv_head=[0])
