"""Sampling: by any dimod sampler, or by simulated annealing on this computer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from qubo_attn.backend.bqm import logical_model
from qubo_attn.backend.one_scale import at_one_scale
from qubo_attn.backend.submission import Submission
from qubo_attn.errors import InputError

if TYPE_CHECKING:
    import dimod

# Reads of every sampler that takes a number of them, where the caller names none.
READS = 32
SWEEPS = 256
# A sampler's inverse temperature is a number, however small the model's biases.
_LEAST = 1e-300
# Share of spins that the local sampler's coldest sweep may excite, by its own default.
_EXCITATIONS = 0.01


def anneal_all(
    submissions: Sequence[Submission],
    seed: int | None,
    options: dict[str, object],
    before: Callable[[Submission], None] | None = None,
) -> list[dimod.SampleSet]:
    """Sample the logical models of submissions by simulated annealing on this computer.

    Args:
        submissions: what to sample.
        seed: seed of the first submission, each later one gets the next number.
        options: further keywords of the annealer.
        before: called with each submission before it is sampled, to show progress.

    Raises:
        InputError: an option is none that the annealer takes.
    """
    samplesets = []
    for part in submissions:
        if before is not None:
            before(part)
        part_seed = None if seed is None else (seed + part.index) % 2**31
        samplesets.append(_annealed(part, part_seed, options))
    return samplesets


def _annealed(
    submission: Submission, seed: int | None, options: dict[str, object]
) -> dimod.SampleSet:
    """Sample the logical model of a submission by simulated annealing on this computer."""
    from dwave.samplers import SimulatedAnnealingSampler

    given = {name: value for name, value in options.items() if value is not None}
    local, model = {"num_reads": READS, "num_sweeps": SWEEPS} | given, submission.bqm
    vectors = own = submission.to_vectors()
    if not any(name.startswith("beta") for name in options):
        vectors = at_one_scale(own)
        model = model if vectors is own else logical_model(vectors)
        local |= _beta_range(model)
    try:
        sampleset = SimulatedAnnealingSampler().sample(model, seed=seed, **local)
    except (TypeError, ValueError, OverflowError, MemoryError) as error:
        raise InputError(f"the local sampler takes no such options: {error}") from error
    if vectors is not own:
        sampleset.record.energy[:] = submission.bqm.energies(sampleset)
    return sampleset


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
    cold = np.log((least == smallest).sum() / _EXCITATIONS) / max(2 * smallest, _LEAST)
    return {"beta_range": [hot, cold]}
