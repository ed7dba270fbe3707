"""Rows with fewer couplers, or with coefficients of fewer bits, whose optimum provably stays.

A changed row is accepted when what is live in it and in the original (`kernels.live`) leaves the
optimum no room to rise, or no more than a budget. Rows keep exactly k keys and have no coupler to
other rows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Array, Bools, Floats, Ints, Longs
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.live import Live, change_bound, live_parts
from qubo_attn.kernels.relaxation import sorted_bounds
from qubo_attn.kernels.rows import Adjacency, CountRows, load_row

# Attempts to find couplers that can go together.
TRIES = 4
# The largest coefficient after cutting off, as a share of the largest before.
CUTS = (1.0, 0.5, 0.25, 0.125)


class ChangedRows(NamedTuple):
    """Fields after a change, and what the change does to each row.

    Attributes:
        linear: the new field of each variable.
        offset: change of the offset.
        bound: largest rise of the row's optimum.
        error: largest change of the energy of any selection of the row.
        tally: couplers that went without any rise, or bits that a coefficient has now (0 where the
            row was left alone).
    """

    linear: Floats
    offset: Floats
    bound: Floats
    error: Floats
    tally: Longs


class DenseRow(NamedTuple):
    """The objective of one row: ``constant + fields . z + z . local z / 2``."""

    local: Floats
    fields: Floats
    constant: float


@kernel
def _unchanged(linear: Floats, rows: int) -> ChangedRows:
    nothing = np.zeros((3, rows))
    tally = np.zeros(rows, np.int64)
    return ChangedRows(linear.copy(), nothing[0], nothing[1], nothing[2], tally)


@kernel
def _load(
    members: Ints, slot: Longs, number: Adjacency, linear: Floats, bias: Floats
) -> tuple[DenseRow, Floats]:
    """Return a row, and where each of its couplers stands in ``bias``, plus one."""
    n = len(members)
    for s in range(n):
        slot[members[s]] = s
    places, local = np.empty((n, n)), np.zeros((n, n))
    load_row(members, slot, number, places)
    for a in range(n):
        slot[members[a]] = -1
        for b in range(n):
            if places[a, b] > 0.0:
                local[a, b] = bias[int(places[a, b]) - 1]
    return DenseRow(local, linear[members].copy(), 0.0), places


@kernel
def _store(
    r: int,
    k: int,
    members: Ints,
    places: Floats,
    row: DenseRow,
    changed: DenseRow,
    rows: ChangedRows,
    bias: Floats,
) -> None:
    """Write a changed row back, and what the change does at any selection of k keys."""
    local, fields = changed.local - row.local, changed.fields - row.fields
    most = changed.constant - sorted_bounds(-local, -fields)[k]
    least = changed.constant + sorted_bounds(local, fields)[k]
    rows.error[r] = max(most, -least)
    rows.offset[r] = changed.constant
    for a in range(len(members)):
        rows.linear[members[a]] = changed.fields[a]
        for b in range(len(members)):
            if places[a, b] > 0.0:
                bias[int(places[a, b]) - 1] = changed.local[a, b]


@kernel
def _rise(row: DenseRow, live: Live, changed: DenseRow, after: Live, k: int) -> float:
    """Bound the rise of a row's optimum by a change; ``live`` and ``after`` say what is live."""
    return change_bound(changed.local - row.local, changed.fields - row.fields, k, live, after)


@kernel
def _noise(row: DenseRow) -> float:
    """Return the largest rise that rounding alone may show."""
    return float(1e-10 * (np.abs(row.fields).sum() + np.abs(row.local).sum()))


@kernel
def _spread_of(row: DenseRow, k: int, good: float) -> float:
    """Return how much more a random selection costs on average than a good one."""
    n = len(row.fields)
    pair = 0.5 * row.local.sum() * k * (k - 1.0) / (n * (n - 1.0))
    return float(max(row.fields.sum() * k / n + pair - good, 0.0))


@kernel
def _without(row: DenseRow, dropped: Bools, folded: Bools, chosen: Array) -> DenseRow:
    """Return a row without its ``dropped`` couplers.

    Where ``folded``, a coupler becomes fields: ``z_i z_j`` is replaced by ``z_i c_j + c_i z_j -
    c_i c_j`` with c the chosen selection, which is wrong only where both keys differ from it.
    """
    n, constant = len(row.fields), 0.0
    local, fields = row.local.copy(), row.fields.copy()
    for a in range(n):
        for b in range(n):
            if a != b and dropped[a, b]:
                local[a, b] = 0.0
                if folded[a, b] and chosen[b]:
                    fields[a] += row.local[a, b]
                    if chosen[a]:
                        constant -= 0.5 * row.local[a, b]
    return DenseRow(local, fields, constant)


@kernel
def _needless(row: DenseRow, live: Live, k: int, steps: int) -> tuple[Bools, Bools]:
    """Return which couplers can go without a rise of the optimum, and which would be folded.

    These are couplers of keys that no best selection holds together, and those of decided keys,
    which are folded; none where that is not proven.
    """
    n = len(row.fields)
    dropped, folded = np.zeros((n, n), np.bool_), np.zeros((n, n), np.bool_)
    for a in range(n):
        for b in range(n):
            decided = live.state[a] != 0 or live.state[b] != 0
            dropped[a, b] = a != b and row.local[a, b] != 0.0 and (decided or not live.pairs[a, b])
            folded[a, b] = decided
    for _ in range(TRIES):
        changed = _without(row, dropped, folded, live.chosen)
        after = live_parts(changed.local, changed.fields, k, steps)
        if _rise(row, live, changed, after, k) <= _noise(row):
            return dropped, folded
        for a in range(n):
            for b in range(n):
                loose = live.state[a] != after.state[a] or live.state[b] != after.state[b]
                if loose or (after.pairs[a, b] and not live.pairs[a, b]):
                    dropped[a, b] = False
    dropped[:] = False
    return dropped, folded


@kernel
def _and_first(marked: Bools, order: Longs, couplers: int) -> Bools:
    """Return the marked couplers and the first of an order of entries."""
    n, more = len(marked), marked.copy()
    # Both entries of a coupler are equal, so they are neighbours in the order.
    for t in range(2 * couplers):
        a, b = order[t] // n, order[t] % n
        more[a, b], more[b, a] = True, True
    return more


@kernel
def _without_weakest(
    row: DenseRow, live: Live, k: int, steps: int, dropped: Bools, folded: Bools, allowed: float
) -> tuple[DenseRow, float]:
    """Return a row without ``dropped`` and the weakest of the other couplers, and the rise.

    As many are folded as keep the rise within what is ``allowed``.
    """
    changed, rise = _without(row, dropped, folded, live.chosen), 0.0
    low, high = 0, int(np.count_nonzero(changed.local)) // 2
    order = np.argsort(np.abs(changed.local).ravel())[changed.local.size - 2 * high :]
    while low < high:
        middle = (low + high + 1) // 2
        more = _and_first(dropped, order, middle), _and_first(folded, order, middle)
        trial = _without(row, more[0], more[1], live.chosen)
        bound = _rise(row, live, trial, live_parts(trial.local, trial.fields, k, steps), k)
        if bound <= allowed:
            low, rise, changed = middle, bound, trial
        else:
            high = middle - 1
    return changed, rise


@kernel
def drop_couplers(
    rows: CountRows, linear: Floats, number: Adjacency, bias: Floats, budget: float, steps: int
) -> ChangedRows:
    """Drop couplers of rows that have no coupler to other rows.

    First those that go by proof. Then the weakest of the rest, folded at a good selection, as many
    as the budget allows.

    Args:
        rows: the rows.
        linear: of all variables.
        number: the place of each coupler in ``bias``, plus one.
        bias: couplers; those dropped become 0, in place.
        budget: rise of the optimum allowed, as a share of what a random selection costs above a
            good one.
        steps: gradient steps of the relaxation.
    """
    changed_rows = _unchanged(linear, len(rows.keep))
    slot = np.full(len(linear), -1, np.int64)
    for r in range(len(rows.keep)):
        members, k = rows.var[rows.ptr[r] : rows.ptr[r + 1]], rows.keep[r]
        if not 0 < k < len(members):
            continue
        row, places = _load(members, slot, number, linear, bias)
        live = live_parts(row.local, row.fields, k, steps)
        dropped, folded = _needless(row, live, k, steps)
        changed_rows.tally[r] = dropped.sum() // 2
        allowed = budget * _spread_of(row, k, live.energy)
        if allowed > 0.0:
            changed, rise = _without_weakest(row, live, k, steps, dropped, folded, allowed)
        else:
            changed, rise = _without(row, dropped, folded, live.chosen), 0.0
        changed_rows.bound[r] = rise if rise > _noise(row) else 0.0
        _store(r, k, members, places, row, changed, changed_rows, bias)
    return changed_rows


@kernel
def _rounded(row: DenseRow, chosen: Array, step: float, largest: float) -> DenseRow:
    """Return a row in whole multiples of a step, at most ``largest`` of them.

    Fields make up for what rounding the couplers does around the chosen selection.
    """
    n = len(row.fields)
    local, fields = np.empty((n, n)), np.empty(n)
    for a in range(n):
        lost = 0.0
        for b in range(n):
            whole = min(max(np.rint(row.local[a, b] / step), -largest), largest)
            local[a, b] = step * whole
            if chosen[b]:
                lost += row.local[a, b] - local[a, b]
        fields[a] = step * min(max(np.rint((row.fields[a] + lost) / step), -largest), largest)
    return DenseRow(local, fields, 0.0)


@kernel
def _of_fewest_bits(
    row: DenseRow, live: Live, k: int, steps: int, most: int, allowed: float
) -> tuple[DenseRow, float, int]:
    """Return a row of as few bits as the allowed rise leaves, the rise, and the bits.

    From ``most`` bits down; 0 bits where not even these are proven, and the row as it was.
    """
    size = max(np.abs(row.fields).max(), np.abs(row.local).max())
    changed, rise, bits, width = row, 0.0, 0, most
    while size > 0.0 and width >= 2:
        largest = 2.0 ** (width - 1) - 1.0
        for cut in CUTS:
            trial = _rounded(row, live.chosen, cut * size / largest, largest)
            bound = _rise(row, live, trial, live_parts(trial.local, trial.fields, k, steps), k)
            if bound <= allowed:
                changed, rise, bits = trial, bound, width
                break
        if bits != width:
            break
        width -= 1
    return changed, rise, bits


@kernel
def compress_rows(
    rows: CountRows,
    linear: Floats,
    number: Adjacency,
    bias: Floats,
    budget: float,
    most: int,
    steps: int,
) -> ChangedRows:
    """Round the coefficients of rows to as few bits as their optimum, or a budget, allows.

    Fields are centred first, which a fixed count makes free. Then, from ``most`` bits down, they
    and the couplers become whole multiples of a step, the largest of which may be cut off.

    Args:
        rows, linear, number, bias, budget, steps: see `drop_couplers`; ``bias`` is rounded in
            place.
        most: bits to start from, sign included.
    """
    changed_rows = _unchanged(linear, len(rows.keep))
    slot = np.full(len(linear), -1, np.int64)
    for r in range(len(rows.keep)):
        members, k = rows.var[rows.ptr[r] : rows.ptr[r + 1]], rows.keep[r]
        if not 0 < k < len(members):
            continue
        row, places = _load(members, slot, number, linear, bias)
        live = live_parts(row.local, row.fields, k, steps)
        allowed = max(budget * _spread_of(row, k, live.energy), _noise(row))
        centre = 0.5 * (row.fields.max() + row.fields.min())
        centred = DenseRow(row.local, row.fields - centre, 0.0)
        changed, rise, bits = _of_fewest_bits(centred, live, k, steps, most, allowed)
        if bits == 0:
            continue
        changed_rows.tally[r] = bits
        changed_rows.bound[r] = rise if rise > _noise(row) else 0.0
        # One constant keeps the chosen selection where it was.
        constant = live.energy
        for a in range(len(members)):
            if live.chosen[a]:
                constant -= changed.fields[a]
                for b in range(a):
                    if live.chosen[b]:
                        constant -= changed.local[a, b]
        changed = DenseRow(changed.local, changed.fields, constant)
        _store(r, k, members, places, row, changed, changed_rows, bias)
    return changed_rows
