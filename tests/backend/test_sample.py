"""The local sampler's temperatures are its own, worked out without a loop."""

from __future__ import annotations

import numpy as np
import pytest
from dwave.samplers import SimulatedAnnealingSampler
from hypothesis import given, settings
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn.jobs.memory import sample_all
from tests.conftest import read


def same(part: qa.Submission) -> None:
    options = {"num_reads": 3, "num_sweeps": 16}
    (ours,) = sample_all([part], None, 7 - part.index, dict(options))
    theirs = SimulatedAnnealingSampler().sample(part.bqm, seed=7, **options)
    assert ours.info["beta_range"] == theirs.info["beta_range"]
    np.testing.assert_array_equal(ours.record.sample, theirs.record.sample)
    np.testing.assert_array_equal(ours.record.energy, theirs.record.energy)


@pytest.mark.parametrize("target", [None, "zephyr:3"])
@pytest.mark.parametrize("objective", ["hard", "output", "selection"])
def test_real_rows(objective: str, target: str | None, cache: qa.EmbeddingCache) -> None:
    data = read("minilm_d02_L1_n10")
    compiled = qa.compile(
        data["scores"][:2, :4],
        2,
        select=qa.ExactlyK(3),
        objective=objective,
        values=data["value"][:2],
        target=target,
        cache=cache,
    )
    for part in compiled.submissions:
        same(part)


@given(st.lists(st.sampled_from([0.0, 0.25, -0.25, 1.0, 3.7, -1e-9]), min_size=1, max_size=12))
@settings(max_examples=30)
def test_zeros_and_ties(scores: list[float]) -> None:
    """Without couplers, and with biases that vanish; a model of zeros is the sampler's own case."""
    compiled = qa.compile(
        [scores], 1, select=qa.Unconstrained(), objective="hard", target=None, slots=None
    )
    if any(scores):
        for part in compiled.submissions:
            same(part)
    else:
        with pytest.warns(UserWarning, match="All bqm biases are zero"):
            compiled.solve("anneal", seed=1)


def test_a_range_that_is_given_stays() -> None:
    compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.ExactlyK(2), target=None)
    (answer,) = sample_all(compiled.submissions, None, 1, {"beta_range": [0.5, 2.0]})
    assert answer.info["beta_range"] == [0.5, 2.0]
