"""Bounds on the objective of one row over its selections, from both sides, none solved exactly.

A row of n bits has fields and a symmetric matrix of couplers, ``local``, with a zero diagonal; F(m)
is its least objective over selections of m keys. A good selection bounds F(m) from above. From
below, sorting does, and a convex relaxation: on bits ``z^2 = z``, so ``shift . (x^2 - x)`` may be
added to the form, which is convex for a large enough shift. At any point the tangent of a convex
form lies below it. So it gives a *minorant* ``constant + slopes. z`` of the objective at every
selection, whatever its count. One tangent bounds all F(m), and F(m) with any keys forced.
"""

from __future__ import annotations

import math

import numpy as np

from qubo_attn.common.arrays import Array, Floats
from qubo_attn.kernels._jit import kernel

# How fast slack falls, a sweep.
_FALL = 0.3
# What a diagonal has to spare over the largest row before it is lightened; how far all shifts of a
# row are lightened as one, and how far each: slack of an entry, as shares of the largest row.
_ROOM, _EVEN, _LAST = 0.05, 0.1, 3e-4


@kernel
def to_unit(local: Floats, fields: Floats) -> float:
    """Divide a row far from unit size by a power of four next to its largest coefficient.

    So thresholds mean something at any scale, and squares neither overflow nor vanish. As roots of
    the power are exact too, nothing is rounded otherwise. Rows of usual size stay as they are.

    Returns:
        The power; 1 where nothing was divided.
    """
    n, largest = len(fields), 0.0
    for s in range(n):
        largest = max(largest, abs(fields[s]))
        for u in range(n):
            largest = max(largest, abs(local[s, u]))
    if largest == 0.0 or 1e-12 < largest < 1e12 or not largest < np.inf:
        return 1.0
    unit = math.ldexp(1.0, 2 * ((math.frexp(largest)[1] - 1) // 2))
    for s in range(n):
        fields[s] /= unit
        for u in range(n):
            local[s, u] /= unit
    return unit


@kernel
def good_selection(local: Floats, fields: Floats, k: int, chosen: Array) -> float:
    """Return the objective of a good selection of k keys: greedy, then best exchanges."""
    n = len(fields)
    cost = np.empty(n)
    for s in range(n):
        cost[s] = fields[s]
        chosen[s] = 0
    total = 0.0
    for _ in range(k):
        best = -1
        for s in range(n):
            if chosen[s] == 0 and (best < 0 or cost[s] < cost[best]):
                best = s
        chosen[best] = 1
        total += cost[best]
        for s in range(n):
            cost[s] += local[best, s]
    for _ in range(4 * n):
        gain, out, into = -1e-15, -1, -1
        for u in range(n):
            if chosen[u] == 1:
                for v in range(n):
                    if chosen[v] == 0:
                        change = cost[v] - cost[u] - local[u, v]
                        if change < gain:
                            gain, out, into = change, u, v
        if out < 0:
            break
        chosen[out], chosen[into] = 0, 1
        total += gain
        for s in range(n):
            cost[s] += local[into, s] - local[out, s]
    return total


@kernel
def sort_in_place(values: Floats) -> None:
    """Sort a short array by insertion, which at these lengths beats the library's sort."""
    for a in range(1, len(values)):
        value = values[a]
        b = a
        while b > 0 and values[b - 1] > value:
            values[b] = values[b - 1]
            b -= 1
        values[b] = value


@kernel
def sorted_bounds(local: Floats, fields: Floats) -> Floats:
    """Return lower bounds on F(m): each chosen key meets the m - 1 couplers least for it."""
    n = len(fields)
    # The couplers of every key in order, least first: a column each, so that one step serves all.
    ranked, passed = np.empty((n, n)), np.empty(n)
    for s in range(n):
        for a in range(n):
            ranked[s, a] = np.inf
            passed[a] = local[s, a]
        passed[s] = np.inf
        # Those there rise where the newcomer is less; it sinks to its place.
        for t in range(s + 1):
            for a in range(n):
                low, high = min(passed[a], ranked[t, a]), max(passed[a], ranked[t, a])
                ranked[t, a], passed[a] = low, high
    bounds, shares, order = np.zeros(n + 1), passed, np.empty(n, np.int64)
    for a in range(n):
        shares[a], order[a] = fields[a], a
    for m in range(1, n + 1):
        if m > 1:
            for a in range(n):
                shares[a] += 0.5 * ranked[m - 2, a]
        # By insertion; the order of one count is nearly that of the next.
        for a in range(1, n):
            key, b = order[a], a
            while b > 0 and shares[order[b - 1]] > shares[key]:
                order[b] = order[b - 1]
                b -= 1
            order[b] = key
        for t in range(m):
            bounds[m] += shares[order[t]]
    return bounds


@kernel
def _lightest(shift: Floats, inverse: Floats, importance: Floats, t: float, last: float) -> None:
    """Lighten a shift in place: minimise ``importance . shift - t log det`` for t falling to last.

    One entry after another: the slack of entry s is one over the inverse's diagonal, and its best
    value is ``t / importance[s]``. ``inverse`` is kept up to date.
    """
    n = len(shift)
    column = np.empty(n)
    while t > last:
        t *= _FALL
        for s in range(n):
            change = t / importance[s] - 1.0 / inverse[s, s]
            shift[s] += change
            factor = change / (1.0 + change * inverse[s, s])
            for a in range(n):
                column[a] = inverse[s, a]
            for a in range(n):
                share = factor * column[a]
                for b in range(n):
                    inverse[a, b] -= share * column[b]


@kernel
def plain_shift(local: Floats, inverse: Floats) -> Floats:
    """Return a shift that makes ``local / 2`` plus it convex, with room to spare.

    It starts where the diagonal outweighs the rows, and is lightened evenly a little. ``inverse``
    is filled with the inverse of the shifted matrix.
    """
    n, size = len(local), 0.0
    shift, even = np.empty(n), np.empty(n)
    for a in range(n):
        shift[a], even[a] = 0.0, 1.0
        for b in range(n):
            inverse[a, b] = 0.5 * local[a, b]
            shift[a] += abs(inverse[a, b])
        size = max(size, shift[a])
    for a in range(n):
        shift[a] += _ROOM * size
        inverse[a, a] = shift[a]
    # Elimination in place; with such a diagonal no pivot is looked for.
    for p in range(n):
        pivot = 1.0 / inverse[p, p]
        inverse[p, p] = 1.0
        for b in range(n):
            inverse[p, b] *= pivot
        for a in range(n):
            factor = inverse[a, p] if a != p else 0.0
            inverse[a, p] = 0.0 if a != p else inverse[a, p]
            for b in range(n):
                inverse[a, b] -= factor * inverse[p, b]
    _lightest(shift, inverse, even, size, _EVEN * size)
    return shift


@kernel
def convex_shift(local: Floats, start: Floats, inverse: Floats, importance: Floats) -> Floats:
    """Return a diagonal that makes ``local / 2`` positive semidefinite at little total weight.

    Args:
        local: the row's couplers.
        start, inverse: what `plain_shift` returned and filled; not changed.
        importance: how much each entry of the shift costs, above 0.
    """
    n, size = len(start), 0.0
    shift, work = np.empty(n), np.empty((n, n))
    for a in range(n):
        shift[a], total = start[a], 0.0
        for b in range(n):
            work[a, b] = inverse[a, b]
            total += abs(0.5 * local[a, b])
        size = max(size, total)
    _lightest(shift, work, importance, _FALL * _FALL * size, _LAST * size)
    # Rounding may leave a trace of negative curvature; a Cholesky factor of what is a little less
    # proves it gone.
    more, convex = 1e-12 * size, False
    while not convex and more < size:
        convex = True
        for a in range(n):
            shift[a] += more
            for b in range(a + 1):
                total = 0.5 * local[a, b] if a != b else shift[a] - 0.1 * more
                for c in range(b):
                    total -= work[a, c] * work[b, c]
                if a != b:
                    work[a, b] = total / work[b, b]
                else:
                    convex = convex and total > 0.0
                    work[a, a] = math.sqrt(max(total, 1e-300))
        more *= 2.0
    return shift


@kernel
def _multiplier(point: Floats, pace: Floats, m: int, start: float) -> float:
    """Return the number c for which ``point - c pace``, held within 0 and 1, adds up to m.

    Newton's method from ``start``, kept within a bracket.
    """
    n = len(point)
    low, high, at = -np.inf, np.inf, start
    for _ in range(40):
        total, slope = 0.0, 0.0
        for s in range(n):
            value = point[s] - at * pace[s]
            total += min(max(value, 0.0), 1.0)
            slope += pace[s] if 0.0 < value < 1.0 else 0.0
        # Any point gives a bound; this is close enough for a good one.
        if abs(total - m) < 1e-9 * n:
            break
        if total > m:
            low = at
        else:
            high = at
        at = at + (total - m) / slope if slope > 0.0 else np.inf
        if not low < at < high:
            if low == -np.inf or high == np.inf:
                first, last = np.inf, -np.inf
                for s in range(n):
                    first = min(first, (point[s] - 1.0) / pace[s])
                    last = max(last, point[s] / pace[s])
                low, high = max(low, first), min(high, last)
            at = 0.5 * (low + high)
    return at


@kernel
def relax(
    local: Floats,
    fields: Floats,
    shift: Floats,
    m: int,
    steps: int,
    x: Floats,
    slopes: Floats,
) -> float:
    """Return the constant of a minorant that is good at m keys, and fill its ``slopes``.

    Accelerated projected gradient over ``sum x = m, 0 <= x <= 1`` looks for the point of the best
    tangent, from ``x`` on, and leaves it there. Every key has a pace of its own: the sum of its row
    of the form's matrix, without signs, bounds the curvature that it meets.

    Args:
        local, fields, shift: the row, made convex by the shift.
        m: the count.
        steps: gradient steps.
        x: where to start; filled with the point found.
        slopes: filled.
    """
    n = len(fields)
    pace, y = np.empty(n), np.empty(n)
    for s in range(n):
        total = 2.0 * shift[s]
        for u in range(n):
            total += abs(local[s, u])
        pace[s] = 1.0 / total
        y[s] = x[s]
    momentum, at = 1.0, 0.0
    for step in range(steps + 1):
        for s in range(n):
            slopes[s] = fields[s] - shift[s] + 2.0 * shift[s] * y[s]
        for u in range(0, n - 3, 4):
            y0, y1, y2, y3 = y[u], y[u + 1], y[u + 2], y[u + 3]
            for s in range(n):
                slopes[s] += (
                    local[u, s] * y0
                    + local[u + 1, s] * y1
                    + local[u + 2, s] * y2
                    + local[u + 3, s] * y3
                )
        for u in range(n - n % 4, n):
            for s in range(n):
                slopes[s] += local[u, s] * y[u]
        if step == steps:
            break
        for s in range(n):
            y[s] -= slopes[s] * pace[s]
        at = _multiplier(y, pace, m, at)
        later = 0.5 * (1.0 + math.sqrt(1.0 + 4.0 * momentum * momentum))
        # The last step ends at the point itself: no momentum.
        ratio = (momentum - 1.0) / later if step < steps - 1 else 0.0
        for s in range(n):
            new = min(max(y[s] - at * pace[s], 0.0), 1.0)
            y[s] = new + ratio * (new - x[s])
            x[s] = new
        momentum = later
    constant = 0.0
    for s in range(n):
        # The form's value is half of x.(gradient + linear part).
        constant += 0.5 * y[s] * (fields[s] - shift[s] - slopes[s])
    return constant
