"""Solver parameters of machines: checked, timed, and given to the qubits of each variable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from dwave.system import DWaveSampler
from dwave.system.testing import MockDWaveSampler

import qubo_attn as qa
from qubo_attn.backend.solver_options import check_solver_options, on_qubits, qubits_of
from qubo_attn.machine.anneal import anneal_schedule
from tests.support.solver_api import SolverApi

REVERSE = [[0, 1], [5, 0.45], [15, 0.45], [20, 1]]


@pytest.fixture(scope="module")
def api() -> Iterator[SolverApi]:
    with SolverApi("zephyr:2") as service:
        yield service


@pytest.fixture(scope="module")
def sampler(api: SolverApi) -> Iterator[DWaveSampler]:
    with DWaveSampler(endpoint=api.endpoint, token=api.token, cache_enabled=False) as found:
        yield found


@pytest.fixture(scope="module")
def compiled(sampler: DWaveSampler) -> qa.CompiledAttention:
    scores = np.random.default_rng(1).normal(size=(3, 4, 6))
    return qa.compile(scores, 3, select=qa.ExactlyK(2), target=sampler)


def last(api: SolverApi) -> dict[str, Any]:
    return list(api.problems.values())[-1].params


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"fast_anneal": True}, r"fast_anneal .* without fields \(h = 0\) alone"),
        ({"max_answers": 5}, "max_answers .* its own best read"),
        ({"anneal_schedul": [[0, 0], [20, 1]]}, "did you mean 'anneal_schedule'"),
        ({"anneal_schedule": 20}, "two or more pairs"),
        ({"anneal_schedule": [[0, 0]]}, "two or more pairs"),
        ({"anneal_schedule": [[0, 0], [20, 1, 2]]}, "two or more pairs"),
        ({"anneal_schedule": [[0, 0], ["x", 1]]}, "finite number"),
        ({"anneal_schedule": [[0, 0], [20, 1.5]]}, "size up to 1"),
        ({"anneal_schedule": [[1, 0], [20, 1]]}, "rise from 0"),
        ({"anneal_schedule": [[0, 0], [20, 0.4], [20, 1]]}, "rise from 0"),
        ({"anneal_schedule": [[0, 0.5], [20, 1]]}, "or in reverse at 1, not 0.5"),
        ({"anneal_schedule": [[0, 0], [20, 0.5]]}, "end at the anneal fraction 1"),
        ({"anneal_schedule": [[0, 0], [5, 0.6], [9, 0.5], [20, 1]]}, "never fall"),
        ({"anneal_schedule": [[0, 0], [20, 1]], "annealing_time": 20}, "leave annealing_time out"),
        ({"anneal_schedule": REVERSE}, "needs initial_state"),
        ({"initial_state": {0: 1}}, "give an anneal_schedule that starts"),
        ({"reinitialize_state": "no"}, "True or False"),
        ({"annealing_time": -1}, "at least 0"),
        ({"readout_thermalization": 10_001}, "from 0 to 10000 microseconds"),
        ({"flux_biases": [0.0] * 160, "auto_scale": True}, "exclude auto_scale"),
        ({"flux_biases": [0.0] * 5}, "each of 160 qubits"),
        ({"flux_biases": 0.1}, "dict by variable or a list over qubits"),
        ({"anneal_offsets": {10_000: 0.1}}, "variable 10000, and the program has 72"),
        ({"anneal_offsets": {0: 0.2}}, r"anneal offset 0.2 of qubit \d+ is beyond \[-0.05, 0.05\]"),
        ({"anneal_schedule": REVERSE, "initial_state": {0: 1}}, "initial_state lacks variable 1"),
        ({"anneal_schedule": REVERSE, "initial_state": {0: 2}}, "bits or spins"),
        ({"anneal_schedule": REVERSE, "initial_state": [3] * 160}, "which is in use"),
    ],
    ids=str,
)
def test_what_is_not_taken(
    api: SolverApi,
    sampler: DWaveSampler,
    compiled: qa.CompiledAttention,
    options: dict[str, Any],
    text: str,
) -> None:
    before = len(api.problems)
    with pytest.raises(qa.InputError, match=text):
        compiled.solve(sampler, num_reads=5, **options)
    assert len(api.problems) == before


def test_none_stands_for_the_machines_own(
    api: SolverApi, sampler: DWaveSampler, compiled: qa.CompiledAttention
) -> None:
    none = dict.fromkeys(["annealing_time", "anneal_schedule", "initial_state", "max_answers"])
    compiled.solve(sampler, num_reads=5, **none)
    assert set(last(api)) == {"num_reads"}


@pytest.mark.parametrize("gauges", [0, 2])
@pytest.mark.parametrize("by", [dict, list])
def test_states_follow_the_chains(
    api: SolverApi, sampler: DWaveSampler, compiled: qa.CompiledAttention, gauges: int, by: type
) -> None:
    bits = np.random.default_rng(2).integers(0, 2, len(compiled.program))
    state: Any = dict(enumerate(bits.tolist()))
    chains = {v: chain for part in compiled.submissions for v, chain in part.embedding.items()}
    if by is list:
        # One list over qubits serves the submissions that agree on it: the last one here.
        state = [3] * 160
        for v, chain in chains.items():
            for q in chain:
                state[q] = int(bits[v])
    before = len(api.problems)
    compiled.solve(
        sampler, num_reads=6, gauges=gauges, anneal_schedule=REVERSE, initial_state=state, seed=1
    )
    sent = list(api.problems.values())[before:]
    parts = [part for part in compiled.submissions for _ in range(max(gauges, 1))]
    turned = False
    for part, problem in zip(parts, sent, strict=True):
        used = problem.params["initial_state"]
        names = part.physical.target.qubits
        fields = dict(zip(names[part.physical.qubit].tolist(), part.physical.h, strict=True))
        arrived = dict(zip(problem.decoded.active.tolist(), problem.decoded.h, strict=True))
        assert {q for q, s in enumerate(used) if s != 3} == set(fields)
        for v, chain in part.embedding.items():
            spins = {used[q] for q in chain}
            assert len(spins) == 1
            wanted = state[chain[0]] if by is list else state[v]
            (q, h) = max(((q, fields[q]) for q in chain), key=lambda pair: abs(pair[1]))
            flip = np.sign(arrived[q]) * np.sign(h) or 1.0
            turned |= flip < 0
            if h:
                assert spins == {int(flip) * (1 if wanted > 0 else -1)}
    assert turned == bool(gauges)


def test_offsets_and_flux_biases(
    api: SolverApi, sampler: DWaveSampler, compiled: qa.CompiledAttention
) -> None:
    count = len(compiled.program)
    offsets = dict(enumerate(np.linspace(-0.05, 0.05, count).tolist()))
    fluxes = dict(enumerate(np.linspace(-1e-4, 1e-4, count).tolist()))
    compiled.solve(sampler, num_reads=5, anneal_offsets=offsets, flux_biases=fluxes)
    part, params = compiled.submissions[-1], last(api)
    used = {q: v for v, chain in part.embedding.items() for q in chain}
    for q in range(160):
        assert params["anneal_offsets"][q] == (offsets[used[q]] if q in used else 0.0)
        assert params["flux_biases"][q] == (fluxes[used[q]] if q in used else 0.0)
    listed = np.random.default_rng(1).normal(0, 1e-4, 160).tolist()
    compiled.solve(sampler, num_reads=6, gauges=2, seed=1, flux_biases=listed)
    assert last(api)["flux_biases"] == listed  # the machine's own, whatever the gauge


def test_flux_biases_turn_with_the_gauge(compiled: qa.CompiledAttention) -> None:
    part = compiled.submissions[0]
    sign = np.where(np.arange(len(part.variables)) % 2, 1, -1).astype(np.int8)
    values = {v: 1e-5 * (1 + v) for v in part.variables.tolist()}
    options = {"flux_biases": values, "anneal_offsets": values, "annealing_time": None}
    sent = on_qubits(part.physical, part.variables, options, sign)
    assert set(sent) == {"flux_biases", "anneal_offsets"}
    for v, s in zip(part.variables.tolist(), sign.tolist(), strict=True):
        for q in part.embedding[v]:
            assert sent["flux_biases"][q] == s * values[v]
            assert sent["anneal_offsets"][q] == values[v]


@pytest.mark.parametrize(
    "options",
    [
        {"annealing_time": 3.0},
        {"anneal_schedule": [[0, 0], [10, 0.5], [110, 0.5], [120, 1]]},
        {"anneal_schedule": REVERSE, "reinitialize_state": True},
        {"anneal_schedule": REVERSE, "reinitialize_state": False},
        {"programming_thermalization": 500, "readout_thermalization": 30},
    ],
    ids=str,
)
def test_the_estimated_time_is_the_machines(
    api: SolverApi, sampler: DWaveSampler, compiled: qa.CompiledAttention, options: dict[str, Any]
) -> None:
    before, reads = len(api.problems), 9000
    more: dict[str, Any] = {}
    if options.get("anneal_schedule") == REVERSE:
        more["initial_state"] = dict.fromkeys(range(len(compiled.program)), 1)
    compiled.solve(sampler, num_reads=reads, **options, **more)
    plan = compiled.schedule(reads, **options)
    sent = list(api.problems.values())[before:]
    assert [p.params["num_reads"] for p in sent] == [call.reads for call in plan.calls]
    times = [p.timing["qpu_access_time"] for p in sent]
    np.testing.assert_allclose(times, [call.microseconds for call in plan.calls])
    estimate = sampler.solver.estimate_qpu_access_time(
        compiled.submissions[0].qubits, plan.calls[0].reads, **options, **more
    )
    assert plan.calls[0].microseconds == pytest.approx(estimate)
    if "anneal_schedule" in options and options["anneal_schedule"] != REVERSE:
        assert len(plan.calls) > len(compiled.submissions)  # reads are split by its length


def test_validation_knows_schedules(compiled: qa.CompiledAttention) -> None:
    part = compiled.submissions[0]

    def codes(points: object, reads: int = 10) -> list[str]:
        return [error.code for error in part.diagnose(reads=reads, anneal_schedule=points)]

    assert codes([[0, 0], [20, 1]]) == []
    assert codes([[0, 0], [3000, 1]]) == ["annealing-time"]
    assert codes([[0, 0], [10, 0.1], [10.1, 1]]) == ["anneal-schedule"]
    many = [[t, t / 20] for t in range(21)]
    assert codes(many) == ["anneal-schedule"]
    assert codes([[0, 0], [1500, 1]], reads=1000) == ["run-duration"]
    (error,) = part.diagnose(reads=10, anneal_schedule=[[0, 0], [10, 0.1], [10.1, 1]])
    assert "change of 9 a microsecond, at 10, is beyond [-2.0, 2.0]" in str(error)
    with pytest.raises(qa.InputError, match="did you mean 'anneal_schedule'"):
        part.validate(anneal_schedul=[[0, 0], [20, 1]])


def test_limits_of_schedules(sampler: DWaveSampler) -> None:
    assert qa.Target.from_sampler(sampler).limits.schedule_points == 12
    assert qa.Target.zephyr(2).limits.schedule_points is None
    stated = {"max_anneal_schedule_points": 1.5}
    graph = qa.Target.zephyr(1).graph()
    with pytest.raises(qa.TargetError, match="max_anneal_schedule_points must be a whole number"):
        _ = qa.Target.from_graph(graph, properties=stated).limits


def test_any_pairs_make_a_schedule() -> None:
    wanted = ((0.0, 0.0), (20.0, 1.0))
    assert anneal_schedule(np.array([[0, 0], [20, 1]])) == wanted
    assert anneal_schedule(((0, 0), (np.float32(20), 1))) == wanted


def test_a_list_has_an_entry_for_missing_qubits() -> None:
    assert qubits_of(qa.Target.zephyr(2, missing_qubits=0.2, seed=1)) == 160
    assert qubits_of(qa.Target.pegasus(2)) == 48
    path = qa.Target.zephyr(1).graph()
    path.graph.clear()
    assert qubits_of(qa.Target.from_graph(path)) == max(path) + 1


def test_samplers_that_are_no_machine_take_them_as_they_are() -> None:
    check_solver_options({}, {"num_reads": 5, "annealing_time": 3})
    scores = np.random.default_rng(1).normal(size=(1, 2, 5))
    mock = MockDWaveSampler(topology_type="zephyr", topology_shape=[2, 4])
    compiled = qa.compile(scores, 1, select=qa.ExactlyK(2), target=mock)
    with pytest.raises(qa.InputError, match="max_answers"):
        compiled.solve(mock, num_reads=5, max_answers=2)
