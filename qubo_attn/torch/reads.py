"""Reads of a sampler as selections, and what each of them counts in each row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qubo_attn.common.arrays import Bytes, Floats
from qubo_attn.compiled import CompiledAttention
from qubo_attn.decoding.decode import feasible_rows
from qubo_attn.decoding.reads import read_parts
from qubo_attn.decoding.result import AttentionResult
from qubo_attn.ir.columns import Role

if TYPE_CHECKING:
    import dimod


def reads_of(
    compiled: CompiledAttention, samplesets: list[dimod.SampleSet], result: AttentionResult
) -> tuple[Bytes, Floats]:
    """Return all selections that were read, and what each counts in each row.

    A read counts in the rows where it keeps their constraints, as often as it occurred. In a row
    without such a read, the repaired selection of ``result``, put last, counts alone.

    Args:
        compiled: what was sampled.
        samplesets: one per submission.
        result: decoded from them.

    Returns:
        Selections, shape (reads, H, Q, K), and counts, shape (reads, H, Q).
    """
    answers = read_parts(compiled.submissions, samplesets, ordered=True)
    parts = [seats for part in answers for seats in part.by_seats()]
    most = max((len(part.bits) for part in parts), default=0)
    program, first = compiled.program, compiled.stages[0].program
    shape = compiled.attention.shape
    points = np.zeros((most, len(program)), np.uint8)
    # Rows that no submission carries have nothing to choose: any one read holds theirs.
    count = np.zeros((most + 1, *shape[:2]))
    count[:1] = 1.0
    for part in parts:
        reads = len(part.bits)
        points[:reads, part.variables] = part.bits
        v = program.variables.take(part.variables)
        in_row = (v.head >= 0) & (v.query >= 0)
        row = v.head[in_row], v.query[in_row]
        count[:reads, *row] = part.counts[:, None]
        count[reads:, *row] = 0.0
    lifted = compiled.lift_to(0).lift(points)
    count[:-1] *= feasible_rows(first, lifted, compiled.attention)
    v = first.variables
    chosen = v.role != Role.ANCILLA
    selections = np.zeros((most + 1, *shape), np.uint8)
    selections[:-1, v.head[chosen], v.query[chosen], v.key[chosen]] = lifted[:, chosen] > 0.5
    selections[-1] = result.selected
    count[-1] = count[:-1].sum(axis=0) == 0
    return selections, count
