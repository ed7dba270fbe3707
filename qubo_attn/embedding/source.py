"""Graphs to embed, as callers have them: networkx graphs, models, lists of edges."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np

from qubo_attn.common.arrays import Longs, own_array
from qubo_attn.common.checks import several, shown
from qubo_attn.errors import InputError

# Nodes of the largest graph: no machine has so many qubits.
_MOST = 1 << 14


@dataclass(frozen=True, eq=False)
class Source:
    """A graph to embed.

    Attributes:
        labels: its nodes.
        i, j: int64, its edges, as places in ``labels``; ``i < j``, sorted, once each.
    """

    labels: tuple[Hashable, ...]
    i: Longs
    j: Longs

    @classmethod
    def of(cls, graph: object) -> Source:
        """Return the graph meant by what a caller passed.

        Args:
            graph: a networkx graph, a quadratic model of dimod's, or edges as pairs of labels. A
                pair of twice the same label stands for a node without edges; directions and double
                edges do not matter.

        Raises:
            InputError: it is none of these, or has no node, or more nodes than any machine.
        """
        if hasattr(graph, "nodes") and hasattr(graph, "edges"):
            nodes, edges = list(graph.nodes), list(graph.edges)
        elif hasattr(graph, "variables") and hasattr(graph, "quadratic"):
            nodes, edges = list(graph.variables), list(graph.quadratic)
        else:
            nodes, edges = [], list(several("graph", graph))
        try:
            ends = [(edge[0], edge[1]) for edge in edges if _is_pair(edge)]
            labels = tuple(dict.fromkeys([*nodes, *(end for pair in ends for end in pair)]))
        except TypeError as error:
            raise InputError(f"nodes need labels that hash: {error}", argument="graph") from None
        if len(ends) < len(edges):
            odd = next(edge for edge in edges if not _is_pair(edge))
            raise InputError(f"an edge is a pair of labels, not {shown(odd)}", argument="graph")
        if not 1 <= len(labels) <= _MOST:
            raise InputError(
                f"a graph to embed has 1 to {_MOST} nodes, not {len(labels)}", argument="graph"
            )
        place = {label: number for number, label in enumerate(labels)}
        pairs = np.array([(place[u], place[v]) for u, v in ends], np.int64).reshape(-1, 2)
        pairs = np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1)
        codes = np.unique(pairs[:, 0] * len(labels) + pairs[:, 1])
        return cls(labels, own_array(codes // len(labels)), own_array(codes % len(labels)))


def sources_of(graphs: object) -> tuple[list[Source], bool]:
    """Return the graphs meant by what a caller passed, and whether they are several.

    Args:
        graphs: a graph as `Source.of` takes it, or a list of them. In a list of edges, edges are
            tuples, or hold labels that are no lists.

    Raises:
        InputError: see `Source.of`; or there is no graph.
    """
    if _is_graph(graphs):
        return [Source.of(graphs)], False
    listed = several("graphs", graphs)
    if not listed:
        raise InputError("there is no graph to embed", argument="graphs")
    first = listed[0]
    nested = isinstance(first, list) and first and isinstance(first[0], (list, tuple))
    if _is_graph(first) or nested:
        return [Source.of(graph) for graph in listed], True
    return [Source.of(listed)], False


def _is_graph(graph: Any) -> bool:
    """Return whether an object is a graph or a model, by what it has."""
    names = ("nodes", "edges"), ("variables", "quadratic")
    return any(hasattr(graph, one) and hasattr(graph, other) for one, other in names)


def _is_pair(edge: Any) -> bool:
    listed = hasattr(edge, "__getitem__") and hasattr(edge, "__len__")
    if not listed or isinstance(edge, (str, bytes, dict)):
        return False
    try:
        return len(edge) >= 2
    except TypeError:  # an array without axes
        return False
