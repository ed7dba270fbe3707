"""Search for places of translated tiles on a working graph, so that as many as possible fit.

A tile is a small embedding in lattice coordinates. It is shifted so that one of its qubits falls on
a free one (`qubo_attn.kernels.tiles`). A placement that pushes out no copy is a gain, and one that
pushes out others that are worth as much moves the gaps about until they join. Tiles of several
graphs may be packed at once; with some heat a copy then gives way to one that is worth a little
less, ever more rarely. Where a few qubits of a tile of a clique do not work, or others hold them,
it is mended in what is free around.
"""

from __future__ import annotations

from math import exp, log
from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Array, Longs
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.board import Copies, board_of, lay, lift
from qubo_attn.kernels.graph import WorkingGraph
from qubo_attn.kernels.tiles import (
    MOST_PUSHED,
    LatticeTable,
    Trial,
    is_complete,
    is_symmetry,
    mend_tile,
    place_tile,
)

# Placements that could be tried in the time that mending one takes, per chain.
_MENDING = 5
# Share of the tries that push out nothing: what others hold is mended around.
_AROUND = 0.3
# Shares of the tries for a graph that waits, and of the others for that of a copy drawn at random.
_WAITING, _LAID = 0.2, 0.5
# How unwelcome each qubit is by which a copy is larger than those that it pushes out.
_GROWTH = 0.3


class Tiles(NamedTuple):
    """Embeddings of some graphs.

    Attributes:
        rows: int64, shape (tiles, largest, 5): u, lane, wire, position, chain; sorted by u and
            lane.
        sizes: int64, qubits of each tile.
        ptr: int64, tiles ``ptr[k]:ptr[k + 1]`` embed graph k.
    """

    rows: Array
    sizes: Longs
    ptr: Longs


class Kinds(NamedTuple):
    """Graphs that are packed, a kind each.

    Attributes:
        chains: int64, nodes of each.
        wanted: shape (kinds, most chains, most chains), whether two of its nodes are joined.
        slack: int64, qubits that a tile of it may lack before it is mended; 0 for no mending.
        around: int64, as ``slack``, where what others hold is mended around too.
        worth: int64, what a copy counts: one gives way to others that are worth as much.
        left: int64, how many copies are still asked for; counted down.
    """

    chains: Longs
    wanted: Array
    slack: Longs
    around: Longs
    worth: Longs
    left: Longs


class Search(NamedTuple):
    """How to search.

    Attributes:
        check: whether the working graph lacks anything.
        longest: qubits that a mended chain may have.
        moves: placements tried, mending counted as many.
        heat, cold: qubits that a placement may lose at first, or so, and at last.
        seed: seed of all choices.
    """

    check: bool
    longest: int
    moves: int
    heat: float
    cold: float
    seed: int


@kernel
def pack_tiles(
    tiles: Tiles,
    kinds: Kinds,
    lattice: LatticeTable,
    graph: WorkingGraph,
    copies: Copies,
    count: int,
    search: Search,
) -> int:
    """Pack disjoint copies of the tiles by moving gaps about.

    Args:
        tiles: embeddings of the graphs.
        kinds: the graphs.
        lattice: the lattice, and which of its qubits work.
        graph: the working graph.
        copies: copies to start from; overwritten by those at the end.
        count: how many copies there are at the start.
        search: how to search.

    Returns:
        How many copies there are in the end.
    """
    np.random.seed(search.seed)
    qubits, widest = len(lattice.places), copies.qubits.shape[1]
    board, gaps = board_of(copies, count, qubits)
    trial = Trial(
        np.empty(widest, np.int64),
        np.empty(widest, np.int64),
        np.full(qubits, -1, np.int64),
        np.empty(MOST_PUSHED, np.int64),
    )
    worth = np.zeros(len(copies.sizes), np.int64)
    for c in range(count):
        worth[c] = kinds.worth[copies.kind[c]]
    waiting, moves = kinds.left.sum(), search.moves
    while moves > 0 and gaps > 0 and waiting > 0:
        moves -= 1
        goal = lattice.places[board.free[np.random.randint(gaps)]]
        kind = _draw(kinds.left, copies.kind, count)
        t = tiles.ptr[kind] + np.random.randint(tiles.ptr[kind + 1] - tiles.ptr[kind])
        size = tiles.sizes[t]
        tile, slack, budget = tiles.rows[t, :size], kinds.slack[kind], kinds.worth[kind]
        b = np.random.randint(size)
        if tile[b, 0] != goal[0]:
            continue
        across, along = (goal[1] - tile[b, 1]) * lattice.lane_width, goal[3] - tile[b, 3]
        dx, dy = (across, along) if goal[0] == 0 else (along, across)
        if not is_symmetry(dx, dy, lattice.steps):
            continue
        if kinds.around[kind] and kinds.left[kind] and np.random.random() < _AROUND:
            slack, budget = kinds.around[kind], -1
        elif search.heat > 0.0:
            heat = search.cold + (search.heat - search.cold) * moves / search.moves
            budget += int(-heat * log(1.0 - np.random.random()))
        pushed = place_tile(tile, dx, dy, lattice, board.owner, worth, slack, budget, trial)
        if pushed < 0:
            continue
        alike, excess = kinds.left[kind] > 0, 0
        for n in range(pushed):
            c = trial.pushed[n]
            alike |= copies.kind[c] == kind
            excess += copies.sizes[c] - worth[c]
        if not alike:
            continue
        whole = not search.check and budget >= 0
        chains = kinds.chains[kind]
        if whole or is_complete(tile, chains, kinds.wanted[kind], graph, trial):
            trial.chain[:size] = tile[:, 4]
        elif slack == 0:
            continue
        else:
            moves -= _MENDING * chains
            most = min(widest, size + size // 2)
            size = mend_tile(tile, chains, pushed, graph, search.longest, most, board.owner, trial)
            if size == 0:
                continue
        growth = size - kinds.worth[kind] - excess
        if pushed and growth > 0 and np.random.random() > exp(-_GROWTH * growth):
            continue
        trial.pushed[:pushed].sort()
        for n in range(pushed - 1, -1, -1):
            c = trial.pushed[n]
            kinds.left[copies.kind[c]] += 1
            count -= 1
            gaps = lift(c, count, gaps, copies, board)
            worth[c] = worth[count]
        gaps = lay(trial.qubits[:size], trial.chain[:size], count, gaps, copies, board)
        copies.kind[count], worth[count] = kind, kinds.worth[kind]
        kinds.left[kind] -= 1
        waiting += pushed - 1
        count += 1
    return count


@kernel
def _draw(left: Longs, kind: Longs, count: int) -> int:
    """Return the kind to try next: one that waits, that of some copy, or any."""
    kinds = len(left)
    if kinds == 1:
        return 0
    chance, k = np.random.random(), np.random.randint(kinds)
    if chance < _WAITING:
        while left[k] == 0:
            k = (k + 1) % kinds
    elif count and chance < _WAITING + (1.0 - _WAITING) * _LAID:
        k = kind[np.random.randint(count)]
    return k
