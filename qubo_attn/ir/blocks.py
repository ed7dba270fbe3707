"""Blocks of a program as kernels take them: objective, constraints and gates in columns."""

from __future__ import annotations

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Array, Bools, Floats, Ints, Longs, pointers
from qubo_attn.ir.columns import Constraints, Kind, Sense
from qubo_attn.ir.program import Program
from qubo_attn.ir.quadratic import Quadratic
from qubo_attn.ir.rows import gate_pairs


def form_of(objective: Quadratic, upper: Ints) -> kernels.Form:
    """Return an objective over whole numbers from zero to ``upper``."""
    return kernels.Form(objective.linear, objective.squares(), upper, objective.adjacency())


def limits_of(c: Constraints, variables: int) -> kernels.Limits:
    """Return constraints by variable."""
    return limits(c.rhs, c.sense == Sense.EQ, c.row, c.var, c.coef, variables)


def limits(
    rhs: Floats, equal: Bools, row: Longs, var: Array, coef: Floats, variables: int
) -> kernels.Limits:
    """Return linear constraints by variable.

    Args:
        rhs, equal: of each constraint.
        row, var, coef: of each entry.
        variables: how many there are.
    """
    order = np.argsort(var, kind="stable")
    first = pointers(np.bincount(var, minlength=variables))
    return kernels.Limits(rhs, equal, first, row[order], coef[order])


def blocks_of(component: Longs, owner: Longs) -> kernels.Blocks:
    """Return all blocks.

    Args:
        component: the block of each variable.
        owner: the block of each constraint.
    """
    count = int(component.max(initial=-1)) + 1
    return kernels.Blocks(
        pointers(np.bincount(component, minlength=count)),
        np.argsort(component, kind="stable"),
        pointers(np.bincount(owner, minlength=count)),
        np.argsort(owner, kind="stable"),
    )


def without_gates(program: Program) -> tuple[Constraints, Longs]:
    """Return the constraints that are no gates, and the block of each."""
    c = program.constraints.take(program.constraints.kind != Kind.GATE)
    return c, program.components[c.var[c.ptr[:-1]]]


def gates_of(program: Program) -> kernels.Gates:
    """Return what is zero unless a bit opens its gate."""
    level, gate = gate_pairs(program)
    opener = np.full(len(program), -1, np.int64)
    opener[level] = gate
    order = np.argsort(gate, kind="stable")
    return kernels.Gates(opener, pointers(np.bincount(gate, minlength=len(program))), level[order])
