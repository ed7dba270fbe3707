"""Certified weights of exactly-k rows whose keys have levels, and of the gates behind them.

The proof is told, and its arithmetic done, in `qubo_attn.kernels.leveled`.
"""

from __future__ import annotations

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Longs, pointers, segment_ids
from qubo_attn.formulations.certificates import LEVELS, Certificates
from qubo_attn.ir.columns import Kind
from qubo_attn.ir.program import Program
from qubo_attn.ir.rows import gate_pairs

ROUNDS = 40


def certify_levels(program: Program, index: Longs, share: float) -> Certificates:
    """Return proven weights of exactly-k rows whose keys have levels, and of their gates.

    Args:
        program: before its constraints are priced.
        index: int64, all constraints of the rows' blocks, see `qubo_attn.ir.rows.leveled_rows`.
        share: margin, as a share of a good point's energy above the least there could be.
    """
    c, o, n = program.constraints, program.objective, len(program)
    picks = c.kind[index] != Kind.GATE
    part, block = c.take(index[picks]), program.components
    owner = np.full(int(block.max(initial=-1)) + 1, -1, np.int64)
    owner[block[part.var[part.ptr[:-1]]]] = np.arange(len(part))
    inside = np.flatnonzero(owner[block] >= 0)
    row = owner[block[inside]]
    counted, gate = np.zeros(n, bool), np.full(n, -1, np.int64)
    counted[part.var] = True
    level, opener = gate_pairs(program)
    gate[level] = opener
    # Counted variables first: the bounds on F(m) then lie where the row's other entries do.
    order = np.lexsort((inside, ~counted[inside], row))
    var, ptr = inside[order], pointers(np.bincount(row, minlength=len(part)))
    curved = o.i == o.j
    square = np.bincount(o.i[curved], weights=o.bias[curved], minlength=n)
    weight, slope, best, margin, lower, point, price = kernels.certify_leveled(
        ptr,
        var,
        counted,
        gate,
        np.rint(part.rhs).astype(np.int64),
        part.ptr + np.arange(len(part.ptr)),
        o.linear,
        program.variables.upper,
        square.astype(np.float64),
        *kernels.adjacency(n, o.i[~curved], o.j[~curved], o.bias[~curved]),
        share,
        ROUNDS,
    )
    taken, price_of, in_row = np.zeros(n, np.uint8), np.zeros(n), np.zeros(n, np.int64)
    taken[var], price_of[var], in_row[var] = point, price, segment_ids(ptr)
    mine = c.take(index)
    entry = segment_ids(mine.ptr)
    # A gate over several bits is as dear as its dearest bit asks, per unit of its coefficient.
    dearest = np.zeros(len(mine))
    held = mine.coef > 0
    np.maximum.at(dearest, entry[held], (price_of[mine.var] / np.abs(mine.coef))[held])
    which = in_row[mine.var[mine.ptr[:-1]]]
    bounds = np.zeros(len(mine.var) + len(mine))
    bounds[np.repeat(picks, np.diff(mine.ptr) + 1)] = lower
    return Certificates(
        program,
        index,
        np.where(picks, weight[which], dearest),
        np.where(picks, slope[which], 0.0),
        margin[which],
        np.full(len(index), LEVELS, np.int8),
        np.where(picks, best[which], np.nan),
        bounds,
        np.where(picks[entry], taken[mine.var], 0).astype(np.uint8),
        ROUNDS,
    )
