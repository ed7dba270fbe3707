"""Rows proven optimal within their slots, by the exact search of `kernels.least_ratios`.

A row is one of a count of its own that no tie or coupling joins to another; its slots are the keys
that the passes left open, and those that they took.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Bools, Longs, pointers
from qubo_attn.common.ragged import counts
from qubo_attn.common.threads import by_rows, rows_at
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.ir.columns import Sense

# Parts of the search that a row may take: real rows of 32 slots take fewer than a thousand.
ROOM = 20_000


class Searched(NamedTuple):
    """What the search met.

    Attributes:
        best: bool, a table or column: the best selection of each row, or the one that was given.
        optimal: bool, shape (H, Q): no selection within the slots has a smaller error.
    """

    best: Bools
    optimal: Bools


def searched(compiled: Compilation, selected: Bools, wanted: Bools, group: Longs) -> Searched:
    """Search rows for better selections than those at hand.

    Args:
        compiled: what was compiled.
        selected: a table or column, within the slots.
        wanted: which rows, shape (H, Q).
        group: a number for each row, alike for rows that a tie or coupling joins, shape (H, Q).
    """
    attention, selects = compiled.attention, compiled.recipe.selects
    values, optimal = attention.measured, np.zeros(wanted.shape, bool)
    assert values is not None
    rows, kept = attention.rows, attention.entries(selected)
    open_, taken = _slots(compiled)
    size = attention.counts
    keep, least = np.zeros(wanted.shape, np.int64), np.zeros(wanted.shape, np.int64)
    for head, select in enumerate(selects):
        if select.sense is not None and select.levels == 1:
            keep[head] = select.counts(size[head])
            least[head] = keep[head] if select.sense == Sense.EQ else 1
    _, where, sharers = np.unique(group.ravel(), return_inverse=True, return_counts=True)
    good = wanted & (sharers[where] == 1).reshape(group.shape)
    place, slots = (rows.head, rows.query), open_ | taken
    most, fewest = keep[place], np.maximum(least[place], counts(rows.ptr, taken))
    held, outside = counts(rows.ptr, kept), (kept & ~slots) | (taken & ~kept)
    own = good[place] & (most > 0) & (fewest <= held) & (held <= most)
    own &= counts(rows.ptr, outside) == 0
    every, inside = rows.take(own), np.flatnonzero(slots & np.repeat(own, rows.sizes))
    ptr = pointers(counts(rows.ptr, slots)[own])
    mass, key = rows.mass[inside], rows.key[inside]
    start, must = kept[inside], taken[inside]
    most, fewest = most[own], fewest[own]

    def work(part: slice) -> kernels.LeastRatios:
        whole, all_entries = rows_at(every.ptr, part)
        head = every.head[part]
        centre = kernels.row_outputs(
            whole, every.mass[all_entries], every.key[all_entries], head, values
        )
        cut, entries = rows_at(ptr, part)
        return kernels.least_ratios(
            cut,
            mass[entries],
            key[entries],
            head,
            values,
            centre,
            start[entries],
            must[entries],
            most[part],
            fewest[part],
            ROOM,
        )

    found = kernels.LeastRatios(*by_rows(work, ptr))
    best = kept.copy()
    best[inside] = found.best
    optimal[every.head, every.query] = found.proven
    return Searched(np.array(attention.table(best)), optimal)


def _slots(compiled: Compilation) -> tuple[Bools, Bools]:
    """Return which visible keys passes left open, and which they took."""
    lift, count = compiled.lift_between(0, compiled.unpriced), len(compiled.attention.rows.key)
    # The first variables are those of the visible keys, in their order.
    open_ = np.diff(lift.indptr)[:count] > 0
    return open_, ~open_ & (lift.constant[:count] > 0.5)
