"""Sparse arrays of SciPy, in and out; SciPy is loaded where an array is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from qubo_attn.common.arrays import Array, Longs
from qubo_attn.errors import InputError
from qubo_attn.frontend.hidden import read_array
from qubo_attn.frontend.pattern import Pattern

if TYPE_CHECKING:
    from scipy.sparse import csr_array


def entries_of(head: int, matrix: Any) -> tuple[Array, Array, Array, tuple[int, int]]:
    """Return row, column and value of each stored entry, and the shape.

    Args:
        head: for the message.
        matrix: SciPy's, of any format.

    Raises:
        InputError: it is none, or has not two axes.
    """
    if not hasattr(matrix, "tocoo") or len(matrix.shape) != 2:
        raise InputError(
            f"the scores of head {head} are no sparse array of queries and keys", head=head
        )
    coo = matrix.tocoo()
    queries, keys = (int(size) for size in coo.shape)
    return coo.row.astype(np.int64), coo.col.astype(np.int64), coo.data, (queries, keys)


def csr_columns(indptr: ArrayLike, indices: ArrayLike) -> tuple[Longs, Longs]:
    """Return row pointers and keys of compressed rows, checked.

    Raises:
        InputError: they are none.
    """
    ptr, key = read_array("indptr", indptr), read_array("indices", indices)
    for name, array in (("indptr", ptr), ("indices", key)):
        if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
            raise InputError(
                f"{name} has shape {array.shape} and type {array.dtype}; expected whole numbers "
                "along one axis",
                argument=name,
            )
    ptr, key = ptr.astype(np.int64), key.astype(np.int64)
    if not len(ptr) or ptr[0] != 0 or ptr[-1] != len(key) or (np.diff(ptr) < 0).any():
        raise InputError(
            f"indptr must rise from 0 to {len(key)}, the number of indices", argument="indptr"
        )
    return ptr, key


def csr_matrices(pattern: Pattern, column: Array) -> tuple[csr_array, ...]:
    """Return a column of edges as a sparse array for each head, shape (Q, K)."""
    from scipy.sparse import csr_array

    matrices = []
    for head in range(pattern.heads):
        rows = slice(head * pattern.queries, (head + 1) * pattern.queries + 1)
        ptr = pattern.ptr[rows]
        own = slice(int(ptr[0]), int(ptr[-1]))
        parts = column[own], pattern.key[own], ptr - ptr[0]
        matrices.append(csr_array(parts, shape=(pattern.queries, pattern.keys)))
    return tuple(matrices)
