"""``qubo-attn submit`` and ``qubo-attn job``, with the stand-ins for machines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import qubo_attn as qa
from qubo_attn.cli import app
from qubo_attn.jobs.sampler import SamplerTransport
from tests.support.jobs import compiled_for


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compiled")
    compiled_for("zephyr:1", queries=5).save(folder)
    return folder


def run(*arguments: object, code: int = 0) -> str:
    outcome = CliRunner().invoke(app, list(map(str, arguments)))
    text = " ".join((outcome.stdout + outcome.stderr).split())
    assert outcome.exit_code == code, text
    return text


def facts(*arguments: object, code: int = 0) -> dict[str, Any]:
    outcome = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert outcome.exit_code == code, outcome.output
    parsed: dict[str, Any] = json.loads(outcome.stdout)
    return parsed


@pytest.mark.parametrize("machine", ["simulated", "mock"])
def test_a_job_from_end_to_end(machine: str, out: Path, tmp_path: Path) -> None:
    job = tmp_path / "job"
    told = facts("submit", out, "--job", job, "--machine", machine, "--reads", 9, "--label", "run7")
    assert (told["done"], told["new"], told["failed"]) == (5, 0, 0)
    assert told["label"].startswith("run7-")
    assert facts("job", "status", job) == told | {"time_left": 0.0}
    result = facts("job", "decode", job, "-o", tmp_path / "result.npz")
    assert (result["rows"], result["answered"]) == (5, 5)
    with np.load(tmp_path / "result.npz") as file:
        assert file["weights"].shape == (1, 5, 12)
    assert "5 done, 0 sent, 0 new, 0 failed" in run("job", "resume", job)
    run("submit", out, "--job", job, "--machine", machine, code=3)


def test_a_dry_run_prints_calls_time_and_cost(out: Path, tmp_path: Path) -> None:
    text = run("submit", out, "--job", tmp_path / "j", "--reads", 100, "--dry-run", "--price", 2000)
    plan = qa.load(out).schedule(reads=100)
    seconds = plan.microseconds / 1e6
    assert f"5 calls of 100 reads {seconds:.3f} s of machine time" in text
    assert f"cost {2000 * seconds / 3600:.2f}" in text
    assert not (tmp_path / "j").exists()
    told = facts("submit", out, "--job", tmp_path / "j", "--annealing-time", 200, "--dry-run")
    assert told["seconds"] == qa.load(out).schedule(1000, annealing_time=200.0).microseconds / 1e6
    assert told["cost"] is None


def test_leaving_and_going_on(out: Path, tmp_path: Path) -> None:
    job = tmp_path / "job"
    told = facts("submit", out, "--job", job, "--machine", "simulated", "--reads", 9, "--detach")
    assert told["new"] == 5  # a stand-in computes while it is called: nothing is sent ahead
    assert "0 done, 0 sent, 5 new" in run("job", "wait", job)
    assert facts("job", "decode", job)["answered"] == 0
    assert "0 done" in run("job", "cancel", job)
    # The sampler is known from the folder; another may take its place.
    assert facts("job", "resume", job)["done"] == 5
    assert facts("job", "decode", job)["answered"] == 5


def test_a_budget_stops_a_job(out: Path, tmp_path: Path) -> None:
    job = tmp_path / "job"
    each = qa.load(out).schedule(reads=9).microseconds / 5e6
    budget = ("--budget", 2.5 * each)
    text = run(
        "submit", out, "--job", job, "--machine", "simulated", "--reads", 9, *budget, code=12
    )
    assert "2 of 5 answers are kept" in text
    assert facts("job", "status", job)["done"] == 2
    assert facts("job", "resume", job, "--budget", 1)["done"] == 5


def test_ctrl_c_says_how_to_go_on(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, send = tmp_path / "job", SamplerTransport.send
    calls = []

    def interrupted(self: SamplerTransport, requests: Any) -> Any:
        calls.append(requests)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return send(self, requests)

    monkeypatch.setattr(SamplerTransport, "send", interrupted)
    text = run("submit", out, "--job", job, "--machine", "simulated", "--reads", 9, code=130)
    assert f"2 of 5 answers are kept in {job}" in text.replace("\n", "")
    assert facts("job", "resume", job)["done"] == 5


def test_folders_that_hold_no_job(out: Path, tmp_path: Path) -> None:
    for command in ("status", "resume", "wait", "cancel", "decode"):
        assert "there is no job" in run("job", command, tmp_path, code=12)
    job = tmp_path / "job"
    run("submit", out, "--job", job, "--machine", "simulated", "--reads", 9, "--detach")
    (job / "machine.json").unlink()
    assert "give --profile, --solver or --machine" in run("job", "wait", job, code=3)
    run("job", "resume", job, "--machine", "mock")
    assert facts("job", "status", job)["done"] == 5
