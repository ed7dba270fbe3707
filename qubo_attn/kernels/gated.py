"""Search for a good feasible point of one exactly-k row whose chosen keys have levels.

The row is dense: its form is ``a.x + x.M x / 2`` with M symmetric. ``counted`` says which variables
the row counts, ``gate`` which of them must be one for another to be above zero (-1: none).
"""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Array, Bools, Floats, Ints, Longs
from qubo_attn.kernels._jit import kernel

_ROUNDS = 200


@kernel
def move(a: int, change: float, x: Array, gradient: Floats, matrix: Floats) -> None:
    """Change variable ``a``, and the gradient with it."""
    if change != 0:
        x[a] += change
        for b in range(len(x)):
            gradient[b] += change * matrix[a, b]


@kernel
def _settle(a: int, x: Longs, gradient: Floats, matrix: Floats, room: Ints) -> float:
    """Give variable ``a`` its best value, with the others fixed; return the change of energy."""
    best, change = 0.0, 0
    for level in range(room[a] + 1):
        step = level - x[a]
        cost = step * gradient[a] + 0.5 * step * step * matrix[a, a]
        if cost < best - 1e-15:
            best, change = cost, step
    move(a, change, x, gradient, matrix)
    return float(best)


@kernel
def _leave(out: int, x: Longs, gradient: Floats, matrix: Floats, gate: Longs) -> float:
    """Deselect ``out`` with its levels; return the change of energy."""
    total = 0.0
    for b in range(len(x)):
        if b == out or gate[b] == out:
            step = -x[b]
            total += step * gradient[b] + 0.5 * step * step * matrix[b, b]
            move(b, step, x, gradient, matrix)
    return float(total)


@kernel
def _enter(into: int, x: Longs, gradient: Floats, matrix: Floats, room: Ints, gate: Longs) -> None:
    """Select ``into`` with good levels."""
    move(into, 1, x, gradient, matrix)
    for b in range(len(x)):
        if gate[b] == into:
            _settle(b, x, gradient, matrix, room)


@kernel
def _entry_cost(
    into: int, level: Longs, gradient: Floats, matrix: Floats, room: Ints, gate: Longs
) -> float:
    """Return the change of energy that `_enter` makes; ``level`` is room for levels."""
    total = gradient[into] + 0.5 * matrix[into, into]
    for b in range(len(level)):
        if gate[b] == into:
            slope, best = gradient[b] + matrix[into, b], 0.0
            for c in range(b):
                if gate[c] == into:
                    slope += level[c] * matrix[c, b]
            level[b] = 0
            for value in range(1, room[b] + 1):
                cost = value * slope + 0.5 * value * value * matrix[b, b]
                if cost < best - 1e-15:
                    best, level[b] = cost, value
            total += best
    return float(total)


@kernel
def good_point(
    matrix: Floats, fields: Floats, room: Ints, counted: Bools, gate: Longs, k: int
) -> tuple[Longs, float]:
    """Return a feasible point of low energy: greedy, then levels and exchanges while they help."""
    n = len(fields)
    x, gradient, scale = np.zeros(n, np.int64), fields.copy(), np.abs(fields).sum()
    level = np.zeros(n, np.int64)
    for _ in range(k):
        best = -1
        for a in range(n):
            if counted[a] and x[a] == 0 and (best < 0 or gradient[a] < gradient[best]):
                best = a
        move(best, 1, x, gradient, matrix)
    for _ in range(_ROUNDS):
        gain = 0.0
        for a in range(n):
            if not counted[a] and (gate[a] < 0 or x[gate[a]] == 1):
                gain += _settle(a, x, gradient, matrix, room)
        best_cost, best_out, best_into = -1e-13 * scale, -1, -1
        for out in range(n):
            if not counted[out] or x[out] == 0:
                continue
            pull = gradient.copy()
            gone = _leave(out, x.copy(), pull, matrix, gate)
            for into in range(n):
                if counted[into] and x[into] == 0:
                    cost = gone + _entry_cost(into, level, pull, matrix, room, gate)
                    if cost < best_cost:
                        best_cost, best_out, best_into = cost, out, into
        if best_out >= 0:
            _leave(best_out, x, gradient, matrix, gate)
            _enter(best_into, x, gradient, matrix, room, gate)
        elif gain > best_cost:
            break
    energy = 0.0
    for a in range(n):
        energy += 0.5 * x[a] * (gradient[a] + fields[a])
    return x, energy
