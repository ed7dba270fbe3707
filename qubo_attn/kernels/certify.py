"""Certified penalty weights of rows that keep exactly k of their keys.

With F(m) the least objective of a row over selections of m keys, the penalty
``A (S - k)^2 + mu (S - k)`` keeps the optimum by margin D exactly when ::

    A (m - k)^2 + mu (m - k) >= F(k) - F(m) + D      for every m != k.

Any feasible point bounds F(k) from above; F(m) is bounded from below by sorting and by a convex
relaxation. Both are polynomial; nothing is solved exactly.
"""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Array, Floats, Ints, Longs
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.relaxation import (
    convex_shift,
    good_selection,
    plain_shift,
    relax,
    sort_in_place,
    sorted_bounds,
)
from qubo_attn.kernels.rows import load_row

SORTED, RELAXED = 1, 2


@kernel
def smallest_weight(k: int, need: Floats) -> tuple[float, float, int, int]:
    """Return the least A over mu with ``A d^2 + mu d >= need[k + d]`` for all d != 0.

    For a surplus d and a deficit e the two conditions on mu leave room exactly when
    ``A (d + e) >= need[k + d] / d + need[k - e] / e``: the answer is a maximum over pairs.

    Returns:
        A, mu, and the pair (m above k, m below k) that binds; -1 where there is none.
    """
    n = len(need) - 1
    weight, above, below = 0.0, -1, -1
    for d in range(1, n - k + 1):
        for e in range(1, k + 1):
            least = (need[k + d] / d + need[k - e] / e) / (d + e)
            if least > weight or above < 0:
                above, below = k + d, k - e
                weight = max(least, 0.0)
    low, high = -np.inf, np.inf
    for d in range(1, n - k + 1):
        value = need[k + d] / d - weight * d
        if value > low:
            low = value
            if k == 0:
                above = k + d
    for e in range(1, k + 1):
        value = weight * e - need[k - e] / e
        if value < high:
            high = value
            if k == n:
                below = k - e
    if np.isinf(low) and np.isinf(high):
        slope = 0.0
    elif np.isinf(low):
        slope = high
    elif np.isinf(high):
        slope = low
    else:
        slope = (low + high) / 2.0
    return weight, slope, above, below


@kernel
def _raise_bounds(
    constant: float, slopes: Floats, order: Floats, bounds: Floats, method: Array
) -> None:
    """Raise the bounds on F(m), for every m, to those of a minorant."""
    order[:] = slopes
    sort_in_place(order)
    total = constant
    for m in range(1, len(slopes)):
        total += order[m - 1]
        if total > bounds[m]:
            bounds[m], method[m] = total, RELAXED


@kernel
def certify_rows(
    ptr: Longs,
    var: Ints,
    count: Longs,
    linear: Floats,
    first: Longs,
    neighbour: Ints,
    value: Floats,
    margin: Floats,
    steps: int,
) -> tuple[Floats, Floats, Floats, Floats, Array, Array]:
    """Return certified weights of rows that have no coupler to other rows.

    Bounds start from sorting; only those that bind the weight are tightened by the relaxation,
    until the binding pair is as tight as it gets.

    Args:
        ptr, var, count: the rows and how many keys each keeps.
        linear, first, neighbour, value: the objective, as fields and adjacency.
        margin: D of each row, in energy units.
        steps: gradient steps of a relaxation.

    Returns:
        Weight and slope per row; the upper bound on F(k) per row; the lower bounds on F(m) of row r
        at ``ptr[r] + r``, for m = 0 .. n; the method of each bound (`SORTED` or `RELAXED`); the
        selection behind the upper bound, per entry of ``var``.
    """
    rows = len(count)
    slot = np.full(len(linear), -1, np.int64)
    weight, slope, upper = np.zeros(rows), np.zeros(rows), np.zeros(rows)
    lower = np.zeros(ptr[rows] + rows)
    method = np.full(ptr[rows] + rows, SORTED, np.int8)
    witness = np.zeros(ptr[rows], np.uint8)
    for r in range(rows):
        members = var[ptr[r] : ptr[r + 1]]
        n, k = len(members), count[r]
        for s in range(n):
            slot[members[s]] = s
        local = np.empty((n, n))
        load_row(members, slot, first, neighbour, value, local)
        fields = linear[members].copy()
        upper[r] = good_selection(local, fields, k, witness[ptr[r] : ptr[r + 1]])
        start = ptr[r] + r
        bounds, by = lower[start : start + n + 1], method[start : start + n + 1]
        bounds[:] = sorted_bounds(local, fields)
        size = np.abs(local).max()
        coupled = size > max(1e-14 * np.abs(fields).max(), 1e-140)
        rounding = 1e-12 * (np.abs(fields).sum() + np.abs(local).sum())
        need, x, slopes, order = np.empty(n + 1), np.empty(n), np.empty(n), np.empty(n)
        plain, first_shift, inverse = np.empty(0), np.empty(0), np.empty((n, n))
        relaxed = np.zeros(n + 1, np.bool_)
        while True:
            for m in range(n + 1):
                need[m] = upper[r] - bounds[m] + margin[r] + rounding
            weight[r], slope[r], above, below = smallest_weight(k, need)
            tightened = False
            # Without couplers sorting is exact, as it is for no key and for all; and below a weight
            # of zero there is nothing to gain.
            for m in (above, below):
                if not coupled or weight[r] == 0.0 or not 0 < m < n or relaxed[m]:
                    continue
                if len(plain) == 0:
                    plain = plain_shift(local, inverse)
                    first_shift = convex_shift(local, plain, inverse, np.ones(n))
                x[:] = m / n
                constant = relax(local, fields, first_shift, m, steps, x, slopes)
                _raise_bounds(constant, slopes, order, bounds, by)
                # The shift costs most where x lies between its ends.
                other = convex_shift(local, plain, inverse, x * (1.0 - x) + 0.02)
                constant = relax(local, fields, other, m, steps, x, slopes)
                _raise_bounds(constant, slopes, order, bounds, by)
                relaxed[m], tightened = True, True
            if not tightened:
                break
        for s in range(n):
            slot[members[s]] = -1
    return weight, slope, upper, lower, method, witness
