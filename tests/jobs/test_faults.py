"""Faults of a service over HTTP, one by one, with the real client.

The job ends well, or stops with an error that names call, submission, rows, problem and what is
kept; then it goes on without paying for anything twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dwave.system import DWaveSampler

import qubo_attn as qa
from tests.support.folder_service import same
from tests.support.jobs import Clock, compiled_for
from tests.support.solver_api import SolverApi

READS, CALLS = 5, 20


@pytest.fixture
def api() -> Iterator[SolverApi]:
    with SolverApi("zephyr:1") as service:
        yield service


def connected(api: SolverApi) -> DWaveSampler:
    return DWaveSampler(endpoint=api.endpoint, token=api.token, cache_enabled=False)


@pytest.fixture
def sampler(api: SolverApi) -> Iterator[DWaveSampler]:
    with connected(api) as found:
        yield found


@pytest.fixture(scope="module")
def compiled() -> qa.CompiledAttention:
    return compiled_for()


@pytest.fixture(scope="module")
def right(compiled: qa.CompiledAttention) -> qa.AttentionResult:
    """What comes of a job that nothing happens to."""
    with SolverApi("zephyr:1") as api, connected(api) as sampler:
        result = compiled.submit(sampler, reads=READS).result()
    assert result.answered.all()
    return result


def begun(compiled: qa.CompiledAttention, sampler: Any, folder: Path, **options: Any) -> qa.Job:
    how = {"reads": READS, "in_flight": 4, "retry": Clock().retry()} | options
    return compiled.submit(sampler, folder=folder / "job", **how)


def paid(*services: SolverApi) -> list[int]:
    """Numbers of the calls whose machine time was used."""
    return sorted(int(label.split("/")[1]) for api in services for label in api.paid)


def stopped(job: qa.Job) -> qa.JobError:
    """Go on until the job stops."""
    with pytest.raises(qa.JobError) as raised:
        job.result()
    return raised.value


def check_named(error: qa.JobError, job: qa.Job, api: SolverApi) -> None:
    """Check that an error of a call names all there is to it, and what is kept."""
    call = job.status().calls[error.call]
    assert (error.submission, error.problem) == (call.submission, call.id)
    assert error.rows == job.compilation.submissions[call.submission].rows
    assert call.id in api.problems or not call.id
    check_kept(error, job)
    for fact in (f"call {error.call}", f"submission {error.submission}", str(error.rows[0])):
        assert fact in str(error)


def check_kept(error: qa.JobError, job: qa.Job) -> None:
    assert error.answers == job.status().done
    assert str(error.folder) == str(job.folder)
    said = " ".join([str(error), *getattr(error, "__notes__", ())])
    assert f"{error.answers} of {CALLS} answers are kept in {job.folder}" in said
    assert "qa.resume(" in said


# -- what passes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on", "kind", "how"),
    [
        *(("submit", "http", {"status": status}) for status in (500, 502, 503, 504, 408)),
        ("submit", "http", {"status": 429, "retry_after": 7}),
        ("submit", "http", {"status": 503, "retry_after": 7}),
        ("submit", "reset", {}),  # before the problems were taken
        ("submit", "lost", {}),  # and after
        ("submit", "html", {}),
        *(("status", kind, {"times": 3}) for kind in ("http", "reset", "html")),
        *(("answer", kind, {"times": 3}) for kind in ("http", "reset", "html")),
        ("solvers", "http", {"status": 502}),
        ("problem", "failed", {"times": 2}),
        ("problem", "cancelled", {"times": 2}),
        ("problem", "swapped", {"times": 2}),
    ],
    ids=str,
)
@pytest.mark.parametrize("skip", [0, 1])
def test_what_passes(
    api: SolverApi,
    sampler: DWaveSampler,
    compiled: qa.CompiledAttention,
    right: qa.AttentionResult,
    tmp_path: Path,
    on: str,
    kind: str,
    how: dict[str, Any],
    skip: int,
) -> None:
    api.fault(on, kind, **{"times": 1, "skip": skip} | how)
    clock = Clock()
    result = begun(compiled, sampler, tmp_path, retry=clock.retry()).result()
    assert same(result, right)
    assert paid(api) == list(range(CALLS))
    assert all(fault.times <= 0 for fault in api.faults)
    if "retry_after" in how:
        assert max(clock.slept) == pytest.approx(7.0, abs=0.5)
    ids = set(result.machine.ids)
    assert ids == {p.id for p in api.problems.values() if p.status == "COMPLETED"}


@pytest.mark.parametrize("kind", ["short", "fewer"])
def test_answers_that_end_early(
    api: SolverApi,
    sampler: DWaveSampler,
    compiled: qa.CompiledAttention,
    right: qa.AttentionResult,
    tmp_path: Path,
    kind: str,
) -> None:
    """What is unreadable is asked for again, and sent again: the machine ran it, so it is paid."""
    api.fault("problem", kind, times=2, skip=3)
    result = begun(compiled, sampler, tmp_path, answer_mode="raw").result()
    assert np.array_equal(result.selected, right.selected)
    again = [call for call in range(CALLS) if paid(api).count(call) == 2]
    assert len(again) == 2
    assert len(paid(api)) == CALLS + 2


# -- what stops a job -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on", "kind", "how", "code"),
    [
        ("problem", "refused", {"skip": 6}, "refused"),
        ("problem", "failed", {"skip": 6, "times": -1}, "failed"),
        ("problem", "cancelled", {"skip": 6, "times": -1}, "failed"),
        ("submit", "http", {"skip": 2, "status": 400}, "refused"),
        ("submit", "http", {"skip": 2, "status": 403}, "stopped"),
        ("submit", "http", {"skip": 2, "times": -1, "status": 502}, "unreachable"),
        ("submit", "reset", {"skip": 2, "times": -1}, "unreachable"),
        ("submit", "lost", {"times": -1}, "unreachable"),
        ("status", "http", {"skip": 2, "times": -1}, "unreachable"),
        ("answer", "reset", {"skip": 6, "times": -1}, "unreachable"),
    ],
    ids=str,
)
def test_what_stops_a_job(
    api: SolverApi,
    sampler: DWaveSampler,
    compiled: qa.CompiledAttention,
    right: qa.AttentionResult,
    tmp_path: Path,
    on: str,
    kind: str,
    how: dict[str, Any],
    code: str,
) -> None:
    api.fault(on, kind, **how)
    job = begun(compiled, sampler, tmp_path)
    error = stopped(job)
    assert error.code == code
    if code in ("refused", "failed"):
        check_named(error, job, api)
    else:
        check_kept(error, job)
    api.faults.clear()
    again = qa.resume(tmp_path / "job", sampler, retry=Clock().retry())
    assert same(again.result(), right)
    assert paid(api) == list(range(CALLS))


@pytest.mark.parametrize("word", ["token", "offline"])
def test_a_service_that_stops_in_the_middle(
    word: str,
    api: SolverApi,
    sampler: DWaveSampler,
    compiled: qa.CompiledAttention,
    right: qa.AttentionResult,
    tmp_path: Path,
) -> None:
    job = begun(compiled, sampler, tmp_path)
    came = job.as_completed()
    for _ in range(5):
        next(came)
    if word == "token":
        api.revoke()
    else:
        api.offline()
    error = stopped(job)
    assert (error.code, word in str(error)) == ("stopped", True)
    check_kept(error, job)
    api.machine().online = True
    with connected(api) as renewed:
        assert same(qa.resume(tmp_path / "job", renewed).result(), right)
    assert paid(api) == list(range(CALLS))


def test_status_is_not_asked_for_ever(
    api: SolverApi, sampler: DWaveSampler, compiled: qa.CompiledAttention, tmp_path: Path
) -> None:
    api.fault("status", "http", times=-1)
    job = begun(compiled, sampler, tmp_path)
    stopped(job)
    asked = [path for verb, path, _ in api.requests if verb == "GET" and "id=" in path]
    assert len(asked) <= 8  # once for each try


# -- machines -------------------------------------------------------------------------------------


def test_a_graph_that_changes(tmp_path: Path) -> None:
    """Untouched submissions go on; touched ones are repaired, and no logical model is sent."""
    with SolverApi("zephyr:2") as api, connected(api) as sampler:
        compiled = compiled_for(target=sampler, queries=40)
        job = begun(compiled, sampler, tmp_path, in_flight=2)
        came = job.as_completed()
        next(came)
        waiting = [call.submission for call in job.status().calls if call.state == "new"]
        used = {
            part.index: {int(q) for chain in part.embedding.values() for q in chain}
            for part in compiled.submissions
        }
        lost = min(used[waiting[-1]])
        api.machine().lose_qubit(lost)
        result = job.result()
        assert result.answered.all()
        status = job.status()
        late = [p for p in api.problems.values() if lost not in p.machine.qubits]
        assert late
        for problem in api.problems.values():
            graph = problem.solver["version"]["graph_id"]
            if graph == api.machine().graph_id:
                assert lost not in problem.decoded.active
        assert {call.state for call in status.calls} <= {"done", "replaced"}
        assert "replaced" in {call.state for call in status.calls}
        touched = {call.submission for call in status.calls if call.state == "replaced"}
        assert touched == {index for index in waiting if lost in used[index]}


def test_two_machines_share_a_job(
    compiled: qa.CompiledAttention, right: qa.AttentionResult, tmp_path: Path
) -> None:
    with SolverApi("zephyr:1") as one, SolverApi("zephyr:1", latency=0.01) as other:
        with connected(one) as near, connected(other) as far:
            job = begun(compiled, [near, far], tmp_path, in_flight=2)
            came = job.as_completed()
            for _ in range(6):
                next(came)
            assert one.problems
            assert other.problems
            other.offline()
            result = job.result()
        assert same(result, right)
        assert paid(one, other) == list(range(CALLS))
        assert len(paid(one)) > len(paid(other)) > 0
