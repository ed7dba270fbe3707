"""Background susceptibility of a machine: what it adds to coefficients, and how to take it off.

A field leaks ``chi J h`` over every coupling J, and two couplings of one qubit add ``chi J J'``
between their other ends. Both follow from the coefficients, so a machine that is programmed with
less by as much ends up with what was intended. As what it adds depends on what it is programmed
with, that is a fixed point: ``sent = intended - added(sent)``. Each round brings it nearer by
``chi`` times the couplings of a qubit, a tenth or so.
"""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Bools, Floats
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
    from scipy import sparse

    size, (a, b) = len(target.qubits), target.couplers.T
    used = np.flatnonzero(couplings)
    ends = np.concatenate([a[used], b[used]]), np.concatenate([b[used], a[used]])
    matrix = sparse.csr_array((np.tile(couplings[used], 2), ends), shape=(size, size))
    graph = sparse.csr_array((np.ones(len(a)), (a, b)), shape=(size, size))
    pairs = (matrix @ matrix).multiply(graph).tocsr()
    between = np.asarray(pairs[a, b]).ravel() if len(a) else np.zeros(0)
    leaks = np.asarray(matrix @ fields, np.float64)
    return susceptibility * leaks, susceptibility * between


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
    between = used[target.couplers].all(axis=1)
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
    crowded = np.zeros(len(couplings), bool)
    if target.limits.total is not None:
        inside = np.flatnonzero(couplings)
        place, total = coupling_totals(target, inside, couplings[inside])
        full = np.zeros(len(target.qubits), bool)
        full[place[outside(total, target.limits.total)] // 2] = True
        crowded |= full[target.couplers].any(axis=1)
    return crowded
