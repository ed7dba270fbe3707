"""Reads split over calls of a machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qubo_attn.common.checks import whole
from qubo_attn.errors import TargetError
from qubo_attn.machine.target import Target

# Of a submission: more take days, and more memory than there is.
MOST_READS = 1_000_000


def split_reads(
    target: Target,
    qubits: int,
    reads: int,
    options: Mapping[str, Any] | None = None,
    least: int = 1,
) -> list[int]:
    """Split reads into as few calls as the machine's limits allow, of equal sizes or nearly so.

    Args:
        target: the machine.
        qubits: number of qubits in use.
        reads: wanted in total.
        options: solver parameters of the calls that take time, e.g. ``annealing_time``.
        least: fewest calls, where there are as many reads.

    Raises:
        InputError: ``reads`` is no whole number from 1 to a million.
        TargetError: not even one read fits the run duration.

    Example:
        >>> from qubo_attn import Target
        >>> from qubo_attn.machine.reads import split_reads
        >>> split_reads(Target.zephyr(12), qubits=4000, reads=20_000)
        [6667, 6667, 6666]
    """
    reads = whole("reads", reads, 1, MOST_READS)
    limits, timing = target.limits, target.timing
    most = reads if limits.reads is None else min(reads, limits.reads[1])
    if timing is not None and limits.run_duration is not None:
        call = timing.given(options or {})
        most = min(most, call.most_reads(qubits, limits.run_duration))
        if most == 0:
            raise TargetError(
                f"one read of {qubits} qubits runs {call.run_duration(qubits, 1):.0f} microseconds "
                f"on {target.label}, which allows {limits.run_duration:.0f}: shorten its times",
                found=call.run_duration(qubits, 1),
            )
    calls = max(-(-reads // most), min(least, reads))
    size, longer = divmod(reads, calls)
    return [size + 1] * longer + [size] * (calls - longer)
