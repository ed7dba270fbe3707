"""Ctrl-C in a process of its own, against the stand-in: it leaves, and says how to go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import qubo_attn as qa
from tests.conftest import ROOT
from tests.support.jobs import compiled_for
from tests.support.solver_api import SolverApi

# Far beyond the patience of whoever runs the tests: nobody waits for an answer.
LATENCY = 600.0


def noted(job: Path) -> int:
    """Return how many calls a job has noted as taken."""
    file = job / "journal.jsonl"
    return file.read_bytes().count(b'"state":"sent"') if file.exists() else 0


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_leaves_at_once(times: int, tmp_path: Path) -> None:
    compiled_for("zephyr:1", queries=20).save(tmp_path / "out")
    with SolverApi("zephyr:1", latency=LATENCY, occupy=True) as api:
        config = tmp_path / "dwave.conf"
        config.write_text(
            f"[defaults]\nendpoint = {api.endpoint}\ntoken = {api.token}\ncache_enabled = false\n"
        )
        command = [
            "submit",
            str(tmp_path / "out"),
            "--job",
            str(tmp_path / "job"),
            "--reads",
            "5000",
        ]
        paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        with subprocess.Popen(
            [sys.executable, "-m", "qubo_attn.cli", *command, "--in-flight", "15"],
            env=os.environ | {"DWAVE_CONFIG_FILE": str(config), "PYTHONPATH": paths},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as child:
            while noted(tmp_path / "job") < 15 and child.poll() is None:
                time.sleep(0.01)
            begun = time.monotonic()
            for _ in range(times):
                child.send_signal(signal.SIGINT)
                time.sleep(0.05)
            _, told = child.communicate(timeout=60)
            print("left after", time.monotonic() - begun, "s")
        # A second one may come while Python ends.
        assert child.returncode in ((130,) if times == 1 else (130, -signal.SIGINT)), told
        place = str(tmp_path / "job")
        assert f"0 of 20 answers are kept in {place}; qa.resume({place!r}, sampler)" in told
        states = [problem.status for problem in api.problems.values()]
        if times == 1:
            # The first ones may run already: these are left alone.
            assert states.count("CANCELLED") >= 5
        assert qa.resume(tmp_path / "job").status().sent == 15
