"""Kernel that meets all states of bits up to a second lowest energy, and leaves the others out.

Some of the bits have weights, which add up to a total; the others are free. A *minorant*, a
constant and a slope for each bit, is nowhere above the energy (see the module ``bounding``).
One table holds the least sum of slopes of later bits, for every weight that is left. So one
addition tells whether a branch can still come below the second lowest energy that was met so far.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Array, Floats, Longs
from qubo_attn.kernels._jit import kernel


class WeighedBits(NamedTuple):
    """Bits as they are chosen, one after the other, and their energy.

    Attributes:
        linear, pair: the energy, shapes (n,) and (n, n), symmetric; pairs count once.
        weight: at least 0.
        slope: of the minorant.
        need: place of an earlier bit without which this one stays 0; -1 for none.
        mark: uint64, what stands for the bit in the code of a state, a power of 2 each.
    """

    linear: Floats
    pair: Floats
    weight: Longs
    slope: Floats
    need: Longs
    mark: Array


class LowestStates(NamedTuple):
    """The two lowest energies that were met.

    Attributes:
        best, second: energies; infinite where no state was met.
        optima: how many states are at the lowest.
        state: the largest code of a state at the lowest energy; of one at the second: second_state.
        finished: whether no other state is below the second energy, or the ceiling.
        steps: branches that were looked into.
    """

    best: float
    second: float
    optima: int
    state: int
    second_state: int
    finished: bool
    steps: int


@kernel
def lowest_states(
    bits: WeighedBits,
    constant: float,
    total: int,
    ceiling: float,
    tolerance: float,
    most_steps: int,
) -> LowestStates:
    """Return the two lowest energies of states whose weights add up to a total.

    Args:
        bits: see there.
        constant: of the minorant.
        total: what the weights add up to.
        ceiling: states above it may be left out.
        tolerance: energies that lie no further apart are one.
        most_steps: branches after which the search ends unfinished.
    """
    linear, pair, weight, slope, need, mark = bits
    n = len(linear)
    least, free = np.empty((n + 1, total + 1)), np.zeros(n + 1, np.int64)
    for r in range(total + 1):
        least[n, r] = 0.0 if r == 0 else np.inf
    for p in range(n - 1, -1, -1):
        free[p] = free[p + 1] + (1 if weight[p] == 0 else 0)
        for r in range(total + 1):
            least[p, r] = least[p + 1, r]
            if weight[p] <= r:
                least[p, r] = min(least[p, r], slope[p] + least[p + 1, r - weight[p]])
    field, code = np.empty((n + 1, n)), np.zeros(n + 1, np.uint64)
    spent, low = np.zeros(n + 1), np.full(n + 1, constant)
    left, place = np.full(n + 1, total), np.zeros(n + 1, np.int64)
    path, on = np.zeros(n + 1, np.int64), np.zeros(n, np.bool_)
    for p in range(n):
        field[0, p] = linear[p]
    best, second, optima, limit = np.inf, np.inf, 0, ceiling + tolerance
    state, runner = code[0], code[0]
    d, steps, fresh = 0, 0, total == 0
    while d >= 0 and steps < most_steps:
        if fresh:  # the bits so far are a state
            fresh, reached, here = False, spent[d], code[d]
            if reached < best - tolerance:
                if best < np.inf:
                    second, runner = best, state
                best, optima, state = reached, 1, here
            elif reached <= best + tolerance:
                optima += 1
                best, state = min(best, reached), max(state, here)
            elif reached < second:
                second, runner = reached, here
            limit = min(limit, second + tolerance)
        rest, p, down = left[d], place[d], -1
        while p < n and down < 0:
            w = weight[p]
            allowed = w <= rest and (need[p] < 0 or on[need[p]])
            # Where no bit can follow, the energy itself tells.
            if allowed and w == rest and free[p + 1] == 0:
                allowed = spent[d] + field[d, p] <= limit
            if allowed and not low[d] + slope[p] + least[p + 1, rest - w] > limit:
                down = p
            p += 1
        place[d] = p
        if down < 0:
            d -= 1
            if d >= 0:
                on[path[d]] = False
            continue
        steps += 1
        path[d], on[down] = down, True
        spent[d + 1], low[d + 1] = spent[d] + field[d, down], low[d] + slope[down]
        left[d + 1], place[d + 1] = rest - weight[down], down + 1
        code[d + 1] = code[d] | mark[down]
        for q in range(down + 1, n):
            field[d + 1, q] = field[d, q] + pair[down, q]
        d += 1
        fresh = left[d] == 0
    return LowestStates(best, second, optima, state, runner, d < 0, steps)
