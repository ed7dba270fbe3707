"""Certified weights of exactly-k rows whose chosen keys have levels behind gates.

A convex form f that agrees with the row's on its whole points is, above its least value f*, a
squared length: ``f(y) - f* = |B (y - y*)|^2``, and B's column of variable i has the length s_i with
``s_i^2`` the coefficient of its square. Let U be the energy of a feasible point, ``T = U - f*``,
and F(m) the least energy with m keys and all shut gates obeyed.

*Gates.* Take a point with m keys and clear what shut gates should hold back. What was cleared had
a length of at most ``E = sum_i s_i x_i``; so with ``R^2`` the cleared point's energy above f*, the
energy was at least ``max(R - E, 0)^2`` above it. At the price ``A_i = 2 sqrt(T) s_i`` a unit, the
point pays ``2 sqrt(T) E`` for it, and together that is at least ``R^2`` where ``R^2 <= T``, and at
least ``2 sqrt(T) R - T >= T`` elsewhere, whatever E is.

*Count.* So with m keys, gates obeyed or not, a point costs at least ``G(m)``: ``F(m)`` where that
is at most U, and ``f* + 2 sqrt(T (F(m) - f*)) - T`` elsewhere. The weight A and slope mu of the row
are then those of any exactly-k row (`kernels.certify`) with G for F.

F(m) is bounded from below by a convex relaxation: at any point of
``sum z = m, 0 <= z <= 1, 0 <= x <= upper z`` the linear minorant over it is a bound.

*Range.* Where the form is hardly curved beside its fields, f* lies far below anything that a box
holds, and with it T and the prices are out of proportion. The sum of all terms below zero is a
bound on every point as well: with R what U lies above it, gates at R a unit settle whatever breaks
one, and G = F. That proof is taken where the other's numbers are far beyond R.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Array, Bools, Floats, Ints, Longs
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.certify import smallest_weight
from qubo_attn.kernels.gated import good_point
from qubo_attn.kernels.leveled_bound import held_by, relaxed_bound
from qubo_attn.kernels.relaxation import convex_shift, plain_shift, to_unit
from qubo_attn.kernels.rows import Adjacency, CountRows, load_row

# A form of less curvature beside its fields, or prices so many times its range, are none: it is
# priced by its range.
_FLAT, _DEEP = 1e-9, 1e3
# A relaxation may stop so near its best bound, as a share of T.
_NEAR = 1e-3
# What convex forms have to spare, as a share of the largest entry of their matrix.
_SPARE = 2e-12


class LeveledColumns(NamedTuple):
    """Columns of all variables of a program with levels.

    Attributes:
        counted: whether a row counts the variable.
        gate: the variable that lets it be above zero, -1 for none.
        linear: its field.
        upper: its largest value.
        square: the coefficient of its square.
    """

    counted: Bools
    gate: Longs
    linear: Floats
    upper: Ints
    square: Floats


class LeveledRows(NamedTuple):
    """Certified weights of rows with levels, and what is behind them.

    Attributes:
        weight, slope: A and mu of each row.
        best: U, the energy of a feasible point of each row.
        margin: D of each row.
        lower: the bounds G(m) for m = 0 .. counted variables, row after row.
        point: the point behind U, row after row.
        price: the price of a unit behind a gate, row after row.
    """

    weight: Floats
    slope: Floats
    best: Floats
    margin: Floats
    lower: Floats
    point: Array
    price: Floats


@kernel
def _factor(matrix: Floats, more: float, root: Floats) -> bool:
    """Fill in the Cholesky factor of ``matrix`` with ``more`` on its diagonal, where it has one."""
    n = len(matrix)
    for a in range(n):
        for b in range(a + 1):
            total = matrix[a, b]
            for c in range(b):
                total -= root[a, c] * root[b, c]
            if a != b:
                root[a, b] = total / root[b, b]
            elif total + more > 0.0:
                root[a, a] = np.sqrt(total + more)
            else:
                return False
    return True


@kernel
def _floor(convex: Floats, tilted: Floats) -> float:
    """Return the least value of a convex form; minus infinity where rounding hides that it is."""
    n = len(tilted)
    root, total = np.empty((n, n)), 0.0
    if not _factor(convex, 0.0, root):
        return -np.inf
    solved = np.empty(n)
    for a in range(n):
        value = tilted[a]
        for c in range(a):
            value -= root[a, c] * solved[c]
        solved[a] = value / root[a, a]
        total += solved[a] ** 2
    return -0.5 * total


@kernel
def _convex(matrix: Floats, fields: Floats, room: Ints, gate: Longs) -> tuple[Floats, Floats]:
    """Return a convex form that is nowhere above the given one on whole points of the box.

    ``s (x^2 - upper x)`` may be added to any variable, as it is zero on bits and below zero on
    levels. A key's square, its level's and their product must match; the square of a level that is
    a bit is hidden, but couplers to others tell how long it is beside the key. That is tried first,
    and it is exact where the form is a squared distance. A shift for all does the rest.
    """
    n = len(fields)
    shift = np.zeros(n)
    for a in range(n):
        key = gate[a]
        if key >= 0 and matrix[a, key] != 0.0:
            product, square = 0.5 * abs(matrix[a, key]), 0.5 * matrix[a, a]
            if square == 0.0:
                both, alone = 0.0, 0.0
                for b in range(n):
                    if b not in (a, key):
                        both += abs(matrix[a, b] * matrix[key, b])
                        alone += matrix[key, b] ** 2
                square = product * both / alone if min(both, alone) > 0.0 else product
                shift[a] = square
            if square > 0.0:
                shift[key] = max(shift[key], product**2 / square)
    convex, size = matrix.copy(), np.abs(matrix).max()
    for a in range(n):
        convex[a, a] += 2.0 * shift[a]
    # A factor shows that what is added below does not depend on the eigenvalue.
    least = 0.0
    if not _factor(convex, 0.4 * _SPARE * size, np.empty((n, n))):
        least = np.linalg.eigvalsh(convex)[0]
    if least < -1e-9 * size:
        off = matrix.copy()
        for a in range(n):
            off[a, a] = 0.0
        inverse = np.empty((n, n))
        needed = convex_shift(off, plain_shift(off, inverse), inverse, np.ones(n))
        for a in range(n):
            shift[a] = max(shift[a], needed[a] - 0.5 * matrix[a, a])
            convex[a, a] = matrix[a, a] + 2.0 * shift[a]
        least = np.linalg.eigvalsh(convex)[0]
    rest = max(-least, 0.5 * _SPARE * size)
    tilted = fields.copy()
    for a in range(n):
        convex[a, a] += 2.0 * rest
        tilted[a] -= (shift[a] + rest) * room[a]
    return convex, tilted


@kernel
def _least_terms(matrix: Floats, fields: Floats, room: Ints) -> float:
    """Return the sum of all terms below zero, each at its least: no point of the box is below."""
    total = 0.0
    for a in range(len(fields)):
        total += min(fields[a], 0.0) * room[a] + 0.5 * min(matrix[a, a], 0.0) * room[a] ** 2
        for b in range(a):
            total += min(matrix[a, b], 0.0) * room[a] * room[b]
    return total


@kernel
def certify_leveled(
    rows: CountRows,
    columns: LeveledColumns,
    couplers: Adjacency,
    bound_ptr: Longs,
    share: float,
    rounds: int,
) -> LeveledRows:
    """Return certified weights of rows with levels, and of their gates.

    Args:
        rows: counted variables and their levels; no coupler leaves a row.
        columns: of all variables.
        couplers: of different variables.
        bound_ptr: where each row's bounds start.
        share: margin, as a share of the feasible point's energy above f*.
        rounds: of a relaxation.
    """
    ptr, var, count = rows
    counted, gate, linear, upper, square = columns
    size = len(count)
    slot = np.full(len(linear), -1, np.int64)
    weight, slope, best, margin = np.zeros(size), np.zeros(size), np.zeros(size), np.zeros(size)
    lower = np.zeros(bound_ptr[size])
    point, price = np.zeros(len(var), np.uint8), np.zeros(len(var))
    for r in range(size):
        members = var[ptr[r] : ptr[r + 1]]
        n, k = len(members), count[r]
        for a in range(n):
            slot[members[a]] = a
        is_key, opener = counted[members], np.full(n, -1, np.int64)
        for a in range(n):
            if gate[members[a]] >= 0:
                opener[a] = slot[gate[members[a]]]
        matrix = np.empty((n, n))
        load_row(members, slot, couplers, matrix)
        for a in range(n):
            matrix[a, a] = 2.0 * square[members[a]]
        fields, room = linear[members].copy(), upper[members]
        unit = to_unit(matrix, fields)
        x, best[r] = good_point(matrix, fields, room, is_key, opener, k)
        point[ptr[r] : ptr[r + 1]] = x
        noise = 1e-11 * (np.abs(fields).sum() + np.abs(matrix).sum())
        # Without any objective, infeasible points still have to be told apart.
        reach = max(best[r] - _least_terms(matrix, fields, room), 0.0) + noise
        reach = reach if reach > 0.0 else 1.0
        curved = np.abs(matrix).max() > _FLAT * np.abs(fields).max()
        convex, tilted, above, longest = matrix, fields, np.inf, np.inf
        held = held_by(opener)
        if curved:
            convex, tilted = _convex(matrix, fields, room, opener)
            above = max(best[r] - _floor(convex, tilted), 0.0) + noise
            longest = 0.0
            for a in range(n):
                if opener[a] >= 0:
                    longest = max(longest, np.sqrt(0.5 * convex[a, a]))
        # Written so that what is not a number goes by range as well.
        by_range = not max(above, 2.0 * np.sqrt(above) * longest) <= _DEEP * reach
        if by_range:
            above = reach
        margin[r] = share * above
        for a in range(n):
            if opener[a] >= 0:
                length = np.sqrt(0.5 * convex[a, a])
                unit_price = above if by_range else 2.0 * np.sqrt(above) * length * (1.0 + 1e-9)
                price[ptr[r] + a] = unit_price + margin[r]
        keys = is_key.sum()
        bounds = lower[bound_ptr[r] : bound_ptr[r + 1]]
        bounds[:] = best[r] - above
        relaxed = np.zeros(keys + 1, np.bool_)
        need = np.empty(keys + 1)
        while True:
            for m in range(keys + 1):
                need[m] = best[r] - bounds[m] + margin[r]
            weight[r], slope[r], high, low = smallest_weight(k, need)
            tightened = False
            for m in (high, low):
                if m >= 0 and not relaxed[m] and curved:
                    bound = (
                        relaxed_bound(
                            convex, tilted, room, is_key, opener, held, m, rounds, _NEAR * above
                        )
                        - noise
                    )
                    # What gates that are not obeyed can save; above is the T of the proof.
                    over = max(bound - (best[r] - above), 0.0)
                    if over > above and not by_range:
                        over = 2.0 * np.sqrt(above * over) - above
                    bounds[m] = max(bounds[m], best[r] - above + over)
                    relaxed[m], tightened = True, True
            if not tightened:
                break
        bounds *= unit
        price[ptr[r] : ptr[r + 1]] *= unit
        weight[r], slope[r] = weight[r] * unit, slope[r] * unit
        best[r], margin[r] = best[r] * unit, margin[r] * unit
        for a in range(n):
            slot[members[a]] = -1
    return LeveledRows(weight, slope, best, margin, lower, point, price)
