"""Partial answers: what there is is decoded, rows without an answer are marked."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from qubo_attn.backend.submission import Submission
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.decoding.decode import decode
from qubo_attn.decoding.result import AttentionResult, ReadQuality

if TYPE_CHECKING:
    import dimod


def decode_partial(
    compiled: Compilation,
    samplesets: Sequence[dimod.SampleSet | None],
    decoder: str | None,
    chain_break_method: str,
    repair: str,
    descend: bool,
) -> AttentionResult:
    """Return the attention behind the sample sets there are; see `CompiledAttention.decode`.

    Args:
        compiled: what was sampled.
        samplesets: one per submission; None where no answer has come.
        decoder, chain_break_method, repair, descend: see `CompiledAttention.decode`.

    Raises:
        DecodeError, InputError: see `CompiledAttention.decode`.
    """
    pairs = list(zip(compiled.submissions, samplesets, strict=True))
    filled = [_nothing(part) if answer is None else answer for part, answer in pairs]
    way = decoder, chain_break_method, repair, descend
    result = decode(compiled, filled, *way, ordered=True)
    missing = [part for part, answer in pairs if answer is None]
    if not missing:
        return result
    gone, attention = np.zeros_like(result.answered), compiled.attention
    for part in missing:
        gone[tuple(np.array(part.rows).T)] = True
    reads = sum(int(answer.record.num_occurrences.sum()) for answer in filled)
    there = reads - len(missing)
    quality = result.reads
    return dataclasses.replace(
        result,
        selected=result.selected & attention.spread(~gone),
        weights=np.where(attention.spread(gone), 0.0, result.weights),
        context=None if result.context is None else np.where(gone[..., None], 0.0, result.context),
        feasible=result.feasible & ~gone,
        repaired=result.repaired & ~gone,
        energies=np.where(gone, np.nan, result.energies),
        chain_break_fraction=result.chain_break_fraction * reads / there if there else 0.0,
        reads=ReadQuality(
            np.where(gone, 0.0, quality.feasible),
            np.where(gone, np.inf, quality.sampled),
            np.where(gone, np.inf, quality.repaired),
            np.where(gone, np.inf, quality.descended),
            np.where(gone, 0, quality.number),
        ),
        answered=~gone,
    )


def _nothing(part: Submission) -> dimod.SampleSet:
    """Return one read in the place of an answer: every bit is zero."""
    import dimod

    low = -1 if part.vartype == "SPIN" else 0
    samples = np.full((1, len(part.variables)), low, np.int8)
    return dimod.SampleSet.from_samples(
        (samples, part.variables.tolist()), part.vartype, np.zeros(1), sort_labels=False
    )
