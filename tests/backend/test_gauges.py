from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import dimod
import numpy as np
import pytest
from dwave.preprocessing.composites import ScaleComposite, SpinReversalTransformComposite
from dwave.system.composites import FixedEmbeddingComposite
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

import qubo_attn as qa
from qubo_attn.backend.background import programmed
from qubo_attn.backend.gauges import draw_gauge, turned
from qubo_attn.backend.model import Physical
from qubo_attn.jobs.memory import sample_all
from qubo_attn.machine.ranges import outside, range_use


@pytest.fixture(scope="module")
def machine() -> qa.SimulatedMachine:
    return qa.SimulatedMachine("zephyr:2", field_error=0, coupling_error=0, susceptibility=0)


@pytest.fixture(scope="module")
def compiled(minilm: dict[str, np.ndarray], machine: qa.SimulatedMachine) -> qa.CompiledAttention:
    return qa.compile(
        minilm["scores"][:3, :2],
        3,
        select=qa.ExactlyK(3),
        objective="output",
        values=minilm["value"][:3],
        target=machine,
    )


def test_gauges_stay_within_all_ranges(compiled: qa.CompiledAttention) -> None:
    part = compiled.submissions[0]
    physical, n = part.physical, len(part.variables)
    assert physical is not None
    component = np.unique(compiled.placement.component[part.variables], return_inverse=True)[1]
    signs = np.array([draw_gauge(physical, component, seed) for seed in range(40)])
    assert (np.abs(signs) == 1).all()
    assert len(np.unique(signs, axis=0)) > 20
    within = physical.chain_of[physical.u] == physical.chain_of[physical.v]
    for sign in signs:
        turn = turned(physical, sign)
        assert range_use(turn.target, turn.qubit, turn.h, turn.coupler, turn.j) <= 1 + 1e-9
        assert np.array_equal(turn.j[within], physical.j[within])
        assert np.array_equal(np.abs(turn.j), np.abs(physical.j))
    assert n == signs.shape[1]


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, -0.02, -0.04]))
@settings(max_examples=30, deadline=None)
def test_programmed_gauges_stay_in_range_with_their_chains(
    compiled: qa.CompiledAttention, seed: int, chi: float
) -> None:
    """Whatever the gauge: chains as strong as without it, and what is programmed in range."""
    part = compiled.submissions[0]
    assert part.physical is not None
    properties = {**part.physical.target.properties, "susceptibility": chi}
    physical = replace(part.physical, target=replace(part.physical.target, properties=properties))
    # Chains at the end of their range are the strongest that there are.
    within = physical.chain_of[physical.u] == physical.chain_of[physical.v]
    physical = replace(physical, j=np.where(within, -2.0, physical.j))
    component = np.unique(compiled.placement.component[part.variables], return_inverse=True)[1]
    sign = draw_gauge(physical, component, seed)
    turn, sent = turned(physical, sign), programmed(physical, sign)
    assert (turn.j[within] == -2.0).all()
    limits = physical.target.limits
    for model in (turn, sent):
        assert not outside(model.h, limits.h, 1e-9).any()
        assert not outside(model.j, limits.j, 1e-9).any()
    again = turned(turn, sign)
    assert np.array_equal(again.h, physical.h)
    assert np.array_equal(again.j, physical.j)


@pytest.fixture(scope="module")
def small(minilm: dict[str, np.ndarray], machine: qa.SimulatedMachine) -> qa.Submission:
    """Six rows of five slots, some chains of two qubits: few enough states to count each."""
    compiled = qa.compile(
        minilm["scores"][:3, :2],
        3,
        select=qa.ExactlyK(2),
        slots=5,
        objective="output",
        values=minilm["value"][:3],
        target=machine,
    )
    (part,) = compiled.submissions
    assert part.longest_chain == 2
    return part


def components(part: qa.Submission) -> np.ndarray:
    """The independent row of each variable."""
    _, group = connected_components(
        csr_array((part.bias, (part.i, part.j)), (len(part.scale),) * 2)
    )
    assert isinstance(group, np.ndarray)
    return group


def with_chains_at_the_end(part: qa.Submission) -> qa.Submission:
    """Chains at -2, the end of their range."""
    physical = part.physical
    assert physical is not None
    within = physical.chain_of[physical.u] == physical.chain_of[physical.v]
    assert within.any()
    return replace(part, physical=replace(physical, j=np.where(within, -2.0, physical.j)))


def decoded(
    part: qa.Submission, sampler: object, seed: int = 5, gauges: int = 0, **options: object
) -> list[np.ndarray]:
    """The share of each state of each row, over 20,000 reads, chains read by majority."""
    samples = sample_all([part], sampler, seed, {"num_reads": 20_000, **options}, gauges=gauges)
    bits = part.read(samples[0]).samples.astype(np.int64)
    assert len(bits) == 20_000
    shares = []
    for row in np.unique(components(part)):
        own = bits[:, components(part) == row]
        states = own @ (1 << np.arange(own.shape[1]))
        shares.append(np.bincount(states, minlength=1 << own.shape[1]) / len(own))
    return shares


def distance(one: list[np.ndarray], other: list[np.ndarray]) -> float:
    """The largest total variation of a row: how much of its reads is elsewhere."""
    return max(float(np.abs(a - b).sum()) / 2 for a, b in zip(one, other, strict=True))


@pytest.fixture(scope="module")
def plain(small: qa.Submission, machine: qa.SimulatedMachine) -> list[np.ndarray]:
    return decoded(small, machine)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_no_gauge_changes_any_energy(small: qa.Submission, seed: int) -> None:
    """So the law is that without, at any temperature, with chains at -2, broken ones too."""
    physical = with_chains_at_the_end(small).physical
    assert physical is not None
    sign = draw_gauge(physical, components(small), seed)
    turn = turned(physical, sign)
    spins = np.zeros((200, len(physical.target.qubits)))
    drawn = np.random.default_rng(seed).choice([-1.0, 1.0], (200, len(physical.qubit)))
    spins[:, physical.qubit] = drawn
    back = spins.copy()
    back[:, physical.qubit] *= sign[physical.chain_of[physical.qubit]]

    def energy(model: Physical, spins: np.ndarray) -> np.ndarray:
        couplings = spins[:, model.u] * spins[:, model.v]
        return np.asarray(spins[:, model.qubit] @ model.h + couplings @ model.j)

    assert energy(turn, back) == pytest.approx(energy(physical, spins))


@pytest.mark.parametrize("gauges", [1, 4, 20])
def test_gauges_leave_the_law_of_the_samples(
    small: qa.Submission, machine: qa.SimulatedMachine, plain: list[np.ndarray], gauges: int
) -> None:
    """The distance is the total variation of each row's states, infeasible ones too."""
    assert distance(plain, decoded(small, machine, gauges=gauges)) < 0.02


def test_the_distance_tells_laws_apart(
    small: qa.Submission, machine: qa.SimulatedMachine, plain: list[np.ndarray]
) -> None:
    assert distance(plain, decoded(small, ScaleComposite(machine), scalar=0.5)) > 0.1


def test_gauges_leave_the_law_with_chains_at_the_end_of_their_range(
    small: qa.Submission, machine: qa.SimulatedMachine
) -> None:
    strong = with_chains_at_the_end(small)
    assert distance(decoded(strong, machine), decoded(strong, machine, gauges=4)) < 0.02


def test_gauges_leave_the_law_of_wide_rows(
    compiled: qa.CompiledAttention, machine: qa.SimulatedMachine
) -> None:
    """Ten keys, some 120 states: their sampling noise adds up, so no single share may differ."""
    part = compiled.submissions[0]
    plain, gauged = decoded(part, machine), decoded(part, machine, gauges=4)
    for one, other in zip(plain, gauged, strict=True):
        assert np.abs(one - other).max() < 0.02
        bits = np.arange(len(one))[:, None] >> np.arange(10) & 1
        assert np.abs((one - other) @ bits).max() < 0.02


THROUGH: dict[str, tuple[Callable[[dimod.Sampler], dimod.Sampler], dict[str, object]]] = {
    "tracking": (dimod.TrackingComposite, {}),
    "truncate": (lambda machine: dimod.TruncateComposite(machine, 20_000), {}),
    "scale": (ScaleComposite, {"scalar": 1.0}),
    "no spin reversal": (SpinReversalTransformComposite, {"num_spin_reversal_transforms": 0}),
}


@pytest.mark.parametrize("name", THROUGH)
def test_gauges_under_composites_leave_the_law(
    small: qa.Submission, machine: qa.SimulatedMachine, plain: list[np.ndarray], name: str
) -> None:
    """Composites on the way to a machine: with gauges, as the bare machine without."""
    composite, options = THROUGH[name]
    gauged = decoded(small, composite(machine), seed=7, gauges=4, **options)
    assert distance(plain, gauged) < 0.02


def test_spin_reversal_of_single_qubits_needs_couplings_of_one_range(
    small: qa.Submission, machine: qa.SimulatedMachine
) -> None:
    """It turns qubits of a chain apart: a chain of -2 becomes +2, which no machine takes."""
    strong, reversal = with_chains_at_the_end(small), SpinReversalTransformComposite
    with pytest.raises(qa.SubmissionError, match=r"the coupling of .* is 2, beyond") as refused:
        decoded(strong, reversal(machine, seed=2))
    assert refused.value.code == "j-range"
    assert refused.value.limits == (-2.0, 1.0)
    # At half of the scale no coupling is beyond 1 either way: then it leaves the law, ours beside.
    physical = small.physical
    assert physical is not None
    assert np.abs(physical.j).max() / 2 <= 1
    halved = decoded(small, ScaleComposite(machine), scalar=0.5)
    for gauges in (0, 4):
        both = reversal(ScaleComposite(machine), seed=2)
        assert distance(halved, decoded(small, both, gauges=gauges, scalar=0.5)) < 0.02


def test_gauges_stay_away_from_samplers_that_embed_themselves(
    small: qa.Submission, machine: qa.SimulatedMachine
) -> None:
    """They get logical models as they are, in as many calls: their law is their own."""
    tracked = dimod.TrackingComposite(FixedEmbeddingComposite(machine, small.embedding))
    own = decoded(small, tracked, chain_strength=2.0)
    gauged = decoded(small, tracked, seed=7, gauges=4, chain_strength=2.0)
    assert distance(own, gauged) < 0.02
    assert all(sent["bqm"] == small.bqm for sent in tracked.inputs)


def test_gauges_through_a_composite(
    compiled: qa.CompiledAttention, machine: qa.SimulatedMachine
) -> None:
    tracked = dimod.TrackingComposite(machine)
    result = compiled.solve(tracked, gauges=3, num_reads=60, seed=1)
    direct = compiled.solve(machine, gauges=3, num_reads=60, seed=1)
    assert len(tracked.outputs) == 3 * len(compiled.submissions)
    assert np.array_equal(result.reads.feasible > 0, direct.reads.feasible > 0)
    with pytest.raises(qa.InputError, match="gauges must be a whole number of at least 0"):
        compiled.solve(machine, gauges=-1)
