"""Canonicalize: fix what single constraints decide, drop those that always hold.

* A constraint over one variable, ``c x = d``, fixes it: required and forbidden keys.
* A variable whose coefficient is larger than the room between the right-hand side and the least
  that the left side can be has to stay where it adds least; in an equality likewise from above. So
  a count of 0, or as large as the row, leaves one assignment.
* An upper bound that the left side cannot exceed says nothing and goes.

Fixing may decide further constraints, so it repeats until nothing is decided. Every feasible point
has these values, so nothing is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qubo_attn.common.arrays import Bools, Floats
from qubo_attn.common.keywords import named_fields
from qubo_attn.common.words import plural
from qubo_attn.ir.columns import Sense
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program
from qubo_attn.ir.rows import cannot_hold, row_ranges
from qubo_attn.ir.substitute import fix
from qubo_attn.pipeline.pipeline import UNPRICED, WHOLE_ROWS, Fact
from qubo_attn.pipeline.rewrite import Rewrite


@named_fields
@dataclass(frozen=True)
class Canonicalize:
    """Fix variables that the constraints leave one value.

    Example:
        >>> from qubo_attn import Canonicalize, Program
        >>> program = Program.parse('''
        ... x[0,0,0] : 1
        ... x[0,0,1] : 2
        ... keep[0,0,1]: x[0,0,1] == 1
        ... pick[0,0]: x[0,0,0] + x[0,0,1] == 1
        ... ''')
        >>> print(Canonicalize().apply(program).program)
        program variables=0 terms=0 constraints=0
        offset 2
        <BLANKLINE>
    """

    name: ClassVar[str] = "canonicalize"
    needs: ClassVar[frozenset[Fact]] = frozenset({UNPRICED})
    ensures: ClassVar[frozenset[Fact]] = frozenset()
    breaks: ClassVar[frozenset[Fact]] = frozenset({WHOLE_ROWS})

    def apply(self, program: Program) -> Rewrite:
        """Return the program without the decided variables.

        Raises:
            InfeasibleError: a constraint cannot hold; names it.
        """
        lift, before = Lift.identity(len(program)), len(program)
        while True:
            fixed, value = _decided(program)
            if not fixed.any():
                break
            program, step = fix(program, fixed, value)
            lift = lift.then(step)
        says = ~_always_holds(program)
        notes = [f"{plural(before - len(program), 'variable', 'd')} decided"]
        if not says.all():
            program = program.replace(constraints=program.constraints.take(says))
            notes.append(f"{(~says).sum()} bounds always hold")
        return Rewrite(program, lift, notes=tuple(notes))


def _always_holds(program: Program) -> Bools:
    """Return which upper bounds the left side cannot exceed."""
    c = program.constraints
    return np.asarray((c.sense == Sense.LE) & (row_ranges(program)[1] <= c.rhs + 1e-9))


def _decided(program: Program) -> tuple[Bools, Floats]:
    """Return which variables the constraints decide, one constraint at a time, and at what."""
    c, n, row = program.constraints, len(program), program.constraints.row
    least, most = row_ranges(program)
    equal = c.sense == Sense.EQ
    broken = (c.rhs < least - 1e-9) | (equal & (c.rhs > most + 1e-9))
    single = equal & (np.diff(c.ptr) == 1)
    first = c.ptr[:-1]
    share = np.zeros(len(c))
    share[single] = c.rhs[single] / c.coef[first[single]]
    broken |= single & (np.abs(share - np.rint(share)) > 1e-9)
    if broken.any():
        r = int(np.flatnonzero(broken)[0])
        raise cannot_hold(
            c,
            [r],
            f"cannot hold within its variables' ranges: they reach {least[r]:g} to {most[r]:g}, "
            f"and its right-hand side is {c.rhs[r]:g}",
        )
    fixed, value = np.zeros(n, bool), np.zeros(n)
    entry = single[row]
    fixed[c.var[entry]] = True
    value[c.var[entry]] = np.rint(share)[row[entry]]
    # What one unit of a variable would take up, against what there is.
    below, above = c.rhs - least + 1e-9, np.where(equal, most - c.rhs + 1e-9, np.inf)
    for room, at_most in ((below, False), (above, True)):
        entry = (np.abs(c.coef) > room[row]) & ~fixed[c.var]
        up = (c.coef > 0) == at_most
        fixed[c.var[entry]] = True
        value[c.var[entry]] = np.where(up, program.variables.upper[c.var], 0)[entry]
    return fixed, value
