"""Kernel that shortens an embedding: chains are taken out and laid anew, by the rule of Metropolis.

A round takes a node and some that lie close to it out of a valid embedding. Each is put back where
it meets the chains of most of its neighbours at once, and grows towards those that it does not meet
yet. The embedding stays valid from round to round, so the best one met is the result.
"""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Longs
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.graph import WorkingGraph
from qubo_attn.kernels.placing import Chains, Search, place_chain

# What a chain costs beside its qubits, per square of the qubits beyond its first.
_LONG = 0.05
# Nodes taken out at once, at most, and the chance that one more is taken out.
_OUT, _MORE = 8, 0.6
# Chances that a round begins at a chain of several qubits, and that the next node is a neighbour in
# the graph rather than one nearby on the machine.
_SEVERAL, _KIN = 0.5, 0.7


@kernel
def reroute(
    owner: Longs,
    first: Longs,
    neighbour: Longs,
    graph: WorkingGraph,
    longest: int,
    rounds: int,
    warm: float,
    cold: float,
    seed: int,
) -> Longs:
    """Return the best embedding met: fewest qubits, then the shortest longest chain.

    Args:
        owner: node of each qubit of a valid embedding, or -1; changed in place to the embedding
            that the search ends with.
        first, neighbour: the graph's neighbours of each node in CSR form.
        graph: the working graph.
        longest: qubits that a chain may have.
        rounds: how often chains are taken out.
        warm, cold: temperatures of the first and the last round, in qubits.
        seed: seed of all choices.

    Returns:
        The node of each qubit, as ``owner``.
    """
    nodes, qubits = len(first) - 1, len(owner)
    chains = Chains(
        owner, np.empty((nodes, longest), np.int64), np.zeros(nodes, np.int64), first, neighbour
    )
    for q in range(qubits):
        v = owner[q]
        if v >= 0:
            chains.members[v, chains.length[v]] = q
            chains.length[v] += 1
    zero = np.zeros(qubits, np.int64)
    search = Search(
        zero,
        zero.copy(),
        zero.copy(),
        zero.copy(),
        zero.copy(),
        zero.copy(),
        np.zeros(nodes, np.int64),
        np.zeros(nodes, np.int64),
        np.zeros(nodes, np.int64),
        np.zeros(1, np.int64),
    )
    np.random.seed(seed)  # Numba knows no generators
    best = owner.copy()
    total, peak = chains.length.sum(), chains.length.max()
    least, least_peak = total, peak
    out, kept = np.empty(_OUT, np.int64), np.empty((_OUT, longest), np.int64)
    before = np.empty(_OUT, np.int64)
    ratio = (cold / warm) ** (1.0 / max(rounds - 1, 1))
    heat = warm / ratio
    for _ in range(rounds):
        heat *= ratio
        count = _choose(out, chains, graph)
        cost, size = 0.0, 0
        for i in range(count):
            v = out[i]
            before[i] = chains.length[v]
            cost += _cost(before[i])
            size += before[i]
            for s in range(before[i]):
                kept[i, s] = chains.members[v, s]
                owner[kept[i, s]] = -1
            chains.length[v] = 0
        most = cost - heat * np.log(1.0 - np.random.random())
        spent, placed = 0.0, 0
        while placed < count:
            v = out[placed]
            near = kept[placed, np.random.randint(before[placed])]
            if not place_chain(v, near, chains, graph, search):
                break
            placed += 1
            spent += _cost(chains.length[v])
            if spent > most:
                break
        if placed < count or spent > most:
            for i in range(placed):
                for s in range(chains.length[out[i]]):
                    owner[chains.members[out[i], s]] = -1
            for i in range(count):
                v = out[i]
                chains.length[v] = before[i]
                for s in range(before[i]):
                    chains.members[v, s] = kept[i, s]
                    owner[kept[i, s]] = v
            continue
        total -= size
        for i in range(count):
            total += chains.length[out[i]]
        if total <= least:
            peak = chains.length.max()
            if total < least or peak < least_peak:
                least, least_peak = total, peak
                best[:] = owner
    return best


@kernel
def _cost(length: int) -> float:
    """Return what a chain costs."""
    return length + _LONG * (length - 1) * (length - 1)


@kernel
def _choose(out: Longs, chains: Chains, graph: WorkingGraph) -> int:
    """Fill in the nodes that are taken out; return how many."""
    nodes = len(chains.length)
    v = np.random.randint(nodes)
    if np.random.random() < _SEVERAL:
        for _ in range(nodes):
            if chains.length[v] > 1:
                break
            v = np.random.randint(nodes)
    out[0], count = v, 1
    while count < min(len(out), nodes) and np.random.random() < _MORE:
        u = out[np.random.randint(count)]
        degree = chains.first[u + 1] - chains.first[u]
        if degree and np.random.random() < _KIN:
            u = chains.neighbour[chains.first[u] + np.random.randint(degree)]
        else:
            q = chains.members[u, np.random.randint(chains.length[u])]
            degree = graph.first[q + 1] - graph.first[q]
            if degree:
                u = chains.owner[graph.neighbour[graph.first[q] + np.random.randint(degree)]]
        is_new = u >= 0
        for i in range(count):
            is_new = is_new and out[i] != u
        if is_new:
            out[count] = u
            count += 1
    for i in range(count):
        j = i + np.random.randint(count - i)
        out[i], out[j] = out[j], out[i]
    return count
