"""How much of a machine's ranges coefficients use, and what its auto-scaling would do.

A machine's ``auto_scale`` divides all fields and couplings of a submission by the largest of

    max(h) / h_high,  min(h) / h_low,  max(J) / j_high,  min(J) / j_low,
    max(total) / total_high,  min(total) / total_low

each at least 0, with the extended range of couplings and the signed total of the couplings of each
qubit (Advantage) or coupling group (Advantage2), as its vendor documents. A factor above 1 means
that coefficients leave the ranges; below 1 they leave room.
"""

from __future__ import annotations

import numpy as np

from qubo_attn.arrays import Array, Floats, Longs
from qubo_attn.target import Target


def range_use(
    target: Target,
    qubit: Longs,
    h: Floats,
    coupler: Longs,
    j: Floats,
    owner: Longs | None = None,
    owners: int = 1,
) -> Floats:
    """Return the largest share of any range that each owner's coefficients use.

    Args:
        target: the machine.
        qubit, h: positions of qubits and their fields.
        coupler, j: positions in the target's ``couplers`` and their values.
        owner: of each of the target's qubits, from 0; None where all belong together.
        owners: how many there are.

    Returns:
        float64, shape (owners,): what the documented auto-scaling would divide by, for each.
    """
    limits = target.limits
    of = np.zeros(len(target.qubits), np.int64) if owner is None else owner
    use = np.zeros(owners)
    ends = target.couplers[coupler]
    parts = [(h, limits.h, of[qubit]), (j, limits.j, of[ends[:, 0]])]
    if limits.total is not None:
        group, totals = coupling_totals(target, coupler, j)
        parts.append((totals, limits.total, of[group // 2]))
    for values, (low, high), mine in parts:
        np.maximum.at(use, mine, np.maximum(values / high, values / low))
    return use


def coupling_totals(target: Target, coupler: Longs, j: Floats) -> tuple[Longs, Floats]:
    """Return the coupling total of each qubit or group that couplings touch, and what it is of.

    Where a machine limits groups that its graph does not tell (any but Zephyr), a qubit's couplings
    of either sign are totalled apart: no group's total is beyond these.

    Returns:
        Two times the qubit's position plus its group (0 or 1), and the total.
    """
    groups: Array = target.coupling_groups[coupler]
    room = 2 * len(target.qubits)
    weights = np.repeat(j, 2)
    totals = [np.bincount(groups.ravel(), weights, minlength=room)]
    if target.limits.per == "group" and target.topology != "zephyr":
        signs = (np.minimum(weights, 0), np.maximum(weights, 0))
        totals = [np.bincount(groups.ravel(), part, minlength=room) for part in signs]
    touched = np.unique(groups)
    return np.tile(touched, len(totals)), np.concatenate([part[touched] for part in totals])
