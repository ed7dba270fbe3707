"""From a program to one quadratic form: the objective plus its priced constraints."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Floats, Longs, own_array, pointers, same_array
from qubo_attn.errors import VerifyError
from qubo_attn.ir.program import Constraints, Quadratic
from qubo_attn.ir.quadratic import LateQuadratic, whole_rows

if TYPE_CHECKING:
    from qubo_attn.ir.program import Program


def expand(program: Program) -> Quadratic:
    """Return objective plus penalties of a binary, unconstrained program; see `Program.total`."""
    constraints = program.constraints
    if not program.is_unconstrained:
        where = program.constraint_label(int(np.flatnonzero(~constraints.priced)[0]))
        raise VerifyError(
            f"constraint-left at {where}: it is imposed, not priced; run insert-penalties first",
            code="constraint-left",
            where=where,
        )
    if not program.is_binary:
        where = program.label(int(np.flatnonzero(program.variables.upper != 1)[0]))
        raise VerifyError(
            f"not-binary at {where}: run binarize-weights first", code="not-binary", where=where
        )
    form = program.objective
    if constraints.one_sided.any():
        form = _add_gates(form, constraints.take(constraints.one_sided))
        constraints = constraints.take(~constraints.one_sided)
    return _add_squares(form, constraints)


def expand_like(program: Program, known: Program) -> Quadratic:
    """Return ``program.total()`` with the couplers of ``known.total()`` where those are equal.

    Where prices and the objective's couplers are known to be the same, no coupler is written, or
    even looked at; the program's own total is given up for the shared one.
    """
    form = known.total()
    if _priced_alike(program, known) and _coupled_alike(program.objective, known.objective):
        rows = program.constraints
        fields = (
            _add_fields(program.objective, rows)
            if len(rows)
            else (program.objective.offset, program.objective.linear)
        )
    else:
        own = program.total()
        # All or nothing: columns may lie in one piece of memory, which any of them would keep.
        if not _same_couplers(own, form):
            return own
        fields = own.offset, own.linear
    total = Quadratic(fields[0], own_array(fields[1]), form.i, form.j, form.bias)
    vars(program)["_total"] = total
    return total


def _priced_alike(program: Program, known: Program) -> bool:
    """Return whether the constraints of both add the same couplers, told without them."""
    one, other = program.constraints, known.constraints
    if one.one_sided.any() or other.one_sided.any() or not program.is_binary:
        return False
    columns = ("ptr", "var", "coef", "weight")
    return all(same_array(getattr(one, name), getattr(other, name)) for name in columns)


def _coupled_alike(one: Quadratic, other: Quadratic) -> bool:
    """Return whether two objectives have the same couplers, told without working any out."""
    if one is other:
        return True
    if not (one.made and other.made):
        return False
    return _same_couplers(one, other)


def _same_couplers(one: Quadratic, other: Quadratic) -> bool:
    return all(same_array(getattr(one, name), getattr(other, name)) for name in ("bias", "i", "j"))


def _add_gates(form: Quadratic, gates: Constraints) -> Quadratic:
    """Add ``A (c.u) (1 - v)`` for every ``c.u - U v <= 0``; implications have one u."""
    n, row = len(form.linear), gates.row
    opens = gates.coef < 0
    gate = np.zeros(len(gates), np.int64)
    gate[row[opens]] = gates.var[opens]
    u, v = gates.var[~opens], gate[row[~opens]]
    paid = gates.weight[row[~opens]] * gates.coef[~opens]
    i, j, bias = kernels.collect_couplers(
        n,
        np.concatenate([form.i, u]),
        np.concatenate([form.j, v]),
        np.concatenate([form.bias, -paid]),
    )
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
    if isinstance(form, LateQuadratic) and whole is not None and uses.max(initial=0) <= 1:
        square = np.zeros(len(whole[0].ptr) - 1)
        square[whole[1]] = 2.0 * curved.weight
        return dataclasses.replace(form.plus(square), offset=offset, linear=own_array(linear))
    if uses.max(initial=0) <= 1:
        owner, position = np.full(n, -1), np.zeros(n, np.int64)
        owner[curved.var] = curved.row
        position[curved.var] = np.arange(len(curved.var))
        i, j, sizes = form.i, form.j, np.diff(curved.ptr)
        # Where an objective couples every pair of a row, its couplers stay where they are.
        within, bias = kernels.squares_on(
            i, j, form.bias, owner, position, curved.coef, curved.weight
        )
        if within < (sizes * (sizes - 1) // 2).sum():
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
