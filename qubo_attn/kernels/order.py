"""Order and sums within rows: the k-th smallest value, the heaviest entries, lost mass."""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Array, Bools, Floats, Ints, Longs
from qubo_attn.kernels._jit import kernel


@kernel
def kth_smallest(values: Floats, k: int) -> float:
    """Return the k-th smallest of ``values``, counted from 1; they are rearranged.

    Hoare's selection in place: ``np.partition`` copies, which for short rows takes longer.
    """
    wanted, low, high = k - 1, 0, len(values) - 1
    while low < high:
        pivot, i, j = values[wanted], low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while pivot < values[j]:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if j < wanted:
            low = i
        if wanted < i:
            high = j
    return float(values[wanted])


@kernel
def longest_row(ptr: Longs) -> int:
    """Return the number of entries of the longest row."""
    longest = 0
    for r in range(len(ptr) - 1):
        longest = max(longest, ptr[r + 1] - ptr[r])
    return longest


@kernel
def sums_before(ptr: Longs, values: Floats) -> Floats:
    """Return the sum of the values before each entry in its row, in their order.

    Each row starts from zero: what is large in one row takes no digits from another.
    """
    sums = np.empty(len(values))
    for r in range(len(ptr) - 1):
        total = 0.0
        for e in range(ptr[r], ptr[r + 1]):
            sums[e] = total
            total += values[e]
    return sums


@kernel
def _next_level(first: Array, start: int, stop: int, level: int) -> int:
    """Return the largest of some values below ``level``; -128 where there is none."""
    below = -128
    for a in range(start, stop):
        if first[a] < level:
            below = max(below, first[a])
    return below


@kernel
def heaviest(ptr: Longs, first: Array, mass: Floats, room: Longs) -> Bools:
    """Return which entries are among the ``room`` first of their row.

    Entries are ordered by falling ``first``, which has few different values, then by falling
    ``mass``; those that tie stay in their order.
    """
    kept = np.empty(len(mass), np.bool_)
    longest = longest_row(ptr)
    light, at = np.empty(longest), np.empty(longest, np.int64)
    for r in range(len(room)):
        start, stop, left = ptr[r], ptr[r + 1], room[r]
        every, level = left >= stop - start, 127
        for a in range(start, stop):
            kept[a] = every
        if every:
            continue
        while left > 0:
            level, count = _next_level(first, start, stop, level), 0
            for a in range(start, stop):
                at[count], light[count] = a, -mass[a]
                count += first[a] == level
            taken = min(left, count)
            least = -kth_smallest(light[:count], taken)
            # Of those that tie with the last one in, the first.
            ties = taken
            for b in range(count):
                ties -= mass[at[b]] > least
            for b in range(count):
                tied = mass[at[b]] == least
                kept[at[b]] = (mass[at[b]] > least) | (tied & (ties > 0))
                ties -= tied
            left -= taken
    return kept


@kernel
def lost_shares(ptr: Longs, var: Ints, kept: Bools, mass: Floats) -> Floats:
    """Return the share of each row's mass that is on entries not kept; 0 of a row without mass.

    Args:
        ptr, var: the rows; kept: which entries stay.
        mass: of each variable.
    """
    shares = np.zeros(len(ptr) - 1)
    for r in range(len(shares)):
        total, lost = 0.0, 0.0
        for e in range(ptr[r], ptr[r + 1]):
            total += mass[var[e]]
            lost += 0.0 if kept[e] else mass[var[e]]
        if total != 0.0:
            shares[r] = lost / total
    return shares
