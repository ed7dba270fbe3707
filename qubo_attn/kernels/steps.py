"""Costs of one corrective step in rows that add up to too little, or to too much.

Below its count k, a row's other variables add up to at most k - 1. The variable that is raised may
be picked; those at their largest value cannot be, and their largest values add up to at most k - 1,
so the cheapest variables are passed over only so far. Likewise above k, where at least k lie on the
others, and only variables above zero can be lowered. For bits this reads: the k-th cheapest
addition and the (n - k)-th cheapest removal.
"""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Array, Floats, Ints
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.order import kth_smallest, longest_row
from qubo_attn.kernels.rows import Adjacency, CountRows

# Rows of bits up to this size that keep at most so many have all their bits looked at side by side.
FEW_BITS, FEW_KEPT = 64, 16


@kernel
def _sink(values: Floats, sign: float, best: Floats, count: int) -> None:
    """Fill ``best`` with the ``count`` largest of the values times ``sign``, largest first."""
    for t in range(count):
        best[t] = -np.inf
    for s in range(len(values)):
        value = sign * values[s]
        # Those in ``best`` fall; each newcomer sinks to its place, and the least drops out.
        for t in range(count):
            high, low = max(value, best[t]), min(value, best[t])
            best[t], value = high, low


@kernel
def _best(values: Floats, sign: float, count: int, room: Floats) -> float:
    """Return the largest sum of ``count`` of the values times ``sign``."""
    _sink(values, sign, room, count)
    total = 0.0
    for t in range(count):
        total += room[t]
    return total


@kernel
def step_costs_of_few(
    rows: CountRows, linear: Floats, upper: Ints, square: Floats, couplers: Adjacency
) -> tuple[Floats, Floats]:
    """Return what `step_costs` does, of rows of few bits that keep some of them and not all.

    Args:
        rows: at most ``FEW_BITS`` bits each, of which at most ``FEW_KEPT`` are kept.
        linear, upper, square, couplers: see `step_costs`.
    """
    ptr, var, count = rows
    first, neighbour, value = couplers
    slot = np.full(len(linear), -1, np.int64)
    raised, lowered = np.empty(len(count)), np.empty(len(count))
    for r in range(len(count)):
        members = var[ptr[r] : ptr[r + 1]]
        n, k = len(members), count[r]
        # Transposed, so that the same step of each bit is one vector.
        local, ranked = np.zeros((n, n)), np.zeros((k, n))
        up, down, passed = np.empty(n), np.empty(n), np.empty(n)
        most, least, below = np.zeros(n), np.zeros(n), np.zeros(n)
        for s in range(n):
            slot[members[s]] = s
        for a in range(n):
            v = members[a]
            high, low = 0.0, 0.0
            for e in range(first[v], first[v + 1]):
                s = slot[neighbour[e]]
                if s >= 0:
                    local[s, a] = value[e]
                else:
                    high += max(value[e], 0.0) * upper[neighbour[e]]
                    low += min(value[e], 0.0) * upper[neighbour[e]]
            up[a] = linear[v] + square[v] + high
            down[a] = -linear[v] - square[v] - low
        # A bit costs most to add with the largest sum of at most k - 1 couplers, and to remove with
        # the smallest of at least k.
        for s in range(n):
            slot[members[s]] = -1
            for a in range(n):
                passed[a] = local[s, a]
                least[a] += min(passed[a], 0.0)
                below[a] += 1.0 if passed[a] < 0.0 else 0.0
            # Those ranked fall; each newcomer sinks to its place, and the last drops out.
            for t in range(k - 1):
                for a in range(n):
                    high, low = max(passed[a], ranked[t, a]), min(passed[a], ranked[t, a])
                    ranked[t, a], passed[a] = high, low
        fewest = np.inf
        for a in range(n):
            fewest = min(fewest, below[a])
            for t in range(k - 1):
                most[a] += ranked[t, a]
        if fewest < k:
            # All below zero, and of the k smallest those above it.
            for t in range(k):
                for a in range(n):
                    ranked[t, a] = np.inf
            for s in range(n):
                for a in range(n):
                    passed[a] = local[s, a]
                passed[s] = np.inf
                for t in range(k):
                    for a in range(n):
                        high, low = max(passed[a], ranked[t, a]), min(passed[a], ranked[t, a])
                        ranked[t, a], passed[a] = low, high
            for a in range(n):
                for t in range(k):
                    least[a] += max(ranked[t, a], 0.0)
        for a in range(n):
            up[a] += most[a]
            down[a] -= least[a]
        _sink(up, -1.0, passed, k)
        raised[r] = -passed[k - 1]
        _sink(down, 1.0, passed, k + 1)
        lowered[r] = passed[k]
    return raised, lowered


@kernel
def _extremes(values: Floats, most: int, least: int, room: Floats) -> tuple[float, float]:
    """Return the largest sum of at most ``most``, and the smallest of at least ``least``, values.

    ``room`` holds as many numbers; the values may be rearranged.
    """
    n = len(values)
    largest, smallest, below, above = 0.0, 0.0, 0, 0
    for s in range(n):
        # No branches: signs are as good as random.
        smallest += min(values[s], 0.0)
        largest += max(values[s], 0.0)
        below += values[s] < 0.0
        above += values[s] > 0.0
    if below < least:
        if n > 48:
            kth_smallest(values, min(least, n))
            smallest = values[: min(least, n)].sum()
        else:
            smallest = -_best(values, -1.0, min(least, n), room)
    if above > most:
        if n > 48 and most > 0:
            kth_smallest(values, n - most + 1)
            largest = values[n - most :].sum()
        else:
            largest = _best(values, 1.0, most, room)
    return largest, smallest


@kernel
def _most(values: Floats, rooms: Array, most: float) -> float:
    """Return the largest ``sum v_s w_s`` over 0 <= w_s <= rooms_s with ``sum w_s <= most``."""
    total, left = 0.0, most
    for s in np.argsort(-values):
        if values[s] <= 0.0 or left <= 0.0:
            break
        amount = min(float(rooms[s]), left)
        total += values[s] * amount
        left -= amount
    return total


@kernel
def _least(values: Floats, rooms: Array, least: float) -> float:
    """Return the smallest ``sum v_s w_s`` over 0 <= w_s <= rooms_s with ``sum w_s >= least``."""
    total, left = 0.0, least
    for s in np.argsort(values):
        if values[s] >= 0.0 and left <= 0.0:
            break
        amount = float(rooms[s]) if values[s] < 0.0 else min(float(rooms[s]), left)
        total += values[s] * amount
        left -= amount
    return total


@kernel
def _first_beyond(costs: Floats, rooms: Ints, most: float) -> float:
    """Return the cheapest cost at which rooms of that cost or less add up to more than ``most``."""
    total, cost = 0.0, -np.inf
    for s in np.argsort(costs):
        cost = costs[s]
        total += rooms[s]
        if total > most:
            break
    return float(cost)


@kernel
def step_costs(
    rows: CountRows, linear: Floats, upper: Ints, square: Floats, couplers: Adjacency
) -> tuple[Floats, Floats]:
    """Bound what one corrective unit step costs in a row that adds up to too little, or too much.

    Args:
        rows: the rows and what each adds up to.
        linear, upper: of each variable; square: the coefficient of its square, 0 for bits.
        couplers: of different variables.

    Returns:
        The cost of a step up and of a step down, per row, in energy units; -inf where no step of
        that direction is ever needed.
    """
    ptr, var, count = rows
    first, neighbour, value = couplers
    slot = np.full(len(linear), -1, np.int64)
    raised, lowered = np.full(len(count), -np.inf), np.full(len(count), -np.inf)
    longest = longest_row(ptr)
    # Made once for all rows: to ask for memory takes longer than to look at a short row.
    every = np.empty(6 * longest)
    for r in range(len(count)):
        members = var[ptr[r] : ptr[r + 1]]
        n, k = len(members), count[r]
        table = every[: 6 * n].reshape(6, n)
        up, down, values = table[0], table[1], table[2]
        scratch, most, least = table[3], table[4], table[5]
        full = 0
        for s in range(n):
            slot[members[s]] = s
            full += upper[members[s]]
        bits = full == n
        for a in range(n):
            v = members[a]
            high, low = 0.0, 0.0
            values[:] = 0.0
            for e in range(first[v], first[v + 1]):
                s = slot[neighbour[e]]
                if s >= 0:
                    values[s] = value[e]
                else:
                    high += max(value[e], 0.0) * upper[neighbour[e]]
                    low += min(value[e], 0.0) * upper[neighbour[e]]
            if bits:
                # The last value takes the place of this key itself, which is zero.
                values[a] = values[n - 1]
                most[a], least[a] = _extremes(values[: n - 1], max(k - 1, 0), k, scratch)
            else:
                for s in range(n):
                    scratch[s] = upper[members[s]]
                scratch[a] = 0.0
                most[a] = _most(values, scratch, k - 1.0)
                least[a] = _least(values, scratch, k + 1.0 - upper[v])
            # A step from w to w + 1 changes the square's term by its coefficient times 2 w + 1.
            steep, flat = square[v] * (2.0 * upper[v] - 1.0), square[v]
            up[a] = linear[v] + max(steep, flat) + high + most[a]
            down[a] = -linear[v] - min(steep, flat) - low - least[a]
        for s in range(n):
            slot[members[s]] = -1
        if bits:
            if k > 0:
                raised[r] = kth_smallest(up, min(k, n))
            if k < n:
                lowered[r] = kth_smallest(down, n - k)
            continue
        if k > 0:
            raised[r] = _first_beyond(up, upper[members], k - 1.0)
        if k < full:
            lowered[r] = _first_beyond(down, upper[members], full - k - 1.0)
    return raised, lowered
