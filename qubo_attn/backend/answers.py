"""Answers of samplers: sample sets that hold spins or bits, and as many reads as were asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from qubo_attn.backend.sampler_options import options_of
from qubo_attn.common.arrays import first_place
from qubo_attn.common.checks import shown
from qubo_attn.errors import DecodeError
from qubo_attn.machine.sampler import layers

if TYPE_CHECKING:
    import dimod

# What a record may hold besides samples, and must then be finite and at least this.
_FIELDS = {"num_occurrences": 0.0, "energy": -np.inf, "chain_break_fraction": 0.0}


def check_answer(index: int, sampleset: object) -> None:
    """Reject what no sampler answers.

    Args:
        index: number of the submission, for the message.
        sampleset: a `dimod.SampleSet`; it is not changed.

    Raises:
        DecodeError: it is none, its samples are neither spins nor bits, or an energy, a number of
            occurrences or a share of broken chains is none; names the submission and the read.

    Example:
        >>> import dimod
        >>> check_answer(0, dimod.SampleSet.from_samples([{"a": 1}], "BINARY", float("nan")))
        Traceback (most recent call last):
        qubo_attn.errors.DecodeError: submission 0: energy of read 0 is nan
    """
    problem = _problem(sampleset)
    if problem:
        raise DecodeError(f"submission {index}: {problem}", submission=index)


def check_reads(
    index: int, sampler: object, sampleset: dimod.SampleSet, keywords: Mapping[str, object]
) -> None:
    """Check that a sampler answered as many reads as it was asked for.

    Args:
        index: number of the submission.
        sampler: what answered.
        sampleset: its answer.
        keywords: of the call.

    Raises:
        DecodeError: there are fewer; names the submission.
    """
    asked = keywords.get("num_reads")
    if asked is None or _keeps_fewer(sampler, keywords):
        return
    reads = int(sampleset.record.num_occurrences.sum())
    if reads < int(asked):  # type: ignore[call-overload]
        raise DecodeError(
            f"submission {index}: {type(sampler).__name__} answered {reads} reads, {asked} were "
            "asked for",
            submission=index,
            found=reads,
            expected=asked,
        )


def _keeps_fewer(sampler: object, keywords: Mapping[str, object]) -> bool:
    """Return whether a sampler may answer with some of its reads alone: composites join them."""
    composite = len(list(layers(sampler))) > 1
    # The random sampler of dwave-samplers keeps a thousand unless it is told another number.
    capped = "max_answers" in keywords or "max_num_samples" in (options_of(sampler) or ())
    return composite or capped


def _problem(sampleset: object) -> str:
    """Return what is wrong with the numbers of a sample set; empty where nothing is."""
    import dimod

    if not isinstance(sampleset, dimod.SampleSet):
        return f"a dimod.SampleSet is needed, not {shown(sampleset)}"
    kind, record = sampleset.vartype.name, sampleset.record
    if kind not in ("SPIN", "BINARY"):
        return f"its samples are {kind}, neither spins nor bits"
    for name, least in _FIELDS.items():
        if name not in record.dtype.names:
            continue
        column = record[name]
        if column.dtype.kind not in "biuf":
            return f"{name} holds no numbers"
        good = np.isfinite(column) & (column >= least)
        if not good.all():
            read = int(good.argmin())
            return f"{name} of read {read} is {column[read]}"
    samples = np.asarray(record.sample)
    if samples.dtype.kind not in "biuf":
        return "its samples hold no numbers"
    low, high = (-1, 1) if kind == "SPIN" else (0, 1)
    if samples.dtype.kind != "f" and samples.size:
        # No array as large as the samples is made where all is well.
        inside = low <= samples.min() and samples.max() <= high
        if inside and (kind == "BINARY" or samples.all()):
            return ""
    bad = (samples != low) & (samples != high)
    if bad.any():
        read, variable = first_place(bad)
        return (
            f"read {read} has {samples[read, variable]} for {sampleset.variables[variable]!r}, "
            f"neither {low} nor {high}"
        )
    return ""
