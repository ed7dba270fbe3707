"""Rows proven optimal within their slots, by the exact search of `kernels.least_ratios`.

A row is one of a count of its own that no tie or coupling joins to another; its slots are the keys
that the passes left open, and those that they took.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Bools, Longs, pointers
from qubo_attn.common.threads import by_rows, rows_at
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.ir.columns import Sense

# Parts of the search that a row may take: real rows of 32 slots take fewer than a thousand.
ROOM = 20_000


class Searched(NamedTuple):
    """What the search met.

    Attributes:
        best: bool, shape (H, Q, K): the best selection of each row; as given where none is better.
        optimal: bool, shape (H, Q): no selection within the slots has a smaller error.
    """

    best: Bools
    optimal: Bools


def searched(compiled: Compilation, selected: Bools, rows: Bools, group: Longs) -> Searched:
    """Search rows for better selections than those at hand.

    Args:
        compiled: what was compiled.
        selected: shape (H, Q, K), within the slots.
        rows: which rows, shape (H, Q).
        group: a number for each row, alike for rows that a tie or coupling joins, shape (H, Q).
    """
    attention, selects = compiled.attention, compiled.recipe.selects
    values, optimal = attention.measured, np.zeros(rows.shape, bool)
    assert values is not None
    open_, taken = _slots(compiled)
    size = attention.visible.sum(axis=-1)
    keep, least = np.zeros(rows.shape, np.int64), np.zeros(rows.shape, np.int64)
    for head, select in enumerate(selects):
        if select.sense is not None and select.levels == 1:
            keep[head] = select.counts(size[head])
            least[head] = keep[head] if select.sense == Sense.EQ else 1
    least = np.maximum(least, taken.sum(axis=-1))
    slots, kept = open_ | taken, selected.sum(axis=-1)
    good = rows & (keep > 0) & (least <= kept) & (kept <= keep)
    good &= ~(selected & ~slots).any(axis=-1) & ~(taken & ~selected).any(axis=-1)
    _, where, sharers = np.unique(group.ravel(), return_inverse=True, return_counts=True)
    good &= (sharers[where] == 1).reshape(group.shape)
    every, own = attention.rows, good[attention.rows.head, attention.rows.query]
    every = every.take(own)
    inside = slots[every.head, every.query]
    ptr = pointers(inside.sum(axis=-1))
    row, key = np.nonzero(inside)
    place = every.head[row], every.query[row], key
    mass, start, must = attention.softmax[place], selected[place], taken[place]
    most, fewest = keep[every.head, every.query], least[every.head, every.query]

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
            key[entries].astype(np.int32),
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
    best = selected.copy()
    best[place] = found.best
    optimal[every.head, every.query] = found.proven
    return Searched(best, optimal)


def _slots(compiled: Compilation) -> tuple[Bools, Bools]:
    """Return keys that passes left open, and keys that they took, both of shape (H, Q, K)."""
    v, lift = compiled.stages[0].program.variables, compiled.lift_between(0, compiled.unpriced)
    open_, taken = np.zeros((2, *compiled.attention.shape), bool)
    open_[v.head, v.query, v.key] = np.diff(lift.indptr) > 0
    taken[v.head, v.query, v.key] = (np.diff(lift.indptr) == 0) & (lift.constant > 0.5)
    return open_, taken
