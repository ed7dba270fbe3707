"""From a program to one quadratic form: the objective plus its priced constraints."""

from __future__ import annotations

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Floats, Longs, own_array, pointers
from qubo_attn.errors import VerifyError
from qubo_attn.ir.columns import Constraints, Variables
from qubo_attn.ir.quadratic import Quadratic, Terms, whole_rows


def total(variables: Variables, objective: Quadratic, constraints: Constraints) -> Quadratic:
    """Return objective plus penalties of a binary, unconstrained program; see `Program.total`."""
    if not constraints.priced.all():
        where = constraints.label(int(np.flatnonzero(~constraints.priced)[0]))
        raise VerifyError(
            f"constraint-left at {where}: it is imposed, not priced; run insert-penalties first",
            code="constraint-left",
            where=where,
        )
    if not (variables.upper == 1).all():
        where = variables.label(int(np.flatnonzero(variables.upper != 1)[0]))
        raise VerifyError(
            f"not-binary at {where}: run binarize-weights first", code="not-binary", where=where
        )
    form = objective
    if constraints.one_sided.any():
        form = _add_gates(form, constraints.take(constraints.one_sided))
        constraints = constraints.take(~constraints.one_sided)
    return _add_squares(form, constraints)


def _add_gates(form: Quadratic, gates: Constraints) -> Quadratic:
    """Add ``A (c.u) (1 - v)`` for every ``c.u - U v <= 0``; implications have one u."""
    n, row = len(form.linear), gates.row
    opens = gates.coef < 0
    gate = np.zeros(len(gates), np.int64)
    gate[row[opens]] = gates.var[opens]
    u, v = gates.var[~opens], gate[row[~opens]]
    paid = gates.weight[row[~opens]] * gates.coef[~opens]
    i, j, bias = kernels.add_couplers(n, form.i, form.j, form.bias, (u, v, -paid))
    linear = form.linear + np.bincount(u, weights=paid, minlength=n)
    return Quadratic(form.offset, linear, i, j, bias)


def _add_squares(form: Quadratic, rows: Constraints) -> Quadratic:
    """Add ``A (c.x - d)^2 + mu (c.x - d)`` for every row."""
    if not len(rows):
        return form
    n = len(form.linear)
    offset, linear = _add_fields(form, rows)
    curved = rows.take(rows.weight != 0) if (rows.weight == 0).any() else rows
    uses = np.bincount(curved.var, minlength=n)
    whole = whole_rows(form, curved) if (curved.coef == 1).all() else None
    if whole is not None and uses.max(initial=0) <= 1:
        couplers, row = whole
        square = np.zeros(len(couplers.ptr) - 1)
        square[row] = 2.0 * curved.weight
        i, j, bias, zeros = couplers.plus(square)
        terms = Terms.nonzero(i, j, bias, zeros > 0)
        return Quadratic(offset, own_array(linear), couplers=terms)
    if uses.max(initial=0) <= 1:
        owner, position = curved.owners(n), np.zeros(n, np.int64)
        position[curved.var] = np.arange(len(curved.var))
        i, j, sizes = form.i, form.j, np.diff(curved.ptr)
        pairs = int((sizes * (sizes - 1) // 2).sum())
        # Where an objective couples every pair of a row, its couplers stay where they are.
        within, bias = kernels.squares_on(
            i, j, form.bias, owner, position, curved.coef, curved.weight
        )
        if within < pairs:
            i, j, bias = kernels.disjoint_squares(
                pointers(np.bincount(form.i, minlength=n)),
                form.j,
                form.bias,
                owner,
                position,
                curved.ptr,
                curved.var,
                curved.coef,
                curved.weight,
                len(i) + pairs - within,
            )
        if not bias.all():
            keep = bias != 0
            i, j, bias = i[keep], j[keep], bias[keep]
    else:
        first, second = row_pairs(curved)
        u, v = curved.var[first], curved.var[second]
        value = 2.0 * curved.weight[curved.row[first]]
        value = value * curved.coef[first] * curved.coef[second]
        i, j, bias = kernels.collect_couplers(
            n,
            np.concatenate([form.i, u]),
            np.concatenate([form.j, v]),
            np.concatenate([form.bias, value]),
        )
    return Quadratic(offset, own_array(linear), own_array(i), own_array(j), own_array(bias))


def _add_fields(form: Quadratic, rows: Constraints) -> tuple[float, Floats]:
    """Return offset and linear part of a form plus what `_add_squares` adds."""
    linear = kernels.squared_fields(
        form.linear, rows.ptr, rows.var, rows.coef, rows.rhs, rows.weight, rows.slope
    )
    offset = form.offset + float(
        (rows.weight * rows.rhs * rows.rhs).sum() - (rows.slope * rows.rhs).sum()
    )
    return offset, linear


def row_pairs(rows: Constraints) -> tuple[Longs, Longs]:
    """Return both entries of every pair of variables within a row."""
    row = rows.row
    later = rows.ptr[row + 1] - np.arange(len(row)) - 1
    first = np.repeat(np.arange(len(row)), later)
    second = first + 1 + np.arange(len(first)) - np.repeat(pointers(later)[:-1], later)
    return first, second
