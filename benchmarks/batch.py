"""A stream of batches: two processes against one, and a million rows.

``speedup``: real attention, 12 heads of 64 queries and keys, 16 slots, ``output``, on Zephyr 12:
time of one process on one core over that of two, the median over repeats that run one after the
other; ``over_threads``: the same over one process whose kernels take all cores, as they do.
``cores``: the same ratio for plain loops without memory or input, that is, what the machine gives
two processes at that moment; ``of_cores`` is the share of it that is reached. ``by_cpu``: the ratio
that processor times allow, which other work on the machine touches less: seconds of the processor
of one process over half of what all three took together. ``parent_share``: how much of that this
process took, which hands out and takes back. ``same_bytes``: both gave the same programs and the
same wire bytes as a loop over `qubo_attn.compile`.

``stream``: rows of 16 real logits, 8 slots, 768 rows to an item, ``selection``, weights by the fast
bound, no target and Zephyr 12, by two processes: seconds, rows a second, and peak memory (MiB,
``ru_maxrss``) of this process at each tenth of the way and of the worst worker.

    OPENBLAS_NUM_THREADS=1 python benchmarks/batch.py --data DIR --rows 1000000 --json
"""

from __future__ import annotations

import hashlib
import itertools
import os
import resource
import time
from collections.abc import Iterator
from concurrent.futures import Executor
from typing import Any

import numpy as np
from common import attention_files, batches, finish, parser

import qubo_attn as qa
from qubo_attn.batch.api import processes_of_our_own
from qubo_attn.common.threads import limited


def burn(loops: int) -> int:
    total = 0
    for k in range(loops):
        total += k & 7
    return total


def peak(_: int = 0) -> float:
    time.sleep(0.05)  # so that the other worker takes the next call
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def own_cpu(_: int = 0) -> tuple[int, float]:
    time.sleep(0.05)  # so that the other worker takes the next call
    return os.getpid(), time.process_time()


def workers_cpu(pool: Executor) -> float:
    return sum(dict(pool.map(own_cpu, range(8))).values())


def seconds(call: Any) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def cpu_seconds(call: Any) -> tuple[float, float]:
    start = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - start[0], time.process_time() - start[1]


def digest(compiled: qa.CompiledAttention) -> str:
    found = hashlib.sha256("".join(s.program.digest() for s in compiled.stages).encode())
    found.update(repr(compiled.wires()).encode())
    return found.hexdigest()


def speedup(folder: str, pool: Executor, rounds: int, repeats: int) -> dict[str, Any]:
    items = [{"scores": s, "values": v} for s, v in batches(folder)]
    options: dict[str, Any] = {
        "select": qa.ExactlyK(4),
        "objective": "output",
        "target": "zephyr:12",
    }
    plain = [
        digest(qa.compile(item["scores"], 12, values=item["values"], **options)) for item in items
    ]

    def run(executor: Executor | None, many: int) -> list[qa.CompiledAttention]:
        found: list[qa.CompiledAttention] = []
        for n, c in enumerate(qa.compile_batch(items * many, 12, executor=executor, **options)):
            if n < len(items):
                found.append(c)
        return found

    same = all([digest(c) for c in run(where, 1)] == plain for where in (None, pool))
    run(pool, 2)
    ratios, threaded, cores, by_cpu, shares = [], [], [], [], []
    for _ in range(repeats):
        with limited(1):
            one, alone = cpu_seconds(lambda: run(None, rounds))
        before = workers_cpu(pool)
        two, parent = cpu_seconds(lambda: run(pool, rounds))
        together = parent + workers_cpu(pool) - before
        threaded.append(seconds(lambda: run(None, rounds)) / two)
        by_cpu.append(2 * alone / together)
        shares.append(parent / together)
        single = seconds(lambda: [burn(20_000_000) for _ in range(2)])
        double = seconds(lambda: list(pool.map(burn, [20_000_000] * 2)))
        ratios.append(one / two)
        cores.append(single / double)
        print(
            f"one {one:.2f} s  two {two:.2f} s  {ratios[-1]:.2f}  cores {cores[-1]:.2f}  "
            f"over threads {threaded[-1]:.2f}  "
            f"by processor time {by_cpu[-1]:.2f}, {shares[-1]:.1%} of it here",
            flush=True,
        )
    return {
        "speedup": float(np.median(ratios)),
        "over_threads": float(np.median(threaded)),
        "cores": float(np.median(cores)),
        "of_cores": float(np.median(np.array(ratios) / np.array(cores))),
        "by_cpu": float(np.median(by_cpu)),
        "parent_share": float(np.median(shares)),
        "same_bytes": same,
    }


def short_rows(folder: str, rows: int) -> Iterator[np.ndarray]:
    """Yield arrays of shape (12, 64, 16) of real logits, about ``rows`` rows in all."""
    sources = [
        arrays["scores"][:, :, k : k + 16]
        for _, _, arrays in attention_files(folder)
        for k in range(0, arrays["scores"].shape[2] - 15, 16)
        if arrays["scores"].shape[0] == 12 and arrays["scores"].shape[1] >= 64
    ]
    windows = [s[:, q : q + 64] for s in sources for q in range(0, s.shape[1] - 63, 4)]
    count = -(-rows // 768)
    for n, window in zip(range(count), itertools.cycle(windows), strict=False):
        yield window + np.float32(n * 1e-6) * np.arange(16, dtype=np.float32)


def stream(folder: str, pool: Executor, rows: int, target: str | None) -> dict[str, Any]:
    count, curve = -(-rows // 768), []
    start, done = time.perf_counter(), 0
    options: dict[str, Any] = {
        "select": qa.ExactlyK(4),
        "target": target,
        "passes": (qa.Sparsify(slots=8), qa.InsertPenalties(relax=False), qa.BinarizeWeights()),
    }
    for compiled in qa.compile_batch(short_rows(folder, rows), 12, executor=pool, **options):
        done += 1
        assert len(compiled.program)
        if done % max(count // 10, 1) == 0:
            curve.append(round(peak()))
    spent = time.perf_counter() - start
    facts = {
        "rows": done * 768,
        "seconds": spent,
        "rows_per_second": done * 768 / spent,
        "peak_mib": curve,
        "worker_peak_mib": round(max(pool.map(peak, range(8)))),
    }
    print(target, facts, flush=True)
    return facts


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--data", required=True, help="folder of attention files")
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=24, help="passes over the files per repeat")
    options.add_argument("--targets", nargs="*", default=["none", "zephyr:12"])
    options.add_argument("--repeats", type=int, default=5)
    chosen = options.parse_args()
    facts: dict[str, Any] = {}
    with processes_of_our_own(2) as pool:
        for name in chosen.targets:
            target = None if name == "none" else name
            facts[f"stream_{name}"] = stream(chosen.data, pool, chosen.rows, target)
        if chosen.repeats:
            facts |= speedup(chosen.data, pool, chosen.rounds, chosen.repeats)
    finish(facts, chosen.json)


if __name__ == "__main__":
    main()
