from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn.backend.background import programmed
from qubo_attn.backend.gauges import draw_gauge, turned
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


def decoded(
    compiled: qa.CompiledAttention, machine: object, **options: int
) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the feasible selections of the first row, and how often each key is kept."""
    part = compiled.submissions[0]
    samples = sample_all([part], machine, 5, {"num_reads": 20_000}, **options)[0]
    row = np.flatnonzero(compiled.placement.component[part.variables] == 0)
    bits = part.read(samples).samples[:, row].astype(np.int64)
    good = bits[bits.sum(axis=1) == 3]
    counts = np.bincount(good @ (1 << np.arange(bits.shape[1])), minlength=1 << bits.shape[1])
    return counts / len(good), bits.mean(axis=0)


def test_gauges_leave_the_law_of_the_samples(
    compiled: qa.CompiledAttention, machine: qa.SimulatedMachine
) -> None:
    plain, gauged = decoded(compiled, machine), decoded(compiled, machine, gauges=4)
    assert np.abs(plain[1] - gauged[1]).max() < 0.02
    # Two runs without a gauge lie 0.03 apart: there are some 36 selections to tell apart.
    assert np.abs(plain[0] - gauged[0]).sum() / 2 < 0.05


@pytest.mark.parametrize("composite", ["truncate", "tracking"])
def test_gauges_under_composites_leave_the_law(
    compiled: qa.CompiledAttention, machine: qa.SimulatedMachine, composite: str
) -> None:
    """Composites that change models on their way to a machine, with gauges and without."""
    import dimod

    made = {
        "truncate": lambda: dimod.TruncateComposite(machine, 10_000),
        "tracking": lambda: dimod.TrackingComposite(machine),
    }[composite]()
    plain = compiled.solve(machine, num_reads=400, seed=1)
    gauged = compiled.solve(made, gauges=2, num_reads=400, seed=2)
    assert gauged.feasible.all()
    assert np.abs(plain.reads.feasible.mean() - gauged.reads.feasible.mean()) < 0.05


def test_gauges_through_a_composite(
    compiled: qa.CompiledAttention, machine: qa.SimulatedMachine
) -> None:
    from dimod import TrackingComposite

    tracked = TrackingComposite(machine)
    result = compiled.solve(tracked, gauges=3, num_reads=60, seed=1)
    direct = compiled.solve(machine, gauges=3, num_reads=60, seed=1)
    assert len(tracked.outputs) == 3 * len(compiled.submissions)
    assert np.array_equal(result.reads.feasible > 0, direct.reads.feasible > 0)
    with pytest.raises(qa.InputError, match="gauges must be a whole number of at least 0"):
        compiled.solve(machine, gauges=-1)
