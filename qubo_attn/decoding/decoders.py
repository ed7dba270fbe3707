"""Decoders: the attention weights of selected keys.

* ``renormalise``: ``w_i = z_i p_i / sum_j z_j p_j``, softmax over the selected keys alone.
* ``residual``: the selected terms about the row's background, ``b + sum_i z_i p_i (v_i - b)``. With
  the mean value of all the row's keys as b, as weights: ``z_i p_i + (1 - sum_j z_j p_j) / n``. Any
  other background is no value of a key, and weights are those of the selected keys alone,
  ``z_i p_i``; `context_of` adds ``(1 - sum_j z_j p_j) b``.
* ``levels``: ``w_i = level_i / sum_j level_j``, the sampled soft weights.
* ``marginals``: ``w_i = <level_i>``, the mean over all samples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qubo_attn.common.arrays import Bools, Floats
from qubo_attn.common.checks import one_of
from qubo_attn.common.ragged import sums
from qubo_attn.common.vocabulary import DECODERS
from qubo_attn.errors import InputError
from qubo_attn.frontend.attention import Attention, Rows


def weights_of(
    decoder: str, attention: Attention, selected: Bools, *, background: bool = False
) -> Floats:
    """Return attention weights of selected keys; rows that see no key get zeros.

    Args:
        decoder: ``"renormalise"`` or ``"residual"``.
        attention: checked input.
        selected: bool, a table or column of it.
        background: whether ``"residual"`` has a background other than the mean.

    Raises:
        InputError: no decoder has that name, or it needs sampled levels.
    """
    rows, kept = attention.rows, attention.entries(selected)
    weights = entry_weights(decoder, rows, rows.mass, kept, background=background)
    return attention.table(weights)


def entry_weights(
    decoder: str,
    rows: Rows,
    mass: Floats,
    selected: Bools,
    levels: Floats | None = None,
    *,
    background: bool = False,
) -> Floats:
    """Return the weight of each entry of ``rows``.

    Args:
        decoder: one of `DECODERS`.
        rows: the visible keys.
        mass: what each weighs where it is selected, as a rule its softmax mass.
        selected: bool.
        levels: sampled levels, or their mean for ``"marginals"``.
        background: whether ``"residual"`` has a background other than the mean.

    Raises:
        InputError: no decoder has that name, or it needs sampled levels.
    """
    if decoder == "marginals" and levels is not None:
        return levels.copy()
    if decoder == "levels" and levels is not None:
        total = np.repeat(sums(rows.ptr, levels), rows.sizes)
        return np.asarray(np.divide(levels, total, out=np.zeros_like(levels), where=total > 0))
    some = np.flatnonzero(selected)
    ptr = np.searchsorted(some, rows.ptr)
    count = np.diff(ptr)
    weights, chosen, held = np.zeros(len(mass)), mass[some], sums(ptr, mass[some])
    if decoder == "renormalise":
        # Where every selected key has underflowed to no mass at all, they share equally.
        total = np.repeat(held, count)
        even = 1.0 / np.repeat(count, count)
        weights[some] = np.divide(chosen, total, out=even, where=total > 0)
        return weights
    if decoder == "residual":
        weights[some] = chosen
        if background:
            return weights
        return weights + np.repeat((1.0 - held) / rows.sizes, rows.sizes)
    check_decoder(decoder)
    raise InputError(f"decoder {decoder!r} needs sampled levels", decoder=decoder)


def context_of(attention: Attention, weights: Floats, background: Floats | None) -> Floats:
    """Return the context of weights, shape (H, Q, d): what they leave is the background's.

    Args:
        attention: with values.
        weights: a table or column of it.
        background: shape (H, Q, d), or None where weights say all. Rows of zeros add nothing.

    Example:
        >>> attention = Attention.check([[[1.0, 0.0]]], values=[[[2.0], [1.0]]])
        >>> context_of(attention, np.array([[[0.5, 0.0]]]), np.array([[[4.0]]]))
        array([[[3.]]])
    """
    context = attention.outputs(weights)
    if background is None:
        return context
    return np.asarray(context + (1.0 - attention.sums(weights)[..., None]) * background)


def residual_background(backgrounds: Floats | None, decoders: Sequence[str]) -> Floats | None:
    """Return what weights of each row leave to a background, shape (H, Q, d).

    None where the weights say all; zeros in heads whose decoder is not ``"residual"``.

    Args:
        backgrounds: those of a compilation; decoders: one per head.
    """
    if backgrounds is None or "residual" not in decoders:
        return None
    heads = np.array([name == "residual" for name in decoders])
    return np.where(heads[:, None, None], backgrounds, 0.0)


def check_decoder(decoder: str) -> None:
    """Reject a decoder that is not known.

    Raises:
        InputError: names it and those there are.
    """
    one_of("decoder", decoder, DECODERS)
