"""Choice of an example row, and its part of the program after every stage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qubo_attn.common.arrays import Longs, segment_ids
from qubo_attn.common.frozen import replaced
from qubo_attn.ir.columns import Kind, Role
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program
from qubo_attn.ir.quadratic import Quadratic
from qubo_attn.pipeline.pipeline import Stage

# A row of about so many keys fits a screen and still has something to choose from.
_WELCOME = 12
# A largest softmax weight of about so much leaves something to tell the keys apart by.
_SPREAD = 0.3

# Couplers that are worked out for a page, at most.
_MOST = 4_000_000


def is_written(program: Program) -> bool:
    """Return whether a program's couplers are at hand, or few enough to be worked out."""
    if not program.objective.is_late:
        return True
    v = program.variables
    name = v.head.astype(np.int64) * (int(v.query.max(initial=0)) + 2) + v.query + 1
    sizes = np.unique(name, return_counts=True)[1].astype(np.float64)
    return bool((sizes * (sizes - 1) / 2).sum() <= _MOST)


def example_row(stages: Sequence[Stage]) -> tuple[int, int] | None:
    """Return head and query of a row of readable size that most passes change.

    Returns:
        None where no variable belongs to a head and a query.
    """
    first = stages[0].program.variables
    in_row = (first.head >= 0) & (first.query >= 0)
    if not in_row.any():
        return None
    width = int(first.query.max()) + 1
    name = np.where(in_row, first.head.astype(np.int64) * width + first.query, -1)
    rows, member = np.unique(name, return_inverse=True)
    sizes = np.bincount(member, minlength=len(rows))
    changes = np.zeros(len(rows), np.int64)
    lift = Lift.identity(len(first))
    before = sizes
    for stage in stages[1:]:
        lift = lift.then(stage.lift)
        live = np.bincount(member, np.diff(lift.matrix.indptr) > 0, len(rows)).astype(np.int64)
        changes += live != before
        before = live
    changes[(before == 0) | (rows < 0)] = -1
    top = np.zeros(len(rows))
    np.maximum.at(top, member, np.nan_to_num(first.mass))
    best = np.lexsort((rows, np.abs(top - _SPREAD), np.abs(sizes - _WELCOME), -changes))[0]
    if rows[best] < 0:
        return None
    return int(rows[best] // width), int(rows[best] % width)


def row_members(stages: Sequence[Stage], head: int, query: int) -> list[Longs]:
    """Return the variables behind one row, in the program after every stage."""
    first = stages[0].program.variables
    row = np.flatnonzero((first.head == head) & (first.query == query))
    lift = Lift.identity(len(first))
    members = []
    for place, stage in enumerate(stages):
        if place:
            lift = lift.then(stage.lift)
        behind = np.unique(lift.matrix[row].indices).astype(np.int64) if len(row) else row
        members.append(_with_ancillas(stage.program, behind))
    return members


def _with_ancillas(program: Program, members: Longs) -> Longs:
    """Return variables with the ancillas of their rows, to which nothing lifts."""
    v = program.variables
    width = int(v.query.max(initial=0)) + 2
    name = v.head.astype(np.int64) * width + v.query
    rows = np.unique(name[members])
    ancillas = (v.role == Role.ANCILLA) & np.isin(name, rows) & (v.head >= 0)
    return np.union1d(members, np.flatnonzero(ancillas))


def part_of(program: Program, members: Longs) -> Program:
    """Return the program over some variables alone, its constant left out.

    Constraints that reach beyond them are left out too, as budgets over many rows do.
    """
    o, c = program.objective, program.constraints
    place = np.full(len(program), -1, np.int64)
    place[members] = np.arange(len(members))
    form = Quadratic(0.0, o.linear[members], couplers=o.among(members))
    outside = np.bincount(segment_ids(c.ptr), place[c.var] < 0, len(c)) > 0
    inside = c.take(~outside & (np.diff(c.ptr) > 0) & (c.kind != Kind.BUDGET))
    return Program(program.variables.take(members), form, replaced(inside, var=place[inside.var]))
