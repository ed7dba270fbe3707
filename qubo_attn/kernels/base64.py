"""Bytes to base64, several times faster than the standard library's."""

from __future__ import annotations

from itertools import product

import numpy as np

from qubo_attn.common.arrays import Array, own_array
from qubo_attn.kernels._jit import kernel

_DIGITS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
# Both digits of every twelve bits, side by side in memory.
DIGIT_PAIRS = own_array(
    np.array(list(product(_DIGITS, repeat=2)), np.uint8).view(np.uint16).ravel()
)


@kernel
def encode_triples(data: Array, pairs: Array, out: Array) -> None:
    """Encode the whole triples of bytes in ``data``.

    Args:
        data: uint8.
        pairs: uint16, `DIGIT_PAIRS`.
        out: uint16, filled, two entries per triple.
    """
    for t in range(len(data) // 3):
        a, b, c = np.uint32(data[3 * t]), np.uint32(data[3 * t + 1]), np.uint32(data[3 * t + 2])
        out[2 * t] = pairs[(a << 4) | (b >> 4)]
        out[2 * t + 1] = pairs[((b & 15) << 8) | c]
