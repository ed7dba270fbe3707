"""Small cliques packed from the shipped tiles.

A periodic arrangement of tiles, where one ships, is clipped to the chip; the search then fills the
rim and what defects tore open. It also starts from an empty chip, and the better start goes on.
What minorminer embeds in the gaps (at the rim other shapes fit than inside) joins the tiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product
from typing import TypeAlias

import numpy as np

from qubo_attn.common.arrays import Array, Bools, Longs, pointers
from qubo_attn.embedding.component import Component
from qubo_attn.embedding.laying import GROWTH, Kind, Laid, lay_tiles, sorted_tiles
from qubo_attn.embedding.minors import couplers_among, embed
from qubo_attn.embedding.packing import NO_BOUND, Packing, chains_of
from qubo_attn.embedding.templates import clique_cell, clique_images, clique_tiles, stock_for
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
# Rounds for which one more failure of minorminer is worth its time, on cliques small enough.
_PER_FAILURE, _SMALL = 10_000, 12


# The qubits of a copy, and the chain that each is in.
Copy: TypeAlias = tuple[Longs, Longs]


@dataclass
class Tiling:
    """Search for disjoint copies of one clique on one machine.

    Attributes:
        size: nodes of the clique.
        target: the machine.
        longest: qubits that a chain may have.
        lattice: the ideal lattice that the machine lacks parts of.
        table: index of the qubit at u, lane, wire, position.
        stock: topology of the shipped tiles that the machine holds.
        tiles: the shipped tiles and their mirror images, then shapes that were learned.
        most, widest: room for copies, and for the qubits of each.
    """

    size: int
    target: Target
    longest: int = NO_BOUND

    def __post_init__(self) -> None:
        self.lattice = Lattice.of(self.target.topology, self.target.shape)
        self.table = self.lattice.table(self.target.qubits)
        self.stock = stock_for(self.target)
        images = clique_images(self.lattice, self.stock, self.size)
        largest = max(map(len, clique_tiles(self.stock, self.size)), default=0)
        self.tiles = [
            tile
            for tile in images
            if len(tile) <= largest and np.bincount(tile[:, 4]).max() <= self.longest
        ]
        lengths = [len(tile) for tile in self.tiles] or [1]
        self.most = len(self.target.qubits) // min(lengths) + 1
        self.widest = int(GROWTH * max(lengths))

    def crystal(self) -> list[Copy]:
        """Return the periodic arrangement, clipped to the chip where it fits best."""
        cell = clique_cell(self.stock, self.size)
        if cell is None:
            return []
        copies = max((self._unfold(*cell, s) for s in self.lattice.shifts(cell[0])), key=len)
        if not copies:
            return []
        lengths = np.stack([np.bincount(chain) for _, chain in copies])
        good = lengths.max(axis=1) <= self.longest
        if not self.target.is_ideal:
            rows = [qubits[np.argsort(chain, kind="stable")] for qubits, chain in copies]
            ptr, qubit = pointers(lengths.ravel()), np.concatenate(rows)
            good &= Packing(Component(self.size), ptr, qubit).whole(self.target)
        return [copy for copy, fits in zip(copies, good, strict=True) if fits]

    def _unfold(self, period: int, rows: Array, shift: Longs) -> list[Copy]:
        """Return the copies of a shifted cell that lie on working qubits."""
        reach = range(-period, self.lattice.length + period, period)
        shifts = shift + np.array(list(product(reach, repeat=2)))
        copies = []
        for copy in range(rows[:, 5].max() + 1):
            tile = rows[rows[:, 5] == copy]
            qubits = self.lattice.qubits_at(self.table, tile, shifts)
            copies += [(row, tile[:, 4]) for row in qubits[(qubits >= 0).all(axis=1)]]
        return copies

    def fill_gaps(self, copies: list[Copy], failures: int, seed: int) -> list[Copy]:
        """Return copies and what minorminer embeds in free qubits; learn its shapes.

        Args:
            copies: copies that stay.
            failures: attempts that may fail before the rest is left to the search.
            seed: seed of the attempts, counted up.
        """
        edges, copies = list(combinations(range(self.size), 2)), list(copies)
        learned = []
        while failures and len(copies) < self.most:
            free = np.ones(len(self.target.qubits), bool)
            for qubits, _ in copies:
                free[qubits] = False
            seed += 1
            part = couplers_among(free, self.target)
            chains = embed(self.size, edges, part, seed, tries=1)
            qubits = np.concatenate([np.zeros(0, np.int64), *chains])
            if not 0 < len(qubits) <= self.widest or max(map(len, chains)) > self.longest:
                failures -= 1
                continue
            chain = np.repeat(np.arange(self.size), [len(part) for part in chains])
            copies.append((qubits, chain))
            places = self.lattice.coordinates(self.target.qubits[qubits])
            learned += self.lattice.images(np.column_stack([places, chain]))
        self.tiles = sorted_tiles(self.lattice, [*self.tiles, *learned])
        return copies

    def search(
        self, copies: list[Copy], moves: int, seed: int, within: Bools | None = None
    ) -> list[Copy]:
        """Return at least as many copies, found by moving gaps about; some give way to others.

        Args:
            copies: copies to start from.
            moves: placements tried.
            seed: seed of all choices.
            within: qubits that tiles may be put on, so that copies elsewhere stay; None for all.
        """
        kind = Kind(Component(self.size), self.tiles, max(self.most - len(copies), 0))
        rows = [Laid(0, *copy) for copy in copies]
        laid = lay_tiles(self.target, [kind], rows, moves, seed, within, longest=self.longest)
        return [(copy.qubits, copy.chain) for copy in laid]


def moves_of(rounds: int, target: Target) -> int:
    """Return how many placements ``rounds`` allow on a machine."""
    return (rounds + _FILL) * _PLACEMENTS[target.topology] * len(target.qubits) // _FULL_CHIP


def pack_tiles(
    size: int, target: Target, rounds: int, seed: int, longest: int = NO_BOUND
) -> list[list[Longs]]:
    """Return disjoint embeddings of a clique that tiles ship for.

    Args:
        size: nodes of the clique.
        target: a Pegasus or Zephyr machine.
        rounds: thousands of placements tried on a full Zephyr chip.
        seed: seed of all choices.
        longest: qubits that a chain may have.
    """
    tiling = Tiling(size, target, longest)
    if not tiling.tiles:
        return []
    moves = moves_of(rounds, target)
    trial = round(_TRIAL * moves)
    best, crystal = tiling.search([], trial, seed), tiling.crystal()
    left = moves - trial
    if crystal:
        left -= trial
        best = max(best, tiling.search(crystal, trial, seed), key=len)
    for part in range(_PARTS):
        if 1 < size <= _SMALL and rounds >= _PER_FAILURE:
            best = tiling.fill_gaps(best, rounds // _PER_FAILURE, seed + 100 * part)
        best = tiling.search(best, left // _PARTS, seed + 1 + part)
    return [chains_of(*copy, size) for copy in best]
