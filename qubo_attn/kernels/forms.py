"""Quadratic forms: energies, expansion of squared penalties, binary to spin."""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Array, Floats, Ints, Longs
from qubo_attn.kernels._jit import kernel


@kernel
def quadratic_energies(
    points: Floats, offset: float, linear: Floats, i: Ints, j: Ints, bias: Floats
) -> Floats:
    """Return the value of a quadratic form at each row of ``points`` (m, n)."""
    energies = np.full(points.shape[0], offset)
    for m in range(points.shape[0]):
        total = 0.0
        for v in range(len(linear)):
            total += linear[v] * points[m, v]
        for t in range(len(bias)):
            total += bias[t] * points[m, i[t]] * points[m, j[t]]
        energies[m] += total
    return energies


@kernel
def disjoint_squares(
    first: Longs,
    j: Ints,
    bias: Floats,
    row: Longs,
    position: Longs,
    ptr: Longs,
    var: Ints,
    coef: Floats,
    weight: Floats,
    count: int,
) -> tuple[Ints, Ints, Floats]:
    """Merge couplers with those of ``weight (c.x - d)^2`` over rows that share no variable.

    Args:
        first: couplers of variable v are ``first[v]:first[v + 1]``.
        j, bias: second variable and value of each coupler, sorted.
        row: row of each variable, -1 where it has none; position: its entry in ``var``.
        ptr, var, coef, weight: the rows and their weights.
        count: how many couplers the sum has.

    Returns:
        ``i, j, bias`` of the sum, sorted, one entry per pair that either side has.
    """
    n = len(row)
    out_i = np.empty(count, np.int32)
    out_j = np.empty(count, np.int32)
    out_bias = np.empty(count)
    t = 0
    for v in range(n):
        s, s_end = first[v], first[v + 1]
        p, p_end = 0, 0
        scale = 0.0
        if row[v] >= 0:
            p, p_end = position[v] + 1, ptr[row[v] + 1]
            scale = 2.0 * weight[row[v]] * coef[position[v]]
        while s < s_end or p < p_end:
            value = 0.0
            a = j[s] if s < s_end else n
            b = var[p] if p < p_end else n
            if a <= b:
                value += bias[s]
                s += 1
            if b <= a:
                value += scale * coef[p]
                p += 1
            out_i[t] = v
            out_j[t] = min(a, b)
            out_bias[t] = value
            t += 1
    return out_i, out_j, out_bias


@kernel
def squares_on(
    i: Ints, j: Ints, bias: Floats, row: Longs, position: Longs, coef: Floats, weight: Floats
) -> tuple[int, Floats]:
    """Add ``weight (c.x - d)^2`` of rows that share no variable to the couplers there are.

    Args:
        i, j, bias: couplers, no square of a variable in a row among them.
        row: row of each variable, -1 where it has none; position: its entry in ``coef``.
        coef, weight: of the rows.

    Returns:
        How many couplers lie within rows, and values of all: where that is every pair of every row,
        they are the sum.
    """
    within, out = 0, np.empty(len(bias))
    for t in range(len(bias)):
        u, v = i[t], j[t]
        r = row[u]
        out[t] = bias[t]
        if r >= 0 and r == row[v] and u != v:
            out[t] += 2.0 * weight[r] * coef[position[u]] * coef[position[v]]
            within += 1
    return within, out


@kernel
def ising_fields(linear: Floats, i: Ints, j: Ints, bias: Floats) -> Floats:
    """Return the fields h of the spin form of a binary form; its couplings are ``bias / 4``."""
    h = np.empty(len(linear))
    for v in range(len(h)):
        h[v] = linear[v] / 2.0
    for t in range(len(bias)):
        quarter = bias[t] / 4.0
        h[i[t]] += quarter
        h[j[t]] += quarter
    return h


@kernel
def squared_fields(
    linear: Floats,
    ptr: Longs,
    var: Ints,
    coef: Floats,
    rhs: Floats,
    weight: Floats,
    slope: Floats,
) -> Floats:
    """Return ``linear`` plus the linear part of ``A (c.x - d)^2 + mu (c.x - d)`` of every row.

    Squares of bits are the bits themselves.

    Args:
        linear: of each variable.
        ptr, var, coef, rhs: the rows, over bits; weight, slope: A and mu of each.
    """
    # Rows first: a variable of several adds up what they pay, then its own.
    added = np.zeros(len(linear))
    for r in range(len(rhs)):
        for e in range(ptr[r], ptr[r + 1]):
            paid = weight[r] * coef[e] * (coef[e] - 2.0 * rhs[r])
            added[var[e]] += paid + slope[r] * coef[e]
    for v in range(len(linear)):
        added[v] = linear[v] + added[v]
    return added


@kernel
def terms_are_good(n: int, upper: Ints, i: Ints, j: Ints, bias: Floats) -> bool:
    """Return whether terms are sorted, unique, finite, not zero, and no squares of bits.

    Args:
        n: variables there are; upper: their largest values.
        i, j, bias: the terms.
    """
    # Plain sums, one loop each: several terms at a time.
    bad = 0
    for t in range(len(bias)):
        bad += (i[t] < 0) | (j[t] >= n) | (i[t] > j[t]) | (bias[t] == 0.0)
    for t in range(len(bias)):
        bad += bias[t] - bias[t] != 0.0
    for t in range(1, len(bias)):
        bad += (i[t] < i[t - 1]) | ((i[t] == i[t - 1]) & (j[t] <= j[t - 1]))
    if bad > 0:
        return False
    for t in range(len(bias)):
        bad += (i[t] == j[t]) & (upper[i[t]] == 1)
    return bad == 0


@kernel
def terms_among(source: Longs, i: Ints, j: Ints, bias: Floats) -> tuple[Ints, Ints, Floats]:
    """Return the terms whose variables both stay, renumbered.

    Args:
        source: new number of each variable, -1 for those that go.
        i, j, bias: the terms.
    """
    count = 0
    for t in range(len(bias)):
        count += (source[i[t]] >= 0) & (source[j[t]] >= 0)
    out_i, out_j, out_bias = np.empty(count, np.int32), np.empty(count, np.int32), np.empty(count)
    place = 0
    for t in range(len(bias)):
        u, v = source[i[t]], source[j[t]]
        if u >= 0 and v >= 0:
            out_i[place], out_j[place], out_bias[place] = u, v, bias[t]
            place += 1
    return out_i, out_j, out_bias


@kernel
def fixed_terms(
    source: Longs, constant: Floats, n: int, i: Ints, j: Ints, bias: Floats
) -> tuple[float, Floats, Floats]:
    """Return what couplers of fixed variables add to the offset and to the variables that stay.

    Args:
        source: new number of each variable, below ``n``, or -1 for those fixed at ``constant``.
        i, j, bias: the couplers.

    Returns:
        What the offset gains, and each variable as second and as first end of a coupler.
    """
    offset, second, first = 0.0, np.zeros(n), np.zeros(n)
    for t in range(len(bias)):
        u, v = i[t], j[t]
        if source[u] < 0 and constant[u] != 0.0:
            offset += constant[u] * bias[t] * constant[v]
            if source[v] >= 0:
                second[source[v]] += constant[u] * bias[t]
        if source[v] < 0 and source[u] >= 0:
            first[source[u]] += constant[v] * bias[t]
    return offset, second, first


def collect_couplers(n: int, i: Array, j: Array, bias: Array) -> tuple[Ints, Ints, Floats]:
    """Sum duplicate couplers, order each pair and sort them; zero sums are dropped."""
    low, high = np.minimum(i, j).astype(np.int64), np.maximum(i, j).astype(np.int64)
    keys, place = np.unique(low * max(n, 1) + high, return_inverse=True)
    sums = np.bincount(place, weights=bias, minlength=len(keys)).astype(np.float64)
    keep = sums != 0
    keys, sums = keys[keep], sums[keep]
    return (keys // max(n, 1)).astype(np.int32), (keys % max(n, 1)).astype(np.int32), sums


def add_couplers(
    n: int, i: Array, j: Array, bias: Array, more: tuple[Array, Array, Array]
) -> tuple[Ints, Ints, Floats]:
    """Add some couplers to sorted ones, which are merged with them, not sorted again.

    Args:
        n: number of variables.
        i, j, bias: sorted, unique couplers.
        more: first variables, second variables and values, in any order and with repeats.

    Returns:
        ``i, j, bias`` of the sum, sorted; zero sums are dropped.
    """
    a, b, value = collect_couplers(n, *more)
    old, new = i.astype(np.int64) * n + j, a.astype(np.int64) * n + b
    at = np.searchsorted(old, new)
    hit = np.zeros(len(new), bool)
    hit[at < len(old)] = old[at[at < len(old)]] == new[at < len(old)]
    bias = bias.copy()
    bias[at[hit]] += value[hit]
    fresh = ~hit
    i, j = np.insert(i, at[fresh], a[fresh]), np.insert(j, at[fresh], b[fresh])
    bias = np.insert(bias, at[fresh], value[fresh])
    keep = bias != 0
    return i[keep], j[keep], bias[keep]
