"""Kernel for what a warm machine returns: the chance of a feasible read, and of the optimum.

Reads are taken to follow Boltzmann's law of the logical model at the machine's temperature. Small
blocks are summed over all states; others over one good state and what lies one step from it: one
bit changed, or a one exchanged for a zero.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Floats, Ints, Longs
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.blocks import ZERO, Blocks, Form, Limits, State, failure, move


class Chances(NamedTuple):
    """Chances of one read, one entry per block.

    Attributes:
        feasible: that it holds all constraints.
        optimum: that it is the best state that does.
    """

    feasible: Floats
    optimum: Floats


@kernel
def _fails(v: int, excess: Floats, limits: Limits) -> bool:
    """Return whether a constraint of a bit fails."""
    for e in range(limits.ptr[v], limits.ptr[v + 1]):
        if failure(excess[limits.row[e]], limits.equal[limits.row[e]]) > ZERO:
            return True
    return False


@kernel
def _broken(members: Longs, excess: Floats, limits: Limits) -> bool:
    """Return whether a constraint of some bits fails."""
    broken = False
    for t in range(len(members)):
        broken = broken or _fails(members[t], excess, limits)
    return broken


@kernel
def _of_all(
    members: Longs, unit: float, state: State, form: Form, limits: Limits
) -> tuple[float, float]:
    """Return both chances, summed over all states in the order of a Gray code."""
    n = len(members)
    energy, least, shift = 0.0, np.inf, np.inf
    good, ties, every = 0.0, 0.0, 0.0
    for number in range(1 << n):
        if number > 0:
            bit, rest = 0, number
            while rest & 1 == 0:
                bit, rest = bit + 1, rest >> 1
            v = members[bit]
            step = 1 - 2 * state.x[v]
            energy += step * state.field[v]
            move(v, step, state, form, limits)
        # Sums are kept in units of the least energy so far: nothing runs over.
        if energy < shift:
            factor = np.exp((energy - shift) / unit)
            good, ties, every, shift = good * factor, ties * factor, every * factor, energy
        part = np.exp((shift - energy) / unit)
        every += part
        if not _broken(members, state.excess, limits):
            good += part
            close = 1e-9 * (abs(energy) + unit)
            if energy < least - close:
                least, ties = energy, part
            elif energy <= least + close:
                ties += part
    return good / every, ties / every


@kernel
def _shift(v: int, step: int, excess: Floats, limits: Limits) -> None:
    """Move the constraints of a bit as a step of it would."""
    for e in range(limits.ptr[v], limits.ptr[v + 1]):
        excess[limits.row[e]] += step * limits.coef[e]


@kernel
def _of_steps(
    members: Longs, unit: float, cross: Floats, state: State, form: Form, limits: Limits
) -> tuple[float, float]:
    """Return both chances, summed over a good state and what lies one step from it."""
    x, field, excess = state
    first, neighbour, value = form.couplers
    inside, outside = 0.0, 0.0
    for t in range(len(members)):
        u = members[t]
        step = 1 - 2 * x[u]
        rise = step * field[u]
        _shift(u, step, excess, limits)
        part = np.exp(-max(rise, -30.0 * unit) / unit)
        if _fails(u, excess, limits):
            outside += part
        else:
            inside += part
        for e in range(first[u], first[u + 1]):
            cross[neighbour[e]] = value[e]
        for s in range(t + 1, len(members)):
            v = members[s]
            if x[u] == x[v]:
                continue
            # An exchange: one bit rises, the other falls.
            cost = rise - step * field[v] - cross[v]
            part = np.exp(-max(cost, -30.0 * unit) / unit)
            _shift(v, -step, excess, limits)
            if _fails(u, excess, limits) or _fails(v, excess, limits):
                outside += part
            else:
                inside += part
            _shift(v, step, excess, limits)
        for e in range(first[u], first[u + 1]):
            cross[neighbour[e]] = 0.0
        _shift(u, -step, excess, limits)
    return (1.0 + inside) / (1.0 + inside + outside), 1.0 / (1.0 + inside + outside)


@kernel
def block_chances(
    point: Ints, unit: Floats, blocks: Blocks, form: Form, limits: Limits, most: int
) -> Chances:
    """Return the chances of every block of a program of bits.

    Args:
        point: a good state.
        unit: of each block, the program energy of one temperature.
        blocks, form, limits: the program, prices included; limits are what must hold.
        most: bits of a block that is summed over all states.
    """
    count = len(blocks.ptr) - 1
    feasible, optimum = np.ones(count), np.ones(count)
    cross = np.zeros(len(point))
    state = State(np.zeros(len(point), np.int32), np.zeros(len(point)), -limits.rhs)
    for b in range(count):
        members = blocks.var[blocks.ptr[b] : blocks.ptr[b + 1]]
        for t in range(len(members)):
            state.field[members[t]] = form.linear[members[t]]
        if len(members) <= most:
            pair = _of_all(members, unit[b], state, form, limits)
        else:
            for t in range(len(members)):
                if point[members[t]] != 0:
                    move(members[t], 1, state, form, limits)
            pair = _of_steps(members, unit[b], cross, state, form, limits)
        feasible[b], optimum[b] = pair
    return Chances(feasible, optimum)
