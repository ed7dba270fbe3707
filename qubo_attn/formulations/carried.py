"""What float64 carries of a priced row: bounds of rounding, in energy units.

A price A of a row of n keys is added to coefficients of the objective: to n fields and n (n - 1) /
2 couplers. Each sum is rounded to 53 bits, so every energy is off by at most a few units in the
last place of the sum of all coefficients. Two things follow:

* a margin below twice that bound keeps nothing apart. Rows that share a component, joined by what
  heads pay each other, are sampled as one sum, so the bounds of all of them count;
* a price far above the objective takes the objective's digits with it: what it leaves must tell
  feasible points apart.
"""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Bools, Floats, Longs
from qubo_attn.errors import PassError
from qubo_attn.ir.program import Program
from qubo_attn.ir.rows import exact_rows, row_components

# A coefficient is a sum of four: its own, two of A, one of mu.
_ROUNDINGS = 4.0
# What rounding may take of a row's objective: more than ten digits are left of ordinary rows.
MOST_LOST = 1e-6


def row_sizes(program: Program) -> Floats:
    """Return the sum of all coefficients that touch each constraint, times what they reach.

    A coupler counts once at each end.
    """
    c = program.constraints
    return np.asarray(np.bincount(c.row, _variable_sizes(program)[c.var], minlength=len(c)))


def _variable_sizes(program: Program) -> Floats:
    """Return the sum of all coefficients that touch each variable, times what they reach."""
    o, upper = program.objective, program.variables.upper.astype(np.float64)
    size, pairs = np.abs(o.linear) * upper, np.abs(o.bias) * upper[o.i] * upper[o.j]
    for ends in (o.i, o.j):
        size += np.bincount(ends, weights=pairs, minlength=len(program))
    return size


def _free_sizes(program: Program) -> Floats:
    """Return, for each constraint, what variables without any add to its component."""
    free = np.ones(len(program), bool)
    free[program.constraints.var] = False
    if not free.any():
        return np.zeros(len(program.constraints))
    size = np.where(free, _variable_sizes(program), 0.0)
    return np.asarray(np.bincount(program.components, size)[row_components(program)])


def usual_sizes(program: Program, index: Longs, size: Floats) -> Floats:
    """Return the size of a usual coefficient of each constraint: their sum by its variables."""
    return np.asarray(size / np.diff(program.constraints.ptr)[index])


def _lost(program: Program, size: Floats, weight: Floats, slope: Floats) -> Floats:
    """Return by how much rounding may move differences of energies of each row, at these prices.

    Args:
        program: before its constraints are priced.
        size: of each constraint, see `row_sizes`.
        weight, slope: A and mu of each.
    """
    c, upper = program.constraints, program.variables.upper
    reach = np.abs(c.rhs) + np.bincount(
        c.row, weights=np.abs(c.coef) * upper[c.var], minlength=len(c)
    )
    with np.errstate(over="ignore", invalid="ignore"):
        sums = size + weight * reach * reach + np.abs(slope) * reach
        return np.asarray(2.0 * _ROUNDINGS * np.finfo(np.float64).eps * sums)


def drowned_rows(program: Program) -> Longs:
    """Return the rows of a single key whose couplers are too large for the rest of the row.

    No feasible point has both ends of such a coupler chosen, but prices follow it, and it takes the
    digits of what tells the keys apart.
    """
    c, o = program.constraints, program.objective
    single = np.flatnonzero(exact_rows(program) & (c.rhs == 1))
    rows = c.take(single)
    owner, linear = rows.owners(len(program)), np.abs(o.linear)
    inside = (owner[o.i] >= 0) & (owner[o.i] == owner[o.j])
    pairs = np.bincount(owner[o.i[inside]], np.abs(o.bias[inside]), len(rows))
    fields = np.bincount(rows.row, linear[rows.var], len(rows))
    return np.asarray(single[(pairs > fields / MOST_LOST) & (fields > 0)])


def short_of_rounding(
    program: Program, size: Floats, weight: Floats, slope: Floats, margin: Floats
) -> Floats:
    """Return by how much the margin of each constraint is short of rounding in its component.

    What breaks a constraint breaks it by one unit at least, so a price holds what is added to it:
    weight and margin rise by as much. Constraints without a margin are short of nothing.

    Args:
        program: before its constraints are priced.
        size: of each constraint, see `row_sizes`.
        weight, slope: A and mu of each.
        margin: D of each; ``-inf`` where none is promised.
    """
    component = row_components(program)
    own = np.bincount(component, _lost(program, size, weight, slope))[component]
    # Variables may be free of constraints, and in the sum all the same.
    least = own + 2.0 * _ROUNDINGS * np.finfo(np.float64).eps * _free_sizes(program)
    return np.where(np.isfinite(margin), np.maximum(least - margin, 0.0), 0.0)


def check_carried(program: Program, size: Floats, weight: Floats, slope: Floats) -> None:
    """Reject prices that take the digits of the objective of their component.

    Args:
        program: before its constraints are priced.
        size: of each constraint, see `row_sizes`.
        weight, slope: A and mu of each.

    Raises:
        PassError: names the row, head and query.
    """
    c, lost = program.constraints, _lost(program, size, weight, slope)
    component = row_components(program)
    size = np.bincount(component, weights=size)[component] + _free_sizes(program)
    bad: Bools = ~((lost <= MOST_LOST * size) | ((size == 0) & np.isfinite(lost)))
    if not bad.any():
        return
    r = int(np.flatnonzero(bad)[0])
    head, query = int(c.head[r]), int(c.query[r])
    raise PassError(
        f"{c.label(r)} (head {head}, query {query}): at weight {weight[r]:.3g}, float64 rounds "
        f"energies by {lost[r]:.3g}, and the coefficients of the objective add up to "
        f"{size[r]:.3g} there; bring scores, values or keys nearer to 1, or lower the margin",
        constraint=c.label(r),
        head=head,
        query=query,
    )
