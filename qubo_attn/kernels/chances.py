"""Kernel for what a warm machine returns: the chance of a feasible read, and of the optimum.

Bits are of two kinds: free ones follow Boltzmann's law at the machine's temperature; the others
freeze before, at a hotter one, and the free ones then settle beside them. Small blocks are summed
over all states; others over one good state and what lies one step from it: one bit changed, or a
one exchanged for a zero.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Bools, Floats, Ints, Longs
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.blocks import ZERO, Blocks, Form, Limits, State, failure, move

# States of less weight than exp(-40), in units of the best one's, are left out.
_FAR = 40.0


class Temperatures(NamedTuple):
    """Temperatures of blocks, in units of the program's energy.

    Attributes:
        cold: that of the machine; hot: that at which bits freeze that are not free; one entry a
            block.
        free: which bits are, one entry a variable.
    """

    cold: Floats
    hot: Floats
    free: Bools


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
def _broken(rows: Longs, excess: Floats, limits: Limits) -> bool:
    """Return whether one of some constraints fails."""
    broken = False
    for t in range(len(rows)):
        broken = broken or failure(excess[rows[t]], limits.equal[rows[t]]) > ZERO
    return broken


@kernel
def _of_all(
    members: Longs,
    rows: Longs,
    heat: Temperatures,
    b: int,
    state: State,
    form: Form,
    limits: Limits,
) -> tuple[float, float]:
    """Return both chances, summed over all states in the order of a Gray code, free bits first.

    All states of one setting of the other bits follow each other. Its weight is theirs together at
    the hot temperature; what it ends in, they share out at the cold one.
    """
    cold, hot, free = heat.cold[b], heat.hot[b], 0
    for t in range(len(members)):
        free += heat.free[members[t]]
    energy, least, shift = 0.0, np.inf, np.inf
    good, ties, every = 0.0, 0.0, 0.0
    for low in range(0, 1 << len(members), 1 << free):
        base, near, tied, all_, weight = np.inf, 0.0, 0.0, 0.0, 0.0
        for number in range(low, low + (1 << free)):
            if number > 0:
                bit, rest = 0, number
                while rest & 1 == 0:
                    bit, rest = bit + 1, rest >> 1
                v = members[bit]
                step = 1 - 2 * state.x[v]
                energy += step * state.field[v]
                move(v, step, state, form, limits)
            # Sums are kept in units of the least energy so far: nothing runs over.
            if energy < base:
                factor = np.exp((energy - base) / cold)
                near, tied, all_, base = near * factor, tied * factor, all_ * factor, energy
            if energy < shift:
                factor = np.exp((energy - shift) / hot)
                good, ties, every, shift = good * factor, ties * factor, every * factor, energy
                weight *= factor
            part = np.exp((base - energy) / cold) if energy < base + _FAR * cold else 0.0
            all_ += part
            if energy < shift + _FAR * hot:
                weight += np.exp((shift - energy) / hot)
            if not _broken(rows, state.excess, limits):
                near += part
                close = 1e-9 * (abs(energy) + cold)
                if energy < least - close:
                    least, tied, ties = energy, part, 0.0
                elif energy <= least + close:
                    tied += part
        good += weight * near / all_
        ties += weight * tied / all_
        every += weight
    return good / every, ties / every


@kernel
def _shift(v: int, step: int, excess: Floats, limits: Limits) -> None:
    """Move the constraints of a bit as a step of it would."""
    for e in range(limits.ptr[v], limits.ptr[v + 1]):
        excess[limits.row[e]] += step * limits.coef[e]


@kernel
def _of_steps(
    members: Longs,
    heat: Temperatures,
    b: int,
    cross: Floats,
    state: State,
    form: Form,
    limits: Limits,
) -> tuple[float, float]:
    """Return both chances, summed over a good state and what lies one step from it.

    A step is as warm as the warmest bit that it moves.
    """
    cold, hot = heat.cold[b], heat.hot[b]
    x, field, excess = state
    first, neighbour, value = form.couplers
    inside, outside = 0.0, 0.0
    for t in range(len(members)):
        u = members[t]
        step = 1 - 2 * x[u]
        rise = step * field[u]
        unit = cold if heat.free[u] else hot
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
            both = cold if heat.free[u] and heat.free[v] else hot
            part = np.exp(-max(cost, -30.0 * both) / both)
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
def block_chances(heat: Temperatures, blocks: Blocks, form: Form, limits: Limits) -> Chances:
    """Return the chances of every block of a program of bits, summed over all states.

    Args:
        heat: of the blocks.
        blocks: of few bits; free bits come first in each.
        form, limits: the program, prices included; limits are what must hold.
    """
    count, n = len(blocks.ptr) - 1, len(form.linear)
    feasible, optimum = np.empty(count), np.empty(count)
    state = State(np.zeros(n, np.int32), np.zeros(n), -limits.rhs)
    for b in range(count):
        members = blocks.var[blocks.ptr[b] : blocks.ptr[b + 1]]
        rows = blocks.row[blocks.row_ptr[b] : blocks.row_ptr[b + 1]]
        for t in range(len(members)):
            state.field[members[t]] = form.linear[members[t]]
        feasible[b], optimum[b] = _of_all(members, rows, heat, b, state, form, limits)
    return Chances(feasible, optimum)


@kernel
def step_chances(
    point: Ints, heat: Temperatures, blocks: Blocks, form: Form, limits: Limits
) -> Chances:
    """Return the chances of every block of a program of bits, summed over what lies near a state.

    Args:
        point: a good state.
        heat, blocks, form, limits: see `block_chances`.
    """
    count, n = len(blocks.ptr) - 1, len(form.linear)
    feasible, optimum = np.empty(count), np.empty(count)
    cross = np.zeros(n)
    state = State(np.zeros(n, np.int32), np.zeros(n), -limits.rhs)
    for b in range(count):
        members = blocks.var[blocks.ptr[b] : blocks.ptr[b + 1]]
        for t in range(len(members)):
            state.field[members[t]] = form.linear[members[t]]
        for t in range(len(members)):
            # A number, not a constant, for which `move` would be compiled once more.
            step = point[members[t]] - 2 * state.x[members[t]]
            if step != 0:
                move(members[t], step, state, form, limits)
        feasible[b], optimum[b] = _of_steps(members, heat, b, cross, state, form, limits)
    return Chances(feasible, optimum)
