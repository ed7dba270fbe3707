"""Folders of jobs: damaged, cut off, of another version, in use."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import qubo_attn as qa
from qubo_attn.jobs import journal
from qubo_attn.jobs.transport import Answer
from tests.support.folder_service import same
from tests.support.jobs import compiled_for, lines, service

READS = 5


@pytest.fixture(scope="module")
def compiled() -> qa.CompiledAttention:
    return compiled_for(queries=4)


def begun(compiled: qa.CompiledAttention, folder: Path, count: int = 2) -> qa.AttentionResult:
    """Begin a job, leave it after some answers, and return what it comes to in the end."""
    right = compiled.submit(service(folder / "right"), reads=READS).result()
    job = compiled.submit(service(folder / "s"), reads=READS, folder=folder / "j", in_flight=2)
    for _ in zip(range(count), job.as_completed(), strict=False):
        pass
    job.cancel()
    return right


def test_answers_are_kept_as_they_came(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    answer = Answer(
        generator.choice(np.array([-1, 1], np.int8), (7, 13)),
        np.arange(3, 16),
        generator.normal(size=7),
        generator.integers(1, 4, 7),
        generator.random(7),
        {"qpu_access_time": 12.5},
        0.25,
        "chip",
    )
    folder = journal.Folder.create(tmp_path, {"run": "x"})
    folder.keep({3: answer})
    again = folder.answer(3)
    for name, value in vars(answer).items():
        np.testing.assert_array_equal(getattr(again, name), value)
    assert again.reads.dtype == np.int8
    folder.close()


@pytest.mark.parametrize("rest", [b'{"call":3,"sta', b"", b"\xff\xfe\n", b'{"call":0}\n'])
def test_a_last_line_that_is_cut_off(
    rest: bytes, compiled: qa.CompiledAttention, tmp_path: Path
) -> None:
    right = begun(compiled, tmp_path)
    file = tmp_path / "j" / "journal.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole + rest)
    job = qa.resume(tmp_path / "j", service(tmp_path / "s"))
    assert same(job.result(), right)
    assert len(service(tmp_path / "s").taken()) == 4
    for line in lines(tmp_path / "j"):
        json.loads(line)


@pytest.mark.parametrize("last", range(1, 7))
def test_lines_that_are_lost_at_the_end(
    last: int, compiled: qa.CompiledAttention, tmp_path: Path
) -> None:
    """Whatever the disk lost of the end, what was taken is found, and what came is used."""
    right = begun(compiled, tmp_path)
    file = tmp_path / "j" / "journal.jsonl"
    kept = lines(tmp_path / "j")[:-last]
    cut = lines(tmp_path / "j")[-last]
    file.write_bytes(b"".join(kept) + cut[: len(cut) // 2])
    job = qa.resume(tmp_path / "j", service(tmp_path / "s"))
    assert same(job.result(), right)


def test_a_note_of_a_sending_that_is_damaged(
    compiled: qa.CompiledAttention, tmp_path: Path
) -> None:
    """Killed after the service took the calls, and the disk lost what was noted before."""
    way = service(tmp_path / "s", batch=1)

    def killed(what: str, number: int) -> None:
        if number == 2:
            raise KeyboardInterrupt

    way.after = killed
    job = compiled.submit(way, reads=READS, in_flight=1, folder=tmp_path / "j")
    with pytest.raises(KeyboardInterrupt):
        job.result()
    file = tmp_path / "j" / "journal.jsonl"
    kept = [line for line in lines(tmp_path / "j") if b"interrupted" not in line]
    assert b'"sending"' in kept[-1]
    file.write_bytes(b"".join(kept[:-1]) + kept[-1][:20])
    way = service(tmp_path / "s")
    assert qa.resume(tmp_path / "j", way).result().answered.all()
    assert len(way.taken()) == 4


def test_a_damaged_line_before_the_end(compiled: qa.CompiledAttention, tmp_path: Path) -> None:
    begun(compiled, tmp_path)
    file = tmp_path / "j" / "journal.jsonl"
    damaged = file.read_bytes().replace(b'"sent"', b'"sEnt"', 1)
    file.write_bytes(damaged)
    with pytest.raises(qa.JobError, match=r"journal.jsonl: line \d is damaged") as caught:
        qa.resume(tmp_path / "j", service(tmp_path / "s"))
    assert caught.value.facts["code"] == "journal"


def test_a_damaged_answer_is_fetched_again(compiled: qa.CompiledAttention, tmp_path: Path) -> None:
    right = begun(compiled, tmp_path)
    for file in (tmp_path / "j" / "answers").iterdir():
        file.write_bytes(file.read_bytes()[:-9] + b"damaged!!")
    with pytest.raises(qa.JobError, match="take it away, and the job gets the answer anew"):
        qa.resume(tmp_path / "j").result(partial=True)
    assert same(qa.resume(tmp_path / "j", service(tmp_path / "s")).result(), right)
    assert len(service(tmp_path / "s").taken()) == 4


def test_folders_that_hold_no_job(compiled: qa.CompiledAttention, tmp_path: Path) -> None:
    with pytest.raises(qa.JobError, match="there is no job"):
        qa.resume(tmp_path / "none")
    begun(compiled, tmp_path)
    with pytest.raises(qa.InputError, match=r"holds a job already: qa\.resume"):
        compiled.submit(service(tmp_path / "s"), folder=tmp_path / "j")
    head = tmp_path / "j" / "job.json"
    text = head.read_text()
    head.write_text(text.replace('"format": 1', '"format": 2'))
    with pytest.raises(qa.JobError, match=r"wrote it, in format 2; install that version"):
        qa.resume(tmp_path / "j")
    head.write_text(text.replace('"reads": 5', '"reads": 6', 1))
    with pytest.raises(qa.JobError, match="its checksum does not match"):
        qa.resume(tmp_path / "j")
    head.write_text("{")
    with pytest.raises(qa.JobError, match="does not read"):
        qa.resume(tmp_path / "j")


def test_another_artifact_is_refused(compiled: qa.CompiledAttention, tmp_path: Path) -> None:
    begun(compiled, tmp_path)
    compiled_for(queries=5).save(tmp_path / "j" / "artifact")
    with pytest.raises(qa.JobError, match="not what the job began with"):
        qa.resume(tmp_path / "j")


def test_two_processes_do_not_work_on_one_job(
    compiled: qa.CompiledAttention, tmp_path: Path
) -> None:
    job = compiled.submit(service(tmp_path / "s"), reads=READS, folder=tmp_path / "j")
    with pytest.raises(qa.JobError, match="another process works on the job"):
        qa.resume(tmp_path / "j", service(tmp_path / "s"))
    assert qa.resume(tmp_path / "j").status().sent == 4
    job.cancel()
    qa.resume(tmp_path / "j", service(tmp_path / "s")).cancel()


def test_a_job_is_known_from_its_folder_alone(
    compiled: qa.CompiledAttention, tmp_path: Path
) -> None:
    begun(compiled, tmp_path)
    head = json.loads((tmp_path / "j" / "job.json").read_text())
    artifact = json.loads((tmp_path / "j" / "artifact" / "artifact.json").read_text())
    assert head["artifact"] == artifact["digest"]
    assert head["version"] == qa.__version__
    assert head["samplers"] == [{"service": str(tmp_path / "s")}]
    assert [call["submission"] for call in head["calls"]] == [0, 1, 2, 3]
    done = [e for e in map(json.loads, lines(tmp_path / "j")) if e.get("state") == "done"]
    assert all(e["timing"]["qpu_access_time"] == e["access"] for e in done)


def test_options_survive(compiled: qa.CompiledAttention, tmp_path: Path) -> None:
    from qubo_attn.jobs.plain import from_plain, to_plain

    options = {
        "anneal_schedule": [(0.0, 0.0), (20.0, 1.0)],
        "initial_state": {3: 1, 4: -1},
        "flux_biases": np.zeros(3),
        "time": np.float64(2.5),
        "none": None,
    }
    plain = json.loads(json.dumps({name: to_plain(name, v) for name, v in options.items()}))
    assert {name: from_plain(v) for name, v in plain.items()} == {
        "anneal_schedule": [[0.0, 0.0], [20.0, 1.0]],
        "initial_state": {3: 1, 4: -1},
        "flux_biases": [0.0, 0.0, 0.0],
        "time": 2.5,
        "none": None,
    }
    with pytest.raises(qa.InputError, match="hook cannot be kept in a journal"):
        to_plain("hook", print)
