"""Small cliques packed from the shipped tiles.

A periodic arrangement of tiles, where one ships, is clipped to the chip; the search then fills the
rim and what defects tore open. It also starts from an empty chip, and the better start goes on.
What minorminer embeds in the gaps (at the rim other shapes fit than inside) joins the tiles.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations, product

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Array, Bools, Longs
from qubo_attn.embedding.component import Component
from qubo_attn.embedding.minors import embed
from qubo_attn.embedding.packing import NO_BOUND, Packing, chains_of
from qubo_attn.embedding.templates import clique_cell, clique_tiles
from qubo_attn.machine.lattice import Lattice
from qubo_attn.machine.target import Target

# Placements tried per round on a full chip: Pegasus lanes, with fewer orders, take less time each.
_PLACEMENTS, _FULL_CHIP = {"pegasus": 3000, "zephyr": 1000}, 5000
# Rounds that fill an empty chip, on top of those asked for.
_FILL = 100
# Share of the effort that each start gets before the better one goes on.
_TRIAL = 0.2
# Minorminer fills the gaps before each of so many parts of the rest.
_PARTS = 3
# Copies that are mended may be this much larger than the largest tile.
_GROWTH = 1.25
# Rounds for which one more failure of minorminer is worth its time, on cliques small enough.
_PER_FAILURE, _SMALL = 10_000, 12


@dataclass
class Copies:
    """Copies of one clique, as the kernel holds them.

    Attributes:
        qubits: (most, widest): the qubits of each copy; chain: the chain that each is in.
        sizes: how many each copy has; count: how many copies there are.
    """

    qubits: Array
    chain: Array
    sizes: Longs
    count: int = 0

    @classmethod
    def none(cls, most: int, widest: int) -> Copies:
        """Return no copies, with room for ``most``."""
        shape = (most, widest)
        return cls(np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.zeros(most, np.int64))

    def add(self, qubits: Longs, chain: Longs) -> None:
        """Add a copy."""
        self.qubits[self.count, : len(qubits)] = qubits
        self.chain[self.count, : len(qubits)] = chain
        self.sizes[self.count] = len(qubits)
        self.count += 1

    def gaps(self, target: Target) -> Bools:
        """Return which qubits of the machine no copy holds."""
        free = np.ones(len(target.qubits), bool)
        for copy in range(self.count):
            free[self.qubits[copy, : self.sizes[copy]]] = False
        return free

    def chains(self, size: int) -> list[list[Longs]]:
        """Return the qubits of each of the ``size`` chains of each copy."""
        return [
            chains_of(qubits[:count], chain[:count], size)
            for qubits, chain, count in zip(
                self.qubits[: self.count], self.chain, self.sizes, strict=False
            )
        ]


@dataclass
class Tiling:
    """Tiles of one clique on one machine.

    Attributes:
        size: nodes of the clique; target: the machine.
        longest: qubits that a chain of a tile may have.
    """

    size: int
    target: Target
    longest: int = NO_BOUND

    @cached_property
    def lattice(self) -> Lattice:
        """The ideal lattice that the machine lacks parts of."""
        return Lattice.of(self.target.topology, self.target.shape)

    @cached_property
    def table(self) -> Longs:
        """Index of the qubit at u, lane, wire, position."""
        return self.lattice.table(self.target.qubits)

    @cached_property
    def tiles(self) -> list[Array]:
        """The shipped tiles and their mirror images, sorted by lane as the kernel wants them."""
        return [
            tile
            for tile in _images(self.lattice, self.size)
            if np.bincount(tile[:, 4]).max() <= self.longest
        ]

    def empty(self) -> Copies:
        """Return no copies, with room for as many as there can be."""
        least, largest = min(map(len, self.tiles)), max(map(len, self.tiles))
        return Copies.none(len(self.target.qubits) // least + 1, int(_GROWTH * largest))

    def crystal(self) -> Copies:
        """Return the periodic arrangement, clipped to the chip where it fits best."""
        copies = self.empty()
        cell = clique_cell(self.target.topology, self.size)
        if cell is None:
            return copies
        period, rows = cell
        placed = max((self._unfold(rows, period, s) for s in self.lattice.shifts(period)), key=len)
        whole = np.ones(len(placed), bool)
        if placed and not self.target.is_ideal:
            chains = [chains_of(qubits, chain, self.size) for qubits, chain in placed]
            whole = Packing.of(Component(self.size), chains).whole(self.target)
        for (qubits, chain), good in zip(placed, whole, strict=True):
            if good and np.bincount(chain).max() <= self.longest:
                copies.add(qubits, chain)
        return copies

    def _unfold(self, rows: Array, period: int, shift: Longs) -> list[tuple[Longs, Longs]]:
        """Return qubits and chains of the copies of a shifted cell that lie on working qubits."""
        reach = range(-period, self.lattice.length + period, period)
        shifts = shift + np.array(list(product(reach, repeat=2)))
        copies = []
        for copy in range(rows[:, 5].max() + 1):
            tile = rows[rows[:, 5] == copy]
            qubits = self.lattice.qubits_at(self.table, tile, shifts)
            copies += [(row, tile[:, 4]) for row in qubits[(qubits >= 0).all(axis=1)]]
        return copies

    def fill_gaps(self, copies: Copies, failures: int, seed: int) -> None:
        """Add what minorminer embeds in free qubits, and learn its shapes.

        Args:
            copies: added to.
            failures: attempts that may fail before the rest is left to the search.
            seed: seed of the attempts, counted up.
        """
        edges, learned = list(combinations(range(self.size), 2)), []
        while failures and copies.count < len(copies.sizes):
            part = self.target.couplers[copies.gaps(self.target)[self.target.couplers].all(axis=1)]
            seed += 1
            chains = embed(self.size, edges, part, seed, tries=1)
            qubits = np.concatenate([np.zeros(0, np.int64), *chains])
            if not 0 < len(qubits) <= copies.qubits.shape[1]:
                failures -= 1
                continue
            chain = np.repeat(np.arange(self.size), [len(part) for part in chains])
            copies.add(qubits, chain)
            places = self.lattice.coordinates(self.target.qubits[qubits])
            learned += self.lattice.images(np.column_stack([places, chain]))
        self.tiles = _sorted(self.lattice, [*self.tiles, *learned])

    def search(self, copies: Copies, moves: int, seed: int, within: Bools | None = None) -> None:
        """Add copies by moving gaps about; never fewer than before.

        Args:
            copies: added to; some give way to others.
            moves: placements tried.
            seed: seed of all choices.
            within: qubits that tiles may be put on, so that copies elsewhere stay; None for all.
        """
        table = self.table
        if within is not None:
            table = np.where((table >= 0) & within[table], table, -1)
        sizes = np.array([len(tile) for tile in self.tiles], np.int64)
        stack = np.full((len(sizes), int(sizes.max()), 5), -1, np.int64)
        for t, tile in enumerate(self.tiles):
            stack[t, : len(tile)] = tile
        lattice = kernels.LatticeTable(
            self.lattice.lane_width,
            self.lattice.steps,
            self.lattice.orders,
            table,
            self.lattice.coordinates(self.target.qubits),
        )
        copies.count = kernels.pack_tiles(
            kernels.Tiles(stack, sizes, self.size),
            lattice,
            self.target.adjacency,
            kernels.Copies(copies.qubits, copies.chain, copies.sizes),
            copies.count,
            not self.target.is_ideal,
            0 if self.target.is_ideal else self.size // 8,
            moves,
            seed,
        )


@lru_cache(maxsize=32)
def _images(lattice: Lattice, size: int) -> list[Array]:
    """Return the shipped tiles of a clique and their mirror images."""
    tiles = clique_tiles(lattice.topology, size)
    return _sorted(lattice, [image for tile in tiles for image in lattice.images(tile)])


def _sorted(lattice: Lattice, tiles: Iterable[Array]) -> list[Array]:
    """Return tiles of different outlines, their rows by orientation and lane."""
    return [tile[np.lexsort(tile[:, 1::-1].T)] for tile in lattice.distinct(tiles)]


def moves_of(rounds: int, target: Target) -> int:
    """Return how many placements ``rounds`` allow on a machine."""
    return (rounds + _FILL) * _PLACEMENTS[target.topology] * len(target.qubits) // _FULL_CHIP


def pack_tiles(
    size: int, target: Target, rounds: int, seed: int, longest: int = NO_BOUND
) -> list[list[Longs]]:
    """Return disjoint embeddings of a clique that tiles ship for.

    Args:
        size: nodes of the clique; target: a Pegasus or Zephyr machine.
        rounds: thousands of placements tried on a full Zephyr chip.
        seed: seed of all choices.
        longest: qubits that a chain of a tile may have; mended ones may have more.
    """
    tiling = Tiling(size, target, longest)
    if not tiling.tiles:
        return []
    moves = moves_of(rounds, target)
    trial = round(_TRIAL * moves)
    best, crystal = tiling.empty(), tiling.crystal()
    tiling.search(best, trial, seed)
    left = moves - trial
    if crystal.count:
        tiling.search(crystal, trial, seed)
        left -= trial
        best = max(best, crystal, key=lambda copies: copies.count)
    for part in range(_PARTS):
        if 1 < size <= _SMALL and rounds >= _PER_FAILURE:
            tiling.fill_gaps(best, rounds // _PER_FAILURE, seed + 100 * part)
        tiling.search(best, left // _PARTS, seed + 1 + part)
    return best.chains(size)
