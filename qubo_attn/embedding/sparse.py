"""Shapes of the sparse components of a program."""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Longs
from qubo_attn.embedding.component import LEAST_NODES, Shape
from qubo_attn.ir.components import places_within
from qubo_attn.ir.program import Program
from qubo_attn.ir.total import row_pairs


def sparse_shapes(program: Program, component: Longs) -> dict[int, Shape]:
    """Return the shape of each component that an embedding of its own suits, in order.

    Edges come from couplers of the objective, from walls, and from all pairs of any other
    constraint, whether its weight needs them or not. Small components get a shape where a sparse
    one can hold theirs; all others are left to cliques.

    Args:
        program: with every constraint priced.
        component: int64, the component of each variable.
    """
    sizes = np.bincount(component)
    loose = _loose(program, component, sizes)
    if not (sizes[loose] >= LEAST_NODES).any():
        return {}
    i, j = _edges(program, loose[component])
    owner = component[i]
    order = np.argsort(owner, kind="stable")
    place, ptr = places_within(component), np.searchsorted(owner[order], np.arange(len(sizes) + 1))
    i, j = place[i[order]], place[j[order]]
    keys: dict[int, tuple[int, bytes, bytes]] = {}
    shapes: dict[tuple[int, bytes, bytes], Shape] = {}
    for c in np.flatnonzero(loose).tolist():
        u, v = i[ptr[c] : ptr[c + 1]], j[ptr[c] : ptr[c + 1]]
        keys[c] = int(sizes[c]), u.tobytes(), v.tobytes()
        shapes.setdefault(keys[c], Shape(keys[c][0], u, v))
    sparse = [shape for shape in shapes.values() if shape.is_sparse]
    suited = {
        key
        for key, shape in shapes.items()
        if shape.is_sparse
        or (shape.size < LEAST_NODES and any(other.holds(shape) for other in sparse))
    }
    return {c: shapes[key] for c, key in keys.items() if key in suited}


def _loose(program: Program, component: Longs, sizes: Longs) -> np.ndarray:
    """Return which components no single constraint makes a clique."""
    c = program.constraints
    loose = np.ones(len(sizes), bool)
    owner = component[c.var[c.ptr[:-1]]]
    loose[owner[(np.diff(c.ptr) == sizes[owner]) & ~c.implications]] = False
    return loose


def _edges(program: Program, inside: np.ndarray) -> tuple[Longs, Longs]:
    """Return the structural edges between variables that are ``inside``, sorted and unique."""
    o, c, n = program.objective, program.constraints, len(program)
    couplers = (o.i != o.j) & inside[o.i]
    rows = c.take(inside[c.var[c.ptr[:-1]]])
    first, second = row_pairs(rows)
    low = np.concatenate([o.i[couplers], rows.var[first]]).astype(np.int64)
    high = np.concatenate([o.j[couplers], rows.var[second]]).astype(np.int64)
    keys = np.unique(low * n + high)
    return keys // max(n, 1), keys % max(n, 1)
