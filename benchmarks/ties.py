"""What tied queries and heads cost: from scores to the program of one matrix a group.

Contexts of many tokens, causal, all queries and heads of a key/value head tied, a budget of one key
in eight. Each figure is of a process of its own with one thread, imports and the scores included in
its peak of memory; processor seconds count from the scores on.

* ``tied``: to the tied program over all keys, its couplers worked out.
* ``priced``: to the program after all passes, with default slots.
* ``heads``: the same with heads tied query by query, 8 keys a query.

``small`` is a size that the way by couplers can do as well: every coupler of every query is worked
out, and they are added up. Ratios say how many times as long the tying alone takes that way, and
how many times as much memory all of it; ``difference`` how far the two programs lie apart at most,
relative to the largest coupler.

    python benchmarks/ties.py --data DIR --json
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import finish, parser

import qubo_attn as qa
from qubo_attn.common.memory import peak
from qubo_attn.ir.quadratic import Quadratic

OBJECTIVES, WAYS = ("output", "renormalised"), ("tied", "priced", "heads")
THREADS = ("QUBO_ATTN_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")


def options_of(
    file: Path, objective: str, queries: int, keys: int, ties: bool
) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the scores of a context and what is compiled of them."""
    with np.load(file) as data:
        query, key, value = (data[name].astype(np.float32) for name in ("query", "key", "value"))
        kv_head, scaling = data["kv_head"], np.float32(data["scaling"])
    place = np.arange(keys - queries, keys)
    scores = query[:, place] @ key[kv_head][:, :keys].transpose(0, 2, 1) * scaling
    scores[:, np.arange(keys) > place[:, None]] = -np.inf
    options: dict[str, Any] = {
        "objective": objective,
        "select": qa.Budget(keys // 8) if ties else qa.ExactlyK(8),
        "values": value[:, :keys].copy(),
        "kv_head": kv_head,
        "tie": qa.TieVariables.from_kv_head(kv_head, queries=ties),
        "target": None,
    }
    return scores, options


def measured(file: Path, objective: str, way: str, queries: int, keys: int) -> dict[str, Any]:
    """Compile in this process; return its figures."""
    scores, options = options_of(file, objective, queries, keys, way != "heads")
    if way in ("tied", "small"):
        options["passes"] = (options.pop("tie"),)
    start = time.process_time()
    compiled = qa.compile(scores, len(scores), **options)
    couplers = len(compiled.program.objective)
    facts: dict[str, Any] = {"seconds": time.process_time() - start, "mib": peak()}
    facts |= {"variables": len(compiled.program), "couplers": couplers}
    if way != "small":
        return facts
    first, form = compiled.stages[0].program, compiled.stages[0].program.objective
    (tie,) = compiled.recipe.passes
    start = time.process_time()
    fast = tie.apply(first).program.objective
    fast.terms  # noqa: B018  # worked out when first read
    facts["products_seconds"] = time.process_time() - start
    start = time.process_time()
    worked_out = Quadratic(form.offset, form.linear, couplers=form.terms)
    slow = tie.apply(first.replace(objective=worked_out)).program.objective
    facts |= {"by_couplers_seconds": time.process_time() - start, "by_couplers_mib": peak()}
    largest = np.abs(fast.bias).max()
    alike = np.array_equal(fast.i, slow.i) and np.array_equal(fast.j, slow.j)
    apart = np.abs(fast.bias - slow.bias).max() / largest if alike else np.inf
    return facts | {
        "couplers_of_queries": len(form),
        "difference": float(apart),
        "ratio_seconds": facts["by_couplers_seconds"] / facts["products_seconds"],
        "ratio_mib": facts["by_couplers_mib"] / facts["mib"],
    }


def in_process(*given: object) -> dict[str, Any]:
    """Return what a process of its own measures."""
    command = [sys.executable, __file__, "--measure", *map(str, given)]
    alone = os.environ | dict.fromkeys(THREADS, "1")
    done = subprocess.run(command, env=alone, check=True, capture_output=True, text=True)
    facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return facts


def main() -> None:
    """Print figures per objective and way, and JSON with them all."""
    options = parser(__doc__)
    options.add_argument("--data", type=Path, help="folder of contexts, or one file")
    options.add_argument("--queries", type=int, default=768)
    options.add_argument("--keys", type=int, default=768)
    options.add_argument("--measure", nargs=5, help="one figure, in this process")
    args = options.parse_args()
    if args.measure:
        file, objective, way, queries, keys = args.measure
        facts = measured(Path(file), objective, way, int(queries), int(keys))
        print(json.dumps(facts))
        return
    if args.data is None:
        options.error("give --data")
    file = sorted(args.data.glob("*.npz"))[0] if args.data.is_dir() else args.data
    every: dict[str, Any] = {"file": file.name, "queries": args.queries, "keys": args.keys}
    for objective in OBJECTIVES:
        own: dict[str, Any] = {}
        for way in WAYS:
            in_process(file, objective, way, 32, 32)  # compiles kernels, where that is to be done
            own[way] = in_process(file, objective, way, args.queries, args.keys)
        own["small"] = in_process(file, objective, "small", 64, 256)
        for way, facts in own.items():
            figures = (f"{name} {fact:.4g}" for name, fact in facts.items())
            print(f"{objective:13} {way:7} {', '.join(figures)}")
        every[objective] = own
    finish(every, args.json)


if __name__ == "__main__":
    main()
