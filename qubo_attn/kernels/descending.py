"""Descent of a read that holds its constraints: the best step or exchange, while one helps."""

from __future__ import annotations

from qubo_attn.common.arrays import Floats, Longs
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.blocks import (
    ZERO,
    Form,
    Gates,
    Limits,
    State,
    failure,
    fall,
    fall_cost,
    gain_of,
    move,
    rise_cost,
)

# Steps of a descent, for each variable of a block, that are enough for any.
_STEPS = 8


@kernel
def both_hold(u: int, v: int, excess: Floats, limits: Limits) -> bool:
    """Return whether all constraints of u and v hold once u rises and v falls by one."""
    good = True
    for w, step in ((u, 1.0), (v, -1.0)):
        for e in range(limits.ptr[w], limits.ptr[w + 1]):
            excess[limits.row[e]] += step * limits.coef[e]
    for w in (u, v):
        for e in range(limits.ptr[w], limits.ptr[w + 1]):
            r = limits.row[e]
            good = good and failure(excess[r], limits.equal[r]) <= ZERO
    for w, step in ((u, -1.0), (v, 1.0)):
        for e in range(limits.ptr[w], limits.ptr[w + 1]):
            excess[limits.row[e]] += step * limits.coef[e]
    return good


@kernel
def descend(
    members: Longs, cross: Floats, state: State, form: Form, limits: Limits, gates: Gates
) -> None:
    """Take the best step, or exchange of two, that keeps the constraints, while one helps.

    Args:
        members: the variables of the block.
        cross: room, shape (n,), zeros before and after.
        state, form, limits, gates: see `mend_reads`.
    """
    x, excess = state.x, state.excess
    first, neighbour, value = form.couplers
    size = 0.0
    for t in range(len(members)):
        v = members[t]
        size += abs(form.linear[v]) + abs(form.square[v])
        for e in range(first[v], first[v + 1]):
            size += abs(value[e])
    # Rounding may not make it go round in circles.
    for _ in range(_STEPS * len(members)):
        least, up, down = -1e-12 * size - 1e-300, -1, -1
        for t in range(len(members)):
            v = members[t]
            if x[v] > 0 and gain_of(v, -1, excess, limits) > -ZERO:
                cost = fall_cost(v, state, form, gates)
                if cost < least:
                    least, up, down = cost, -1, v
        for t in range(len(members)):
            u = members[t]
            gate = gates.opener[u]
            if x[u] >= form.upper[u] or (gate >= 0 and x[gate] == 0):
                continue
            rise = rise_cost(u, state, form)
            if rise < least and gain_of(u, 1, excess, limits) > -ZERO:
                least, up, down = rise, u, -1
            for e in range(first[u], first[u + 1]):
                cross[neighbour[e]] = value[e]
            for s in range(len(members)):
                v = members[s]
                if v in (u, gate) or x[v] <= 0:
                    continue
                cost = rise + fall_cost(v, state, form, gates) - cross[v]
                for g in range(gates.ptr[v], gates.ptr[v + 1]):
                    cost -= x[gates.held[g]] * cross[gates.held[g]]
                if cost < least and both_hold(u, v, excess, limits):
                    least, up, down = cost, u, v
            for e in range(first[u], first[u + 1]):
                cross[neighbour[e]] = 0.0
        if up < 0 and down < 0:
            break
        if down >= 0:
            fall(down, state, form, limits, gates)
        if up >= 0:
            move(up, 1, state, form, limits)
