"""Observation windows: the queries whose attention counts.

The keys of a cache are chosen for queries that are still to come. The latest ones are the best
guess at those (SnapKV, arXiv 2404.14469), so what a cache keeps is chosen for them alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from qubo_attn.common.arrays import Array, Longs
from qubo_attn.common.checks import whole
from qubo_attn.errors import InputError
from qubo_attn.frontend.hidden import read_array


def read_window(given: ArrayLike | None) -> Longs | None:
    """Return a window as a recipe keeps it: a number without an axis for the latest so many.

    Args:
        given: how many of the latest queries, or the numbers of queries, ascending.

    Raises:
        InputError: it is neither.

    Example:
        >>> read_window(32), read_window([3, 5])
        (array(32), array([3, 5]))
    """
    if given is None:
        return None
    array = read_array("queries", given)
    if array.ndim == 0:
        return np.array(whole("queries", array.item(), least=1))
    numbers = array.dtype.kind in "iu" and array.ndim == 1 and len(array) > 0
    if not numbers or array[0] < 0 or (np.diff(array) <= 0).any():
        raise InputError(
            "queries must be a whole number of at least 1, for the latest so many, or numbers of "
            f"queries in ascending order, not an array of shape {array.shape} and type "
            f"{array.dtype}",
            argument="queries",
        )
    return array.astype(np.int64)


def window_of(window: Longs | None, array: Array, axis: int = 1) -> Array:
    """Return an array with the queries of a window alone.

    Args:
        window: of `read_window`; every query when None.
        array: whatever has an axis of queries.
        axis: that axis.

    Raises:
        InputError: it has no such query.

    Example:
        >>> window_of(read_window(2), np.arange(4)[None])
        array([[2, 3]])
    """
    if window is None:
        return array
    count = array.shape[axis]
    if window.ndim == 0:
        return array.take(np.arange(max(count - int(window), 0), count), axis)
    if window[-1] >= count:
        raise InputError(
            f"queries name query {window[-1]}, but there are {count}", argument="queries"
        )
    return array.take(window, axis)
