"""Slack bits: an upper bound on a count becomes an equality.

``sum x <= k`` is ``sum x + s = k`` with a slack s in 0..k. Unary slack (k bits of coefficient one)
keeps every coefficient small and makes the row an ordinary count; binary slack takes about log2 k
bits. Either reaches every value of s, and the lift drops the slack bits again.
"""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Longs, pointers, segment_ids
from qubo_attn.formulations.encodings import coefficients
from qubo_attn.ir.columns import Constraints, Role, Sense, Variables
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
    sizes = np.array([len(part) for part in parts], np.int64)
    owner = np.repeat(index, sizes)
    added = len(owner)
    o = program.objective
    variables = appended(program.variables, ancillas(program, owner))
    linear = np.concatenate([o.linear, np.zeros(added)])
    row = np.concatenate([segment_ids(c.ptr), owner])
    var = np.concatenate([c.var, np.arange(n, n + added)])
    coef = np.concatenate([c.coef, *parts])
    order = np.lexsort((var, row))
    sense = c.sense.copy()
    sense[index] = Sense.EQ
    columns = c.arrays() | {
        "ptr": pointers(np.bincount(row, minlength=len(c))),
        "var": var[order],
        "coef": coef[order],
        "sense": sense,
    }
    slacked = Program(
        variables, Quadratic(o.offset, linear, o.i, o.j, o.bias), Constraints(**columns)
    )
    return slacked, Lift.select(np.arange(n), n + added)


def ancillas(program: Program, owner: Longs) -> Variables:
    """Return new bits for constraints of a program, numbered within their head and query.

    Args:
        program: its constraints name the bits; its own ancillas keep their numbers.
        owner: int64, the constraint of each bit; equal ones side by side.
    """
    c, v, added = program.constraints, program.variables, len(owner)
    head, query = c.head[owner], c.query[owner]
    old = np.flatnonzero((v.role == Role.ANCILLA) & (v.key < 0))
    place = np.concatenate(
        [np.stack([v.head[old], v.query[old]], axis=1), np.stack([head, query], axis=1)]
    )
    _, group = np.unique(place, axis=0, return_inverse=True)
    first = np.zeros(int(group.max(initial=-1)) + 1, np.int64)
    np.maximum.at(first, group[: len(old)], v.bit[old] + 1)
    mine = group[len(old) :]
    order = np.argsort(mine, kind="stable")
    rank = np.empty(added, np.int64)
    rank[order] = np.arange(added) - pointers(np.bincount(mine))[mine[order]]
    return Variables(
        head=head,
        query=query,
        key=np.full(added, -1),
        bit=first[mine] + rank,
        upper=np.ones(added),
        role=np.full(added, Role.ANCILLA),
        mass=np.full(added, np.nan),
    )


def appended(variables: Variables, fresh: Variables) -> Variables:
    """Return both tables as one."""
    more = fresh.arrays()
    return Variables(
        **{name: np.concatenate([a, more[name]]) for name, a in variables.arrays().items()}
    )
