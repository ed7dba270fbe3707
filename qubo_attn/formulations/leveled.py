"""Proofs of the weights of exactly-k rows whose keys have levels, and of the gates behind them.

`qubo_attn.kernels.leveled` explains the proof and does its arithmetic.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Array, Floats, Longs, pointers, segment_ids
from qubo_attn.ir.columns import Kind
from qubo_attn.ir.program import Program
from qubo_attn.ir.rows import gate_pairs

ROUNDS = 40


class LeveledProof(NamedTuple):
    """Columns of a proof, one entry per constraint; see `certificates.Certificates`."""

    weight: Floats
    slope: Floats
    margin: Floats
    upper: Floats
    lower: Floats
    witness: Array


def by_levels(program: Program, index: Longs, share: float) -> LeveledProof:
    """Return prices of exactly-k rows whose keys have levels, and of their gates.

    Args:
        program: before its constraints are priced.
        index: int64, all constraints of the rows' components, see
            `qubo_attn.ir.rows.leveled_rows`.
        share: margin, as a share of a good point's energy above the least there could be.
    """
    c, o, n = program.constraints, program.objective, len(program)
    part = c.take(index)
    is_row = part.kind != Kind.GATE
    rows, component = part.take(is_row), program.components
    owner = np.full(int(component.max(initial=-1)) + 1, -1, np.int64)
    owner[component[rows.var[rows.ptr[:-1]]]] = np.arange(len(rows))
    inside = np.flatnonzero(owner[component] >= 0)
    row = owner[component[inside]]
    counted, gate = np.zeros(n, bool), np.full(n, -1, np.int64)
    counted[rows.var] = True
    level, opener = gate_pairs(program)
    gate[level] = opener
    # Counted variables first: the bounds on F(m) then lie where the row's other entries do.
    order = np.lexsort((inside, ~counted[inside], row))
    var, ptr = inside[order].astype(np.int32), pointers(np.bincount(row, minlength=len(rows)))
    proof = kernels.certify_leveled(
        kernels.CountRows(ptr, var, rows.counted.keep),
        kernels.LeveledColumns(counted, gate, o.linear, program.variables.upper, o.squares()),
        o.adjacency(),
        rows.ptr + np.arange(len(rows.ptr)),
        share,
        ROUNDS,
    )
    point, price, number = np.zeros(n, np.uint8), np.zeros(n), np.zeros(n, np.int64)
    point[var], price[var], number[var] = proof.point, proof.price, segment_ids(ptr)
    # A gate over several bits is as dear as its dearest bit asks, per unit of its coefficient.
    dearest, gated = np.zeros(len(part)), part.coef > 0
    np.maximum.at(dearest, part.row[gated], (price[part.var] / np.abs(part.coef))[gated])
    which = number[part.var[part.ptr[:-1]]]
    lower = np.zeros(len(part.var) + len(part))
    lower[np.repeat(is_row, np.diff(part.ptr) + 1)] = proof.lower
    return LeveledProof(
        np.where(is_row, proof.weight[which], dearest),
        np.where(is_row, proof.slope[which], 0.0),
        proof.margin[which],
        np.where(is_row, proof.best[which], np.nan),
        lower,
        np.where(is_row[part.row], point[part.var], 0).astype(np.uint8),
    )
