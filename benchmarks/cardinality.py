"""Exactly k of n keys three ways: dense square, network of switches, grid of domain walls.

Each row has real logits and no pair terms. Per form: logical variables and couplers, qubits and
longest chain of one embedding; ``range``, the largest field or coupling of the penalty over the
smallest; and ``signal``, the standard deviation of the row's logits in hardware units, after chain
strengths and scaling. Rows longer than any query of the data are several queries end to end.

    python benchmarks/cardinality.py --data DIR --target zephyr:12 --json
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from common import attention_files, finish, parser

import qubo_attn as qa
from qubo_attn import kernels
from qubo_attn.backend.coefficients import coefficients
from qubo_attn.backend.wiring import Wiring
from qubo_attn.common.arrays import Floats, Longs, pointers
from qubo_attn.common.frozen import replaced
from qubo_attn.embedding.cliques import find_clique
from qubo_attn.embedding.component import Shape
from qubo_attn.embedding.placement import Placement
from qubo_attn.embedding.shapes import embed_copies, first_copy
from qubo_attn.embedding.sparse import sparse_shapes
from qubo_attn.embedding.templates import clique_tiles
from qubo_attn.formulations.cardinality import cheapest
from qubo_attn.ir.program import Program
from qubo_attn.ir.quadratic import Quadratic


def logits(folder: str, longest: int) -> Floats:
    """Return real logits of the longest text, query after query until there are enough."""
    best = max((a["scores"] for _, _, a in attention_files(folder)), key=lambda s: s.shape[2])
    rows = best[len(best) // 2].astype(np.float64)
    seen = rows[np.isfinite(rows)]
    return np.asarray(seen[-longest:])


def row(costs: Floats, k: int) -> Program:
    """Return the program of one row, before pricing."""
    return qa.compile(
        costs[None, None], 1, select=qa.ExactlyK(k), objective="hard", target=None, passes=()
    ).program


def chains_of(program: Program, target: qa.Target, seconds: float) -> list[Longs]:
    """Return the chains of one embedding, or nothing where none is found in time."""
    n = len(program)
    shape = sparse_shapes(program, np.zeros(n, np.int64)).get(0)
    if shape is not None:
        copies = embed_copies(shape, target)[:1] if shape.is_path else []
        return copies[0] if copies else first_copy(shape, target, timeout=seconds)
    tiles = clique_tiles(target.topology, n)
    if not tiles:
        return find_clique(n, target)
    return first_copy(complete(n), target, timeout=seconds)


def complete(n: int) -> Shape:
    i, j = np.triu_indices(n, 1)
    return Shape(n, i.astype(np.int64), j.astype(np.int64))


def spread(program: Program) -> float:
    """Return the largest field or coupling of the penalty over its smallest, for spins."""
    c = program.constraints
    bare = program.replace(
        objective=Quadratic(0.0, np.zeros(len(program)), *(np.zeros((3, 0)))),
        constraints=replaced(c, weight=np.ones(len(c)), slope=np.zeros(len(c))),
    ).total()
    h = kernels.ising_fields(bare.linear, bare.i, bare.j, bare.bias)
    sizes = np.abs(np.concatenate([h, bare.bias / 4]))
    sizes = sizes[sizes > 1e-9]
    return float(sizes.max() / sizes.min()) if len(sizes) else 1.0


def measure(costs: Floats, k: int, form: str, target: qa.Target, seconds: float) -> dict[str, Any]:
    program = qa.InsertPenalties(cardinality=form).apply(row(costs, k)).program
    total = program.replace(
        constraints=replaced(program.constraints, weight=np.ones(len(program.constraints)))
    ).total()
    facts: dict[str, Any] = {
        "variables": len(program),
        "couplers": len(total),
        "range": round(spread(program), 3),
        "qubits": None,
        "longest_chain": None,
        "signal": None,
    }
    start = time.perf_counter()
    chains = chains_of(program, target, seconds)
    facts["seconds"] = round(time.perf_counter() - start, 2)
    if not chains:
        return facts
    ptr, zeros = pointers([len(chain) for chain in chains]), np.zeros(len(program), np.int64)
    placement = Placement(target, zeros, zeros, ptr, np.concatenate(chains), form)
    priced = program.total()
    scale = coefficients(priced, Wiring.of(placement, priced)).scale[0]
    return facts | {
        "qubits": int(ptr[-1]),
        "longest_chain": int(placement.chain_lengths.max()),
        "signal": round(float(costs.std() / scale), 3),
    }


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--data", required=True, help="folder of attention files")
    options.add_argument("--target", default="zephyr:12")
    options.add_argument("--keys", default="16,32,64,96,128,160")
    options.add_argument("--kept", default="1,2,4,8")
    options.add_argument("--seconds", type=float, default=15, help="for each attempt to embed")
    chosen = options.parse_args()
    target = qa.Target.of(chosen.target)
    if target is None or not target.is_grid:
        raise SystemExit(f"{chosen.target} is not a Pegasus or Zephyr machine")
    sizes = [int(n) for n in chosen.keys.split(",")]
    real = logits(chosen.data, max(sizes))
    table: dict[str, Any] = {}
    for n in sizes:
        for k in (int(k) for k in chosen.kept.split(",")):
            forms = {
                form: measure(real[:n], k, form, target, chosen.seconds)
                for form in ("dense", "network", "grid")
            }
            auto = cheapest(n, k, target.topology)[0].name.lower()
            table[f"{n},{k}"] = forms | {"auto": auto}
            for form, facts in forms.items():
                numbers = " ".join(f"{key} {value}" for key, value in facts.items())
                print(f"{n:>4} {k:>2} {form:<8} {numbers}{' *' * (form == auto)}", flush=True)
    finish({"target": str(target), "rows": table}, chosen.json)


if __name__ == "__main__":
    main()
