"""Search for places of translated tiles on a working graph, so that as many as possible fit.

A tile is a small embedding in lattice coordinates. It is shifted so that one of its qubits falls on
a free one. On every lane that it touches, its wires take the order that hits the fewest other
copies. Wires of a lane are interchangeable in the ideal lattice, so this avoids defects and
neighbours without changing the embedding. A placement that pushes out no copy is a gain, one that
pushes out a single copy moves the gaps about until they join: no other move is made. Tiles of
several graphs may be packed at once; then a copy gives way to one that is worth as much. Where the
working graph lacks qubits or couplers the embedding is checked, and mended if it can be, before it
is taken.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Array, Longs
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.board import Copies, board_of, lay, lift
from qubo_attn.kernels.graph import WorkingGraph
from qubo_attn.kernels.mending import mend_clique

# Placements that could be tried in the time that mending one takes, per chain.
_MENDING = 12
# What stands for a tile that no order of wires places.
_NO_PLACE = -2


class Tiles(NamedTuple):
    """Embeddings of some graphs.

    Attributes:
        rows: int64, shape (tiles, largest, 5): u, lane, wire, position, chain; sorted by u and
            lane.
        sizes: int64, qubits of each tile.
        kind: int64, the graph that each tile embeds.
    """

    rows: Array
    sizes: Longs
    kind: Longs


class Kinds(NamedTuple):
    """Graphs that are packed, a kind each.

    Attributes:
        chains: int64, nodes of each.
        wanted: shape (kinds, most chains, most chains), whether two of its nodes are joined.
        slack: int64, qubits that a tile of it may lack before it is mended; 0 for no mending.
        worth: int64, what a copy counts: one gives way to others that are worth as much.
        left: int64, how many copies are still asked for; counted down.
    """

    chains: Longs
    wanted: Array
    slack: Longs
    worth: Longs
    left: Longs


class LatticeTable(NamedTuple):
    """A lattice, and which of its qubits work.

    Attributes:
        lane_width: positions a lane is wide.
        steps: int64, shape (shifts + 1, 2): shifts within a period, the period in the last row.
        orders: int64, the permutations of a lane's wires.
        table: int64, index of the qubit at u, lane, wire, position, or -1.
        places: int64, shape (qubits, 4), its inverse.
    """

    lane_width: int
    steps: Array
    orders: Array
    table: Longs
    places: Array


class _Trial(NamedTuple):
    """Scratch for one placement.

    Attributes:
        qubits: qubits of the tile, -1 for missing ones.
        chain: the chain that each is in.
        spot: place in the tile of each qubit, -1 between checks.
    """

    qubits: Longs
    chain: Longs
    spot: Longs


@kernel
def pack_tiles(
    tiles: Tiles,
    kinds: Kinds,
    lattice: LatticeTable,
    graph: WorkingGraph,
    copies: Copies,
    count: int,
    check: bool,
    moves: int,
    seed: int,
) -> int:
    """Pack disjoint copies of the tiles by moving gaps about.

    Args:
        tiles: embeddings of the graphs.
        kinds: the graphs.
        lattice: the lattice, and which of its qubits work.
        graph: the working graph.
        copies: copies to start from; overwritten by the best found.
        count: how many copies there are at the start.
        check: whether the working graph lacks anything.
        moves: placements tried, mending counted as many.
        seed: seed of all choices.

    Returns:
        How many copies there are in the end.
    """
    np.random.seed(seed)
    qubits, widest = len(lattice.places), copies.qubits.shape[1]
    longest = 0
    for t in range(len(tiles.sizes)):
        longest = max(longest, np.bincount(tiles.rows[t, : tiles.sizes[t], 4]).max())
    longest += 2
    board, gaps = board_of(copies, count, qubits)
    trial = _Trial(
        np.empty(widest, np.int64), np.empty(widest, np.int64), np.full(qubits, -1, np.int64)
    )
    waiting = kinds.left.sum()
    while moves > 0 and gaps > 0 and waiting > 0:
        moves -= 1
        goal = lattice.places[board.free[np.random.randint(gaps)]]
        t = np.random.randint(len(tiles.sizes))
        kind, size = tiles.kind[t], tiles.sizes[t]
        tile, slack = tiles.rows[t, :size], kinds.slack[kind]
        b = np.random.randint(size)
        if tile[b, 0] != goal[0]:
            continue
        across, along = (goal[1] - tile[b, 1]) * lattice.lane_width, goal[3] - tile[b, 3]
        dx, dy = (across, along) if goal[0] == 0 else (along, across)
        if not _is_symmetry(dx, dy, lattice.steps):
            continue
        hit = _place(tile, dx, dy, lattice, board.owner, slack, trial.qubits)
        if hit == _NO_PLACE:
            continue
        alike = hit >= 0 and copies.kind[hit] == kind
        if not alike and kinds.left[kind] == 0:
            continue
        if hit >= 0 and not alike and kinds.worth[copies.kind[hit]] > kinds.worth[kind]:
            continue
        if not check or _is_complete(tile, kinds.chains[kind], kinds.wanted[kind], graph, trial):
            trial.chain[:size] = tile[:, 4]
        elif slack == 0:
            continue
        else:
            moves -= _MENDING * kinds.chains[kind]
            size = _mend(tile, kinds.chains[kind], hit, graph, longest, board.owner, trial)
            if size == 0:
                continue
        if hit >= 0:
            kinds.left[copies.kind[hit]] += 1
            waiting += 1
            gaps = lift(hit, count - 1, gaps, copies, board)
            count -= 1
        gaps = lay(trial.qubits[:size], trial.chain[:size], count, gaps, copies, board)
        copies.kind[count] = kind
        kinds.left[kind] -= 1
        waiting -= 1
        count += 1
    return count


@kernel
def _is_symmetry(dx: int, dy: int, steps: Array) -> bool:
    """Return whether a shift maps the ideal lattice on itself."""
    period = steps[-1, 0]
    for s in range(len(steps) - 1):
        if (dx - steps[s, 0]) % period == 0 and (dy - steps[s, 1]) % period == 0:
            return True
    return False


@kernel
def _place(
    tile: Array, dx: int, dy: int, lattice: LatticeTable, owner: Longs, slack: int, out: Longs
) -> int:
    """Put a shifted tile where it pushes out at most one copy.

    Args:
        tile, dx, dy, lattice: the tile, its shift and the lattice.
        owner: copy that holds each qubit, or -1.
        slack: qubits of the tile that may be missing.
        out: filled with the qubits, -1 for missing ones.

    Returns:
        The copy pushed out, -1 for none, or `_NO_PLACE`.
    """
    table, orders = lattice.table, lattice.orders
    pushed, a, size = -1, 0, len(tile)
    while a < size:
        u, lane = tile[a, 0], tile[a, 1]
        end = a
        while end < size and tile[end, 0] == u and tile[end, 1] == lane:
            end += 1
        across, along = (dx, dy) if u == 0 else (dy, dx)
        row = lane + across // lattice.lane_width
        if row < 0 or row >= table.shape[1]:
            if end - a > slack:
                return _NO_PLACE
            slack -= end - a
            out[a:end] = -1
            a = end
            continue
        start = np.random.randint(len(orders))
        best, best_cost, best_pushed, best_missing = -1, 1 << 30, -1, 0
        for o in range(len(orders)):
            order = (start + o) % len(orders)
            hit, missing, fits = pushed, 0, True
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
                if c < 0 or c == hit:
                    continue
                if hit >= 0:
                    fits = False
                    break
                hit = c
            cost = missing + (2 if hit != pushed else 0)
            if fits and cost < best_cost:
                best, best_cost, best_pushed, best_missing = order, cost, hit, missing
                if cost == 0:
                    break
        if best < 0:
            return _NO_PLACE
        pushed = best_pushed
        slack -= best_missing
        for b in range(a, end):
            position = tile[b, 3] + along
            out[b] = -1
            if 0 <= position < table.shape[3]:
                out[b] = table[u, row, orders[best, tile[b, 2]], position]
        a = end
    return pushed


@kernel
def _is_complete(
    tile: Array, chains: int, wanted: Array, graph: WorkingGraph, trial: _Trial
) -> bool:
    """Return whether every chain of a placed tile is connected, and coupled where it must be."""
    size, out, spot = len(tile), trial.qubits, trial.spot
    for a in range(size):
        if out[a] < 0:
            return False
    met = np.zeros((chains, chains), np.bool_)
    group = np.arange(size)
    parts, pairs = size, 0
    for c in range(chains):
        for d in range(c):
            if wanted[c, d]:
                pairs += 1
    for a in range(size):
        spot[out[a]] = a
    for a in range(size):
        c = tile[a, 4]
        for e in range(graph.first[out[a]], graph.first[out[a] + 1]):
            b = spot[graph.neighbour[e]]
            if b < 0:
                continue
            d = tile[b, 4]
            if c != d:
                if not met[c, d]:
                    met[c, d] = True
                    met[d, c] = True
                    if wanted[c, d]:
                        pairs -= 1
            elif group[a] != group[b]:
                old, new = group[a], group[b]
                parts -= 1
                for s in range(size):
                    if group[s] == old:
                        group[s] = new
    for a in range(size):
        spot[out[a]] = -1
    return parts == chains and pairs == 0


@kernel
def _mend(
    tile: Array,
    chains: int,
    hit: int,
    graph: WorkingGraph,
    longest: int,
    owner: Longs,
    trial: _Trial,
) -> int:
    """Mend a placed tile within free qubits and those of the copy ``hit`` that it pushes out.

    Returns:
        How many qubits it has then, 0 where it cannot be mended.
    """
    chain_of = np.full(len(owner), -1, np.int64)
    free = (owner < 0) | (owner == hit)
    for a in range(len(tile)):
        if trial.qubits[a] >= 0:
            chain_of[trial.qubits[a]] = tile[a, 4]
    unmet, _ = mend_clique(chain_of, chains, free, graph, longest, len(trial.qubits))
    if unmet:
        return 0
    count = 0
    for q in range(len(chain_of)):
        if chain_of[q] >= 0:
            trial.qubits[count], trial.chain[count] = q, chain_of[q]
            count += 1
    return count
