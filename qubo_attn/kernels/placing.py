"""Kernels that lay the chain of one node: where it meets its neighbours' chains, and no longer.

It begins at a qubit that meets as many of them as any, grows along paths that meet many of the
others per qubit, and loses the ends that it does not need.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Array, Longs
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.graph import WorkingGraph

# Chance that a start meets one chain less than it might.
_LESS = 0.2
# Qubits by which a path may be longer than the shortest one that meets anything.
_DETOUR = 1


class Chains(NamedTuple):
    """An embedding.

    Attributes:
        owner: node of each qubit, or -1.
        members: (nodes, longest): the qubits of each chain.
        length: how many each has; 0 while it is out.
        first, neighbour: the graph's neighbours of each node in CSR form.
    """

    owner: Longs
    members: Array
    length: Longs
    first: Longs
    neighbour: Longs


class Search(NamedTuple):
    """Scratch: an entry per qubit; of ``need``, ``met`` and ``touch`` per node, of ``turn`` one.

    Attributes:
        seen, last: numbers of the searches that reached a qubit, and counted it, last.
        queue: qubits in order of reach.
        parent, depth: the way back to the chain, and how long it is.
        gain: chains that are met at a qubit, or on the way to it.
        need: number of the placement that has yet to meet a node's chain.
        met: number of the qubit that a node's chain was counted for last.
        touch: couplers between the chain that is trimmed and that of each node.
        turn: number of the last search.
    """

    seen: Longs
    last: Longs
    queue: Longs
    parent: Longs
    depth: Longs
    gain: Longs
    need: Longs
    met: Longs
    touch: Longs
    turn: Longs


@kernel
def place_chain(v: int, near: int, chains: Chains, graph: WorkingGraph, search: Search) -> bool:
    """Lay the chain of a node that is out; return whether it meets all neighbours that are in.

    Args:
        v: the node.
        near: a qubit where it was, for a node none of whose neighbours is in.
        chains, graph, search: the embedding, the working graph and scratch.
    """
    owner, length, need, turn = chains.owner, chains.length, search.need, search.turn
    turn[0] += 1
    number, wanted = turn[0], 0
    for e in range(chains.first[v], chains.first[v + 1]):
        u = chains.neighbour[e]
        if length[u]:
            need[u] = number
            wanted += 1
    start = _start(v, number, chains, graph, search) if wanted else _free_near(near, owner, graph)
    if start < 0:
        return False
    _add(start, v, chains)
    wanted -= _meet(start, number, owner, graph, need)
    while wanted:
        end = _path(v, number, chains, graph, search)
        if end < 0 or length[v] + search.depth[end] > chains.members.shape[1]:
            for s in range(length[v]):
                owner[chains.members[v, s]] = -1
            length[v] = 0
            return False
        while owner[end] < 0:
            _add(end, v, chains)
            wanted -= _meet(end, number, owner, graph, need)
            end = search.parent[end]
    if length[v] > 1:
        _trim(v, chains, graph, search)
    return True


@kernel
def _add(q: int, v: int, chains: Chains) -> None:
    """Add a qubit to the chain of a node."""
    chains.owner[q] = v
    chains.members[v, chains.length[v]] = q
    chains.length[v] += 1


@kernel
def _meet(q: int, number: int, owner: Longs, graph: WorkingGraph, need: Longs) -> int:
    """Strike out the chains that a qubit meets; return how many."""
    met = 0
    for e in range(graph.first[q], graph.first[q + 1]):
        d = owner[graph.neighbour[e]]
        if d >= 0 and need[d] == number:
            need[d] = 0
            met += 1
    return met


@kernel
def _free_near(q: int, owner: Longs, graph: WorkingGraph) -> int:
    """Return a free qubit some random steps away, or -1."""
    for _ in range(8):
        degree = graph.first[q + 1] - graph.first[q]
        if owner[q] < 0 and (not degree or np.random.random() < 0.5):
            return q
        if degree:
            q = graph.neighbour[graph.first[q] + np.random.randint(degree)]
    return q if owner[q] < 0 else -1


@kernel
def _start(v: int, number: int, chains: Chains, graph: WorkingGraph, search: Search) -> int:
    """Return a free qubit that meets as many of the wanted chains as any, or one less; or -1."""
    owner, seen, last, gain = chains.owner, search.seen, search.last, search.gain
    search.turn[0] += 1
    call, tail, most = search.turn[0], 0, 0
    for e in range(chains.first[v], chains.first[v + 1]):
        u = chains.neighbour[e]
        if search.need[u] != number:
            continue
        search.turn[0] += 1
        for s in range(chains.length[u]):
            q = chains.members[u, s]
            for f in range(graph.first[q], graph.first[q + 1]):
                r = graph.neighbour[f]
                if owner[r] >= 0:
                    continue
                if seen[r] != call:
                    seen[r] = call
                    gain[r] = 0
                    search.queue[tail] = r
                    tail += 1
                if last[r] != search.turn[0]:
                    last[r] = search.turn[0]
                    gain[r] += 1
                    most = max(most, gain[r])
    if most > 1 and np.random.random() < _LESS:
        most -= 1
    start, ties = -1, 0
    for s in range(tail):
        r = search.queue[s]
        if gain[r] >= most:
            ties += 1
            if np.random.random() * ties < 1.0:
                start = r
    return start


@kernel
def _path(v: int, number: int, chains: Chains, graph: WorkingGraph, search: Search) -> int:
    """Return where a path from a chain ends that meets many wanted chains per qubit, or -1.

    ``search.parent`` leads back to the chain.
    """
    owner, seen, depth, gain = chains.owner, search.seen, search.depth, search.gain
    search.turn[0] += 1
    call, head, tail = search.turn[0], 0, 0
    for s in range(chains.length[v]):
        q = chains.members[v, s]
        seen[q], depth[q], gain[q] = call, 0, 0
        search.queue[tail] = q
        tail += 1
    room = chains.members.shape[1] - chains.length[v]
    best, best_gain, best_depth, ties, deepest = -1, 0, 1, 0, room
    while head < tail:
        q = search.queue[head]
        head += 1
        if depth[q] >= deepest:
            break
        for e in range(graph.first[q], graph.first[q + 1]):
            r = graph.neighbour[e]
            if seen[r] == call or owner[r] >= 0:
                continue
            seen[r] = call
            search.parent[r], depth[r] = q, depth[q] + 1
            search.turn[0] += 1
            worth = gain[q]
            for f in range(graph.first[r], graph.first[r + 1]):
                d = owner[graph.neighbour[f]]
                if d >= 0 and search.need[d] == number and search.met[d] != search.turn[0]:
                    search.met[d] = search.turn[0]
                    worth += 1
            gain[r] = worth
            search.queue[tail] = r
            tail += 1
            if not worth:
                continue
            if best < 0:
                deepest = min(room, depth[r] + _DETOUR)
            more = worth * best_depth - best_gain * depth[r]
            ties = 1 if more > 0 else ties + (more == 0)
            if more > 0 or (more == 0 and np.random.random() * ties < 1.0):
                best, best_gain, best_depth = r, worth, depth[r]
    return best


@kernel
def _trim(v: int, chains: Chains, graph: WorkingGraph, search: Search) -> None:
    """Free ends of a chain whose couplers to neighbours are all doubled by the rest of it."""
    owner, members, length, touch = chains.owner, chains.members, chains.length, search.touch
    for e in range(chains.first[v], chains.first[v + 1]):
        touch[chains.neighbour[e]] = 0
    for s in range(length[v]):
        q = members[v, s]
        for e in range(graph.first[q], graph.first[q + 1]):
            d = owner[graph.neighbour[e]]
            if d >= 0:
                touch[d] += 1
    s = 0
    while s < length[v] and length[v] > 1:
        q, inside = members[v, s], 0
        for e in range(graph.first[q], graph.first[q + 1]):
            d = owner[graph.neighbour[e]]
            inside += d == v
            if d >= 0:
                touch[d] -= 1
        spare = inside == 1
        for e in range(chains.first[v], chains.first[v + 1]):
            u = chains.neighbour[e]
            spare = spare and (length[u] == 0 or touch[u] > 0)
        if spare:
            owner[q] = -1
            length[v] -= 1
            members[v, s] = members[v, length[v]]
            s = 0
            continue
        for e in range(graph.first[q], graph.first[q + 1]):
            d = owner[graph.neighbour[e]]
            if d >= 0:
                touch[d] += 1
        s += 1
