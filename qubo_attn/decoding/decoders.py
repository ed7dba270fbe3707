"""Decoders: the attention weights of selected keys.

* ``renormalise``: ``w_i = z_i p_i / sum_j z_j p_j``, softmax over the selected keys alone.
* ``residual``: the selected terms about the mean value of all the row's keys,
  ``vbar + sum_i z_i p_i (v_i - vbar)``; as weights ``z_i p_i + (1 - sum_j z_j p_j) / n``.
* ``levels``: ``w_i = level_i / sum_j level_j``, the sampled soft weights.
* ``marginals``: ``w_i = <level_i>``, the mean over all samples.
"""

from __future__ import annotations

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
) -> Floats:
    """Return attention weights of selected keys; rows that see no key get zeros.

    Args:
        decoder: one of `DECODERS`.
        softmax: float64, shape (H, Q, K).
        selected, visible: bool, shape (H, Q, K).
        levels: float64, shape (H, Q, K): sampled levels, or their mean for ``"marginals"``.

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
    if decoder == "residual":
        size = visible.sum(axis=-1, keepdims=True)
        share = np.divide(1.0 - mass, size, out=np.zeros_like(mass), where=size > 0)
        return chosen + np.where(visible, share, 0.0)
    check_decoder(decoder)
    raise InputError(f"decoder {decoder!r} needs sampled levels", decoder=decoder)


def check_decoder(decoder: str) -> None:
    """Reject a decoder that is not known.

    Raises:
        InputError: names it and those there are.
    """
    one_of("decoder", decoder, DECODERS)
