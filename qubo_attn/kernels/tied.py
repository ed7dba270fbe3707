"""Couplers of tied rows: one matrix a group, by products of matrices.

Rows of a group share their variables, so the forms of `qubo_attn.kernels.centred` add up. With P
the masses of the group's rows and V the values of its keys, it is for one head

    A o (V V') - B - B',   A = P'SP,   B = P'S (P o E),   E_ri = c_r.v_i - (|c_r|^2 - shift_r) / 2

with S the scales and c the centres of the rows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Floats, Ints, Longs
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.coefficients import count_pairs

# Rows that are laid out at once: enough for products at full speed, few enough for little memory.
_AT_ONCE = 512


class TiedRows(NamedTuple):
    """Rows that share variables.

    Attributes:
        ptr: entries of row r are ``ptr[r]:ptr[r + 1]``.
        mass: of each entry; variable: the one that it shares.
        head: of each row; centre: shape (rows, d); shift, scale: of each row.
        group_ptr, row: rows of group g are ``row[group_ptr[g]:group_ptr[g + 1]]``.
    """

    ptr: Longs
    mass: Floats
    variable: Ints
    head: Ints
    centre: Floats
    shift: Floats
    scale: Floats
    group_ptr: Longs
    row: Longs


@kernel
def _add_rows(
    rows: TiedRows, low: int, high: int, values: Floats, key: Ints, place: Longs, form: Floats
) -> None:
    """Add what some rows of one head add to a group's matrix: its half plus that turned over.

    Args:
        rows: the rows; low, high: those to add, as places in ``rows.row``.
        values: of their head, shape (K, d).
        key: of each chosen variable of the group; place: of each variable among these, or -1.
        form: the matrix.
    """
    n, d = form.shape[0], values.shape[1]
    plain, turned = np.empty((n, d)), np.empty((d, n))
    for a in range(n):
        for f in range(d):
            plain[a, f] = values[key[a], f]
            turned[f, a] = values[key[a], f]
    count = high - low
    left, right = np.zeros((count, n)), np.zeros((count, n))
    centre = np.empty((count, d))
    for c in range(count):
        r = rows.row[low + c]
        for e in range(rows.ptr[r], rows.ptr[r + 1]):
            a = place[rows.variable[e]]
            if a >= 0:
                left[c, a] = rows.scale[r] * rows.mass[e]
                right[c, a] = rows.mass[e]
        for f in range(d):
            centre[c, f] = rows.centre[r, f]
    gram, both, along = plain @ turned, left.T @ right, centre @ turned
    for c in range(count):
        r = rows.row[low + c]
        half = -rows.shift[r]
        for f in range(d):
            half += centre[c, f] * centre[c, f]
        half *= 0.5
        for a in range(n):
            along[c, a] = right[c, a] * (along[c, a] - half)
    cross = left.T @ along
    for a in range(n):
        for b in range(n):
            form[a, b] += both[a, b] * gram[a, b] - 2.0 * cross[a, b]


@kernel
def tied_couplers(
    rows: TiedRows, values: Floats, ptr: Longs, number: Ints, key: Ints, place: Longs
) -> tuple[Ints, Ints, Floats]:
    """Return the couplers of tied rows: i, j, bias, group after group, every pair once.

    Args:
        rows: the rows; values: shape (H, K, d).
        ptr: chosen variables of group g are ``ptr[g]:ptr[g + 1]``.
        number, key: what each chosen one is called in the couplers, and its key.
        place: of each variable among the chosen ones of its group; -1 of others.
    """
    pairs = count_pairs(ptr)
    i, j, bias = np.empty(pairs, np.int32), np.empty(pairs, np.int32), np.empty(pairs)
    t = 0
    for g in range(len(ptr) - 1):
        start, n = ptr[g], ptr[g + 1] - ptr[g]
        if n < 2:
            continue
        form, own = np.zeros((n, n)), key[start : start + n]
        low, stop = rows.group_ptr[g], rows.group_ptr[g + 1]
        while low < stop:
            head, high = rows.head[rows.row[low]], low + 1
            while high < min(stop, low + _AT_ONCE) and rows.head[rows.row[high]] == head:
                high += 1
            _add_rows(rows, low, high, values[head], own, place, form)
            low = high
        for a in range(n):
            for b in range(a + 1, n):
                i[t], j[t] = number[start + a], number[start + b]
                bias[t] = form[a, b] + form[b, a]
                t += 1
    return i, j, bias
