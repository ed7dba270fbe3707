"""Certified penalty weights of rows that keep exactly k of their keys.

With F(m) the least objective of a row over selections of m keys, the penalty
``A (S - k)^2 + mu (S - k)`` keeps the optimum by margin D exactly when ::

    A (m - k)^2 + mu (m - k) >= F(k) - F(m) + D      for every m != k.

Any feasible point bounds F(k) from above; F(m) is bounded from below by sorting and by a convex
relaxation. Both are polynomial; nothing is solved exactly.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Array, Floats
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.relaxation import (
    convex_shift,
    good_selection,
    plain_shift,
    relax,
    sort_in_place,
    sorted_bounds,
    to_unit,
)
from qubo_attn.kernels.rows import Adjacency, CountRows, load_row


class RelaxedRows(NamedTuple):
    """Certified weights of rows, and the bounds behind them.

    Attributes:
        weight, slope: A and mu of each row.
        upper: upper bound on F(k) of each row.
        lower: lower bounds on F(m) for m = 0 .. n, row after row.
        witness: the selection behind the upper bound, row after row.
    """

    weight: Floats
    slope: Floats
    upper: Floats
    lower: Floats
    witness: Array


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
    # A row that takes none, or all, has conditions on one side only; an empty one has none.
    low = high if np.isinf(low) else low
    high = low if np.isinf(high) else high
    slope = 0.0 if np.isinf(low) else (low + high) / 2.0
    return weight, slope, above, below


@kernel
def _raise_bounds(constant: float, slopes: Floats, order: Floats, bounds: Floats) -> None:
    """Raise the bounds on F(m), for every m, to those of a minorant."""
    order[:] = slopes
    sort_in_place(order)
    total = constant
    for m in range(1, len(slopes)):
        total += order[m - 1]
        bounds[m] = max(bounds[m], total)


@kernel
def certify_rows(
    rows: CountRows, linear: Floats, couplers: Adjacency, margin: Floats, steps: int
) -> RelaxedRows:
    """Return certified weights of rows that have no coupler to other rows.

    Bounds start from sorting; only those that bind the weight are tightened by the relaxation,
    until the binding pair is as tight as it gets.

    Args:
        rows: the rows.
        linear, couplers: the objective.
        margin: D of each row, in energy units.
        steps: gradient steps of a relaxation.
    """
    ptr, var, count = rows
    size = len(count)
    slot = np.full(len(linear), -1, np.int64)
    weight, slope, upper = np.zeros(size), np.zeros(size), np.zeros(size)
    lower = np.zeros(ptr[size] + size)
    witness = np.zeros(ptr[size], np.uint8)
    for r in range(size):
        members = var[ptr[r] : ptr[r + 1]]
        n, k = len(members), count[r]
        for s in range(n):
            slot[members[s]] = s
        local = np.empty((n, n))
        load_row(members, slot, couplers, local)
        fields = linear[members].copy()
        unit = to_unit(local, fields)
        room = margin[r] / unit
        upper[r] = good_selection(local, fields, k, witness[ptr[r] : ptr[r + 1]])
        start = ptr[r] + r
        bounds = lower[start : start + n + 1]
        bounds[:] = sorted_bounds(local, fields)
        coupled = np.abs(local).max() > max(1e-14 * np.abs(fields).max(), 1e-140)
        rounding = 1e-12 * (np.abs(fields).sum() + np.abs(local).sum())
        need, x, slopes, order = np.empty(n + 1), np.empty(n), np.empty(n), np.empty(n)
        plain, first_shift, inverse = np.empty(0), np.empty(0), np.empty((n, n))
        relaxed = np.zeros(n + 1, np.bool_)
        while True:
            for m in range(n + 1):
                need[m] = upper[r] - bounds[m] + room + rounding
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
                _raise_bounds(constant, slopes, order, bounds)
                # The shift costs most where x lies between its ends.
                other = convex_shift(local, plain, inverse, x * (1.0 - x) + 0.02)
                constant = relax(local, fields, other, m, steps, x, slopes)
                _raise_bounds(constant, slopes, order, bounds)
                relaxed[m], tightened = True, True
            if not tightened:
                break
        bounds *= unit
        weight[r], slope[r], upper[r] = weight[r] * unit, slope[r] * unit, upper[r] * unit
        for s in range(n):
            slot[members[s]] = -1
    return RelaxedRows(weight, slope, upper, lower, witness)
