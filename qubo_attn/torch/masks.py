"""Masks of a layer, as torch has them: true hides, floats are added to logits."""

from __future__ import annotations

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
