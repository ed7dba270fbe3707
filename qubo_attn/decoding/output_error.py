"""How far the output of a selection lies from exact attention, and whether it is plain top-k."""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Bools, Floats
from qubo_attn.decoding.decoders import context_of, weights_of
from qubo_attn.errors import DecodeError
from qubo_attn.frontend.attention import Attention


def relative_errors(context: Floats, attention: Attention) -> Floats:
    """Return the relative error of ``context``, shape (H, Q, d), per row; NaN in empty rows."""
    exact = attention.softmax @ values_of(attention)
    size = np.linalg.norm(exact, axis=-1)
    gap = np.linalg.norm(context - exact, axis=-1)
    sees_keys = attention.visible.any(axis=-1)
    return np.where(sees_keys, gap / np.where(size > 0, size, 1.0), np.nan)


def values_of(attention: Attention) -> Floats:
    """Return the value vectors, or say that they are missing."""
    if attention.values is None:
        raise DecodeError("output errors need values; compile with values=")
    return attention.values


def selection_errors(
    decoder: str, selected: Bools, attention: Attention, background: Floats | None = None
) -> Floats:
    """Return the relative output error of a selection, shape (H, Q, K), as a decoder weighs it.

    Args:
        decoder: ``"renormalise"`` or ``"residual"``.
        selected: bool, shape (H, Q, K).
        attention: checked input, with values.
        background: of ``"residual"``, shape (H, Q, d); the mean value when None.
    """
    own = background if decoder == "residual" else None
    weights = weights_of(
        decoder, attention.softmax, selected, attention.visible, background=own is not None
    )
    return relative_errors(context_of(weights, values_of(attention), own), attention)


def heaviest(selected: Bools, logits: Floats) -> Bools:
    """Return which rows keep no key while they leave out a heavier one.

    Args:
        selected: bool, shape (H, Q, K).
        logits: float64, same shape; -inf where masked.

    Returns:
        bool, shape (H, Q).
    """
    least = np.where(selected, logits, np.inf).min(axis=-1, initial=np.inf)
    left = np.where(selected, -np.inf, logits).max(axis=-1, initial=-np.inf)
    return np.asarray(least >= left)
