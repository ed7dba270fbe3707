"""Reads of all submissions as bits of the program: the best of each component, and their mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from qubo_attn import kernels
from qubo_attn.backend.submission import Submission
from qubo_attn.backend.unembed import MAJORITY, Reader
from qubo_attn.common.arrays import Array, Bytes, Floats, Longs, segment_ids
from qubo_attn.common.checks import several, shown
from qubo_attn.common.frozen import replaced
from qubo_attn.errors import DecodeError, InputError
from qubo_attn.ir.program import Program

if TYPE_CHECKING:
    import dimod


# Reads of an answer whose energies are compared with its model, and how close they are.
_FEW, _CLOSE = 3, 1e-4


class PartReads(NamedTuple):
    """Reads of one submission, a part of the program.

    Attributes:
        variables: int64, shape (v,), ids of the program variables it carries, ascending.
        bits: int8, shape (m, v).
        counts: shape (m,), how often each read occurred.
        broken: float64, shape (m,), share of broken chains in each read.
    """

    variables: Longs
    bits: Array
    counts: Longs
    broken: Floats


def _listed(
    submissions: Sequence[Submission], samplesets: Iterable[dimod.SampleSet]
) -> tuple[dimod.SampleSet, ...]:
    """Return sample sets as a tuple, one for each submission.

    Raises:
        DecodeError: there are more or fewer, or they are no list.
    """
    import dimod

    try:
        if isinstance(samplesets, dimod.SampleSet):
            raise InputError("one alone")
        answers = several("samplesets", samplesets)
    except InputError:
        raise DecodeError(
            f"a list of sample sets is needed, one for each submission, not {shown(samplesets)}",
            expected=len(submissions),
        ) from None
    if len(answers) != len(submissions):
        raise DecodeError(
            f"{len(answers)} sample sets for {len(submissions)} submissions",
            expected=len(submissions),
        )
    return answers


def _check_order(submissions: Sequence[Submission], answers: Sequence[dimod.SampleSet]) -> None:
    """Check that no answer is another submission's; where both use the same qubits, energies tell.

    Energies that are no submission's are the caller's own affair.

    Raises:
        DecodeError: one is; names both.
    """
    for part, answer in zip(submissions, answers, strict=True):
        if not answer.record.energy[:_FEW].any() or _told_by(part, answer):
            continue
        for other in submissions:
            if other is not part and _told_by(other, answer):
                raise DecodeError(
                    f"submission {part.index}: its samples have the energies of submission "
                    f"{other.index}: give sample sets in the order of the submissions",
                    submission=part.index,
                    found=other.index,
                )


def _told_by(submission: Submission, answer: dimod.SampleSet) -> bool:
    """Return whether the energies of an answer's first reads are those of a submission's model."""
    reader = Reader(submission.index, submission.to_vectors(), submission.physical)
    energies = reader.energies(answer, _FEW)
    told = answer.record.energy[:_FEW]
    return energies is not None and np.allclose(energies, told, rtol=_CLOSE, atol=_CLOSE)


def read_parts(
    submissions: Sequence[Submission],
    samplesets: Iterable[dimod.SampleSet],
    chain_break_method: str = MAJORITY,
) -> Iterator[PartReads]:
    """Yield the reads of each submission.

    Args:
        submissions: what was sampled.
        samplesets: one per submission, over its variables or its qubits.
        chain_break_method: see `Submission.unembed`.

    Raises:
        DecodeError: there are more or fewer sample sets than submissions, nothing is left of a
            submission, or its samples are those of another or none that samplers answer.
        InputError: the method is not known.
    """
    answers = _listed(submissions, samplesets)
    read = [
        part.read(answer, chain_break_method)
        for part, answer in zip(submissions, answers, strict=True)
    ]
    if len(submissions) > 1:
        _check_order(submissions, answers)
    for submission, sampleset, reads in zip(submissions, answers, read, strict=True):
        if not len(reads.samples):
            reason = (
                f"has no read without a broken chain, of {len(sampleset)}: another "
                "chain_break_method keeps them"
                if len(sampleset)
                else "has no samples"
            )
            number = submission.index
            raise DecodeError(f"submission {number} {reason}", submission=number)
        counts = sampleset.record.num_occurrences[reads.kept]
        some = counts > 0
        if some.all():
            yield PartReads(submission.variables, reads.samples, counts, reads.broken)
        elif some.any():
            part = reads.samples[some], counts[some], reads.broken[some]
            yield PartReads(submission.variables, *part)
        else:
            raise DecodeError(
                f"submission {submission.index}: no read ever occurred (num_occurrences is 0)",
                submission=submission.index,
            )


def best_reads(program: Program, parts: Iterable[PartReads]) -> tuple[Bytes, float]:
    """Pick the best read of each component: feasible first, then lowest energy.

    Returns:
        One point of ``program``, shape (1, n), and the mean share of broken chains.
    """
    point = np.zeros((1, len(program)), np.uint8)
    broken = reads = 0.0
    for part in parts:
        # Components of the program that the submission carries, numbered from 0.
        component = np.unique(program.components[part.variables], return_inverse=True)[1]
        place = np.full(len(program), -1, np.int64)
        place[part.variables] = np.arange(len(part.variables))
        energies = _energies(program, part, place, component)
        failures = _failures(program, part, place, component)
        # Of those that fail least. Added up, small energies would drown in the unit of a failure.
        best = np.where(failures > failures.min(axis=0), np.inf, energies).argmin(axis=0)
        point[0, part.variables] = part.bits[best[component], np.arange(len(component))]
        broken += float(part.broken @ part.counts)
        reads += float(part.counts.sum())
    return point, broken / reads if reads else 0.0


def mean_read(program: Program, parts: Iterable[PartReads]) -> Floats:
    """Return the mean of all reads of ``program``, shape (1, n)."""
    mean = np.zeros((1, len(program)))
    for part in parts:
        mean[0, part.variables] = np.average(part.bits, axis=0, weights=part.counts)
    return mean


def _energies(program: Program, part: PartReads, place: Longs, component: Longs) -> Floats:
    """Return the program energy of each component in each read, constants excluded.

    Args:
        program: all of it.
        part: reads of one submission.
        place: of each program variable in the submission, -1 where it is in another.
        component: of each variable of the submission.
    """
    form = program.total()
    inside = (place[form.i] >= 0) & (place[form.j] >= 0)
    return kernels.block_energies(
        part.bits,
        form.linear[part.variables],
        place[form.i[inside]],
        place[form.j[inside]],
        form.bias[inside],
        component,
        int(component.max(initial=-1)) + 1,
    )


def _failures(program: Program, part: PartReads, place: Longs, component: Longs) -> Floats:
    """Return how many constraints each component fails in each read; see `_energies`."""
    c = program.constraints
    outside = np.bincount(segment_ids(c.ptr), weights=place[c.var] < 0, minlength=len(c))
    inside = c.take(outside == 0)
    counts = np.zeros((int(component.max(initial=-1)) + 1, len(part.bits)))
    if len(inside):
        local = replaced(inside, var=place[inside.var])
        variables = program.variables.take(part.variables)
        violations = Program(variables, program.objective, local).violations(part.bits)
        owner = component[local.var[local.ptr[:-1]]]
        np.add.at(counts, owner, (violations > 1e-9).T.astype(np.float64))
    return counts.T
