"""Slack bits: an upper bound on a count becomes an equality.

``sum x <= k`` is ``sum x + s = k`` with a slack s in 0..k. Unary slack (k bits of coefficient one)
keeps every coefficient small and makes the row an ordinary count; binary slack takes about log2 k
bits. Either reaches every value of s, and the lift drops the slack bits again.
"""

from __future__ import annotations

import numpy as np

from qubo_attn.arrays import Longs, pointers, segment_ids
from qubo_attn.encodings import coefficients
from qubo_attn.ir import Constraints, Program, Quadratic, Role, Sense, Variables
from qubo_attn.lift import Lift


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
    bit = np.arange(added) - np.repeat(pointers(sizes)[:-1], sizes)
    v, o = program.variables, program.objective
    fresh = {
        "head": c.head[owner],
        "query": c.query[owner],
        "key": np.full(added, -1),
        "bit": bit,
        "upper": np.ones(added),
        "role": np.full(added, Role.ANCILLA),
        "mass": np.full(added, np.nan),
    }
    variables = Variables(
        **{name: np.concatenate([column, fresh[name]]) for name, column in v.arrays().items()}
    )
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
