"""Least qubits that any embedding of a graph takes on an ideal Pegasus or Zephyr lattice.

Nodes whose chains are single qubits induce a subgraph of the lattice. So an embedding takes one
qubit more than nodes for each node that must be left out before the rest is such a subgraph. Parts
that are none are found one after another; the fewest nodes that hit all of them bound from below.
Whether a part is a subgraph is decided by backtracking from one qubit of each class that
translations and the symmetry of lanes leave; a search that takes too long proves nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import dwave.graphs
import networkx as nx
import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

# Steps of backtracking, after which nothing is proven, and how many parts, and for how many seconds
# parts, are sought.
STEPS, PARTS, SECONDS = 400_000, 300, 20.0
# Size of a lattice, and links from its middle that do not touch the rim.
SIZE, REACH = {"zephyr": 12, "pegasus": 16}, {"zephyr": 5, "pegasus": 6}


class Lattice:
    """An ideal lattice, with qubits in its middle that stand for all others.

    Args:
        name: of a machine, ``zephyr_12`` or so; lattices of other sizes have the same parts.

    Attributes:
        adjacent: for each qubit the others that it couples to, as bits of an integer.
        roots: one qubit of each class.
        reach: links between the roots and the rim.
    """

    def __init__(self, name: str) -> None:
        topology = name.split("_")[0]
        size = SIZE[topology]
        if topology == "zephyr":
            graph = dwave.graphs.zephyr_graph(size, coordinates=True)
            # Steps across, along and within lanes, and the diagonal, take any qubit to any other.
            roots: Iterable[tuple[int, ...]] = [(0, size, 0, 0, size // 2)]
        else:
            graph = dwave.graphs.pegasus_graph(size, coordinates=True)
            middle = size // 2 - 1
            roots = [(u, middle, k, middle) for u in (0, 1) for k in range(12)]
        number = {qubit: place for place, qubit in enumerate(graph)}
        self.adjacent = [sum(1 << number[other] for other in graph[qubit]) for qubit in graph]
        self.roots = [number[root] for root in roots]
        self.reach = REACH[topology]

    def holds(self, part: nx.Graph) -> bool:
        """Return False where it is proven that a connected graph is no subgraph."""
        centre = nx.center(part)[0]
        if nx.eccentricity(part, centre) > self.reach:
            return True
        order, left = [centre], set(part) - {centre}
        while left:
            order.append(
                max(left, key=lambda v: (sum(u in part[v] for u in order), part.degree(v)))
            )
            left.remove(order[-1])
        before = [
            [i for i, u in enumerate(order[:at]) if u in part[v]] for at, v in enumerate(order)
        ]
        degree = [part.degree(v) for v in order]
        steps = [STEPS]
        return any(
            self.adjacent[root].bit_count() >= degree[0]
            and self._extend([root], 1 << root, before, degree, steps)
            for root in self.roots
        )

    def _extend(
        self,
        image: list[int],
        used: int,
        before: list[list[int]],
        degree: list[int],
        steps: list[int],
    ) -> bool:
        """Return whether the nodes that are placed extend to all, or it takes too long to tell."""
        at = len(image)
        if at == len(before):
            return True
        room = ~used
        for i in before[at]:
            room &= self.adjacent[image[i]]
        while room:
            steps[0] -= 1
            if steps[0] < 0:
                return True
            bit = room & -room
            room ^= bit
            qubit = bit.bit_length() - 1
            if self.adjacent[qubit].bit_count() >= degree[at]:
                image.append(qubit)
                if self._extend(image, used | bit, before, degree, steps):
                    return True
                image.pop()
        return False


def least_qubits(graph: nx.Graph, lattice: Lattice, most: int) -> int:
    """Return a number of qubits that no embedding of a graph falls below.

    Args:
        graph: the graph.
        lattice: that of the machine, whose defects only make it harder.
        most: qubits of a known embedding; the search ends once it is proven minimal.
    """
    parts: list[set[int]] = []
    out: set[int] = set()
    end = time.monotonic() + SECONDS
    while len(graph) + len(out) < most and len(parts) < PARTS and time.monotonic() < end:
        part = _part_outside(graph.subgraph(set(graph) - out), lattice)
        if part is None:
            break
        parts.append(part)
        out = _fewest(parts)
    return len(graph) + len(out)


def _part_outside(graph: nx.Graph, lattice: Lattice) -> set[int] | None:
    """Return the nodes of a smallest part that is no subgraph of the lattice, or None."""
    for nodes in nx.connected_components(graph):
        part = set(nodes)
        if lattice.holds(graph.subgraph(part)):
            continue
        for node in sorted(nodes):
            if node not in part:
                continue
            for piece in list(nx.connected_components(graph.subgraph(part - {node}))):
                if not lattice.holds(graph.subgraph(piece)):
                    part = set(piece)
                    break
        return part
    return None


def _fewest(parts: list[set[int]]) -> set[int]:
    """Return the fewest nodes of which each part holds one."""
    nodes = sorted(set().union(*parts))
    held = np.array([[node in part for node in nodes] for part in parts], float)
    one, whole = np.ones(len(nodes)), np.ones(len(nodes), np.int64)
    found = milp(one, integrality=whole, bounds=Bounds(0, 1), constraints=LinearConstraint(held, 1))
    if found.x is None:
        raise RuntimeError(f"HiGHS gave up: {found.message}")
    return {node for node, taken in zip(nodes, found.x, strict=True) if taken > 0.5}
