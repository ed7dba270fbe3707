"""Rows of any length, one after another in an array: their largest entries, sums and softmax."""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Array, Floats, Longs


def largest(ptr: Longs, entries: Floats) -> Floats:
    """Return the largest entry of each row; -inf of an empty one.

    Args:
        ptr: int64, entries of row r are ``ptr[r]:ptr[r + 1]``.
        entries: float64.

    Example:
        >>> largest(np.array([0, 2, 2, 3]), np.array([1.0, 4.0, 2.0]))
        array([  4., -inf,   2.])
    """
    return _reduced(np.maximum, ptr, entries, -np.inf)


def sums(ptr: Longs, entries: Array) -> Floats:
    """Return the sum of each row; 0 of an empty one.

    Example:
        >>> sums(np.array([0, 2, 2, 3]), np.array([1.0, 4.0, 2.0]))
        array([5., 0., 2.])
    """
    return _reduced(np.add, ptr, entries, 0.0)


def counts(ptr: Longs, flags: Array) -> Longs:
    """Return how many entries of each row are true.

    Example:
        >>> counts(np.array([0, 2, 3]), np.array([True, True, False]))
        array([2, 0])
    """
    before = np.zeros(len(flags) + 1, np.int64)
    np.cumsum(flags, out=before[1:])
    return np.diff(before[ptr])


def softmax(ptr: Longs, logits: Floats) -> Floats:
    """Return the softmax of each row.

    Args:
        ptr: of rows that have an entry each.
        logits: finite.

    Example:
        >>> softmax(np.array([0, 1, 3]), np.zeros(3))
        array([1. , 0.5, 0.5])
    """
    sizes = np.diff(ptr)
    if len(sizes) and (sizes == sizes[0]).all():
        table = logits.reshape(len(sizes), int(sizes[0]))
        weights = np.exp(table - table.max(axis=-1, keepdims=True))
        # Sums of rows of one length are those of rows of any, bit for bit.
        weights /= sums(ptr, weights.reshape(-1))[:, None]
        return np.asarray(weights.reshape(-1))
    weights = np.exp(logits - np.repeat(largest(ptr, logits), sizes))
    weights /= np.repeat(sums(ptr, weights), sizes)
    return weights


def _reduced(how: np.ufunc, ptr: Longs, entries: Array, empty: float) -> Floats:
    full = np.flatnonzero(np.diff(ptr))
    out = np.full(len(ptr) - 1, empty)
    if len(full):
        out[full] = how.reduceat(entries, ptr[full], dtype=np.float64)
    return out
