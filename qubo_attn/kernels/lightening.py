"""Lighter rows: fewer couplers, or coefficients of fewer bits, while the optimum provably stays.

A changed row is accepted when what is live in it and in the original (`kernels.live`) leaves the
optimum no room to rise, or no more than a budget. Rows keep exactly k keys and have no coupler to
other rows.
"""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Array, Bools, Floats, Ints, Longs
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.live import change_bound, live_parts
from qubo_attn.kernels.relaxation import sorted_bounds
from qubo_attn.kernels.rows import load_row

# Attempts to find couplers that can go together.
TRIES = 4
# The largest coefficient after cutting off, as a share of the largest before.
CUTS = (1.0, 0.5, 0.25, 0.125)


@kernel
def _load(
    members: Ints,
    slot: Longs,
    first: Longs,
    neighbour: Ints,
    number: Floats,
    bias: Floats,
    places: Floats,
    local: Floats,
) -> None:
    """Fill the row's couplers, and where each stands in ``bias``, plus one."""
    load_row(members, slot, first, neighbour, number, places)
    for a in range(len(members)):
        for b in range(len(members)):
            local[a, b] = bias[int(places[a, b]) - 1] if places[a, b] > 0.0 else 0.0


@kernel
def _store(
    members: Ints, places: Floats, local: Floats, fields: Floats, linear: Floats, bias: Floats
) -> None:
    """Write a row back."""
    for a in range(len(members)):
        linear[members[a]] = fields[a]
        for b in range(len(members)):
            if places[a, b] > 0.0:
                bias[int(places[a, b]) - 1] = local[a, b]


@kernel
def _error(local: Floats, fields: Floats, constant: float, k: int) -> float:
    """Bound the size of a change at any selection of k keys."""
    most = constant - sorted_bounds(-local, -fields)[k]
    least = constant + sorted_bounds(local, fields)[k]
    return float(max(most, -least))


@kernel
def _without(
    local: Floats,
    fields: Floats,
    dropped: Bools,
    folded: Bools,
    chosen: Array,
    new_local: Floats,
    new_fields: Floats,
) -> float:
    """Fill a row without its ``dropped`` couplers; return the constant that goes with it.

    Where ``folded``, a coupler becomes fields: ``z_i z_j`` is replaced by ``z_i c_j + c_i z_j -
    c_i c_j`` with c the chosen selection, which is wrong only where both keys differ from it.
    """
    n, constant = len(fields), 0.0
    new_local[:] = local
    new_fields[:] = fields
    for a in range(n):
        for b in range(n):
            if a != b and dropped[a, b]:
                new_local[a, b] = 0.0
                if folded[a, b] and chosen[b]:
                    new_fields[a] += local[a, b]
                    if chosen[a]:
                        constant -= 0.5 * local[a, b]
    return constant


@kernel
def _spread_of(local: Floats, fields: Floats, k: int, upper: float) -> float:
    """Return what a random selection costs above a good one, on average."""
    n = len(fields)
    if n < 2:
        return 0.0
    pair = 0.5 * local.sum() * k * (k - 1.0) / (n * (n - 1.0))
    return float(max(fields.sum() * k / n + pair - upper, 0.0))


@kernel
def drop_couplers(
    ptr: Longs,
    var: Ints,
    count: Longs,
    linear: Floats,
    first: Longs,
    neighbour: Ints,
    number: Floats,
    bias: Floats,
    budget: float,
    steps: int,
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Drop couplers of rows that have no coupler to other rows.

    First those whose keys no best selection holds together, and those of decided keys, which are
    folded into fields; kept if the optimum provably survives. Then the weakest of the rest, folded
    at a good selection, as many as the budget allows.

    Args:
        ptr, var, count: the rows and how many keys each keeps.
        linear, first, neighbour: fields and adjacency; number: the coupler's place in ``bias``
            plus one, in the order of the adjacency.
        bias: couplers; those dropped become 0, in place.
        budget: rise of the optimum allowed, as a share of what a random selection costs above a
            good one.
        steps: gradient steps of the relaxation.

    Returns:
        The new fields; per row the change of the offset, the bound of the rise, the bound of the
        change of any selection's energy, and how many couplers went without any rise.
    """
    rows = len(count)
    slot = np.full(len(linear), -1, np.int64)
    new_linear = linear.copy()
    offsets, bounds, errors, free = np.zeros(rows), np.zeros(rows), np.zeros(rows), np.zeros(rows)
    for r in range(rows):
        members = var[ptr[r] : ptr[r + 1]]
        n, k = len(members), count[r]
        if not 0 < k < n:
            continue
        for s in range(n):
            slot[members[s]] = s
        places, local = np.empty((n, n)), np.empty((n, n))
        _load(members, slot, first, neighbour, number, bias, places, local)
        fields = linear[members].copy()
        state, new_state = np.zeros(n, np.int8), np.zeros(n, np.int8)
        pairs, new_pairs = np.ones((n, n), np.bool_), np.ones((n, n), np.bool_)
        chosen, other = np.zeros(n, np.uint8), np.zeros(n, np.uint8)
        upper = live_parts(local, fields, k, steps, state, pairs, chosen)
        slack = 1e-10 * (np.abs(fields).sum() + np.abs(local).sum())
        new_local, new_fields = np.empty((n, n)), np.empty(n)
        dropped, folded = np.zeros((n, n), np.bool_), np.zeros((n, n), np.bool_)
        present = 0
        for a in range(n):
            for b in range(n):
                decided = state[a] != 0 or state[b] != 0
                dropped[a, b] = a != b and local[a, b] != 0.0 and (decided or not pairs[a, b])
                folded[a, b] = decided
                present += a < b and local[a, b] != 0.0
        constant, rise = 0.0, np.inf
        for _ in range(TRIES):
            constant = _without(local, fields, dropped, folded, chosen, new_local, new_fields)
            live_parts(new_local, new_fields, k, steps, new_state, new_pairs, other)
            rise = change_bound(
                new_local - local, new_fields - fields, k, state, pairs, new_state, new_pairs
            )
            if rise <= slack:
                break
            for a in range(n):
                for b in range(n):
                    loose = state[a] != new_state[a] or state[b] != new_state[b]
                    if loose or (new_pairs[a, b] and not pairs[a, b]):
                        dropped[a, b] = False
        if rise > slack:
            dropped[:] = False
        rise = 0.0
        constant = _without(local, fields, dropped, folded, chosen, new_local, new_fields)
        free[r] = dropped.sum() / 2
        allowed = budget * _spread_of(local, fields, k, upper)
        left = present - int(free[r])
        if allowed > 0.0 and left > 0:
            order = np.argsort(np.abs(new_local).ravel())[n * n - 2 * left :]
            low, high = 0, left
            trial, trial_folded = dropped.copy(), folded.copy()
            while low < high:
                middle = (low + high + 1) // 2
                trial[:], trial_folded[:] = dropped, folded
                # Both entries of a coupler are equal, so they are neighbours in the order.
                for t in range(2 * middle):
                    a, b = order[t] // n, order[t] % n
                    trial[a, b], trial[b, a] = True, True
                    trial_folded[a, b], trial_folded[b, a] = True, True
                c = _without(local, fields, trial, trial_folded, chosen, new_local, new_fields)
                live_parts(new_local, new_fields, k, steps, new_state, new_pairs, other)
                found = change_bound(
                    new_local - local, new_fields - fields, k, state, pairs, new_state, new_pairs
                )
                if found <= allowed:
                    low, rise, constant = middle, found, c
                else:
                    high = middle - 1
            trial[:], trial_folded[:] = dropped, folded
            for t in range(2 * low):
                a, b = order[t] // n, order[t] % n
                trial[a, b], trial[b, a] = True, True
                trial_folded[a, b], trial_folded[b, a] = True, True
            constant = _without(local, fields, trial, trial_folded, chosen, new_local, new_fields)
        bounds[r] = rise if rise > slack else 0.0
        errors[r] = _error(new_local - local, new_fields - fields, constant, k)
        offsets[r] = constant
        _store(members, places, new_local, new_fields, new_linear, bias)
        for s in range(n):
            slot[members[s]] = -1
    return new_linear, offsets, bounds, errors, free


@kernel
def _rounded(
    local: Floats,
    fields: Floats,
    chosen: Array,
    step: float,
    largest: float,
    new_local: Floats,
    new_fields: Floats,
) -> None:
    """Fill a row in whole multiples of a step, at most ``largest`` of them.

    Fields make up for what rounding the couplers does around the chosen selection.
    """
    n = len(fields)
    for a in range(n):
        lost = 0.0
        for b in range(n):
            whole = min(max(np.rint(local[a, b] / step), -largest), largest)
            new_local[a, b] = step * whole
            if chosen[b]:
                lost += local[a, b] - new_local[a, b]
        new_fields[a] = step * min(max(np.rint((fields[a] + lost) / step), -largest), largest)


@kernel
def compress_rows(
    ptr: Longs,
    var: Ints,
    count: Longs,
    linear: Floats,
    first: Longs,
    neighbour: Ints,
    number: Floats,
    bias: Floats,
    budget: float,
    most: int,
    steps: int,
) -> tuple[Floats, Floats, Floats, Floats, Longs]:
    """Round the coefficients of rows to as few bits as their optimum, or a budget, allows.

    Fields are centred first, which a fixed count makes free. Then, from ``most`` bits down, they
    and the couplers become whole multiples of a step, the largest of which may be cut off.

    Args:
        ptr, var, count, linear, first, neighbour, number, bias, budget, steps: see `drop_couplers`;
            ``bias`` is rounded in place.
        most: bits to start from, sign included.

    Returns:
        The new fields; per row the change of the offset, the bound of the rise, the bound of the
        change of any selection's energy, and the bits (0 where the row was left alone).
    """
    rows = len(count)
    slot = np.full(len(linear), -1, np.int64)
    new_linear = linear.copy()
    offsets, bounds, errors = np.zeros(rows), np.zeros(rows), np.zeros(rows)
    bits = np.zeros(rows, np.int64)
    for r in range(rows):
        members = var[ptr[r] : ptr[r + 1]]
        n, k = len(members), count[r]
        if not 0 < k < n:
            continue
        for s in range(n):
            slot[members[s]] = s
        places, local = np.empty((n, n)), np.empty((n, n))
        _load(members, slot, first, neighbour, number, bias, places, local)
        fields = linear[members].copy()
        centre = 0.5 * (fields.max() + fields.min())
        centred = fields - centre
        state, new_state = np.zeros(n, np.int8), np.zeros(n, np.int8)
        pairs, new_pairs = np.ones((n, n), np.bool_), np.ones((n, n), np.bool_)
        chosen, other = np.zeros(n, np.uint8), np.zeros(n, np.uint8)
        upper = live_parts(local, fields, k, steps, state, pairs, chosen)
        slack = 1e-10 * (np.abs(fields).sum() + np.abs(local).sum())
        allowed = max(budget * _spread_of(local, fields, k, upper), slack)
        size = max(np.abs(centred).max(), np.abs(local).max())
        new_local, new_fields = np.empty((n, n)), np.empty(n)
        best_local, best_fields = local.copy(), fields.copy()
        rise, width = 0.0, most
        while size > 0.0 and width >= 2:
            largest = 2.0 ** (width - 1) - 1.0
            done = False
            for cut in CUTS:
                step = cut * size / largest
                _rounded(local, centred, chosen, step, largest, new_local, new_fields)
                live_parts(new_local, new_fields, k, steps, new_state, new_pairs, other)
                found = change_bound(
                    new_local - local, new_fields - centred, k, state, pairs, new_state, new_pairs
                )
                if found <= allowed:
                    best_local[:], best_fields[:] = new_local, new_fields
                    rise, bits[r], done = found, width, True
                    break
            if not done:
                break
            width -= 1
        if bits[r] > 0:
            bounds[r] = rise if rise > slack else 0.0
            # One constant keeps the chosen selection where it was.
            offsets[r] = upper
            for a in range(n):
                if chosen[a]:
                    offsets[r] -= best_fields[a]
                    for b in range(a):
                        if chosen[b]:
                            offsets[r] -= best_local[a, b]
            errors[r] = _error(best_local - local, best_fields - fields, offsets[r], k)
            _store(members, places, best_local, best_fields, new_linear, bias)
        for s in range(n):
            slot[members[s]] = -1
    return new_linear, offsets, bounds, errors, bits


@kernel
def dynamic_ranges(
    ptr: Longs,
    var: Ints,
    linear: Floats,
    first: Longs,
    neighbour: Ints,
    number: Floats,
    bias: Floats,
) -> Floats:
    """Return ``log2`` of the largest over the smallest distance of each row's coefficients.

    Zero is one of them, as absent couplers are. See `drop_couplers` for the arguments.
    """
    rows = len(ptr) - 1
    slot = np.full(len(linear), -1, np.int64)
    ranges = np.zeros(rows)
    for r in range(rows):
        members = var[ptr[r] : ptr[r + 1]]
        n = len(members)
        for s in range(n):
            slot[members[s]] = s
        places, local = np.empty((n, n)), np.empty((n, n))
        _load(members, slot, first, neighbour, number, bias, places, local)
        values = np.zeros(n + n * (n - 1) // 2 + 1)
        t = 0
        for a in range(n):
            values[t] = linear[members[a]]
            t += 1
            for b in range(a):
                values[t] = local[a, b]
                t += 1
            slot[members[a]] = -1
        values.sort()
        span = values[-1] - values[0]
        least = span
        for t in range(1, len(values)):
            gap = values[t] - values[t - 1]
            if 1e-12 * span < gap < least:
                least = gap
        ranges[r] = np.log2(span / least) if span > 0.0 else 0.0
    return ranges
