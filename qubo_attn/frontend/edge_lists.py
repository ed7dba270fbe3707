"""Edge lists: their numbers of nodes, and those of networkx's graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from qubo_attn.common.arrays import Array, Floats, Longs
from qubo_attn.common.checks import MOST, instance, numbers, several, whole
from qubo_attn.errors import InputError


def networkx_edges(
    graph: Any, score: str, nodes: Sequence[Any] | None
) -> tuple[Longs, Floats, int]:
    """Return ends, scores and number of nodes; see `AttentionGraph.from_networkx`."""
    instance("score", score, str)
    if not hasattr(graph, "edges") or not hasattr(graph, "is_directed"):
        raise InputError("graph must be a networkx graph", argument="graph")
    names = list(graph.nodes) if nodes is None else list(several("nodes", nodes))
    try:
        number = {name: place for place, name in enumerate(names)}
    except TypeError as error:  # of what does not hash, no graph has a node
        raise InputError(f"nodes are none of a graph ({error})", argument="nodes") from None
    both_ways, ends, scores = not graph.is_directed(), [], []
    for u, v, content in graph.edges(data=True):
        for node in (u, v):
            if node not in number:
                raise InputError(f"nodes lacks {node!r}, which has an edge", argument="nodes")
        if score not in content:
            raise InputError(f"edge {u!r}, {v!r} has no {score!r}", argument="score", edge=(u, v))
        for edge in ((u, v), (v, u))[: 1 + (both_ways and u != v)]:
            ends.append([number[node] for node in edge])
            scores.append(content[score])
    column = numbers("scores", scores)
    index = np.array(ends, np.int64).reshape(-1, 2).T
    return index, np.asarray(column.T if column.ndim == 2 else column), len(names)


def counts_of(
    nodes: int | None, shape: Sequence[int] | None, query: Array, key: Array
) -> tuple[int, int]:
    """Return the numbers of queries and keys."""
    if shape is not None:
        if nodes is not None:
            raise InputError("give nodes= or shape=, not both", argument="shape")
        both = [whole("shape", size) for size in several("shape", shape)]
        if len(both) != 2:
            raise InputError("shape must be two numbers: queries, keys", argument="shape")
        return both[0], both[1]
    if nodes is None:
        nodes = max(int(query.max(initial=-1)), int(key.max(initial=-1))) + 1
    count = whole("nodes", nodes, 0, MOST)
    return count, count


def check_inside(index: Array, query: Array, key: Array, queries: int, keys: int) -> None:
    """Reject edges that lead from or to no node."""
    bad = np.flatnonzero((query < 0) | (query >= queries) | (key < 0) | (key >= keys))
    if len(bad):
        edge = int(bad[0])
        raise InputError(
            f"edge {edge} leads from key {index[0, edge]} to query {index[1, edge]}, but there are "
            f"{keys} keys and {queries} queries ({len(bad)} such edges)",
            argument="edge_index",
            edge=edge,
        )
