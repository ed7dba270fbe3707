"""Sampling: by any dimod sampler, or by simulated annealing on this computer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from qubo_attn import kernels
from qubo_attn.backend.answers import check_answer, check_reads
from qubo_attn.backend.bqm import logical_model, physical_model
from qubo_attn.backend.gauges import draw_gauge, turned, turned_back
from qubo_attn.backend.one_scale import at_one_scale
from qubo_attn.backend.sampler import takes_embedded
from qubo_attn.backend.sampler_options import options_of
from qubo_attn.backend.solver_options import on_qubits
from qubo_attn.backend.submission import Submission
from qubo_attn.backend.unembed import MAJORITY
from qubo_attn.errors import InputError
from qubo_attn.machine.reads import split_reads
from qubo_attn.machine.sampler import machine_behind

if TYPE_CHECKING:
    import dimod

# Reads of every sampler that takes a number of them, where the caller names none.
READS = 32
SWEEPS = 256
# A sampler's inverse temperature is a number, however small the model's biases.
_LEAST = 1e-300
# Share of spins that the local sampler's coldest sweep may excite, by its own default.
_EXCITATIONS = 0.01


def sample_all(
    submissions: Sequence[Submission],
    sampler: dimod.Sampler | None,
    seed: int | None,
    options: dict[str, object],
    chain_break_method: str = MAJORITY,
    before: Callable[[Submission], None] | None = None,
    gauges: int = 0,
) -> list[dimod.SampleSet]:
    """Sample submissions one after another.

    A machine, and a composite that changes models on their way to one, gets embedded models and its
    samples are unembedded; any other sampler gets logical ones (`machine_behind` says which it is).
    Without a sampler, simulated annealing runs here. A sampler that takes ``num_reads`` is always
    told a number: ``READS`` where the options have none. Reads beyond what one call of the machine
    takes are split over several. Models are made for each call: what a sampler does to one changes
    nothing else.

    Args:
        submissions: what to sample.
        sampler: any dimod sampler, or None.
        seed: seed of the first submission, each later one gets the next number; left out where the
            sampler takes none.
        options: further keywords of the sampler.
        chain_break_method: how samples of the embedded model are read.
        before: called with each submission before it is sampled, to show progress.
        gauges: spin reversals that the reads of a machine are spread over; none when 0.

    Raises:
        InputError: an option is none that the local sampler takes.
        SubmissionError: the sampler is a machine, and a submission was compiled for none, or uses a
            qubit or coupler that is gone since; names it. Nothing has been sampled then.
        DecodeError: an answer is no sample set, or holds fewer reads than were asked for.
    """
    embedded = sampler is not None and takes_embedded(sampler, submissions)
    samplesets = []
    for part in submissions:
        if before is not None:
            before(part)
        part_seed = None if seed is None else (seed + part.index) % 2**31
        if sampler is None:
            samplesets.append(_annealed(part, part_seed, options))
            continue
        keywords = _keywords(sampler, part_seed, options)
        if embedded:
            answer = _from_machine(part, sampler, keywords, gauges)
            samplesets.append(part.unembed(answer, chain_break_method))
        else:
            samplesets.append(_answer(part, sampler, part.bqm, keywords))
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


def _keywords(
    sampler: dimod.Sampler, seed: int | None, options: dict[str, object]
) -> dict[str, object]:
    """Return the options with a number of reads, and a seed, where the sampler takes them."""
    keywords, known = dict(options), options_of(sampler) or ()
    if keywords.get("num_reads") is None and "num_reads" in known:
        keywords["num_reads"] = READS
    if seed is not None and "seed" in known:
        keywords.setdefault("seed", seed)
    return keywords


def _from_machine(
    submission: Submission, sampler: dimod.Sampler, keywords: dict[str, object], gauges: int
) -> dimod.SampleSet:
    """Return samples of the embedded model, of all calls that they take."""
    from dimod import concatenate

    physical = submission.physical
    assert physical is not None
    calls = _calls(submission, keywords, max(gauges, 1))
    if "programming_seed" in (options_of(sampler) or ()):
        # A stand-in is told that each call programs the machine anew.
        calls = [{"programming_seed": number} | call for number, call in enumerate(calls)]
    properties = getattr(machine_behind(sampler), "properties", None)
    component = kernels.connected_components(len(submission.variables), submission.i, submission.j)
    seed = cast(int, keywords.get("seed") or 0)
    samplesets = []
    for number, call in enumerate(calls):
        if not gauges:
            call = on_qubits(physical, submission.variables, call, None, properties)
            samplesets.append(_answer(submission, sampler, submission.embedded_bqm, call))
            continue
        sign = draw_gauge(physical, component, seed + number)
        call = on_qubits(physical, submission.variables, call, sign, properties)
        model = physical_model(turned(physical, sign), submission.embedded_offset)
        answer = _answer(submission, sampler, model, call)
        samplesets.append(turned_back(answer, physical, sign))
    return samplesets[0] if len(samplesets) == 1 else concatenate(samplesets)


def _answer(
    submission: Submission,
    sampler: dimod.Sampler,
    model: dimod.BinaryQuadraticModel,
    keywords: dict[str, object],
) -> dimod.SampleSet:
    """Call a sampler once; what it raises is its own."""
    sampleset = sampler.sample(model, **keywords)
    check_answer(submission.index, sampleset)
    check_reads(submission.index, sampler, sampleset, keywords)
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


def _calls(
    submission: Submission, keywords: dict[str, object], least: int
) -> list[dict[str, object]]:
    """Return the keywords of each call: as many as the machine's limits ask for, or ``least``."""
    assert submission.physical is not None
    reads = keywords.get("num_reads")
    if reads is None:
        return [keywords] * least
    target = submission.physical.target
    sizes = split_reads(target, submission.qubits, cast(int, reads), keywords, least)
    calls = [keywords | {"num_reads": size} for size in sizes]
    if "seed" in keywords:
        # The same seed again would give the same reads again.
        for number, call in enumerate(calls[1:], start=1):
            state = np.random.SeedSequence([cast(int, keywords["seed"]), number])
            call["seed"] = int(state.generate_state(1)[0] >> 1)
    return calls
