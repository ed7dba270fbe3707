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


# Steps of a descent, for each variable of a row, that are enough for any.
_STEPS = 8


@kernel
def _ones(bits: Array, columns: Longs, ones: Longs) -> int:
    """Fill in which columns are one; return how many."""
    count = 0
    for t in range(len(columns)):
        ones[count] = t
        count += bits[columns[t]] != 0
    return count


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
def _dearest(values: Floats, ones: Longs, count: int) -> int:
    """Return the place of the one of largest value, the first of equal ones."""
    chosen = 0
    for t in range(1, count):
        if values[ones[t]] > values[ones[chosen]]:
            chosen = t
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
    count, widest = len(rows.keep), 0
    for r in range(count):
        widest = max(widest, rows.ptr[r + 1] - rows.ptr[r])
    slot = np.full(len(linear), -1, np.int64)
    point = np.zeros(len(rows.var), np.int32)
    feasible, sampled = np.zeros(count), np.full(count, np.inf)
    mended, descended = np.full(count, np.inf), np.full(count, np.inf)
    best = np.zeros(count, np.int64)
    ones, lowest = np.zeros(widest + 1, np.int64), np.zeros(widest + 1, np.int64)
    total = float(max(reads.weight.sum(), 1))
    for r in range(count):
        members = rows.var[rows.ptr[r] : rows.ptr[r + 1]]
        n, k, kept = len(members), rows.keep[r], 0
        after, least_energy = True, np.inf
        for s in range(n):
            slot[members[s]] = s
        local, base, columns = np.empty((n, n)), np.empty(n), np.empty(n, np.int64)
        load_row(members, slot, couplers, local)
        size = 0.0
        for s in range(n):
            slot[members[s]] = -1
            base[s] = linear[members[s]]
            size += abs(base[s]) + np.abs(local[s]).sum()
            columns[s] = reads.column[members[s]]
        field = np.empty(n)
        for m in range(len(reads.weight)):
            c = _ones(reads.bits[m], columns, ones)
            as_sampled = c == k or (c < k and not rows.equal[r])
            field[:] = base
            for t in range(c):
                field += local[ones[t]]
            while c > k:
                place = _dearest(field, ones, c)
                field -= local[ones[place]]
                _drop(ones, c, place)
                c -= 1
            while c < min(k, n) and rows.equal[r]:
                v = _cheapest(field, ones, c)
                field += local[v]
                _insert(ones, c, v)
                c += 1
            energy = 0.0
            for t in range(c):
                energy += 0.5 * (base[ones[t]] + field[ones[t]])
            if as_sampled:
                feasible[r] += reads.weight[m]
                sampled[r] = min(sampled[r], energy)
            mended[r] = min(mended[r], energy)
            later = not every and not as_sampled
            if later < after or (later == after and energy < least_energy):
                after, least_energy, best[r], kept = later, energy, m, c
                lowest[:c] = ones[:c]
        c, energy = kept, least_energy
        ones[:c] = lowest[:c]
        field[:] = base
        for t in range(c):
            field += local[ones[t]]
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
                field -= local[ones[down]]
                _drop(ones, c, down)
                c -= 1
            if up >= 0:
                field += local[up]
                _insert(ones, c, up)
                c += 1
        descended[r] = energy
        for t in range(c):
            point[rows.ptr[r] + ones[t]] = 1
    holds = np.isfinite(mended)
    return MendedReads(point, best, holds, feasible / total, sampled, mended, descended)
