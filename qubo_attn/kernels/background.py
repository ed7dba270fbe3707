"""Kernel for the background susceptibility: what two couplings of one qubit do to a third."""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Floats, Longs
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.rows import Adjacency


@kernel
def next_nearest(couplings: Adjacency, couplers: Longs) -> Floats:
    """Return ``sum_k J_ik J_kj`` of each coupler (i, j), over the neighbours k of both its ends.

    Args:
        couplings: of all qubits, neighbours in ascending order.
        couplers: int64, shape (couplers, 2), positions of qubits.
    """
    ptr, neighbour, value = couplings
    total = np.zeros(len(couplers))
    for c in range(len(couplers)):
        i, j = couplers[c, 0], couplers[c, 1]
        s, t = ptr[i], ptr[j]
        while s < ptr[i + 1] and t < ptr[j + 1]:
            if neighbour[s] < neighbour[t]:
                s += 1
            elif neighbour[s] > neighbour[t]:
                t += 1
            else:
                total[c] += value[s] * value[t]
                s += 1
                t += 1
    return total
