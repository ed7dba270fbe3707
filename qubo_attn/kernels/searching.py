"""Kernel that searches all selections of a row, or all that a bound leaves, for the best.

A row is a list of items, each of which takes one of its *options* or none: a key is taken or not,
or taken with one of its levels. Options weigh something, and their weights add up to a total, or to
no more than it. Options are chosen item by item; what each option of a later item would add is kept
for every depth, so that the last choice is a look-up.

A *minorant* is a constant and a slope for each option, whose sum is nowhere above the objective.
One table of a row holds the least sum of slopes of later items, for every weight that is left. So
one addition tells whether a branch can still beat the best selection so far.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Array, Bools, Floats, Ints, Longs
from qubo_attn.common.threads import rows_at
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.rows import Adjacency

# Objectives closer than this, as a share of all of a row's coefficients, are equal up to rounding.
_ROUNDING = 1e-13


class OptionRows(NamedTuple):
    """Rows of items with options; no coupler leaves a row.

    Attributes:
        ptr: the options of row r are those from ``ptr[r]`` to ``ptr[r + 1]``.
        item: the item of each option, ascending from 0 in every row.
        first, level: a variable, and the value above 0 that the option gives it.
        second, above: another one and its value; -1 and 0 where the option sets one alone.
        weight: what each option counts, at least 1.
        total: what the weights of a row add up to; equal: exactly so, or at most.
    """

    ptr: Longs
    item: Ints
    first: Ints
    level: Ints
    second: Ints
    above: Ints
    weight: Longs
    total: Longs
    equal: Bools

    def part(self, rows: slice) -> OptionRows:
        """Return some of the rows."""
        ptr, entries = rows_at(self.ptr, rows)
        return OptionRows(
            ptr,
            self.item[entries],
            self.first[entries],
            self.level[entries],
            self.second[entries],
            self.above[entries],
            self.weight[entries],
            self.total[rows],
            self.equal[rows],
        )


class Minorants(NamedTuple):
    """A function of each row that is nowhere above its objective; see above.

    Attributes:
        constant: of each row; minus infinity where there is no minorant.
        slope: of each option.
    """

    constant: Floats
    slope: Floats


class SearchedRows(NamedTuple):
    """What became of each row.

    Attributes:
        chosen: uint8, which options the best selection takes, row after row.
        energy: its objective; infinite where none was met.
        proven: whether it is the best there is.
        bound: a lower bound on the objective of any selection.
    """

    chosen: Array
    energy: Floats
    proven: Bools
    bound: Floats


@kernel
def order_items(item: Ints, slope: Floats, ordered: bool, order: Longs, end: Longs) -> None:
    """Fill in the options by the least slope of their items, and where each one's item ends.

    Args:
        item, slope: of each option.
        ordered: whether items move; else all stay where they are.
        order: filled, the option at each place.
        end: filled, the place after the last option of the same item.
    """
    m = len(item)
    start, least, place = np.empty(m + 1, np.int64), np.empty(m), np.empty(m, np.int64)
    items = 0
    for o in range(m):
        if o == 0 or item[o] != item[o - 1]:
            start[items], least[items] = o, slope[o]
            items += 1
        elif slope[o] < least[items - 1]:
            least[items - 1] = slope[o]
    start[items] = m
    for s in range(items):
        t = s
        while ordered and t > 0 and least[place[t - 1]] > least[s]:
            place[t] = place[t - 1]
            t -= 1
        place[t] = s
    p = 0
    for t in range(items):
        s = place[t]
        last = p + start[s + 1] - start[s]
        for o in range(start[s], start[s + 1]):
            order[p], end[p] = o, last
            p += 1


@kernel
def _count(weight: Longs, end: Longs, total: int, equal: bool) -> float:
    """Return how many selections there are."""
    m = len(weight)
    count = np.zeros((m + 1, total + 1))
    for r in range(total + 1):
        count[m, r] = 1.0 if r == 0 or not equal else 0.0
    for o in range(m - 1, -1, -1):
        for r in range(total + 1):
            count[o, r] = count[o + 1, r]
            if weight[o] <= r:
                count[o, r] += count[end[o], r - weight[o]]
    return float(count[0, total])


@kernel
def reach(weight: Longs, slope: Floats, end: Longs, equal: bool, least: Floats) -> None:
    """Fill in the least sum of slopes from each place on, for every weight that is left.

    It is infinite where no options make up the weight.
    """
    m, total = len(weight), least.shape[1] - 1
    for r in range(total + 1):
        least[m, r] = 0.0 if r == 0 or not equal else np.inf
    for o in range(m - 1, -1, -1):
        for r in range(total + 1):
            best = least[o + 1, r]
            if weight[o] <= r:
                best = min(best, slope[o] + least[end[o], r - weight[o]])
            least[o, r] = best


@kernel
def _load(
    rows: OptionRows,
    r: int,
    order: Longs,
    linear: Floats,
    square: Floats,
    couplers: Adjacency,
    value: Floats,
    own: Floats,
    pair: Floats,
) -> float:
    """Fill in what each option costs by itself and each two together; return the size of all.

    Args:
        rows, r: the row.
        order: the option at each place.
        linear, square, couplers: the objective.
        value: room, one entry a variable, zeros before and after.
        own, pair: filled.
    """
    first, neighbour, bias = couplers
    size = 0.0
    for p in range(len(order)):
        o = rows.ptr[r] + order[p]
        u, x, v, y = rows.first[o], rows.level[o], rows.second[o], rows.above[o]
        own[p] = x * (linear[u] + x * square[u])
        for e in range(first[u], first[u + 1]):
            value[neighbour[e]] += x * bias[e]
        if v >= 0:
            own[p] += y * (linear[v] + y * square[v] + value[v])
            for e in range(first[v], first[v + 1]):
                value[neighbour[e]] += y * bias[e]
        size += abs(own[p])
        for q in range(len(order)):
            a = rows.ptr[r] + order[q]
            cost = rows.level[a] * value[rows.first[a]]
            if rows.second[a] >= 0:
                cost += rows.above[a] * value[rows.second[a]]
            pair[p, q] = cost
            size += 0.5 * abs(cost)
        for e in range(first[u], first[u + 1]):
            value[neighbour[e]] = 0.0
        if v >= 0:
            for e in range(first[v], first[v + 1]):
                value[neighbour[e]] = 0.0
    return size


@kernel
def _is_before(path: Longs, count: int, order: Longs, chosen: Array, taken: Array) -> bool:
    """Return whether a selection takes the first option in which it and the best one differ.

    Args:
        path, count: the places that it takes, and how many.
        order: the option at each place.
        chosen: the options of the best one.
        taken: room, zeros before and after.
    """
    for t in range(count):
        taken[order[path[t]]] = 1
    before = False
    for o in range(len(chosen)):
        if taken[o] != chosen[o]:
            before = taken[o] > chosen[o]
            break
    for t in range(count):
        taken[order[path[t]]] = 0
    return before


@kernel
def _keep(path: Longs, count: int, order: Longs, chosen: Array) -> None:
    """Write a selection down as the best one."""
    for o in range(len(chosen)):
        chosen[o] = 0
    for t in range(count):
        chosen[order[path[t]]] = 1


@kernel
def search_rows(
    rows: OptionRows,
    linear: Floats,
    square: Floats,
    couplers: Adjacency,
    minorants: Minorants,
    most_states: Floats,
    most_steps: int,
) -> SearchedRows:
    """Return the best selection of each row that has few enough, or a minorant.

    Of selections that are equal up to rounding the one that goes before is the best: it takes the
    first option, in the order of the row, in which the two differ.

    Args:
        rows: the rows.
        linear, square, couplers: the objective over all variables.
        minorants: of the rows; they order the items, where there is one.
        most_states: of each row; one of more selections and without a minorant is left out.
        most_steps: choices after which the search of a row with a minorant ends unproven.
    """
    count = len(rows.total)
    chosen, energy = np.zeros(len(rows.item), np.uint8), np.full(count, np.inf)
    proven, bound = np.zeros(count, np.bool_), np.full(count, -np.inf)
    value = np.zeros(len(linear))
    for r in range(count):
        base, total, equal = rows.ptr[r], rows.total[r], rows.equal[r]
        m = rows.ptr[r + 1] - base
        order, end = np.empty(m, np.int64), np.empty(m, np.int64)
        slope, weight = np.zeros(m), np.empty(m, np.int64)
        constant = minorants.constant[r]
        bounded = constant > -np.inf
        order_items(
            rows.item[base : base + m], minorants.slope[base : base + m], bounded, order, end
        )
        for p in range(m):
            weight[p] = rows.weight[base + order[p]]
            if bounded:
                slope[p] = minorants.slope[base + order[p]]
        if not bounded and _count(weight, end, total, equal) > most_states[r]:
            continue
        least = np.empty((m + 1, total + 1))
        reach(weight, slope, end, equal, least)
        bound[r] = constant + least[0, total]
        own, pair = np.empty(m), np.empty((m, m))
        size = _load(rows, r, order, linear, square, couplers, value, own, pair)
        best, rounding = np.inf, _ROUNDING * size
        kept, taken = chosen[base : base + m], np.zeros(m, np.uint8)
        field, path = np.empty((total + 1, m)), np.zeros(total + 1, np.int64)
        spent, low = np.zeros(total + 1), np.full(total + 1, constant)
        left, place = np.full(total + 1, total), np.zeros(total + 1, np.int64)
        for p in range(m):
            field[0, p] = own[p]
        if total == 0 or not equal:
            best = 0.0
        d, steps = 0, 0
        while d >= 0 and (steps < most_steps or not bounded):
            rest, p, down = left[d], place[d], -1
            here, floor = spent[d], low[d]
            while p < m and down < 0:
                w = weight[p]
                if w == rest or (w < rest and not equal):
                    reached = here + field[d, p]
                    if reached <= best + rounding:
                        path[d] = p
                        if reached < best - rounding or _is_before(path, d + 1, order, kept, taken):
                            _keep(path, d + 1, order, kept)
                        best = min(best, reached)
                if w < rest:
                    onward = least[end[p], rest - w]
                    if onward < np.inf and not floor + slope[p] + onward > best + rounding:
                        down = p
                p += 1
            place[d] = p
            if down < 0:
                d -= 1
                continue
            steps += 1
            path[d] = down
            spent[d + 1], low[d + 1] = here + field[d, down], floor + slope[down]
            left[d + 1], place[d + 1] = rest - weight[down], end[down]
            for q in range(end[down], m):
                field[d + 1, q] = field[d, q] + pair[down, q]
            d += 1
        energy[r], proven[r] = best, d < 0 and best < np.inf
        if proven[r]:
            bound[r] = best
    return SearchedRows(chosen, energy, proven, bound)
