"""Attention graphs: from query, key and value vectors to arrays for a machine, in blocks.

A causal sliding window over generated tokens, whose vectors have the means, lengths and drift of
those in the files, in blocks of queries by `qubo_attn.compile_batch`. Seconds are the process's own
time, kernels compiled before, searches of embeddings included; ``exponent`` is that of time over
edges. ``file`` and ``generated`` are batches of whole causal heads: those of a file, and 32 heads
of 4,096 tokens. ``workers`` compiles a graph of a million edges on two Dask workers and compares
its bytes with those of one process.

    python benchmarks/graphs.py --data DIR --json
"""

from __future__ import annotations

import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from common import finish, parser

import qubo_attn as qa

SELECT = qa.ExactlyK(8)


def vectors(folder: str, heads: int, tokens: int, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Return queries, keys and values: steps of a drift with the statistics of a file's heads.

    Each has the mean, the spread and the likeness of neighbours of a head of the file.
    """
    path = sorted(Path(folder).glob("*.npz"))[0]
    random, columns = np.random.default_rng(seed), []
    with np.load(path) as file:
        owner = file["kv_head"]
        for name in ("query", "key", "value"):
            known = file[name].astype(np.float64)
            picked = known[np.arange(heads) % len(known)]
            if name != "query":
                picked = known[owner[np.arange(heads) % len(owner)]]
            mean, spread = picked.mean(axis=1, keepdims=True), picked.std(axis=1, keepdims=True)
            unit = (picked - mean) / np.maximum(spread, 1e-12)
            near = np.clip((unit[:, 1:] * unit[:, :-1]).mean(axis=1, keepdims=True), 0.0, 0.99)
            noise = random.normal(size=(heads, tokens, known.shape[2]))
            for token in range(1, tokens):
                noise[:, token] *= np.sqrt(1.0 - near[:, 0] ** 2)
                noise[:, token] += near[:, 0] * noise[:, token - 1]
            columns.append(mean + spread * noise)
    return tuple(columns)


def peak() -> float:
    """Return the largest memory of this process so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)


def compiled_arrays(
    blocks: Iterator[qa.AttentionGraph], heads: int, objective: str, values: np.ndarray
) -> dict[str, Any]:
    """Compile blocks up to the arrays of every submission, and return what that took.

    No embedding is kept from earlier runs.
    """
    options: dict[str, Any] = {"select": SELECT, "objective": objective, "target": "zephyr:12"}
    if objective == "output":
        options["values"] = values
    start, edges, submissions, rows = time.process_time(), 0, 0, 0
    with tempfile.TemporaryDirectory() as cache:
        for compiled in qa.compile_batch(blocks, heads, cache=cache, **options):
            edges += len(compiled.attention.logits)
            submissions += len(compiled.hardware_arrays()[0])
            rows += compiled.attention.shape[0] * compiled.attention.shape[1]
    return {
        "rows": rows,
        "edges": edges,
        "submissions": submissions,
        "cpu_seconds": time.process_time() - start,
        "peak_gib": peak(),
    }


def window(folder: str, tokens: int, objective: str, block: int) -> dict[str, Any]:
    """Compile a sliding window of 256 tokens."""
    q, k, v = vectors(folder, 1, tokens)
    options: dict[str, Any] = {"window": 256, "causal": True}
    warm = qa.AttentionGraph.stream_vectors(q[:, :512], k[:, :512], rows=block, **options)
    compiled_arrays(warm, 1, objective, v[:, :512])
    start = time.process_time()
    blocks = qa.AttentionGraph.stream_vectors(q, k, rows=block, **options)
    facts = compiled_arrays(blocks, 1, objective, v)
    return facts | {"tokens": tokens, "objective": objective, "all": time.process_time() - start}


def context(folder: str, name: str, block: int) -> dict[str, Any]:
    """Compile whole causal heads of a long context."""
    if name == "file":
        with np.load(sorted(Path(folder).glob("*.npz"))[0]) as file:
            owner = file["kv_head"]
            q, k, v = (file[part].astype(np.float64) for part in ("query", "key", "value"))
    else:
        owner = np.arange(32)
        q, k, v = vectors(folder, 32, 4_096)
    warm = qa.AttentionGraph.stream_vectors(q[:1, :64], k[:1, :64], rows=64, causal=True)
    compiled_arrays(warm, 1, "output", v[:1, :64])
    blocks = qa.AttentionGraph.stream_vectors(q, k, rows=block, causal=True, kv_head=owner)
    facts = compiled_arrays(blocks, len(q), "output", v[owner])
    return facts | {"heads": len(q), "tokens": q.shape[1]}


def digest(compiled: qa.CompiledAttention) -> str:
    found = hashlib.sha256("".join(s.program.digest() for s in compiled.stages).encode())
    for array in compiled.hardware_arrays():
        found.update(array.tobytes())
    return found.hexdigest()


def workers(folder: str) -> dict[str, Any]:
    """Compile a million edges on two Dask workers and in this process."""
    from dask.distributed import Client, LocalCluster

    q, k, _ = vectors(folder, 1, 4_096)
    options: dict[str, Any] = {"select": SELECT, "target": "zephyr:12"}

    def blocks() -> Iterator[qa.AttentionGraph]:
        return qa.AttentionGraph.stream_vectors(q, k, rows=512, window=256, causal=True)

    edges = sum(block.edges for block in blocks())
    alone = [digest(compiled) for compiled in qa.compile_batch(blocks(), 1, **options)]
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        pool = client.get_executor()
        found = [digest(c) for c in qa.compile_batch(blocks(), 1, executor=pool, **options)]
    return {"edges": edges, "blocks": len(alone), "same_bytes": found == alone}


def apart(*arguments: str) -> dict[str, Any]:
    """Return what a process of its own measures, whose peak of memory is its own."""
    command = [sys.executable, __file__, *arguments, "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    facts: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return facts


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--data", required=True, help="folder of long query, key, value files")
    options.add_argument("--tokens", type=int, nargs="*", default=[8_192, 16_384, 32_768])
    options.add_argument("--block", type=int, default=2_048, help="queries of a block")
    options.add_argument("--part", help="measure one part, in this process")
    chosen = options.parse_args()
    if chosen.part:
        kind, *rest = chosen.part.split(",")
        if kind == "window":
            finish(window(chosen.data, int(rest[0]), rest[1], chosen.block), True)
        elif kind == "context":
            finish(context(chosen.data, rest[0], int(rest[1])), True)
        return
    facts: dict[str, Any] = {}
    for objective in ("selection", "output"):  # kernels are compiled and kept
        apart("--data", chosen.data, "--block", "256", "--part", f"window,512,{objective}")
    data = ("--data", chosen.data, "--block", str(chosen.block))
    for objective in ("selection", "output"):
        runs = [apart(*data, "--part", f"window,{n},{objective}") for n in chosen.tokens]
        edges, spent = ([np.log(run[name]) for run in runs] for name in ("edges", "cpu_seconds"))
        slope = float(np.polyfit(edges, spent, 1)[0]) if len(runs) > 1 else None
        facts[objective] = {"exponent": slope, "runs": runs}
        print(objective, facts[objective], flush=True)
    for name, block in (("file", 256), ("generated", 16)):
        facts[name] = apart(*data, "--part", f"context,{name},{block}")
        print(name, facts[name], flush=True)
    facts["workers"] = workers(chosen.data)
    print("workers", facts["workers"], flush=True)
    finish(facts, chosen.json)


if __name__ == "__main__":
    main()
