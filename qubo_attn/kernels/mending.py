"""Mending of damaged clique embeddings.

What a defect breaks is small: a chain falls apart, or two chains lose the coupler they met at. The
largest piece of each chain is kept, and chains then grow through free qubits, along the path that
meets the most missing partners per qubit. Qubits that turn out not to be needed are given back.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Array, Bools, Longs
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.graph import WorkingGraph


class _Chains(NamedTuple):
    """Chains that grow and shrink.

    Attributes:
        owner: chain of each qubit, or -1.
        members: (chains, longest): the qubits of each chain.
        length: how many each has.
        met: (chains, chains): couplers between two chains.
        lacking: how many others each chain does not meet.
    """

    owner: Longs
    members: Array
    length: Longs
    met: Array
    lacking: Longs


class _Search(NamedTuple):
    """Scratch of a breadth-first search, one entry per qubit; ``stamp``: one per chain.

    Attributes:
        seen: number of the search that reached a qubit last.
        queue: qubits in order of reach.
        parent, depth: the way back to the chain, and how long it is.
        gain: chains newly met at a qubit.
        stamp: search and qubit for which a chain was counted last.
    """

    seen: Longs
    queue: Longs
    parent: Longs
    depth: Longs
    gain: Longs
    stamp: Longs


@kernel
def mend_clique(
    owner: Longs, chains: int, free: Bools, graph: WorkingGraph, longest: int, most: int
) -> tuple[int, Longs]:
    """Make the chains in ``owner`` a clique embedding, growing them through free qubits.

    Args:
        owner: chain of each qubit or -1; changed in place.
        chains: how many chains there are.
        free: qubits that chains may grow into; chains' own qubits must be free too.
        graph: the working graph.
        longest: qubits that a chain may have.
        most: qubits that all may have together; with 0 no chain grows, and no qubit that is not
            needed is taken off in the end.

    Returns:
        How many pairs of chains are not coupled (also when given up), and for each chain how many
        others it does not meet; a chain without qubits meets none.
    """
    qubits = len(owner)
    state = _Chains(
        owner,
        np.empty((chains, longest), np.int64),
        np.zeros(chains, np.int64),
        np.zeros((chains, chains), np.int64),
        np.zeros(chains, np.int64),
    )
    search = _Search(
        np.zeros(qubits, np.int64),
        np.empty(qubits, np.int64),
        np.empty(qubits, np.int64),
        np.empty(qubits, np.int64),
        np.empty(qubits, np.int64),
        np.zeros(chains, np.int64),
    )
    _keep_largest_pieces(state, graph, search)
    unmet = _count_met(state, graph)
    total, lacking = state.length.sum(), state.lacking
    stuck = np.zeros(chains, np.bool_)
    mark = 1
    while unmet and most:
        c, worst = chains, 0
        for d in range(chains):
            if not stuck[d] and lacking[d] > worst:
                c, worst = d, lacking[d]
        if not worst:
            break
        mark += 1
        room = min(longest - state.length[c], most - total)
        end = _best_path(c, room, free, state, graph, search, mark)
        if end < 0:
            stuck[c] = True
            continue
        while owner[end] < 0:
            unmet -= _take(end, c, state, graph)
            total += 1
            end = search.parent[end]
    if most:
        _take_off(state, graph)
    return unmet, lacking


@kernel
def _keep_largest_pieces(state: _Chains, graph: WorkingGraph, search: _Search) -> None:
    """Reduce each chain to its largest connected piece, at most as long as a chain may be."""
    owner, members, length = state.owner, state.members, state.length
    seen, queue = search.seen, search.queue
    for root in range(len(owner)):
        c = owner[root]
        if c < 0 or seen[root]:
            continue
        seen[root] = 1
        queue[0] = root
        head, tail = 0, 1
        while head < tail:
            q = queue[head]
            head += 1
            for e in range(graph.first[q], graph.first[q + 1]):
                r = graph.neighbour[e]
                if owner[r] == c and not seen[r]:
                    seen[r] = 1
                    queue[tail] = r
                    tail += 1
        size = min(tail, members.shape[1])
        if size > length[c]:
            for s in range(length[c]):
                owner[members[c, s]] = -1
            for s in range(size):
                members[c, s] = queue[s]
            length[c] = size
            for s in range(size, tail):
                owner[queue[s]] = -1
        else:
            for s in range(tail):
                owner[queue[s]] = -1


@kernel
def _count_met(state: _Chains, graph: WorkingGraph) -> int:
    """Fill the counts of couplers between chains; return how many pairs have none."""
    unmet = 0
    for c in range(len(state.length)):
        for s in range(state.length[c]):
            q = state.members[c, s]
            for e in range(graph.first[q], graph.first[q + 1]):
                d = state.owner[graph.neighbour[e]]
                if d >= 0:
                    state.met[c, d] += 1
        for d in range(len(state.length)):
            if d != c and state.met[c, d] == 0:
                state.lacking[c] += 1
        unmet += state.lacking[c]
    return unmet // 2


@kernel
def _best_path(
    c: int,
    room: int,
    free: Bools,
    state: _Chains,
    graph: WorkingGraph,
    search: _Search,
    mark: int,
) -> int:
    """Find where the path from a chain that meets the most missing partners per qubit ends.

    Args:
        c: the chain.
        room: qubits that the path may have.
        free: qubits that it may take.
        state, graph, search: the chains, the working graph and scratch.
        mark: number of this search.

    Returns:
        The last qubit of the path, -1 where none helps; ``search.parent`` leads back to the chain.
    """
    seen, queue, depth, gain = search.seen, search.queue, search.depth, search.gain
    worst = state.lacking[c]
    head, tail = 0, 0
    for s in range(state.length[c]):
        q = state.members[c, s]
        seen[q] = mark
        depth[q], gain[q], search.parent[q] = 0, 0, -1
        queue[tail] = q
        tail += 1
    best, best_gain, best_depth = -1, 0, 1
    while head < tail:
        q = queue[head]
        head += 1
        if depth[q] >= room or (best >= 0 and depth[q] * best_gain > worst * best_depth):
            break
        for e in range(graph.first[q], graph.first[q + 1]):
            r = graph.neighbour[e]
            if seen[r] == mark or state.owner[r] >= 0 or not free[r]:
                continue
            seen[r] = mark
            search.parent[r], depth[r] = q, depth[q] + 1
            turn = mark * len(seen) + r
            worth = gain[q]
            for f in range(graph.first[r], graph.first[r + 1]):
                d = state.owner[graph.neighbour[f]]
                if d >= 0 and d != c and state.met[c, d] == 0 and search.stamp[d] != turn:
                    search.stamp[d] = turn
                    worth += 1
            gain[r] = worth
            queue[tail] = r
            tail += 1
            if worth * best_depth > best_gain * depth[r]:
                best, best_gain, best_depth = r, worth, depth[r]
    return best


@kernel
def _take(q: int, c: int, state: _Chains, graph: WorkingGraph) -> int:
    """Add a free qubit to a chain; return how many chains it meets by it for the first time."""
    state.owner[q] = c
    state.members[c, state.length[c]] = q
    state.length[c] += 1
    newly = 0
    for e in range(graph.first[q], graph.first[q + 1]):
        d = state.owner[graph.neighbour[e]]
        if d >= 0:
            if d != c and state.met[c, d] == 0:
                state.lacking[c] -= 1
                state.lacking[d] -= 1
                newly += 1
            state.met[c, d] += 1
            state.met[d, c] += 1
    return newly


@kernel
def _take_off(state: _Chains, graph: WorkingGraph) -> None:
    """Free ends of chains whose couplers are all doubled elsewhere, from long chains first."""
    owner, members, length, met = state.owner, state.members, state.length, state.met
    chains = len(length)
    touches = np.zeros(chains, np.int64)
    for c in np.argsort(-length):
        s = 0
        while s < length[c]:
            q = members[c, s]
            inside = 0
            needed = length[c] == 1
            touches[:] = 0
            for e in range(graph.first[q], graph.first[q + 1]):
                d = owner[graph.neighbour[e]]
                if d == c:
                    inside += 1
                elif d >= 0:
                    touches[d] += 1
                    if touches[d] == met[c, d]:
                        needed = True
            # Only ends come off: a chain stays connected without a qubit that has one neighbour.
            if needed or inside != 1:
                s += 1
                continue
            owner[q] = -1
            length[c] -= 1
            members[c, s] = members[c, length[c]]
            for d in range(chains):
                met[c, d] -= touches[d]
                met[d, c] -= touches[d]
            s = 0
