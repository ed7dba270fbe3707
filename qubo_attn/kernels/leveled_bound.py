"""A lower bound of an exactly-m row whose chosen keys have levels, by a convex relaxation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Bools, Floats, Ints, Longs
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.gated import move


class Held(NamedTuple):
    """The variables behind each gate: those that ``v`` opens are ``var[ptr[v]:ptr[v + 1]]``."""

    ptr: Longs
    var: Longs


@kernel
def held_by(gate: Longs) -> Held:
    """Return which variables each gate holds back."""
    n = len(gate)
    ptr, var = np.zeros(n + 1, np.int64), np.empty(n, np.int64)
    place = 0
    for a in range(n):
        for b in range(n):
            if gate[b] == a:
                var[place] = b
                place += 1
        ptr[a + 1] = place
    return Held(ptr, var)


@kernel
def _minorant(
    x: Floats, gradient: Floats, fields: Floats, room: Ints, counted: Bools, gate: Longs, m: int
) -> float:
    """Return the least value of the linear minorant at ``x`` over the relaxation for m keys."""
    n = len(x)
    value, cost = 0.0, np.zeros(n)
    for a in range(n):
        value += 0.5 * x[a] * (fields[a] - gradient[a])
        gain = min(gradient[a], 0.0) * room[a]
        if counted[a]:
            cost[a] += gradient[a]
        elif gate[a] >= 0:
            cost[gate[a]] += gain
        else:
            value += gain
    return float(value + np.sort(cost[counted])[:m].sum())


@kernel
def relaxed_bound(
    convex: Floats,
    fields: Floats,
    room: Ints,
    counted: Bools,
    gate: Longs,
    held: Held,
    m: int,
    rounds: int,
    near: float,
) -> float:
    """Return a lower bound of the convex form with m keys, shut gates obeyed.

    Levels go to their best value between zero and what their key allows; then a share of a key goes
    from where it costs most to where it costs least, with an exact line search.

    Args:
        convex, fields: the form; room: the largest value of each variable.
        counted, gate: see `qubo_attn.kernels.gated`; held: of the gates.
        m: keys.
        rounds: at most.
        near: no bound that is better by more is looked for.
    """
    n, keys = len(fields), 0
    x, gradient = np.zeros(n), fields.copy()
    for a in range(n):
        keys += counted[a]
    for a in range(n):
        if counted[a]:
            move(a, m / keys, x, gradient, convex)
    step, moving, best = np.zeros(n), np.empty(n, np.int64), -np.inf
    for turn in range(rounds):
        for a in range(n):
            if not counted[a]:
                top = room[a] * (x[gate[a]] if gate[a] >= 0 else 1.0)
                goal = min(max(x[a] - gradient[a] / convex[a, a], 0.0), top)
                move(a, goal - x[a], x, gradient, convex)
                x[a] = goal
        if turn % 4 == 3 or turn == rounds - 1:
            best = max(best, _minorant(x, gradient, fields, room, counted, gate, m))
            energy = 0.0
            for a in range(n):
                energy += 0.5 * x[a] * (fields[a] + gradient[a])
            # No bound is above the energy of a point of the relaxation.
            if energy - best <= near:
                break
        for _ in range(4):
            # Along with a key its levels move: up to where they pay, down in proportion.
            dear, cheap, high, low = -1, -1, -np.inf, np.inf
            for a in range(n):
                if counted[a]:
                    up = down = gradient[a]
                    for e in range(held.ptr[a], held.ptr[a + 1]):
                        b = held.var[e]
                        up += min(gradient[b], 0.0) * room[b]
                        if x[a] > 0.0:
                            down += gradient[b] * x[b] / x[a]
                    if x[a] > 1e-12 and down > high:
                        high, dear = down, a
                    if x[a] < 1.0 - 1e-12 and up < low:
                        low, cheap = up, a
            if dear < 0 or cheap < 0 or dear == cheap or high <= low:
                break
            moving[0], moving[1], count = cheap, dear, 2
            step[cheap], step[dear] = 1.0, -1.0
            for e in range(held.ptr[cheap], held.ptr[cheap + 1]):
                b = held.var[e]
                if gradient[b] < 0.0:
                    moving[count], step[b] = b, room[b]
                    count += 1
            for e in range(held.ptr[dear], held.ptr[dear + 1]):
                b = held.var[e]
                if x[b] > 0.0:
                    moving[count], step[b] = b, -x[b] / x[dear]
                    count += 1
            curve = 0.0
            for s in range(count):
                for t in range(count):
                    a, b = moving[s], moving[t]
                    curve += step[a] * step[b] * convex[a, b]
            length = min(x[dear], 1.0 - x[cheap])
            if curve > 0.0:
                length = min(length, (high - low) / curve)
            for s in range(count):
                a = moving[s]
                move(a, length * step[a], x, gradient, convex)
                x[a], step[a] = max(x[a], 0.0), 0.0
    return best
