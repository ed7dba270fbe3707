"""Jobs: a compilation on its way through samplers, that outlives the process where it is wished."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from qubo_attn.backend.unembed import MAJORITY, check_method
from qubo_attn.common.brief import folding
from qubo_attn.common.checks import flag
from qubo_attn.compilation import storage
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.decoding.decode import check_decoding
from qubo_attn.decoding.partial import decode_partial
from qubo_attn.decoding.result import AttentionResult
from qubo_attn.errors import InputError, JobError
from qubo_attn.jobs.book import Book
from qubo_attn.jobs.engine import Engine
from qubo_attn.jobs.journal import ARTIFACT, Folder
from qubo_attn.jobs.line import Line
from qubo_attn.jobs.plan import Call, Sizes, plan
from qubo_attn.jobs.reading import samplesets_of
from qubo_attn.jobs.state import DONE, NEW, SENDING, SENT, Progress
from qubo_attn.jobs.status import CallStatus, JobStatus, use_of
from qubo_attn.jobs.work import placed_on, touched
from qubo_attn.machine.target import Target


class Job:
    """Calls on their way through samplers, made by `CompiledAttention.submit`.

    Nothing runs in the background: calls are sent and answers collected while somebody waits for
    them, in `as_completed` or `result`. An error or Ctrl-C ends the job in this process; with a
    folder, `qubo_attn.resume` goes on where it was.

    Example:
        >>> import tempfile
        >>> import qubo_attn as qa
        >>> machine = qa.SimulatedMachine("zephyr:2", seed=1)
        >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target=machine)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     job = compiled.submit(machine, reads=20, folder=f"{folder}/run7", seed=2)
        ...     result = job.result()
        >>> result.selected[0, 0], job.status().done
        (array([ True, False, False]), 1)
    """

    def __init__(
        self,
        compilation: Compilation,
        book: Book,
        lines: list[Line],
        sizes: Sizes,
        unsure: bool = False,
    ) -> None:
        self.compilation = compilation
        self._book, self._sizes = book, sizes
        self._engine = Engine(book, lines, repair=self._repaired, unsure=unsure)
        self._ended = False
        self._begun, self._had = book.settings.retry.clock(), len(book.of(DONE))

    @property
    def folder(self) -> Path | None:
        """Where the job is kept; None where it ends with the process."""
        return Path(self._book.journal.place) if self._book.journal.place else None

    @property
    def label(self) -> str:
        """What the labels of its problems begin with."""
        return self._book.settings.run

    def start(self) -> None:
        """Send a first wave of calls, unless the sampler computes while it is called.

        Raises:
            JobError, SubmissionError: see `as_completed`.
        """
        try:
            self._engine.send()
        except BaseException:
            self._end()
            raise

    def status(self) -> JobStatus:
        """Return how the calls stand, without asking anybody."""
        came = len(self._book.of(DONE)) - self._had
        passed = self._book.settings.retry.clock() - self._begun
        return JobStatus.of(self._book.progress, passed / came if came else None)

    @property
    def how_to_go_on(self) -> str:
        """How many answers are kept, where, and how to go on."""
        return self._book.kept()

    def as_completed(self, *, sending: bool = True) -> Iterator[CallStatus]:
        """Go on with the job, and yield every call as its answer comes.

        Args:
            sending: whether calls are sent; else those are waited for that are under way.

        Raises:
            JobError: a call was refused or failed too often, the budget is used, or no sampler is
                of any use; says which, what is kept, and how to go on.
            SubmissionError: a submission fits no machine.
            EmbeddingError: a row does not fit a machine that changed.
        """
        if self._book.of(NEW, SENDING, SENT) and (self._ended or not self._engine.lines):
            raise JobError(
                "this job has ended in this process"
                if self._ended
                else f"no sampler was given; {self._book.kept()}",
                code="ended",
                **self._book.facts(),
            )
        try:
            for number in self._engine.run(flag("sending", sending)):
                yield CallStatus.of(self._book.progress[number])
        except GeneratorExit:  # whoever asked has enough for now
            raise
        except BaseException:
            self._end()
            raise
        self._end()

    def result(
        self,
        *,
        partial: bool = False,
        decoder: str | None = None,
        chain_break_method: str = MAJORITY,
        repair: str = "every",
        descend: bool = True,
    ) -> AttentionResult:
        """Wait for all answers, and decode them.

        Args:
            partial: decode what has come, and wait for nothing; ``result.answered`` says which rows
                have an answer.
            decoder, chain_break_method, repair, descend: see `CompiledAttention.decode`.

        Raises:
            JobError, SubmissionError, EmbeddingError: see `as_completed`.
            DecodeError: an answer does not belong to a submission; names it.
            InputError: an argument is not known.
        """
        check_decoding(decoder, repair, descend)
        check_method(chain_break_method)
        if not flag("partial", partial):
            for _ in self.as_completed():
                pass
        embedded = self._sizes.embedded
        answers = samplesets_of(
            self._book, embedded=embedded, chain_break_method=chain_break_method
        )
        way = (decoder, chain_break_method, repair, descend)
        result = decode_partial(self.compilation, answers, *way)
        return dataclasses.replace(result, machine=use_of(self._book.progress))

    def cancel(self) -> JobStatus:
        """Cancel what no machine has begun, and end the job in this process.

        Calls that run already are paid for; `qubo_attn.resume` collects their answers, and sends
        the others again.

        Raises:
            JobError: the service could not be told.
        """
        if not self._ended:
            try:
                self._engine.cancel()
            finally:
                self._end()
        return self.status()

    def __str__(self) -> str:
        return f"job {self.label}: {self.status()}"

    def __repr__(self) -> str:
        return f"<{str(self).splitlines()[0]}>"

    def _repr_html_(self) -> str:
        return folding(str(self))

    def _end(self) -> None:
        self._ended = True
        if isinstance(self._book.journal, Folder):
            self._book.journal.close()

    def _repaired(self, target: Target, lost: list[Progress]) -> list[Call]:
        """Place the program on the machine of today; return calls in the place of some.

        The calls are noted, with those that they stand for.
        """
        book, journal = self._book, self._book.journal
        compilation = placed_on(self.compilation, target)
        version, calls = len(book.work.versions), list[Call]()
        if isinstance(journal, Folder):
            storage.save(compilation, journal.folder / f"{ARTIFACT}-{version}")
        reads: dict[int, int] = {}
        wanted: dict[tuple[int, int], int] = {}
        for p in lost:
            key = p.call.version, p.call.submission
            wanted[key] = wanted.get(key, 0) + p.call.reads
        for (old, number), count in wanted.items():
            for part in touched(book.work.versions[old][number], compilation.submissions):
                reads[part.index] = max(reads.get(part.index, 0), count)
        for index, count in sorted(reads.items()):
            sizes = dataclasses.replace(self._sizes, reads=count)
            first = len(book.progress) + len(calls)
            calls += plan([compilation.submissions[index]], sizes, first, version)
        book.work.versions.append(tuple(compilation.submissions))
        journal.note(
            [
                {
                    "event": "placed",
                    "version": version,
                    "graph": target.hash,
                    "calls": [dataclasses.asdict(call) for call in calls],
                    "replaced": [p.call.number for p in lost],
                }
            ]
        )
        return calls


def check_budget(calls: list[Call], budget: float | None) -> None:
    """Check that a budget can be kept.

    Raises:
        InputError: no machine time is known of a call.
    """
    if budget is not None and any(call.microseconds is None for call in calls):
        raise InputError(
            "a budget of machine time needs a sampler that states its times; leave budget= out",
            argument="budget",
        )
