"""Match of logical couplers with the physical ones that carry them."""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Ints, Longs
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.graph import WorkingGraph


@kernel
def match_couplers(
    chain_ptr: Longs,
    chain_qubit: Longs,
    members: Longs,
    first: Longs,
    j: Ints,
    graph: WorkingGraph,
    owner: Longs,
) -> tuple[Longs, Longs, Longs, Longs]:
    """Match the couplers among the chains of one submission.

    Args:
        chain_ptr, chain_qubit: chain of every variable.
        members: the variables of this submission.
        first, j: logical couplers of variable v are ``first[v]:first[v + 1]``, sorted by ``j``.
        graph: the working graph.
        owner: scratch, one entry per qubit, all -1; left so.

    Returns:
        Logical coupler and physical coupler of each match, then variable and physical coupler of
        each coupler within a chain.
    """
    room = 0
    for v in members:
        for p in range(chain_ptr[v], chain_ptr[v + 1]):
            owner[chain_qubit[p]] = v
            room += graph.first[chain_qubit[p] + 1] - graph.first[chain_qubit[p]]
    logical, physical = np.empty(room, np.int64), np.empty(room, np.int64)
    within, link = np.empty(room, np.int64), np.empty(room, np.int64)
    between, links = 0, 0
    for v in members:
        for p in range(chain_ptr[v], chain_ptr[v + 1]):
            q = chain_qubit[p]
            for e in range(graph.first[q], graph.first[q + 1]):
                w = owner[graph.neighbour[e]]
                if w == v:
                    if graph.neighbour[e] > q:
                        within[links], link[links] = v, graph.coupler[e]
                        links += 1
                elif w > v:
                    low, high = first[v], first[v + 1]
                    while low < high:
                        mid = (low + high) // 2
                        if j[mid] < w:
                            low = mid + 1
                        else:
                            high = mid
                    if low < first[v + 1] and j[low] == w:
                        logical[between], physical[between] = low, graph.coupler[e]
                        between += 1
    for v in members:
        for p in range(chain_ptr[v], chain_ptr[v + 1]):
            owner[chain_qubit[p]] = -1
    return logical[:between], physical[:between], within[:links], link[:links]
