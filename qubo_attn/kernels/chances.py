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
from qubo_attn.kernels.blocks import Blocks, Form, Limits

_ZERO = 1e-9


class Chances(NamedTuple):
    """Chances of one read, one entry per block.

    Attributes:
        feasible: that it holds all constraints.
        optimum: that it is the best state that does.
    """

    feasible: Floats
    optimum: Floats


@kernel
def _broken(members: Longs, excess: Floats, limits: Limits) -> bool:
    """Return whether a constraint of some variables fails."""
    for t in range(len(members)):
        for e in range(limits.ptr[members[t]], limits.ptr[members[t] + 1]):
            r = limits.row[e]
            over = abs(excess[r]) if limits.equal[r] else excess[r]
            if over > _ZERO:
                return True
    return False


@kernel
def _flip(v: int, x: Ints, field: Floats, excess: Floats, form: Form, limits: Limits) -> float:
    """Change a bit and what depends on it; return what that costs."""
    step = 1 - 2 * x[v]
    cost: float = step * field[v]
    x[v] += step
    first, neighbour, value = form.couplers
    for e in range(first[v], first[v + 1]):
        field[neighbour[e]] += step * value[e]
    for e in range(limits.ptr[v], limits.ptr[v + 1]):
        excess[limits.row[e]] += step * limits.coef[e]
    return cost


@kernel
def _of_all(
    members: Longs, unit: float, x: Ints, field: Floats, excess: Floats, form: Form, limits: Limits
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
            energy += _flip(members[bit], x, field, excess, form, limits)
        # Sums are kept in units of the least energy so far: nothing runs over.
        if energy < shift:
            factor = np.exp((energy - shift) / unit)
            good, ties, every, shift = good * factor, ties * factor, every * factor, energy
        part = np.exp((shift - energy) / unit)
        every += part
        if not _broken(members, excess, limits):
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
def _fails(v: int, excess: Floats, limits: Limits) -> bool:
    """Return whether a constraint of a bit fails."""
    for e in range(limits.ptr[v], limits.ptr[v + 1]):
        r = limits.row[e]
        if (abs(excess[r]) if limits.equal[r] else excess[r]) > _ZERO:
            return True
    return False


@kernel
def _of_steps(
    members: Longs,
    unit: float,
    x: Ints,
    field: Floats,
    excess: Floats,
    cross: Floats,
    form: Form,
    limits: Limits,
) -> tuple[float, float]:
    """Return both chances, summed over a good state and what lies one step from it."""
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
    x, field = np.zeros(len(point), np.int32), np.zeros(len(point))
    excess, cross = -limits.rhs, np.zeros(len(point))
    for b in range(count):
        members = blocks.var[blocks.ptr[b] : blocks.ptr[b + 1]]
        for t in range(len(members)):
            field[members[t]] = form.linear[members[t]]
        if len(members) <= most:
            pair = _of_all(members, unit[b], x, field, excess, form, limits)
        else:
            for t in range(len(members)):
                if point[members[t]] != 0:
                    _flip(members[t], x, field, excess, form, limits)
            pair = _of_steps(members, unit[b], x, field, excess, cross, form, limits)
        feasible[b], optimum[b] = pair
    return Chances(feasible, optimum)
