"""Placing translated tiles on a working graph so that as many as possible fit.

A tile is a small embedding in lattice coordinates. It is shifted to a place, and on every lane it
touches its wires take any order that finds working, free qubits; wires of a lane are
interchangeable in the ideal lattice, so this dodges defects and neighbours without changing the
embedding. Where couplers are missing the embedding is checked before it is taken. The search then
ruins a window and recreates it, and keeps what holds at least as many tiles.
"""

from __future__ import annotations

import numpy as np

from qubo_attn.arrays import Array, Bools, Floats, Longs
from qubo_attn.kernels._jit import kernel


@kernel
def _place(
    tile: Array,
    size: int,
    dx: int,
    dy: int,
    lane_width: int,
    table: Longs,
    orders: Array,
    used: Bools,
    out: Longs,
) -> bool:
    """Put a shifted tile on free qubits; fill ``out`` with them, or return False."""
    a = 0
    while a < size:
        u, lane = tile[a, 0], tile[a, 1]
        end = a
        while end < size and tile[end, 0] == u and tile[end, 1] == lane:
            end += 1
        across, along = (dx, dy) if u == 0 else (dy, dx)
        row = lane + across // lane_width
        if row < 0 or row >= table.shape[1]:
            return False
        start = np.random.randint(len(orders))
        placed = False
        for o in range(len(orders)):
            order = orders[(start + o) % len(orders)]
            fits = True
            for b in range(a, end):
                position = tile[b, 3] + along
                if position < 0 or position >= table.shape[3]:
                    return False
                q = table[u, row, order[tile[b, 2]], position]
                if q < 0 or used[q]:
                    fits = False
                    break
                out[b] = q
            if fits:
                placed = True
                break
        if not placed:
            return False
        a = end
    return True


@kernel
def _complete(tile: Array, size: int, chains: int, out: Longs, coupled: Bools) -> bool:
    """Return whether every chain is connected and every pair of chains coupled."""
    met = np.zeros((chains, chains), np.bool_)
    group = np.arange(size)
    for a in range(size):
        for b in range(a):
            if coupled[out[a], out[b]]:
                c, d = tile[a, 4], tile[b, 4]
                met[c, d] = True
                met[d, c] = True
                if c == d and group[a] != group[b]:
                    old, new = group[a], group[b]
                    for s in range(size):
                        if group[s] == old:
                            group[s] = new
    for a in range(size):
        for b in range(a):
            if tile[a, 4] == tile[b, 4] and group[a] != group[b]:
                return False
    for c in range(chains):
        for d in range(c):
            if not met[c, d]:
                return False
    return True


@kernel
def pack_tiles(
    tiles: Array,
    sizes: Longs,
    centres: Floats,
    chains: int,
    lane_width: int,
    steps: Array,
    table: Longs,
    orders: Array,
    coupled: Bools,
    check: bool,
    most: int,
    window: float,
    tries: int,
    rounds: int,
    seed: int,
) -> tuple[Array, Longs]:
    """Pack disjoint copies of the tiles by ruin and recreate.

    Args:
        tiles: (tiles, largest, 5): u, lane, wire, position, chain; sorted by u and lane.
        sizes: qubits of each tile; centres: (tiles, 2), x and y in positions.
        chains: chains of every tile; lane_width: positions a lane is wide.
        steps: shifts within a period, the period in the last row.
        table: index of the qubit at u, lane, wire, position, or -1.
        orders: permutations of a lane's wires.
        coupled: (qubits, qubits), read only when ``check``.
        most: most copies; window: half width of a ruined window, in positions.
        tries: placements tried in a window; rounds: windows ruined after the first fill.
        seed: of all choices.

    Returns:
        Qubits of each copy (copies, largest), -1 beyond its size, and its tile.
    """
    np.random.seed(seed)
    largest = tiles.shape[1]
    length = table.shape[3]
    period = steps[-1, 0]
    used = np.zeros(coupled.shape[0], np.bool_)
    held = np.full((most, largest), -1, np.int64)
    kind = np.zeros(most, np.int64)
    x, y = np.zeros(most), np.zeros(most)
    old_held, old_kind = held.copy(), kind.copy()
    old_x, old_y = x.copy(), y.copy()
    out = np.zeros(largest, np.int64)
    count = 0
    span = float(length)
    for turn in range(rounds + 1):
        removed = 0
        middle_x, middle_y, half = span / 2, span / 2, span
        attempts = tries * 60
        if turn > 0:
            half = window * (0.6 + 0.8 * np.random.random())
            middle_x, middle_y = np.random.random() * span, np.random.random() * span
            attempts = tries
            c = 0
            while c < count:
                if abs(x[c] - middle_x) <= half and abs(y[c] - middle_y) <= half:
                    old_held[removed], old_kind[removed] = held[c], kind[c]
                    old_x[removed], old_y[removed] = x[c], y[c]
                    removed += 1
                    for s in range(sizes[kind[c]]):
                        used[held[c, s]] = False
                    count -= 1
                    held[c], kind[c], x[c], y[c] = held[count], kind[count], x[count], y[count]
                else:
                    c += 1
        base = count
        for _ in range(attempts):
            if count >= most:
                break
            t = np.random.randint(len(sizes))
            step = np.random.randint(len(steps) - 1)
            reach = half + period
            goal_x = middle_x + (2 * np.random.random() - 1) * reach - centres[t, 0]
            goal_y = middle_y + (2 * np.random.random() - 1) * reach - centres[t, 1]
            dx = int(np.floor(goal_x / period + 0.5)) * period + steps[step, 0]
            dy = int(np.floor(goal_y / period + 0.5)) * period + steps[step, 1]
            if not _place(tiles[t], sizes[t], dx, dy, lane_width, table, orders, used, out):
                continue
            if check and not _complete(tiles[t], sizes[t], chains, out, coupled):
                continue
            for s in range(sizes[t]):
                held[count, s] = out[s]
                used[out[s]] = True
            kind[count] = t
            x[count], y[count] = centres[t, 0] + dx, centres[t, 1] + dy
            count += 1
        if count - base < removed:
            for c in range(base, count):
                for s in range(sizes[kind[c]]):
                    used[held[c, s]] = False
            count = base
            for c in range(removed):
                held[count], kind[count] = old_held[c], old_kind[c]
                x[count], y[count] = old_x[c], old_y[c]
                for s in range(sizes[kind[count]]):
                    used[held[count, s]] = True
                count += 1
    return held[:count], kind[:count]


@kernel
def first_bad_clique(
    ptr: Longs, qubit: Longs, chains: int, first: Longs, neighbour: Longs, qubits: int
) -> int:
    """Check disjoint clique embeddings on a working graph.

    Args:
        ptr, qubit: chain c is ``qubit[ptr[c]:ptr[c + 1]]``; copies of ``chains`` chains each.
        first, neighbour: the working graph in CSR form; qubits: how many it has.

    Returns:
        The first copy that is not a disjoint, connected, complete embedding; -1 when all are.
    """
    owner = np.full(qubits, -1, np.int64)
    copies = (len(ptr) - 1) // max(chains, 1)
    for c in range(len(ptr) - 1):
        if ptr[c + 1] <= ptr[c]:
            return c // chains
        for p in range(ptr[c], ptr[c + 1]):
            if qubit[p] < 0 or qubit[p] >= qubits or owner[qubit[p]] >= 0:
                return c // chains
            owner[qubit[p]] = c
    stack = np.empty(qubits, np.int64)
    reached = np.zeros(qubits, np.bool_)
    for copy in range(copies):
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
                return copy
        for c in range(chains):
            for d in range(c):
                if not met[c, d]:
                    return copy
    return -1
