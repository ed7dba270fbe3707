"""One tile put on a working graph: moved, its wires in the best order, checked, and mended.

On every lane that a tile touches, its wires take the order that hits the least of what lies there.
Wires of a lane are interchangeable in the ideal lattice, so this avoids defects and neighbours
without changing the embedding.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Array, Longs
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.graph import WorkingGraph
from qubo_attn.kernels.mending import mend_clique

# Copies that one tile may push out.
MOST_PUSHED = 8


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


class Trial(NamedTuple):
    """Scratch for one placement.

    Attributes:
        qubits: qubits of the tile, -1 for missing ones.
        chain: the chain that each is in.
        spot: place in the tile of each qubit, -1 between checks.
        pushed: copies that it pushes out.
    """

    qubits: Longs
    chain: Longs
    spot: Longs
    pushed: Longs


@kernel
def is_symmetry(dx: int, dy: int, steps: Array) -> bool:
    """Return whether a shift maps the ideal lattice on itself."""
    period = steps[-1, 0]
    for s in range(len(steps) - 1):
        if (dx - steps[s, 0]) % period == 0 and (dy - steps[s, 1]) % period == 0:
            return True
    return False


@kernel
def place_tile(
    tile: Array,
    dx: int,
    dy: int,
    lattice: LatticeTable,
    owner: Longs,
    worth: Longs,
    slack: int,
    budget: int,
    trial: Trial,
) -> int:
    """Put a shifted tile where what it pushes out is worth little.

    Args:
        tile, dx, dy, lattice: the tile, its shift and the lattice.
        owner: copy that holds each qubit, or -1.
        worth: what each copy counts.
        slack: qubits of the tile that may be missing.
        budget: what the copies that it pushes out may count together. With -1 none is pushed out:
            qubits that others hold are missing.
        trial: its qubits and the copies pushed out are filled in; -1 for missing qubits.

    Returns:
        How many copies are pushed out, or -1 where no order of wires will do.
    """
    table, orders, out = lattice.table, lattice.orders, trial.qubits
    new, best_new = np.empty(MOST_PUSHED, np.int64), np.empty(MOST_PUSHED, np.int64)
    pushed, a, size = 0, 0, len(tile)
    while a < size:
        u, lane = tile[a, 0], tile[a, 1]
        end = a
        while end < size and tile[end, 0] == u and tile[end, 1] == lane:
            end += 1
        across, along = (dx, dy) if u == 0 else (dy, dx)
        row = lane + across // lattice.lane_width
        if row < 0 or row >= table.shape[1]:
            if end - a > slack:
                return -1
            slack -= end - a
            out[a:end] = -1
            a = end
            continue
        start = np.random.randint(len(orders))
        best, best_cost, best_count, best_missing, best_price = -1, 1 << 30, 0, 0, 0
        for o in range(len(orders)):
            order = (start + o) % len(orders)
            count, missing, price, fits = 0, 0, 0, True
            for b in range(a, end):
                position = tile[b, 3] + along
                q = -1
                if 0 <= position < table.shape[3]:
                    q = table[u, row, orders[order, tile[b, 2]], position]
                if q < 0 or (budget < 0 and owner[q] >= 0):
                    missing += 1
                    if missing > slack:
                        fits = False
                        break
                    continue
                c = owner[q]
                if c < 0 or _is_among(c, trial.pushed, pushed) or _is_among(c, new, count):
                    continue
                price += worth[c]
                if price > budget or pushed + count == MOST_PUSHED:
                    fits = False
                    break
                new[count] = c
                count += 1
            cost = missing + 2 * price
            if fits and cost < best_cost:
                best, best_cost, best_count = order, cost, count
                best_missing, best_price = missing, price
                best_new[:count] = new[:count]
                if cost == 0:
                    break
        if best < 0:
            return -1
        for n in range(best_count):
            trial.pushed[pushed] = best_new[n]
            pushed += 1
        slack -= best_missing
        budget -= best_price
        for b in range(a, end):
            position = tile[b, 3] + along
            q = -1
            if 0 <= position < table.shape[3]:
                q = table[u, row, orders[best, tile[b, 2]], position]
            if q >= 0 and budget < 0 and owner[q] >= 0:
                q = -1
            out[b] = q
        a = end
    return pushed


@kernel
def _is_among(c: int, copies: Longs, count: int) -> bool:
    """Return whether c is one of the first ``count`` copies."""
    for n in range(count):  # noqa: SIM110
        if copies[n] == c:
            return True
    return False


@kernel
def is_complete(tile: Array, chains: int, wanted: Array, graph: WorkingGraph, trial: Trial) -> bool:
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
def mend_tile(
    tile: Array,
    chains: int,
    pushed: int,
    graph: WorkingGraph,
    longest: int,
    most: int,
    owner: Longs,
    trial: Trial,
) -> int:
    """Mend a placed tile within free qubits and those of the copies that it pushes out.

    Args:
        tile, chains: the tile, and how many chains it has.
        pushed: how many copies it pushes out.
        graph: the working graph.
        longest: qubits that a chain may have.
        most: qubits that it may have.
        owner: copy that holds each qubit, or -1.
        trial: where it was placed; its qubits and their chains are filled in.

    Returns:
        How many qubits it has then, 0 where it cannot be mended.
    """
    chain_of = np.full(len(owner), -1, np.int64)
    free = owner < 0
    if pushed:
        for q in range(len(owner)):
            if owner[q] >= 0 and _is_among(owner[q], trial.pushed, pushed):
                free[q] = True
    for a in range(len(tile)):
        if trial.qubits[a] >= 0:
            chain_of[trial.qubits[a]] = tile[a, 4]
    unmet, _ = mend_clique(chain_of, chains, free, graph, longest, most)
    if unmet:
        return 0
    count = 0
    for q in range(len(chain_of)):
        if chain_of[q] >= 0:
            trial.qubits[count], trial.chain[count] = q, chain_of[q]
            count += 1
    return count
