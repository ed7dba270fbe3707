"""Faults of a service, one by one: the job ends well, or says what happened and goes on later."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import qubo_attn as qa
from qubo_attn.jobs.transport import Answer, Refused, Retryable, Stopped, Unreadable
from tests.support.folder_service import FolderService, same
from tests.support.jobs import Clock, compiled_for, labels, service

READS = 5


@pytest.fixture(scope="module")
def compiled() -> qa.CompiledAttention:
    return compiled_for()


@pytest.fixture(scope="module")
def right(
    compiled: qa.CompiledAttention, tmp_path_factory: pytest.TempPathFactory
) -> qa.AttentionResult:
    """What comes of a job that nothing happens to."""
    job = compiled.submit(service(tmp_path_factory.mktemp("right")), reads=READS)
    result = job.result()
    assert result.answered.all()
    return result


def failing(error: Exception, what: str, *numbers: int) -> Callable[[str, int], None]:
    """Return a fault that raises at some requests of a kind."""

    def fault(kind: str, number: int) -> None:
        if kind == what and (not numbers or number in numbers):
            raise error

    return fault


def check_whole(job: qa.Job, way: FolderService, right: qa.AttentionResult) -> None:
    """Check that a job ends well, and that every call was paid once."""
    assert same(job.result(), right)
    assert sorted(labels(way.taken())) == list(range(20))


@pytest.mark.parametrize("what", ["refresh", "send", "poll", "fetch"])
def test_a_service_that_fails_for_a_while(
    what: str, compiled: qa.CompiledAttention, right: qa.AttentionResult, tmp_path: Path
) -> None:
    way, clock = service(tmp_path / "s"), Clock()
    way.fault = failing(Retryable("503"), what, 1, 2, 5)
    check_whole(compiled.submit(way, reads=READS, retry=clock.retry()), way, right)
    assert [wait for wait in clock.slept if wait >= 0.9][:2] == pytest.approx([1.0, 2.0])


def test_retry_after_is_kept(
    compiled: qa.CompiledAttention, right: qa.AttentionResult, tmp_path: Path
) -> None:
    way, clock = service(tmp_path / "s"), Clock()
    way.fault = failing(Retryable("429", retry_after=17.0), "send", 2)
    check_whole(compiled.submit(way, reads=READS, retry=clock.retry()), way, right)
    assert 17.0 in clock.slept


def test_an_answer_to_a_post_that_is_lost(
    compiled: qa.CompiledAttention, right: qa.AttentionResult, tmp_path: Path
) -> None:
    """Taken or not: the labels tell, and nothing is sent twice."""
    way, clock = service(tmp_path / "s"), Clock()
    lost = Retryable("connection reset", unclear=True)
    way.fault, way.after = failing(lost, "send", 2), failing(lost, "send", 1, 4)
    check_whole(compiled.submit(way, reads=READS, retry=clock.retry()), way, right)
    assert way.counts["find"] >= 3


@pytest.mark.parametrize("what", ["send", "poll", "fetch"])
def test_a_service_that_never_answers(
    what: str, compiled: qa.CompiledAttention, right: qa.AttentionResult, tmp_path: Path
) -> None:
    way, clock = service(tmp_path / "s"), Clock()
    way.fault = failing(Retryable("500"), what)
    with pytest.raises(qa.JobError, match="service does not answer: 500; 0 of 20") as caught:
        compiled.submit(way, reads=READS, retry=clock.retry(), folder=tmp_path / "j").result()
    assert caught.value.facts["code"] == "unreachable"
    assert len(clock.slept) < 12
    way.fault = lambda kind, number: None
    check_whole(qa.resume(tmp_path / "j", way, retry=clock.retry()), way, right)


@pytest.mark.parametrize("what", ["refresh", "send", "poll", "fetch"])
def test_a_token_that_is_revoked(
    what: str, compiled: qa.CompiledAttention, right: qa.AttentionResult, tmp_path: Path
) -> None:
    way = service(tmp_path / "s")
    number = {"fetch": (7,), "send": (3,)}.get(what, (1,))
    way.fault = failing(Stopped("401: the token is not valid"), what, *number)
    message = r"service takes no calls: 401.*; \d of 20 answers are kept in .*resume"
    with pytest.raises(qa.JobError, match=message) as caught:
        compiled.submit(way, reads=READS, folder=tmp_path / "j").result()
    assert caught.value.facts["code"] == "stopped"
    kept = {"fetch": 6}.get(what, 0)
    assert caught.value.facts["answers"] == kept
    assert qa.resume(tmp_path / "j").status().done == kept
    check_whole(qa.resume(tmp_path / "j", way), way, right)


def test_a_refusal_names_the_call_and_keeps_what_came(
    compiled: qa.CompiledAttention, right: qa.AttentionResult, tmp_path: Path
) -> None:
    way = service(tmp_path / "s")
    way.fault = failing(Refused("too many reads"), "send", 3)
    job = compiled.submit(way, reads=READS, folder=tmp_path / "j")
    message = r"call 6 of 20 \(submission 6, 1 row: \(0, 6\)\) was refused: too many reads; 6 of"
    with pytest.raises(qa.JobError, match=message) as caught:
        job.result()
    error = caught.value
    assert error.facts["code"] == "refused"
    assert (error.call, error.submission, error.rows) == (6, 6, ((0, 6),))  # type: ignore[attr-defined]
    partial = job.result(partial=True)
    assert partial.answered.sum() == 6
    with pytest.raises(qa.JobError, match="ended in this process"):
        job.result()
    check_whole(qa.resume(tmp_path / "j", way), way, right)


def test_problems_that_fail_are_sent_again(
    compiled: qa.CompiledAttention, right: qa.AttentionResult, tmp_path: Path
) -> None:
    way = service(tmp_path / "s")
    job = compiled.submit(way, reads=READS, folder=tmp_path / "j")
    first, second = job.status().ids[3:5]
    (way.folder / "failed" / first).touch()
    (way.folder / "cancelled" / second).touch()
    assert same(job.result(), right)
    assert sorted(labels(way.taken())) == sorted([3, *range(20)])
    tries = [call.tries for call in job.status().calls]
    assert tries == [2 if n in (3, 4) else 1 for n in range(20)]
    used = right.machine.access
    assert job.status().access == pytest.approx(used * 21 / 20)


def test_a_call_that_always_fails(compiled: qa.CompiledAttention, tmp_path: Path) -> None:
    class Failing(FolderService):
        def _state(self, id: str) -> str:
            known = {p["id"]: p["call"] for p in self.taken()}
            return "failed" if known.get(id) == 2 else super()._state(id)

    way = Failing(qa.SimulatedMachine("zephyr:1", seed=3), tmp_path / "s")
    clock = Clock()
    job = compiled.submit(way, reads=READS, folder=tmp_path / "j", retry=clock.retry(tries=3))
    with pytest.raises(qa.JobError, match=r"problem p\d+-\w+\) failed after 3 tries") as caught:
        job.result()
    assert caught.value.facts["code"] == "failed"
    assert caught.value.facts["answers"] == 19
    assert job.status().failed == 1


def test_unreadable_answers_are_fetched_again_and_then_sent_again(
    compiled: qa.CompiledAttention, right: qa.AttentionResult, tmp_path: Path
) -> None:
    way = service(tmp_path / "s")
    way.fault = failing(Unreadable("no JSON"), "fetch", 2)
    job = compiled.submit(way, reads=READS)
    check_whole(job, way, right)
    way = service(tmp_path / "t")
    bad = list[str]()

    def short(id: str, answer: Answer) -> Answer:
        bad.append(id)
        if id == bad[0]:
            return dataclasses.replace(answer, occurrences=answer.occurrences[:-1])
        return answer

    way.change = short
    job = compiled.submit(way, reads=READS)
    assert same(job.result(), right)
    assert len(way.taken()) == 21


WRONG: dict[str, Callable[[Answer], Answer]] = {
    "few reads": lambda a: dataclasses.replace(
        a, reads=a.reads[:-1], energies=a.energies[:-1], occurrences=a.occurrences[:-1]
    ),
    "no spins": lambda a: dataclasses.replace(a, reads=0 * a.reads),
    "other energies": lambda a: dataclasses.replace(a, energies=a.energies + 0.5),
    "no energies": lambda a: dataclasses.replace(a, energies=a.energies * np.nan),
    "other qubits": lambda a: dataclasses.replace(a, columns=a.columns + 1),
    "fewer qubits": lambda a: dataclasses.replace(a, columns=a.columns[1:], reads=a.reads[:, 1:]),
}


@pytest.mark.parametrize("name", WRONG)
def test_answers_that_do_not_fit_are_named(
    name: str, compiled: qa.CompiledAttention, tmp_path: Path
) -> None:
    way, clock = service(tmp_path / "s"), Clock()
    way.change = lambda id, answer: WRONG[name](answer)
    job = compiled.submit(way, reads=READS, in_flight=1, retry=clock.retry(tries=2))
    with pytest.raises(qa.JobError, match="failed after 2 tries: ") as caught:
        job.result()
    assert caught.value.facts["call"] == 0


def test_swapped_answers_are_put_right(
    compiled: qa.CompiledAttention, right: qa.AttentionResult, tmp_path: Path
) -> None:
    way = service(tmp_path / "s")
    job = compiled.submit(way, reads=READS)
    one, other = job.status().ids[:2]
    files = [way.folder / f"{id}.npz" for id in (one, other)]
    first, second = (file.read_bytes() for file in files)
    files[0].write_bytes(second)
    files[1].write_bytes(first)
    check_whole(job, way, right)


def test_two_machines_share_a_job_and_one_goes_offline(
    compiled: qa.CompiledAttention, right: qa.AttentionResult, tmp_path: Path
) -> None:
    ways = [service(tmp_path / name, name=name) for name in ("east", "west")]
    ways[0].fault = failing(Stopped("offline"), "fetch", 4)
    job = compiled.submit(ways, reads=READS, in_flight=6, folder=tmp_path / "j")
    assert same(job.result(), right)
    use = job.result().machine
    assert set(use.solvers) == {"east", "west"}
    by = [call.solver for call in job.status().calls]
    assert by.count("east") == 3
    # Those that were under way there are paid again: nobody can fetch them.
    assert len(ways[1].taken()) == 17


def test_the_graph_changes_during_a_job(compiled: qa.CompiledAttention, tmp_path: Path) -> None:
    """Calls that the loss does not touch go on; the others are mended and sent anew."""
    way, target = service(tmp_path / "s"), compiled.recipe.target
    part = compiled.submissions[15]
    lost = part.embedding[int(part.variables[0])][0]
    now = target.without([lost], [])
    touched = [
        p.index
        for p in compiled.submissions
        if lost in {q for c in p.embedding.values() for q in c}
    ]

    def fault(what: str, number: int) -> None:
        if what == "send" and number >= 3 and way._target is not now:
            way._target = now
            way._way.machine = way._way.sampler = qa.SimulatedMachine(now, seed=3)
            raise Refused(f"qubit {lost} does not work", graph=True)
        if what == "send" and number >= 3:
            assert way._target is now

    way.fault = fault
    job = compiled.submit(way, reads=READS, folder=tmp_path / "j", in_flight=3)
    result = job.result()
    assert result.answered.all()
    assert result.reads.feasible.min() > 0
    calls = job.status().calls
    replaced = [call.submission for call in calls if call.state == "replaced"]
    assert replaced == [s for s in touched if s >= 6]
    new = calls[20:]
    assert 0 < len(new) <= len(replaced) + 1
    assert all(call.state == "done" for call in new)
    assert len({call.submission for call in calls[:20] if call.state == "done"}) == 20 - len(
        replaced
    )
    # All of it stands in the journal.
    again = qa.resume(tmp_path / "j")
    assert same(again.result(partial=True), result)


def test_the_graph_changes_while_calls_are_under_way(
    compiled: qa.CompiledAttention, tmp_path: Path
) -> None:
    """The machine takes the calls, loses a qubit, and fails those that need it."""
    way, target = service(tmp_path / "s"), compiled.recipe.target
    part = compiled.submissions[15]
    lost = part.embedding[int(part.variables[0])][0]
    touched = [
        p.index
        for p in compiled.submissions
        if lost in {q for c in p.embedding.values() for q in c}
    ]
    job = compiled.submit(way, reads=READS, folder=tmp_path / "j")
    for index in touched:
        (way.folder / "failed" / job.status().ids[index]).touch()
    way._target = target.without([lost], [])
    way._way.machine = way._way.sampler = qa.SimulatedMachine(way._target, seed=3)
    result = job.result()
    assert result.answered.all()
    calls = job.status().calls
    assert [call.submission for call in calls if call.state == "replaced"] == touched
    assert all(call.state == "done" for call in calls[20:])


def test_a_logical_model_never_goes_to_a_machine(tmp_path: Path) -> None:
    way = service(tmp_path / "s")
    with pytest.raises(qa.SubmissionError, match="without a structured target"):
        compiled_for(None).submit(way, reads=READS)
    assert way.taken() == []


def test_a_budget_is_kept(
    compiled: qa.CompiledAttention, right: qa.AttentionResult, tmp_path: Path
) -> None:
    each = right.machine.access / 20
    way = service(tmp_path / "s")
    job = compiled.submit(way, reads=READS, budget=7.5 * each, folder=tmp_path / "j")
    with pytest.raises(qa.JobError, match="larger budget= lets it go on: 7 of 20") as caught:
        job.result()
    assert caught.value.facts["code"] == "budget"
    assert len(way.taken()) == 7
    check_whole(qa.resume(tmp_path / "j", way, budget=1e3), way, right)
    # A machine that is slower than it states: no call more than fits, once the first one told.
    way = service(tmp_path / "t", batch=1)
    way.change = lambda id, answer: dataclasses.replace(
        answer, timing={"qpu_access_time": 3e6 * each}
    )
    job = compiled.submit(way, reads=READS, budget=7.5 * each, in_flight=1)
    with pytest.raises(qa.JobError, match="budget"):
        job.result()
    assert len(way.taken()) == 2
    with pytest.raises(qa.InputError, match="states its times"):
        compiled_for(None).submit(qa_sampler(), budget=1.0)


def qa_sampler() -> object:
    from dwave.samplers import SimulatedAnnealingSampler

    return SimulatedAnnealingSampler()


def test_an_interrupt_cancels_and_says_how_to_go_on(
    compiled: qa.CompiledAttention, right: qa.AttentionResult, tmp_path: Path
) -> None:
    way = service(tmp_path / "s")
    way.fault = failing(KeyboardInterrupt(), "fetch", 5)  # type: ignore[arg-type]
    job = compiled.submit(way, reads=READS, in_flight=9, folder=tmp_path / "j")
    with pytest.raises(KeyboardInterrupt) as caught:
        job.result()
    (note,) = caught.value.__notes__
    assert "4 of 20 answers are kept in" in note
    assert "qa.resume(" in note
    assert way.counts["cancel"] == 1
    check_whole(qa.resume(tmp_path / "j", way), way, right)


def test_cancelling_leaves_what_runs(
    compiled: qa.CompiledAttention, right: qa.AttentionResult, tmp_path: Path
) -> None:
    way = service(tmp_path / "s")
    job = compiled.submit(way, reads=READS, in_flight=9, folder=tmp_path / "j")
    way.poll(job.status().ids[:4], 0.0)  # these run now
    status = job.cancel()
    assert (status.sent, status.new) == (4, 16)
    check_whole(qa.resume(tmp_path / "j", way), way, right)
