"""Working graphs in few numbers, as files of the cache hold them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qubo_attn.common.arrays import Array, Longs
from qubo_attn.machine.readers import ideal
from qubo_attn.machine.target import Target


@dataclass(frozen=True, eq=False)
class StoredGraph:
    """A working graph in few numbers.

    Attributes:
        topology, shape: of the target.
        lost: whether the columns hold what is missing of the ideal lattice, or what there is.
        qubits: int64, qubit numbers.
        couplers: int64, shape (couplers, 2), by qubit number, between working qubits.
    """

    topology: str
    shape: tuple[int, ...]
    lost: bool
    qubits: Longs
    couplers: Array

    @classmethod
    def of(cls, target: Target) -> StoredGraph:
        """Return the working graph of a target."""
        shape = tuple(int(s) for s in target.shape)
        if target.is_grid:
            whole = Target(*ideal(target.topology, shape))
            works = np.isin(whole.qubits, target.qubits)
            place = np.cumsum(works) - 1
            pairs = whole.couplers[works[whole.couplers].all(axis=1)]
            lost = target.coupler_numbers(*place[pairs].T) < 0
            counts = int(works.sum()), len(pairs) - int(lost.sum())
            if counts == (len(target.qubits), len(target.couplers)):
                missing = whole.qubits[~works], whole.qubits[pairs[lost]]
                return cls(target.topology, shape, True, *missing)
        ends = target.qubits[target.couplers]
        return cls(target.topology, shape, False, target.qubits, ends)

    def target(self) -> Target:
        """Return the machine, its ranges and labels aside."""
        if self.lost:
            whole = Target(*ideal(self.topology, self.shape))
            return whole.without(self.qubits, self.couplers)
        couplers = np.searchsorted(self.qubits, self.couplers)
        return Target(self.topology, self.shape, self.qubits, couplers)

    def changes(self, other: StoredGraph) -> tuple[int, int]:
        """Return how many qubits differ, and how many couplers between the other qubits."""
        qubits = np.setxor1d(self.qubits, other.qubits)
        span = 1 + max(int(graph.couplers.max(initial=0)) for graph in (self, other))
        one, two = (
            graph.couplers[~np.isin(graph.couplers, qubits).any(axis=1)] @ np.array([span, 1])
            for graph in (self, other)
        )
        return len(qubits), len(np.setxor1d(one, two))
