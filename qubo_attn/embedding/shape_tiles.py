"""Compact embeddings of sparse shapes, as minorminer finds them in windows of an ideal lattice."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile

import numpy as np

from qubo_attn.common.arrays import Array
from qubo_attn.embedding.component import Shape
from qubo_attn.embedding.minors import couplers_among, embed
from qubo_attn.embedding.packing import NO_BOUND
from qubo_attn.embedding.plane import Plane
from qubo_attn.machine.lattice import Lattice
from qubo_attn.machine.readers import ideal
from qubo_attn.machine.target import Target

# Nodes of the largest shape that tiles are sought of, and its most edges.
MOST_NODES, MOST_EDGES = 80, 320
# Grid of the lattice that they are sought in.
_GRID = {"pegasus": 8, "zephyr": 6}
# Qubits of the smallest window per node, and how much larger each next one is.
_ROOM, _GROWTH = 1.2, 1.25
# Attempts, fewer for larger shapes, and the tiles that are kept: the smallest.
_ATTEMPTS, _NODES, _KEPT = 30, 1000, 12


def shape_tiles(
    shape: Shape, target: Target, *, seed: int = 0, longest: int = NO_BOUND
) -> list[Array]:
    """Return embeddings of a shape in lattice coordinates, smallest first.

    Args:
        shape: a connected graph.
        target: a Pegasus or Zephyr machine; what it lacks does not matter.
        seed: seed of the attempts, counted up.
        longest: qubits that a chain may have.

    Returns:
        Rows of u, lane, wire, position, chain; nothing where the shape is too large.
    """
    if shape.size > MOST_NODES or len(shape.i) > MOST_EDGES:
        return []
    grid = min(_GRID[target.topology], target.shape[0])
    machine = Target(*ideal(target.topology, (grid, *target.shape[1:])))
    lattice, plane = Lattice.of(machine.topology, machine.shape), Plane.of(machine)
    tiles: list[Array] = []
    smallest = _ROOM * shape.size
    for attempt in range(max(_ATTEMPTS // 5, min(_ATTEMPTS, _NODES // shape.size))):
        for room in _rooms(smallest, len(machine.qubits)):
            free = plane.middle(room)
            part = couplers_among(free, machine)
            if free.sum() < shape.size or len(part) < len(shape.i):
                continue
            chains = embed(shape.size, shape.edges, part, seed + attempt, tries=2)
            if chains and max(map(len, chains)) <= longest:
                qubits = machine.qubits[np.concatenate(chains)]
                chain = np.repeat(np.arange(shape.size), [len(part) for part in chains])
                tiles.append(np.column_stack([lattice.coordinates(qubits), chain]))
                # Where one was found, others are sought in windows a little smaller.
                smallest = max(smallest, room / _GROWTH**2)
                break
        else:
            if not tiles and attempt:
                return []
    return sorted(tiles, key=len)[:_KEPT]


def _rooms(smallest: float, qubits: int) -> Iterator[float]:
    """Yield how many qubits to seek a tile in, more and more."""
    return takewhile(
        lambda room: room < qubits, (smallest * _GROWTH**step for step in range(qubits))
    )
