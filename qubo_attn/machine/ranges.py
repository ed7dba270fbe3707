"""Ranges of a machine: the share that coefficients use, and what auto-scaling would do.

A machine's ``auto_scale`` divides all fields and couplings of a submission by the largest of

    max(h) / h_high,  min(h) / h_low,  max(J) / j_high,  min(J) / j_low,
    max(total) / total_high,  min(total) / total_low

each at least 0, with the extended range of couplings and the signed total of the couplings of each
qubit (Advantage) or coupling group (Advantage2), as its vendor documents. A factor above 1 means
that coefficients leave the ranges; below 1 they leave room.
"""

from __future__ import annotations

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Array, Bools, Floats, Longs, read_only
from qubo_attn.machine.target import Target

# What rounding may add to a coefficient at the end of its range.
ROUNDING = 1e-9


def outside(values: Floats, limits: tuple[float, float], room: float = 0.0) -> Bools:
    """Return where values are beyond limits, or no numbers at all.

    Args:
        values: coefficients or totals.
        limits: the least and the largest.
        room: by how much a value may be beyond them.
    """
    return ~((values >= limits[0] - room) & (values <= limits[1] + room))


def range_use(target: Target, qubit: Longs, h: Floats, coupler: Longs, j: Floats) -> float:
    """Return the largest share of any range that coefficients use.

    Args:
        target: the machine.
        qubit, h: positions of qubits and their fields.
        coupler, j: positions in the target's ``couplers`` and their values.

    Returns:
        What the documented auto-scaling would divide by.
    """
    owner = np.zeros(len(target.qubits), np.int64)
    ends, groups = target.couplers[coupler], target.coupling_groups[coupler]
    return float(shares(target, owner, 1, qubit, h, ends, groups, j)[0])


def shares(
    target: Target,
    owner: Longs,
    owners: int,
    place: Longs,
    h: Floats,
    ends: Array,
    groups: Array,
    j: Floats,
) -> Floats:
    """Return the largest share of any range that each owner's coefficients use.

    Args:
        target: the machine.
        owner: of each place for a field, from 0; owners: how many there are.
        place, h: places of fields, and the fields.
        ends, groups, j: shape (m, 2): places that each coupling joins, two times the place plus the
            coupling's group there; and the couplings.

    Returns:
        float64, shape (owners,): what the documented auto-scaling would divide by, for each.
    """
    limits = target.limits
    total = (-np.inf, np.inf) if limits.total is None else limits.total
    scales = 1.0 / np.array([limits.h, limits.j, total])
    return kernels.range_shares(
        owner,
        owners,
        read_only(place),
        read_only(h),
        ends,
        groups,
        read_only(j),
        scales,
        _groups_are_known(target),
    )


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
    if not _groups_are_known(target):
        signs = (np.minimum(weights, 0), np.maximum(weights, 0))
        totals = [np.bincount(groups.ravel(), part, minlength=room) for part in signs]
    touched = np.zeros(room, bool)
    touched[groups] = True
    group = np.flatnonzero(touched)
    return np.tile(group, len(totals)), np.concatenate([part[group] for part in totals])


def _groups_are_known(target: Target) -> bool:
    return target.limits.per == "qubit" or target.topology == "zephyr"
