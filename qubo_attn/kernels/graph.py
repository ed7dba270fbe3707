"""Columns of a working graph, as kernels take it; a target builds them without Numba."""

from __future__ import annotations

from typing import NamedTuple

from qubo_attn.common.arrays import Longs


class WorkingGraph(NamedTuple):
    """Neighbours of each qubit in CSR form.

    Attributes:
        first: int64, the neighbours of qubit q are ``neighbour[first[q]:first[q + 1]]``.
        neighbour: int64, positions of qubits, ascending for each qubit.
        coupler: int64, number of the coupler to each neighbour.
    """

    first: Longs
    neighbour: Longs
    coupler: Longs
