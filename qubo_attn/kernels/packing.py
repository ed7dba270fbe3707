"""Placing translated tiles on a working graph so that as many as possible fit.

A tile is a small embedding in lattice coordinates. It is shifted so that one of its qubits falls on
a free one, and on every lane it touches its wires take the order that hits the fewest other copies;
wires of a lane are interchangeable in the ideal lattice, so this dodges defects and neighbours
without changing the embedding. A placement that pushes out no copy is a gain, one that pushes out a
single copy moves the gaps about until they join: no other move is made. Where the working graph
lacks qubits or couplers the embedding is checked, and mended if it can be, before it is taken.
"""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Array, Bools, Longs
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.mending import mend_clique

# Placements that could be tried in the time that mending one takes, per chain.
_MENDING = 12


@kernel
def _place(
    tile: Array,
    size: int,
    dx: int,
    dy: int,
    lane_width: int,
    table: Longs,
    orders: Array,
    owner: Longs,
    slack: int,
    out: Longs,
    pushed: Longs,
    trial: Longs,
) -> int:
    """Put a shifted tile where it pushes out at most ``len(pushed)`` copies.

    Args:
        tile, size, dx, dy, lane_width, table, orders: as in `pack_tiles`.
        owner: copy that holds each qubit, or -1.
        slack: qubits of the tile that may be missing.
        out: filled with the qubits, -1 for missing ones.
        pushed: filled with the copies pushed out; trial: room for as many.

    Returns:
        How many copies are pushed out, or -1 where the tile has no place.
    """
    count, a = 0, 0
    while a < size:
        u, lane = tile[a, 0], tile[a, 1]
        end = a
        while end < size and tile[end, 0] == u and tile[end, 1] == lane:
            end += 1
        across, along = (dx, dy) if u == 0 else (dy, dx)
        row = lane + across // lane_width
        if row < 0 or row >= table.shape[1]:
            if end - a > slack:
                return -1
            slack -= end - a
            out[a:end] = -1
            a = end
            continue
        start = np.random.randint(len(orders))
        best, best_cost, best_count, best_missing = -1, 1 << 30, 0, 0
        for o in range(len(orders)):
            order = (start + o) % len(orders)
            now, missing, fits = count, 0, True
            for b in range(a, end):
                position = tile[b, 3] + along
                q = -1
                if 0 <= position < table.shape[3]:
                    q = table[u, row, orders[order, tile[b, 2]], position]
                if q < 0:
                    missing += 1
                    if missing > slack:
                        fits = False
                        break
                    continue
                c = owner[q]
                if c < 0:
                    continue
                known = False
                for p in range(now):
                    # Copies that an earlier order pushed out are overwritten in ``trial``.
                    if (pushed[p] if p < count else trial[p]) == c:
                        known = True
                if not known:
                    if now == len(pushed):
                        fits = False
                        break
                    trial[now] = c
                    now += 1
            cost = 2 * (now - count) + missing
            if fits and cost < best_cost:
                best, best_cost, best_count, best_missing = order, cost, now, missing
                pushed[count:now] = trial[count:now]
                if cost == 0:
                    break
        if best < 0:
            return -1
        count = best_count
        slack -= best_missing
        for b in range(a, end):
            position = tile[b, 3] + along
            out[b] = -1
            if 0 <= position < table.shape[3]:
                out[b] = table[u, row, orders[best, tile[b, 2]], position]
        a = end
    return count


@kernel
def _complete(
    tile: Array, size: int, chains: int, out: Longs, first: Longs, neighbour: Longs, spot: Longs
) -> bool:
    """Return whether every chain is connected and every pair of chains coupled.

    Args:
        tile, size, chains, out: the tile and its qubits.
        first, neighbour: the working graph in CSR form.
        spot: -1 for every qubit, and so again afterwards.
    """
    for a in range(size):
        if out[a] < 0:
            return False
    met = np.zeros((chains, chains), np.bool_)
    group = np.arange(size)
    parts, pairs = size, 0
    for a in range(size):
        spot[out[a]] = a
    for a in range(size):
        c = tile[a, 4]
        for e in range(first[out[a]], first[out[a] + 1]):
            b = spot[neighbour[e]]
            if b < 0:
                continue
            d = tile[b, 4]
            if c != d:
                if not met[c, d]:
                    met[c, d] = True
                    met[d, c] = True
                    pairs += 1
            elif group[a] != group[b]:
                old, new = group[a], group[b]
                parts -= 1
                for s in range(size):
                    if group[s] == old:
                        group[s] = new
    for a in range(size):
        spot[out[a]] = -1
    return parts == chains and 2 * pairs == chains * (chains - 1)


@kernel
def _mend(
    tile: Array,
    size: int,
    chains: int,
    out: Longs,
    part: Longs,
    owner: Longs,
    pushed: Longs,
    first: Longs,
    neighbour: Longs,
    longest: int,
) -> int:
    """Mend a tile within free qubits; fill ``out`` and ``part`` anew, return its size or 0."""
    mine = np.full(len(owner), -1, np.int64)
    free = owner < 0
    for c in pushed:
        free |= owner == c
    for a in range(size):
        if out[a] >= 0:
            mine[out[a]] = tile[a, 4]
    unmet, _ = mend_clique(mine, chains, free, first, neighbour, longest, len(out), True)
    if unmet:
        return 0
    count = 0
    for q in range(len(mine)):
        if mine[q] >= 0:
            out[count], part[count] = q, mine[q]
            count += 1
    return count


@kernel
def pack_tiles(
    tiles: Array,
    sizes: Longs,
    chains: int,
    lane_width: int,
    steps: Array,
    table: Longs,
    places: Array,
    orders: Array,
    first: Longs,
    neighbour: Longs,
    check: bool,
    slack: int,
    held: Array,
    part: Array,
    held_size: Longs,
    count: int,
    moves: int,
    seed: int,
) -> int:
    """Pack disjoint copies of the tiles by moving gaps about.

    Args:
        tiles: (tiles, largest, 5): u, lane, wire, position, chain; sorted by u and lane.
        sizes: qubits of each tile.
        chains: chains of every tile; lane_width: positions a lane is wide.
        steps: shifts within a period, the period in the last row.
        table: index of the qubit at u, lane, wire, position, or -1; places: its inverse.
        orders: permutations of a lane's wires.
        first, neighbour: the working graph in CSR form.
        check: whether it lacks anything.
        slack: qubits that a tile may lack before it is mended; 0 for no mending.
        held: (copies, widest): qubits of the copies to start from; overwritten by the best found.
        part: the chain of each of them; held_size: how many each copy has.
        count: how many copies there are at the start.
        moves: placements tried, mending counted as many; seed: of all choices.

    Returns:
        How many copies there are in the end.
    """
    np.random.seed(seed)
    qubits, widest = len(places), held.shape[1]
    longest = 0
    for t in range(len(sizes)):
        longest = max(longest, np.bincount(tiles[t, : sizes[t], 4]).max())
    longest += 2
    owner = np.full(qubits, -1, np.int64)
    spot = np.full(qubits, -1, np.int64)
    for c in range(count):
        owner[held[c, : held_size[c]]] = c
    # The free qubits as a list, and where in it each is.
    free = np.flatnonzero(owner < 0)
    gaps = len(free)
    free = np.append(free, np.zeros(qubits - gaps, np.int64))
    index = np.full(qubits, -1, np.int64)
    for g in range(gaps):
        index[free[g]] = g
    out, chain = np.empty(widest, np.int64), np.empty(widest, np.int64)
    pushed, trial = np.empty(1, np.int64), np.empty(1, np.int64)
    period = steps[-1, 0]
    while moves > 0 and gaps > 0 and count < len(held):
        moves -= 1
        goal = places[free[np.random.randint(gaps)]]
        t = np.random.randint(len(sizes))
        tile, size = tiles[t], sizes[t]
        b = np.random.randint(size)
        if tile[b, 0] != goal[0]:
            continue
        across, along = (goal[1] - tile[b, 1]) * lane_width, goal[3] - tile[b, 3]
        dx, dy = (across, along) if goal[0] == 0 else (along, across)
        aligned = False
        for s in range(len(steps) - 1):
            if (dx - steps[s, 0]) % period == 0 and (dy - steps[s, 1]) % period == 0:
                aligned = True
        if not aligned:
            continue
        hit = _place(
            tile, size, dx, dy, lane_width, table, orders, owner, slack, out, pushed, trial
        )
        if hit < 0:
            continue
        if check and not _complete(tile, size, chains, out, first, neighbour, spot):
            if slack == 0:
                continue
            moves -= _MENDING * chains
            size = _mend(
                tile, size, chains, out, chain, owner, pushed[:hit], first, neighbour, longest
            )
            if size == 0:
                continue
        else:
            chain[:size] = tile[:size, 4]
        if hit:
            c = pushed[0]
            for s in range(held_size[c]):
                q = held[c, s]
                owner[q], free[gaps], index[q] = -1, q, gaps
                gaps += 1
            count -= 1
            if c != count:
                held[c], part[c], held_size[c] = held[count], part[count], held_size[count]
                owner[held[c, : held_size[c]]] = c
        for s in range(size):
            q = out[s]
            owner[q] = count
            gaps -= 1
            last = free[gaps]
            free[index[q]], index[last], index[q] = last, index[q], -1
        held[count, :size], part[count, :size], held_size[count] = out[:size], chain[:size], size
        count += 1
    return count


@kernel
def whole_cliques(
    ptr: Longs, qubit: Longs, chains: int, first: Longs, neighbour: Longs, qubits: int
) -> Bools:
    """Check disjoint clique embeddings on a working graph.

    Args:
        ptr, qubit: chain c is ``qubit[ptr[c]:ptr[c + 1]]``; copies of ``chains`` chains each.
        first, neighbour: the working graph in CSR form; qubits: how many it has.

    Returns:
        For each copy whether it is a connected, complete embedding on qubits that exist and that no
        copy before it holds.
    """
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
    for copy in range(copies):
        if not whole[copy]:
            continue
        met = np.zeros((chains, chains), np.bool_)
        for c in range(chains):
            chain = copy * chains + c
            top, seen = 1, 1
            stack[0] = qubit[ptr[chain]]
            reached[stack[0]] = True
            while top:
                top -= 1
                q = stack[top]
                for e in range(first[q], first[q + 1]):
                    other = neighbour[e]
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
        for c in range(chains):
            for d in range(c):
                if not met[c, d]:
                    whole[copy] = False
    return whole
