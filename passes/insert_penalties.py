"""Insert penalties: constraints become energy, each with a weight of its own.

A row that keeps exactly k of its keys gets ``A (S - k)^2 + mu (S - k)`` with S the number chosen.
It vanishes on S = k, so mu is free. From a point that chooses too few, adding a key changes the
penalty by at most ``mu - A``; from one with too many, removing one changes it by at most
``-mu - A``. If some addition costs the objective at most ``up`` and some removal at most ``down``
(`kernels.step_costs`), then ::

    A = (up + down) / 2 + margin,    mu = (down - up) / 2

makes every such step fall by the margin, and infeasible points end above the optimum by as much.
With mu = 0 and coarser step costs this is the weight of Verma and Lewis (2020); choosing mu halves
it at least where the costs differ in sign, and makes it vanish where a row is sorted by its linear
part alone: A = 0 is the linear penalty (Mirkarimi et al., arXiv 2404.05467), without couplers.

Any other constraint with whole coefficients is priced, with the rest of its connected block, at the
range of the block's objective: sound for any constraint, tight for none. A wall between bits costs
``A u (1 - v)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qubo_attn import kernels
from qubo_attn.arrays import Bools, Floats, segment_ids
from qubo_attn.blocks import blocks_of
from qubo_attn.errors import InputError, PassError
from qubo_attn.ir import Program, Sense
from qubo_attn.kinds import exact_rows
from qubo_attn.lift import Lift
from qubo_attn.pipeline import BINARY, PRICED, UNPRICED, Fact
from qubo_attn.rewrite import Rewrite, unchanged


@dataclass(frozen=True)
class InsertPenalties:
    """Price every constraint with the smallest weight a bound proves.

    Attributes:
        margin: how far infeasible points shall lie above the optimum, as a share of the row's
            largest step cost.
    """

    margin: float = 0.05

    name: ClassVar[str] = "insert-penalties"
    needs: ClassVar[frozenset[Fact]] = frozenset({BINARY, UNPRICED})
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
        exact = exact_rows(program)
        # A row that shares a block with another kind of constraint is priced like the others.
        coarse_blocks = np.unique(block[c.var[c.ptr[:-1][~exact]]])
        exact &= ~np.isin(block[c.var[c.ptr[:-1]]], coarse_blocks)
        weight, slope, margin = np.zeros(len(c)), np.zeros(len(c)), np.full(len(c), np.inf)
        if exact.any():
            weight[exact], slope[exact], margin[exact] = self._price_rows(program, exact)
        if not exact.all():
            weight[~exact], margin[~exact] = self._price_others(program, ~exact, block)
        priced = type(c)(**(c.arrays() | {"weight": weight, "slope": slope}))
        note = f"weights {weight.min():.4g} to {weight.max():.4g}, median {np.median(weight):.4g}"
        return Rewrite(
            program.replace(constraints=priced),
            Lift.identity(len(program)),
            margin=float(margin.min()),
            notes=(note,),
        )

    def _price_rows(self, program: Program, exact: Bools) -> tuple[Floats, Floats, Floats]:
        """Return weight, slope and margin of rows that keep exactly k of their keys."""
        rows = program.constraints.take(exact)
        o = program.objective
        adjacency = kernels.adjacency(len(program), o.i, o.j, o.bias)
        count = np.rint(rows.rhs).astype(np.int64)
        up, down = kernels.step_costs(
            rows.ptr, rows.var, count, o.linear, program.variables.upper, *adjacency
        )
        # A row that takes none, or all, has steps in one direction only.
        up, down = np.where(np.isinf(up), -down, up), np.where(np.isinf(down), -up, down)
        scale = np.maximum(np.abs(up), np.abs(down))
        # A row without any objective still has to be told apart from its infeasible points.
        margin = self.margin * np.where(scale > 0, scale, 1.0)
        return np.maximum((up + down) / 2, 0) + margin, (down - up) / 2, margin

    def _price_others(
        self, program: Program, others: Bools, block: np.ndarray
    ) -> tuple[Floats, Floats]:
        """Return weight and margin of other constraints: the range of their block."""
        c = program.constraints
        row = segment_ids(c.ptr)
        fractions = np.bincount(row[c.coef != np.rint(c.coef)], minlength=len(c)) > 0
        bad = others & (fractions | (c.rhs != np.rint(c.rhs)))
        open_side = others & (c.sense == Sense.LE) & ~c.implications
        for rows, reason in (
            (bad, "has coefficients that are not whole numbers; scale it first"),
            (open_side, "is an inequality that needs slack bits"),
        ):
            if rows.any():
                label = program.constraint_label(int(np.flatnonzero(rows)[0]))
                raise PassError(f"{label} {reason}", constraint=label)
        o = program.objective
        blocks = int(block.max()) + 1
        span = np.bincount(block, weights=np.abs(o.linear), minlength=blocks)
        span += np.bincount(block[o.i], weights=np.abs(o.bias), minlength=blocks)
        width = span[block[c.var[c.ptr[:-1][others]]]]
        width = np.where(width > 0, width, 1.0)
        return (1 + self.margin) * width, self.margin * width
