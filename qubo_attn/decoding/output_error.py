"""How far the output of a selection lies from exact attention, and whether it is plain top-k."""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Bools, Floats
from qubo_attn.common.ragged import largest
from qubo_attn.decoding.decoders import context_of, weights_of
from qubo_attn.errors import DecodeError
from qubo_attn.frontend.attention import Attention


def relative_errors(context: Floats, attention: Attention) -> Floats:
    """Return the relative error of ``context``, shape (H, Q, d), per row; NaN in empty rows."""
    values_of(attention)
    exact = attention.outputs(attention.softmax)
    size = np.linalg.norm(exact, axis=-1)
    gap = np.linalg.norm(context - exact, axis=-1)
    return np.where(attention.sees, gap / np.where(size > 0, size, 1.0), np.nan)


def values_of(attention: Attention) -> Floats:
    """Return the value vectors, or say that they are missing."""
    if attention.values is None:
        raise DecodeError("output errors need values; compile with values=")
    return attention.values


def selection_errors(
    decoder: str, selected: Bools, attention: Attention, background: Floats | None = None
) -> Floats:
    """Return the relative output error of a selection, shape (H, Q), as a decoder weighs it.

    Args:
        decoder: ``"renormalise"`` or ``"residual"``.
        selected: bool, a table or column of the attention.
        attention: checked input, with values.
        background: of ``"residual"``, shape (H, Q, d); the mean value when None.
    """
    own = background if decoder == "residual" else None
    values_of(attention)
    weights = weights_of(decoder, attention, selected, background=own is not None)
    return relative_errors(context_of(attention, weights, own), attention)


def heaviest(selected: Bools, attention: Attention) -> Bools:
    """Return which rows keep no key while they leave out a heavier one.

    Args:
        selected: bool, a table or column of the attention.
        attention: checked input.

    Returns:
        bool, shape (H, Q); true where a query sees no key.
    """
    rows, kept = attention.rows, attention.entries(selected)
    least = -largest(rows.ptr, np.where(kept, -rows.logit, -np.inf))
    left = largest(rows.ptr, np.where(kept, -np.inf, rows.logit))
    table = np.ones(attention.shape[:2], bool)
    table[rows.head, rows.query] = least >= left
    return table
