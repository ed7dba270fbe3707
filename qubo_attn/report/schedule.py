"""Schedules: calls of so many reads, and the machine time they take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from qubo_attn.common.checks import whole
from qubo_attn.machine.reads import split_reads

if TYPE_CHECKING:
    from qubo_attn.compiled import CompiledAttention


@dataclass(frozen=True)
class Call:
    """One call of the machine.

    Attributes:
        submission: number of the submission it programs.
        reads: how many it takes.
        microseconds: estimated machine time, programming included; None where no timing is known.
    """

    submission: int
    reads: int
    microseconds: float | None


@dataclass(frozen=True)
class Schedule:
    """All calls that a compilation takes; made by `CompiledAttention.schedule`.

    Attributes:
        reads: of each submission, over all its calls.
        calls: in order of submissions.
        stated: whether the times rest on what the machine states rather than on its family.
    """

    reads: int
    calls: tuple[Call, ...]
    stated: bool

    @property
    def microseconds(self) -> float | None:
        """Estimated machine time of all calls; None where no timing is known."""
        times = [call.microseconds for call in self.calls]
        return None if None in times else float(sum(time for time in times if time is not None))

    def of(self, submission: int) -> tuple[Call, ...]:
        """Return the calls of one submission."""
        return tuple(call for call in self.calls if call.submission == submission)

    def __str__(self) -> str:
        parts = [
            f"submission {index}: {calls_text([call.reads for call in calls])}"
            f"{time_text(_sum(calls))}"
            for index, calls in ((i, list(c)) for i, c in groupby(self.calls, _submission))
        ]
        total = f"{len(self.calls)} calls, {self.reads} reads each submission"
        return "\n".join([*parts, f"{total}{time_text(self.microseconds)}"])


def calls_text(reads: list[int]) -> str:
    """Return calls in words, e.g. ``2 calls of 5000 reads``."""
    counts = [(size, len(list(same))) for size, same in groupby(reads)]
    return " and ".join(
        f"{count} call{'s' * (count > 1)} of {size} read{'s' * (size > 1)}"
        for size, count in counts
    )


def time_text(microseconds: float | None) -> str:
    """Return a machine time in words, with the comma before it; empty where none is known."""
    return "" if microseconds is None else f", {microseconds / 1000:.1f} ms of machine time"


def schedule(compiled: CompiledAttention, reads: int, options: Mapping[str, Any]) -> Schedule:
    """Return the calls of a compilation; see `CompiledAttention.schedule`."""
    reads, target = whole("reads", reads, least=1), compiled.recipe.target
    timing = None if target is None else target.timing
    model = None if timing is None else timing.given(options)
    calls = []
    for part in compiled.submissions:
        sizes = [reads] if target is None else split_reads(target, part.qubits, reads, options)
        calls += [
            Call(part.index, size, None if model is None else model.access(part.qubits, size))
            for size in sizes
        ]
    return Schedule(reads, tuple(calls), timing is not None and timing.stated)


def _submission(call: Call) -> int:
    return call.submission


def _sum(calls: list[Call]) -> float | None:
    return Schedule(0, tuple(calls), False).microseconds
