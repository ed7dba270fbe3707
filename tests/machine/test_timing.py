from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import dimod
import numpy as np
import pytest
from dwave.cloud.solver import StructuredSolver
from dwave.system.testing import MockDWaveSampler
from hypothesis import given
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn.machine.reads import split_reads
from qubo_attn.machine.timing import Timing
from tests.conftest import shared_files

DATA = {
    "version": "1.0.0",
    "typical_programming_time": 12000.0,
    "reverse_annealing_with_reinit_prog_time_delta": 0.0,
    "reverse_annealing_without_reinit_prog_time_delta": 5.0,
    "default_programming_thermalization": 900.0,
    "default_annealing_time": 25.0,
    "readout_time_model": "pwl_log_log",
    "readout_time_model_parameters": [0.0, 1.2, 2.5, 3.6, 1.3, 1.6, 2.0, 2.1],
    "qpu_delay_time_per_sample": 21.5,
    "reverse_annealing_with_reinit_delay_time_delta": -4.5,
    "reverse_annealing_without_reinit_delay_time_delta": -1.5,
    "default_readout_thermalization": 2.0,
    "decorrelation_max_nominal_anneal_time": 2000.0,
    "decorrelation_time_range": [0.0, 0.0],
}


class Solver:
    """What `estimate_qpu_access_time` reads of a solver."""

    def __init__(self, data: dict[str, object]) -> None:
        self.properties = {"problem_timing_data": data}

    def estimate(self, *arguments: object, **options: object) -> Any:
        return StructuredSolver.estimate_qpu_access_time(self, *arguments, **options)


LINEAR = {"readout_time_model": "pwl_linear", "readout_time_model_parameters": [1, 5000, 20, 200]}


@pytest.mark.parametrize("data", [DATA, DATA | LINEAR], ids=["log", "linear"])
@given(
    st.integers(1, 6000),
    st.integers(1, 10000),
    st.fixed_dictionaries(
        {},
        optional={
            "annealing_time": st.floats(0.5, 2000),
            "programming_thermalization": st.floats(1, 10000),
            "readout_thermalization": st.floats(1, 10000),
        },
    ),
)
def test_the_model_is_the_vendors(
    data: dict[str, object], qubits: int, reads: int, options: dict[str, float]
) -> None:
    timing = Timing.of("zephyr", {"problem_timing_data": data})
    assert timing.stated
    found = timing.given(options).access(qubits, reads)
    assert found == pytest.approx(Solver(data).estimate(qubits, reads, **options), rel=1e-12)


@pytest.mark.data
@pytest.mark.parametrize("file", shared_files("qpu/*.json"), ids=lambda f: f.stem)
def test_real_machines_and_their_family(file: Path) -> None:
    target = qa.Target.from_json(file)
    solver = Solver(target.properties["problem_timing_data"])
    assert target.timing.access(4000, 1000) == pytest.approx(solver.estimate(4000, 1000))
    if target.shape[0] >= 12:  # the family's stands for its large machines
        typical = Timing.of(target.topology, {})
        assert not typical.stated
        assert typical.access(4000, 1000) == pytest.approx(
            target.timing.access(4000, 1000), rel=0.05
        )


@given(st.integers(1, 200_000), st.integers(1, 5000), st.floats(0.5, 2000))
def test_split_reads_fit_and_add_up(reads: int, qubits: int, annealing: float) -> None:
    target = qa.Target.zephyr(2)
    options = {"annealing_time": annealing}
    calls = split_reads(target, qubits, reads, options)
    timing = target.timing.given(options)
    assert sum(calls) == reads
    assert max(calls) - min(calls) <= 1
    assert max(calls) <= target.limits.reads[1]
    assert timing.run_duration(qubits, max(calls)) <= target.limits.run_duration
    if len(calls) > 1:  # and not in fewer
        most = -(-reads // (len(calls) - 1))
        assert most > 10000 or timing.run_duration(qubits, most) > target.limits.run_duration


def test_what_never_fits_is_named() -> None:
    with pytest.raises(qa.TargetError, match="one read of 10 qubits runs"):
        split_reads(qa.Target.zephyr(2), 10, 5, {"programming_thermalization": 2e6})
    for reads in (0, 1.5, True):
        with pytest.raises(qa.InputError, match="reads must be a whole number"):
            split_reads(qa.Target.zephyr(2), 10, reads)


def compiled_on(target: object, minilm: dict[str, np.ndarray]) -> qa.CompiledAttention:
    return qa.compile(minilm["scores"][:2, :3], 2, select=qa.ExactlyK(3), target=target)


def test_schedules(minilm: dict[str, np.ndarray]) -> None:
    plan = compiled_on("zephyr:3", minilm).schedule(20_001, annealing_time=20)
    assert [call.reads for call in plan.of(0)] == [6667, 6667, 6667]
    assert plan.microseconds == pytest.approx(sum(call.microseconds or 0.0 for call in plan.calls))
    assert "submission 0: 3 calls of 6667 reads" in str(plan)
    assert not plan.stated
    logical = compiled_on(None, minilm).schedule(50)
    assert (len(logical.calls), logical.microseconds) == (1, None)
    assert str(logical) == "submission 0: 1 call of 50 reads\n1 call, 50 reads each submission"


def test_solve_splits_reads(minilm: dict[str, np.ndarray]) -> None:
    """A machine that takes seven reads a call gets three calls for twenty, of different seeds."""

    class Counting(dimod.Sampler):  # type: ignore[misc]
        parameters: ClassVar = {"num_reads": [], "seed": []}

        def __init__(self, mock: MockDWaveSampler) -> None:
            self.mock, self.nodelist, self.edgelist = mock, mock.nodelist, mock.edgelist
            self.calls: list[tuple[int, int]] = []

        @property
        def properties(self) -> Any:
            return self.mock.properties

        def sample(
            self, bqm: dimod.BinaryQuadraticModel, num_reads: int = 1, seed: int = 0
        ) -> dimod.SampleSet:
            self.calls.append((num_reads, seed))
            return dimod.RandomSampler().sample(bqm, num_reads=num_reads, seed=seed)

    mock = MockDWaveSampler(
        topology_type="zephyr", topology_shape=[3, 4], properties={"num_reads_range": [1, 7]}
    )
    sampler = Counting(mock)
    compiled = compiled_on(sampler, minilm)
    result = compiled.solve(sampler, num_reads=20, seed=4)
    assert [reads for reads, _ in sampler.calls] == [7, 7, 6]
    assert sampler.calls[0][1] == 4
    assert len({seed for _, seed in sampler.calls}) == 3
    assert result.selected.sum(axis=-1).tolist() == [[3] * 3] * 2


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"h_range": [0, 4]}, "h_range must be a number below zero and one above"),
        ({"extended_j_range": "wide"}, "extended_j_range must be two"),
        ({"num_reads_range": [0, 5]}, "num_reads_range must be two numbers, 1 <= low <= high"),
        ({"problem_run_duration_range": [0, np.inf]}, "must be two finite numbers"),
    ],
)
def test_unreadable_limits_are_named(properties: dict[str, object], message: str) -> None:
    graph = qa.Target.zephyr(1).graph()
    with pytest.raises(qa.TargetError, match=message):
        _ = qa.Target.from_graph(graph, properties=properties).limits


def test_unknown_timing_models_are_named() -> None:
    with pytest.raises(qa.TargetError, match="problem_timing_data"):
        Timing.of("zephyr", {"problem_timing_data": DATA | {"version": "2.0"}})
    with pytest.raises(qa.TargetError, match="typical_programming_time"):
        Timing.of("other", {"problem_timing_data": {"version": "1.0.0"}})
    assert Timing.of("other", {}) is None


@pytest.mark.parametrize(
    ("name", "programming", "delay", "temperature"),
    [
        ("Advantage2_system1.10", 33600.0, 60.6, 0.112),
        ("Advantage2_system2", 24500.0, 20.6, 0.119),
        ("Advantage2_system4.1, 3 qubits missing", 8000.0, 20.6, 0.119),
        ("another", 33640.0, 60.6, 0.115),
    ],
)
def test_what_machines_do_not_state_is_known_by_name(
    name: str, programming: float, delay: float, temperature: float
) -> None:
    target = replace(qa.Target.zephyr(2), label=name)
    assert (target.timing.programming, target.timing.delay) == (programming, delay)
    assert target.temperature == temperature
    assert not target.timing.stated
    stated = replace(target, properties=target.properties | {"temperature": 0.2})
    assert stated.temperature == 0.2
