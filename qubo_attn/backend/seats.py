"""What to expect of rows that sit several times: means over all of their seats."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from qubo_attn.backend.precision import Precision
from qubo_attn.common.arrays import Longs


def over_seats(first: Precision, others: Iterable[tuple[Longs, Precision]]) -> Precision:
    """Return what to expect of rows over all of their seats.

    A read of a row is one of any of its seats, each as often: chances are means. Other figures are
    those of the first seat.

    Args:
        first: what to expect of each row in its first seat.
        others: rows that have a further seat, each at most once, and what to expect there.
    """
    seats, chances = first.seats.copy(), [first.feasible.copy(), first.optimum.copy()]
    for rows, table in others:
        seats[rows] += table.seats[rows]
        for total, chance in zip(chances, (table.feasible, table.optimum), strict=True):
            total[rows] += chance[rows]
    return replace(first, feasible=chances[0] / seats, optimum=chances[1] / seats, seats=seats)
