"""Checks and cuts of the columns of variables and constraints, each in one pass."""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Array, Floats, Ints, Longs
from qubo_attn.kernels._jit import kernel


@kernel
def ascending(kind: Array, head: Ints, query: Ints, key: Ints, bit: Ints) -> bool:
    """Return whether labels ascend strictly, compared column by column: then all are different.

    Args:
        kind: roles or kinds, of a whole number type.
        head, query, key, bit: the other parts of the labels.
    """
    for v in range(1, len(kind)):
        if kind[v] != kind[v - 1]:
            rising = kind[v] > kind[v - 1]
        elif head[v] != head[v - 1]:
            rising = head[v] > head[v - 1]
        elif query[v] != query[v - 1]:
            rising = query[v] > query[v - 1]
        elif key[v] != key[v - 1]:
            rising = key[v] > key[v - 1]
        else:
            rising = bit[v] > bit[v - 1]
        if not rising:
            return False
    return True


@kernel
def rows_are_good(n: int, ptr: Longs, var: Ints, coef: Floats, rhs: Floats) -> bool:
    """Return whether rows have variables that ascend, and numbers that are finite and not zero.

    Args:
        n: variables there are.
        ptr, var, coef, rhs: the rows; right-hand sides may be zero.
    """
    # Plain sums, one loop each: several entries at a time.
    bad = 0
    for e in range(len(var)):
        bad += (var[e] < 0) | (var[e] >= n) | (coef[e] == 0.0)
    for e in range(len(coef)):
        bad += coef[e] - coef[e] != 0.0
    for r in range(len(rhs)):
        bad += (ptr[r] == ptr[r + 1]) | (rhs[r] - rhs[r] != 0.0)
        for e in range(ptr[r] + 1, ptr[r + 1]):
            bad += var[e] <= var[e - 1]
    return bad == 0


@kernel
def entries_among(ptr: Longs, var: Ints, coef: Floats, source: Longs) -> tuple[Longs, Ints, Floats]:
    """Return the rows without the variables that go, the others renumbered, and without zeros.

    Args:
        ptr, var, coef: the rows.
        source: new number of each variable, -1 for those that go; the order stays.
    """
    out_ptr = np.zeros(len(ptr), np.int64)
    place = 0
    for e in range(len(var)):
        place += (source[var[e]] >= 0) & (coef[e] != 0.0)
    out_var, out_coef = np.empty(place, np.int32), np.empty(place)
    place = 0
    for r in range(len(ptr) - 1):
        for e in range(ptr[r], ptr[r + 1]):
            if source[var[e]] >= 0 and coef[e] != 0.0:
                out_var[place], out_coef[place] = source[var[e]], coef[e]
                place += 1
        out_ptr[r + 1] = place
    return out_ptr, out_var, out_coef
