"""Schedules: calls of so many reads, and the machine time they take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from qubo_attn.common.brief import Brief
from qubo_attn.common.checks import whole
from qubo_attn.common.words import plural
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.machine.reads import MOST_READS, split_reads
from qubo_attn.machine.timing import check_times


@dataclass(frozen=True)
class Call:
    """One call of the machine.

    Attributes:
        submission: number of the submission that is programmed.
        reads: number of reads.
        microseconds: estimated machine time, programming included; None where no timing is known.
    """

    submission: int
    reads: int
    microseconds: float | None


@dataclass(frozen=True)
class Schedule(Brief):
    """All calls that a compilation takes; made by `CompiledAttention.schedule`.

    Attributes:
        reads: reads of each submission, over all its calls.
        calls: the calls, in order of submissions.
        stated: whether the machine states its times; those of its family are taken otherwise.
    """

    reads: int
    calls: tuple[Call, ...]
    stated: bool

    @property
    def microseconds(self) -> float | None:
        """Estimated machine time of all calls; None where no timing is known."""
        return _total(self.calls)

    def of(self, submission: int) -> tuple[Call, ...]:
        """Return the calls of one submission."""
        return tuple(call for call in self.calls if call.submission == submission)

    def __str__(self) -> str:
        lines = []
        for index in dict.fromkeys(call.submission for call in self.calls):
            calls = self.of(index)
            words = calls_text([call.reads for call in calls])
            lines.append(f"submission {index}: {words}{time_text(milliseconds(calls))}")
        last = f"{plural(len(self.calls), 'call', 'd')}, {self.reads} reads each submission"
        return "\n".join([*lines, f"{last}{time_text(milliseconds(self.calls))}"])


def calls_text(reads: list[int]) -> str:
    """Return calls in words, e.g. ``2 calls of 5000 reads``."""
    counts = [(size, len(list(same))) for size, same in groupby(reads)]
    return " and ".join(
        f"{count} call{'s' * (count > 1)} of {size} read{'s' * (size > 1)}"
        for size, count in counts
    )


def milliseconds(calls: Iterable[Call]) -> float | None:
    """Return the estimated machine time of calls; None where no timing is known."""
    total = _total(calls)
    return None if total is None else total / 1000.0


def _total(calls: Iterable[Call]) -> float | None:
    times = [call.microseconds for call in calls]
    return None if None in times else float(sum(time for time in times if time is not None))


def time_text(time: float | None) -> str:
    """Return milliseconds in words, with the comma before them; empty where none are known."""
    return "" if time is None else f", {time:.1f} ms of machine time"


def schedule(
    compilation: Compilation, reads: int, options: Mapping[str, Any] | None = None
) -> Schedule:
    """Return the calls of a compilation; see `CompiledAttention.schedule`."""
    reads, target = whole("reads", reads, 1, MOST_READS), compilation.recipe.target
    check_times("schedule", options or {})
    placed = target if target is not None and target.is_structured else None
    timing = None if target is None else target.timing
    model = None if timing is None else timing.given(options or {})
    calls = []
    for part in compilation.submissions:
        sizes = [reads] if placed is None else split_reads(placed, part.qubits, reads, options)
        calls += [
            Call(part.index, size, None if model is None else model.access(part.qubits, size))
            for size in sizes
        ]
    return Schedule(reads, tuple(calls), timing is not None and timing.stated)
