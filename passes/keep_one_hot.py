"""Keep one-hot: rows of which exactly one bit is set go back to being constraints.

Digital annealers take groups of bits of which exactly one is set, and search among such states
alone. For these machines (``Target.all_to_all(native={"one-hot"})``) a price would only widen the
range of coefficients, so this pass takes it off again, whatever it was. All other constraints keep
their price. No state that keeps the rows changes its energy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qubo_attn.common.frozen import replaced
from qubo_attn.ir.columns import Sense
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program, unpriced
from qubo_attn.pipeline.pipeline import BINARY, PRICED, Fact
from qubo_attn.pipeline.rewrite import Rewrite, unchanged


@dataclass(frozen=True)
class KeepOneHot:
    """Impose one-hot rows again, for machines that keep these themselves.

    Rows whose bits stand in other constraints too keep their price.

    Example:
        >>> from qubo_attn import KeepOneHot, Program
        >>> program = Program.parse('''
        ... x[0,0,0] : -2
        ... x[0,0,1] : -1
        ... pick[0,0]: x[0,0,0] + x[0,0,1] == 1 price 3 slope 0
        ... ''')
        >>> KeepOneHot().apply(program).program.is_unconstrained
        False
    """

    name: ClassVar[str] = "keep-one-hot"
    needs: ClassVar[frozenset[Fact]] = frozenset({BINARY, PRICED})
    ensures: ClassVar[frozenset[Fact]] = frozenset()
    breaks: ClassVar[frozenset[Fact]] = frozenset({PRICED})

    def apply(self, program: Program) -> Rewrite:
        """Return the program with its one-hot rows imposed."""
        c, open_ = program.constraints, unpriced(program)
        kept = open_.count_rows & (c.sense == Sense.EQ) & (c.rhs == 1)
        if not kept.any():
            return unchanged(program, "no one-hot rows")
        weight, slope = np.where(kept, np.nan, c.weight), np.where(kept, 0.0, c.slope)
        return Rewrite(
            program.replace(constraints=replaced(c, weight=weight, slope=slope)),
            Lift.identity(len(program)),
            notes=(f"the machine keeps {int(kept.sum())} of {len(c)} constraints itself",),
        )
