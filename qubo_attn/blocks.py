"""Independent blocks: variables joined by couplers or by a constraint."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from qubo_attn.arrays import Ints, Longs, pointers, segment_ids
from qubo_attn.ir import Program


def components(n: int, u: Ints | Longs, v: Ints | Longs) -> Longs:
    """Return for each of ``n`` vertices its component, numbered by the first vertex in it."""
    graph = sparse.coo_array((np.ones(len(u), np.int8), (u, v)), shape=(n, n))
    _, label = connected_components(graph, directed=False)
    _, first, place = np.unique(label, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return np.asarray(rank[place])


def blocks_of(program: Program) -> Longs:
    """Return the independent block of each variable: couplers and constraints join variables.

    Energies and feasibility of one block do not depend on another, so the best read may be picked
    block by block.
    """
    o, c = program.objective, program.constraints
    anchors = c.var[c.ptr[segment_ids(c.ptr)]]
    return components(len(program), np.concatenate([o.i, anchors]), np.concatenate([o.j, c.var]))


def places_within(component: Longs) -> Longs:
    """Return the place of each variable among those of its component."""
    order = np.argsort(component, kind="stable")
    place = np.empty(len(component), np.int64)
    place[order] = np.arange(len(component)) - pointers(np.bincount(component))[component[order]]
    return place
