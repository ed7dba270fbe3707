"""Sparse shapes on a working graph: paths carved out of it, and the check of any embedding."""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Array, Longs
from qubo_attn.kernels._jit import kernel


@kernel
def carve_paths(length: int, first: Longs, neighbour: Longs) -> Array:
    """Carve disjoint paths of one qubit a node out of a graph.

    A path starts at a free qubit with the fewest free neighbours and goes on to the neighbour that
    has the fewest (Warnsdorff's rule), so that no qubit is left behind alone; where it ends early
    it goes on from its start.

    Args:
        length: nodes of each path; first, neighbour: the graph in CSR form.

    Returns:
        The qubits of each path, in order, shape (paths, length).
    """
    n = len(first) - 1
    free, hopeless = np.ones(n, np.bool_), np.zeros(n, np.bool_)
    degree = (first[1:] - first[:-1]).copy()
    paths = np.empty((n // length, length), np.int64)
    count = 0
    line = np.empty(2 * length, np.int64)
    while count < len(paths):
        start = -1
        for q in range(n):
            if free[q] and not hopeless[q] and (start < 0 or degree[q] < degree[start]):
                start = q
        if start < 0:
            break
        low, high = length, length
        line[low] = start
        free[start] = False
        tail = True
        while high - low + 1 < length:
            end, best = line[high] if tail else line[low], -1
            for e in range(first[end], first[end + 1]):
                q = neighbour[e]
                if free[q] and (best < 0 or degree[q] < degree[best]):
                    best = q
            if best < 0:
                if not tail:
                    break
                tail = False
                continue
            # Neighbours of a qubit count it as free until the path has left it.
            for e in range(first[end], first[end + 1]):
                degree[neighbour[e]] -= 1
            free[best] = False
            if tail:
                high += 1
                line[high] = best
            else:
                low -= 1
                line[low] = best
        if high - low + 1 == length:
            paths[count] = line[low : high + 1]
            count += 1
        else:
            for p in range(low, high + 1):
                free[line[p]] = True
            hopeless[start] = True
        for q in range(n):
            degree[q] = 0
            for e in range(first[q], first[q + 1]):
                degree[q] += free[neighbour[e]]
    return paths[:count]


@kernel
def first_bad_copy(
    ptr: Longs,
    qubit: Longs,
    chains: int,
    i: Longs,
    j: Longs,
    first: Longs,
    neighbour: Longs,
    qubits: int,
) -> int:
    """Check disjoint embeddings of a shape on a working graph.

    Args:
        ptr, qubit: chain c is ``qubit[ptr[c]:ptr[c + 1]]``; copies of ``chains`` chains each.
        i, j: the edges of the shape, between chains of a copy.
        first, neighbour: the working graph in CSR form; qubits: how many it has.

    Returns:
        The first copy that is not a disjoint, connected embedding; -1 when all are.
    """
    owner = np.full(qubits, -1, np.int64)
    for c in range(len(ptr) - 1):
        if ptr[c + 1] <= ptr[c]:
            return c // chains
        for p in range(ptr[c], ptr[c + 1]):
            if qubit[p] < 0 or qubit[p] >= qubits or owner[qubit[p]] >= 0:
                return c // chains
            owner[qubit[p]] = c
    stack = np.empty(qubits, np.int64)
    reached = np.zeros(qubits, np.bool_)
    for c in range(len(ptr) - 1):
        top, seen = 1, 1
        stack[0] = qubit[ptr[c]]
        reached[stack[0]] = True
        while top:
            top -= 1
            q = stack[top]
            for e in range(first[q], first[q + 1]):
                if owner[neighbour[e]] == c and not reached[neighbour[e]]:
                    reached[neighbour[e]] = True
                    stack[top] = neighbour[e]
                    top += 1
                    seen += 1
        if seen != ptr[c + 1] - ptr[c]:
            return c // chains
    for copy in range((len(ptr) - 1) // max(chains, 1)):
        for t in range(len(i)):
            met = False
            chain = copy * chains + i[t]
            for p in range(ptr[chain], ptr[chain + 1]):
                for e in range(first[qubit[p]], first[qubit[p] + 1]):
                    if owner[neighbour[e]] == copy * chains + j[t]:
                        met = True
            if not met:
                return copy
    return -1
