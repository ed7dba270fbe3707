"""Blocks of variables, a read of theirs, and steps by one unit: what mending and descent share.

A block is a set of variables that no coupler and no constraint joins to others. A gate that shuts
takes the levels behind it to zero in the same step.
"""

from __future__ import annotations

from typing import NamedTuple

from qubo_attn.common.arrays import Bools, Floats, Ints, Longs
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.rows import Adjacency

# Violations below this are rounding.
ZERO = 1e-9


class Blocks(NamedTuple):
    """Blocks of variables with their constraints.

    Attributes:
        ptr, var: the variables of block b are ``var[ptr[b]:ptr[b + 1]]``.
        row_ptr, row: its constraints are ``row[row_ptr[b]:row_ptr[b + 1]]``.
    """

    ptr: Longs
    var: Longs
    row_ptr: Longs
    row: Longs


class Limits(NamedTuple):
    """Linear constraints, by constraint and by variable.

    Attributes:
        rhs: right-hand sides; equal: which are equalities, the others are upper bounds.
        ptr, row, coef: variable v has coefficient ``coef[e]`` in constraint ``row[e]``, for e from
            ``ptr[v]`` to ``ptr[v + 1]``.
    """

    rhs: Floats
    equal: Bools
    ptr: Longs
    row: Longs
    coef: Floats


class Gates(NamedTuple):
    """Levels that are zero unless a bit opens their gate.

    Attributes:
        opener: the bit that opens the gate of each variable; -1 of variables behind none.
        ptr, held: the variables behind the gate of bit v are ``held[ptr[v]:ptr[v + 1]]``.
    """

    opener: Longs
    ptr: Longs
    held: Longs


class Form(NamedTuple):
    """A quadratic objective over whole numbers.

    Attributes:
        linear, square: coefficients of each variable and of its square.
        upper: largest value of each variable.
        couplers: those of different variables.
    """

    linear: Floats
    square: Floats
    upper: Ints
    couplers: Adjacency


class SampledReads(NamedTuple):
    """Reads as sampled.

    Attributes:
        levels: whole numbers, one line a variable and one column a read; a read with a value
            outside the range of its variable, or behind a shut gate, is infeasible, and the value
            is clipped.
        line: the line of each variable.
        weight: how often each read occurred.
    """

    levels: Ints
    line: Longs
    weight: Longs


class State(NamedTuple):
    """Where a read stands.

    Attributes:
        x: int32, value of each variable.
        field: what one unit of each variable adds to the objective, its own square excluded.
        excess: left side less right side of each constraint.
    """

    x: Ints
    field: Floats
    excess: Floats


class MendedReads(NamedTuple):
    """What became of the reads of each block.

    Attributes:
        point: int32, the best point of each block, block after block.
        best: int64, the read it comes from.
        holds: whether it holds all constraints.
        feasible: share of reads, by weight, that hold them as sampled.
        sampled, mended, descended: least objective of a read that holds them: as sampled, once
            mended, and after descent; infinite where there is none.
    """

    point: Ints
    best: Longs
    holds: Bools
    feasible: Floats
    sampled: Floats
    mended: Floats
    descended: Floats


@kernel
def failure(excess: float, equal: bool) -> float:
    """Return by how much a constraint fails."""
    return abs(excess) if equal else max(excess, 0.0)


@kernel
def gain_of(v: int, step: float, excess: Floats, limits: Limits) -> float:
    """Return by how much a step of a variable lowers the violation of its constraints."""
    total = 0.0
    for e in range(limits.ptr[v], limits.ptr[v + 1]):
        r = limits.row[e]
        now = excess[r]
        equal = limits.equal[r]
        total += failure(now, equal) - failure(now + step * limits.coef[e], equal)
    return total


@kernel
def move(v: int, step: int, state: State, form: Form, limits: Limits) -> None:
    """Move a variable by some units, and what depends on it."""
    x, field, excess = state
    x[v] += step
    first, neighbour, value = form.couplers
    for e in range(first[v], first[v + 1]):
        field[neighbour[e]] += step * value[e]
    for e in range(limits.ptr[v], limits.ptr[v + 1]):
        excess[limits.row[e]] += step * limits.coef[e]


@kernel
def rise_cost(v: int, state: State, form: Form) -> float:
    """Return what one unit more of a variable costs."""
    cost: float = state.field[v] + form.square[v] * (2 * state.x[v] + 1)
    return cost


@kernel
def fall_cost(v: int, state: State, form: Form, gates: Gates) -> float:
    """Return what one unit less of a variable costs, with the levels behind its gate."""
    x, field, _ = state
    first, neighbour, value = form.couplers
    cost: float = -field[v] + form.square[v] * (1 - 2 * x[v])
    for t in range(gates.ptr[v], gates.ptr[v + 1]):
        u = gates.held[t]
        if x[u] == 0:
            continue
        cost -= x[u] * (field[u] + form.square[u] * x[u])
        for e in range(first[u], first[u + 1]):
            w = neighbour[e]
            if w == v:
                cost += x[u] * value[e]
            elif w > u and gates.opener[w] == v:
                cost += x[u] * x[w] * value[e]
    return cost


@kernel
def fall(v: int, state: State, form: Form, limits: Limits, gates: Gates) -> None:
    """Take one unit from a variable, and what is behind its gate to zero."""
    for t in range(gates.ptr[v], gates.ptr[v + 1]):
        u = gates.held[t]
        if state.x[u] != 0:
            move(u, -state.x[u], state, form, limits)
    move(v, -1, state, form, limits)


@kernel
def objective_of(members: Longs, state: State, form: Form) -> float:
    """Return the objective of a block, constants excluded."""
    x, field, _ = state
    energy = 0.0
    for t in range(len(members)):
        v = members[t]
        energy += x[v] * (0.5 * (form.linear[v] + field[v]) + form.square[v] * x[v])
    return energy
