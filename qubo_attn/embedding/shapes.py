"""As many disjoint copies of one sparse graph as a working graph holds.

A shape is a component's structure: its nodes in order of their variables and a sorted list of
edges. Paths, the domain walls of one key, are carved out of the working graph with one qubit a
node. Others are embedded by minorminer in small windows, where it is fast and finds short chains:
once to learn how many qubits a copy takes, then in one window of that size after another, and again
in windows that lie across those. Dense rows that few couplers join (heads coupled along a path)
take minorminer seconds: their first copy is moved about the lattice, and few others are sought.
Every packing is checked before anybody sees it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Bools, Floats, Longs, pointers
from qubo_attn.machine.lattice import Lattice
from qubo_attn.machine.target import Target

# Below so many nodes a clique takes no more qubits; above such a mean degree, or share of all
# pairs, hardly more (see docs/cardinality.md).
LEAST_NODES, MOST_DEGREE, MOST_DENSITY = 5, 8.0, 0.5
# Rows, each a clique, that couplers of at most this mean degree join are sparse as well.
MOST_BETWEEN = 3.0
# Qubits of a window per qubit of a copy, and of the window that the first copy is sought in.
_ROOM, _FIRST_ROOM = 1.25, 3.0
# Attempts of minorminer in a window, and on a whole working graph.
_TRIES, _WHOLE_TRIES = 2, 10
_NO_TIMEOUT = 1e6
# Nodes of windows in which it may fail: what it spends where nothing fits.
_FAILED_NODES = 1000
# Qubits of the first window per edge, where rows are dense: chains are longer then.
_ROOM_PER_EDGE = 0.65
# Share of the room around a dense copy that must be free for minorminer to seek one more.
_ROOM_AGAIN = 0.8
# Orders in which the images of a copy are laid down; the one that leaves room for most is taken.
_ORDERS = 30


@dataclass(frozen=True, eq=False)
class Shape:
    """The structure of a component.

    Attributes:
        size: nodes.
        i, j: int64, edges, sorted, ``i < j``.

    Example:
        >>> import numpy as np
        >>> Shape(3, np.array([0, 1]), np.array([1, 2])).is_path
        True
    """

    size: int
    i: Longs
    j: Longs

    @cached_property
    def edges(self) -> list[tuple[int, int]]:
        """The edges as pairs."""
        return list(zip(self.i.tolist(), self.j.tolist(), strict=True))

    @cached_property
    def name(self) -> str:
        """Name for the cache: node count and a hash of the edges."""
        edges = np.stack([self.i, self.j]).astype("<i8")
        return f"S{self.size}-{hashlib.sha256(edges.tobytes()).hexdigest()[:32]}"

    @cached_property
    def is_path(self) -> bool:
        """Whether it is the path 0, 1, 2, ..."""
        return len(self.i) == self.size - 1 and bool(
            (self.i == np.arange(self.size - 1)).all() and (self.j == self.i + 1).all()
        )

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
        mine = self.i * self.size + self.j
        return bool(np.isin(other.i * self.size + other.j, mine).all())


def embed_copies(shape: Shape, target: Target, seed: int = 0) -> list[list[Longs]]:
    """Return disjoint embeddings of a shape on ``target``: per copy, the chain of each node.

    Args:
        shape: a connected graph; target: a machine with a working graph; seed: of all choices.
    """
    if not shape.is_path:
        return _embedded(shape, target, seed)
    first, neighbour, _ = target.adjacency
    return [list(path[:, None]) for path in kernels.carve_paths(shape.size, first, neighbour)]


def first_copy(
    shape: Shape, target: Target, seed: int = 0, timeout: float = _NO_TIMEOUT
) -> list[Longs]:
    """Return the chains of one embedding of a shape on an intact machine part, or nothing.

    Args:
        shape: a connected graph; target: a machine with a working graph; seed: of all choices.
        timeout: seconds for each attempt; results are the same everywhere without one only.
    """
    everywhere = np.ones(len(target.qubits), bool)
    if target.is_grid:
        x, y, length = _places(target)
        for room in _rooms(shape, len(target.qubits)):
            window = _middle(x, y, length, room)
            if found := _embed(shape, target, window, seed, _TRIES, timeout):
                return found
    return _embed(shape, target, everywhere, seed, _WHOLE_TRIES, timeout)


def _rooms(shape: Shape, qubits: int) -> Iterator[float]:
    """Yield how many qubits of a chip to seek a copy in: more and more, fewer than there are."""
    if shape.degree > MOST_DEGREE:
        # Squares that fill the chip side by side, as images of what is found then do as well.
        most = int(np.sqrt(qubits / (_ROOM_PER_EDGE * len(shape.i))))
        yield from (qubits / side**2 for side in range(most, 1, -1))
        return
    room = _FIRST_ROOM * shape.size
    while room < qubits:
        yield room
        room *= 1.5


def _embedded(shape: Shape, target: Target, seed: int) -> list[list[Longs]]:
    """Return copies that minorminer finds."""
    first = first_copy(shape, target, seed)
    if not first:
        return []
    free, copies = np.ones(len(target.qubits), bool), list[list[Longs]]()
    windows: Iterator[Bools]
    taken, failures = sum(map(len, first)), max(1, _FAILED_NODES // shape.size)
    if target.is_grid and shape.degree > MOST_DEGREE:
        copies, failures = _laid_down(first, shape, target, seed), 1
        free[np.concatenate([chain for copy in copies for chain in copy])] = False
        room = _room_of(first, target)
        more, taken = len(free) // room - len(copies), int(_ROOM_AGAIN * room)
        windows = islice(_windows(*_places(target), room), 4 * more if more > 0 else 0)
    elif target.is_grid:
        windows = _windows(*_places(target), _ROOM * taken)
    else:
        windows = iter([free.copy()] * (len(free) // taken))
    for window in windows:
        if failures and (free & window).sum() >= taken:
            found = _embed(shape, target, free & window, seed + len(copies), _TRIES)
            failures -= not found
            if found:
                copies.append(found)
                free[np.concatenate(found)] = False
    return copies or [first]


def _laid_down(first: list[Longs], shape: Shape, target: Target, seed: int) -> list[list[Longs]]:
    """Return disjoint images of a copy under the symmetries of the lattice, itself at worst."""
    lattice = Lattice.of(target.topology, target.shape)
    table, qubits = lattice.table(target.qubits), np.concatenate(first)
    chain = np.repeat(np.arange(shape.size), [len(part) for part in first])
    tile = np.column_stack([lattice.coordinates(target.qubits[qubits]), chain])
    shifts, found = lattice.shifts(lattice.length), [qubits[None, :]]
    for image in lattice.images(tile):
        u, lane, wire, position, _ = image.T
        across = np.where(u == 0, shifts[:, :1], shifts[:, 1:]) // lattice.lane_width
        along = np.where(u == 0, shifts[:, 1:], shifts[:, :1])
        lane, position = lane + across, position + along
        inside = (lane < lattice.lanes) & (position < lattice.length)
        on_chip = inside.all(axis=1)
        rows = table[u, lane[on_chip], wire, position[on_chip]]
        found.append(rows[(rows >= 0).all(axis=1)])
    images = np.concatenate(found)
    if not target.is_ideal:
        images = images[[_stands(image, chain, shape, target) for image in images]]
    generator, best = np.random.default_rng(seed), np.zeros(0, np.int64)
    for turn in range(_ORDERS):
        order = generator.permutation(len(images)) if turn else np.arange(len(images))
        chosen, free = [], np.ones(len(target.qubits), bool)
        for image in order.tolist():
            if free[images[image]].all():
                chosen.append(image)
                free[images[image]] = False
        best = max(best, np.array(chosen, np.int64), key=len)
    return [np.split(row, np.flatnonzero(np.diff(chain)) + 1) for row in images[best]]


def _room_of(copy: list[Longs], target: Target) -> int:
    """Return how many working qubits there are in the rectangle around a copy."""
    x, y, _ = _places(target)
    qubits = np.concatenate(copy)
    across = (x >= x[qubits].min()) & (x <= x[qubits].max())
    return int((across & (y >= y[qubits].min()) & (y <= y[qubits].max())).sum())


def _stands(qubits: Longs, chain: Longs, shape: Shape, target: Target) -> bool:
    """Return whether chains embed a shape, whatever couplers are missing."""
    first, neighbour, _ = target.adjacency
    ptr, count = pointers(np.bincount(chain)), len(target.qubits)
    return bool(
        kernels.first_bad_copy(ptr, qubits, shape.size, shape.i, shape.j, first, neighbour, count)
        < 0
    )


def _embed(
    shape: Shape,
    target: Target,
    free: Bools,
    seed: int,
    tries: int,
    timeout: float = _NO_TIMEOUT,
) -> list[Longs]:
    """Return one copy on the free qubits, or nothing."""
    import minorminer

    if free.sum() < shape.size:
        return []
    part = target.couplers[free[target.couplers].all(axis=1)]
    if len(part) < len(shape.i):
        return []
    # The result depends on the order of edges: both lists are sorted.
    found = minorminer.find_embedding(
        shape.edges, part.tolist(), random_seed=seed, tries=tries, timeout=timeout
    )
    return [np.sort(np.array(found[v], np.int64)) for v in range(shape.size)] if found else []


def _places(target: Target) -> tuple[Floats, Floats, int]:
    """Return where each qubit lies on the plane, and the side of the chip."""
    lattice = Lattice.of(target.topology, target.shape)
    u, lane, _, position = lattice.coordinates(target.qubits).T
    across = lane * lattice.lane_width
    x, y = np.where(u == 0, across, position), np.where(u == 0, position, across)
    return x.astype(np.float64), y.astype(np.float64), lattice.length


def _middle(x: Floats, y: Floats, length: int, room: float) -> Bools:
    """Return the square of about ``room`` qubits in the middle, away from the rim."""
    half = length * np.sqrt(room / len(x)) / 2
    centre = (length - 1) / 2
    return np.asarray((np.abs(x - centre) <= half) & (np.abs(y - centre) <= half))


def _windows(x: Floats, y: Floats, length: int, room: float) -> Iterator[Bools]:
    """Yield squares of about ``room`` qubits, squares across those, and larger ones."""
    for across, share in ((0.0, 1.0), (0.5, 1.0), (0.25, 2.0)):
        side = (length + 1) / max(1, int(np.sqrt(len(x) / (share * room))))
        column, row = (np.floor(part / side + across).astype(np.int64) for part in (x, y))
        for place in np.unique(np.stack([column, row], axis=1), axis=0).tolist():
            yield (column == place[0]) & (row == place[1])
