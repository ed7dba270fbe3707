"""Rows side by side: rows do not depend on each other, and kernels run without Python's lock.

What comes out does not depend on how many threads there are.
"""

from __future__ import annotations

import contextvars
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise

import numpy as np

from qubo_attn.common.arrays import Array, Longs, own_array

# Fewer entries than this are done before threads have started, where each is a proof; and where
# each is a few sums.
PROOFS, SUMS = 1 << 12, 1 << 17
_limit: contextvars.ContextVar[int | None] = contextvars.ContextVar("limit", default=None)


def threads() -> int:
    """Return how many threads kernels use: one per core, or ``QUBO_ATTN_THREADS``."""
    limit = _limit.get()
    if limit is not None:
        return limit
    asked = os.environ.get("QUBO_ATTN_THREADS", "")
    if asked.isdecimal() and int(asked) > 0:
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def limited(most: int) -> Iterator[None]:
    """Use at most so many threads here, as where other processes use the other cores."""
    token = _limit.set(most)
    try:
        yield
    finally:
        _limit.reset(token)


def by_rows(
    work: Callable[[slice], tuple[Array, ...]], ptr: Longs, least: int = PROOFS
) -> tuple[Array, ...]:
    """Return what ``work`` makes of rows, done in parts side by side.

    Args:
        work: takes a slice of the rows, returns columns of them; it runs in threads.
        ptr: row pointer of the rows; parts are of about as many entries.
        least: entries of a part.
    """
    rows, entries = len(ptr) - 1, int(ptr[-1] - ptr[0])
    count = min(threads(), rows, max(entries // least, 1))
    if count < 2:
        return work(slice(0, rows))
    cuts = np.searchsorted(ptr, ptr[0] + np.arange(count + 1) * entries // count)
    cuts[0], cuts[-1] = 0, rows
    parts = [slice(int(a), int(b)) for a, b in pairwise(cuts)]
    with ThreadPoolExecutor(count) as pool:
        columns = zip(*pool.map(work, parts), strict=True)
        return tuple(np.concatenate(column) for column in columns)


def rows_at(ptr: Longs, rows: slice) -> tuple[Longs, slice]:
    """Return the row pointer of some rows, counted from their first entry, and their entries."""
    entries = slice(int(ptr[rows.start]), int(ptr[rows.stop]))
    return own_array(ptr[rows.start : rows.stop + 1] - entries.start), entries
