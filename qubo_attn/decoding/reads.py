"""Reads of all submissions as bits of the program: the best of each component, and their mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from qubo_attn.backend.model import Physical
from qubo_attn.backend.submission import Submission
from qubo_attn.backend.unembed import MAJORITY, Reader
from qubo_attn.common.arrays import Array, Floats, Longs
from qubo_attn.common.checks import several, shown
from qubo_attn.common.words import plural
from qubo_attn.errors import DecodeError, InputError
from qubo_attn.ir.program import Program

if TYPE_CHECKING:
    import dimod


# Reads of an answer whose energies are compared with its model, and how close they are.
_FEW, _CLOSE = 3, 1e-4


class PartReads(NamedTuple):
    """Reads of one submission, a part of the program.

    Attributes:
        variables: int64, shape (v,), ids of the program variables it carries, ascending; behind
            them, those that copies are of.
        bits: int8, shape (m, v).
        counts: shape (m,), how often each read occurred.
        broken: float64, shape (m,), share of broken chains in each read.
    """

    variables: Longs
    bits: Array
    counts: Longs
    broken: Floats

    def by_seats(self) -> Iterator[PartReads]:
        """Yield the reads of variables that are in the submission equally often.

        A read of a copy becomes one more read of the variable; no variable stands twice in what is
        yielded. Reads of all seats come one after another.
        """
        variables, seats = np.unique(self.variables, return_counts=True)
        if len(variables) == len(self.variables):
            yield self
            return
        order = np.argsort(self.variables, kind="stable")
        start = np.cumsum(seats) - seats
        for number in np.unique(seats).tolist():
            some = np.flatnonzero(seats == number)
            columns = [order[start[some] + seat] for seat in range(number)]
            yield PartReads(
                variables[some],
                np.concatenate([self.bits[:, column] for column in columns]),
                np.tile(self.counts, number),
                np.tile(self.broken, number),
            )


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
            f"{plural(len(answers), 'sample set')} for {plural(len(submissions), 'submission')}",
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
    columns = submission.to_vectors(), submission.physical, submission.source
    reader = Reader(submission.index, *columns)
    told = answer.record.energy[:_FEW]
    for sent in _models(submission):
        energies = reader.energies(answer, _FEW, sent)
        if energies is not None and np.allclose(energies, told, rtol=_CLOSE, atol=_CLOSE):
            return True
    return False


def _models(submission: Submission) -> Iterator[Physical | None]:
    """Yield what a sampler may have been given: the embedded model, or what machines are."""
    yield submission.physical
    if submission.physical is not None:
        yield submission.programmed()


def read_parts(
    submissions: Sequence[Submission],
    samplesets: Iterable[dimod.SampleSet],
    chain_break_method: str = MAJORITY,
    *,
    ordered: bool = False,
) -> Iterator[PartReads]:
    """Yield the reads of each submission.

    Args:
        submissions: what was sampled.
        samplesets: one per submission, over its variables or its qubits.
        chain_break_method: see `Submission.unembed`.
        ordered: whether each is known to be its submission's; their energies tell otherwise.

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
    if len(submissions) > 1 and not ordered:
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
        # Samples over the program's variables have none of copies, which come last.
        variables = submission.source[: reads.samples.shape[1]]
        if some.all():
            yield PartReads(variables, reads.samples, counts, reads.broken)
        elif some.any():
            part = reads.samples[some], counts[some], reads.broken[some]
            yield PartReads(variables, *part)
        else:
            raise DecodeError(
                f"submission {submission.index}: no read ever occurred (num_occurrences is 0)",
                submission=submission.index,
            )


def broken_share(parts: Iterable[PartReads]) -> float:
    """Return the mean share of broken chains over all reads."""
    broken = reads = 0.0
    for part in parts:
        broken += float(part.broken @ part.counts)
        reads += float(part.counts.sum())
    return broken / reads if reads else 0.0


def mean_read(program: Program, parts: Iterable[PartReads]) -> Floats:
    """Return the mean of all reads of ``program``, shape (1, n)."""
    mean = np.zeros((1, len(program)))
    for part in parts:
        for seats in part.by_seats():
            mean[0, seats.variables] = np.average(seats.bits, axis=0, weights=seats.counts)
    return mean
