"""Keys that must be kept, or must not: as constraints, and checked against counts and budgets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qubo_attn.common.arrays import Bools, Longs, segment_ids
from qubo_attn.errors import InputError
from qubo_attn.ir.columns import Constraints, Kind, Sense
from qubo_attn.ir.program import Program
from qubo_attn.ir.rows import gate_pairs

if TYPE_CHECKING:
    from qubo_attn.frontend.attention import Attention


def wishes(program: Program, attention: Attention, leader: Longs) -> Constraints:
    """Return ``x = 1`` for required keys and ``x = 0`` for forbidden ones.

    Args:
        program: with its counts and budgets.
        attention: checked input.
        leader: int64, the first variable of those that will be tied to each; a wish for one of them
            is a wish for all.

    Raises:
        InputError: a key that is required and forbidden, a required key that would take a weight,
            or more required keys than a row or a budget may keep; names them.
    """
    if attention.required is None and attention.forbidden is None:
        return Constraints.none()
    v, n = program.variables, len(program)

    def among(wanted: Bools | None) -> Bools:
        return np.zeros(n, bool) if wanted is None else np.asarray(wanted[v.head, v.query, v.key])

    # A level goes with its key: what holds it back is the key's gate.
    chosen = np.ones(n, bool)
    chosen[gate_pairs(program)[0]] = False
    required, forbidden = among(attention.required) & chosen, among(attention.forbidden) & chosen
    _check_weights(program, required)
    _check_contradictions(program, required, forbidden, leader)
    _check_counts(program, np.bincount(leader, required, n)[leader] > 0)
    var = np.flatnonzero(required | forbidden)
    return Constraints.over(
        np.arange(len(var) + 1),
        var,
        sense=Sense.EQ,
        rhs=required[var].astype(np.float64),
        kind=Kind.KEEP,
        head=v.head[var],
        query=v.query[var],
        key=v.key[var],
    )


def _check_weights(program: Program, required: Bools) -> None:
    """A required key of a row that gives out weights would be given exactly one level."""
    v = program.variables
    odd = np.flatnonzero(required & (v.upper > 1))
    if len(odd):
        head, query, key = (int(column[odd[0]]) for column in (v.head, v.query, v.key))
        raise InputError(
            f"key {key} of head {head}, query {query} is required, but the head gives out soft "
            "weights: only heads that keep keys or not can be made to keep one",
            head=head,
            query=query,
            key=key,
        )


def _check_contradictions(
    program: Program, required: Bools, forbidden: Bools, leader: Longs
) -> None:
    v, n = program.variables, len(program)
    first = [np.full(n, n, np.int64), np.full(n, n, np.int64)]
    for place, wanted in zip(first, (required, forbidden), strict=True):
        var = np.flatnonzero(wanted)
        np.minimum.at(place, leader[var], var)
    both = np.flatnonzero((first[0] < n) & (first[1] < n))
    if len(both):
        a, b = (int(place[both[0]]) for place in first)
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
        required: per variable, whether it or one tied to it must be one.
    """
    c = program.constraints
    wanted = np.bincount(segment_ids(c.ptr), required[c.var], len(c)).astype(np.int64)
    over = np.flatnonzero((wanted > c.rhs) & (c.kind != Kind.GATE))
    if not len(over):
        return
    r = int(over[0])
    head, query = int(c.head[r]), int(c.query[r])
    who = "all heads together" if head < 0 else f"head {head}"
    if c.kind[r] == Kind.PICK:
        who += f", query {query}"
    else:
        who += " (with its tied heads, if any)" * (head >= 0)
    keys = np.unique(
        program.variables.key[c.var[c.ptr[r] : c.ptr[r + 1]]][
            required[c.var[c.ptr[r] : c.ptr[r + 1]]]
        ]
    ).tolist()
    raise InputError(
        f"{who} may keep {c.rhs[r]:g} keys, but {wanted[r]} are required (keys "
        f"{', '.join(map(str, keys[:12]))}{', ..' if len(keys) > 12 else ''})",
        head=head,
        query=query,
        keys=tuple(keys),
    )
