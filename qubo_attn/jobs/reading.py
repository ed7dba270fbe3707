"""Sample sets of a job's answers, one for each submission that was handed in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from qubo_attn.backend.submission import Submission
from qubo_attn.jobs.answers import Block, joined, sampleset_of
from qubo_attn.jobs.book import Book
from qubo_attn.jobs.state import DONE, REPLACED, Progress

if TYPE_CHECKING:
    import dimod


def samplesets_of(
    book: Book, *, embedded: bool, chain_break_method: str
) -> list[dimod.SampleSet | None]:
    """Return the reads of every submission that was handed in; None where no answer has come.

    Reads are over qubits where the answers are. Where calls were replaced, reads of the repaired
    submissions are put together; those are over program variables.

    Args:
        book: how the calls stand.
        embedded: whether answers are over qubits.
        chain_break_method: how reads that are put together are unembedded.
    """
    done: dict[tuple[int, int], list[Progress]] = {}
    for p in book.of(DONE):
        done.setdefault((p.call.version, p.call.submission), []).append(p)
    replaced = {p.call.submission for p in book.of(REPLACED) if p.call.version == 0}

    def reads_of(part: Submission, calls: Sequence[Progress]) -> dimod.SampleSet:
        answers = [book.journal.answer(p.call.number) for p in calls]
        signs = [book.work.sign(p.call) for p in calls]
        return sampleset_of(answers, part, signs, embedded=embedded)

    def block_of(key: tuple[int, int], of: Submission) -> Block:
        part = book.work.versions[key[0]][key[1]]
        wanted = np.zeros(int(max(part.variables.max(), of.variables.max())) + 1, bool)
        wanted[of.source] = True
        return Block(part, reads_of(part, done[key]), wanted, chain_break_method)

    samplesets: list[dimod.SampleSet | None] = []
    for part in book.work.versions[0]:
        own = done.get((0, part.index))
        if part.index not in replaced:
            samplesets.append(None if own is None else reads_of(part, own))
            continue
        keys = [
            key
            for key in sorted(done)
            if key[0]
            and np.isin(book.work.versions[key[0]][key[1]].variables, part.variables).any()
        ]
        repaired = joined(part, [block_of(key, part) for key in keys])
        if own is not None:
            first = joined(part, [block_of((0, part.index), part)])
            repaired = first if repaired is None else _stacked(first, repaired)
        samplesets.append(repaired)
    return samplesets


def _stacked(one: dimod.SampleSet | None, other: dimod.SampleSet) -> dimod.SampleSet:
    """Return the reads of both."""
    import dimod

    return other if one is None else dimod.concatenate([one, other])
