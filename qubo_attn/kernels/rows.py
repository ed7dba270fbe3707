"""Rows that keep exactly k of their keys: which keys they need, from their couplers alone.

Couplers come as an adjacency in both directions, so that couplers to other rows count as well: a
neighbour elsewhere may take any value up to its ``upper``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Array, Bools, Floats, Ints, Longs
from qubo_attn.common.threads import rows_at
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.order import kth_smallest, longest_row


class Adjacency(NamedTuple):
    """Couplers in both directions, in CSR form.

    Attributes:
        ptr: where each variable's couplers start.
        neighbour, value: the other end and the value of each.
    """

    ptr: Longs
    neighbour: Ints
    value: Floats


class CountRows(NamedTuple):
    """Rows that keep a given number of keys.

    Attributes:
        ptr, var: the variables of row r are ``var[ptr[r]:ptr[r + 1]]``.
        keep: how many of them row r keeps, or what they add up to.
    """

    ptr: Longs
    var: Ints
    keep: Longs

    def part(self, rows: slice) -> CountRows:
        """Return some of the rows."""
        ptr, entries = rows_at(self.ptr, rows)
        return CountRows(ptr, self.var[entries], self.keep[rows])


@kernel
def adjacency(n: int, i: Ints, j: Ints, bias: Floats) -> Adjacency:
    """Return sorted couplers in both directions."""
    ptr = np.zeros(n + 1, np.int64)
    for t in range(len(bias)):
        ptr[i[t] + 1] += 1
        ptr[j[t] + 1] += 1
    for v in range(n):
        ptr[v + 1] += ptr[v]
    place = ptr[:-1].copy()
    neighbour = np.empty(ptr[n], np.int32)
    value = np.empty(ptr[n])
    for t in range(len(bias)):
        u, v = i[t], j[t]
        neighbour[place[u]] = v
        value[place[u]] = bias[t]
        place[u] += 1
        neighbour[place[v]] = u
        value[place[v]] = bias[t]
        place[v] += 1
    return Adjacency(ptr, neighbour, value)


@kernel
def load_row(members: Ints, slot: Longs, couplers: Adjacency, local: Floats) -> bool:
    """Fill the dense matrix of a row's own couplers; return whether it has others.

    Args:
        members: the row's variables; slot: the place of each variable in it, -1 of others.
        couplers: of all variables.
        local: filled, shape (n, n).
    """
    first, neighbour, value = couplers
    n = len(members)
    outside = False
    for a in range(n):
        for b in range(n):
            local[a, b] = 0.0
        v = members[a]
        for e in range(first[v], first[v + 1]):
            s = slot[neighbour[e]]
            if s >= 0:
                local[a, s] = value[e]
            else:
                outside = True
    return outside


@kernel
def _outside_gain(u: int, v: int, slot: Longs, couplers: Adjacency, upper: Ints) -> float:
    """Return ``sum_l max(b_vl - b_ul, 0) upper_l`` over neighbours l outside the row."""
    first, neighbour, value = couplers
    total = 0.0
    a, b = first[u], first[v]
    while a < first[u + 1] or b < first[v + 1]:
        l_a = neighbour[a] if a < first[u + 1] else 2147483647
        l_b = neighbour[b] if b < first[v + 1] else 2147483647
        l = min(l_a, l_b)  # noqa: E741  (the letter of the formula)
        difference = 0.0
        if l_a == l:
            difference -= value[a]
            a += 1
        if l_b == l:
            difference += value[b]
            b += 1
        if slot[l] < 0 and difference > 0.0:
            total += difference * upper[l]
    return total


@kernel
def _swap_cost(
    local: Floats, linear_a: float, linear_b: float, a: int, b: int, live: Array
) -> float:
    """Return the most that taking slot b for slot a can cost, whatever the other slots hold."""
    cost = linear_b - linear_a
    for s in range(len(live)):
        if live[s] and s != a and s != b:
            difference = local[b, s] - local[a, s]
            if difference > 0.0:
                cost += difference
    return cost


@kernel
def swap_costs(
    rows: CountRows, stays: Bools, linear: Floats, upper: Ints, couplers: Adjacency
) -> Floats:
    """Bound how much each row's optimum rises when only keys that stay may be chosen.

    Exchanging a dropped key i for an unused key j that stays costs at most
    ``a_j - a_i + sum_l max(b_jl - b_il, 0)``. A row that keeps k keys uses at most k - 1 of those
    that stay, so one of the k cheapest is free; and at most min(k, dropped) exchanges are needed.

    Args:
        rows: the rows.
        stays: per entry of ``rows.var``, whether the key stays; at least k of each row do.
        linear, upper, couplers: the objective, and the largest value of each variable.

    Returns:
        One bound per row, in energy units; 0 where nothing is dropped.
    """
    ptr, var, count = rows
    slot = np.full(len(linear), -1, np.int64)
    bounds = np.zeros(len(count))
    longest = longest_row(ptr)
    stay, spot = np.empty(longest, np.int64), np.empty(longest, np.int64)
    worst = np.empty(longest)
    for r in range(len(count)):
        start, n, k, m = ptr[r], ptr[r + 1] - ptr[r], count[r], 0
        for s in range(n):
            if stays[start + s]:
                stay[m], spot[s] = s, m
                m += 1
        if m == n or k == 0:
            continue
        for s in range(n):
            slot[var[start + s]] = s
        local = np.empty((n, n))
        outside = load_row(var[start : start + n], slot, couplers, local)
        # Columns of the keys that stay, side by side: a dropped key meets all of them at a time.
        columns, costs = np.empty((n, m)), np.empty(m)
        for s in range(n):
            for c in range(m):
                columns[s, c] = local[s, stay[c]]
        dropped = 0
        for a in range(n):
            if stays[start + a]:
                continue
            u = var[start + a]
            for c in range(m):
                costs[c] = linear[var[start + stay[c]]] - linear[u]
            for s in range(n):
                if s == a:
                    continue
                base, kept = local[s, a], stays[start + s]
                before = costs[spot[s]] if kept else 0.0
                for c in range(m):
                    costs[c] += max(columns[s, c] - base, 0.0)
                if kept:
                    costs[spot[s]] = before
            if outside:
                for c in range(m):
                    costs[c] += _outside_gain(u, var[start + stay[c]], slot, couplers, upper)
            # The search rearranges the costs, which the next key starts anew.
            cost, d = max(kth_smallest(costs, k), 0.0), dropped
            while d > 0 and worst[d - 1] > cost:
                worst[d] = worst[d - 1]
                d -= 1
            worst[d] = cost
            dropped += 1
        for d in range(max(dropped - k, 0), dropped):
            bounds[r] += worst[d]
        for s in range(n):
            slot[var[start + s]] = -1
    return bounds


@kernel
def plain_counts(
    ptr: Longs, var: Ints, coef: Floats, uses: Longs, upper: Ints
) -> tuple[Bools, Floats]:
    """Return which rows have coefficients of one over variables used once, and how far they reach.

    Args:
        ptr, var, coef: the rows.
        uses: of each variable, how many rows list it; upper: its largest value.
    """
    plain, reach = np.ones(len(ptr) - 1, np.bool_), np.zeros(len(ptr) - 1)
    for r in range(len(ptr) - 1):
        for e in range(ptr[r], ptr[r + 1]):
            if coef[e] != 1.0 or uses[var[e]] != 1:
                plain[r] = False
            reach[r] += upper[var[e]]
    return plain, reach


@kernel
def dominated_keys(rows: CountRows, linear: Floats, upper: Ints, couplers: Adjacency) -> Array:
    """Find keys that every optimum leaves out, or takes, by swap dominance.

    Key i is out of every optimum when at least k other keys j beat it: exchanging i for j lowers
    the energy whatever the rest is. It is in every optimum when it beats at least n - k others.
    Decided keys no longer count as "the rest", so the search repeats until it decides none.

    Args:
        rows, linear, upper, couplers: see `swap_costs`.

    Returns:
        int8 per entry of ``rows.var``: -1 out, 1 in, 0 open.
    """
    ptr, var, count = rows
    slot = np.full(len(linear), -1, np.int64)
    decided = np.zeros(len(var), np.int8)
    for r in range(len(count)):
        members = var[ptr[r] : ptr[r + 1]]
        n = len(members)
        for s in range(n):
            slot[members[s]] = s
        local = np.empty((n, n))
        outside = load_row(members, slot, couplers, local)
        live = np.ones(n, np.bool_)
        state = np.zeros(n, np.int8)
        fields = linear[members].copy()
        scale = np.abs(fields).sum() + np.abs(local).sum()
        k, size = count[r], n
        changed = True
        while changed and 0 < k < size:
            changed = False
            beaten = np.zeros(n, np.int64)
            beats = np.zeros(n, np.int64)
            for a in range(n):
                for b in range(n):
                    if a == b or not live[a] or not live[b]:
                        continue
                    cost = _swap_cost(local, fields[a], fields[b], a, b, live)
                    if outside:
                        cost += _outside_gain(members[a], members[b], slot, couplers, upper)
                    if cost < -1e-12 * scale:
                        beaten[a] += 1
                        beats[b] += 1
            for a in range(n):
                if not live[a]:
                    continue
                if beaten[a] >= k:
                    state[a] = -1
                elif beats[a] >= size - k:
                    state[a] = 1
                else:
                    continue
                changed = True
            for a in range(n):
                if live[a] and state[a] != 0:
                    live[a] = False
                    size -= 1
                    if state[a] == 1:
                        k -= 1
                        for s in range(n):
                            fields[s] += local[a, s]
        for s in range(n):
            if state[s] == 0 and live[s] and (k == 0 or k == size):
                state[s] = 1 if k else -1
            decided[ptr[r] + s] = state[s]
            slot[members[s]] = -1
    return decided
