"""What can be said of a row that keeps exactly k of its keys, from its couplers alone.

A row's variables lie at ``var[ptr[r]:ptr[r + 1]]``. Couplers come as an adjacency in both
directions (`adjacency`), so that couplers to other rows count as well: a neighbour elsewhere may
take any value up to its ``upper``.
"""

from __future__ import annotations

import numpy as np

from qubo_attn.arrays import Array, Bools, Floats, Ints, Longs
from qubo_attn.kernels._jit import kernel


@kernel
def adjacency(n: int, i: Ints, j: Ints, bias: Floats) -> tuple[Longs, Ints, Floats]:
    """Return sorted couplers as CSR in both directions: row pointer, neighbour, value."""
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
    return ptr, neighbour, value


@kernel
def load_row(
    members: Ints,
    slot: Longs,
    first: Longs,
    neighbour: Ints,
    value: Floats,
    local: Floats,
) -> bool:
    """Fill the dense matrix of a row's own couplers; return whether it has others."""
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
def _outside_gain(
    u: int, v: int, slot: Longs, first: Longs, neighbour: Ints, value: Floats, upper: Ints
) -> float:
    """Return ``sum_l max(b_vl - b_ul, 0) upper_l`` over neighbours l outside the row."""
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
    ptr: Longs,
    var: Ints,
    count: Longs,
    kept: Bools,
    linear: Floats,
    upper: Ints,
    first: Longs,
    neighbour: Ints,
    value: Floats,
) -> Floats:
    """Bound how much each row's optimum rises when only its ``kept`` keys may be chosen.

    Exchanging a dropped key i for an unused kept key j costs at most
    ``a_j - a_i + sum_l max(b_jl - b_il, 0)``. At most ``count - 1`` kept keys are in use, so one of
    the ``count`` cheapest is free; and at most min(count, dropped) exchanges are needed.

    Args:
        ptr, var: the rows; count: keys each keeps.
        kept: per entry of ``var``, whether the key stays. Every row keeps at least ``count``.
        linear, upper, first, neighbour, value: the objective, as columns and adjacency.

    Returns:
        One bound per row, in energy units; 0 where nothing is dropped.
    """
    slot = np.full(len(linear), -1, np.int64)
    bounds = np.zeros(len(count))
    for r in range(len(count)):
        members = var[ptr[r] : ptr[r + 1]]
        keep = kept[ptr[r] : ptr[r + 1]]
        n = len(members)
        k = count[r]
        dropped = n - keep.sum()
        if dropped == 0 or k == 0:
            continue
        for s in range(n):
            slot[members[s]] = s
        local = np.empty((n, n))
        outside = load_row(members, slot, first, neighbour, value, local)
        # Columns of the kept keys, side by side; one dropped key against all of them at a time.
        stay = np.flatnonzero(keep)
        m = len(stay)
        columns = np.empty((n, m))
        for s in range(n):
            for c in range(m):
                columns[s, c] = local[s, stay[c]]
        spot = np.full(n, -1, np.int64)
        spot[stay] = np.arange(m)
        costs = np.empty(m)
        worst = np.zeros(dropped)
        d = 0
        for a in range(n):
            if keep[a]:
                continue
            u = members[a]
            for c in range(m):
                costs[c] = linear[members[stay[c]]] - linear[u]
            for s in range(n):
                if s == a:
                    continue
                own, base = columns[s], local[s, a]
                before = costs[spot[s]] if keep[s] else 0.0
                for c in range(m):
                    costs[c] += max(own[c] - base, 0.0)
                if keep[s]:
                    costs[spot[s]] = before
            if outside:
                for c in range(m):
                    v = members[stay[c]]
                    costs[c] += _outside_gain(u, v, slot, first, neighbour, value, upper)
            worst[d] = max(np.partition(costs, k - 1)[k - 1], 0.0)
            d += 1
        worst.sort()
        bounds[r] = worst[max(dropped - k, 0) :].sum()
        for s in range(n):
            slot[members[s]] = -1
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
def ranks(ptr: Longs, first: Array, mass: Floats) -> Longs:
    """Return the rank of each entry in its row: by falling ``first``, then by falling ``mass``.

    Entries that tie stay in their order; ``first`` has few different values.
    """
    rank = np.empty(len(mass), np.int64)
    for r in range(len(ptr) - 1):
        start, n = ptr[r], ptr[r + 1] - ptr[r]
        order = np.argsort(-mass[start : start + n], kind="mergesort")
        place, level = 0, 127
        while place < n:
            # The next lower value of ``first``, and all that have it.
            below = -128
            for a in range(n):
                if first[start + a] < level:
                    below = max(below, first[start + a])
            level = below
            for a in order:
                if first[start + a] == level:
                    rank[start + a] = place
                    place += 1
    return rank


@kernel
def heaviest(ptr: Longs, first: Array, mass: Floats, room: Longs) -> Bools:
    """Return which entries have a rank below their row's ``room``; see `ranks`."""
    kept = np.ones(len(mass), np.bool_)
    for r in range(len(room)):
        start, n, most = ptr[r], ptr[r + 1] - ptr[r], room[r]
        if most >= n:
            continue
        kept[start : start + n] = False
        # The best so far, best first; a newcomer goes behind those that tie with it.
        held, count = np.empty(max(most, 1), np.int64), 0
        for a in range(start, start + n):
            place = count
            while place > 0:
                before = held[place - 1]
                if first[before] > first[a]:
                    break
                if first[before] == first[a] and mass[before] >= mass[a]:
                    break
                place -= 1
            if place >= most:
                continue
            count = min(count + 1, most)
            for b in range(count - 1, place, -1):
                held[b] = held[b - 1]
            held[place] = a
        for b in range(count):
            kept[held[b]] = True
    return kept


@kernel
def dominated_keys(
    ptr: Longs,
    var: Ints,
    count: Longs,
    linear: Floats,
    upper: Ints,
    first: Longs,
    neighbour: Ints,
    value: Floats,
) -> Array:
    """Find keys that every optimum leaves out, or takes, by swap dominance.

    Key i is out of every optimum when at least k other keys j beat it: exchanging i for j lowers
    the energy whatever the rest is. It is in every optimum when it beats at least n - k others.
    Found keys no longer count as "the rest", so the search repeats until nothing is found.

    Returns:
        int8 per entry of ``var``: -1 out, 1 in, 0 open.
    """
    slot = np.full(len(linear), -1, np.int64)
    found = np.zeros(len(var), np.int8)
    for r in range(len(count)):
        members = var[ptr[r] : ptr[r + 1]]
        n = len(members)
        for s in range(n):
            slot[members[s]] = s
        local = np.empty((n, n))
        outside = load_row(members, slot, first, neighbour, value, local)
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
                        cost += _outside_gain(
                            members[a], members[b], slot, first, neighbour, value, upper
                        )
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
            found[ptr[r] + s] = state[s]
            slot[members[s]] = -1
    return found


@kernel
def _extremes(values: Floats, most: int, least: int, held: Floats) -> tuple[float, float]:
    """Return the largest sum of at most ``most``, and the smallest of at least ``least``, values.

    ``held`` has room for as many; the values may be rearranged.
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
            values[:] = np.partition(values, min(least, n) - 1)
            smallest = values[: min(least, n)].sum()
        else:
            smallest = -_best(values, -1.0, min(least, n), held)
    if above > most:
        if n > 48 and most > 0:
            values[:] = np.partition(values, n - most)
            largest = values[n - most :].sum()
        else:
            largest = _best(values, 1.0, most, held)
    return largest, smallest


@kernel
def _best(values: Floats, sign: float, count: int, held: Floats) -> float:
    """Return the largest sum of ``count`` of the values times ``sign``."""
    best = held[:count]
    best[:] = -np.inf
    for s in range(len(values)):
        value = sign * values[s]
        # Those held fall; each newcomer sinks to its place, and the least drops out.
        for t in range(count):
            high, low = max(value, best[t]), min(value, best[t])
            best[t], value = high, low
    return float(best.sum())


@kernel
def _extremes_of_all(local: Floats, k: int, largest: Floats, smallest: Floats) -> None:
    """Fill in what `_extremes` gives of each row of a symmetric matrix, at most k - 1, at least k.

    All of them at once: the same step of each is one vector.
    """
    n = len(local)
    best, least = np.zeros((max(k - 1, 0), n)), np.full((k, n), np.inf)
    value = np.empty(n)
    largest[:], smallest[:] = 0.0, 0.0
    for s in range(n):
        column = local[s]
        for a in range(n):
            smallest[a] += min(column[a], 0.0)
        # Those held fall; each newcomer sinks to its place, and the last drops out.
        value[:] = column
        value[s] = 0.0
        for t in range(len(best)):
            held = best[t]
            for a in range(n):
                high, low = max(value[a], held[a]), min(value[a], held[a])
                held[a], value[a] = high, low
        value[:] = column
        value[s] = np.inf
        for t in range(k):
            held = least[t]
            for a in range(n):
                high, low = max(value[a], held[a]), min(value[a], held[a])
                held[a], value[a] = low, high
    for t in range(len(best)):
        largest += best[t]
    # All below zero, and of the k smallest those above it.
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
        taken = min(float(rooms[s]), left)
        total += values[s] * taken
        left -= taken
    return total


@kernel
def _least(values: Floats, rooms: Array, least: float) -> float:
    """Return the smallest ``sum v_s w_s`` over 0 <= w_s <= rooms_s with ``sum w_s >= least``."""
    total, left = 0.0, least
    for s in np.argsort(values):
        if values[s] >= 0.0 and left <= 0.0:
            break
        taken = float(rooms[s]) if values[s] < 0.0 else min(float(rooms[s]), left)
        total += values[s] * taken
        left -= taken
    return total


@kernel
def step_costs(
    ptr: Longs,
    var: Ints,
    count: Longs,
    linear: Floats,
    upper: Ints,
    square: Floats,
    first: Longs,
    neighbour: Ints,
    value: Floats,
) -> tuple[Floats, Floats]:
    """Bound what one corrective unit step costs in a row that adds up to too little, or too much.

    Below its count k, a row's other variables add up to at most k - 1. The variable that is raised
    may be picked; those at their largest value cannot be, and their largest values add up to at
    most k - 1, so the cheapest variables are passed over only so far. Likewise above k, where at
    least k lie on the others, and only variables above zero can be lowered. For bits this reads:
    the k-th cheapest addition and the (n - k)-th cheapest removal.

    Args:
        ptr, var, count: the rows and what each adds up to.
        linear, upper: of each variable; square: the coefficient of its square, 0 for bits.
        first, neighbour, value: couplers of different variables, in both directions.

    Returns:
        The cost of a step up and of a step down, per row, in energy units; -inf where no step of
        that direction is ever needed.
    """
    slot = np.full(len(linear), -1, np.int64)
    raise_costs, lower_costs = np.zeros(len(count)), np.zeros(len(count))
    for r in range(len(count)):
        members = var[ptr[r] : ptr[r + 1]]
        n, k = len(members), count[r]
        for s in range(n):
            slot[members[s]] = s
        rooms = upper[members].astype(np.float64)
        full = rooms.sum()
        bits = full == n
        up, down = np.empty(n), np.empty(n)
        own, held = np.empty(n), np.empty(n)
        few = bits and n <= 64 and 0 < k < min(n, 17)
        local = np.zeros((n, n) if few else (0, 0))
        for a in range(n):
            v = members[a]
            high, low = 0.0, 0.0
            if not few:
                own[:] = 0.0
            for e in range(first[v], first[v + 1]):
                s = slot[neighbour[e]]
                if s >= 0 and few:
                    local[a, s] = value[e]
                elif s >= 0:
                    own[s] = value[e]
                else:
                    high += max(value[e], 0.0) * upper[neighbour[e]]
                    low += min(value[e], 0.0) * upper[neighbour[e]]
            room = rooms[a]
            rooms[a] = 0.0
            # A step from w to w + 1 changes the square's term by its coefficient times 2 w + 1.
            steep, flat = square[v] * (2.0 * room - 1.0), square[v]
            if few:
                most, least = 0.0, 0.0
            elif bits:
                # The last takes the place of its own, which is zero.
                own[a] = own[n - 1]
                most, least = _extremes(own[: n - 1], max(k - 1, 0), k, held)
            else:
                most, least = _most(own, rooms, k - 1.0), _least(own, rooms, k + 1.0 - room)
            up[a] = linear[v] + max(steep, flat) + high + most
            down[a] = -linear[v] - min(steep, flat) - low - least
            rooms[a] = room
        raise_costs[r], lower_costs[r] = -np.inf, -np.inf
        for s in range(n):
            slot[members[s]] = -1
        if few:
            _extremes_of_all(local, k, own, held)
            up += own
            down -= held
        if bits:
            if k > 0:
                raise_costs[r] = np.partition(up, min(k, n) - 1)[min(k, n) - 1]
            if k < n:
                lower_costs[r] = np.partition(down, n - k - 1)[n - k - 1]
            continue
        passed = 0.0
        if k > 0:
            for s in np.argsort(up):
                raise_costs[r] = up[s]
                passed += rooms[s]
                if passed > k - 1.0:
                    break
        passed = 0.0
        if k < full:
            for s in np.argsort(down):
                lower_costs[r] = down[s]
                passed += rooms[s]
                if full - passed < k + 1.0:
                    break
    return raise_costs, lower_costs
