"""Search for sparse shapes: as many disjoint copies of one as a working graph holds.

Paths, the domain walls of one key, are carved out of the working graph with one qubit a node. Other
shapes are embedded by minorminer in small windows, where it is fast and finds short chains. The
first search shows how many qubits a copy takes. The next ones are in one window of that size after
another, and again in windows that lie across those. Dense rows that few couplers join (heads
coupled along a path) take minorminer seconds: their first copy is moved about the lattice, and few
others are sought. Every packing is checked before it leaves.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, repeat

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Bools, Longs, pointers, segment_ids
from qubo_attn.embedding.cliques import pack_cliques, raise_too_long
from qubo_attn.embedding.component import MOST_DEGREE, Component, Shape
from qubo_attn.embedding.minors import couplers_among, embed
from qubo_attn.embedding.packing import NO_BOUND, Packing, within
from qubo_attn.embedding.plane import Plane
from qubo_attn.embedding.templates import round_up, stock_for
from qubo_attn.errors import EmbeddingError
from qubo_attn.machine.lattice import Lattice
from qubo_attn.machine.target import Target

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


def pack_shape(
    shape: Shape, target: Target, *, seed: int = 0, longest_chain: int | None = None
) -> Packing:
    """Return disjoint embeddings of a sparse shape on ``target``.

    Args:
        shape: a connected graph.
        target: a machine with a working graph.
        seed: seed of all choices.
        longest_chain: qubits that a chain may have; None for any number.

    Raises:
        EmbeddingError: not one copy was found, and none of the clique of its size either.
    """
    component = Component(shape.size, shape)
    what = f"a component of {shape.size} variables and {len(shape.i)} couplers"
    any_length = embed_copies(shape, target, seed)
    bound = NO_BOUND if longest_chain is None else longest_chain
    copies = within(any_length, bound) or _as_clique(shape, target, seed, longest_chain)
    if not copies and any_length and longest_chain is not None:
        raise_too_long(what, longest_chain, Packing.of(component, any_length), target)
    if not copies:
        raise EmbeddingError(
            f"{what} does not fit {target.label}; give rows fewer slots, or price them with "
            "cardinality='dense'",
            requested=shape.size,
        )
    return Packing.ordered(component, copies).checked(target)


def embed_copies(shape: Shape, target: Target, seed: int = 0) -> list[list[Longs]]:
    """Return disjoint embeddings of a shape on ``target``: per copy, the chain of each node.

    Args:
        shape: a connected graph.
        target: a machine with a working graph.
        seed: seed of all choices.
    """
    if shape.is_path:
        return [list(path[:, None]) for path in kernels.carve_paths(shape.size, target.adjacency)]
    first = first_copy(shape, target, seed)
    if not first:
        return []
    copies: list[list[Longs]] = []
    windows: Iterator[Bools]
    count, needed = len(target.qubits), sum(map(len, first))
    failures = max(1, _FAILED_NODES // shape.size)
    if target.is_grid and shape.degree > MOST_DEGREE:
        plane = Plane.of(target)
        room = plane.around(np.concatenate(first))
        copies, needed, failures = _images(first, shape, target, seed), int(_ROOM_AGAIN * room), 1
        windows = islice(plane.windows(room), max(0, 4 * (count // room - len(copies))))
    elif target.is_grid:
        windows = Plane.of(target).windows(_ROOM * needed)
    else:
        windows = repeat(np.ones(count, bool), count // needed)
    free = np.ones(count, bool)
    for copy in copies:
        free[np.concatenate(copy)] = False
    for window in windows:
        if failures and (free & window).sum() >= needed:
            copy = embed_free(shape, target, free & window, seed + len(copies), _TRIES)
            if copy:
                copies.append(copy)
                free[np.concatenate(copy)] = False
            else:
                failures -= 1
    return copies or [first]


def first_copy(
    shape: Shape, target: Target, seed: int = 0, timeout: float = _NO_TIMEOUT
) -> list[Longs]:
    """Return the chains of one embedding of a shape, or nothing.

    Args:
        shape: a connected graph.
        target: a machine with a working graph.
        seed: seed of all choices.
        timeout: seconds for each attempt; results are the same everywhere without one only.
    """
    count = len(target.qubits)
    if target.is_grid:
        plane = Plane.of(target)
        for room in _rooms(shape, count):
            if copy := embed_free(shape, target, plane.middle(room), seed, _TRIES, timeout):
                return copy
    return embed_free(shape, target, np.ones(count, bool), seed, _WHOLE_TRIES, timeout)


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


def _images(first: list[Longs], shape: Shape, target: Target, seed: int) -> list[list[Longs]]:
    """Return disjoint images of a copy under the symmetries of the lattice, itself at worst."""
    lattice, qubits = Lattice.of(target.topology, target.shape), np.concatenate(first)
    ptr = pointers([len(chain) for chain in first])
    tile = np.column_stack([lattice.coordinates(target.qubits[qubits]), segment_ids(ptr)])
    table, shifts = lattice.table(target.qubits), lattice.shifts(lattice.length)
    moved = [lattice.qubits_at(table, image, shifts) for image in lattice.images(tile)]
    images = np.concatenate([qubits[None, :], *moved])
    images = images[(images >= 0).all(axis=1)]
    if not target.is_ideal:
        component = Component(shape.size, shape)
        images = images[[Packing(component, ptr, image).fits(target) for image in images]]
    generator, best = np.random.default_rng(seed), np.zeros(0, np.int64)
    for turn in range(_ORDERS):
        order = generator.permutation(len(images)) if turn else np.arange(len(images))
        chosen, free = [], np.ones(len(target.qubits), bool)
        for image in order.tolist():
            if free[images[image]].all():
                chosen.append(image)
                free[images[image]] = False
        best = max(best, np.array(chosen, np.int64), key=len)
    return [np.split(row, ptr[1:-1]) for row in images[best]]


def embed_free(
    shape: Shape, target: Target, free: Bools, seed: int, tries: int, timeout: float = _NO_TIMEOUT
) -> list[Longs]:
    """Return one copy of a shape on the free qubits, or nothing.

    Args:
        shape: a connected graph.
        target: a machine with a working graph.
        free: qubits that may be used.
        seed: seed of the search.
        tries: attempts of minorminer.
        timeout: seconds for each of them.
    """
    part = couplers_among(free, target)
    if free.sum() < shape.size or len(part) < len(shape.i):
        return []
    chains = embed(shape.size, shape.edges, part, seed, tries=tries, timeout=timeout)
    return [np.sort(chain) for chain in chains]


def _as_clique(
    shape: Shape, target: Target, seed: int, longest_chain: int | None
) -> list[list[Longs]]:
    """Return embeddings of the clique that holds a shape, or nothing."""
    size = round_up(stock_for(target), shape.size)
    try:
        packing = pack_cliques(size, target, seed=seed, longest_chain=longest_chain)
    except EmbeddingError:
        return []
    return [copy[: shape.size] for copy in packing.copies()]
