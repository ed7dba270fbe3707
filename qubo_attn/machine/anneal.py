"""Anneal schedules: points of time and anneal fraction, in place of an annealing time.

Forward, the fraction s rises from 0 to 1. A reverse anneal starts at s = 1 from a given state, goes
back, and returns to 1 (the vendor's solver parameter ``anneal_schedule``).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from qubo_attn.common.checks import number, shown
from qubo_attn.errors import InputError

# (time in microseconds, anneal fraction) of each point
Points: TypeAlias = tuple[tuple[float, float], ...]

# Slopes are compared as the vendor's client compares them: rounded to so many digits.
_DIGITS = 10


def anneal_schedule(value: object) -> Points:
    """Return the points of an anneal schedule, or say what is wrong with them.

    Args:
        value: pairs of a time in microseconds and an anneal fraction.

    Raises:
        InputError: it has fewer than two pairs of numbers, times that do not rise from 0, or
            fractions outside 0 to 1. Also if it does not start at 0 or 1, does not end at 1, or
            starts at 0 and falls.

    Example:
        >>> anneal_schedule([[0, 0], [10, 0.5], [110, 0.5], [120, 1]])
        ((0.0, 0.0), (10.0, 0.5), (110.0, 0.5), (120.0, 1.0))
        >>> anneal_schedule([[0, 0], [20, 0.5]])
        Traceback (most recent call last):
        qubo_attn.errors.InputError: anneal_schedule must end at the anneal fraction 1, not 0.5
    """
    listed = list(value) if isinstance(value, Iterable) and not isinstance(value, str) else []
    pairs = [tuple(pair) if isinstance(pair, Iterable) else () for pair in listed]
    if len(pairs) < 2 or any(len(pair) != 2 for pair in pairs):
        raise _wrong(f"hold two or more pairs of time and anneal fraction, not {shown(value)}")
    points = tuple(
        (number("anneal_schedule", t, least=0), number("anneal_schedule", s, 0, 1))
        for t, s in pairs
    )
    times, fractions = zip(*points, strict=True)
    if times[0] != 0 or any(b <= a for a, b in itertools.pairwise(times)):
        raise _wrong(f"have times that rise from 0, not {shown(list(times))}")
    if fractions[0] not in (0.0, 1.0):
        raise _wrong(f"start at the anneal fraction 0, or in reverse at 1, not {fractions[0]:g}")
    if fractions[-1] != 1.0:
        raise _wrong(f"end at the anneal fraction 1, not {fractions[-1]:g}")
    falls = any(b < a for a, b in itertools.pairwise(fractions))
    if fractions[0] == 0.0 and falls:
        raise _wrong(f"never fall where it starts at 0, not {shown(list(fractions))}")
    return points


def is_reverse(points: Points) -> bool:
    """Return whether a schedule starts from a given state.

    Example:
        >>> is_reverse(((0.0, 1.0), (5.0, 0.4), (10.0, 1.0)))
        True
    """
    return points[0][1] == 1.0


def too_steep(points: Points, shortest: float) -> Iterator[tuple[float, float]]:
    """Yield the slopes that a machine does not follow, and the times at which they start.

    Args:
        points: a schedule.
        shortest: the machine's shortest annealing time, in microseconds; its steepest slope is one
            over it.

    Example:
        >>> list(too_steep(((0.0, 0.0), (10.0, 0.2), (10.5, 1.0)), 1.0))
        [(10.0, 1.6)]
    """
    for (t, s), (u, r) in itertools.pairwise(points):
        slope = round(abs((r - s) / (u - t)), _DIGITS)
        if slope * shortest > 1.0:
            yield t, slope


def _wrong(must: str) -> InputError:
    return InputError(f"anneal_schedule must {must}", argument="anneal_schedule")
