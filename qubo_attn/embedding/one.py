"""Search for one good embedding of a graph: few qubits, short chains.

Attempts of minorminer, or a clique's tile, give the start; `qubo_attn.embedding.shortening` takes
it from there.
"""

from __future__ import annotations

from time import monotonic

import numpy as np

from qubo_attn.common.arrays import Bools, Longs
from qubo_attn.embedding.cliques import pack_cliques
from qubo_attn.embedding.component import Component
from qubo_attn.embedding.minors import couplers_among, embed
from qubo_attn.embedding.packing import NO_BOUND, Packing
from qubo_attn.embedding.plane import Plane
from qubo_attn.embedding.shortening import cost_of, shorten
from qubo_attn.errors import EmbeddingError
from qubo_attn.machine.target import Target

# Attempts of minorminer: so many nodes altogether, and at least and at most so many attempts.
_NODES, _LEAST, _MOST = 1000, 2, 16
# Qubits of the smallest window per qubit that a copy is known to take, or per node, and how much
# larger each next window is.
_ROOM, _FIRST_ROOM, _GROWTH = 1.15, 1.3, 1.5
_NO_TIMEOUT = 1e6
# Share of the time that attempts get once one has succeeded.
_START = 0.2
# Calls of the search for shorter chains: so many for a node or a neighbour alone, at least so many,
# and at most.
_SHORTER, _LEAST_SHORTER, _MOST_SHORTER = 7000, 5, 22
# Share of all pairs from which the clique's embedding is looked at as well.
_DENSE = 0.3


def embed_component(
    component: Component,
    target: Target,
    *,
    seed: int = 0,
    longest_chain: int | None = None,
    timeout: float | None = None,
) -> Packing:
    """Return one embedding of a graph, which need not be connected.

    Args:
        component: what is embedded.
        target: a machine with a working graph.
        seed: seed of all choices.
        longest_chain: qubits that a chain may have; None for any number.
        timeout: seconds that attempts and the search for shorter chains take together; kernels
            that are not compiled yet come on top. None for an effort that depends on the graph
            alone: the result is then the same everywhere.

    Raises:
        EmbeddingError: none was found.
    """
    bound = NO_BOUND if longest_chain is None else longest_chain
    end = None if timeout is None else monotonic() + timeout
    start = None if timeout is None else monotonic() + _START * timeout
    if component.shape is None:
        packing = pack_cliques(
            component.size, target, rounds=0, seed=seed, longest_chain=longest_chain
        )
        best = packing.copies()[0]
    else:
        best = _attempts(component, target, seed, bound, start, end)
        clique = _as_clique(component, target, seed, bound)
        best = min([chains for chains in (best, clique) if chains], key=cost_of, default=[])
    if not best:
        chains = "" if longest_chain is None else f" with chains of at most {longest_chain} qubits"
        raise EmbeddingError(
            f"no embedding of a graph of {component.size} nodes and {component.edge_count} edges "
            f"was found on {target.label}{chains}",
            requested=component.size,
        )
    calls = _SHORTER // (component.size + 2 * component.edge_count)
    calls = min(max(calls, _LEAST_SHORTER), _MOST_SHORTER)
    best = shorten(component, best, target, calls=calls, seed=seed, longest=bound, end=end)
    return Packing.of(component, [best]).checked(target)


def _attempts(
    component: Component,
    target: Target,
    seed: int,
    bound: int,
    start: float | None,
    end: float | None,
) -> list[Longs]:
    """Return the best of what minorminer finds, in windows where a machine is large.

    Args:
        component, target, seed, bound: what is embedded, where and how.
        start: when attempts end once one has succeeded, by the monotonic clock; None for never.
        end: when they end in any case.
    """
    edges = list(zip(*component.edges.tolist(), strict=True))
    edges += [(node, node) for node in _lonely(component)]
    count = len(target.qubits)
    plane = Plane.of(target) if target.is_grid else None
    attempts = min(max(_NODES // component.size, _LEAST), _MOST)
    best: list[Longs] = []
    room = _FIRST_ROOM * component.size
    attempt = 0
    while attempt < attempts or (end is not None and not best):
        now = monotonic()
        if (end is not None and now >= end) or (start is not None and now >= start and best):
            break
        window: Bools = np.ones(count, bool)
        if plane is not None and room < count:
            window = plane.middle(room)
        chains = _embed(component.size, edges, target, window, seed + attempt, end)
        if chains and max(map(len, chains)) <= bound:
            best = min([chains, *([best] if best else [])], key=cost_of)
            room = _ROOM * sum(map(len, best)) * (1 + attempt % 3)
        elif room < count and plane is not None:
            # A window that is too small costs no attempt until there is room enough.
            room *= _GROWTH
            seed += 1
            attempt -= not best
        attempt += 1
    return best


def _embed(
    size: int,
    edges: list[tuple[int, int]],
    target: Target,
    window: Bools,
    seed: int,
    end: float | None,
) -> list[Longs]:
    """Return what one call of minorminer finds, or nothing."""
    couplers = couplers_among(window, target)
    if window.sum() < size or len(couplers) < sum(u != v for u, v in edges):
        return []
    left = _NO_TIMEOUT if end is None else max(end - monotonic(), 0.01)
    return embed(size, edges, couplers, seed, tries=2, timeout=left)


def _lonely(component: Component) -> list[int]:
    """Return the nodes without edges: minorminer learns of them by an edge to themselves."""
    degree = np.bincount(component.edges.ravel(), minlength=component.size)
    return np.flatnonzero(degree == 0).tolist()


def _as_clique(component: Component, target: Target, seed: int, bound: int) -> list[Longs]:
    """Return the embedding of the clique of all nodes, where that is not far from the graph."""
    pairs = component.size * (component.size - 1) / 2
    if not target.is_grid or component.edge_count < _DENSE * pairs:
        return []
    try:
        packing = pack_cliques(component.size, target, rounds=0, seed=seed)
    except EmbeddingError:
        return []
    chains = packing.copies()[0]
    return chains if max(map(len, chains)) <= bound else []
