"""Required and forbidden keys: as constraints, and checked against counts and budgets."""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Bools, Ints
from qubo_attn.common.words import plural
from qubo_attn.errors import InputError
from qubo_attn.frontend.attention import Attention
from qubo_attn.ir.columns import Constraints, Kind, Sense
from qubo_attn.ir.program import Program
from qubo_attn.ir.rows import gate_pairs
from qubo_attn.ir.ties import Ties


def add_required(program: Program, attention: Attention, ties: Ties) -> Program:
    """Return the program with ``x = 1`` for required keys and ``x = 0`` for forbidden ones.

    Args:
        program: with its counts and budgets.
        attention: checked input.
        ties: of heads and queries; what one of merged rows requires, all of them do.

    Raises:
        InputError: a key that is required and forbidden, a required key that would take a weight,
            or more required keys than a row or a budget may keep; names them.
    """
    if attention.required is None and attention.forbidden is None:
        return program
    v, n = program.variables, len(program)
    # A level goes with its key: what holds it back is the key's gate.
    selects = np.ones(n, bool)
    selects[gate_pairs(program)[0]] = False

    def among(keys: Bools | None) -> Bools:
        # The first variables are those of the visible keys, in their order.
        flags = np.zeros(n, bool)
        if keys is not None:
            flags[: len(attention.rows.key)] = attention.entries(keys)
        return flags & selects

    required, forbidden = among(attention.required), among(attention.forbidden)
    leader = ties.leaders(v)
    _check_weights(program, required)
    _check_contradictions(program, required, forbidden, leader)
    _check_counts(program, np.bincount(leader, required, n)[leader] > 0)
    var = np.flatnonzero(required | forbidden)
    keep = Constraints.over(
        np.arange(len(var) + 1),
        var,
        sense=Sense.EQ,
        rhs=required[var].astype(np.float64),
        kind=Kind.KEEP,
        head=v.head[var],
        query=v.query[var],
        key=v.key[var],
    )
    return program.replace(constraints=Constraints.concatenate([program.constraints, keep]))


def _check_weights(program: Program, required: Bools) -> None:
    """Reject required keys of rows that give out weights: they would get exactly one level."""
    v = program.variables
    wide = np.flatnonzero(required & (v.upper > 1))
    if len(wide):
        head, query, key = (int(column[wide[0]]) for column in (v.head, v.query, v.key))
        raise InputError(
            f"key {key} of head {head}, query {query} is required, but the head gives out soft "
            "weights: only heads that keep keys or not can be made to keep one",
            head=head,
            query=query,
            key=key,
        )


def _check_contradictions(
    program: Program, required: Bools, forbidden: Bools, leader: Ints
) -> None:
    """Reject keys that one row requires and another, merged with it, forbids."""
    v, n = program.variables, len(program)
    first = []
    for keys in (required, forbidden):
        first_of = np.full(n, n, np.int64)
        var = np.flatnonzero(keys)
        np.minimum.at(first_of, leader[var], var)
        first.append(first_of)
    both = np.flatnonzero((first[0] < n) & (first[1] < n))
    if len(both):
        a, b = (int(first_of[both[0]]) for first_of in first)
        raise InputError(
            f"key {v.key[a]} is required by head {v.head[a]}, query {v.query[a]} and forbidden by "
            f"head {v.head[b]}, query {v.query[b]}, which are tied",
            key=int(v.key[a]),
            heads=(int(v.head[a]), int(v.head[b])),
            queries=(int(v.query[a]), int(v.query[b])),
        )


def _check_counts(program: Program, required: Bools) -> None:
    """Reject rows and budgets that may keep fewer keys than are required of them.

    Args:
        program: with its counts and budgets.
        required: per variable, whether it or one merged with it must be one.
    """
    c = program.constraints
    count = np.bincount(c.row, required[c.var], len(c)).astype(np.int64)
    over = np.flatnonzero((count > c.rhs) & (c.kind != Kind.GATE))
    if not len(over):
        return
    r = int(over[0])
    head, query = int(c.head[r]), int(c.query[r])
    who = f"head {head}"
    if c.kind[r] == Kind.PICK:
        who += f", query {query}"
    elif head >= 0:
        who += " (with its tied heads, if any)"
    else:
        who = "all heads together"
    var = c.var[c.ptr[r] : c.ptr[r + 1]]
    keys = np.unique(program.variables.key[var[required[var]]]).tolist()
    raise InputError(
        f"{who} may keep {plural(c.rhs[r], 'key', 'g')}, but {count[r]} are required (keys "
        f"{', '.join(map(str, keys[:12]))}{', ..' if len(keys) > 12 else ''})",
        head=head,
        query=query,
        keys=tuple(keys),
    )
