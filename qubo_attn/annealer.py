"""The local solver, and how any dimod sampler is called."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

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
) -> dimod.SampleSet:
    """Sample one submission.

    A structured sampler gets the embedded model and its samples are unembedded; any other gets the
    logical one. Without a sampler, simulated annealing runs here.

    Args:
        submission: what to sample.
        sampler: any dimod sampler, or None.
        seed: handed on where the sampler takes one.
        options: further keywords of the sampler.
    """
    if sampler is None:
        from dwave.samplers import SimulatedAnnealingSampler

        local = {"num_reads": READS, "num_sweeps": SWEEPS} | options
        return SimulatedAnnealingSampler().sample(submission.bqm, seed=seed, **local)
    keywords = dict(options)
    if seed is not None and _takes_seed(sampler):
        keywords.setdefault("seed", seed)
    if submission.physical is not None and hasattr(sampler, "nodelist"):
        return submission.unembed(sampler.sample(submission.embedded_bqm, **keywords))
    return sampler.sample(submission.bqm, **keywords)


def _takes_seed(sampler: dimod.Sampler) -> bool:
    try:
        return "seed" in inspect.signature(sampler.sample).parameters
    except (TypeError, ValueError):
        return False
