"""The way to a D-Wave solver, over HTTP to the stand-in, beside what the client does itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dimod
import numpy as np
import pytest
from dwave.cloud.coders import decode_qp_numpy, encode_problem_as_qp
from dwave.system import DWaveSampler

import qubo_attn as qa
from qubo_attn.jobs.transport import Refused, Request, Retryable, Stopped, Unreadable
from qubo_attn.jobs.wire_transport import WireTransport, takes_wires
from tests.support.solver_api import SolverApi


@pytest.fixture
def api() -> Iterator[SolverApi]:
    with SolverApi("zephyr:2") as service:
        yield service


@pytest.fixture
def sampler(api: SolverApi) -> Iterator[DWaveSampler]:
    with DWaveSampler(endpoint=api.endpoint, token=api.token, cache_enabled=False) as found:
        yield found


@pytest.fixture
def way(sampler: DWaveSampler) -> WireTransport:
    return WireTransport(sampler)


@pytest.fixture(scope="module")
def compiled() -> qa.CompiledAttention:
    scores = np.random.default_rng(1).normal(size=(3, 4, 6))
    return qa.compile(scores, 3, select=qa.ExactlyK(2), target="zephyr:2")


def requests_of(compiled: qa.CompiledAttention, run: str = "run", **options: Any) -> list[Request]:
    return [
        Request(part.index, f"{run}/{part.index}", part, 20, options)
        for part in compiled.submissions
    ]


def finished(way: WireTransport, ids: list[str]) -> list[str]:
    while True:
        states = way.poll(ids, 1.0)
        if all(state.state != "waiting" for state in states.values()):
            return [states[id].state for id in ids]


def test_what_is_sent_is_what_the_client_sends(
    api: SolverApi, sampler: DWaveSampler, way: WireTransport, compiled: qa.CompiledAttention
) -> None:
    requests = requests_of(compiled, answer_mode="raw")
    sign = np.random.default_rng(1).choice([-1, 1], len(requests[0].submission.variables))
    requests[0] = replace(requests[0], sign=sign.astype(np.int8))
    receipts = way.send(requests)
    assert len(receipts) == len(compiled.submissions) > 1
    for request, receipt in zip(requests, receipts, strict=True):
        problem = api.problems[receipt.id]
        part, physical = request.submission, request.physical
        names = physical.target.qubits
        bqm = dimod.BQM.from_ising(
            dict(zip(names[physical.qubit].tolist(), physical.h, strict=True)),
            {
                (int(names[u]), int(names[v])): j
                for u, v, j in zip(physical.u, physical.v, physical.j, strict=True)
            },
            part.embedded_offset,
        )
        assert problem.data == encode_problem_as_qp(
            sampler.solver, dict(bqm.linear), dict(bqm.quadratic), bqm.offset, True
        )
        assert (problem.label, problem.params) == (
            request.label,
            {"num_reads": 20} | dict(request.parameters),
        )
        assert problem.kind == "ising"
        assert receipt.graph_id == api.machine().graph_id == way.graph_id


@pytest.mark.parametrize("mode", ["raw", "histogram"])
def test_what_comes_back_is_what_the_client_reads(
    api: SolverApi, way: WireTransport, compiled: qa.CompiledAttention, mode: str
) -> None:
    ids = [receipt.id for receipt in way.send(requests_of(compiled, answer_mode=mode))]
    assert set(finished(way, ids)) == {"done"}
    for id in ids:
        answer, problem = way.fetch(id), api.problems[id]
        client = decode_qp_numpy({"answer": dict(problem.shown), "type": "ising"})
        np.testing.assert_array_equal(answer.columns, client["active_variables"])
        np.testing.assert_array_equal(answer.reads, client["solutions"][:, answer.columns])
        np.testing.assert_array_equal(answer.energies, client["energies"])
        assert answer.reads.dtype == np.int8
        assert answer.occurrences.sum() == 20
        if mode == "histogram":
            np.testing.assert_array_equal(answer.occurrences, client["num_occurrences"])
        assert answer.timing == problem.timing
        assert answer.queue is not None
        assert answer.queue >= 0
        assert answer.solver == way.name == "Ideal_zephyr_2"


def test_which_samplers_take_wires(sampler: DWaveSampler) -> None:
    assert takes_wires(sampler)
    assert not takes_wires(dimod.TrackingComposite(sampler))
    assert not takes_wires(qa.SimulatedMachine("zephyr:2"))
    assert not takes_wires(None)


def test_versions(api: SolverApi, way: WireTransport) -> None:
    facts = way.versions()
    assert facts["client"].startswith("dwave-cloud-client 0.")
    assert facts["solver"] == "Ideal_zephyr_2"
    assert facts["graph_id"] == api.machine().graph_id


@pytest.mark.parametrize(
    ("fault", "error", "facts"),
    [
        ({"status": 500}, Retryable, {"retry_after": None, "unclear": True}),
        ({"status": 503, "retry_after": 7}, Retryable, {"retry_after": 7.0, "unclear": True}),
        ({"status": 429, "retry_after": 3}, Retryable, {"retry_after": 3.0, "unclear": False}),
        ({"status": 408}, Retryable, {"unclear": True}),
        ({"status": 401}, Stopped, {}),
        ({"status": 403}, Stopped, {}),
        ({"status": 404}, Refused, {"graph": False}),
        ({"status": 413}, Refused, {}),
        ({"kind": "reset"}, Retryable, {"unclear": True}),
        ({"kind": "lost"}, Retryable, {"unclear": True}),
        ({"kind": "html"}, Retryable, {"unclear": True}),
    ],
    ids=str,
)
def test_posts_that_fail(
    api: SolverApi,
    way: WireTransport,
    compiled: qa.CompiledAttention,
    fault: dict[str, Any],
    error: type[Exception],
    facts: dict[str, object],
) -> None:
    api.fault("submit", **{"kind": "http"} | fault)
    with pytest.raises(error) as raised:
        way.send(requests_of(compiled))
    assert {name: getattr(raised.value, name) for name in facts} == facts
    assert "Ideal_zephyr_2" in str(raised.value)
    assert sum(verb == "POST" for verb, _, _ in api.requests) == 1  # no try behind the back
    taken = len(compiled.submissions) if fault.get("kind") == "lost" else 0
    assert len(api.problems) == taken
    assert sorted(way.find("run").values()) == sorted(api.problems)


@pytest.mark.parametrize("on", ["status", "answer"])
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 500}, Retryable),
        ({"status": 503, "retry_after": 5}, Retryable),
        ({"status": 401}, Stopped),
        ({"kind": "reset"}, Retryable),
        ({"kind": "html"}, Retryable),
    ],
    ids=str,
)
def test_looks_that_fail(
    api: SolverApi,
    way: WireTransport,
    compiled: qa.CompiledAttention,
    on: str,
    fault: dict[str, Any],
    error: type[Exception],
) -> None:
    ids = [receipt.id for receipt in way.send(requests_of(compiled))]
    finished(way, ids)

    def look() -> object:
        return way.poll(ids, 1.0) if on == "status" else way.fetch(ids[0])

    api.fault(on, **{"kind": "http"} | fault)
    with pytest.raises(error) as raised:
        look()
    assert raised.value.facts.get("retry_after") == fault.get("retry_after")
    assert not raised.value.facts.get("unclear")
    look()  # and nothing is broken


def test_problems_that_end_badly(
    api: SolverApi, way: WireTransport, compiled: qa.CompiledAttention
) -> None:
    for kind in ("failed", "cancelled", "short"):
        api.fault("problem", kind)
    requests = (requests_of(compiled) * 3)[:3]
    ids = [receipt.id for receipt in way.send(requests)]
    assert finished(way, ids) == ["failed", "cancelled", "done"]
    assert "Internal error" in way.poll(ids[:1], 1.0)[ids[0]].reason
    with pytest.raises(Unreadable, match=f"{ids[2]} does not read"):
        way.fetch(ids[2])
    api.forget(ids[2])
    states = way.poll(ids, 1.0)
    assert [states[id].state for id in ids] == ["failed", "cancelled", "failed"]
    assert "does not know" in states[ids[2]].reason


def test_refusals(api: SolverApi, way: WireTransport, compiled: qa.CompiledAttention) -> None:
    api.fault("problem", "refused")
    first, *others = way.send((requests_of(compiled) * 3)[:3])
    assert isinstance(first, Refused)
    assert not first.graph
    assert "the problem cannot be taken" in str(first)
    assert [hasattr(other, "id") for other in others] == [True, True]
    (many,) = way.send(requests_of(compiled, num_reads=20_000)[:1])
    assert isinstance(many, Refused)
    assert "num_reads" in str(many)


def test_a_graph_that_changes(
    api: SolverApi, way: WireTransport, compiled: qa.CompiledAttention
) -> None:
    requests = requests_of(compiled)
    physical = requests[0].physical
    before, lost = way.graph_id, int(physical.target.qubits[physical.qubit].min())
    api.machine().lose_qubit(lost)
    outcomes = way.send(requests)
    assert all(isinstance(o, Refused) and o.graph for o in outcomes)
    assert way.graph_id == before  # until somebody asks
    today = way.refresh()
    assert lost not in today.qubits.tolist()
    assert today.properties["graph_id"] == way.graph_id == api.machine().graph_id != before
    for request, outcome in zip(requests, way.send(requests), strict=True):
        chains = request.submission.embedding.values()
        if lost in {q for chain in chains for q in chain}:
            assert isinstance(outcome, Refused)
            assert outcome.graph
            assert f"qubit {lost}" in str(outcome)
        else:
            assert outcome.graph_id == way.graph_id


def test_a_solver_that_goes_offline(
    api: SolverApi, way: WireTransport, compiled: qa.CompiledAttention
) -> None:
    api.latency = 60.0
    ids = [receipt.id for receipt in way.send(requests_of(compiled)[:1])]
    api.offline()
    assert finished(way, ids) == ["failed"]
    (outcome,) = way.send(requests_of(compiled)[:1])
    assert isinstance(outcome, Stopped)
    assert "offline" in str(outcome)
    with pytest.raises(Stopped, match="offline"):
        way.refresh()
    api.machine().online = True
    api.revoke()
    with pytest.raises(Stopped, match="token"):
        way.refresh()


@pytest.mark.parametrize("parts", [True, False])
def test_labels_and_cancelling(
    api: SolverApi, way: WireTransport, compiled: qa.CompiledAttention, parts: bool
) -> None:
    api.latency, api.label_parts = 60.0, parts
    runs = {
        run: {r.label: id.id for r, id in zip(requests, way.send(requests), strict=True)}
        for run in ("run", "run2")
        for requests in [requests_of(compiled, run)]
    }
    for run, ids in runs.items():
        assert way.find(run) == ids
    assert way.find("ru") == {}
    ids = list(runs["run"].values())
    way.cancel(ids)
    assert set(finished(way, ids)) == {"cancelled"}
    way.cancel(ids)  # what has ended stays as it is
    assert way.poll([], 1.0) == {}


def test_options_by_variable_over_http(
    api: SolverApi, sampler: DWaveSampler, compiled: qa.CompiledAttention, tmp_path: Path
) -> None:
    """States follow chains and gauges in every call, and when a job goes on."""
    bits = np.random.default_rng(3).integers(0, 2, len(compiled.program)).tolist()
    state, schedule = dict(enumerate(bits)), [[0, 1], [5, 0.4], [10, 1]]
    job = compiled.submit(
        sampler,
        reads=8,
        gauges=3,
        seed=1,
        in_flight=2,
        folder=tmp_path / "job",
        anneal_schedule=schedule,
        initial_state=state,
        anneal_offsets={0: 0.01},
    )
    next(job.as_completed())
    job.cancel()
    qa.resume(tmp_path / "job", sampler).result()
    done = [p for p in api.problems.values() if p.status == "COMPLETED"]
    assert len(done) == 3 * len(compiled.submissions)
    signs = set()
    for problem in done:
        part = compiled.submissions[int(problem.label.split("/")[1]) // 3]
        sent, offsets = problem.params["initial_state"], problem.params["anneal_offsets"]
        for variable, chain in part.embedding.items():
            (spin,) = {sent[q] for q in chain}
            signs.add(spin * (2 * bits[variable] - 1))
            assert {offsets[q] for q in chain} == {0.01 if variable == 0 else 0.0}
    assert signs == {-1, 1}
    with pytest.raises(qa.InputError, match="initial_state lacks variable 1"):
        compiled.submit(sampler, anneal_schedule=schedule, initial_state={0: 1})
    stopped = compiled.submit(sampler, reads=5, anneal_offsets={}).result()
    assert stopped.answered.all()
    with pytest.raises(qa.InputError, match=r"anneal offset 0.2 of qubit \d+") as raised:
        compiled.submit(sampler, reads=5, anneal_offsets={0: 0.2}).result()
    assert "answers had come" in "".join(raised.value.__notes__)
