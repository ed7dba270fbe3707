"""Kernel that bounds the objective of rows of options from below, by linear functions.

A row's form is a square matrix over its variables. On whole options a variable's own square may be
moved between the matrix and the options, as an option sets its variables to known values: so the
matrix can be made convex at no loss. The tangent of a convex form lies nowhere above it; what each
option adds to the tangent is the option's *slope*. The point of the tangent is looked for by steps
towards the best selection of the slopes so far (Frank and Wolfe 1956), with an exact line search.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Array, Floats, Longs
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.relaxation import convex_shift, plain_shift
from qubo_attn.kernels.rows import Adjacency
from qubo_attn.kernels.searching import Minorants, OptionRows, order_items, reach

# What rounding may take off a bound, as a share of all of a row's coefficients.
_ROUNDING = 1e-12
# Rows beyond these sizes are not bounded: squares of theirs may be no numbers.
_LEAST, _MOST = 1e-100, 1e100


class _Options(NamedTuple):
    """The options of one row, side by side.

    Attributes:
        u, x: the place of a variable and its value; w, y: of another one, -1 and 0 for none.
        cost: what the option costs by itself.
        weight, end: see `search_rows`.
    """

    u: Longs
    x: Floats
    w: Longs
    y: Floats
    cost: Floats
    weight: Longs
    end: Longs


@kernel
def _load_options(
    rows: OptionRows, r: int, linear: Floats, square: Floats, slot: Longs, local: Floats
) -> _Options:
    """Return the options of a row.

    Args:
        rows, r: the row.
        linear, square: of all variables.
        slot: the place of each variable in the row.
        local: the row's couplers.
    """
    base, m = rows.ptr[r], rows.ptr[r + 1] - rows.ptr[r]
    u, w, x, y = np.empty(m, np.int64), np.empty(m, np.int64), np.empty(m), np.empty(m)
    cost, weight = np.empty(m), np.empty(m, np.int64)
    order, end = np.empty(m, np.int64), np.empty(m, np.int64)
    order_items(rows.item[base : base + m], cost, False, order, end)
    for p in range(m):
        a, b = rows.first[base + p], rows.second[base + p]
        u[p], x[p], w[p], y[p] = slot[a], rows.level[base + p], -1, 0.0
        weight[p] = rows.weight[base + p]
        cost[p] = x[p] * (linear[a] + x[p] * square[a])
        if b >= 0:
            w[p], y[p] = slot[b], rows.above[base + p]
            cost[p] += y[p] * (linear[b] + y[p] * square[b] + x[p] * local[u[p], w[p]])
    return _Options(u, x, w, y, cost, weight, end)


@kernel
def _convex_squares(options: _Options, own: Floats, local: Floats, importance: Floats) -> Floats:
    """Return squares of the variables that make ``local / 2`` plus them convex.

    Levels have squares of their own. So has a bit in front of a level, though hidden: the one that
    makes their product half of a square. Those are the right ones where the form is a squared
    distance, and what they lack otherwise is added to all. Rows of bits alone take the lightest.

    Args:
        options: the row.
        own: the square of each variable.
        local: the row's couplers.
        importance: how much each square costs, for rows of bits.
    """
    n, has_squares, largest = len(own), False, 0.0
    for a in range(n):
        has_squares = has_squares or own[a] > 0.0
        for b in range(n):
            largest = max(largest, abs(local[a, b]))
    if not has_squares:
        if largest < _LEAST:  # no matrix to invert
            return np.full(n, n * largest)
        inverse = np.empty((n, n))
        return convex_shift(local, plain_shift(local, inverse), inverse, importance)
    squares, matrix, size = own.copy(), 0.5 * local, 0.0
    for p in range(len(options.u)):
        a, b = options.u[p], options.w[p]
        if b >= 0 and own[b] > 0.0:
            squares[a] = max(squares[a], 0.25 * local[a, b] ** 2 / own[b])
    for a in range(n):
        matrix[a, a] = squares[a]
        for b in range(n):
            size = max(size, abs(matrix[a, b]))
    lacking = max(-np.linalg.eigvalsh(matrix)[0], 0.0) * (1.0 + 1e-9) + 1e-12 * size
    for a in range(n):
        squares[a] += lacking
    return squares


@kernel
def _fill_slopes(
    options: _Options, squares: Floats, local: Floats, point: Floats, pull: Floats, slope: Floats
) -> float:
    """Fill in the slopes of the tangent at a point; return its constant.

    Args:
        options, squares, local: the convex form.
        point: of the variables.
        pull: room, the form's gradient.
        slope: filled.
    """
    n, constant = len(point), 0.0
    for a in range(n):
        total = 2.0 * squares[a] * point[a]
        for b in range(n):
            total += local[a, b] * point[b]
        pull[a] = total
        constant -= 0.5 * total * point[a]
    for p in range(len(slope)):
        a, b, x, y = options.u[p], options.w[p], options.x[p], options.y[p]
        slope[p] = options.cost[p] + x * (pull[a] - squares[a] * x)
        if b >= 0:
            slope[p] += y * (pull[b] - squares[b] * y - x * local[a, b])
    return constant


@kernel
def _take_least(options: _Options, total: int, least: Floats, taken: Array) -> None:
    """Fill in which options the selection of least slopes takes."""
    m, p, rest = len(options.end), 0, total
    for q in range(m):
        taken[q] = 0
    while p < m:
        if least[p, rest] == least[p + 1, rest]:
            p += 1
        else:
            taken[p] = 1
            rest -= options.weight[p]
            p = options.end[p]


@kernel
def _curve(squares: Floats, local: Floats, step: Floats) -> float:
    """Return the value of the form, without its linear part, at a step."""
    curve = 0.0
    for a in range(len(step)):
        total = squares[a] * step[a]
        for b in range(len(step)):
            total += 0.5 * local[a, b] * step[b]
        curve += step[a] * total
    return curve


@kernel
def bound_rows(
    rows: OptionRows, linear: Floats, square: Floats, couplers: Adjacency, steps: int
) -> Minorants:
    """Return a linear function nowhere above the objective of each row.

    Args:
        rows: the rows.
        linear, square, couplers: the objective over all variables.
        steps: of each of two searches; the second takes the squares that suit the first's point.
    """
    constants, slopes = np.full(len(rows.total), -np.inf), np.zeros(len(rows.item))
    slot = np.full(len(linear), -1, np.int64)
    first, neighbour, value = couplers
    for r in range(len(rows.total)):
        base, total, n = rows.ptr[r], rows.total[r], 0
        m = rows.ptr[r + 1] - base
        members = np.empty(2 * m, np.int64)
        for o in range(base, base + m):
            for v in (rows.first[o], rows.second[o]):
                if v >= 0 and slot[v] < 0:
                    slot[v], members[n] = n, v
                    n += 1
        local, own, size = np.zeros((n, n)), np.empty(n), 0.0
        for a in range(n):
            v = members[a]
            own[a] = square[v]
            size += abs(linear[v]) + abs(square[v])
            for e in range(first[v], first[v + 1]):
                local[a, slot[neighbour[e]]] = value[e]
                size += abs(value[e])
        if n > 0 and _LEAST < size < _MOST:
            options = _load_options(rows, r, linear, square, slot, local)
            least, slope, taken = np.empty((m + 1, total + 1)), np.empty(m), np.zeros(m, np.uint8)
            point, step, pull, share = np.zeros(n), np.empty(n), np.empty(n), np.zeros(m)
            importance, best = np.ones(n), -np.inf
            for turn in range(2):
                squares = _convex_squares(options, own, local, importance)
                for move in range(steps):
                    constant = _fill_slopes(options, squares, local, point, pull, slope)
                    reach(options.weight, slope, options.end, rows.equal[r], least)
                    if not least[0, total] < np.inf:
                        break
                    if constant + least[0, total] > best:
                        best = constant + least[0, total]
                        constants[r] = constant - _ROUNDING * size
                        for p in range(m):
                            slopes[base + p] = slope[p]
                    _take_least(options, total, least, taken)
                    down = 0.0
                    for a in range(n):
                        step[a] = -point[a]
                    for p in range(m):
                        down += slope[p] * (share[p] - taken[p])
                        if taken[p]:
                            step[options.u[p]] += options.x[p]
                            if options.w[p] >= 0:
                                step[options.w[p]] += options.y[p]
                    curve = _curve(squares, local, step)
                    length = 1.0
                    # The first step goes to a selection: nothing is none, as a rule.
                    if (turn > 0 or move > 0) and curve > 0.0:
                        length = min(1.0, 0.5 * down / curve)
                    if not length > 0.0:
                        break
                    for p in range(m):
                        share[p] += length * (taken[p] - share[p])
                    for a in range(n):
                        point[a] += length * step[a]
                for a in range(n):
                    importance[a] = max(point[a] * (1.0 - point[a]), 0.0) + 0.02
        for a in range(n):
            slot[members[a]] = -1
    return Minorants(constants, slopes)
