"""Background susceptibility of a machine: what it adds to coefficients, and how to take it off.

A field leaks ``chi J h`` over every coupling J, and two couplings of one qubit add ``chi J J'``
between their other ends. Both follow from the coefficients, so a machine that is programmed with
less by as much ends up with what was intended. As what it adds depends on what it is programmed
with, that is a fixed point: ``sent = intended - added(sent)``. Each round brings it nearer by
``chi`` times the couplings of a qubit, a tenth or so.
"""

from __future__ import annotations

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Bools, Floats, own_array
from qubo_attn.machine.ranges import coupling_totals, outside
from qubo_attn.machine.target import Target

ROUNDS = 3


def susceptible(
    target: Target, fields: Floats, couplings: Floats, susceptibility: float
) -> tuple[Floats, Floats]:
    """Return what the background susceptibility adds to fields and couplings.

    Fields get ``chi sum_j J_ij h_j`` in full; couplings get ``chi sum_k J_ik J_kj`` where a coupler
    joins i and j, and what falls between qubits without a coupler is left out.

    Args:
        target: the machine.
        fields, couplings: of all its qubits and couplers, in hardware units.
        susceptibility: chi.
    """
    used, size = np.flatnonzero(couplings), len(target.qubits)
    a, b = (own_array(target.couplers[used, end].astype(np.int32)) for end in (0, 1))
    value = own_array(couplings[used])
    leaks = np.bincount(a, value * fields[b], size) + np.bincount(b, value * fields[a], size)
    pairs = kernels.next_nearest(kernels.adjacency(size, a, b, value), target.couplers)
    return np.asarray(susceptibility * leaks, np.float64), susceptibility * pairs


def subtracted(target: Target, fields: Floats, couplings: Floats) -> tuple[Floats, Floats]:
    """Return what to program so that a machine ends up with these coefficients.

    What would leave a range stays at its end. Where the couplings of a qubit would leave the range
    of their total, all of them stay as they are.

    Args:
        target: the machine; its ``susceptibility`` says what to reckon with.
        fields: float64, shape (qubits,), intended, NaN where a qubit is not in use.
        couplings: float64, shape (couplers,), intended.

    Returns:
        Fields and couplings, of qubits that are not in use zero.
    """
    limits, used = target.limits, ~np.isnan(fields)
    u, v = target.couplers.T
    between = used[u] & used[v]
    h, j = np.where(used, fields, 0.0), couplings
    for _ in range(ROUNDS if target.susceptibility else 0):
        more = susceptible(target, h, j, target.susceptibility)
        h = np.where(used, np.clip(fields - more[0], *limits.h), 0.0)
        j = np.where(between, np.clip(couplings - more[1], *limits.j), 0.0)
        while (back := _crowded(target, j) & (j != couplings)).any():
            j = np.where(back, couplings, j)
    return h, j


def _crowded(target: Target, couplings: Floats) -> Bools:
    """Return the couplers of qubits whose couplings leave the range of their total."""
    if target.limits.total is None:
        return np.zeros(len(couplings), bool)
    inside = np.flatnonzero(couplings)
    place, total = coupling_totals(target, inside, couplings[inside])
    full = np.zeros(len(target.qubits), bool)
    full[place[outside(total, target.limits.total)] // 2] = True
    u, v = target.couplers.T
    return np.asarray(full[u] | full[v])
