"""What the layer hides is what ``MultiheadAttention`` hides, however a mask says it."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import qubo_attn as qa  # noqa: E402
from qubo_attn.torch import AnnealedAttention, Annealing, annealed_attention  # noqa: E402
from qubo_attn.torch.masks import model_scores  # noqa: E402

N, HEADS, QUERIES, KEYS = 2, 2, 4, 4
ALL = {"select": qa.ExactlyK(1000), "objective": "hard"}
# True where a key is hidden. The first key is always seen: a row without any is NaN in torch.
CAUSAL = torch.ones(QUERIES, KEYS, dtype=torch.bool).triu(1)
PADDED = torch.tensor([[False, False, False, True], [False, True, False, True]])
EACH = torch.rand(N * HEADS, QUERIES, KEYS, generator=torch.Generator().manual_seed(1)) < 0.5
EACH[..., 0] = False


def said(hidden: Any, how: str, dtype: Any) -> Any:
    """Return a mask as bools or as floats."""
    if how == "bool":
        return hidden
    lowest = torch.finfo(dtype).min
    if how != "lowest":  # float16 has no -1e9
        lowest = float(how) if how == "-inf" else max(float(how), lowest)
    return torch.zeros(hidden.shape, dtype=dtype).masked_fill(hidden, lowest)


MASKS = {
    "attn_mask": {"attn_mask": CAUSAL},
    "is_causal": {"attn_mask": CAUSAL, "is_causal": True},
    "attn_mask of each head": {"attn_mask": EACH},
    "padding": {"key_padding_mask": PADDED},
    "both": {"attn_mask": CAUSAL, "key_padding_mask": PADDED},
    "both, each head": {"attn_mask": EACH, "key_padding_mask": PADDED},
}


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("how", ["bool", "-1e4", "-1e9", "lowest", "-inf"])
def test_it_hides_what_multihead_attention_hides(how: str, dtype: Any, batch_first: bool) -> None:
    torch.manual_seed(0)
    classical = nn.MultiheadAttention(8, HEADS, batch_first=batch_first, dtype=dtype)
    every = AnnealedAttention.from_attention(classical, **ALL)
    two = AnnealedAttention.from_attention(classical, select=qa.ExactlyK(2))
    x = 3 * torch.randn(N, QUERIES, 8).to(dtype)
    x = x if batch_first else x.transpose(0, 1)
    for masks in MASKS.values():
        hidden = torch.zeros(N, HEADS, QUERIES, KEYS, dtype=torch.bool)
        if "attn_mask" in masks:
            mask = masks["attn_mask"]
            hidden |= mask if mask.dim() == 2 else mask.unflatten(0, (N, HEADS))
        if "key_padding_mask" in masks:
            hidden |= masks["key_padding_mask"][:, None, None]
        given = {
            name: said(mask, how, dtype) if name != "is_causal" else mask
            for name, mask in masks.items()
        }
        context, weights = classical(x, x, x, average_attn_weights=False, **given)
        ours, mine = every(x, x, x, average_attn_weights=False, **given)
        assert (weights[hidden] <= 1e-6).all()
        assert (mine[hidden] == 0).all()
        assert (mine[~hidden] > 0).equal(weights[~hidden] > 0)
        close = 1e-6 if dtype == torch.float32 else 0.02
        torch.testing.assert_close(mine, weights, rtol=0, atol=close)
        torch.testing.assert_close(ours, context, rtol=0, atol=10 * close)
        two(x, x, x, **given)
        assert two.result is not None
        selected = two.result.selected.reshape(hidden.shape)
        assert not selected[hidden.numpy()].any()
        seen = (~hidden).sum(-1).clamp(max=2).numpy()
        np.testing.assert_array_equal(selected.sum(axis=-1), seen)


@pytest.mark.parametrize("how", ["bool", "-1e4", "-1e9", "lowest", "-inf"])
def test_a_row_without_keys_has_no_weights(how: str) -> None:
    """Whatever hides them; torch gives NaN for bools and -inf, and weights for finite numbers."""
    layer = AnnealedAttention(8, HEADS, batch_first=True, **ALL)
    x = torch.randn(N, QUERIES, 8, requires_grad=True)
    blind = CAUSAL.clone()
    blind[1] = True
    context, weights = layer(x, x, x, attn_mask=said(blind, how, torch.float32))
    assert (weights[:, 1] == 0).all()
    assert (weights.sum(-1)[:, [0, 2, 3]] - 1).abs().max() < 1e-6
    torch.testing.assert_close(context[:, 1], layer.out_proj.bias.expand(N, 8))
    context.sum().backward()
    assert x.grad.isfinite().all()


def test_padding_may_hold_anything() -> None:
    """NaN tokens that are hidden change nothing, and no gradient."""
    torch.manual_seed(0)
    classical = nn.MultiheadAttention(8, HEADS, batch_first=True)
    layer = AnnealedAttention.from_attention(classical, **ALL)
    query, tokens = torch.randn(N, QUERIES, 8), torch.randn(N, KEYS, 8)
    results = []
    for filler in (0.0, torch.nan, torch.inf):
        filled = tokens.masked_fill(PADDED[..., None], filler)
        layer.zero_grad()
        context, weights = layer(query, filled, filled, key_padding_mask=PADDED)
        context.sum().backward()
        results.append([context, weights, *(p.grad.clone() for p in layer.parameters())])
    for other in results[1:]:
        for one, same in zip(results[0], other, strict=True):
            assert torch.equal(one, same)


def test_logits_that_hide_by_value_are_not_selected() -> None:
    """Without a layer: numbers added to logits, or put in their place."""
    logits = torch.tensor([[3.0, 2.0, 1.0, 0.5]])
    hidden = torch.tensor([[False, True, False, True]])
    values = torch.eye(4)
    right = torch.tensor([[1.0, 0.0, 1.0, 0.0]])
    for dtype, how in product((torch.float32, torch.bfloat16), ("-1e4", "-1e9", "lowest", "-inf")):
        mask = said(hidden, how, dtype)
        for scores in (logits.to(dtype) + mask, torch.where(hidden, mask, logits.to(dtype))):
            for decoder in ("renormalise", "residual"):
                options = Annealing(qa.ExactlyK(3), objective="hard", decoder=decoder)
                weights = annealed_attention(scores, values, options).weights
                assert (weights > 0).float().equal(right)
                assert (weights[..., 1] + weights[..., 3]).item() == 0


def test_values_under_a_mask_may_be_nan() -> None:
    scores = torch.tensor([[1.0, -torch.inf, 0.5], [2.0, -1e9, 0.1]], requires_grad=True)
    values = torch.tensor([[1.0], [torch.nan], [2.0]])
    how = Annealing(qa.ExactlyK(1), objective="hard")
    context, weights, _ = annealed_attention(scores, values, how)
    assert context.tolist() == [[1.0], [1.0]]
    context.sum().backward()
    assert scores.grad.isfinite().all()
    values[2] = torch.nan
    with pytest.raises(qa.InputError, match="values hold nan at key 2, feature 0") as caught:
        annealed_attention(scores, values)
    assert (caught.value.argument, caught.value.key) == ("values", 2)
    assert weights.argmax(-1).tolist() == [0, 0]


@pytest.mark.parametrize("name", ["attn_mask", "key_padding_mask"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda mask: mask.numpy(), "is a ndarray, not a torch tensor"),
        (lambda mask: mask.long(), "has type torch.int64; .* hand in mask == 0"),
        (lambda mask: mask.to("meta"), "is a meta tensor"),
        (lambda mask: mask.float().to_sparse(), "to_dense"),
        (lambda mask: mask.float() + 1j, "complex"),
        (lambda mask: mask[1:], "has shape"),
        (lambda mask: torch.full(mask.shape, torch.nan), r"\[0, 0\] is nan"),
        (lambda mask: torch.full(mask.shape, torch.inf), r"\[0, 0\] is inf"),
    ],
)
def test_masks_that_do_not_read_are_named(name: str, change: Any, message: str) -> None:
    layer, x = AnnealedAttention(8, HEADS, batch_first=True, **ALL), torch.zeros(N, QUERIES, 8)
    mask = CAUSAL if name == "attn_mask" else PADDED
    with pytest.raises(qa.InputError, match=f"^{name}.*{message}") as caught:
        layer(x, x, x, **{name: change(mask)})
    assert caught.value.argument == name


def test_masks_in_any_form_of_memory() -> None:
    """Views, expanded, transposed, of a wider type, with a gradient."""
    torch.manual_seed(0)
    classical = nn.MultiheadAttention(8, HEADS, batch_first=True)
    layer = AnnealedAttention.from_attention(classical, **ALL)
    x = torch.randn(N, QUERIES, 8)
    bias = torch.randn(KEYS, QUERIES).mT.masked_fill(CAUSAL, -1e9).requires_grad_()
    for mask in (bias, bias.expand(N * HEADS, QUERIES, KEYS), bias.double()):
        bias.grad = None
        context, weights = layer(x, x, x, attn_mask=mask)
        theirs, expected = classical(x, x, x, attn_mask=mask.float())
        torch.testing.assert_close(weights, expected, rtol=0, atol=1e-6)
        (gradient,) = torch.autograd.grad((theirs**2).sum(), bias, retain_graph=True)
        (context**2).sum().backward()
        torch.testing.assert_close(bias.grad, gradient, rtol=1e-4, atol=1e-5)


# -- masks of transformers -------------------------------------------------------------------------


def seen(mask: Any, queries: int = 3, keys: int = 5, **how: Any) -> list[list[int]]:
    """Return which keys each query of the first sequence and head sees."""
    scores = torch.zeros(2, 2, queries, keys)
    found: list[list[int]] = (model_scores(scores, mask, **how)[0, 0] == 0).int().tolist()
    return found


def test_a_causal_layer_without_a_mask_stays_causal() -> None:
    lower = [[1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]
    assert seen(None) == [[1] * 5] * 3
    assert seen(None, causal=True) == lower
    assert seen(None, queries=1, causal=True, upper_left=True) == [[1] * 5]
    assert seen(None, causal=True, upper_left=True) == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
    ]
    assert seen(None, causal=True, window=2) == [
        [0, 1, 1, 0, 0],
        [0, 0, 1, 1, 0],
        [0, 0, 0, 1, 1],
    ]


def test_padding_alone_is_a_mask_of_keys() -> None:
    padding = torch.tensor([[0, 1, 1, 1, 1], [1, 1, 1, 1, 1]])
    for mask in (padding, padding.bool()):
        assert seen(mask) == [[0, 1, 1, 1, 1]] * 3
        assert seen(mask, causal=True)[0] == [0, 1, 1, 0, 0]
    # A cache longer than what was seen so far.
    assert seen(padding[:, :3]) == [[0, 1, 1, 0, 0]] * 3
    with pytest.raises(qa.InputError, match="holds floats"):
        seen(padding.float())


def test_block_masks_bools_and_floats_say_the_same() -> None:
    from torch.nn.attention.flex_attention import create_block_mask

    def rule(sequence: Any, head: Any, query: Any, key: Any) -> Any:
        return key <= query + 1

    expected = [[1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0]]
    block = create_block_mask(rule, 2, None, 3, 5, device="cpu")
    bools = torch.tensor(expected, dtype=torch.bool).expand(2, 1, 3, 5)
    floats = torch.zeros(2, 1, 3, 5).masked_fill(~bools, torch.finfo(torch.float32).min)
    wide = torch.nn.functional.pad(bools, (0, 2))  # a mask may reach beyond the keys
    for mask in (block, bools, floats, wide):
        assert seen(mask, causal=True) == expected  # such a mask says all
    with pytest.raises(qa.InputError, match="expected one that broadcasts"):
        seen(torch.zeros(2, 3, 4, 5))
