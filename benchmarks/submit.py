"""Jobs over HTTP: machine time lost to waiting, and this computer's time for each submission.

33 submissions of a stand-in of the solver API, in a process of its own, that answers after a
second. `speedup`: wall time of one after another (`DWaveSampler.sample`, resolved before the next
is sent) over that of a job. `cpu_ms`: time of this process for each submission, all threads, from
arrays to decoded attention, by a job and by the client's own sample sets; medians, in turns.

    python benchmarks/submit.py --json [--target FILE]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from common import finish, parser
from dwave.system import DWaveSampler

import qubo_attn as qa

ROOT = Path(__file__).parents[1]
HEADS, KEYS, SLOTS, K, SUBMISSIONS = 12, 24, 18, 4, 33
# Reads as they came: a machine's histogram has them sorted, at the cost of a sort.
OPTIONS: dict[str, Any] = {"answer_mode": "raw"}


@contextmanager
def service(target: str) -> Iterator[tuple[dict[str, str], Callable[[float], None]]]:
    """Run the stand-in; yield how to reach it, and what sets its latency."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "tests" / "support" / "solver_service.py"), target],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    stdin = process.stdin

    def wait(seconds: float) -> None:
        stdin.write(f"{seconds}\n")
        stdin.flush()

    with process:
        yield json.loads(process.stdout.readline()), wait
        stdin.close()


def compiled_for(sampler: DWaveSampler, submissions: int) -> qa.CompiledAttention:
    """Return rows that take so many submissions."""

    def compiled(queries: int) -> qa.CompiledAttention:
        scores = np.random.default_rng(1).normal(size=(HEADS, queries, KEYS))
        return qa.compile(scores, HEADS, select=qa.ExactlyK(K), slots=SLOTS, target=sampler)

    rows = len(compiled(12).submissions[0].rows)
    return compiled(submissions * rows // HEADS)


def by_job(compiled: qa.CompiledAttention, sampler: DWaveSampler, reads: int) -> None:
    compiled.submit(sampler, reads=reads, **OPTIONS).result()


def by_sampler(compiled: qa.CompiledAttention, sampler: DWaveSampler, reads: int) -> None:
    samplesets = []
    for part in compiled.submissions:
        sampleset = sampler.sample(part.embedded_bqm, num_reads=reads, **OPTIONS)
        sampleset.resolve()
        samplesets.append(sampleset)
    compiled.decode(samplesets)


def timed(call: Callable[[], None]) -> tuple[float, float]:
    """Return wall and process seconds of a call."""
    wall, own = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - own


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--target", default="zephyr:12", help="or the file of a working graph")
    options.add_argument("--submissions", type=int, default=SUBMISSIONS)
    options.add_argument("--repeats", type=int, default=3)
    chosen = options.parse_args()
    facts: dict[str, Any] = {}
    with (
        service(chosen.target) as (place, wait),
        DWaveSampler(cache_enabled=False, **place) as sampler,
    ):
        compiled = compiled_for(sampler, chosen.submissions)
        count, rows = len(compiled.submissions), sum(len(p.rows) for p in compiled.submissions)
        print(f"{count} submissions, {rows} rows, {compiled.submissions[0].qubits} qubits")
        for reads in (100, 1000):
            ways = {"job": by_job, "sampler": by_sampler}
            times: dict[str, list[float]] = {name: [] for name in ways}
            wait(0.0)
            by_job(compiled, sampler, reads)  # the stand-in knows the answers from here on
            for _ in range(chosen.repeats):
                for name, way in ways.items():
                    _, own = timed(partial(way, compiled, sampler, reads))
                    times[name].append(1e3 * own / count)
            own, default = (float(np.median(times[name])) for name in ways)
            print(f"{reads} reads: {own:.1f} ms a submission, {default:.1f} by sample sets")
            facts[f"cpu_ms_per_submission_{reads}"] = round(own, 1)
            facts[f"cpu_ms_by_sample_sets_{reads}"] = round(default, 1)
        facts["rows_per_second_1000"] = round(
            rows / count / facts["cpu_ms_per_submission_1000"] * 1e3
        )
        wait(1.0)
        job, _ = timed(partial(by_job, compiled, sampler, 100))
        sequential, _ = timed(partial(by_sampler, compiled, sampler, 100))
        print(f"100 reads, a second of latency: {job:.1f} s by a job, {sequential:.1f} s in turn")
        facts["speedup_vs_sequential"] = round(sequential / job, 1)
        facts["rows_per_submission"] = round(rows / count, 1)
    finish(facts, chosen.json)


if __name__ == "__main__":
    main()
