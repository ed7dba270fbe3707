"""Many processes compile into one cache folder while one of them is killed at random moments.

Each round forks workers that compile rows of the same and of different lengths for the same and for
different states of a machine, with a cache that is bounded so tightly that they evict each other's
files, and repairs where they can. One worker is killed with SIGKILL at a random moment. ``wrong``
counts embeddings that the library does not verify, ``crashed`` workers that ended otherwise than
well or by our hand, ``unreadable`` files that are bad after a round: all must be 0. ``killed``
counts the workers that were still running when they were killed, and ``remains`` what they left.

    python benchmarks/torture.py --rounds 200 --json
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import dimod
import numpy as np
from common import finish, parser
from dwave.embedding import verify_embedding

import qubo_attn as qa

# A dozen files or so.
LIMIT = 20_000
KEYS = (3, 5, 6, 8)
WRONG, CRASHED = 3, 4
SIGKILL = 9  # by number, as signal.py in this folder hides the library's module


@dataclass(frozen=True)
class Job:
    """What one worker compiles: keys per row, and the qubits that the machine lost."""

    keys: int
    lost: int
    seed: int

    def target(self) -> qa.Target:
        target = qa.Target.zephyr(2)
        gone = np.random.default_rng(self.seed).choice(target.qubits, self.lost, replace=False)
        return target.without(gone, [])


def work(job: Job, folder: Path, go: float) -> None:
    """Compile one job, verify the outcome, and leave without tidying up."""
    try:
        target = job.target()
        scores = np.random.default_rng(job.seed).normal(size=(1, 3, job.keys))
        time.sleep(max(0.0, go - time.time()))
        cache = qa.EmbeddingCache(folder, limit=LIMIT)
        compiled = qa.compile(scores, 1, select=qa.ExactlyK(2), target=target, cache=cache)
        os._exit(0 if verified(compiled, target) else WRONG)
    except BaseException:
        traceback.print_exc()
        os._exit(CRASHED)


def verified(compiled: qa.CompiledAttention, target: qa.Target) -> bool:
    """Return whether every submission's embedding verifies."""
    graph = target.graph()
    try:
        for part in compiled.submissions:
            verify_embedding(part.embedding, dimod.to_networkx_graph(part.bqm), graph)
    except Exception:
        traceback.print_exc()
        return False
    return bool(compiled.submissions)


def jobs(workers: int, generator: np.random.Generator) -> list[Job]:
    """Return the same job for half of the workers, others for the rest."""
    drawn = [
        Job(int(generator.choice(KEYS)), int(generator.integers(0, 4)), int(seed))
        for seed in generator.integers(0, 40, workers)
    ]
    return [drawn[0]] * (workers // 2) + drawn[workers // 2 :]


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=200)
    options.add_argument("--workers", type=int, default=8)
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    generator = np.random.default_rng(chosen.seed)
    context = multiprocessing.get_context("fork")
    folder = Path(tempfile.mkdtemp())
    facts = dict.fromkeys(("compiled", "killed", "wrong", "crashed", "unreadable"), 0)
    # Workers inherit compiled kernels and loaded tiles: they spend their time where it hurts.
    for keys in KEYS:
        cache = qa.EmbeddingCache(folder)
        for job in (Job(keys, 0, 0), Job(keys, 3, 1)):
            target = job.target()
            scores = np.zeros((1, 3, keys))
            compiled = qa.compile(scores, 1, select=qa.ExactlyK(2), target=target, cache=cache)
            verified(compiled, target)
    start, spans = time.perf_counter(), [0.5]
    for turn in range(chosen.rounds):
        if turn % 10 == 0:
            qa.EmbeddingCache(folder).clear()
        go = time.time() + 0.05
        team = [
            context.Process(target=work, args=(job, folder, go))
            for job in jobs(chosen.workers, generator)
        ]
        for process in team:
            process.start()
        victim = team[int(generator.integers(len(team)))]
        time.sleep(max(0.0, go - time.time()) + generator.random() * median(spans[-20:]))
        if victim.is_alive() and victim.pid is not None:
            os.kill(victim.pid, SIGKILL)
        for process in team:
            process.join()
        spans.append(time.time() - go)
        codes = [process.exitcode for process in team]
        killed = int(victim.exitcode == -SIGKILL)
        facts["killed"] += killed
        facts["compiled"] += codes.count(0)
        facts["wrong"] += codes.count(WRONG)
        facts["crashed"] += len(team) - codes.count(0) - codes.count(WRONG) - killed
        bad = [path for path, problem in qa.EmbeddingCache(folder).verify() if problem]
        facts["unreadable"] += len(bad)
    facts["rounds"], facts["workers"] = chosen.rounds, chosen.workers
    facts["remains"] = len([path for path in folder.glob("*/.*") if path.is_file()])
    facts["seconds"] = round(time.perf_counter() - start)
    shutil.rmtree(folder)
    print(facts)
    finish(facts, chosen.json)
    if facts["wrong"] or facts["crashed"] or facts["unreadable"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
