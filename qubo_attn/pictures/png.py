"""Small pictures as data URIs, so that a page needs no other file."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

from qubo_attn.common.arrays import Array

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png_uri(pixels: Array) -> str:
    """Return pixels as a PNG in a ``data:`` URI.

    The format is that of the PNG specification (W3C, third edition): colour type 6, no filter.

    Args:
        pixels: uint8, shape (height, width, 4): red, green, blue, opacity.

    Example:
        >>> import numpy as np
        >>> png_uri(np.zeros((1, 1, 4), np.uint8))[:22]
        'data:image/png;base64,'
    """
    if not pixels.size:  # the format knows no picture without pixels
        pixels = np.zeros((1, 1, 4), np.uint8)
    height, width, _ = pixels.shape
    # Each line starts with the number of its filter, 0.
    lines = np.zeros((height, 1 + 4 * width), np.uint8)
    lines[:, 1:] = np.ascontiguousarray(pixels, np.uint8).reshape(height, -1)
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))
    file = header + _chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)) + _chunk(b"IEND", b"")
    return f"data:image/png;base64,{base64.b64encode(_SIGNATURE + file).decode()}"


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
