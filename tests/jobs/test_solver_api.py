"""The stand-in of the solver API, against the real client's sampler and REST resources."""

from __future__ import annotations

from collections.abc import Iterator

import dimod
import numpy as np
import pytest
import requests
from dwave.cloud import api as rest_api
from dwave.cloud.exceptions import (
    CanceledFutureError,
    SolverAuthenticationError,
    SolverFailureError,
)
from dwave.system import DWaveSampler
from dwave.system.coupling_groups import coupling_groups

from tests.support.solver_api import SolverApi
from tests.support.solver_machine import Machine


@pytest.fixture
def api() -> Iterator[SolverApi]:
    with SolverApi("zephyr:2", "pegasus:2") as service:
        yield service


def connected(api: SolverApi, solver: str = "Ideal_zephyr_2") -> DWaveSampler:
    return DWaveSampler(endpoint=api.endpoint, token=api.token, cache_enabled=False, solver=solver)


@pytest.fixture
def sampler(api: SolverApi) -> Iterator[DWaveSampler]:
    with connected(api) as found:
        yield found


def model(sampler: DWaveSampler, qubits: int = 60) -> dimod.BinaryQuadraticModel:
    generator = np.random.default_rng(1)
    h = {q: generator.uniform(-1, 1) for q in sampler.nodelist[:qubits]}
    j = {e: generator.uniform(-1, 1) for e in sampler.edgelist if set(e) <= set(h)}
    return dimod.BQM.from_ising(h, j, 0.25)


def test_solvers(api: SolverApi, sampler: DWaveSampler) -> None:
    assert (len(sampler.nodelist), len(sampler.edgelist)) == (160, 1224)
    assert sampler.solver.graph_id == api.machine().graph_id
    names = {s.name for s in sampler.client.get_solvers()}
    assert names == {"Ideal_zephyr_2", "Ideal_pegasus_2"}
    with connected(api, "Ideal_pegasus_2") as pegasus:
        assert (len(pegasus.nodelist), len(pegasus.edgelist)) == (40, 164)


def test_coupling_groups_are_the_vendors(sampler: DWaveSampler) -> None:
    machine = Machine.of("zephyr:2")
    groups: dict[int, set[tuple[int, int]]] = {}
    for pair, ends in zip(machine.couplers.tolist(), machine.groups.tolist(), strict=True):
        for group in ends:
            groups.setdefault(group, set()).add(tuple(pair))
    vendors = [{tuple(sorted(p)) for p in g} for g in coupling_groups(sampler.to_networkx_graph())]
    assert sorted(map(sorted, groups.values())) == sorted(sorted(g) for g in vendors if g)


@pytest.mark.parametrize("vartype", ["SPIN", "BINARY"])
@pytest.mark.parametrize("mode", ["raw", "histogram"])
def test_energies_and_timing(sampler: DWaveSampler, vartype: str, mode: str) -> None:
    bqm = model(sampler).change_vartype(vartype, inplace=False)
    found = sampler.sample(bqm, num_reads=50, answer_mode=mode)
    assert found.vartype.name == vartype
    np.testing.assert_allclose(found.record.energy, bqm.energies(found), atol=1e-9)
    assert found.record.num_occurrences.sum() == 50
    access = sampler.solver.estimate_qpu_access_time(60, num_reads=50)
    assert found.info["timing"]["qpu_access_time"] == pytest.approx(access)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"num_reads": 10_001}, "num_reads"),
        ({"annealing_time": 2001}, "annealing time"),
        ({"num_reads": 9999, "annealing_time": 500}, "duration"),
        ({"fast_anneal": True, "annealing_time": 0.01}, "h must be zero"),
        ({"flux_biases": [0.0]}, "flux_biases"),
        ({"anneal_schedule": [[0, 1], [5, 0.5], [10, 1]]}, "initial_state"),
        ({"annealing_time": 5, "anneal_schedule": [[0, 0], [10, 1]]}, "exclude"),
    ],
)
def test_what_a_machine_refuses(
    sampler: DWaveSampler, options: dict[str, object], reason: str
) -> None:
    with pytest.raises(SolverFailureError, match=reason):
        sampler.sample(model(sampler), **options).resolve()


def test_ranges_are_kept(sampler: DWaveSampler) -> None:
    h, (u, v) = {sampler.nodelist[0]: 6.5}, sampler.edgelist[0]
    hub = max(sampler.nodelist, key=lambda q: len(sampler.adjacency[q]))
    crowd = {(hub, q): 1.0 for q in sampler.adjacency[hub]}
    for fields, couplings in ((h, {}), ({}, {(u, v): 1.5}), ({}, {(u, v): -2.5})):
        sampler.sample_ising(fields, couplings, num_reads=1).resolve()  # scaled down
        with pytest.raises(SolverFailureError, match="exceeds its range"):
            sampler.sample_ising(fields, couplings, num_reads=1, auto_scale=False).resolve()
    sampler.sample_ising({}, crowd, num_reads=1, auto_scale=False).resolve()


def test_the_resources_of_the_client(api: SolverApi, sampler: DWaveSampler) -> None:
    qubits = sampler.nodelist[:3]
    ids = [
        sampler.sample_ising({q: 1}, {}, num_reads=5, label=f"run/{q}").wait_id() for q in qubits
    ]
    with rest_api.Problems.from_config(sampler.client.config) as rest:
        assert {p.id for p in rest.list_problems(label="run")} == set(ids)
        api.label_parts = False
        assert rest.list_problems(label="run") == []
        while any(s.status != "COMPLETED" for s in rest.get_problem_statuses(ids, timeout=5)):
            pass
        info = rest.get_problem_info(ids[0])
        assert (info.metadata.label, info.params["num_reads"]) == (f"run/{qubits[0]}", 5)
        assert rest.get_problem_answer(ids[0]).num_variables == 160
        assert rest.get_problem(ids[0]).answer is not None
        assert rest.get_problem_messages(ids[0]) == []
        assert rest.cancel_problem(ids[0]).error_code == 409
        again = rest.submit_problem(rest_api.models.ProblemJob.from_info(info))
        assert again.status in ("PENDING", "IN_PROGRESS", "COMPLETED")
    assert len(api.problems) == 4


def test_faults_of_requests(api: SolverApi, sampler: DWaveSampler) -> None:
    def ask() -> None:
        sampler.sample_ising({sampler.nodelist[0]: 1}, {}, num_reads=5).resolve()

    api.fault("submit", "http", status=502)
    with pytest.raises(Exception, match="injected 502"):
        ask()
    for kind, more in (("lost", 1), ("reset", 0)):
        before = len(api.problems)
        api.fault("submit", kind)
        with pytest.raises(requests.exceptions.ConnectionError):
            ask()
        assert len(api.problems) == before + more
    api.fault("status", "http", status=503, times=2)
    ask()
    api.revoke()
    with pytest.raises(SolverAuthenticationError):
        ask()


def test_faults_of_problems(api: SolverApi, sampler: DWaveSampler) -> None:
    def ask(**options: object) -> dimod.SampleSet:
        found = sampler.sample_ising({sampler.nodelist[0]: 1}, {}, num_reads=5, **options)
        found.resolve()
        return found

    api.fault("problem", "failed")
    with pytest.raises(SolverFailureError):
        ask()
    api.fault("problem", "cancelled")
    with pytest.raises(CanceledFutureError):
        ask()
    api.fault("problem", "short")
    with pytest.raises(ValueError, match="shape"):
        ask(answer_mode="raw")
    api.fault("problem", "fewer")
    assert ask(answer_mode="raw").record.num_occurrences.sum() == 4
    assert len(api.paid) == 2
    api.machine().lose_qubit(sampler.nodelist[5])
    with pytest.raises(SolverFailureError, match="does not exist"):
        ask()
    api.offline()
    with pytest.raises(SolverFailureError):
        ask()


def test_swapped_answers(api: SolverApi, sampler: DWaveSampler) -> None:
    api.fault("problem", "swapped", times=2)
    u, v = sampler.nodelist[:2]
    first, second = (sampler.sample_ising({q: 1}, {}, num_reads=5) for q in (u, v))
    assert list(first.variables) == [v]
    assert list(second.variables) == [u]
