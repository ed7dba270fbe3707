"""Compress: coefficients of fewer bits, in rows that keep exactly k bits.

The dynamic range of a row is ``log2`` of the largest over the smallest distance between any two of
its fields and couplers, with zero among them (Muecke, Gerlach and Piatkowski, arXiv 2307.02195). A
machine has to tell these values apart. Coefficients move within what leaves the optimum in place:

* a constant taken from every field of a row is free, as k of them count: fields are centred;
* all become whole multiples of a step, and fields make up for what rounding the couplers does
  around a good selection;
* the largest may be cut off: of a key that no best selection holds, only that matters.

Bits are taken away while the proof stands: what could be best before, or is best after, leaves the
optimum no room to rise (the bound of `DropCouplers`), or no more than the ``budget``. Rows where
not even ``bits`` bits are proven stay as they are.

The prices that come later add one number to all fields of a row and one to all couplers: steps
between fields stay whole, and so do steps between couplers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Floats
from qubo_attn.common.checks import share, whole
from qubo_attn.common.keywords import named_fields
from qubo_attn.formulations.couplers import change_rows
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program
from qubo_attn.ir.rows import lone_rows
from qubo_attn.pipeline.pipeline import OWN_ENERGIES, UNPRICED, Fact
from qubo_attn.pipeline.rewrite import Rewrite, unchanged

# Steps finer than that are below what double precision resolves in an energy.
MOST_BITS = 24


@named_fields
@dataclass(frozen=True)
class Compress:
    """Round the coefficients of rows that keep exactly k keys.

    Attributes:
        bits: most bits of a coefficient, sign included; fewer where that is proven too.
        budget: how much a row's optimum may rise, as a share of what a random selection costs above
            a good one; 0 rounds by proof alone.

    Example:
        >>> from qubo_attn import Compress, Program
        >>> program = Program.parse('''
        ... x[0,0,0] : -4.1234
        ... x[0,0,1] : -3.2567
        ... x[0,0,2] : 2.0071
        ... pick[0,0]: x[0,0,0] + x[0,0,1] + x[0,0,2] == 2
        ... ''')
        >>> print(Compress().apply(program).notes[1])
        dynamic range 2.8 bits before, 1 after (median)
    """

    bits: int = 12
    budget: float = 0.0

    name: ClassVar[str] = "compress"
    needs: ClassVar[frozenset[Fact]] = frozenset({UNPRICED})
    ensures: ClassVar[frozenset[Fact]] = frozenset()
    breaks: ClassVar[frozenset[Fact]] = frozenset({OWN_ENERGIES})

    def __post_init__(self) -> None:
        object.__setattr__(self, "budget", share("budget", self.budget))
        object.__setattr__(self, "bits", whole("bits", self.bits, 2, MOST_BITS))

    def apply(self, program: Program) -> Rewrite:
        """Return the program with coefficients of fewer bits."""
        if not lone_rows(program).any():
            return unchanged(program, "no rows that keep exactly k bits and stand alone")
        changed, rows = change_rows(program, kernels.compress_rows, self.budget, self.bits)
        before, after = dynamic_range(program), dynamic_range(changed)
        bits, bound = rows.tally[rows.tally > 0], float(rows.bound.sum())
        width = f", {np.median(bits):g} bits in the median" if len(bits) else ""
        notes = (
            f"{len(bits)} of {len(rows.tally)} rows compressed{width}",
            f"dynamic range {np.median(before):.2g} bits before, {np.median(after):.2g} after "
            "(median)",
            f"the optimum rises by at most {bound:.4g}",
        )
        error, lift = float(rows.error.sum()), Lift.identity(len(program))
        return Rewrite(changed, lift, bound=bound, error=error, notes=notes)


def dynamic_range(program: Program) -> Floats:
    """Return the dynamic range of each row that keeps exactly k bits and stands alone, in bits.

    Over fields, couplers and zero: ``log2(largest distance / smallest distance above 0)``. Numbers
    closer than rounding noise count as equal; a row of equal numbers has 0 bits.
    """
    o, rows = program.objective, program.constraints.take(lone_rows(program))
    owner = rows.owners(len(program))
    inside = owner[o.i] >= 0
    row = np.concatenate([np.arange(len(rows)), rows.row, owner[o.i[inside]]])
    value = np.concatenate([np.zeros(len(rows)), o.linear[rows.var], o.bias[inside]])
    order = np.lexsort((value, row))
    row, value = row[order], value[order]
    first = np.flatnonzero(np.diff(row, prepend=-1))
    span = np.maximum.reduceat(value, first) - value[first]
    gap = np.diff(value, prepend=0.0)
    gap[first] = 0.0
    gap[gap <= 1e-12 * span[row]] = np.inf
    return np.log2(np.where(span > 0, span / np.minimum.reduceat(gap, first), 1.0))
