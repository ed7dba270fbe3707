"""Sampling: by any dimod sampler, or by simulated annealing on this computer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from qubo_attn.backend.submission import Submission
from qubo_attn.backend.unembed import MAJORITY
from qubo_attn.errors import InputError
from qubo_attn.machine.reads import split_reads

if TYPE_CHECKING:
    import dimod

READS = 32
SWEEPS = 256
# Share of spins that the local sampler's coldest sweep may excite, by its own default.
_EXCITATIONS = 0.01


def sample_all(
    submissions: Sequence[Submission],
    sampler: dimod.Sampler | None,
    seed: int | None,
    options: dict[str, object],
    chain_break_method: str = MAJORITY,
    before: Callable[[Submission], None] | None = None,
) -> list[dimod.SampleSet]:
    """Sample submissions one after another; see `sample`.

    Args:
        submissions: what to sample.
        sampler, options, chain_break_method: see `sample`.
        seed: seed of the first submission; each later one gets the next number.
        before: called with each submission before it is sampled, to show progress.
    """
    samplesets = []
    for submission in submissions:
        if before is not None:
            before(submission)
        part_seed = None if seed is None else (seed + submission.index) % 2**31
        samplesets.append(sample(submission, sampler, part_seed, options, chain_break_method))
    return samplesets


def sample(
    submission: Submission,
    sampler: dimod.Sampler | None,
    seed: int | None,
    options: dict[str, object],
    chain_break_method: str = MAJORITY,
) -> dimod.SampleSet:
    """Sample one submission.

    A structured sampler gets the embedded model and its samples are unembedded; any other gets the
    logical one. Without a sampler, simulated annealing runs here. Reads beyond what one call of the
    machine takes are split over several.

    Args:
        submission: what to sample.
        sampler: any dimod sampler, or None.
        seed: seed of the sampler; left out where it takes none.
        options: further keywords of the sampler.
        chain_break_method: how samples of the embedded model are read.

    Raises:
        InputError: an option is none that the local sampler takes.
    """
    from dimod import concatenate

    if sampler is None:
        from dwave.samplers import SimulatedAnnealingSampler

        given = {name: value for name, value in options.items() if value is not None}

        local = {"num_reads": READS, "num_sweeps": SWEEPS} | given
        if not any(name.startswith("beta") for name in options):
            local |= _beta_range(submission.bqm)
        try:
            return SimulatedAnnealingSampler().sample(submission.bqm, seed=seed, **local)
        except (TypeError, ValueError, OverflowError, MemoryError) as error:
            raise InputError(f"the local sampler takes no such options: {error}") from error
    keywords = dict(options)
    if seed is not None and _takes_seed(sampler):
        keywords.setdefault("seed", seed)
    if submission.physical is not None and _holds(sampler, submission):
        calls = _calls(submission, keywords)
        samplesets = [sampler.sample(submission.embedded_bqm, **call) for call in calls]
        joined = samplesets[0] if len(samplesets) == 1 else concatenate(samplesets)
        return submission.unembed(joined, chain_break_method)
    return sampler.sample(submission.bqm, **keywords)


def _beta_range(bqm: dimod.BinaryQuadraticModel) -> dict[str, object]:
    """Return the range that the local sampler would choose, without its loop over couplers.

    The loop, in Python, takes longer than the sampling; the numbers are the same to the last bit.
    A model without biases gets none.
    """
    linear, (i, j, bias), _ = bqm.change_vartype("SPIN", inplace=False).to_numpy_vectors()
    total = np.abs(linear)
    least = np.where(total > 0, total, np.inf)
    ends, strength = np.stack([i, j], axis=1).ravel(), np.repeat(np.abs(bias), 2)
    np.add.at(total, ends, strength)
    np.minimum.at(least, ends, np.where(strength > 0, strength, np.inf))
    least = least[least < np.inf]
    if not len(least):
        return {}
    smallest = least.min()
    hot = np.log(2) / (2 * total.max())
    cold = np.log((least == smallest).sum() / _EXCITATIONS) / (2 * smallest)
    return {"beta_range": [hot, cold]}


def _calls(submission: Submission, keywords: dict[str, object]) -> list[dict[str, object]]:
    """Return the keywords of each call: as many as the machine's limits ask for."""
    assert submission.physical is not None
    reads = keywords.get("num_reads")
    if reads is None:
        return [keywords]
    target = submission.physical.target
    sizes = split_reads(target, submission.qubits, cast(int, reads), keywords)
    calls = [keywords | {"num_reads": size} for size in sizes]
    if "seed" in keywords:
        # The same seed again would give the same reads again.
        for number, call in enumerate(calls[1:], start=1):
            state = np.random.SeedSequence([cast(int, keywords["seed"]), number])
            call["seed"] = int(state.generate_state(1)[0] >> 1)
    return calls


def _holds(sampler: dimod.Sampler, submission: Submission) -> bool:
    """Return whether the sampler is the machine itself, not a composite that embeds."""
    qubits = {qubit for chain in submission.embedding.values() for qubit in chain}
    return qubits <= set(getattr(sampler, "nodelist", ()))


def _takes_seed(sampler: dimod.Sampler) -> bool:
    try:
        return "seed" in inspect.signature(sampler.sample).parameters
    except (TypeError, ValueError):
        return False
