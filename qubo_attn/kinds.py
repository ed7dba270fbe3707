"""Kinds of constraints that passes know how to treat."""

from __future__ import annotations

import numpy as np

from qubo_attn.arrays import Bools, segment_ids
from qubo_attn.ir import Program, Sense


def count_rows(program: Program) -> Bools:
    """Return which imposed constraints are plain counts over variables of their own.

    Coefficients are one, the variables stand in no other constraint, and the right-hand side is a
    whole number that the variables can reach. Equalities and upper bounds alike.
    """
    c = program.constraints
    row = segment_ids(c.ptr)
    alone = np.bincount(c.var, minlength=len(program))[c.var] == 1
    plain = np.bincount(row, weights=(c.coef == 1) & alone, minlength=len(c)) == np.diff(c.ptr)
    reach = np.bincount(row, weights=program.variables.upper[c.var], minlength=len(c))
    whole = (c.rhs == np.rint(c.rhs)) & (c.rhs >= 0) & (c.rhs <= reach)
    return np.asarray(plain & whole & (np.diff(c.ptr) > 0) & ~c.priced)


def sum_rows(program: Program) -> Bools:
    """Return which constraints ask their own variables to add up to exactly k."""
    return np.asarray(count_rows(program) & (program.constraints.sense == Sense.EQ))


def at_most_rows(program: Program) -> Bools:
    """Return which constraints let at most k of their own bits be one."""
    return np.asarray(
        count_rows(program) & (program.constraints.sense == Sense.LE) & bit_rows(program)
    )


def bit_rows(program: Program) -> Bools:
    """Return which constraints stand over bits alone."""
    c = program.constraints
    wide = program.variables.upper[c.var] > 1
    return np.asarray(np.bincount(segment_ids(c.ptr), weights=wide, minlength=len(c)) == 0)


def lone_rows(program: Program) -> Bools:
    """Return which constraints keep exactly k of their own bits and touch no other variable."""
    c, o = program.constraints, program.objective
    exact = exact_rows(program)
    owner = np.full(len(program), -1, np.int64)
    entry = exact[segment_ids(c.ptr)]
    owner[c.var[entry]] = segment_ids(c.ptr)[entry]
    crossing = owner[o.i] != owner[o.j]
    touched = np.concatenate([owner[o.i[crossing]], owner[o.j[crossing]]])
    exact[touched[touched >= 0]] = False
    return exact


def exact_rows(program: Program) -> Bools:
    """Return which constraints keep exactly k of their own bits."""
    return np.asarray(sum_rows(program) & bit_rows(program))
