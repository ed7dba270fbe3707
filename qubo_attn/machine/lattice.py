"""Coordinates in which a translated embedding is an embedding.

Both topologies are made of straight wires. A qubit lies in a *lane* (a group of parallel wires that
are interchangeable), on *wire* k of it, at *position* p along it; u is 0 for vertical wires, 1 for
horizontal ones. A shift by (dx, dy) moves vertical wires by dx lanes and dy along, horizontal ones
by dy lanes and dx along; permuting the wires of one lane is a symmetry of the ideal lattice.

* Zephyr: a lane is the t wires of one w; p = 2 z + j; any whole shift.
* Pegasus: a lane is a pair of wires joined by odd couplers; p = 12 z + offset. Along positions a
  shift is (12 a + d, 12 b + e), (d, e) in {(0, 0), (4, 8), (8, 4)}; a lane is two positions wide.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import permutations, product
from math import factorial
from typing import TypeAlias

import numpy as np

from qubo_attn.common.arrays import Array, Bools, Longs

Outline: TypeAlias = tuple[tuple[tuple[int, int], tuple[tuple[int, ...], ...]], ...]

# Where a Pegasus wire k starts within its period of twelve, for vertical and horizontal wires.
_OFFSETS = np.array(
    [[2, 2, 2, 2, 10, 10, 10, 10, 6, 6, 6, 6], [6, 6, 6, 6, 2, 2, 2, 2, 10, 10, 10, 10]]
)

# Wires of the widest lane whose permutations are all tried: there are 720.
_WIDEST = 6


@dataclass(frozen=True)
class Lattice:
    """An ideal Pegasus or Zephyr lattice.

    Attributes:
        topology: ``"pegasus"`` or ``"zephyr"``.
        m: grid parameter.
        t: wires per lane (4 for Zephyr machines, 2 for Pegasus).
    """

    topology: str
    m: int
    t: int

    @classmethod
    def of(cls, topology: str, shape: tuple[int, ...]) -> Lattice:
        """Return the lattice of a topology with the shape its machine states."""
        if topology == "pegasus":
            return cls("pegasus", shape[0], 2)
        return cls("zephyr", shape[0], shape[1] if len(shape) > 1 else 4)

    @property
    def qubits(self) -> int:
        """How many numbers of qubits there are, from 0."""
        if self.topology == "pegasus":
            return 24 * self.m * (self.m - 1)
        return 2 * self.lanes * self.t * self.length

    @property
    def lanes(self) -> int:
        """Lanes of each orientation."""
        return 6 * self.m if self.topology == "pegasus" else 2 * self.m + 1

    @property
    def length(self) -> int:
        """Positions along a lane."""
        return 12 * self.m if self.topology == "pegasus" else 2 * self.m

    @property
    def lane_width(self) -> int:
        """Positions that one lane is wide."""
        return 2 if self.topology == "pegasus" else 1

    @property
    def orders(self) -> Array:
        """The permutations of the wires of a lane; of wide lanes as many, drawn once for all."""
        if self.t <= _WIDEST:
            return np.array(list(permutations(range(self.t))), dtype=np.int64)
        wires = np.tile(np.arange(self.t), (factorial(_WIDEST), 1))
        return np.random.default_rng(0).permuted(wires, axis=1)

    @property
    def steps(self) -> Array:
        """Shifts within one period, shape (shifts, 2), and the period in the last row."""
        if self.topology == "pegasus":
            return np.array([(0, 0), (4, 8), (8, 4), (12, 12)])
        return np.array([(0, 0), (1, 1)])

    def coordinates(self, qubits: Longs) -> Array:
        """Return u, lane, wire, position of linear qubit numbers, shape (qubits, 4)."""
        q = np.asarray(qubits, dtype=np.int64)
        if self.topology == "pegasus":
            rest, z = np.divmod(q, self.m - 1)
            rest, k = np.divmod(rest, 12)
            u, w = np.divmod(rest, self.m)
            lane, wire = np.divmod(12 * w + k, 2)
            return np.stack([u, lane, wire, 12 * z + _OFFSETS[u, k]], axis=1)
        rest, z = np.divmod(q, self.m)
        rest, j = np.divmod(rest, 2)
        rest, k = np.divmod(rest, self.t)
        u, w = np.divmod(rest, 2 * self.m + 1)
        return np.stack([u, w, k, 2 * z + j], axis=1)

    def joined(self, one: Longs, other: Longs) -> Bools:
        """Return whether the ideal lattice has a coupler between each two qubits, by number."""
        a, b = self.coordinates(one).T, self.coordinates(other).T
        (u, lane, wire, position), (v, row, strand, place) = a, b
        same_lane, apart = (u == v) & (lane == row), np.abs(position - place)
        if self.topology == "pegasus":
            line, far = 2 * lane + wire, 2 * row + strand
            reach, along = 12, (line == far) & (apart == 12)
            odd = (wire != strand) & (apart == 0)
        else:
            line, far, reach = lane, row, 2
            along, odd = (wire == strand) & ((apart == 1) | (apart == 2)), np.bool_(False)
        crossing = (far - position >= 0) & (far - position < reach)
        crossing &= (line - place >= 0) & (line - place < reach)
        return np.asarray(np.where(u == v, same_lane & (along | odd), crossing))

    def table(self, qubits: Longs) -> Longs:
        """Return the index into ``qubits`` at each u, lane, wire, position; -1 where none is."""
        table = np.full((2, self.lanes, self.t, self.length), -1, np.int64)
        table[tuple(self.coordinates(qubits).T)] = np.arange(len(qubits))
        return table

    def qubits_at(self, table: Longs, tile: Array, shifts: Longs) -> Longs:
        """Return the qubits of a tile moved by each of some shifts.

        Args:
            table: index of the qubit at each place, see `table`.
            tile: rows of u, lane, wire, position, and what else.
            shifts: int64, shape (shifts, 2).

        Returns:
            int64, shape (shifts, rows of the tile): indices, -1 where no qubit works.
        """
        u, lane, wire, position = tile.T[:4]
        lane = lane + np.where(u == 0, shifts[:, :1], shifts[:, 1:]) // self.lane_width
        position = position + np.where(u == 0, shifts[:, 1:], shifts[:, :1])
        inside = (lane >= 0) & (lane < self.lanes) & (position >= 0) & (position < self.length)
        return np.where(inside, table[u, lane * inside, wire, position * inside], -1)

    def images(self, tile: Array) -> list[Array]:
        """Return a tile's images under the reflections of the ideal lattice, near the origin.

        Zephyr has all eight of the square; the offsets of Pegasus leave one beside the identity.

        Args:
            tile: rows of u, lane, wire, position, chain.
        """
        u, lane, wire, position, chain = tile.T
        if self.topology == "pegasus":
            line = 2 * lane + wire
            turned = np.where(u == 0, 7 - line, 3 - line)
            start = np.where(u == 0, -8, -4) - position
            other = np.stack([1 - u, turned // 2, turned % 2, start, chain], axis=1)
            return [self.near_origin(tile), self.near_origin(other)]
        images = []
        for swap, flip_x, flip_y in product((False, True), repeat=3):
            across = np.where(u == 0, flip_x, flip_y)
            along = np.where(u == 0, flip_y, flip_x)
            row = np.where(across, -lane, lane)
            start = np.where(along, -1 - position, position)
            images.append(np.stack([u ^ swap, row, wire, start, chain], axis=1))
        return [self.near_origin(image) for image in images]

    def near_origin(self, tile: Array) -> Array:
        """Return a tile shifted by whole periods so that it just has no negative coordinates."""
        width, period = self.lane_width, int(self.steps[-1][0])
        u, lane, position = tile[:, 0], tile[:, 1] * width, tile[:, 3]
        dx = -(np.where(u == 0, lane, position).min() // period) * period
        dy = -(np.where(u == 0, position, lane).min() // period) * period
        return self.shifted(tile, np.array([dx, dy]))

    def shifted(self, tile: Array, shift: Longs) -> Array:
        """Return a tile moved by (dx, dy) positions."""
        dx, dy = shift
        moved = tile.copy()
        moved[:, 1] += np.where(tile[:, 0] == 0, dx, dy) // self.lane_width
        moved[:, 3] += np.where(tile[:, 0] == 0, dy, dx)
        return moved

    def shifts(self, extent: int) -> Longs:
        """Return every shift that maps the ideal lattice on itself, from 0 to below ``extent``."""
        period = int(self.steps[-1][0])
        whole = np.array(list(product(range(0, extent, period), repeat=2)))
        return (whole[:, None] + self.steps[:-1]).reshape(-1, 2)

    def distinct(self, tiles: Iterable[Array]) -> list[Array]:
        """Return the first tile of each outline: others differ by the order of wires in lanes."""
        first: dict[Outline, Array] = {}
        for tile in tiles:
            first.setdefault(_outline(tile), tile)
        return list(first.values())


def _outline(tile: Array) -> Outline:
    """Return the positions that a tile takes in each lane, whichever wire they are on."""
    wires: dict[tuple[int, int], dict[int, list[int]]] = {}
    for u, lane, wire, position, _ in tile.tolist():
        wires.setdefault((u, lane), {}).setdefault(wire, []).append(position)
    return tuple(
        (place, tuple(sorted(tuple(sorted(row)) for row in wires[place].values())))
        for place in sorted(wires)
    )
