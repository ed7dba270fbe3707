"""Certified penalty weights of rows that keep exactly k of their keys.

With F(m) the least objective of a row over selections of m keys, the penalty
``A (S - k)^2 + mu (S - k)`` keeps the optimum by margin D exactly when ::

    A (m - k)^2 + mu (m - k) >= F(k) - F(m) + D      for every m != k.

Any feasible point bounds F(k) from above; F(m) is bounded from below by sorting and by a convex
relaxation. Both are polynomial; nothing is solved exactly.
"""

from __future__ import annotations

import numpy as np

from qubo_attn.arrays import Array, Floats, Ints, Longs
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.rows import load_row

SORTED, RELAXED = 1, 2


@kernel
def smallest_weight(k: int, need: Floats) -> tuple[float, float, int, int]:
    """Return the least A over mu with ``A d^2 + mu d >= need[k + d]`` for all d != 0.

    For a surplus d and a deficit e the two conditions on mu leave room exactly when
    ``A (d + e) >= need[k + d] / d + need[k - e] / e``: the answer is a maximum over pairs.

    Returns:
        A, mu, and the pair (m above k, m below k) that binds; -1 where there is none.
    """
    n = len(need) - 1
    weight, above, below = 0.0, -1, -1
    for d in range(1, n - k + 1):
        for e in range(1, k + 1):
            least = (need[k + d] / d + need[k - e] / e) / (d + e)
            if least > weight or above < 0:
                above, below = k + d, k - e
                weight = max(least, 0.0)
    low, high = -np.inf, np.inf
    for d in range(1, n - k + 1):
        value = need[k + d] / d - weight * d
        if value > low:
            low = value
            if k == 0:
                above = k + d
    for e in range(1, k + 1):
        value = weight * e - need[k - e] / e
        if value < high:
            high = value
            if k == n:
                below = k - e
    if np.isinf(low) and np.isinf(high):
        slope = 0.0
    elif np.isinf(low):
        slope = high
    elif np.isinf(high):
        slope = low
    else:
        slope = (low + high) / 2.0
    return weight, slope, above, below


@kernel
def _feasible(local: Floats, fields: Floats, k: int, chosen: Array) -> float:
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
def _sorted_bounds(local: Floats, fields: Floats) -> Floats:
    """Return lower bounds on F(m): each chosen key meets the m - 1 couplers least for it."""
    n = len(fields)
    ordered = np.empty((n, max(n - 1, 1)))
    for s in range(n):
        t = 0
        for u in range(n):
            if u != s:
                ordered[s, t] = local[s, u]
                t += 1
        ordered[s, :t].sort()
    bounds = np.zeros(n + 1)
    shares = fields.copy()
    for m in range(1, n + 1):
        if m > 1:
            for s in range(n):
                shares[s] += 0.5 * ordered[s, m - 2]
        part = np.sort(shares)
        bounds[m] = part[:m].sum()
    return bounds


@kernel
def _project(point: Floats, m: int, out: Floats) -> None:
    """Project onto ``0 <= x <= 1, sum x = m`` by bisection on the shift."""
    low, high = point.min() - 1.0, point.max()
    for _ in range(45):
        shift = 0.5 * (low + high)
        total = 0.0
        for s in range(len(point)):
            total += min(max(point[s] - shift, 0.0), 1.0)
        if total > m:
            low = shift
        else:
            high = shift
    for s in range(len(point)):
        out[s] = min(max(point[s] - high, 0.0), 1.0)


@kernel
def _convex_shift(local: Floats, importance: Floats) -> Floats:
    """Return a diagonal that makes ``local / 2`` positive semidefinite at little total weight.

    Minimises ``importance . shift - t log det`` for falling t, one entry after another: the slack
    of entry s is one over the inverse's diagonal, and its best value is ``t / importance[s]``.
    """
    n = len(importance)
    values = np.linalg.eigvalsh(local)
    size = max(values[-1], -values[0])
    shift = np.full(n, max(-0.5 * values[0], 0.0) + 0.25 * size)
    matrix = 0.5 * local
    for s in range(n):
        matrix[s, s] = shift[s]
    inverse = np.linalg.inv(matrix)
    t = 0.25 * size
    for _ in range(7):
        t *= 0.3
        for s in range(n):
            change = t / importance[s] - 1.0 / inverse[s, s]
            shift[s] += change
            factor = change / (1.0 + change * inverse[s, s])
            column = inverse[:, s].copy()
            for a in range(n):
                for b in range(n):
                    inverse[a, b] -= factor * column[a] * column[b]
    # Rounding may leave a trace of negative curvature; the eigenvalue proves the rest.
    for s in range(n):
        matrix[s, s] = shift[s]
    least = np.linalg.eigvalsh(matrix)[0]
    shift += max(-least, 0.0) * (1.0 + 1e-9) + 1e-13 * size
    return shift


@kernel
def _relaxed_bound(
    local: Floats, fields: Floats, shift: Floats, m: int, steps: int, x: Floats
) -> float:
    """Return a lower bound on F(m) from the convex relaxation over ``sum x = m, 0 <= x <= 1``.

    On bits ``z^2 = z``, so ``shift . (x^2 - x)`` may be added: with it the form is convex. At any
    point x the linear minorant over the polytope is a bound; accelerated projected gradient finds
    a good x, which is left in ``x``.
    """
    n = len(fields)
    steep = 0.0
    for s in range(n):
        total = 2.0 * shift[s]
        for u in range(n):
            total += abs(local[s, u])
        steep = max(steep, total)
    x[:] = m / n
    y, new = x.copy(), x.copy()
    gradient = np.empty(n)
    momentum = 1.0
    best = -np.inf
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
            part = np.sort(gradient)
            bound = value + part[:m].sum()
            if bound > best:
                best = bound
        _project(y - gradient / steep, m, new)
        later = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum * momentum))
        ratio = (momentum - 1.0) / later
        for s in range(n):
            y[s] = new[s] + ratio * (new[s] - x[s])
            x[s] = new[s]
        momentum = later
    return best


@kernel
def certify_rows(
    ptr: Longs,
    var: Ints,
    count: Longs,
    linear: Floats,
    first: Longs,
    neighbour: Ints,
    value: Floats,
    margin: Floats,
    steps: int,
) -> tuple[Floats, Floats, Floats, Floats, Array, Array]:
    """Return certified weights of rows that have no coupler to other rows.

    Bounds start from sorting; only those that bind the weight are tightened by the relaxation,
    until the binding pair is as tight as it gets.

    Args:
        ptr, var, count: the rows and how many keys each keeps.
        linear, first, neighbour, value: the objective, as fields and adjacency.
        margin: D of each row, in energy units.
        steps: gradient steps of a relaxation.

    Returns:
        Weight and slope per row; the upper bound on F(k) per row; the lower bounds on F(m) of row r
        at ``ptr[r] + r``, for m = 0 .. n; the method of each bound (`SORTED` or `RELAXED`); the
        selection behind the upper bound, per entry of ``var``.
    """
    rows = len(count)
    slot = np.full(len(linear), -1, np.int64)
    weight, slope, upper = np.zeros(rows), np.zeros(rows), np.zeros(rows)
    lower = np.zeros(ptr[rows] + rows)
    method = np.full(ptr[rows] + rows, SORTED, np.int8)
    witness = np.zeros(ptr[rows], np.uint8)
    for r in range(rows):
        members = var[ptr[r] : ptr[r + 1]]
        n, k = len(members), count[r]
        for s in range(n):
            slot[members[s]] = s
        local = np.empty((n, n))
        load_row(members, slot, first, neighbour, value, local)
        fields = linear[members].copy()
        upper[r] = _feasible(local, fields, k, witness[ptr[r] : ptr[r + 1]])
        start = ptr[r] + r
        lower[start : start + n + 1] = _sorted_bounds(local, fields)
        size = np.abs(local).max()
        coupled = size > max(1e-14 * np.abs(fields).max(), 1e-140)
        shift = _convex_shift(local, np.ones(n)) if coupled else np.zeros(n)
        x = np.empty(n)
        rounding = 1e-12 * (np.abs(fields).sum() + np.abs(local).sum())
        need = np.empty(n + 1)
        while True:
            for m in range(n + 1):
                need[m] = upper[r] - lower[start + m] + margin[r] + rounding
            weight[r], slope[r], above, below = smallest_weight(k, need)
            tightened = False
            for m in (above, below):
                # Without couplers sorting is exact, as it is for no key and for all.
                if coupled and 0 < m < n and method[start + m] == SORTED:
                    bound = _relaxed_bound(local, fields, shift, m, steps, x)
                    other = _convex_shift(local, x * (1.0 - x) + 0.02)
                    bound = max(bound, _relaxed_bound(local, fields, other, m, steps, x))
                    method[start + m] = RELAXED
                    if bound > lower[start + m]:
                        lower[start + m] = bound
                    tightened = True
            if not tightened:
                break
        for s in range(n):
            slot[members[s]] = -1
    return weight, slope, upper, lower, method, witness
