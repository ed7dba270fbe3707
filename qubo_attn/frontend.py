"""Checked attention to the first program: one bit per visible key, one constraint per row."""

from __future__ import annotations

import numpy as np

from qubo_attn.arrays import Longs, segment_ids
from qubo_attn.attention import Attention, Rows
from qubo_attn.ir import Constraints, Kind, Program, Quadratic, Role, Sense, Variables
from qubo_attn.objectives import Objective
from qubo_attn.select import Select


def build_program(
    attention: Attention, objectives: tuple[Objective, ...], selects: tuple[Select, ...]
) -> Program:
    """Return the program before any pass.

    Rows that see no key (padding queries) carry no variables and no constraint.

    Args:
        attention: checked input.
        objectives, selects: one per head.
    """
    rows = attention.rows
    return Program(
        _variables(rows), _objective(attention, rows, objectives), _constraints(rows, selects)
    )


def kept_counts(rows: Rows, selects: tuple[Select, ...]) -> Longs:
    """Return how many keys each row keeps."""
    counts = np.zeros(len(rows), np.int64)
    for select in dict.fromkeys(selects):
        heads = [head for head, other in enumerate(selects) if other == select]
        mine = np.isin(rows.head, heads)
        counts[mine] = select.counts(rows.sizes[mine])
    return counts


def _variables(rows: Rows) -> Variables:
    row, n = segment_ids(rows.ptr), len(rows.key)
    return Variables(
        head=rows.head[row],
        query=rows.query[row],
        key=rows.key,
        bit=np.full(n, -1),
        upper=np.ones(n),
        role=np.full(n, Role.SELECT),
        mass=rows.mass,
    )


def _objective(attention: Attention, rows: Rows, objectives: tuple[Objective, ...]) -> Quadratic:
    kinds = list(dict.fromkeys(objectives))
    if len(kinds) == 1:
        return kinds[0].coefficients(attention, rows)
    n = len(rows.key)
    offset, linear = 0.0, np.zeros(n)
    parts = []
    for kind in kinds:
        heads = [head for head, other in enumerate(objectives) if other == kind]
        entries = np.flatnonzero(np.isin(rows.head, heads)[segment_ids(rows.ptr)])
        form = kind.coefficients(attention, rows.of_heads(heads))
        offset += form.offset
        linear[entries] = form.linear
        parts.append((entries[form.i], entries[form.j], form.bias))
    i, j, bias = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    order = np.lexsort((j, i))
    return Quadratic(offset, linear, i[order], j[order], bias[order])


def _constraints(rows: Rows, selects: tuple[Select, ...]) -> Constraints:
    n, minus = len(rows), np.full(len(rows), -1)
    return Constraints(
        ptr=rows.ptr,
        var=np.arange(len(rows.key)),
        coef=np.ones(len(rows.key)),
        sense=np.full(n, Sense.EQ),
        rhs=kept_counts(rows, selects),
        kind=np.full(n, Kind.PICK),
        head=rows.head,
        query=rows.query,
        key=minus,
        bit=minus,
        weight=np.full(n, np.nan),
        slope=np.zeros(n),
    )
