"""The layers of a model: from scores to weights, row by row, solved here.

Nine heads of 128 and of 1,024 queries of the files in ``--data``, 16 slots (32 where 16 keys are
kept), ``output`` with k keys and with soft weights of k keys on three levels. Every other file is
bound and solved in turn; CPU seconds are medians over the repeats after the first. ``bind`` is a
`rebind`, ``solve`` the local solver alone, ``decode`` the rest of `CompiledAttention.solve`.
``proven`` is the share of rows at a proven optimum, ``gap`` the largest relative distance to a
proved bound.

    python benchmarks/layers.py --data DIR --keys 4 8 16 --queries 128 1024 --json
"""

from __future__ import annotations

import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import finish, parser

import qubo_attn as qa

SLOTS, LEVELS = 16, 3


def layer(file: Path, queries: int) -> tuple[np.ndarray, np.ndarray]:
    """Return causal scores and values of the first queries of a file, one line a head."""
    with np.load(file) as data:
        owner = data["kv_head"]
        query = data["query"][:, :queries].astype(np.float64)
        key, value = (
            data[name][owner][:, :queries].astype(np.float64) for name in ("key", "value")
        )
        scores = query @ key.transpose(0, 2, 1) * float(data["scaling"])
    return np.where(np.tri(queries, dtype=bool), scores, -np.inf), value


def measure(files: list[Path], queries: int, k: int, soft: bool, repeats: int) -> dict[str, Any]:
    """Return CPU seconds and rates of one kind of layer."""
    layers = [layer(file, queries) for file in files]
    select = qa.SoftWeights(LEVELS, k=k) if soft else qa.ExactlyK(k)
    scores, values = layers[0]
    compiled = qa.compile(
        scores, len(scores), select=select, objective="output", values=values, target=None,
        slots=max(SLOTS, 2 * k if k >= SLOTS else SLOTS),
    )  # fmt: skip
    spent: dict[str, list[float]] = {"bind": [], "solve": [], "decode": []}
    for repeat in range(repeats + 1):
        scores, values = layers[repeat % len(layers)]
        start = time.process_time()
        again = compiled.rebind(scores, values=values)
        program = again.stages[again.unpriced].program
        bound = time.process_time()
        solution = qa.LocalSolver().solve(program)
        solved = time.process_time()
        result = again.solve()
        decoded = time.process_time()
        if repeat:
            spent["bind"].append(bound - start)
            spent["solve"].append(solved - bound)
            # It solves once more before it decodes.
            spent["decode"].append(max(decoded - solved - (solved - bound), 0.0))
    rows = result.feasible.size
    seconds = {name: float(np.median(values)) for name, values in spent.items()}
    left = ~solution.proven
    size = np.maximum(np.abs(solution.energy), 1e-300)
    gap = (solution.energy - solution.bound)[left] / size[left]
    return {
        "queries": queries,
        "keys": k,
        "weights": "soft" if soft else "hard",
        "rows": rows,
        "seconds": seconds,
        "total_seconds": sum(seconds.values()),
        "rows_per_second": {name: rows / max(value, 1e-9) for name, value in seconds.items()},
        "proven": float(result.proven.mean()),
        "feasible": result.feasible_share,
        "gap": float(gap.max()) if left.any() else 0.0,
        "mean_gap": float(gap.mean()) if left.any() else 0.0,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--data", required=True, help="folder of long attention files")
    options.add_argument("--queries", type=int, nargs="+", default=[128, 1024])
    options.add_argument("--keys", type=int, nargs="+", default=[4, 8, 16])
    options.add_argument("--weights", choices=("hard", "soft"), nargs="+", default=["hard", "soft"])
    options.add_argument("--repeats", type=int, default=3)
    chosen = options.parse_args()
    files = sorted(Path(chosen.data).glob("*.npz"))
    found = [
        measure(files, queries, k, weights == "soft", chosen.repeats)
        for queries in chosen.queries
        for k in chosen.keys
        for weights in chosen.weights
    ]
    for facts in found:
        rates = ", ".join(f"{name} {rate:,.0f}" for name, rate in facts["rows_per_second"].items())
        kind = f"{facts['queries']} queries, k = {facts['keys']}, {facts['weights']}"
        print(f"{kind}: {facts['total_seconds']:.3f} CPU s")
        print(f"  rows a second: {rates}; proven {facts['proven']:.1%}, gap {facts['gap']:.2%}")
    finish({"layers": found}, chosen.json)


if __name__ == "__main__":
    main()
