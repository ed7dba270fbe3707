"""Windows of a chip: squares in which copies of a shape are sought."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from qubo_attn.common.arrays import Bools, Floats, Longs
from qubo_attn.machine.lattice import Lattice
from qubo_attn.machine.target import Target


@dataclass(frozen=True, eq=False)
class Plane:
    """Where the qubits of a Pegasus or Zephyr machine lie.

    Attributes:
        x, y: float64, position of each qubit.
        length: side of the chip.
    """

    x: Floats
    y: Floats
    length: int

    @classmethod
    def of(cls, target: Target) -> Plane:
        """Return the plane of a machine."""
        lattice = Lattice.of(target.topology, target.shape)
        u, lane, _, position = lattice.coordinates(target.qubits).T.astype(np.float64)
        across = lane * lattice.lane_width
        x, y = np.where(u == 0, across, position), np.where(u == 0, position, across)
        return cls(x, y, lattice.length)

    def middle(self, room: float) -> Bools:
        """Return the square of about ``room`` qubits in the middle, away from the rim."""
        half = self.length * np.sqrt(room / len(self.x)) / 2
        centre = (self.length - 1) / 2
        return np.asarray((np.abs(self.x - centre) <= half) & (np.abs(self.y - centre) <= half))

    def windows(self, room: float) -> Iterator[Bools]:
        """Yield squares of about ``room`` qubits, squares across those, and larger ones."""
        for across, share in ((0.0, 1.0), (0.5, 1.0), (0.25, 2.0)):
            side = (self.length + 1) / max(1, int(np.sqrt(len(self.x) / (share * room))))
            column, row = (
                np.floor(part / side + across).astype(np.int64) for part in (self.x, self.y)
            )
            for place in np.unique(np.stack([column, row], axis=1), axis=0).tolist():
                yield (column == place[0]) & (row == place[1])

    def around(self, qubits: Longs) -> int:
        """Return how many working qubits there are in the rectangle around some qubits."""
        inside = np.ones(len(self.x), bool)
        for part in (self.x, self.y):
            inside &= (part >= part[qubits].min()) & (part <= part[qubits].max())
        return int(inside.sum())
