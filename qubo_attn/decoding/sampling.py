"""Samples of a compilation: one round, or several with multipliers moved in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from qubo_attn.backend.sampler_options import check_seed
from qubo_attn.backend.submission import Submission
from qubo_attn.backend.unembed import check_method
from qubo_attn.common.checks import MOST_SEED, shown, whole
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.decoding.machine_use import MachineUse
from qubo_attn.decoding.multipliers import MOST_STEPS, refine
from qubo_attn.errors import InputError

if TYPE_CHECKING:
    import dimod

    from qubo_attn.solving.local import LocalSolver


class SampleAll(Protocol):
    """Samples submissions, round after round."""

    @property
    def machine(self) -> MachineUse | None:
        """Problems and machine time so far; None where no sampler was called."""

    def __call__(
        self,
        submissions: Sequence[Submission],
        sampler: object,
        seed: int | None,
        options: dict[str, object],
        chain_break_method: str = ...,
        before: Callable[[Submission], None] | None = None,
        gauges: int = 0,
    ) -> list[dimod.SampleSet]:
        """Return the sample sets of submissions."""


class Sampling(NamedTuple):
    """How submissions are sampled.

    Attributes:
        sample: samples them by the fields that follow.
        sampler, seed, options, chain_break_method, before, gauges, multiplier_steps: see
            `CompiledAttention.solve`.
        names: other names that an unknown option may have meant.
    """

    sample: SampleAll
    sampler: dimod.Sampler | LocalSolver | str | None
    seed: int | None
    options: dict[str, object]
    chain_break_method: str
    before: Callable[[Submission], None] | None
    gauges: int
    multiplier_steps: int
    names: list[str]

    def later(self, number: int, compilation: Compilation) -> Sampling:
        """Return how a later round of that number is sampled: with seeds of its own."""
        if self.seed is None or not number:
            return self
        return self._replace(seed=(self.seed + number * len(compilation.submissions)) % MOST_SEED)


def check_sampling(way: Sampling) -> tuple[int, int, int | None]:
    """Check how to sample, before anything is done; return rounds, gauges and seed.

    Raises:
        InputError: an argument is none that `CompiledAttention.solve` takes; names it.
    """
    steps = whole("multiplier_steps", way.multiplier_steps, 0, MOST_STEPS)
    gauges, seed = whole("gauges", way.gauges), check_seed(way.seed)
    check_method(way.chain_break_method)
    if way.before is not None and not callable(way.before):
        raise InputError(f"before must be a function, not {shown(way.before)}", argument="before")
    return steps, gauges, seed


def samples_of(compilation: Compilation, way: Sampling) -> list[dimod.SampleSet]:
    """Return the samples of every submission.

    Args:
        compilation: what to sample.
        way: how.

    Raises:
        InputError, SubmissionError, DecodeError: see `CompiledAttention.solve`.
    """
    steps, gauges, seed = check_sampling(way)

    def sample(round_: Compilation, step: int) -> list[dimod.SampleSet]:
        parts = round_.submissions
        first = None if seed is None else seed + step * len(parts)
        method, before = way.chain_break_method, way.before
        # The local solver, by whatever name, has been told apart before.
        sampler = cast("dimod.Sampler | None", way.sampler)
        return way.sample(parts, sampler, first, way.options, method, before, gauges)

    samplesets = sample(compilation, 0)
    return refine(compilation, samplesets, sample, steps) if steps else samplesets
