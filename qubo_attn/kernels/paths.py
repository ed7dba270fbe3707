"""Paths carved out of a working graph."""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Array
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.graph import WorkingGraph


@kernel
def carve_paths(length: int, graph: WorkingGraph) -> Array:
    """Carve disjoint paths of one qubit a node out of a graph.

    A path starts at a free qubit with the fewest free neighbours and goes on to the neighbour that
    has the fewest (Warnsdorff's rule), so that no qubit is left behind alone. If it ends early, it
    goes on from its start.

    Args:
        length: nodes of each path.
        graph: the working graph.

    Returns:
        The qubits of each path, in order, shape (paths, length).
    """
    first, neighbour = graph.first, graph.neighbour
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
