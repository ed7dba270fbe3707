"""How much of a machine's ranges coefficients use."""

from __future__ import annotations

import numpy as np

from qubo_attn.arrays import Array, Floats, Longs
from qubo_attn.kernels._jit import kernel


@kernel
def range_shares(
    owner: Longs,
    owners: int,
    qubit: Longs,
    h: Floats,
    coupler: Longs,
    j: Floats,
    ends: Array,
    groups: Array,
    scales: Floats,
    summed: bool,
) -> Floats:
    """Return the largest share of any range that each owner's coefficients use.

    Args:
        owner: of each qubit of the machine; owners: how many.
        qubit, h: fields; coupler, j: couplings.
        ends, groups: qubits and coupling groups of each coupler of the machine.
        scales: shape (3, 2): one over the ranges of fields, couplings and totals; 0 without one.
        summed: totals are signed sums; else sums of either sign apart.
    """
    use = np.zeros(owners)
    below, above = np.zeros(2 * len(owner)), np.zeros(2 * len(owner))
    for p in range(len(qubit)):
        mine = owner[qubit[p]]
        use[mine] = max(use[mine], h[p] * scales[0, 0], h[p] * scales[0, 1])
    for e in range(len(coupler)):
        mine = owner[ends[coupler[e], 0]]
        use[mine] = max(use[mine], j[e] * scales[1, 0], j[e] * scales[1, 1])
        for side in range(2):
            group = groups[coupler[e], side]
            if summed or j[e] < 0:
                below[group] += j[e]
            if summed or j[e] > 0:
                above[group] += j[e]
    for e in range(len(coupler)):
        for side in range(2):
            group = groups[coupler[e], side]
            mine = owner[group // 2]
            share = max(below[group] * scales[2, 0], above[group] * scales[2, 1])
            use[mine] = max(use[mine], share)
    return use
