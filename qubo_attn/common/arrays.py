"""Array types and the one border where foreign arrays become frozen columns."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

Ints: TypeAlias = NDArray[np.int32]
Longs: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Bytes: TypeAlias = NDArray[np.uint8]
Bools: TypeAlias = NDArray[np.bool_]
Array: TypeAlias = NDArray[Any]


def frozen_array(values: ArrayLike, dtype: DTypeLike) -> Array:
    """Return a read-only one-dimensional array of ``dtype``; a column already fit is not copied."""
    array = np.ascontiguousarray(values, dtype=dtype)
    if array.flags.writeable:
        if array is values or array.base is not None:
            array = array.copy()
        array.setflags(write=False)
    return array


def split_masked(array: Any) -> tuple[Any, Bools | None]:
    """Return an array without its mask, and where it is masked; None if it is no masked array.

    Lists that hold masked arrays, or ``np.ma.masked``, count as such.

    Raises:
        ValueError: masked arrays of a list do not fit together.

    Example:
        >>> split_masked(np.ma.masked_equal([1.0, 2.0], 2.0))
        (array([1., 2.]), array([False,  True]))
    """
    if not _holds_masked(array):
        return array, None
    array = _stacked(array)
    return np.ma.getdata(array), np.ma.getmaskarray(array)


def _holds_masked(array: Any) -> bool:
    if isinstance(array, (list, tuple)):
        return any(map(_holds_masked, array))
    return isinstance(array, np.ma.MaskedArray)


def _stacked(array: Any) -> Any:
    if not isinstance(array, (list, tuple)):
        return np.ma.asarray(array)
    return np.ma.stack([_stacked(part) for part in array])


def own_array(array: Array) -> Array:
    """Freeze an array that nobody else holds, without a copy."""
    array.setflags(write=False)
    return array


def read_only(array: Array) -> Array:
    """Return a view that cannot be written to: kernels are compiled for one kind of array."""
    view = array.view()
    view.setflags(write=False)
    return view


@lru_cache(maxsize=4)
def ones(n: int) -> Floats:
    """Return n ones, which all that ask for as many share: they may be most of a large program."""
    return own_array(np.ones(n))


@lru_cache(maxsize=4)
def zeros(n: int) -> Floats:
    """Return n zeros, which all that ask for as many share; no memory stands behind most."""
    return own_array(np.zeros(n))


@lru_cache(maxsize=4)
def numbers_to(n: int) -> Array:
    """Return the first n numbers, int32 where they fit, which all that ask for as many share."""
    large = n > np.iinfo(np.int32).max
    return own_array(np.arange(n, dtype=np.int64 if large else np.int32))


def coupler_columns(count: int) -> tuple[Ints, Ints, Floats]:
    """Return room for i, j and bias of ``count`` couplers, in one piece.

    An allocator keeps one large piece for the next compilation where it gives three back to the
    system, and new pages take longer than what is written to them; huge pages serve it sooner.
    """
    piece = np.empty(16 * count, np.uint8)
    ends = piece[8 * count :].view(np.int32)
    return ends[:count], ends[count:], piece[: 8 * count].view(np.float64)


def same_array(one: Array, other: Array) -> bool:
    """Return whether two arrays are equal; an array and itself are so at no cost."""
    if one is other:
        return True
    # Values of another batch differ within the first few, as a rule.
    return np.array_equal(one[:256], other[:256]) and np.array_equal(one, other)


def places_in(ascending: Longs, values: Array) -> Longs:
    """Return the place of each of ``values`` in an ascending column; -1 where it is not there.

    Example:
        >>> places_in(np.array([2, 5, 7]), np.array([7, 3, 2]))
        array([ 2, -1,  0])
    """
    if not len(ascending):
        return np.full(np.shape(values), -1)
    place = np.minimum(np.searchsorted(ascending, values), len(ascending) - 1)
    return np.where(ascending[place] == values, place, -1)


def first_place(where: Bools) -> tuple[int, ...]:
    """Return the index of the first true entry of ``where``, one number per axis.

    Example:
        >>> first_place(np.array([[False, False], [True, True]]))
        (1, 0)
    """
    return tuple(int(index) for index in np.unravel_index(int(where.argmax()), where.shape))


def segment_ids(ptr: Longs) -> Longs:
    """Return the row number of each entry of a CSR structure with row pointer ``ptr``."""
    return np.repeat(np.arange(len(ptr) - 1, dtype=np.int64), np.diff(ptr))


def pointers(counts: ArrayLike) -> Longs:
    """Return the CSR row pointer of rows with the given ``counts``."""
    counts = np.asarray(counts, dtype=np.int64)
    ptr = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=ptr[1:])
    return ptr


def csr_rows(ptr: Longs, rows: Longs) -> tuple[Longs, Longs]:
    """Return the row pointer of some ``rows`` of a CSR structure, and the entries they hold."""
    counts = np.diff(ptr)[rows]
    taken = pointers(counts)
    return taken, np.arange(taken[-1]) + np.repeat(ptr[rows] - taken[:-1], counts)


def digest_of(arrays: Mapping[str, Array]) -> str:
    """Return a hash of arrays by name: equal exactly when names, dtypes, shapes and bytes are.

    Example:
        >>> digest_of({"a": np.arange(2)}) == digest_of({"a": np.arange(3)})
        False
    """
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}:{array.dtype.str}:{array.shape};".encode())
        digest.update(array.data)
    return digest.hexdigest()
