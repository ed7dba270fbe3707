"""Jobs over any dimod sampler: the same result as at once, kept and gone on with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dimod
import pytest
from dwave.samplers import SimulatedAnnealingSampler
from dwave.system.composites import EmbeddingComposite
from dwave.system.testing import MockDWaveSampler

import qubo_attn as qa
from tests.support.folder_service import same
from tests.support.jobs import Clock, compiled_for


@pytest.fixture(scope="module")
def compiled() -> qa.CompiledAttention:
    return compiled_for("zephyr:1", queries=4)


@pytest.mark.parametrize("name", ["machine", "tracked", "annealer"])
def test_a_job_is_what_solve_returns(
    name: str, compiled: qa.CompiledAttention, tmp_path: Path
) -> None:
    machine = qa.SimulatedMachine("zephyr:1", seed=3)
    sampler = {
        "machine": machine,
        "tracked": dimod.TrackingComposite(machine),
        "annealer": SimulatedAnnealingSampler(),
    }[name]
    at_once = compiled.solve(sampler, num_reads=9, seed=2)
    job = compiled.submit(sampler, reads=9, seed=2, folder=tmp_path / "j")
    next(job.as_completed())
    job.cancel()
    job = qa.resume(tmp_path / "j", sampler)
    assert job.status().done == 1
    result = job.result()
    assert same(result, at_once)
    assert result.chain_break_fraction == at_once.chain_break_fraction
    assert (result.machine.access is None) == (name == "annealer")
    assert result.machine.programmings == at_once.machine.programmings == 4


def test_gauges_are_turned_back(compiled: qa.CompiledAttention, tmp_path: Path) -> None:
    machine = qa.SimulatedMachine("zephyr:1", seed=3)
    at_once = compiled.solve(machine, num_reads=9, seed=2, gauges=3)
    job = compiled.submit(machine, reads=9, seed=2, gauges=3, folder=tmp_path / "j")
    assert same(job.result(), at_once)
    assert job.result().machine.programmings == 12
    assert same(qa.resume(tmp_path / "j").result(partial=True), at_once)


def test_a_composite_that_embeds_itself(compiled: qa.CompiledAttention, tmp_path: Path) -> None:
    mock = MockDWaveSampler(topology_type="zephyr", topology_shape=[2, 4], parameter_warnings=False)
    job = compiled.submit(EmbeddingComposite(mock), reads=9, folder=tmp_path / "j")
    result = job.result()
    assert result.answered.all()
    assert same(qa.resume(tmp_path / "j").result(partial=True), result)


def test_several_machines_take_turns(compiled: qa.CompiledAttention) -> None:
    machines = [qa.SimulatedMachine("zephyr:1", seed=seed) for seed in (1, 2)]
    job = compiled.submit(machines, reads=9)
    assert job.result().answered.all()
    assert {call.solver for call in job.status().calls} == {
        "SimulatedMachine 0", "SimulatedMachine 1",
    }  # fmt: skip
    with pytest.raises(qa.InputError, match="a list of the one or of the other"):
        compiled.submit([machines[0], SimulatedAnnealingSampler()])


def test_what_a_sampler_raises_is_its_own_and_nothing_is_lost(
    compiled: qa.CompiledAttention, tmp_path: Path
) -> None:
    class Moody(SimulatedAnnealingSampler):  # type: ignore[misc]
        calls = 0

        def sample(self, bqm: dimod.BinaryQuadraticModel, **options: Any) -> dimod.SampleSet:
            Moody.calls += 1
            if Moody.calls == 3:
                raise ZeroDivisionError("not today")
            if Moody.calls == 2:
                raise ConnectionResetError("the network")
            return super().sample(bqm, **options)

    clock = Clock()
    job = compiled.submit(Moody(), reads=9, seed=1, folder=tmp_path / "j", retry=clock.retry())
    with pytest.raises(ZeroDivisionError):
        job.result()
    assert len(clock.slept) == 1  # after the network's error
    job = qa.resume(tmp_path / "j", Moody())
    assert job.status().done == 1
    right = compiled.solve(SimulatedAnnealingSampler(), num_reads=9, seed=1)
    assert same(job.result(), right)


def test_answers_that_are_none_are_named(compiled: qa.CompiledAttention, tmp_path: Path) -> None:
    class Short(SimulatedAnnealingSampler):  # type: ignore[misc]
        def sample(self, bqm: dimod.BinaryQuadraticModel, **options: Any) -> dimod.SampleSet:
            return super().sample(bqm, **options).slice(2)

    job = compiled.submit(Short(), reads=9, folder=tmp_path / "j")
    with pytest.raises(qa.DecodeError, match="2 reads, 9 were asked for") as caught:
        job.result()
    assert caught.value.facts["call"] == 0
    assert "0 of 4 answers are kept" in caught.value.__notes__[0]
