"""Kernel that anneals blocks under their constraints: by steps and exchanges that keep them.

A block starts from nothing, mended to its constraints. A variable that may rise is chosen at
random, and rises alone or in exchange for another that falls. A step that keeps every constraint is
taken by the rule of Metropolis, at a temperature that falls from sweep to sweep. The best point met
descends in the end.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Floats, Ints, Longs
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.blocks import (
    ZERO,
    Blocks,
    Form,
    Gates,
    Limits,
    State,
    fall,
    fall_cost,
    gain_of,
    move,
    objective_of,
    rise_cost,
)
from qubo_attn.kernels.descending import both_hold, descend
from qubo_attn.kernels.repairing import mend_state, set_state, violation

# The temperature falls from the spread of what steps cost to this share of it.
_COLD = 1e-3


class SwappedBlocks(NamedTuple):
    """What became of each block.

    Attributes:
        point: int32, the best point of each block, block after block.
        energy: its objective, constants excluded; infinite where no point was met that holds all
            constraints.
    """

    point: Ints
    energy: Floats


@kernel
def _spread(members: Longs, state: State, form: Form, gates: Gates) -> float:
    """Return what steps of a block cost on the average, up or down."""
    total = 0.0
    for t in range(len(members)):
        v = members[t]
        if state.x[v] > 0:
            total += abs(fall_cost(v, state, form, gates))
        else:
            total += abs(rise_cost(v, state, form))
    return total / len(members)


@kernel
def _is_taken(cost: float, heat: float) -> bool:
    """Return whether a step is taken, by the rule of Metropolis."""
    return bool(cost < -heat * np.log(1.0 - np.random.random()))  # noqa: NPY002


@kernel
def _turn(
    u: int,
    members: Longs,
    heat: float,
    cross: Floats,
    state: State,
    form: Form,
    limits: Limits,
    gates: Gates,
) -> None:
    """Let a variable rise, alone or in exchange, or fall, by the rule of Metropolis."""
    x, _, excess = state
    first, neighbour, value = form.couplers
    gate = gates.opener[u]
    if x[u] > 0 and gain_of(u, -1, excess, limits) > -ZERO:
        cost = fall_cost(u, state, form, gates)
        if _is_taken(cost, heat):
            fall(u, state, form, limits, gates)
            return
    if x[u] >= form.upper[u] or (gate >= 0 and x[gate] == 0):
        return
    rise = rise_cost(u, state, form)
    if gain_of(u, 1, excess, limits) > -ZERO and _is_taken(rise, heat):
        move(u, 1, state, form, limits)
        return
    for e in range(first[u], first[u + 1]):
        cross[neighbour[e]] = value[e]
    n, taken = len(members), -1
    start = np.random.randint(n)  # noqa: NPY002  # Numba knows no generators
    for s in range(n):
        v = members[(start + s) % n]
        if v in (u, gate) or x[v] <= 0:
            continue
        if not both_hold(u, v, excess, limits):
            continue
        cost = rise + fall_cost(v, state, form, gates) - cross[v]
        for g in range(gates.ptr[v], gates.ptr[v + 1]):
            cost -= x[gates.held[g]] * cross[gates.held[g]]
        if _is_taken(cost, heat):
            taken = v
            break
    for e in range(first[u], first[u + 1]):
        cross[neighbour[e]] = 0.0
    if taken >= 0:
        fall(taken, state, form, limits, gates)
        move(u, 1, state, form, limits)


@kernel
def swap_blocks(
    blocks: Blocks,
    form: Form,
    limits: Limits,
    gates: Gates,
    sweeps: int,
    starts: int,
    seeds: Longs,
) -> SwappedBlocks:
    """Anneal every block under its constraints; see above.

    Args:
        blocks: what is independent.
        form, limits, gates: objective and constraints.
        sweeps: turns of every variable in each of ``starts`` annealings.
        seeds: of each block.
    """
    count, n = len(blocks.ptr) - 1, len(form.linear)
    state = State(np.zeros(n, np.int32), np.zeros(n), np.zeros(len(limits.rhs)))
    point, energy = np.zeros(len(blocks.var), np.int32), np.full(count, np.inf)
    cross, best = np.zeros(n), np.zeros(n, np.int32)
    for b in range(count):
        np.random.seed(seeds[b])  # noqa: NPY002
        members = blocks.var[blocks.ptr[b] : blocks.ptr[b + 1]]
        rows = blocks.row[blocks.row_ptr[b] : blocks.row_ptr[b + 1]]
        room = best[: len(members)]
        for _ in range(starts):
            for t in range(len(members)):
                room[t] = 0
            set_state(room, members, rows, state, form, limits)
            left = violation(rows, state.excess, limits.equal)
            if mend_state(members, left, state, form, limits, gates) > ZERO:
                break
            heat = _spread(members, state, form, gates)
            ratio = _COLD ** (1.0 / max(sweeps - 1, 1))
            least = objective_of(members, state, form)
            for t in range(len(members)):
                room[t] = state.x[members[t]]
            for _ in range(sweeps):
                for _ in range(len(members)):
                    u = members[np.random.randint(len(members))]  # noqa: NPY002
                    _turn(u, members, heat, cross, state, form, limits, gates)
                reached = objective_of(members, state, form)
                if reached < least:
                    least = reached
                    for t in range(len(members)):
                        room[t] = state.x[members[t]]
                heat *= ratio
            set_state(room, members, rows, state, form, limits)
            descend(members, cross, state, form, limits, gates)
            reached = objective_of(members, state, form)
            if reached < energy[b]:
                energy[b] = reached
                for t in range(len(members)):
                    point[blocks.ptr[b] + t] = state.x[members[t]]
    return SwappedBlocks(point, energy)
