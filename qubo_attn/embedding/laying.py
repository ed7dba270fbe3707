"""Tiles laid on a working graph: copies of one graph or of several, moved about until they fit.

The search is `qubo_attn.kernels.pack_tiles`; this is what calls it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Array, Bools, Longs, pointers
from qubo_attn.embedding.component import Component
from qubo_attn.embedding.packing import NO_BOUND
from qubo_attn.machine.lattice import Lattice
from qubo_attn.machine.target import Target

# Copies that are mended may be this much larger than the largest tile.
GROWTH = 1.25
# Qubits that a tile of a clique may lack before it is mended: one for each so many of its nodes.
_NODES_PER_GAP = 8
# The same where qubits that others hold are missing too, and nodes of the smallest such clique:
# alone on an ideal machine, smaller ones fit better as they are.
_NODES_PER_MISSING, _AROUND, _AROUND_ALONE = 2, 8, 13
# Qubits by which a mended chain may be longer than those of all tiles: alone on an ideal machine,
# there is no need for that.
_LONGER = 2


@dataclass(frozen=True, eq=False)
class Kind:
    """A graph whose copies are laid.

    Attributes:
        component: the graph.
        tiles: embeddings of it in the lattice: u, lane, wire, position, chain; rows by orientation
            and lane.
        left: copies asked for, on top of those that lie already.
    """

    component: Component
    tiles: Sequence[Array]
    left: int


class Laid(NamedTuple):
    """One copy.

    Attributes:
        kind: its number among the kinds.
        qubits: positions in the target's ``qubits``.
        chain: the chain that each of them is in.
    """

    kind: int
    qubits: Longs
    chain: Longs


def lay_tiles(
    target: Target,
    kinds: Sequence[Kind],
    copies: Sequence[Laid],
    moves: int,
    seed: int,
    within: Bools | None = None,
    *,
    longest: int = NO_BOUND,
    heat: tuple[float, float] = (0.0, 0.0),
) -> list[Laid]:
    """Return copies that take at least as many qubits, found by moving gaps about.

    Args:
        target: a Pegasus or Zephyr machine.
        kinds: what is laid.
        copies: copies to start from.
        moves: placements tried.
        seed: seed of all choices.
        within: qubits that tiles may be put on, so that copies elsewhere stay; None for all.
        longest: qubits that a chain of a mended copy may have.
        heat: qubits that a placement may lose at first, or so, and at last.
    """
    lattice = Lattice.of(target.topology, target.shape)
    table = lattice.table(target.qubits)
    if within is not None:
        table = np.where((table >= 0) & within[table], table, -1)
    tiles = [tile for kind in kinds for tile in kind.tiles]
    lengths = np.array([len(tile) for tile in tiles])
    stack = np.full((len(tiles), lengths.max(), 5), -1, np.int64)
    for t, tile in enumerate(tiles):
        stack[t, : len(tile)] = tile
    most = len(copies) + sum(kind.left for kind in kinds)
    widest = max([int(GROWTH * lengths.max()), *(len(copy.qubits) for copy in copies)])
    board = kernels.Copies(
        np.zeros((most, widest), np.int64),
        np.zeros((most, widest), np.int64),
        np.zeros(most, np.int64),
        np.zeros(most, np.int64),
    )
    for c, (kind, qubits, chain) in enumerate(copies):
        board.sizes[c], board.kind[c] = len(qubits), kind
        board.qubits[c, : len(qubits)], board.chain[c, : len(qubits)] = qubits, chain
    chains = max(int(np.bincount(tile[:, 4]).max()) for tile in tiles)
    alone = len(kinds) == 1 and target.is_ideal
    longest = min(chains + (0 if alone else _LONGER), longest)
    count = kernels.pack_tiles(
        kernels.Tiles(stack, lengths, pointers([len(kind.tiles) for kind in kinds])),
        _columns(target, kinds, alone),
        kernels.LatticeTable(
            lattice.lane_width,
            lattice.steps,
            lattice.orders,
            table,
            lattice.coordinates(target.qubits),
        ),
        target.adjacency,
        board,
        len(copies),
        kernels.Search(not target.is_ideal, longest, moves, *heat, seed),
    )
    numbers, sizes = board.kind[:count].tolist(), board.sizes[:count].tolist()
    return [
        Laid(kind, board.qubits[c, :size], board.chain[c, :size])
        for c, (kind, size) in enumerate(zip(numbers, sizes, strict=True))
    ]


def _columns(target: Target, kinds: Sequence[Kind], alone: bool) -> kernels.Kinds:
    """Return the kinds as the kernel reads them."""
    chains = np.array([kind.component.size for kind in kinds])
    wanted = np.zeros((len(kinds), chains.max(), chains.max()), np.bool_)
    for k, kind in enumerate(kinds):
        i, j = kind.component.edges
        wanted[k, i, j] = wanted[k, j, i] = True
    mends = np.array([kind.component.shape is None for kind in kinds])
    least = _AROUND_ALONE if alone else _AROUND
    return kernels.Kinds(
        chains,
        wanted,
        np.where(mends & (not target.is_ideal), chains // _NODES_PER_GAP, 0),
        np.where(mends & (chains >= least), chains // _NODES_PER_MISSING, 0),
        np.array([min(map(len, kind.tiles)) for kind in kinds]),
        np.array([kind.left for kind in kinds]),
    )


def sorted_tiles(lattice: Lattice, tiles: Sequence[Array]) -> list[Array]:
    """Return tiles of different outlines, their rows by orientation and lane."""
    return [tile[np.lexsort(tile[:, 1::-1].T)] for tile in lattice.distinct(tiles)]
