"""Calls of minorminer: one embedding of a graph, or of a clique, among given couplers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from qubo_attn.common.arrays import Array, Bools, Longs
from qubo_attn.machine.target import Target
from qubo_attn.machine.topology import working_graph


def couplers_among(free: Bools, target: Target) -> Array:
    """Return the couplers of a machine whose qubits are both free."""
    return target.couplers[free[target.couplers].all(axis=1)]


def embed(
    size: int, edges: Iterable[tuple[int, int]], couplers: Array, seed: int, **options: Any
) -> list[Longs]:
    """Return the chain of each node as minorminer finds them, or nothing.

    Args:
        size: nodes of the graph.
        edges: its edges.
        couplers: those of the machine, shape (couplers, 2). The result depends on the order of
            both.
        seed: seed of the search.
        **options: of ``minorminer.find_embedding``.
    """
    import minorminer

    chains = minorminer.find_embedding(list(edges), couplers.tolist(), random_seed=seed, **options)
    return [np.array(chains[v], np.int64) for v in range(size)] if chains else []


def embed_clique(size: int, target: Target, couplers: Array, seed: int) -> list[Longs]:
    """Return the chains of one clique as busclique finds them among some couplers, or nothing.

    Args:
        size: nodes of the clique, at least 9.
        target: a Pegasus or Zephyr machine.
        couplers: those that may be used, as positions in its qubits.
        seed: seed of the search.
    """
    from minorminer import busclique

    graph = working_graph(target.topology, target.shape, target.qubits[couplers])
    try:
        chains = busclique.find_clique_embedding(size, graph, use_cache=False, seed=seed)
    except (ValueError, NotImplementedError):  # the latter: lanes of more than four wires
        return []
    numbers = (np.array(sorted(chains[v]), np.int64) for v in range(size)) if chains else ()
    return [np.searchsorted(target.qubits, chain) for chain in numbers]
