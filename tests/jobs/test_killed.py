"""Killed at any moment: no answer is lost, no call is paid twice, and the result is the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.solver_api import SolverApi

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked")
ONE_THREAD = {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def python(*words: str) -> subprocess.Popen[str]:
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=ROOT,
        env=os.environ | ONE_THREAD | {"PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_kill_9_at_any_moment(tmp_path: Path) -> None:
    with python("tests/support/killed_jobs.py", str(tmp_path), "60", "7") as worker:
        printed, errors = worker.communicate()
    assert worker.returncode == 0, errors
    first, *rounds = map(json.loads, printed.splitlines())
    assert len(rounds) == 60
    for one in rounds:
        kills, _ = one.pop("kills"), one.pop("label")
        assert one == {
            "failed": 0, "answers": 20, "lost": 0, "twice": 0, "result": first["right"],
        }, (kills, errors)  # fmt: skip
    assert sum(one["answers"] for one in rounds) == 1200


def test_kill_9_at_any_moment_over_http(tmp_path: Path) -> None:
    """The same, with the real client: the service tells what was paid."""
    with (
        SolverApi("zephyr:1", latency=0.01) as api,
        python(
            "tests/support/killed_jobs.py", str(tmp_path), "60", "8", api.endpoint, api.token
        ) as worker,
    ):
        printed, errors = worker.communicate()
        assert worker.returncode == 0, errors
        first, *rounds = map(json.loads, printed.splitlines())
        paid: dict[str, list[int]] = {}
        for label in api.paid:
            run, call, *_ = label.split("/")
            paid.setdefault(run, []).append(int(call))
    assert len(rounds) == 60
    for one in rounds:
        kept = (one["failed"], one["answers"], one["lost"], one["result"])
        assert kept == (0, 20, 0, first["right"]), (one, errors)
        assert sorted(paid[one["label"]]) == list(range(20)), one
    assert sum(one["kills"] for one in rounds) >= 60
