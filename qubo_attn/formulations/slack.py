"""Slack bits: an upper bound on a count becomes an equality.

``sum x <= k`` is ``sum x + s = k`` with a slack s in 0..k. Unary slack (k bits of coefficient one)
keeps every coefficient small and makes the row an ordinary count; binary slack takes about log2 k
bits. Either reaches every value of s, and the lift drops the slack bits again.
"""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Floats, Longs, pointers
from qubo_attn.common.frozen import replaced
from qubo_attn.formulations.encodings import coefficients
from qubo_attn.ir.columns import Role, Sense, Variables
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program
from qubo_attn.ir.quadratic import Quadratic


def add_slack(program: Program, index: Longs, encoding: str) -> tuple[Program, Lift]:
    """Return ``program`` with slack bits in the upper bounds at ``index``, and the way back.

    Args:
        program: before its constraints are priced.
        index: constraints ``sum x <= k`` over bits, k at least 1.
        encoding: ``"unary"`` or ``"binary"``.
    """
    c, n = program.constraints, len(program)
    parts = [coefficients(encoding, int(k)) for k in c.rhs[index]]
    owner = np.repeat(index, [len(part) for part in parts])
    row = np.concatenate([c.row, owner])
    var = np.concatenate([c.var, n + np.arange(len(owner))])
    order = np.lexsort((var, row))
    sense = c.sense.copy()
    sense[index] = Sense.EQ
    constraints = replaced(
        c,
        ptr=pointers(np.bincount(row, minlength=len(c))),
        var=var[order],
        coef=np.concatenate([c.coef, *parts])[order],
        sense=sense,
    )
    slacked = with_ancillas(program, owner).replace(constraints=constraints)
    return slacked, Lift.select(np.arange(n), len(slacked))


def with_ancillas(program: Program, owner: Longs) -> Program:
    """Return ``program`` with new bits for its constraints, which do not hold them yet.

    Args:
        program, owner: see `ancillas`.
    """
    o = program.objective
    linear = np.concatenate([o.linear, np.zeros(len(owner))])
    return program.replace(
        variables=appended(program.variables, ancillas(program, owner)),
        objective=Quadratic(o.offset, linear, couplers=o.terms),
    )


def ancillas(program: Program, owner: Longs) -> Variables:
    """Return new bits for constraints of a program, numbered within their head and query.

    Args:
        program: its constraints name the bits; its own ancillas keep their numbers.
        owner: int64, the constraint of each bit; equal ones side by side.
    """
    c, v = program.constraints, program.variables
    head, query = c.head[owner], c.query[owner]
    old = np.flatnonzero((v.role == Role.ANCILLA) & (v.key < 0))
    place = np.concatenate(
        [np.stack([v.head[old], v.query[old]], axis=1), np.stack([head, query], axis=1)]
    )
    _, group = np.unique(place, axis=0, return_inverse=True)
    first = np.zeros(int(group.max(initial=-1)) + 1, np.int64)
    np.maximum.at(first, group[: len(old)], v.bit[old] + 1)
    place_of = group[len(old) :]
    order = np.argsort(place_of, kind="stable")
    rank = np.empty(len(owner), np.int64)
    rank[order] = np.arange(len(owner)) - pointers(np.bincount(place_of))[place_of[order]]
    return Variables(
        head=head,
        query=query,
        key=np.full(len(owner), -1),
        bit=first[place_of] + rank,
        upper=np.ones(len(owner), np.int32),
        role=np.full(len(owner), Role.ANCILLA),
        mass=np.full(len(owner), np.nan),
    )


def appended(variables: Variables, fresh: Variables) -> Variables:
    """Return both tables as one."""
    more = fresh.arrays()
    return Variables(
        **{name: np.concatenate([a, more[name]]) for name, a in variables.arrays().items()}
    )


def below_zero(k: Floats, weight: Floats) -> float:
    """Return how far below zero the prices of unbalanced bounds reach at points that keep them.

    A price is zero at h = k - S = 0 and 1, below zero in between: -A h + A h^2.
    """
    return float((weight * np.maximum(k * k - k, 0.25)).sum())
