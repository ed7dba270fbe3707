"""Answers: whether they belong to the call they claim to answer, and what they say of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from qubo_attn.backend.model import Physical
from qubo_attn.backend.submission import Submission
from qubo_attn.backend.unembed import MAJORITY
from qubo_attn.common.arrays import Array, Bools, Longs, places_in
from qubo_attn.jobs.transport import Answer, Request

if TYPE_CHECKING:
    import dimod

# Reads of an answer whose energies are compared with its model, and how close they are.
_FEW, _CLOSE = 3, 1e-4


def problem_of(request: Request, answer: Answer) -> str:
    """Return why an answer is none to a request; empty where it is one.

    Variables, lengths, spins and the number of reads are compared with what was asked for, and the
    energies of a few reads with the model that was sent.

    Args:
        request: what was sent; embedded.
        answer: as it came.
    """
    reads, count = answer.reads, len(answer.reads)
    if reads.ndim != 2 or reads.shape[1] != len(answer.columns):
        return f"its reads have shape {reads.shape}, for {len(answer.columns)} qubits"
    lengths = len(answer.energies), len(answer.occurrences)
    if lengths != (count, count):
        return f"it has {count} reads, {lengths[0]} energies and {lengths[1]} occurrences"
    total = int(answer.occurrences.sum())
    if total < request.reads and "max_answers" not in request.parameters:
        return f"it has {total} reads, {request.reads} were asked for"
    if not np.isin(reads, (-1, 1)).all():
        return "its samples hold what is no spin"
    if not np.isfinite(answer.energies).all():
        return "an energy is no number"
    column = _columns(request.physical, answer)
    if column is None:
        return "it is over other qubits"
    known = constant_of(request.physical, request.offset, answer, column) is not None
    return "" if known else "its energies are not those of the model"


def _columns(physical: Physical, answer: Answer) -> Longs | None:
    """Return the column of each qubit of the target, -1 for idle ones; None where one is missing.

    Qubits beyond those in use are passed over.
    """
    place = places_in(physical.target.qubits, answer.columns)
    column = np.full(len(physical.target.qubits), -1, np.int64)
    column[place[place >= 0]] = np.flatnonzero(place >= 0)
    return None if (column[physical.chain_qubit] < 0).any() else column


def constant_of(
    physical: Physical, offset: float, answer: Answer, column: Longs | None = None
) -> float | None:
    """Return what the energies of an answer lack of those of the model; None where they are others.

    Services leave the model's constant out, and clients put it back. A few reads are looked at.

    Args:
        physical, offset: the model that was sent, and its constant.
        answer: as it came.
        column: see `_columns`.
    """
    column = _columns(physical, answer) if column is None else column
    count = len(answer.reads)
    if column is None or not count:
        return None
    some = np.unique(np.linspace(0, count - 1, min(count, _FEW)).astype(np.int64))
    spins = answer.reads[some].astype(np.float64)
    energies = spins[:, column[physical.qubit]] @ physical.h
    energies += (spins[:, column[physical.u]] * spins[:, column[physical.v]]) @ physical.j
    for constant in (0.0, offset):
        told = answer.energies[some] + constant
        if np.allclose(energies + offset, told, rtol=_CLOSE, atol=_CLOSE):
            return constant
    return None


def straight(answer: Answer, submission: Submission, sign: Array | None) -> Array:
    """Return the reads of an answer in the directions of the model without its gauge.

    Args:
        answer: as it came; it is not changed.
        submission: what was sampled.
        sign: the gauge; None without one.
    """
    physical = submission.physical
    if sign is None or physical is None:
        return answer.reads
    of_qubit = np.ones(len(physical.target.qubits), np.int8)
    of_qubit[physical.chain_qubit] = sign[physical.chain_of[physical.chain_qubit]]
    place = places_in(physical.target.qubits, answer.columns)
    return np.asarray(answer.reads * np.where(place < 0, 1, of_qubit[place]), np.int8)


def sampleset_of(
    answers: Sequence[Answer],
    submission: Submission,
    signs: Sequence[Array | None],
    *,
    embedded: bool,
) -> dimod.SampleSet:
    """Return the reads of one submission, of all calls of it that were answered.

    Args:
        answers: at least one.
        submission: what was sampled.
        signs: the gauge of each.
        embedded: whether they are over qubits.

    Returns:
        A sample set over the machine's qubits or over program variables, as the answers are.
    """
    import dimod

    columns = answers[0].columns
    reads, energies, physical = [], [], submission.physical
    for answer, sign in zip(answers, signs, strict=True):
        constant = None
        if embedded and physical is not None:
            model = submission.programmed(sign)
            constant = constant_of(model, submission.embedded_offset, answer)
        energies.append(answer.energies + (constant or 0.0))
        spins = straight(answer, submission, sign)
        if not np.array_equal(answer.columns, columns):
            order = np.argsort(answer.columns)
            spins = spins[:, order[np.searchsorted(answer.columns[order], columns)]]
        reads.append(spins)
    labels = columns.tolist()
    if embedded and physical is not None and physical.target.names is not None:
        target = physical.target
        labels = [target.qubit_name(p) for p in places_in(target.qubits, columns).tolist()]
    more = {}
    if all(answer.broken is not None for answer in answers):
        more["chain_break_fraction"] = np.concatenate([answer.broken for answer in answers])
    timing = [dict(answer.timing) for answer in answers if answer.timing]
    return dimod.SampleSet.from_samples(
        (np.concatenate(reads), labels),
        "SPIN",
        np.concatenate(energies),
        info={"timing": timing[0] if len(timing) == 1 else timing} if timing else {},
        num_occurrences=np.concatenate([answer.occurrences for answer in answers]),
        sort_labels=False,
        **more,
    )


class Block:
    """Reads of some variables of a program, as bits.

    Attributes:
        variables: int64, ids; bits: int8, shape (m, variables); counts: int64, shape (m,).
        broken: float64, shape (m,), share of broken chains.
    """

    def __init__(
        self, part: Submission, sampleset: dimod.SampleSet, wanted: Bools, method: str = MAJORITY
    ) -> None:
        reads = part.read(sampleset, method)
        inside = wanted[part.variables]
        self.variables = part.variables[inside]
        self.bits = reads.samples[:, inside]
        self.counts = sampleset.record.num_occurrences[reads.kept]
        self.broken = reads.broken


def joined(part: Submission, blocks: Sequence[Block]) -> dimod.SampleSet | None:
    """Return reads of a submission put together of reads of its parts; None where some are missing.

    Rows do not depend on each other, so that any read of one goes with any read of another. Reads
    of copies are left out.

    Args:
        part: the submission.
        blocks: reads of some of its variables each; what an earlier one covers is taken of it.
    """
    import dimod

    own = part.variables[part.variables == part.source]
    n = len(own)
    owner = np.full(n, -1, np.int64)
    for number, block in enumerate(blocks):
        place = np.searchsorted(own, block.variables)
        owner[place[owner[place] < 0]] = number
    if (owner < 0).any():
        return None
    used = np.unique(owner).tolist()
    whole = [np.repeat(np.arange(len(blocks[b].bits)), blocks[b].counts) for b in used]
    count = min(len(rows) for rows in whole)
    bits, broken = np.zeros((count, n), np.int8), np.zeros(count)
    for b, rows in zip(used, whole, strict=True):
        mine = np.flatnonzero(owner == b)
        column = np.searchsorted(blocks[b].variables, own[mine])
        bits[:, mine] = blocks[b].bits[rows[:count]][:, column]
        broken += blocks[b].broken[rows[:count]] * (len(mine) / n)
    samples = 2 * bits - 1 if part.vartype == "SPIN" else bits
    # The decoder works energies out on its own; zeros say that none were stated.
    return dimod.SampleSet.from_samples(
        (samples, own.tolist()),
        part.vartype,
        np.zeros(count),
        sort_labels=False,
        chain_break_fraction=broken,
    )
