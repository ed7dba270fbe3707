"""Kinds of constraints that passes know how to treat, and what their left sides can be."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Bools, Floats, Ints, Longs
from qubo_attn.errors import InfeasibleError
from qubo_attn.ir.columns import Constraints, Kind, Sense
from qubo_attn.ir.program import Program


def open_rows(program: Program) -> Bools:
    """Return which imposed constraints are plain counts if gates are not looked at.

    A gate lets a key have a level; it does not say which keys are chosen.
    """
    c = program.constraints
    if not c.gated:
        return program.count_rows
    listed = c.kind[c.row] != Kind.GATE
    uses = np.bincount(c.var[listed], minlength=len(program))
    return c.counts(program.variables.upper, uses)


def sum_rows(program: Program) -> Bools:
    """Return which constraints ask their own variables to add up to exactly k."""
    return np.asarray(program.count_rows & (program.constraints.sense == Sense.EQ))


def at_most_rows(program: Program) -> Bools:
    """Return which constraints let at most k of their own bits be one."""
    return np.asarray(
        program.count_rows & (program.constraints.sense == Sense.LE) & bit_rows(program)
    )


def bit_rows(program: Program) -> Bools:
    """Return which constraints stand over bits alone."""
    c = program.constraints
    if program.is_binary:
        return np.ones(len(c), bool)
    wide = program.variables.upper[c.var] > 1
    return np.asarray(np.bincount(c.row, weights=wide, minlength=len(c)) == 0)


def lone_rows(program: Program) -> Bools:
    """Return which constraints keep exactly k of their own bits and touch no other variable."""
    exact = exact_rows(program)
    exact[exact] = uncrossed(program, program.constraints.take(exact))
    return exact


def uncrossed(program: Program, rows: Constraints) -> Bools:
    """Return which rows have no coupler to a variable of another row or of none."""
    o, owner = program.objective, rows.owners(len(program))
    crossing = owner[o.i] != owner[o.j]
    touched = np.concatenate([owner[o.i[crossing]], owner[o.j[crossing]]])
    inside = np.ones(len(rows), bool)
    inside[touched[touched >= 0]] = False
    return inside


def exact_rows(program: Program) -> Bools:
    """Return which constraints keep exactly k of their own bits."""
    return np.asarray(sum_rows(program) & bit_rows(program))


def leveled_rows(program: Program) -> Bools:
    """Return the constraints of components of one exactly-k row of bits, gates, nothing else."""
    c = program.constraints
    gates = (c.kind == Kind.GATE) & ~c.priced
    if not gates.any():
        return np.zeros(len(c), bool)
    component = row_components(program)
    rows = open_rows(program) & (c.sense == Sense.EQ) & bit_rows(program)
    clean = np.bincount(component, weights=~(gates | rows)) == 0
    clean &= np.bincount(component, weights=rows) == 1
    clean &= np.bincount(component, weights=gates) > 0
    return np.asarray(clean[component])


def row_components(program: Program) -> Longs:
    """Return the independent component of each constraint."""
    c = program.constraints
    return program.components[c.var[c.ptr[:-1]]]


def kinds_of(program: Program, bounded: Bools) -> tuple[Longs, Longs, Longs, Longs]:
    """Return sums, rows with levels and their gates, upper bounds, and other constraints.

    What shares a component with another kind of constraint is priced like that.
    """
    sums, leveled = sum_rows(program) & ~bounded, leveled_rows(program)
    others = ~(sums | leveled | bounded)
    if others.any():
        component = row_components(program)
        others |= np.isin(component, component[others])
        sums, leveled, bounded = sums & ~others, leveled & ~others, bounded & ~others
    return (
        np.flatnonzero(sums),
        np.flatnonzero(leveled),
        np.flatnonzero(bounded),
        np.flatnonzero(others),
    )


def row_ranges(program: Program) -> tuple[Floats, Floats]:
    """Return the least and the most that the left side of each constraint can be."""
    c = program.constraints
    reach = c.coef * program.variables.upper[c.var]
    parts = np.minimum(reach, 0), np.maximum(reach, 0)
    least, most = (np.bincount(c.row, weights=part, minlength=len(c)) for part in parts)
    return np.asarray(least), np.asarray(most)


def cannot_hold(c: Constraints, index: list[int], reason: str) -> InfeasibleError:
    """Return the error of constraints that no assignment satisfies.

    Args:
        c: constraints; index: the number of each that takes part.
        reason: what completes the sentence that begins with their names.
    """
    labels = tuple(c.label(r) for r in index)
    head, query = int(c.head[index[0]]), int(c.query[index[0]])
    place = f"head {head}" if head >= 0 else "all heads together"
    place += f", query {query}" if query >= 0 else ""
    return InfeasibleError(
        f"{' and '.join(labels)} {reason} ({place})",
        labels=labels,
        head=head,
        query=query,
    )


def gate_pairs(program: Program) -> tuple[Longs, Longs]:
    """Return each variable that a gate holds back, and the bit that opens the gate."""
    c, row = program.constraints, program.constraints.row
    if not c.gated:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    gate = (c.kind == Kind.GATE)[row]
    opener = np.full(len(c), -1, np.int64)
    opens = gate & (c.coef < 0)
    opener[row[opens]] = c.var[opens]
    held = gate & (c.coef > 0)
    return c.var[held].astype(np.int64), opener[row[held]]


class RowClass(NamedTuple):
    """Rows of one size and one count.

    Attributes:
        n, k: how many variables each row has, and what they add up to.
        rows: int64, numbers of the constraints.
        var: shape (rows, n), their variables.
    """

    n: int
    k: int
    rows: Longs
    var: Ints


def row_classes(program: Program, index: Longs) -> list[RowClass]:
    """Return the constraints ``index`` by size and count."""
    c = program.constraints
    shape = np.stack([np.diff(c.ptr)[index], c.counted.keep[index]], axis=1)
    classes, place = np.unique(shape, axis=0, return_inverse=True)
    found = []
    for number, (n, k) in enumerate(classes.tolist()):
        rows = index[place == number]
        found.append(RowClass(n, k, rows, c.var[c.ptr[rows][:, None] + np.arange(n)]))
    return found
