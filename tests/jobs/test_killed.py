"""Killed at any moment: no answer is lost, no call is paid twice, and the result is the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

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
        kills = one.pop("kills")
        assert one == {
            "failed": 0, "answers": 20, "lost": 0, "twice": 0, "result": first["right"],
        }, (kills, errors)  # fmt: skip
    assert sum(one["answers"] for one in rounds) == 1200
