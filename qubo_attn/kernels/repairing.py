"""Kernel that mends reads: every read of a block brought to its constraints, the best one taken.

A read that fails some constraints is mended greedily, until all hold or no step helps. Of all steps
by one unit, the one that lowers the violation most is taken; of several, the cheapest; of equal
ones, the first.
"""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Bools, Floats, Ints, Longs
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.blocks import (
    ZERO,
    Blocks,
    Form,
    Gates,
    Limits,
    MendedReads,
    SampledReads,
    State,
    failure,
    fall,
    fall_cost,
    gain_of,
    move,
    objective_of,
    rise_cost,
)
from qubo_attn.kernels.descending import descend

# Units that the constraints of a block fail by are stepped through one by one up to this many.
_STRIDES = 1024


@kernel
def violation(rows: Longs, excess: Floats, equal: Bools) -> float:
    """Return by how much the constraints of a block fail."""
    total = 0.0
    for t in range(len(rows)):
        total += failure(excess[rows[t]], equal[rows[t]])
    return total


@kernel
def mend_state(
    members: Longs, left: float, state: State, form: Form, limits: Limits, gates: Gates
) -> float:
    """Step until the constraints of a block hold or no step helps; return what is left."""
    x, _, excess = state
    steps = 8
    for t in range(len(members)):
        steps += 2 * form.upper[members[t]]
    steps = min(steps, 16 * _STRIDES)
    while left > ZERO and steps > 0:
        # Rounding may not make it go round in circles.
        steps -= 1
        chosen, direction, most, least = -1, 0, ZERO, np.inf
        for sign in (1, -1):
            for t in range(len(members)):
                v = members[t]
                if (x[v] >= form.upper[v]) if sign > 0 else (x[v] <= 0):
                    continue
                gain = gain_of(v, sign, excess, limits)
                if gain < most - ZERO or gain <= ZERO:
                    continue
                rise = sign > 0
                cost = rise_cost(v, state, form) if rise else fall_cost(v, state, form, gates)
                if gain > most + ZERO or cost < least:
                    chosen, direction, most, least = v, sign, gain, cost
        if chosen < 0:
            break
        # Far from its constraints a block of many levels takes strides.
        room = form.upper[chosen] - x[chosen] if direction > 0 else x[chosen]
        stride = min(room, int(min(left, 1e9)) // _STRIDES)
        if stride > 1 and gates.ptr[chosen] == gates.ptr[chosen + 1]:
            far = gain_of(chosen, direction * stride, excess, limits)
            if far > most:
                move(chosen, direction * stride, state, form, limits)
                left -= far
                continue
        if direction > 0:
            move(chosen, 1, state, form, limits)
        else:
            fall(chosen, state, form, limits, gates)
        left -= most
    return left


@kernel
def _load(
    reads: SampledReads,
    m: int,
    members: Longs,
    state: State,
    form: Form,
    limits: Limits,
    gates: Gates,
) -> bool:
    """Set a block to a read, within its ranges and behind open gates; return whether it was."""
    unchanged = True
    for t in range(len(members)):
        v = members[t]
        state.x[v] = 0
        state.field[v] = form.linear[v]
    for t in range(len(members)):
        v = members[t]
        sampled = reads.levels[reads.line[v], m]
        level = min(max(sampled, 0), form.upper[v])
        gate = gates.opener[v]
        if gate >= 0 and reads.levels[reads.line[gate], m] <= 0:
            level = 0
        unchanged = unchanged and level == sampled
        if level != 0:
            move(v, level, state, form, limits)
    return unchanged


@kernel
def set_state(
    levels: Ints, members: Longs, rows: Longs, state: State, form: Form, limits: Limits
) -> None:
    """Set a block to given levels."""
    for t in range(len(rows)):
        state.excess[rows[t]] = -limits.rhs[rows[t]]
    for t in range(len(members)):
        state.x[members[t]] = 0
        state.field[members[t]] = form.linear[members[t]]
    for t in range(len(members)):
        if levels[t] != 0:
            move(members[t], levels[t], state, form, limits)


@kernel
def mend_reads(
    reads: SampledReads,
    blocks: Blocks,
    form: Form,
    limits: Limits,
    gates: Gates,
    every: bool,
    descends: bool,
) -> MendedReads:
    """Mend every read of every block, and take the best of each.

    Args:
        reads: what was sampled.
        blocks: what is independent.
        form, limits, gates: objective and constraints.
        every: whether mended reads stand beside feasible ones; else they serve where no read of a
            block is feasible. A read that cannot be mended serves where there is no other, the one
            that fails least.
        descends: whether the best read descends by steps and exchanges, where it holds all
            constraints.
    """
    count, n = len(blocks.ptr) - 1, len(form.linear)
    state = State(np.zeros(n, np.int32), np.zeros(n), np.zeros(len(limits.rhs)))
    point, cross = np.zeros(len(blocks.var), np.int32), np.zeros(n)
    best, left_over = np.zeros(count, np.int64), np.full(count, np.inf)
    feasible, sampled = np.zeros(count), np.full(count, np.inf)
    mended, descended = np.full(count, np.inf), np.full(count, np.inf)
    total = float(max(reads.weight.sum(), 1))
    for b in range(count):
        members = blocks.var[blocks.ptr[b] : blocks.ptr[b + 1]]
        rows = blocks.row[blocks.row_ptr[b] : blocks.row_ptr[b + 1]]
        after, least = True, np.inf
        for m in range(len(reads.weight)):
            for t in range(len(rows)):
                state.excess[rows[t]] = -limits.rhs[rows[t]]
            unchanged = _load(reads, m, members, state, form, limits, gates)
            left = violation(rows, state.excess, limits.equal)
            as_sampled = unchanged and left <= ZERO
            left = mend_state(members, left, state, form, limits, gates)
            energy = objective_of(members, state, form)
            if as_sampled:
                feasible[b] += reads.weight[m]
                sampled[b] = min(sampled[b], energy)
            if left <= ZERO:
                left = 0.0
                mended[b] = min(mended[b], energy)
            later = not every and not as_sampled
            if later > after:
                continue
            first = later < after or left < left_over[b] - ZERO
            if first or (left < left_over[b] + ZERO and energy < least):
                after, best[b], left_over[b], least = later, m, left, energy
                for t in range(len(members)):
                    point[blocks.ptr[b] + t] = state.x[members[t]]
        if left_over[b] > ZERO:
            continue
        descended[b] = least
        if descends:
            set_state(point[blocks.ptr[b] : blocks.ptr[b + 1]], members, rows, state, form, limits)
            descend(members, cross, state, form, limits, gates)
            descended[b] = objective_of(members, state, form)
            for t in range(len(members)):
                point[blocks.ptr[b] + t] = state.x[members[t]]
    holds = left_over <= ZERO
    return MendedReads(point, best, holds, feasible / total, sampled, mended, descended)
