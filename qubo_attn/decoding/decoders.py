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
from qubo_attn.common.vocabulary import DECODERS
from qubo_attn.errors import InputError


def weights_of(
    decoder: str,
    softmax: Floats,
    selected: Bools,
    visible: Bools,
    levels: Floats | None = None,
    *,
    background: bool = False,
) -> Floats:
    """Return attention weights of selected keys; rows that see no key get zeros.

    Args:
        decoder: one of `DECODERS`.
        softmax: float64, shape (H, Q, K).
        selected, visible: bool, shape (H, Q, K).
        levels: float64, shape (H, Q, K): sampled levels, or their mean for ``"marginals"``.
        background: whether ``"residual"`` has a background other than the mean.

    Raises:
        InputError: no decoder has that name.
    """
    if decoder == "marginals" and levels is not None:
        return levels
    if decoder == "levels" and levels is not None:
        total = levels.sum(axis=-1, keepdims=True)
        return np.asarray(np.divide(levels, total, out=np.zeros_like(levels), where=total > 0))
    chosen = np.where(selected, softmax, 0.0)
    mass = chosen.sum(axis=-1, keepdims=True)
    if decoder == "renormalise":
        # Where every selected key has underflowed to no mass at all, they share equally.
        count = selected.sum(axis=-1, keepdims=True)
        even = np.divide(selected, count, out=np.zeros_like(chosen), where=count > 0)
        return np.asarray(np.divide(chosen, mass, out=even, where=mass > 0))
    if decoder == "residual" and background:
        return chosen
    if decoder == "residual":
        size = visible.sum(axis=-1, keepdims=True)
        share = np.divide(1.0 - mass, size, out=np.zeros_like(mass), where=size > 0)
        return chosen + np.where(visible, share, 0.0)
    check_decoder(decoder)
    raise InputError(f"decoder {decoder!r} needs sampled levels", decoder=decoder)


def context_of(weights: Floats, values: Floats, background: Floats | None) -> Floats:
    """Return the context of weights, shape (H, Q, d): what they leave is the background's.

    Args:
        weights: shape (H, Q, K); values: shape (H, K, d).
        background: shape (H, Q, d), or None where weights say all. Rows of zeros add nothing.

    Example:
        >>> context_of(np.array([[[0.5, 0.0]]]), np.array([[[2.0], [1.0]]]), np.array([[[4.0]]]))
        array([[[3.]]])
    """
    context: Floats = weights @ values
    if background is None:
        return context
    return np.asarray(context + (1.0 - weights.sum(axis=-1, keepdims=True)) * background)


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
