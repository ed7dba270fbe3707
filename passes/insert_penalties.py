"""Insert penalties: constraints become energy, each with a weight of its own.

A row that adds up to exactly k gets ``A (S - k)^2 + mu (S - k)``, S its sum, at the smallest A over
mu that `qubo_attn.certificates` proves; its variables may be bits or whole numbers.

Any other constraint with whole coefficients is priced, with the rest of its connected block, at the
range of the block's objective: sound for any constraint, tight for none. A wall between bits costs
``A u (1 - v)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qubo_attn.arrays import Bools, Floats, segment_ids
from qubo_attn.blocks import blocks_of
from qubo_attn.certificates import certify, step_scale
from qubo_attn.errors import InputError, PassError
from qubo_attn.ir import Program, Sense
from qubo_attn.kinds import bit_rows, sum_rows
from qubo_attn.lift import Lift
from qubo_attn.pipeline import PRICED, UNPRICED, Fact
from qubo_attn.rewrite import Rewrite, unchanged


@dataclass(frozen=True)
class InsertPenalties:
    """Price every constraint with the smallest weight a bound proves.

    Attributes:
        margin: how far infeasible points shall lie above the optimum, as a share of the row's
            largest cost of a corrective flip.
        relax: try the convex relaxation besides step costs; smaller weights, for about a
            millisecond a row.
    """

    margin: float = 0.05
    relax: bool = True

    name: ClassVar[str] = "insert-penalties"
    needs: ClassVar[frozenset[Fact]] = frozenset({UNPRICED})
    ensures: ClassVar[frozenset[Fact]] = frozenset({PRICED})
    breaks: ClassVar[frozenset[Fact]] = frozenset({UNPRICED})

    def __post_init__(self) -> None:
        if not (np.isfinite(self.margin) and self.margin >= 0):
            raise InputError(f"margin must be a number >= 0, not {self.margin}", margin=self.margin)

    def apply(self, program: Program) -> Rewrite:
        """Return the program with every constraint priced."""
        c = program.constraints
        if not len(c):
            return unchanged(program, "no constraints")
        block = blocks_of(program)
        exact = sum_rows(program)
        # A row that shares a block with another kind of constraint is priced like the others.
        coarse_blocks = np.unique(block[c.var[c.ptr[:-1][~exact]]])
        exact &= ~np.isin(block[c.var[c.ptr[:-1]]], coarse_blocks)
        weight, slope, margin = np.zeros(len(c)), np.zeros(len(c)), np.full(len(c), np.inf)
        certificates = None
        if exact.any():
            index = np.flatnonzero(exact)
            wanted = self.margin * step_scale(program, index)
            certificates = certify(program, index, wanted, relax=self.relax)
            weight[exact], slope[exact] = certificates.weight, certificates.slope
            margin[exact] = wanted
        if not exact.all():
            weight[~exact], margin[~exact] = self._price_others(program, ~exact, block)
        priced = type(c)(**(c.arrays() | {"weight": weight, "slope": slope}))
        note = f"weights {weight.min():.4g} to {weight.max():.4g}, median {np.median(weight):.4g}"
        return Rewrite(
            program.replace(constraints=priced),
            Lift.identity(len(program)),
            margin=float(margin.min()),
            notes=(note,),
            certificates=certificates,
        )

    def _price_others(
        self, program: Program, others: Bools, block: np.ndarray
    ) -> tuple[Floats, Floats]:
        """Return weight and margin of other constraints: the range of their block."""
        c = program.constraints
        row = segment_ids(c.ptr)
        fractions = np.bincount(row[c.coef != np.rint(c.coef)], minlength=len(c)) > 0
        bad = others & (fractions | (c.rhs != np.rint(c.rhs)))
        walls = c.implications & bit_rows(program)
        open_side = others & (c.sense == Sense.LE) & ~walls
        for rows, reason in (
            (bad, "has coefficients that are not whole numbers; scale it first"),
            (open_side, "is an inequality that needs slack bits"),
        ):
            if rows.any():
                label = program.constraint_label(int(np.flatnonzero(rows)[0]))
                raise PassError(f"{label} {reason}", constraint=label)
        o = program.objective
        blocks = int(block.max()) + 1
        upper = program.variables.upper.astype(np.float64)
        span = np.bincount(block, weights=np.abs(o.linear) * upper, minlength=blocks)
        pairs = np.abs(o.bias) * upper[o.i] * upper[o.j]
        span += np.bincount(block[o.i], weights=pairs, minlength=blocks)
        width = span[block[c.var[c.ptr[:-1][others]]]]
        width = np.where(width > 0, width, 1.0)
        return (1 + self.margin) * width, self.margin * width
