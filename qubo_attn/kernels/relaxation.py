"""Bounds on the objective of one row over its selections, from both sides, none solved exactly.

A row of n bits has fields and a symmetric matrix of couplers, ``local``, with a zero diagonal; F(m)
is its least objective over selections of m keys. A good selection bounds F(m) from above. From
below, sorting does, and a convex relaxation: on bits ``z^2 = z``, so ``shift . (x^2 - x)`` may be
added to the form, which is convex for a large enough shift. At any point the tangent of a convex
form lies below it, so it gives a *minorant* ``constant + slopes . z`` of the objective at every
selection, whatever its count: one tangent bounds all F(m), and F(m) with any keys forced.
"""

from __future__ import annotations

import math

import numpy as np

from qubo_attn.common.arrays import Array, Floats
from qubo_attn.kernels._jit import kernel


@kernel
def to_unit(local: Floats, fields: Floats) -> float:
    """Divide a row far from unit size by a power of four next to its largest coefficient.

    So thresholds mean something at any scale, and squares neither overflow nor vanish. As roots of
    the power are exact too, nothing is rounded otherwise. Rows of usual size stay as they are.

    Returns:
        The power; 1 where nothing was divided.
    """
    largest = max(np.abs(local).max(), np.abs(fields).max())
    if largest == 0.0 or 1e-12 < largest < 1e12 or not largest < np.inf:
        return 1.0
    unit = math.ldexp(1.0, 2 * ((math.frexp(largest)[1] - 1) // 2))
    local /= unit
    fields /= unit
    return unit


@kernel
def good_selection(local: Floats, fields: Floats, k: int, chosen: Array) -> float:
    """Return the objective of a good selection of k keys: greedy, then best exchanges."""
    n = len(fields)
    cost = fields.copy()
    chosen[:] = 0
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
    ordered = np.empty((n, max(n - 1, 1)))
    for s in range(n):
        t = 0
        for u in range(n):
            if u != s:
                ordered[s, t] = local[s, u]
                t += 1
        sort_in_place(ordered[s, :t])
    bounds = np.zeros(n + 1)
    shares, part = fields.copy(), np.empty(n)
    for m in range(1, n + 1):
        if m > 1:
            for s in range(n):
                shares[s] += 0.5 * ordered[s, m - 2]
        part[:] = shares
        sort_in_place(part)
        bounds[m] = part[:m].sum()
    return bounds


@kernel
def _project(point: Floats, m: int, out: Floats) -> None:
    """Project onto ``0 <= x <= 1, sum x = m``: Newton on the shift, kept within a bracket."""
    n = len(point)
    low, high = point[0] - 1.0, point[0]
    mean = 0.0
    for s in range(n):
        low, high = min(low, point[s] - 1.0), max(high, point[s])
        mean += point[s]
    shift = min(max((mean - m) / n, low), high)
    for _ in range(40):
        total, inner = 0.0, 0
        for s in range(n):
            value = point[s] - shift
            if value >= 1.0:
                total += 1.0
            elif value > 0.0:
                total += value
                inner += 1
        if abs(total - m) < 1e-12 * n:
            break
        if total > m:
            low = shift
        else:
            high = shift
        if inner > 0:
            shift += (total - m) / inner
        if inner == 0 or not low < shift < high:
            shift = 0.5 * (low + high)
    for s in range(n):
        out[s] = min(max(point[s] - shift, 0.0), 1.0)


@kernel
def plain_shift(local: Floats, inverse: Floats) -> Floats:
    """Return one shift for all keys that makes ``local / 2`` plus it convex, with room to spare.

    ``inverse`` is filled with the inverse of the shifted matrix.
    """
    n = len(local)
    values = np.linalg.eigvalsh(local)
    size = max(values[-1], -values[0])
    shift = np.full(n, max(-0.5 * values[0], 0.0) + 0.25 * size)
    matrix = 0.5 * local
    for s in range(n):
        matrix[s, s] = shift[s]
    inverse[:] = np.linalg.inv(matrix)
    return shift


@kernel
def _lightest(shift: Floats, inverse: Floats, importance: Floats, t: float, sweeps: int) -> None:
    """Lighten a shift in place: minimise ``importance . shift - t log det`` for falling t.

    One entry after another: the slack of entry s is one over the inverse's diagonal, and its best
    value is ``t / importance[s]``. ``inverse`` is kept up to date.
    """
    n = len(shift)
    column = np.empty(n)
    for _ in range(sweeps):
        t *= 0.3
        for s in range(n):
            change = t / importance[s] - 1.0 / inverse[s, s]
            shift[s] += change
            factor = change / (1.0 + change * inverse[s, s])
            column[:] = inverse[s]
            for a in range(n):
                share = factor * column[a]
                for b in range(n):
                    inverse[a, b] -= share * column[b]


@kernel
def _is_convex(local: Floats, shift: Floats, slack: float) -> bool:
    """Return whether ``local / 2`` plus the shift less ``slack`` has a Cholesky factor."""
    n = len(shift)
    factor = np.empty((n, n))
    for a in range(n):
        for b in range(a + 1):
            total = 0.5 * local[a, b] if a != b else shift[a] - slack
            for c in range(b):
                total -= factor[a, c] * factor[b, c]
            if a != b:
                factor[a, b] = total / factor[b, b]
            elif total <= 0.0:
                return False
            else:
                factor[a, a] = np.sqrt(total)
    return True


@kernel
def convex_shift(local: Floats, start: Floats, inverse: Floats, importance: Floats) -> Floats:
    """Return a diagonal that makes ``local / 2`` positive semidefinite at little total weight.

    Args:
        local: the row's couplers.
        start, inverse: what `plain_shift` returned and filled; not changed.
        importance: how much each entry of the shift costs, above 0.
    """
    shift, work = start.copy(), inverse.copy()
    size = 0.0
    for s in range(len(shift)):
        size = max(size, start[s])
    _lightest(shift, work, importance, size, 7)
    # Rounding may leave a trace of negative curvature; a factor, or the eigenvalue, proves it gone.
    shift += 1e-12 * size
    if not _is_convex(local, shift, 1e-13 * size):
        matrix = 0.5 * local
        for s in range(len(shift)):
            matrix[s, s] = shift[s]
        shift += max(-np.linalg.eigvalsh(matrix)[0], 0.0) * (1.0 + 1e-9) + 1e-12 * size
    return shift


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
    tangent, from ``x`` on, and leaves it there.

    Args:
        local, fields, shift: the row, made convex by the shift.
        m: the count.
        steps: gradient steps.
        x: where to start; filled with the point found.
        slopes: filled.
    """
    n = len(fields)
    steep = 0.0
    for s in range(n):
        total = 2.0 * shift[s]
        for u in range(n):
            total += abs(local[s, u])
        steep = max(steep, total)
    y, new, part = x.copy(), x.copy(), np.empty(n)
    gradient = np.empty(n)
    momentum, best, constant = 1.0, -np.inf, 0.0
    for step in range(steps + 1):
        at = y if step < steps else x
        for s in range(n):
            total = fields[s] - shift[s] + 2.0 * shift[s] * at[s]
            for u in range(n):
                total += local[s, u] * at[u]
            gradient[s] = total
        if step % 8 == 0 or step == steps:
            value = 0.0
            for s in range(n):
                # The form's value is half of x.(gradient + linear part).
                value += 0.5 * at[s] * (fields[s] - shift[s] - gradient[s])
            part[:] = gradient
            sort_in_place(part)
            bound = value + part[:m].sum()
            if bound > best:
                best, constant = bound, value
                slopes[:] = gradient
        if step == steps:
            break
        for s in range(n):
            part[s] = y[s] - gradient[s] / steep
        _project(part, m, new)
        later = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum * momentum))
        ratio = (momentum - 1.0) / later
        for s in range(n):
            y[s] = new[s] + ratio * (new[s] - x[s])
            x[s] = new[s]
        momentum = later
    return constant
