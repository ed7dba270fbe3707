"""Kinds of constraints that passes know how to treat."""

from __future__ import annotations

import numpy as np

from qubo_attn.arrays import Bools, Longs, segment_ids
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


def exact_rows(program: Program) -> Bools:
    """Return which constraints keep exactly k of their own bits."""
    return np.asarray(sum_rows(program) & bit_rows(program))


def row_classes(program: Program, index: Longs) -> list[tuple[tuple[int, int], Longs]]:
    """Return size n and right-hand side k of the constraints ``index``, each with its rows."""
    c = program.constraints
    shape = np.stack([np.diff(c.ptr)[index], np.rint(c.rhs[index]).astype(np.int64)], axis=1)
    kinds, place = np.unique(shape, axis=0, return_inverse=True)
    return [((int(n), int(k)), index[place == p]) for p, (n, k) in enumerate(kinds)]
