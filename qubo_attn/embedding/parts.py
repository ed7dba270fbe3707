"""Graphs in connected parts, and parts put together as one graph."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Longs, own_array, pointers
from qubo_attn.common.frozen import Portable
from qubo_attn.embedding.component import Component, Shape


class Part(NamedTuple):
    """A component with its chains.

    Attributes:
        component: what is embedded.
        chains: positions in the target's ``qubits``, for each of its nodes.
    """

    component: Component
    chains: list[Longs]


@dataclass(frozen=True)
class Mixture(Portable):
    """What one programming shall hold.

    Attributes:
        components: different ones.
        counts: how many copies of each are asked for.

    Example:
        >>> Mixture((Component(4), Component(2)), (3, 1)).name[:3]
        'M4-'
    """

    components: tuple[Component, ...]
    counts: tuple[int, ...]

    @cached_property
    def name(self) -> str:
        """Name for the cache: number of copies and a hash of what they embed."""
        listed = ";".join(
            f"{count}:{component.name}"
            for component, count in zip(self.components, self.counts, strict=True)
        )
        digest = hashlib.sha256(listed.encode()).hexdigest()[:32]
        return f"M{sum(self.counts)}-{digest}"


def parts_of(size: int, i: Longs, j: Longs) -> list[tuple[Component, Longs]]:
    """Return the connected parts of a graph, each with its nodes, ascending.

    Args:
        size: number of nodes.
        i, j: int64, edges, ``i < j``, once each.

    Example:
        >>> parts = parts_of(4, np.array([0, 1]), np.array([2, 3]))
        >>> [(component.name, nodes.tolist()) for component, nodes in parts]
        [('K2', [0, 2]), ('K2', [1, 3])]
    """
    owner = kernels.connected_components(size, i, j)
    order = np.argsort(owner, kind="stable")
    ptr = pointers(np.bincount(owner))
    place = np.empty(size, np.int64)
    place[order] = np.arange(size) - ptr[owner[order]]
    by_part = np.lexsort((j, i, owner[i]))
    edge_ptr = np.searchsorted(owner[i[by_part]], np.arange(len(ptr)))
    parts = []
    for part, (start, end) in enumerate(pairwise(ptr.tolist())):
        edges = by_part[edge_ptr[part] : edge_ptr[part + 1]]
        component = component_of(end - start, place[i[edges]], place[j[edges]])
        parts.append((component, order[start:end]))
    return parts


def component_of(size: int, i: Longs, j: Longs) -> Component:
    """Return a graph as a component: a clique where all nodes are joined."""
    if len(i) == size * (size - 1) // 2:
        return Component(size)
    return Component(size, Shape(size, own_array(i), own_array(j)))


def together(components: Iterable[Component]) -> Component:
    """Return components side by side as one graph, its nodes in their order."""
    listed = list(components)
    if len(listed) == 1:
        return listed[0]
    first = pointers([component.size for component in listed])
    edges = [component.edges + start for component, start in zip(listed, first, strict=False)]
    i, j = np.concatenate(edges, axis=1)
    return Component(int(first[-1]), Shape(int(first[-1]), own_array(i), own_array(j)))
