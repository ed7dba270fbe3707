"""Costs of one corrective step in rows that add up to too little, or to too much."""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Array, Floats, Ints
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.order import kth_smallest, longest_row
from qubo_attn.kernels.rows import Adjacency, CountRows

# Rows of bits up to this size that keep at most so many have all their bits looked at side by side.
_SIZE, _KEPT = 64, 16


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
def _best(values: Floats, sign: float, count: int, room: Floats) -> float:
    """Return the largest sum of ``count`` of the values times ``sign``."""
    _sink(values, sign, room[:count])
    return float(room[:count].sum())


@kernel
def _sink(values: Floats, sign: float, best: Floats) -> None:
    """Fill ``best`` with the largest of the values times ``sign``, largest first."""
    best[:] = -np.inf
    for s in range(len(values)):
        value = sign * values[s]
        # Those in ``best`` fall; each newcomer sinks to its place, and the least drops out.
        for t in range(len(best)):
            high, low = max(value, best[t]), min(value, best[t])
            best[t], value = high, low


@kernel
def _extremes_of_all(
    local: Floats, k: int, room: Floats, value: Floats, largest: Floats, smallest: Floats
) -> None:
    """Fill in what `_extremes` gives of each row of a symmetric matrix, at most k - 1, at least k.

    All of them at once: the same step of each is one vector.

    Args:
        local: shape (n, n).
        k: from 1.
        room, value: overwritten, shapes (2 k - 1, n) and (n,).
        largest, smallest: filled, shape (n,).
    """
    n = len(local)
    room[:], largest[:], smallest[:], value[:] = 0.0, 0.0, 0.0, 0.0
    for s in range(n):
        column = local[s]
        for a in range(n):
            smallest[a] += min(column[a], 0.0)
            value[a] += 1.0 if column[a] < 0.0 else 0.0
    enough = value.min() >= k
    best = room[: k - 1]
    for s in range(n):
        # Those in the room fall; each newcomer sinks to its place, and the last drops out.
        value[:] = local[s]
        value[s] = 0.0
        for t in range(k - 1):
            ranked = best[t]
            for a in range(n):
                high, low = max(value[a], ranked[a]), min(value[a], ranked[a])
                ranked[a], value[a] = high, low
    for t in range(k - 1):
        for a in range(n):
            largest[a] += best[t, a]
    if enough:
        return
    # All below zero, and of the k smallest those above it.
    least = room[k - 1 :]
    least[:] = np.inf
    for s in range(n):
        value[:] = local[s]
        value[s] = np.inf
        for t in range(k):
            ranked = least[t]
            for a in range(n):
                high, low = max(value[a], ranked[a]), min(value[a], ranked[a])
                ranked[a], value[a] = low, high
    for t in range(k):
        for a in range(n):
            smallest[a] += max(least[t, a], 0.0)


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

    Below its count k, a row's other variables add up to at most k - 1. The variable that is raised
    may be picked; those at their largest value cannot be, and their largest values add up to at
    most k - 1, so the cheapest variables are passed over only so far. Likewise above k, where at
    least k lie on the others, and only variables above zero can be lowered. For bits this reads:
    the k-th cheapest addition and the (n - k)-th cheapest removal.

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
    most_few = min(longest, _SIZE)
    matrix, ranked = np.empty(most_few**2), np.empty((2 * _KEPT - 1) * most_few)
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
        few = bits and n <= _SIZE and 0 < k < min(n, _KEPT + 1)
        for a in range(n):
            v = members[a]
            high, low = 0.0, 0.0
            row = matrix[a * n : (a + 1) * n] if few else values
            row[:] = 0.0
            for e in range(first[v], first[v + 1]):
                s = slot[neighbour[e]]
                if s >= 0:
                    row[s] = value[e]
                else:
                    high += max(value[e], 0.0) * upper[neighbour[e]]
                    low += min(value[e], 0.0) * upper[neighbour[e]]
            if few:
                # All of them at once, below.
                most[a], least[a] = 0.0, 0.0
            elif bits:
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
        if few:
            local = matrix[: n * n].reshape(n, n)
            _extremes_of_all(
                local, k, ranked[: (2 * k - 1) * n].reshape(2 * k - 1, n), values, most, least
            )
            for a in range(n):
                up[a] += most[a]
                down[a] -= least[a]
            # Short and without branches, which would be as good as random.
            _sink(up, -1.0, scratch[:k])
            _sink(down, 1.0, values[: k + 1])
            raised[r], lowered[r] = -scratch[k - 1], values[k]
            continue
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
