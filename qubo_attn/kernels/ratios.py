"""The least ratio ``z'N z / z'D z`` of a row over its selections, by branch and bound.

`qubo_attn.kernels.ratio_bounds` says how parts of the search are bounded.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Bools, Floats, Ints, Longs
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.ratio_bounds import (
    IN,
    OPEN,
    OUT,
    ROUNDING,
    even_part,
    fix_keys,
    largest_mass,
    lower_bound,
    set_point,
)


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
    e = even_part(gram)
    matrix = gram.copy()
    for i in range(n):
        matrix[i, i] -= e[i]
    falling = np.argsort(-mass, kind="mergesort")
    state, x = np.full((n + 2, n), OPEN), np.full((n + 2, n), k / n)
    for i in range(n):
        state[0, i] = IN if taken[i] else OPEN
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
                    open_ += now[i] == OPEN
                    left -= now[i] == IN
                if left < 0 or left > open_:
                    closed = True
                    break
                if left == 0 or left == open_:
                    for i in range(n):
                        met[i] = now[i] == IN or (now[i] == OPEN and left > 0)
                    if _ratio(gram, mass, met)[0] < 1.0 - ROUNDING:
                        return 1, room
                    closed = True
                    break
                most = largest_mass(mass, falling, now, left)
                if most <= 0.0:
                    closed = True
                    break
                set_point(now, open_, left, point)
                bound = lower_bound(matrix, e, mass, most, now, left, point, slope, order)
                if bound >= -ROUNDING:
                    closed = True
                    break
                if fix_keys(bound, slope, order, open_, left, now) == 0:
                    break
            if closed:
                depth, fresh = depth - 1, False
                continue
            best = -1.0
            for i in range(n):
                if now[i] == OPEN:
                    worth = (min(point[i], 1.0 - point[i]) + 1e-3) * np.sqrt(gram[i, i])
                    if worth > best:
                        best, pick[depth] = worth, i
            turn[depth] = 0
        if turn[depth] == 2:
            depth, fresh = depth - 1, False
            continue
        first = IN if point[pick[depth]] > 0.5 else OUT
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
