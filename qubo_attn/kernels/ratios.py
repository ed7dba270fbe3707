"""The least ratio ``z'N z / z'D z`` of a row over its selections, by branch and bound.

N is the Gram matrix of n vectors ``p_i (v_i - o)`` and ``z'D z = (p.z)^2``. Whether a ratio below t
exists is asked of ``|Uz|^2 - t (p.z)^2``: of its sign alone, so it may be divided by ``y = p.z``.
Let ``N - diag(e)`` be positive semidefinite, e >= 0. On bits ``z'N z = z'(N - diag(e)) z + e.z``,
and in a part of the search where y is at most Y, ``e.z >= (e.z) y / Y``. So

    h(z) = z'(N - diag(e)) z / y + e.z / Y - t y

bounds the sought value, divided by y, from below. The first term is a quadratic over a linear form,
which is convex; h is convex and homogeneous, so at any point its gradient g gives ``h(z) >= g.z``
for every selection: the keys taken, and the smallest gradients of those that are open, bound a part
of the search. ``e_i = c N_ii`` with c the least eigenvalue of N scaled to a unit diagonal.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Bools, Floats, Ints, Longs
from qubo_attn.kernels._jit import kernel

# What a value must fall below zero to count, where those of a row are about 1.
_ROUNDING = 1e-9
_OUT, _IN, _OPEN = 0, 1, 2


class LeastRatios(NamedTuple):
    """What became of each row.

    Attributes:
        best: bool, the best selection met, entry after entry.
        ratio: its ratio.
        proven: whether no selection has a smaller one.
    """

    best: Bools
    ratio: Floats
    proven: Bools


@kernel
def _ratio(gram: Floats, mass: Floats, z: Bools) -> tuple[float, float]:
    """Return the ratio of a selection and its mass; an infinite one where it has none."""
    square, held = 0.0, 0.0
    for i in range(len(mass)):
        if z[i]:
            held += mass[i]
            for j in range(len(mass)):
                if z[j]:
                    square += gram[i, j]
    if held <= 0.0:
        return np.inf, held
    return max(square, 0.0) / (held * held), held


@kernel
def _even_part(gram: Floats) -> Floats:
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
def _sort_open(slope: Floats, state: Longs, order: Longs) -> int:
    """Fill in the open keys by rising slope; return how many there are."""
    count = 0
    for i in range(len(slope)):
        if state[i] == _OPEN:
            j = count
            while j > 0 and slope[order[j - 1]] > slope[i]:
                order[j] = order[j - 1]
                j -= 1
            order[j] = i
            count += 1
    return count


@kernel
def _set_point(state: Longs, open_: int, left: int, x: Floats) -> None:
    """Move open entries so that they add up to ``left``, and set the others."""
    total = 0.0
    for i in range(len(x)):
        if state[i] == _OPEN:
            total += x[i]
        else:
            x[i] = 1.0 if state[i] == _IN else 0.0
    short = left - total
    for i in range(len(x)):
        if state[i] == _OPEN and short > 0.0:
            x[i] += short * (1.0 - x[i]) / (open_ - total)
        elif state[i] == _OPEN and total > 0.0:
            x[i] *= left / total


@kernel
def _largest_mass(mass: Floats, falling: Longs, state: Longs, left: int) -> float:
    """Return the most mass that a selection of this part can have."""
    most, count = 0.0, 0
    for i in falling:
        if state[i] == _IN:
            most += mass[i]
        elif state[i] == _OPEN and count < left:
            most += mass[i]
            count += 1
    return most


@kernel
def _step(curve: float, bend: float, square: float, held: float, mass: float, flat: float) -> float:
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
def _bound(
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
        count, bound = _sort_open(slope, state, order), 0.0
        for i in range(n):
            bound += slope[i] if state[i] == _IN else 0.0
        for t in range(left):
            bound += slope[order[t]]
        gap = here - bound
        if bound >= -_ROUNDING or gap < 1e-9 or gap < -0.1 * here or sweep == 9:
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
            size = _step(curve, bend, square, held, change, flat)
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
def _fix(bound: float, slope: Floats, order: Longs, count: int, left: int, state: Longs) -> int:
    """Take in, or leave out, open keys that no better selection has otherwise; return how many."""
    last_in, first_out, fixed = slope[order[left - 1]], slope[order[left]], 0
    for t in range(count):
        i = order[t]
        if t < left and bound + first_out - slope[i] >= -_ROUNDING:
            state[i] = _IN
            fixed += 1
        elif t >= left and bound + slope[i] - last_in >= -_ROUNDING:
            state[i] = _OUT
            fixed += 1
    return fixed


@kernel
def _search(
    gram: Floats, mass: Floats, taken: Bools, k: int, room: int, met: Bools
) -> tuple[int, int]:
    """Look for a selection of k keys with ``z'N z < (p.z)^2``.

    Args:
        gram, mass: the row, scaled so that it asks for a ratio below 1.
        taken: keys that every selection holds.
        k: keys of a selection.
        room: most parts of the search.
        met: filled with the selection found.

    Returns:
        1 where one was found, 0 where there is none, -1 where the room ended; and the room left.
    """
    n = len(mass)
    e = _even_part(gram)
    matrix = gram.copy()
    for i in range(n):
        matrix[i, i] -= e[i]
    falling = np.argsort(-mass, kind="mergesort")
    state, x = np.full((n + 2, n), _OPEN), np.full((n + 2, n), k / n)
    for i in range(n):
        state[0, i] = _IN if taken[i] else _OPEN
    pick, turn = np.zeros(n + 2, np.int64), np.zeros(n + 2, np.int64)
    slope, order = np.empty(n), np.empty(n, np.int64)
    depth, fresh = 0, True
    while depth >= 0:
        now, point = state[depth], x[depth]
        if fresh:
            room -= 1
            if room < 0:
                return -1, 0
            closed = False
            while True:
                open_, left = 0, k
                for i in range(n):
                    open_ += now[i] == _OPEN
                    left -= now[i] == _IN
                if left < 0 or left > open_:
                    closed = True
                    break
                if left == 0 or left == open_:
                    for i in range(n):
                        met[i] = now[i] == _IN or (now[i] == _OPEN and left > 0)
                    if _ratio(gram, mass, met)[0] < 1.0 - _ROUNDING:
                        return 1, room
                    closed = True
                    break
                most = _largest_mass(mass, falling, now, left)
                if most <= 0.0:
                    closed = True
                    break
                _set_point(now, open_, left, point)
                bound = _bound(matrix, e, mass, most, now, left, point, slope, order)
                if bound >= -_ROUNDING:
                    closed = True
                    break
                if _fix(bound, slope, order, open_, left, now) == 0:
                    break
            if closed:
                depth, fresh = depth - 1, False
                continue
            best = -1.0
            for i in range(n):
                if now[i] == _OPEN:
                    worth = (min(point[i], 1.0 - point[i]) + 1e-3) * np.sqrt(gram[i, i])
                    if worth > best:
                        best, pick[depth] = worth, i
            turn[depth] = 0
        if turn[depth] == 2:
            depth, fresh = depth - 1, False
            continue
        first = _IN if point[pick[depth]] > 0.5 else _OUT
        for i in range(n):
            state[depth + 1, i], x[depth + 1, i] = now[i], point[i]
        state[depth + 1, pick[depth]] = first if turn[depth] == 0 else 1 - first
        turn[depth] += 1
        depth, fresh = depth + 1, True
    return 0, room


@kernel
def least_ratios(
    ptr: Longs,
    mass: Floats,
    key: Ints,
    head: Ints,
    values: Floats,
    centre: Floats,
    start: Bools,
    taken: Bools,
    keep: Longs,
    least: Longs,
    room: int,
) -> LeastRatios:
    """Return the selections of least ratio.

    Args:
        ptr, mass, key, head: the rows of keys that selections may hold; values: shape (H, K, d).
        centre: o of each row, shape (rows, d).
        start: the selection that each row starts from.
        taken: keys that every selection of the row holds.
        keep, least: most and fewest keys of a selection, at least 1.
        room: parts of the search for each row; a row that needs more is not proven.
    """
    rows, d = len(ptr) - 1, values.shape[2]
    best, ratio = start.copy(), np.empty(rows)
    proven = np.zeros(rows, np.bool_)
    for r in range(rows):
        first, n = ptr[r], ptr[r + 1] - ptr[r]
        u, p = np.empty((n, d)), mass[first : first + n].copy()
        for a in range(n):
            vector = values[head[r], key[first + a]]
            for f in range(d):
                u[a, f] = p[a] * (vector[f] - centre[r, f])
        gram = u @ u.T
        # Below what rounding makes of the longest difference, an error is none.
        none = 0.0
        for a in range(n):
            if p[a] > 0.0:
                none = max(none, 1e-14 * gram[a, a] / (p[a] * p[a]))
        z, met = best[first : first + n], np.zeros(n, np.bool_)
        fixed = taken[first : first + n]
        ratio[r], held = _ratio(gram, p, z)
        left, count = room, least[r]
        # A smaller ratio starts all counts anew: each is to be proven at the last one.
        while count <= keep[r] and none < ratio[r] < np.inf and left > 0:
            scaled = gram / (ratio[r] * held * held)
            answer, left = _search(scaled, p / held, fixed, count, left, met)
            if answer == 1:
                z[:] = met
                ratio[r], held = _ratio(gram, p, z)
                count = least[r]
            elif answer == 0:
                count += 1
            else:
                break
        proven[r] = count > keep[r] or ratio[r] <= none
    return LeastRatios(best, ratio, proven)
