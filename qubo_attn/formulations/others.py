"""Constraints of no known kind: what their price must exceed, and what none can be priced for."""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Floats, Longs
from qubo_attn.errors import InfeasibleError, PassError
from qubo_attn.ir.columns import Kind, Sense
from qubo_attn.ir.program import Program
from qubo_attn.ir.rows import bit_rows, row_ranges


def component_ranges(program: Program) -> Floats:
    """Return how far the objective of each component reaches at most.

    A price of that size makes any point that breaks a constraint costlier than any that does not.
    """
    o, upper = program.objective, program.variables.upper.astype(np.float64)
    component = program.components
    span = np.bincount(component, weights=np.abs(o.linear) * upper)
    pairs = np.abs(o.bias) * upper[o.i] * upper[o.j]
    return np.asarray(span + np.bincount(component[o.i], weights=pairs, minlength=len(span)))


def check_others(program: Program, index: Longs) -> None:
    """Reject constraints that cannot hold, or whose price would promise nothing."""
    c, whole = program.constraints, program.constraints.rhs == np.rint(program.constraints.rhs)
    least, most = row_ranges(program)
    never = (least > c.rhs + 1e-9) | ((c.sense == Sense.EQ) & (most < c.rhs - 1e-9))
    if never[index].any():
        r = int(index[never[index]][0])
        label = program.constraints.label(r)
        raise InfeasibleError(
            f"{label} cannot hold: its variables reach {least[r]:g} to {most[r]:g}, and its "
            f"right-hand side is {c.rhs[r]:g}",
            labels=(label,),
        )
    whole &= np.bincount(c.row, weights=c.coef != np.rint(c.coef), minlength=len(c)) == 0
    one_sided = (c.implications & bit_rows(program)) | (c.kind == Kind.GATE)
    for good, reason in (
        (whole, "has coefficients that are not whole numbers; scale it first"),
        (
            (c.sense == Sense.EQ) | one_sided,
            "is an inequality that needs slack bits; run canonicalize first",
        ),
    ):
        if not good[index].all():
            label = program.constraints.label(int(index[~good[index]][0]))
            raise PassError(f"{label} {reason}", constraint=label)
