"""Lower bounds on parts of a search for the least ratio of a row.

N is the Gram matrix of n vectors ``p_i (v_i - o)`` and ``z'D z = (p.z)^2``. Whether a ratio below t
exists is asked of ``|Uz|^2 - t (p.z)^2``: of its sign alone, so it may be divided by ``y = p.z``.
Let ``N - diag(e)`` be positive semidefinite, e >= 0. On bits ``z'N z = z'(N - diag(e)) z + e.z``,
and in a part of the search where y is at most Y, ``e.z >= (e.z) y / Y``. So

    h(z) = z'(N - diag(e)) z / y + e.z / Y - t y

bounds the sought value, divided by y, from below. The first term is a quadratic over a linear form,
which is convex. h is convex and homogeneous, so at any point its gradient g gives ``h(z) >= g.z``
for every selection. So the keys taken, and the smallest gradients of those that are open, bound a
part of the search. ``e_i = c N_ii`` with c the least eigenvalue of N scaled to a unit diagonal.
"""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Floats, Longs
from qubo_attn.kernels._jit import kernel

# What a value must fall below zero to count, where those of a row are about 1.
ROUNDING = 1e-9
# A key is left out of a part of the search, taken, or open.
OUT, IN, OPEN = 0, 1, 2


@kernel
def even_part(gram: Floats) -> Floats:
    """Return e >= 0 with ``gram - diag(e)`` positive semidefinite: a share of the diagonal."""
    n = len(gram)
    unit = np.eye(n)
    for i in range(n):
        for j in range(n):
            if i != j and gram[i, i] > 0.0 and gram[j, j] > 0.0:
                unit[i, j] = gram[i, j] / np.sqrt(gram[i, i] * gram[j, j])
    least = max(np.linalg.eigvalsh(unit)[0] - 1e-9, 0.0)
    e = np.empty(n)
    for i in range(n):
        e[i] = least * gram[i, i]
    return e


@kernel
def sort_open(slope: Floats, state: Longs, order: Longs) -> int:
    """Fill in the open keys by rising slope; return how many there are."""
    count = 0
    for i in range(len(slope)):
        if state[i] == OPEN:
            j = count
            while j > 0 and slope[order[j - 1]] > slope[i]:
                order[j] = order[j - 1]
                j -= 1
            order[j] = i
            count += 1
    return count


@kernel
def set_point(state: Longs, open_: int, left: int, x: Floats) -> None:
    """Move open entries so that they add up to ``left``, and set the others."""
    total = 0.0
    for i in range(len(x)):
        if state[i] == OPEN:
            total += x[i]
        else:
            x[i] = 1.0 if state[i] == IN else 0.0
    short = left - total
    for i in range(len(x)):
        if state[i] == OPEN and short > 0.0:
            x[i] += short * (1.0 - x[i]) / (open_ - total)
        elif state[i] == OPEN and total > 0.0:
            x[i] *= left / total


@kernel
def largest_mass(mass: Floats, falling: Longs, state: Longs, left: int) -> float:
    """Return the most mass that a selection of this part can have."""
    most, count = 0.0, 0
    for i in falling:
        if state[i] == IN:
            most += mass[i]
        elif state[i] == OPEN and count < left:
            most += mass[i]
            count += 1
    return most


@kernel
def best_step(
    curve: float, bend: float, square: float, held: float, mass: float, flat: float
) -> float:
    """Return the step along a direction at which h is least: ``(A + 2 B s + C s^2) / y + flat s``.

    Args:
        curve, bend, square: C, B and A of the form.
        held, mass: y, and how y changes by a step of 1.
        flat: the linear part.
    """
    if abs(mass) < 1e-12 * held:
        return -(2.0 * bend / held + flat) * held / (2.0 * curve) if curve > 1e-300 else np.inf
    slope = curve / (mass * mass) + flat / mass
    top = square - 2.0 * bend * held / mass + curve * held * held / (mass * mass)
    if slope <= 1e-300 or top <= 0.0:
        return np.inf
    return float((np.sqrt(top / slope) - held) / mass)


@kernel
def lower_bound(
    matrix: Floats,
    e: Floats,
    mass: Floats,
    most: float,
    state: Longs,
    left: int,
    x: Floats,
    slope: Floats,
    order: Longs,
) -> float:
    """Return a lower bound on h over a part of the search; fill in slopes and their order.

    Pairs of open keys exchange weight from x on, largest slopes against smallest.
    """
    n = len(mass)
    form, square, held = np.zeros(n), 0.0, 0.0
    for i in range(n):
        for j in range(n):
            form[i] += matrix[i, j] * x[j]
        square += form[i] * x[i]
        held += mass[i] * x[i]
    bound = -np.inf
    for sweep in range(10):
        if held <= 0.0:
            return -np.inf
        here = 0.0
        for i in range(n):
            ratio = square / (held * held) + 1.0
            slope[i] = 2.0 * form[i] / held - ratio * mass[i] + e[i] / most
            here += slope[i] * x[i]
        count, bound = sort_open(slope, state, order), 0.0
        for i in range(n):
            bound += slope[i] if state[i] == IN else 0.0
        for t in range(left):
            bound += slope[order[t]]
        gap = here - bound
        if bound >= -ROUNDING or gap < 1e-9 or gap < -0.1 * here or sweep == 9:
            break
        low, high, moves = 0, count - 1, 0
        while low < high and moves < 6:
            i, j = order[low], order[high]
            if x[i] >= 1.0 - 1e-12:
                low += 1
                continue
            if x[j] <= 1e-12:
                high -= 1
                continue
            low, high = low + 1, high - 1
            change = mass[i] - mass[j]
            ratio = square / (held * held) + 1.0
            fall = 2.0 * (form[i] - form[j]) / held - ratio * change + (e[i] - e[j]) / most
            if fall >= -1e-12:
                continue
            bend, curve = form[i] - form[j], matrix[i, i] + matrix[j, j] - 2.0 * matrix[i, j]
            flat = (e[i] - e[j]) / most - change
            size = best_step(curve, bend, square, held, change, flat)
            size = max(min(size, 1.0 - x[i], x[j]), 0.0)
            x[i] += size
            x[j] -= size
            held += size * change
            square += 2.0 * size * bend + size * size * curve
            for a in range(n):
                form[a] += size * (matrix[a, i] - matrix[a, j])
            moves += 1
        if moves == 0:
            break
    return bound


@kernel
def fix_keys(bound: float, slope: Floats, order: Longs, count: int, left: int, state: Longs) -> int:
    """Take in, or leave out, open keys that no better selection has otherwise; return how many."""
    last_in, first_out, fixed = slope[order[left - 1]], slope[order[left]], 0
    for t in range(count):
        i = order[t]
        if t < left and bound + first_out - slope[i] >= -ROUNDING:
            state[i] = IN
            fixed += 1
        elif t >= left and bound + slope[i] - last_in >= -ROUNDING:
            state[i] = OUT
            fixed += 1
    return fixed
