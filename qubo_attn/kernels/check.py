"""Check of embeddings on a working graph."""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Array, Bools, Longs
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.graph import WorkingGraph


@kernel
def whole_copies(ptr: Longs, qubit: Longs, chains: int, edges: Array, graph: WorkingGraph) -> Bools:
    """Check disjoint embeddings of one graph on a working graph.

    Args:
        ptr, qubit: chain c is ``qubit[ptr[c]:ptr[c + 1]]``; copies of ``chains`` chains each.
        edges: shape (2, edges), pairs of chains of a copy that must be coupled.
        graph: the working graph.

    Returns:
        For each copy whether its chains are connected, coupled along all edges, and on qubits that
        exist and that no copy before it holds.
    """
    qubits = len(graph.first) - 1
    owner = np.full(qubits, -1, np.int64)
    copies = (len(ptr) - 1) // max(chains, 1)
    whole = np.ones(copies, np.bool_)
    for c in range(copies * chains):
        if ptr[c + 1] <= ptr[c]:
            whole[c // chains] = False
        for p in range(ptr[c], ptr[c + 1]):
            if qubit[p] < 0 or qubit[p] >= qubits or owner[qubit[p]] >= 0:
                whole[c // chains] = False
            else:
                owner[qubit[p]] = c
    stack = np.empty(qubits, np.int64)
    reached = np.zeros(qubits, np.bool_)
    met = np.zeros((chains, chains), np.bool_)
    for copy in range(copies):
        if not whole[copy]:
            continue
        for c in range(chains):
            for other in range(chains):
                met[c, other] = False
            chain = copy * chains + c
            top, seen = 1, 1
            stack[0] = qubit[ptr[chain]]
            reached[stack[0]] = True
            while top:
                top -= 1
                q = stack[top]
                for e in range(graph.first[q], graph.first[q + 1]):
                    other = graph.neighbour[e]
                    if owner[other] == chain:
                        if not reached[other]:
                            reached[other] = True
                            stack[top] = other
                            top += 1
                            seen += 1
                    elif owner[other] // chains == copy and owner[other] >= 0:
                        met[c, owner[other] - copy * chains] = True
            if seen != ptr[chain + 1] - ptr[chain]:
                whole[copy] = False
        for t in range(edges.shape[1]):
            if not met[edges[0, t], edges[1, t]]:
                whole[copy] = False
    return whole
