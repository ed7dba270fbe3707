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

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from qubo_attn.arrays import Array, Longs

# Where a Pegasus wire k starts within its period of twelve, for vertical and horizontal wires.
_OFFSETS = np.array(
    [[2, 2, 2, 2, 10, 10, 10, 10, 6, 6, 6, 6], [6, 6, 6, 6, 2, 2, 2, 2, 10, 10, 10, 10]]
)


@dataclass(frozen=True)
class Lattice:
    """An ideal Pegasus or Zephyr lattice.

    Attributes:
        topology: ``"pegasus"`` or ``"zephyr"``.
        m: grid parameter; t: wires per lane (4 for Zephyr machines, 2 for Pegasus).
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
        """The permutations of the wires of a lane."""
        return np.array(list(permutations(range(self.t))), dtype=np.int64)

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

    def table(self, qubits: Longs) -> Longs:
        """Return the index into ``qubits`` at each u, lane, wire, position; -1 where none is."""
        table = np.full((2, self.lanes, self.t, self.length), -1, np.int64)
        table[tuple(self.coordinates(qubits).T)] = np.arange(len(qubits))
        return table
