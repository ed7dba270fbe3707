"""Samples at once: a job without a folder, which ends with the call."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from qubo_attn.backend.sample import READS, anneal_all
from qubo_attn.backend.submission import Submission
from qubo_attn.backend.unembed import MAJORITY
from qubo_attn.common.checks import whole
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.compilation.split import Split
from qubo_attn.decoding.decode import Decoding
from qubo_attn.decoding.machine_use import MachineUse
from qubo_attn.decoding.result import AttentionResult
from qubo_attn.decoding.sampling import Sampling
from qubo_attn.errors import InputError
from qubo_attn.frontend.objectives.renormalised import MOST_ROUNDS
from qubo_attn.jobs.book import Book, Settings
from qubo_attn.jobs.engine import Engine
from qubo_attn.jobs.journal import Memory
from qubo_attn.jobs.line import lines_of
from qubo_attn.jobs.plan import Sizes, plan
from qubo_attn.jobs.reading import samplesets_of
from qubo_attn.jobs.retry import Retry
from qubo_attn.jobs.samplers import transports_of
from qubo_attn.jobs.state import Progress
from qubo_attn.jobs.status import use_of
from qubo_attn.jobs.work import Work

if TYPE_CHECKING:
    import dimod

    from qubo_attn.decoding.block_rounds import BlockRound

# Calls under way at each sampler: a machine's queue stays full at a second of latency.
IN_FLIGHT = 40


class MemorySampling:
    """Samples of submissions, round after round, and what they took of a machine.

    Called as `qubo_attn.decoding.sampling.Sampling` wishes; without a sampler it anneals here.
    """

    def __init__(self) -> None:
        self._progress: list[Progress] = []

    @property
    def machine(self) -> MachineUse | None:
        """Problems and machine time so far; None where no sampler was called."""
        return use_of(self._progress) if self._progress else None

    def __call__(
        self,
        submissions: Sequence[Submission],
        sampler: object,
        seed: int | None,
        options: dict[str, object],
        chain_break_method: str = MAJORITY,
        before: Callable[[Submission], None] | None = None,
        gauges: int = 0,
    ) -> list[dimod.SampleSet]:
        """Return the samples of submissions; see `sample_all`."""
        if sampler is None:
            return anneal_all(submissions, seed, options, before)
        samplesets, progress = _sampled(
            submissions, sampler, seed, options, chain_break_method, before, gauges
        )
        self._progress += progress
        return samplesets


def solve_with(
    compiled: Compilation,
    way: Sampling,
    how: Decoding,
    rounds: int | None,
    after: Callable[[BlockRound], None] | None,
    restarts: int,
) -> AttentionResult:
    """Solve here, or sample and decode; see `CompiledAttention.solve`.

    Args:
        compiled: what to solve.
        way: the sampler, and how it is called.
        how: the decoder and its help.
        rounds, after, restarts: see `CompiledAttention.solve`.
    """
    # The local solver loads dimod, which compiling needs not wait for.
    from qubo_attn.decoding.blocks import in_blocks
    from qubo_attn.decoding.rounds import in_rounds

    restarts = whole("restarts", restarts, 0, MOST_ROUNDS)
    if Split.of(compiled) is None:
        if restarts:
            raise InputError(
                "restarts are of rows that are split: compile with decompose=", argument="restarts"
            )
        result = in_rounds(compiled, way, how, rounds)
    else:
        result = in_blocks(compiled, way, how, rounds, after, restarts)
    return dataclasses.replace(result, machine=way.sample.machine)


def sample_all(
    submissions: Sequence[Submission],
    sampler: object,
    seed: int | None,
    options: dict[str, object],
    chain_break_method: str = MAJORITY,
    before: Callable[[Submission], None] | None = None,
    gauges: int = 0,
) -> list[dimod.SampleSet]:
    """Sample submissions by any dimod sampler, or by simulated annealing on this computer.

    A machine, and a composite that changes models on their way to one, gets embedded models and its
    samples are unembedded; any other sampler gets logical ones (`machine_behind` says which it is).
    A sampler that takes ``num_reads`` is always told a number: 32 where the options have none.
    Reads beyond what one call of the machine takes are split over several.

    Args:
        submissions: what to sample.
        sampler: any dimod sampler, or a list of them; None for annealing here.
        seed: seed of the first submission, each later one gets the next number; left out where the
            sampler takes none.
        options: further keywords of the sampler.
        chain_break_method: how samples of the embedded model are read.
        before: called with each submission before it is sampled, to show progress.
        gauges: spin reversals that the reads of a machine are spread over; none when 0.

    Raises:
        SubmissionError: the sampler is a machine, and a submission was compiled for none, or uses a
            qubit or coupler that is gone since; names it. Nothing has been sampled then.
        DecodeError: an answer is no sample set, or holds fewer reads than were asked for.
        JobError: the sampler's service turned a call down, or does not answer.
    """
    way = (chain_break_method, before, gauges)
    return MemorySampling()(submissions, sampler, seed, options, *way)


def _sampled(
    submissions: Sequence[Submission],
    sampler: object,
    seed: int | None,
    options: dict[str, object],
    chain_break_method: str,
    before: Callable[[Submission], None] | None,
    gauges: int,
) -> tuple[list[dimod.SampleSet], list[Progress]]:
    """Return the samples of submissions by a sampler, and the calls that they took."""
    keywords = dict(options)
    reads = keywords.pop("num_reads", None)
    transports = transports_of(sampler, options, tell_reads=reads is not None)
    embedded, retry = transports[0].embedded, Retry()
    sizes = Sizes(READS if reads is None else int(reads), embedded, gauges, seed, keywords)  # type: ignore[call-overload]
    work = Work(submissions, keywords)
    progress = [Progress(call) for call in plan(submissions, sizes)]
    settings = Settings("solve", IN_FLIGHT, None, retry)
    book = Book(work, progress, Memory(), settings)
    engine = Engine(book, lines_of(transports, retry), before)
    for _ in engine.run():
        pass
    answers = samplesets_of(book, embedded=embedded, chain_break_method=chain_break_method)
    samplesets = [
        part.unembed(answer, chain_break_method) if embedded else answer
        for part, answer in zip(submissions, answers, strict=True)
        if answer is not None
    ]
    return samplesets, progress
