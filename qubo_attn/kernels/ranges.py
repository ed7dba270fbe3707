"""Kernels for ranges: the share of a machine's ranges that coefficients use."""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Array, Floats, Longs
from qubo_attn.kernels._jit import kernel


@kernel
def range_shares(
    owner: Longs,
    owners: int,
    place: Longs,
    h: Floats,
    ends: Array,
    groups: Array,
    j: Floats,
    scales: Floats,
    summed: bool,
) -> Floats:
    """Return the largest share of any range that each owner's coefficients use.

    Args:
        owner: of each place for a field; owners: how many.
        place, h: places of fields, and the fields.
        ends, groups, j: places and coupling groups that each coupling joins, and the couplings.
        scales: shape (3, 2): one over the ranges of fields, couplings and totals; 0 without one.
        summed: totals are signed sums; else sums of either sign apart.
    """
    use = np.zeros(owners)
    totals = np.zeros((2, 2 * len(owner)))
    for p in range(len(place)):
        o, share = owner[place[p]], max(h[p] * scales[0, 0], h[p] * scales[0, 1])
        if share > use[o]:
            use[o] = share
    for e in range(len(j)):
        value = j[e]
        o, share = owner[ends[e, 0]], max(value * scales[1, 0], value * scales[1, 1])
        if share > use[o]:
            use[o] = share
        # Signed sums need one total; else the second is of values above zero.
        side = 0 if summed or value < 0 else 1
        totals[side, groups[e, 0]] += value
        totals[side, groups[e, 1]] += value
    # A group that nothing touched has a share of 0.
    for group in range(2 * len(owner)):
        most = totals[0 if summed else 1, group]
        share = max(totals[0, group] * scales[2, 0], most * scales[2, 1])
        o = owner[group // 2]
        if share > use[o]:
            use[o] = share
    return use
