"""Kernel that mends reads of rows of bits that keep exactly, or at most, k: the usual case, quick.

The steps are those of `qubo_attn.kernels.repairing`; a row's couplings lie in a small matrix here,
and a read is the short list of its ones.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Array, Bools, Floats, Ints, Longs
from qubo_attn.common.threads import rows_at
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.blocks import MendedReads
from qubo_attn.kernels.rows import Adjacency, load_row


class CountBlocks(NamedTuple):
    """Rows of bits that no coupler joins to others.

    Attributes:
        ptr, var: the variables of row r are ``var[ptr[r]:ptr[r + 1]]``.
        keep: how many of them are one; equal: whether exactly so many, or at most.
    """

    ptr: Longs
    var: Ints
    keep: Longs
    equal: Bools

    def part(self, rows: slice) -> CountBlocks:
        """Return some of the rows."""
        ptr, entries = rows_at(self.ptr, rows)
        return CountBlocks(ptr, self.var[entries], self.keep[rows], self.equal[rows])


class BitReads(NamedTuple):
    """Reads as sampled, one line a read.

    Attributes:
        bits: int8, shape (m, columns).
        weight: how often each read occurred.
        column: of each variable; that of a constant where nothing was sampled for it.
    """

    bits: Array
    weight: Longs
    column: Longs


class _Row(NamedTuple):
    """One row, dense.

    Attributes:
        columns: of its variables in the reads.
        base, local: the objective: of each variable, and of each two, zeros on the diagonal.
        keep, equal: see `CountBlocks`.
    """

    columns: Longs
    base: Floats
    local: Floats
    keep: int
    equal: bool


class _Kinds(NamedTuple):
    """Reads of a row that differ, in the order in which they came.

    Attributes:
        first: the first read of each kind; times: how often reads of it occurred.
        held: whether they hold the count as sampled; energy: once mended.
    """

    first: Longs
    times: Longs
    held: Bools
    energy: Floats


# Steps of a descent, for each variable of a row, that are enough for any.
_STEPS = 8
# Rows of at most so many bits have reads that fit one number; equal ones are mended once.
_MASKED = 62


@kernel
def _kinds(reads: BitReads, columns: Longs, table: Longs, masks: Longs, kinds: _Kinds) -> int:
    """Tell the reads of a row apart; return how many kinds there are.

    Args:
        reads, columns: what was sampled of the row.
        table: room for kinds by their bits, a power of two of slots.
        masks: room, one entry a read.
        kinds: ``first`` and ``times`` are filled in.
    """
    bits, weight, _ = reads
    first, times, _, _ = kinds
    if len(columns) > _MASKED:
        for m in range(len(weight)):
            first[m], times[m] = m, weight[m]
        return len(weight)
    count, slots = 0, len(table) - 1
    table[:] = -1
    for m in range(len(weight)):
        mask = 0
        for t in range(len(columns)):
            mask |= (bits[m, columns[t]] != 0) << t
        place = (((mask ^ (mask >> 31)) & 0x7FFFFFFF) * 0x61C88647 >> 20) & slots
        while table[place] >= 0 and masks[table[place]] != mask:
            place = (place + 1) & slots
        if table[place] < 0:
            table[place], first[count], masks[count], times[count] = count, m, mask, 0
            count += 1
        times[table[place]] += weight[m]
    return count


@kernel
def _mend(
    bits: Array, row: _Row, kinds: _Kinds, low: int, high: int, ones: Longs, field: Floats
) -> int:
    """Mend reads of some kinds; the last one's ones and fields stay behind.

    One body: the calls of a step would take longer than the step.

    Args:
        bits: see `BitReads`.
        row: of these bits.
        kinds: those from ``low`` to ``high`` are mended; ``held`` and ``energy`` are filled in.
        ones: room for which variables are one.
        field: room for what each variable adds to the objective.

    Returns:
        How many ones the last read has.
    """
    columns, base, local, keep, equal = row
    first, _, held, energy = kinds
    n, c = len(columns), 0
    for d in range(low, high):
        m, c = first[d], 0
        for v in range(n):
            ones[c] = v
            c += bits[m, columns[v]] != 0
        held[d] = c == keep or (c < keep and not equal)
        for v in range(n):
            field[v] = base[v]
        for t in range(c):
            u = ones[t]
            for v in range(n):
                field[v] += local[u, v]
        while c > keep:
            # The dearest one falls, the first of equal ones.
            place = 0
            for t in range(1, c):
                if field[ones[t]] > field[ones[place]]:
                    place = t
            u = ones[place]
            c -= 1
            for t in range(place, c):
                ones[t] = ones[t + 1]
            for v in range(n):
                field[v] -= local[u, v]
        while c < min(keep, n) and equal:
            # The cheapest zero rises, the first of equal ones.
            u, t = -1, 0
            for v in range(n):
                if t < c and ones[t] == v:
                    t += 1
                elif u < 0 or field[v] < field[u]:
                    u = v
            t = c
            while t > 0 and ones[t - 1] > u:
                ones[t] = ones[t - 1]
                t -= 1
            ones[t] = u
            c += 1
            for v in range(n):
                field[v] += local[u, v]
        total = 0.0
        for t in range(c):
            total += 0.5 * (base[ones[t]] + field[ones[t]])
        energy[d] = total
    return c


@kernel
def _drop(ones: Longs, count: int, place: int) -> None:
    """Take one entry out of a list, in order."""
    for t in range(place, count - 1):
        ones[t] = ones[t + 1]


@kernel
def _insert(ones: Longs, count: int, value: int) -> None:
    """Put one entry into a list, in order."""
    t = count
    while t > 0 and ones[t - 1] > value:
        ones[t] = ones[t - 1]
        t -= 1
    ones[t] = value


@kernel
def _cheapest(values: Floats, ones: Longs, count: int) -> int:
    """Return where the least value is that no one stands at, the first of equal ones."""
    chosen, least, t = -1, np.inf, 0
    for v in range(len(values)):
        if t < count and ones[t] == v:
            t += 1
        elif chosen < 0 or values[v] < least:
            chosen, least = v, values[v]
    return chosen


@kernel
def _exchange(
    local: Floats, field: Floats, ones: Longs, count: int, least: float
) -> tuple[float, int, int]:
    """Return the best exchange of a one for a zero that costs less than ``least``.

    Returns:
        The cost, the zero, and the place of the one; -1 where there is none.
    """
    rising, falling = -1, -1
    for t in range(count):
        v, s = ones[t], 0
        for u in range(len(field)):
            if s < count and ones[s] == u:
                s += 1
                continue
            cost = field[u] - local[v, u] - field[v]
            if cost < least:
                least, rising, falling = cost, u, t
    return least, rising, falling


@kernel
def mend_counts(
    reads: BitReads,
    rows: CountBlocks,
    linear: Floats,
    couplers: Adjacency,
    every: bool,
    descends: bool,
) -> MendedReads:
    """Mend every read of every row, and take the best of each; see `mend_reads`.

    Args:
        reads: what was sampled.
        rows: counts of bits.
        linear, couplers: the objective.
        every, descends: see `mend_reads`.
    """
    count, most, widest = len(rows.keep), len(reads.weight), 0
    for r in range(count):
        widest = max(widest, rows.ptr[r + 1] - rows.ptr[r])
    slot = np.full(len(linear), -1, np.int64)
    point = np.zeros(len(rows.var), np.int32)
    feasible, sampled = np.zeros(count), np.full(count, np.inf)
    mended, descended = np.full(count, np.inf), np.full(count, np.inf)
    holds, total = np.zeros(count, np.bool_), 0
    for m in range(most):
        total += reads.weight[m]
    best, ones = np.zeros(count, np.int64), np.zeros(widest + 1, np.int64)
    slots = 4
    while slots < 2 * most:
        slots *= 2
    table, masks = np.zeros(slots, np.int64), np.zeros(most, np.int64)
    kinds = _Kinds(
        np.zeros(most, np.int64), np.zeros(most, np.int64), np.zeros(most, np.bool_), np.zeros(most)
    )
    for r in range(count):
        members = rows.var[rows.ptr[r] : rows.ptr[r + 1]]
        n, k = len(members), rows.keep[r]
        for s in range(n):
            slot[members[s]] = s
        local, base, columns = np.empty((n, n)), np.empty(n), np.empty(n, np.int64)
        load_row(members, slot, couplers, local)
        size = 0.0
        for s in range(n):
            slot[members[s]] = -1
            base[s] = linear[members[s]]
            reach = 0.0
            for t in range(n):
                reach += abs(local[s, t])
            size += abs(base[s]) + reach
            columns[s] = reads.column[members[s]]
        field, row = np.empty(n), _Row(columns, base, local, k, rows.equal[r])
        different = _kinds(reads, columns, table, masks, kinds)
        _mend(reads.bits, row, kinds, 0, different, ones, field)
        after, energy, chosen = True, np.inf, 0
        for d in range(different):
            if kinds.held[d]:
                feasible[r] += kinds.times[d]
                sampled[r] = min(sampled[r], kinds.energy[d])
            mended[r] = min(mended[r], kinds.energy[d])
            later = not every and not kinds.held[d]
            if later < after or (later == after and kinds.energy[d] < energy):
                after, energy, chosen = later, kinds.energy[d], d
        best[r] = kinds.first[chosen]
        c = _mend(reads.bits, row, kinds, chosen, chosen + 1, ones, field)
        # Rounding may not make it go round in circles.
        for _ in range(_STEPS * n if descends else 0):
            least, up, down = -1e-12 * size - 1e-300, -1, -1
            if not rows.equal[r]:
                for t in range(c):
                    if -field[ones[t]] < least:
                        least, down = -field[ones[t]], t
                v = _cheapest(field, ones, c) if c < k else -1
                if v >= 0 and field[v] < least:
                    least, up, down = field[v], v, -1
            cost, rising, falling = _exchange(local, field, ones, c, least)
            if falling >= 0:
                least, up, down = cost, rising, falling
            if up < 0 and down < 0:
                break
            energy += least
            if down >= 0:
                v = ones[down]
                for s in range(n):
                    field[s] -= local[v, s]
                _drop(ones, c, down)
                c -= 1
            if up >= 0:
                for s in range(n):
                    field[s] += local[up, s]
                _insert(ones, c, up)
                c += 1
        descended[r] = energy
        feasible[r] /= max(total, 1)
        holds[r] = mended[r] < np.inf
        for t in range(c):
            point[rows.ptr[r] + ones[t]] = 1
    return MendedReads(point, best, holds, feasible, sampled, mended, descended)
