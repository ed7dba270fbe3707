"""What a language model asks for: decode steps, soft weights of long prompts, whole layers.

* steps: one query a head, one key more at each step, 128 keys to 191: compiled once, then bound
  anew; processor time of a step up to the arrays that are sent, and how many plans were made.
* soft: binding a causal prompt of 192 tokens for three levels a key, beside a plain selection;
  processor time, their ratio, and peak memory of a process that does nothing else.
* layer: a causal layer of 128 tokens, bound, made into models, and decoded from 32 reads and from
  one; processor time.

All of it keeps k = 4 keys of 16 slots. `DIR` holds files of query, key, value, kv_head and scaling.

    OPENBLAS_NUM_THREADS=1 python benchmarks/generation.py --data DIR --json
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from common import finish, parser

import qubo_attn as qa
from qubo_attn.jobs.memory import sample_all

SELECTS: dict[str, Any] = {"output": qa.ExactlyK(4), "soft": qa.SoftWeights(3, k=4)}
OPTIONS: dict[str, Any] = {"objective": "output", "slots": 16}
FIRST, LAST = 128, 191


def causal(folder: str, tokens: int) -> tuple[np.ndarray, np.ndarray]:
    """Return logits, shape (H, tokens, tokens), hidden above the diagonal, and values."""
    with np.load(sorted(Path(folder).glob("*.npz"))[0]) as file:
        q, k, v = (file[name][:, :tokens].astype(float) for name in ("query", "key", "value"))
        owner, scaling = file["kv_head"], float(file["scaling"])
    logits = np.einsum("hqd,hkd->hqk", q, k[owner]) * scaling
    logits[:, ~np.tri(tokens, dtype=bool)] = -np.inf
    return logits, v[owner]


def cpu(call: Callable[[], object], repeats: int) -> float:
    """Return the median processor time of a call in ms, once it has been made before."""
    call()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return round(1e3 * float(np.median(times)), 2)


def steps(folder: str, target: str | None) -> dict[str, Any]:
    """Decode steps, each bound from the one before."""
    logits, values = causal(folder, LAST)

    def batch(keys: int) -> dict[str, Any]:
        return {"scores": logits[:, keys - 1 : keys, :keys], "values": values[:, :keys]}

    step = qa.compile(
        heads=len(logits), select=SELECTS["output"], target=target, **batch(FIRST), **OPTIONS
    )
    step.wires()
    plans, times = {id(step.plan)}, []
    for keys in range(FIRST + 1, LAST + 1):
        arrays = batch(keys)
        start = time.process_time()
        step = step.rebind(**arrays)
        step.wires()
        times.append(time.process_time() - start)
        plans.add(id(step.plan))
    times = [1e3 * seconds for seconds in times]
    return {
        "compilations": 1,
        "rebinds": len(times),
        "plans": len(plans),
        "median_ms": round(float(np.median(times)), 2),
        "p90_ms": round(float(np.quantile(times, 0.9)), 2),
    }


def bound(folder: str, kind: str, tokens: int, repeats: int) -> dict[str, float]:
    """Binding of a prompt, and the peak memory of this process."""
    logits, values = causal(folder, tokens)
    compiled = qa.compile(
        logits, len(logits), select=SELECTS[kind], values=values, target=None, **OPTIONS
    )
    milliseconds = cpu(lambda: compiled.rebind(logits, values=values), repeats)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"rebind_ms": milliseconds, "peak_mib": round(peak)}


def soft(folder: str, tokens: int, repeats: int) -> dict[str, Any]:
    """Soft weights beside a selection, each in a process of its own."""
    context = multiprocessing.get_context("spawn")
    facts: dict[str, Any] = {}
    for kind in SELECTS:
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            facts[kind] = pool.submit(bound, folder, kind, tokens, repeats).result()
    ratio = facts["soft"]["rebind_ms"] / facts["output"]["rebind_ms"]
    return facts | {"tokens": tokens, "ratio": round(ratio, 2)}


def layer(folder: str, target: str | None, kind: str, repeats: int) -> dict[str, Any]:
    """A layer from scores to weights, without the sampling."""
    logits, values = causal(folder, FIRST)
    first = qa.compile(
        logits, len(logits), select=SELECTS[kind], values=values, target=target, **OPTIONS
    )
    facts = {"rebind_ms": cpu(lambda: first.rebind(logits, values=values), repeats)}
    for reads in (32, 1):
        models, decoding = [], []
        for _ in range(repeats):
            again = first.rebind(logits, values=values)
            start = time.process_time()
            for part in again.submissions:
                part.to_vectors()
            models.append(time.process_time() - start)
            samples = sample_all(again.submissions, None, 1, {"num_reads": reads, "num_sweeps": 64})
            start = time.process_time()
            again.decode(samples)
            decoding.append(time.process_time() - start)
        facts["models_ms"] = round(1e3 * float(np.median(models)), 2)
        facts[f"decode_{reads}_ms"] = round(1e3 * float(np.median(decoding)), 2)
    return facts


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--data", required=True, help="folder of files of long prompts")
    options.add_argument("--tokens", type=int, default=192, help="of the prompt of soft weights")
    options.add_argument("--repeats", type=int, default=7)
    chosen: argparse.Namespace = options.parse_args()
    facts: dict[str, Any] = {"soft": soft(chosen.data, chosen.tokens, chosen.repeats)}
    for name, target in (("none", None), ("zephyr:12", "zephyr:12")):
        facts[f"steps_{name}"] = steps(chosen.data, target)
        facts[f"layer_{name}"] = layer(chosen.data, target, "output", chosen.repeats)
    facts["layer_soft"] = layer(chosen.data, None, "soft", chosen.repeats)
    for name, fact in facts.items():
        print(f"{name:<18}{fact}")
    finish(facts, chosen.json)


if __name__ == "__main__":
    main()
