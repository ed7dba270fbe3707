"""Masks of a layer: torch's, whose bools hide, and those of transformers, whose bools show.

Floats are added to logits in both.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from qubo_attn.common.tensors import check_tensor
from qubo_attn.errors import InputError
from qubo_attn.frontend.hidden import GAP


def additive_mask(name: str, mask: Tensor, shapes: list[tuple[int, ...]], query: Tensor) -> Tensor:
    """Return a mask as numbers that are added to logits, -inf wherever it hides a key.

    Args:
        name: of the argument, for the message.
        mask: bool, true where a key is not seen, or floats.
        shapes: that it may have.
        query: its device is the mask's, and its type, where the mask is one of bools.

    Raises:
        InputError: it is no such tensor, or holds NaN or plus infinity; names it.

    Example:
        >>> additive_mask("attn_mask", torch.tensor([[0.0, -1e9]]), [(1, 2)], torch.zeros(1, 2))
        tensor([[0., -inf]])
    """
    check_tensor(name, mask)
    if tuple(mask.shape) not in shapes:
        expected = " or ".join(str(shape) for shape in shapes)
        raise InputError(
            f"{name} has shape {tuple(mask.shape)}; expected {expected}",
            argument=name,
            shape=tuple(mask.shape),
        )
    mask = mask.to(query.device)
    if mask.dtype == torch.bool:
        return torch.zeros_like(mask, dtype=query.dtype).masked_fill(mask, -torch.inf)
    if not mask.is_floating_point():
        raise InputError(
            f"{name} has type {mask.dtype}; expected bool, true where a key is not seen, or floats "
            "that are added; of whole numbers, 1 where it is seen, hand in mask == 0",
            argument=name,
        )
    wrong = mask.isnan() | (mask == torch.inf)
    if wrong.any():
        place = tuple(int(index) for index in wrong.nonzero()[0])
        raise InputError(
            f"{name}{list(place)} is {float(mask[place])}; expected 0 where a key is seen and -inf "
            "where not",
            argument=name,
        )
    return mask.masked_fill(mask <= -GAP, -torch.inf)


def masked_scores(scores: Tensor, mask: Tensor) -> Tensor:
    """Return scores with a mask of `additive_mask`; keys beyond those it has are not masked.

    Args:
        scores: shape (N, heads, L, S + appended keys).
        mask: broadcasts to (N, heads, L, S).

    Example:
        >>> masked_scores(torch.tensor([[torch.nan, 1.0]]), torch.tensor([[-torch.inf]]))
        tensor([[-inf, 1.]])
    """
    mask = functional.pad(mask.to(scores.dtype), (0, scores.shape[-1] - mask.shape[-1]))
    # What stands under a hidden key may be anything, NaN too.
    return (scores + mask).masked_fill(mask == -torch.inf, -torch.inf)


def model_scores(
    scores: Tensor,
    mask: Any,
    *,
    causal: bool = False,
    window: int | None = None,
    upper_left: bool = False,
) -> Tensor:
    """Return scores with a mask as attention functions of transformers get it.

    Args:
        scores: shape (B, H, Q, K).
        mask: bool, true where a query sees a key; or floats that are added, of which -9,000 and
            lower hide. Both have a shape that broadcasts to (B, H, Q, K), or have more keys. Also
            bools or whole numbers of shape (B, keys), not zero where any query may see the key; a
            ``BlockMask`` of flex attention; or None.
        causal: whether a query sees no later key, where the mask does not say so: None, or one of
            shape (B, keys).
        window: how many of the latest keys a query sees then; all when None.
        upper_left: where there are more keys than queries, the first query sees the first key
            alone, not all but the last Q - 1.

    Raises:
        InputError: it is no such mask.

    Example:
        >>> model_scores(torch.zeros(1, 1, 2, 2), None, causal=True)[0, 0]
        tensor([[0., -inf],
                [0., 0.]])
    """
    queries, keys = scores.shape[-2:]
    if mask is not None and hasattr(mask, "mask_mod"):
        from torch.nn.attention.flex_attention import create_mask

        sizes = len(scores), None, queries, keys
        mask = create_mask(mask.mask_mod, *sizes, device=str(scores.device))
    if mask is not None:
        check_tensor("attention_mask", mask)
        mask = mask.to(scores.device)
    if mask is None or mask.dim() == 2:
        if mask is not None and mask.is_floating_point():
            raise InputError(
                "attention_mask of shape (batch, keys) holds floats; expected bools, or whole "
                "numbers that are not zero where a key is seen",
                argument="attention_mask",
            )
        seen = torch.ones(queries, keys, dtype=torch.bool, device=scores.device)
        if causal:
            last = 0 if upper_left and queries > 1 else keys - queries
            seen = seen.tril(last).triu(last - (window or keys) + 1)
        if mask is not None:
            padding = functional.pad(mask.bool(), (0, max(keys - mask.shape[-1], 0)))[:, :keys]
            seen = seen & padding[:, None, None]
        return scores.masked_fill(~seen, -torch.inf)
    mask = mask[..., :keys]
    try:
        fits = torch.broadcast_shapes(mask.shape, scores.shape) == scores.shape
    except RuntimeError:
        fits = False
    if not fits:
        raise InputError(
            f"attention_mask has shape {tuple(mask.shape)}; expected one that broadcasts to "
            f"{tuple(scores.shape)}",
            argument="attention_mask",
            shape=tuple(mask.shape),
        )
    if mask.dtype == torch.bool:
        return scores.masked_fill(~mask, -torch.inf)
    shapes = [tuple(mask.shape)]
    return masked_scores(scores, additive_mask("attention_mask", mask, shapes, scores))
