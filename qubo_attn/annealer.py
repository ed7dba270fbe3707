"""The local solver, and how any dimod sampler is called."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from qubo_attn.errors import InputError
from qubo_attn.unembedding import MAJORITY

if TYPE_CHECKING:
    import dimod

    from qubo_attn.submission import Submission

READS = 32
SWEEPS = 256


def sample(
    submission: Submission,
    sampler: dimod.Sampler | None,
    seed: int | None,
    options: dict[str, object],
    chain_break_method: str = MAJORITY,
) -> dimod.SampleSet:
    """Sample one submission.

    A structured sampler gets the embedded model and its samples are unembedded; any other gets the
    logical one. Without a sampler, simulated annealing runs here.

    Args:
        submission: what to sample.
        sampler: any dimod sampler, or None.
        seed: handed on where the sampler takes one.
        options: further keywords of the sampler.
        chain_break_method: how samples of the embedded model are read.
    """
    if sampler is None:
        from dwave.samplers import SimulatedAnnealingSampler

        local = {"num_reads": READS, "num_sweeps": SWEEPS} | options
        if seed is not None and not 0 <= seed < 2**31:
            raise InputError(f"seed must be from 0 to 2^31 - 1, not {seed}", seed=seed)
        return SimulatedAnnealingSampler().sample(submission.bqm, seed=seed, **local)
    keywords = dict(options)
    if seed is not None and _takes_seed(sampler):
        keywords.setdefault("seed", seed)
    if submission.physical is not None and _holds(sampler, submission):
        embedded = sampler.sample(submission.embedded_bqm, **keywords)
        return submission.unembed(embedded, chain_break_method)
    return sampler.sample(submission.bqm, **keywords)


def _holds(sampler: dimod.Sampler, submission: Submission) -> bool:
    """Return whether the sampler is the machine itself, not a composite that embeds."""
    qubits = {qubit for chain in submission.embedding.values() for qubit in chain}
    return qubits <= set(getattr(sampler, "nodelist", ()))


def _takes_seed(sampler: dimod.Sampler) -> bool:
    try:
        return "seed" in inspect.signature(sampler.sample).parameters
    except (TypeError, ValueError):
        return False
