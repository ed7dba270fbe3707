"""Caches larger than the machine: rounds over blocks beside a search of the whole problem.

The first 768 tokens of a context of 1,024 are past; each key/value head keeps 192 of them, the
first 4 and the latest 32 among them, one set for its query heads and the latest 32 queries
(`later_queries`). The group of a key/value head has 732 keys to choose from, the machine holds
cliques of 184. Rounds over blocks run here (the local solver) and on a simulated machine.

The peer searches the whole problem by annealed exchanges, from ten seeds. Gaps are those of squared
errors of the output, constants included: of `output` in absolute terms by the residual decoder, of
`renormalised` relative, added up.

    OPENBLAS_NUM_THREADS=1 python benchmarks/blocks.py --data DIR --json
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import finish, parser
from later_queries import WINDOW, Context

import qubo_attn as qa

KEEP = 192
MACHINE = "zephyr:12"


def error_of(compiled: qa.CompiledAttention, result: qa.AttentionResult) -> float:
    """Return the squared error that the objective measures, added up over rows."""
    if result.rounds is not None:
        return float(np.nansum(result.rounds.error**2))
    if result.blocks is not None and compiled.recipe.objectives[0].name == "renormalised":
        return float(result.blocks.totals[-1])
    return float(compiled.stages[0].program.objective.offset + result.energies.sum())


def searched(context: Context, objective: str, keep: int, seeds: int) -> dict[str, Any]:
    """Return what searches of the whole problem reach."""
    # Exchanges need no penalties, which take long for a row of so many keys.
    passes = (context.tie, "canonicalize")
    compiled = context.compile(keep, objective, WINDOW, passes=passes, tie=None)
    start, errors = time.process_time(), []
    for seed in range(seeds):
        result = compiled.solve(qa.LocalSolver("swap", seed=seed))
        errors.append(error_of(compiled, result))
    seconds = (time.process_time() - start) / seeds
    return {"errors": errors, "best": min(errors), "seconds": seconds}


def in_blocks(
    context: Context,
    objective: str,
    keep: int,
    best: float,
    cache: qa.EmbeddingCache,
    options: dict[str, Any],
) -> dict[str, Any]:
    """Return what rounds over blocks reach, and how soon.

    Args:
        context, objective, keep: what is chosen.
        best: least error of the peer.
        cache: of embeddings.
        options: ``decompose``, and those of a sampler, if any.
    """
    hits, misses = cache.counts.hits, cache.counts.misses
    how = dict(options)
    size, target = how.pop("decompose"), how.get("sampler", MACHINE)
    compiled = context.compile(keep, objective, WINDOW, decompose=size, target=target, cache=cache)
    start = time.process_time()
    result = compiled.solve(seed=1, **how)
    seconds, blocks = time.process_time() - start, result.blocks
    assert blocks is not None
    error, totals = error_of(compiled, result), blocks.totals
    # What separates the first energy from the last, round by round.
    errors = error + totals - totals[-1]
    return {
        "error": error,
        "gap": error / best - 1.0,
        "rounds": blocks.count,
        "stop": blocks.stop,
        "within_half_percent": int(np.argmax(errors <= best * 1.005))
        if error <= best * 1.005
        else None,
        "errors": errors.tolist(),
        "monotone": bool((np.diff(blocks.energies, axis=0) <= 0).all()),
        "counts_hold": bool((result.selected.any(axis=1).sum(axis=-1) == keep).all()),
        "searches": cache.counts.misses - misses,
        "hits": cache.counts.hits - hits,
        "searches_in_rounds": blocks.searches,
        "placements_taken_over": blocks.reused,
        "seconds": seconds,
        "machine_seconds": None if result.machine is None else result.machine.access,
        "feasible_reads": result.reads.feasible_share,
    }


def main() -> None:
    """Print figures per context and objective, and JSON with them all."""
    options = parser(__doc__)
    options.add_argument("--data", type=Path, required=True, help="folder of contexts, or one file")
    options.add_argument("--keep", type=int, default=KEEP)
    options.add_argument("--block", type=int, default=64)
    options.add_argument("--seeds", type=int, default=10)
    options.add_argument("--reads", type=int, default=100)
    options.add_argument("--rounds", type=int, default=30, help="most rounds on the machine")
    options.add_argument("--restarts", type=int, default=0)
    options.add_argument("--alone", action="store_true", help="also without descent of reads")
    options.add_argument("--objectives", default="output,renormalised")
    args = options.parse_args()
    files = sorted(args.data.glob("*.npz")) if args.data.is_dir() else [args.data]
    every: dict[str, Any] = {"keep": args.keep, "block": args.block}
    machine = qa.SimulatedMachine(MACHINE, seed=1)
    here: dict[str, Any] = {"decompose": args.block, "restarts": args.restarts}
    sampled = here | {"sampler": machine, "num_reads": args.reads, "rounds": args.rounds}
    ways = {"local": here, "machine": sampled}
    if args.alone:
        ways["machine alone"] = sampled | {"descend": False}
    for file in files:
        context = Context.read(file)
        for objective in args.objectives.split(","):
            own = every.setdefault(file.stem, {}).setdefault(objective, {})
            own["whole"] = searched(context, objective, args.keep, args.seeds)
            best = own["whole"]["best"]
            print(f"{file.stem} {objective:13} whole {best:.6g}, {own['whole']['seconds']:.1f} s")
            with tempfile.TemporaryDirectory() as folder:
                cache = qa.EmbeddingCache(folder)
                for name, how in ways.items():
                    own[name] = in_blocks(context, objective, args.keep, best, cache, how)
                    figures = (
                        f"{key} {fact:.4g}" if isinstance(fact, float) else f"{key} {fact}"
                        for key, fact in own[name].items()
                        if key != "errors"
                    )
                    print(f"{file.stem} {objective:13} {name:13} {', '.join(figures)}", flush=True)
    finish(every, args.json)


if __name__ == "__main__":
    main()
