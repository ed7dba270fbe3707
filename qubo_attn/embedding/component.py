"""Components as the machine sees them: cliques, and sparse shapes of their own."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qubo_attn.common.arrays import Array, Longs
from qubo_attn.common.frozen import Portable

# Below so many nodes a clique takes no more qubits; above such a mean degree, or share of all
# pairs, hardly more (see docs/cardinality.md).
LEAST_NODES, MOST_DEGREE, MOST_DENSITY = 5, 8.0, 0.5
# Rows, each a clique, that couplers of at most this mean degree join are sparse as well.
MOST_BETWEEN = 3.0


@dataclass(frozen=True, eq=False)
class Shape(Portable):
    """The graph of a sparse component; shapes with the same nodes and edges are equal.

    Attributes:
        size: number of nodes, in order of the component's variables.
        i, j: int64, edges, sorted, ``i < j``.

    Example:
        >>> import numpy as np
        >>> Shape(3, np.array([0, 1]), np.array([1, 2])).is_path
        True
    """

    size: int
    i: Longs
    j: Longs

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Shape) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def edges(self) -> list[tuple[int, int]]:
        """The edges as pairs."""
        return list(zip(self.i.tolist(), self.j.tolist(), strict=True))

    @cached_property
    def name(self) -> str:
        """Name for the cache: node count and a hash of the edges."""
        edges = np.stack([self.i, self.j]).astype("<i8")
        return f"S{self.size}-{hashlib.sha256(edges.tobytes()).hexdigest()[:32]}"

    @property
    def is_well_formed(self) -> bool:
        """Whether edges join two of the nodes, smaller one first, sorted and once each."""
        inside = len(self.i) == len(self.j) and ((self.i >= 0) & (self.i < self.j)).all()
        if not inside or (self.j >= self.size).any():
            return False
        return bool((np.diff(self.i * self.size + self.j) > 0).all())

    @cached_property
    def is_path(self) -> bool:
        """Whether it is the path 0, 1, 2, ..."""
        nodes = np.arange(self.size - 1)
        return np.array_equal(self.i, nodes) and np.array_equal(self.j, nodes + 1)

    @cached_property
    def is_sparse(self) -> bool:
        """Whether an embedding of its own takes fewer qubits than a clique's."""
        pairs = self.size * (self.size - 1) / 2
        if self.size < LEAST_NODES or len(self.i) > MOST_DENSITY * pairs:
            return False
        return self.degree <= MOST_DEGREE or 2 * self.between <= MOST_BETWEEN * self.size

    @property
    def degree(self) -> float:
        """Mean number of neighbours."""
        return 2 * len(self.i) / self.size

    @cached_property
    def between(self) -> int:
        """Edges other than those of a node to all nodes just before it: those between rows."""
        order = np.lexsort((-self.i, self.j))
        back = (self.j - self.i)[order]
        start = np.searchsorted(self.j[order], self.j[order])
        return int((back != np.arange(len(back)) - start + 1).sum())

    def holds(self, other: Shape) -> bool:
        """Return whether a copy of this shape can take ``other``, node by node."""
        if other.size > self.size:
            return False
        codes = self.i * self.size + self.j
        return bool(np.isin(other.i * self.size + other.j, codes).all())


@dataclass(frozen=True)
class Component(Portable):
    """What a component of a program needs of a machine.

    Attributes:
        size: number of nodes.
        shape: its graph, where that is sparse; None for a clique.

    Example:
        >>> Component(4).name, Component(6).holds(Component(4))
        ('K4', True)
    """

    size: int
    shape: Shape | None = None

    @property
    def name(self) -> str:
        """Name for the cache and for reports."""
        return f"K{self.size}" if self.shape is None else self.shape.name

    @cached_property
    def edges(self) -> Array:
        """Pairs of nodes that must be coupled, int64, shape (2, edges)."""
        if self.shape is None:
            return np.stack(np.triu_indices(self.size, 1))
        return np.stack([self.shape.i, self.shape.j])

    @property
    def edge_count(self) -> int:
        """How many `edges` there are."""
        return self.size * (self.size - 1) // 2 if self.shape is None else len(self.shape.i)

    @property
    def rank(self) -> tuple[bool, int, str]:
        """Key to sort by: cliques first, then shapes, each from the largest."""
        return self.shape is not None, -self.size, self.name

    def holds(self, other: Component) -> bool:
        """Return whether a copy of this component can take another one, node by node."""
        if self.shape is None or other.shape is None:
            return self.shape is other.shape and other.size <= self.size
        return self.shape.holds(other.shape)
