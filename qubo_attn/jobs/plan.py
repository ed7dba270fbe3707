"""Calls of a job: which submission, how many reads, which seeds, and the machine time they take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qubo_attn.backend.submission import Submission
from qubo_attn.machine.reads import split_reads


@dataclass(frozen=True)
class Call:
    """One call of a sampler.

    Attributes:
        number: from 0; calls of repaired submissions come after those that were planned.
        version: of the compilation that the submission is of; 0 is the one that was handed in.
        submission: its number there.
        reads: how many.
        programming: which call of its submission it is, from 0.
        seed: of a sampler that takes one; None without.
        gauge: seed of its gauge; None without gauges.
        microseconds: estimated machine time, programming included; None where none is known.
    """

    number: int
    version: int
    submission: int
    reads: int
    programming: int = 0
    seed: int | None = None
    gauge: int | None = None
    microseconds: float | None = None


@dataclass(frozen=True)
class Sizes:
    """What calls are made of.

    Attributes:
        reads: of each submission.
        embedded: whether reads are split as the machine's limits ask for.
        gauges: spin reversals that the reads of a machine are spread over; none when 0.
        seed: of the first submission, each later one gets the next number; None without.
        options: further keywords of the sampler.
    """

    reads: int
    embedded: bool
    gauges: int
    seed: int | None
    options: Mapping[str, Any]


def plan(
    submissions: Sequence[Submission], sizes: Sizes, first: int = 0, version: int = 0
) -> list[Call]:
    """Return the calls of submissions, in their order.

    Args:
        submissions: what is to be sampled.
        sizes: reads, gauges, seeds.
        first: number of the first call.
        version: of the compilation they are of.

    Raises:
        TargetError: not even one read fits the machine's run duration.
    """
    calls: list[Call] = []
    for part in submissions:
        target = None if part.physical is None else part.physical.target
        split, timing = [sizes.reads], None if target is None else target.timing
        if sizes.embedded and target is not None:
            split = split_reads(
                target, part.qubits, sizes.reads, sizes.options, max(sizes.gauges, 1)
            )
        model = None if timing is None or not sizes.embedded else timing.given(sizes.options)
        seed = None if sizes.seed is None else (sizes.seed + part.index) % 2**31
        for number, reads in enumerate(split):
            calls.append(
                Call(
                    first + len(calls),
                    version,
                    part.index,
                    reads,
                    number,
                    _seed_of(seed, number),
                    (seed or 0) + number if sizes.gauges and sizes.embedded else None,
                    None if model is None else model.access(part.qubits, reads),
                )
            )
    return calls


def _seed_of(seed: int | None, number: int) -> int | None:
    """Return the seed of a submission's call; the same again would give the same reads again."""
    if seed is None or number == 0:
        return seed
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0] >> 1)
