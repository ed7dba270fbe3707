"""Kinds of constraints that passes know how to treat."""

from __future__ import annotations

import numpy as np

from qubo_attn.arrays import Bools, segment_ids
from qubo_attn.ir import Program, Sense


def exact_rows(program: Program) -> Bools:
    """Return which constraints keep exactly k of their keys: plain counts over their own bits.

    Such a row is an equality with coefficients one over bits that stand in no other constraint, and
    its right-hand side is a whole number between 0 and its size.
    """
    c = program.constraints
    size = np.diff(c.ptr)
    row = segment_ids(c.ptr)
    alone = np.bincount(c.var, minlength=len(program))[c.var] == 1
    plain = (c.coef == 1) & (program.variables.upper[c.var] == 1) & alone
    count = np.bincount(row, weights=plain, minlength=len(c))
    whole = (c.rhs == np.rint(c.rhs)) & (c.rhs >= 0) & (c.rhs <= size)
    return np.asarray((count == size) & (size > 0) & (c.sense == Sense.EQ) & whole & ~c.priced)
