"""Sample sets in another order than the submissions: their energies tell."""

from __future__ import annotations

import dimod
import numpy as np
import pytest
from dwave.samplers import SteepestDescentSampler

import qubo_attn as qa


@pytest.fixture(scope="module")
def compiled() -> qa.CompiledAttention:
    """Rows of six keys, four submissions of which use the same qubits."""
    scores = np.random.default_rng(0).normal(size=(2, 6, 6))
    compiled = qa.compile(scores, 2, select=qa.ExactlyK(2), target="zephyr:1", slots=None)
    assert len(compiled.submissions) > 2
    return compiled


def answers(compiled: qa.CompiledAttention, model: str = "embedded_bqm") -> list[dimod.SampleSet]:
    sampler = SteepestDescentSampler()
    return [
        sampler.sample(getattr(part, model), num_reads=40, seed=part.index)
        for part in compiled.submissions
    ]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_right_order_is_taken(compiled: qa.CompiledAttention, dtype: type) -> None:
    samplesets = answers(compiled)
    for answer in samplesets:
        answer.record.energy[:] = answer.record.energy.astype(dtype)
    result = compiled.decode(samplesets)
    logical = [
        part.unembed(answer) for part, answer in zip(compiled.submissions, samplesets, strict=True)
    ]
    np.testing.assert_array_equal(result.selected, compiled.decode(logical).selected)


@pytest.mark.parametrize("model", ["embedded_bqm", "programmed_bqm"])
def test_swapped_answers_are_named(compiled: qa.CompiledAttention, model: str) -> None:
    first, second, *rest = answers(compiled, model)
    with pytest.raises(
        qa.DecodeError, match=r"submission 0: .* energies of submission 1"
    ) as caught:
        compiled.decode([second, first, *rest])
    assert (caught.value.facts["submission"], caught.value.facts["found"]) == (0, 1)


def test_an_answer_given_twice_is_named(compiled: qa.CompiledAttention) -> None:
    first, _, *rest = answers(compiled)
    with pytest.raises(qa.DecodeError, match=r"submission 1: .* energies of submission 0"):
        compiled.decode([first, first, *rest])


def test_energies_of_the_callers_own_are_no_sign(compiled: qa.CompiledAttention) -> None:
    samplesets = answers(compiled)
    right = compiled.decode(samplesets).selected
    for made in (lambda n: np.zeros(n), lambda n: np.arange(1.0, n + 1)):
        for answer in samplesets:
            answer.record.energy[:] = made(len(answer))
        np.testing.assert_array_equal(compiled.decode(samplesets).selected, right)


def test_energies_are_those_of_dimod(compiled: qa.CompiledAttention) -> None:
    from qubo_attn.backend.unembed import Reader

    loose = qa.compile([[2.0, 1.0, 0.5]], 1, select=qa.OneHot(), target=None)
    cases = [(part, part.embedded_bqm) for part in compiled.submissions]
    cases += [(part, part.bqm) for part in (*compiled.submissions, *loose.submissions)]
    for part, model in cases:
        answer = SteepestDescentSampler().sample(model, num_reads=5, seed=1)
        reader = Reader(part.index, part.to_vectors(), part.physical, part.source)
        energies = reader.energies(answer, 4)
        assert energies is not None
        np.testing.assert_allclose(energies, answer.record.energy[:4], atol=1e-9)
