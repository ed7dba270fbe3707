"""Independent blocks: variables joined by couplers or by a constraint."""

from __future__ import annotations

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Longs, own_array, pointers, segment_ids
from qubo_attn.ir.program import Program
from qubo_attn.ir.quadratic import LateQuadratic


def blocks_of(program: Program) -> Longs:
    """Return the independent block of each variable: couplers and constraints join variables.

    Energies and feasibility of one block do not depend on another, so the best read may be picked
    block by block.
    """
    o, c = program.objective, program.constraints
    # Passes that only price constraints keep couplers and rows as they are, and with them blocks.
    known: tuple[Longs, Longs, Longs] | None = o.__dict__.get("_blocks")
    if known is not None and known[0] is c.ptr and known[1] is c.var:
        return known[2]
    anchors = c.var[c.ptr[c.row]]
    if isinstance(o, LateQuadratic):
        ptr = o.couplers.ptr
        ends = ptr[segment_ids(ptr)], np.arange(ptr[-1])
    else:
        ends = o.i, o.j
    u, v = np.concatenate([ends[0], anchors]), np.concatenate([ends[1], c.var])
    blocks = own_array(kernels.connected_components(len(program), u, v))
    o.__dict__["_blocks"] = c.ptr, c.var, blocks
    return blocks


def places_within(component: Longs) -> Longs:
    """Return the place of each variable among those of its component."""
    order = np.argsort(component, kind="stable")
    place = np.empty(len(component), np.int64)
    place[order] = np.arange(len(component)) - pointers(np.bincount(component))[component[order]]
    return place
