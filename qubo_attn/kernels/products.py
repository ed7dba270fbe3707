"""Step costs of rows whose couplers are products of two factors, without the couplers.

The couplers ``scale s_i s_j`` of a bit are the others' factors times its own. So one order of a
row's factors serves all its bits, and the largest or smallest sums of couplers are differences of
partial sums.
"""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Floats, Longs
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.order import kth_smallest


@kernel
def _largest(ordered: Floats, sums: Floats, positive: int, value: float, most: int) -> float:
    """Return the largest sum of at most ``most`` of ascending values, ``value`` left out once."""
    n = len(ordered)
    taken, left_out = min(most, positive), 0.0
    if taken > 0 and value >= ordered[n - taken]:
        taken, left_out = min(most + 1, positive), value
    return float(sums[n] - sums[n - taken] - left_out)


@kernel
def _smallest(ordered: Floats, sums: Floats, negative: int, value: float, least: int) -> float:
    """Return the smallest sum of at least ``least`` of them, ``value`` left out once."""
    taken, left_out = max(least, negative), 0.0
    if taken > 0 and value <= ordered[taken - 1]:
        taken, left_out = max(least, negative - (value < 0.0)) + 1, value
    return float(sums[taken] - left_out)


@kernel
def product_step_costs(
    ptr: Longs, factor: Floats, scale: float, linear: Floats, row: Longs, count: Longs
) -> tuple[Floats, Floats]:
    """Return what `step_costs` does, of rows of bits whose couplers are ``scale s_i s_j``.

    Args:
        ptr, factor: the rows, and s of each variable.
        scale: of all couplers.
        linear: of each variable.
        row, count: rows by number, and how many bits each keeps.

    Returns:
        The cost of a step up and of a step down, per entry of ``row``, in energy units; -inf where
        no step of that direction is ever needed.
    """
    raised, lowered = np.full(len(row), -np.inf), np.full(len(row), -np.inf)
    for r in range(len(row)):
        s = factor[ptr[row[r]] : ptr[row[r] + 1]]
        own = linear[ptr[row[r]] : ptr[row[r] + 1]]
        n, k = len(s), count[r]
        ordered = np.sort(s)
        mirrored = -ordered[::-1]
        sums, back = np.zeros(n + 1), np.zeros(n + 1)
        below, above = 0, 0
        for a in range(n):
            sums[a + 1] = sums[a] + ordered[a]
            back[a + 1] = back[a] + mirrored[a]
            below += ordered[a] < 0.0
            above += ordered[a] > 0.0
        costs = np.empty(n)
        if k > 0:
            for a in range(n):
                share = scale * s[a]
                if share >= 0.0:
                    costs[a] = own[a] + share * _largest(ordered, sums, above, s[a], k - 1)
                else:
                    costs[a] = own[a] - share * _largest(mirrored, back, below, -s[a], k - 1)
            raised[r] = kth_smallest(costs, k)
        if k < n:
            for a in range(n):
                share = scale * s[a]
                if share >= 0.0:
                    costs[a] = -own[a] - share * _smallest(ordered, sums, below, s[a], k)
                else:
                    costs[a] = -own[a] + share * _smallest(mirrored, back, above, -s[a], k)
            lowered[r] = kth_smallest(costs, n - k)
    return raised, lowered
