from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn.backend.background import programmed
from qubo_attn.backend.gauges import draw_gauge, turned
from qubo_attn.backend.model import Physical
from qubo_attn.machine.background import subtracted, susceptible
from qubo_attn.machine.ranges import range_use

CHI = -0.04


def stated(name: str, susceptibility: float) -> qa.Target:
    target = qa.Target.of(name)
    assert target is not None
    properties = {**target.properties, "susceptibility": susceptibility}
    return replace(target, properties=properties)


def whole(physical: Physical) -> tuple[np.ndarray, np.ndarray]:
    """Fields and couplings of all qubits and couplers."""
    target = physical.target
    h, j = np.zeros(len(target.qubits)), np.zeros(len(target.couplers))
    h[physical.qubit], j[physical.coupler] = physical.h, physical.j
    return h, j


def effective(physical: Physical) -> tuple[np.ndarray, np.ndarray]:
    """What a machine makes of the coefficients it is programmed with."""
    h, j = whole(physical)
    more = susceptible(physical.target, h, j, physical.target.susceptibility)
    return h + more[0], j + more[1]


@pytest.fixture(scope="module", params=["zephyr:2", "pegasus:4"])
def compiled(request: pytest.FixtureRequest, minilm: dict[str, np.ndarray]) -> qa.CompiledAttention:
    return qa.compile(
        minilm["scores"][:3, :2],
        3,
        select=qa.ExactlyK(3),
        objective="output",
        values=minilm["value"][:3],
        target=stated(request.param, CHI),
    )


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_machines_end_up_with_what_is_intended(
    compiled: qa.CompiledAttention, seed: int | None
) -> None:
    part = compiled.submissions[0]
    physical = part.physical
    assert physical is not None
    component = np.unique(compiled.placement.component[part.variables], return_inverse=True)[1]
    sign = None if seed is None else draw_gauge(physical, component, seed)
    intended = physical if sign is None else turned(physical, sign)
    sent, target = programmed(physical, sign), physical.target
    assert range_use(target, sent.qubit, sent.h, sent.coupler, sent.j) <= 1 + 1e-9
    used = np.zeros(len(target.qubits), bool)
    used[physical.qubit] = True
    inside = used[target.couplers].all(axis=1)
    h, j = whole(intended)
    plain_h, plain_j = effective(intended)
    h_now, j_now = effective(sent)
    plain = np.abs(plain_h - h)[used].max(), np.abs(plain_j - j)[inside].max()
    now = np.abs(h_now - h)[used].max(), np.abs(j_now - j)[inside]
    assert now[0] < 0.02 * plain[0]
    # Couplings at the end of their range, or of the total of their qubit, stay.
    free = np.abs(whole(sent)[1]) < 0.99
    assert now[1][free[inside] & (j_now != plain_j)[inside]].max() < 0.05 * plain[1]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_ranges_and_totals_are_kept(seed: int) -> None:
    """Whatever the coefficients, as long as these themselves are in range."""
    generator, target = np.random.default_rng(seed), stated("pegasus:2", CHI)
    size = float(generator.choice([0.3, 1.0, 3.0]))
    limits = target.limits
    assert limits.total is not None
    used = generator.random(len(target.qubits)) < 0.8
    h = np.where(used, np.clip(generator.normal(size=len(used)) * 2 * size, *limits.h), np.nan)
    j = np.clip(generator.normal(size=len(target.couplers)) * size, *limits.j)
    j[~used[target.couplers].all(axis=1)] = 0.0
    every, couplers = np.flatnonzero(used), np.arange(len(j))
    use = range_use(target, every, h[used], couplers, j)
    h, j = h / max(use, 1.0), j / max(use, 1.0)
    sent = subtracted(target, h, j)
    assert range_use(target, every, sent[0][used], couplers, sent[1]) <= 1 + 1e-9
    assert (sent[0][~used] == 0).all()
    assert (sent[1][~used[target.couplers].all(axis=1)] == 0).all()


def shares(compiled: qa.CompiledAttention, model: object, susceptibility: float) -> np.ndarray:
    """Shares of the selections of a row that a machine without errors returns."""
    part = compiled.submissions[0]
    machine = qa.SimulatedMachine(
        compiled.recipe.target, field_error=0, coupling_error=0, susceptibility=susceptibility
    )
    samples = machine.sample(model, num_reads=4000, seed=5, num_sweeps=64)
    bits = part.read(samples).samples.astype(np.int64)
    return np.bincount(bits @ (1 << np.arange(bits.shape[1])), minlength=1 << 10) / len(bits)


def test_samples_come_nearer_to_those_without(minilm: dict[str, np.ndarray]) -> None:
    compiled = qa.compile(
        minilm["scores"][:1, :1],
        1,
        select=qa.ExactlyK(3),
        objective="output",
        values=minilm["value"][:1],
        target=stated("zephyr:2", CHI),
    )
    part = compiled.submissions[0]
    quiet = shares(compiled, part.embedded_bqm, 0.0)
    plain = np.abs(shares(compiled, part.embedded_bqm, CHI) - quiet).sum()
    now = np.abs(shares(compiled, part.programmed_bqm, CHI) - quiet).sum()
    assert now < 0.7 * plain


def test_calls_send_it_and_targets_switch_it_off(compiled: qa.CompiledAttention) -> None:
    from dimod import TrackingComposite

    machine = qa.SimulatedMachine(compiled.recipe.target, seed=1)
    tracked = TrackingComposite(machine)
    result = compiled.solve(tracked, num_reads=20, seed=1)
    part, sent = compiled.submissions[0], tracked.inputs[0]["bqm"]
    assert sent == part.programmed_bqm != part.embedded_bqm
    assert np.allclose(
        result.energies[0], compiled.solve(machine, num_reads=20, seed=1).energies[0]
    )
    assert part.physical is not None
    none = replace(part.physical, target=stated("zephyr:2", 0.0))
    assert programmed(none) is none
