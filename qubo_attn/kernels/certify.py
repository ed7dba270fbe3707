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
from qubo_attn.kernels.order import longest_row
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
    size, longest = len(count), longest_row(ptr)
    slot = np.full(len(linear), -1, np.int64)
    weight, slope, upper = np.zeros(size), np.zeros(size), np.zeros(size)
    lower = np.empty(ptr[size] + size)
    witness = np.empty(ptr[size], np.uint8)
    need, stage = np.empty(longest + 1), np.empty(longest + 1, np.int64)
    for r in range(size):
        members = var[ptr[r] : ptr[r + 1]]
        n, k = len(members), count[r]
        local, inverse, points = np.empty((n, n)), np.empty((n, n)), np.empty((n + 1, n))
        fields, importance, slopes = np.empty(n), np.empty(n), np.empty(n)
        for s in range(n):
            slot[members[s]] = s
            fields[s], importance[s] = linear[members[s]], 1.0
        load_row(members, slot, couplers, local)
        unit = to_unit(local, fields)
        total, most_field, most_coupler = 0.0, 0.0, 0.0
        for s in range(n):
            slot[members[s]] = -1
            total += abs(fields[s])
            most_field = max(most_field, abs(fields[s]))
            for u in range(n):
                total += abs(local[s, u])
                most_coupler = max(most_coupler, abs(local[s, u]))
        best = good_selection(local, fields, k, witness[ptr[r] : ptr[r + 1]])
        bounds = sorted_bounds(local, fields)
        room = margin[r] / unit + 1e-12 * total
        # How far the bound at each count is tightened: 2 is as tight as it gets. Sorting is exact
        # for no key, for all, and without couplers.
        coupled = most_coupler > max(1e-14 * most_field, 1e-140)
        for m in range(n + 1):
            stage[m] = 0 if coupled and 0 < m < n else 2
        plain, even = fields, fields
        if coupled:
            plain = plain_shift(local, inverse)
            even = convex_shift(local, plain, inverse, importance)
        while True:
            for m in range(n + 1):
                need[m] = best - bounds[m] + room
            weight[r], slope[r], above, below = smallest_weight(k, need[: n + 1])
            # Below a weight of zero there is nothing to gain.
            m = above if below < 0 or (above >= 0 and stage[above] <= stage[below]) else below
            if weight[r] == 0.0 or m < 0 or stage[m] == 2:
                break
            x, shift = points[m], even
            if stage[m] == 0:
                for s in range(n):
                    x[s] = m / n
            else:
                # The shift costs most where x lies between its ends.
                for s in range(n):
                    importance[s] = x[s] * (1.0 - x[s]) + 0.02
                shift = convex_shift(local, plain, inverse, importance)
            stage[m] += 1
            # The first point only has to tell the shift where it lies.
            total = relax(local, fields, shift, m, steps * stage[m] // 2, x, slopes)
            # A minorant bounds F of every count.
            sort_in_place(slopes)
            for t in range(1, n):
                total += slopes[t - 1]
                bounds[t] = max(bounds[t], total)
        weight[r], slope[r], upper[r] = weight[r] * unit, slope[r] * unit, best * unit
        for m in range(n + 1):
            lower[ptr[r] + r + m] = bounds[m] * unit
    return RelaxedRows(weight, slope, upper, lower, witness)
