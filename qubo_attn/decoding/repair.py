"""Greedy repair of a point that fails some constraints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qubo_attn.common.arrays import Bools, Floats, segment_ids
from qubo_attn.ir.columns import Kind, Sense
from qubo_attn.ir.program import Program
from qubo_attn.ir.rows import gate_pairs

if TYPE_CHECKING:
    from scipy import sparse


def repair(program: Program, point: Floats) -> Floats:
    """Step variables up or down, cheapest first, until constraints hold or no step helps.

    Each step takes, in every block that fails, the unit step that lowers its violation most and,
    among those, costs the objective least. A block in which no step helps is left as it is.

    Args:
        program: as it was before its constraints were priced.
        point: shape (n,), within the variables' ranges; not changed.

    Returns:
        The mended point.
    """
    from scipy import sparse

    mended = point.copy()
    block = program.components
    c, o = program.constraints, program.objective
    c = c.take(c.kind != Kind.GATE)
    matrix = c.matrix(len(program)).tocsc()
    couplers = sparse.csr_array((o.bias, (o.i, o.j)), shape=(len(program), len(program)))
    square = couplers.diagonal()
    room = program.variables.upper
    equal = c.sense == Sense.EQ
    stuck = np.zeros(int(block.max(initial=-1)) + 1, bool)
    while True:
        excess = matrix @ mended - c.rhs
        failing = _size(excess, equal) > 1e-9
        broken = np.zeros(len(stuck), bool)
        broken[block[c.var[c.ptr[:-1][failing]]]] = True
        open_ = (broken & ~stuck)[block]
        up, down = np.flatnonzero(open_ & (mended < room)), np.flatnonzero(open_ & (mended > 0))
        candidates = np.concatenate([up, down])
        if not len(candidates):
            break
        step = np.repeat([1.0, -1.0], [len(up), len(down)])
        gain = _gains(matrix[:, candidates], step, excess, equal)
        fields = o.linear + couplers @ mended + couplers.T @ mended
        cost = step * fields[candidates] + square[candidates]
        order = np.lexsort((candidates, cost, -gain, block[candidates]))
        blocks, first = np.unique(block[candidates][order], return_index=True)
        chosen = order[first]
        helps = gain[chosen] > 1e-9
        stuck[blocks[~helps]] = True
        mended[candidates[chosen[helps]]] += step[chosen[helps]]
    level, opener = gate_pairs(program)
    mended[level[mended[opener] == 0]] = 0.0
    return mended


def _size(excess: Floats, equal: Bools) -> Floats:
    return np.where(equal, np.abs(excess), np.maximum(excess, 0.0))


def _gains(columns: sparse.csc_array, step: Floats, excess: Floats, equal: Bools) -> Floats:
    """Return by how much each step lowers the sum of violations."""
    candidate = segment_ids(columns.indptr.astype(np.int64))
    row = columns.indices
    moved = excess[row] + columns.data * step[candidate]
    lowered = _size(excess[row], equal[row]) - _size(moved, equal[row])
    return np.bincount(candidate, weights=lowered, minlength=len(step)).astype(np.float64)
