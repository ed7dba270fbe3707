"""Jobs that are killed at random moments: run as a program, it prints what became of each.

It loads everything once, on one thread, and forks a child for each job: the child begins it, is
killed by SIGKILL after a random while, and another child goes on with it.

    python tests/support/killed_jobs.py FOLDER ROUNDS SEED [ENDPOINT TOKEN]

With an endpoint the calls go over HTTP to a solver API there, through the real client.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from dwave.system import DWaveSampler

import qubo_attn as qa
from tests.support.jobs import compiled_for, labels, service

READS = 4
# Seconds that a request takes at the service: a job has a dozen of them.
DELAY = 0.002


def digest(result: qa.AttentionResult) -> str:
    """Return a hash of what was selected, and how it weighs."""
    columns = (result.selected, result.weights, result.energies, result.feasible)
    return hashlib.sha256(b"".join(np.ascontiguousarray(c).tobytes() for c in columns)).hexdigest()


def forked(work: Callable[[], None]) -> int:
    """Return the number of a child that does some work and ends."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
    return child


def way_to(folder: Path, web: list[str]) -> Any:
    """Return a service of its own for each job, or the sampler of one for all of them."""
    if not web:
        return service(folder / "service", delay=DELAY)
    endpoint, token = web
    return DWaveSampler(endpoint=endpoint, token=token, cache_enabled=False)


def go_on(folder: Path, compiled: qa.CompiledAttention, web: list[str]) -> qa.Job:
    """Begin a job, or go on with it where it was begun."""
    way = way_to(folder, web)
    if (folder / "job" / "job.json").exists():
        return qa.resume(folder / "job", way)
    return compiled.submit(way, reads=READS, in_flight=7, folder=folder / "job")


def one_round(
    folder: Path,
    compiled: qa.CompiledAttention,
    chance: random.Random,
    longest: float,
    web: list[str],
) -> dict[str, Any]:
    """Kill a job once or more often, finish it, and tell what became of it."""
    kills, kept, lost = 0, dict[int, str](), 0
    while True:

        def work() -> None:
            result = go_on(folder, compiled, web).result()
            (folder / "result").write_text(digest(result))

        child = forked(work)
        # Half of the children are left alone from the third on: the job comes to its end.
        if kills < 1 + chance.randrange(3):
            time.sleep(chance.random() * longest)
            os.kill(child, signal.SIGKILL)
            kills += 1
        _, status = os.waitpid(child, 0)
        if (folder / "job" / "job.json").exists():
            calls = qa.resume(folder / "job").status().calls
            now = {call.number: call.id for call in calls if call.state == "done"}
            lost += sum(now.get(number) != id for number, id in kept.items())
            kept = now
        if not os.WIFSIGNALED(status):
            break
    # What a service on the web took, whoever runs it knows.
    sent = [] if web else labels(service(folder / "service").taken())
    return {
        "label": qa.resume(folder / "job").label,
        "kills": kills,
        "failed": os.WEXITSTATUS(status),
        "answers": len(kept),
        "lost": lost,
        "twice": len(sent) - len(set(sent)),
        "result": (folder / "result").read_text() if (folder / "result").exists() else "",
    }


def main(folder: str, rounds: str, seed: str, *web: str) -> None:
    compiled, chance = compiled_for(), random.Random(int(seed))
    begun = time.monotonic()
    right = go_on(Path(folder) / "right", compiled, list(web)).result()
    longest = 1.1 * (time.monotonic() - begun)
    print(json.dumps({"right": digest(right)}))
    for number in range(int(rounds)):
        place = Path(folder) / str(number)
        print(json.dumps(one_round(place, compiled, chance, longest, list(web))))


if __name__ == "__main__":
    main(*sys.argv[1:])
