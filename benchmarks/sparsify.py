"""What sparsification takes off real rows: keys, couplers, bits; and what is left on a machine.

Rows of 16 slots at k = 4, for several objectives: couplers dropped by proof and within budgets,
rows whose penalty is then proven linear, couplers left once constraints are priced, dynamic range
before and after compression, and milliseconds a row. Then, on a target, the couplings and fields of
the machine and the objective that the local annealer reaches, with lighter rows and without.

    python benchmarks/sparsify.py --data DIR --target zephyr:12 --json
"""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any

import numpy as np
from common import attention_files, finish, parser

import qubo_attn as qa
from qubo_attn.passes.compress import dynamic_range
from qubo_attn.pipeline.pipeline import Pass

OBJECTIVES = ("output", "redundancy", "selection")


def program_of(
    arrays: dict[str, np.ndarray], objective: str, sparsify: qa.Sparsify, keys: int, queries: int
) -> qa.CompiledAttention:
    scores = arrays["scores"][:, :queries]
    return qa.compile(
        scores,
        len(scores),
        select=qa.ExactlyK(keys),
        objective=objective,
        values=arrays["value"],
        keys=arrays["key"],
        kv_head=arrays["kv_head"],
        target=None,
        passes=(sparsify,),
    )


def lighter(program: qa.Program, budgets: list[float]) -> dict[str, list[float]]:
    """Return counts of one program, row sums or one entry a row."""
    rows, found = len(program.constraints), defaultdict[str, list[float]](list)
    priced = qa.InsertPenalties().apply(program)
    assert priced.certificates is not None
    found["linear_before"] = (priced.certificates.weight == 0).tolist()
    found["priced_before"] = [len(priced.program.total())]
    found["couplers"] = [len(program.objective)]
    for budget in budgets:
        start = time.perf_counter()
        rewrite = qa.DropCouplers(budget=budget).apply(program)
        found[f"drop_ms_{budget:g}"] = [1e3 * (time.perf_counter() - start) / rows]
        priced = qa.InsertPenalties().apply(rewrite.program)
        assert priced.certificates is not None
        found[f"left_{budget:g}"] = [len(rewrite.program.objective)]
        found[f"bound_{budget:g}"] = [rewrite.prove()]
        found[f"linear_{budget:g}"] = (priced.certificates.weight == 0).tolist()
        found[f"priced_{budget:g}"] = [len(priced.program.total())]
    start = time.perf_counter()
    rewrite = qa.Compress().apply(program)
    found["compress_ms"] = [1e3 * (time.perf_counter() - start) / rows]
    found["range_before"] = dynamic_range(program).tolist()
    after = dynamic_range(rewrite.program)
    found["range_after"] = after.tolist()
    found["compressed"] = [int(rewrite.notes[0].split()[0]) / rows]
    return found


def summary(found: dict[str, list[float]], budgets: list[float]) -> dict[str, float]:
    def share(part: str, whole: str) -> float:
        return float(np.sum(found[part]) / max(np.sum(found[whole]), 1))

    facts = {
        "rows": len(found["linear_before"]),
        "linear_before": float(np.mean(found["linear_before"])),
        "priced_before": share("priced_before", "couplers"),
    }
    for budget in budgets:
        name = f"{budget:g}"
        facts[f"dropped_{name}"] = 1 - share(f"left_{name}", "couplers")
        facts[f"linear_{name}"] = float(np.mean(found[f"linear_{name}"]))
        facts[f"priced_{name}"] = share(f"priced_{name}", "couplers")
        facts[f"drop_ms_{name}"] = float(np.median(found[f"drop_ms_{name}"]))
    facts["range_before"] = float(np.median(found["range_before"]))
    facts["range_after"] = float(np.median(found["range_after"]))
    facts["compressed"] = float(np.mean(found["compressed"]))
    facts["compress_ms"] = float(np.median(found["compress_ms"]))
    return facts


def embedded(arrays: dict[str, np.ndarray], target: str, keys: int, queries: int) -> dict[str, Any]:
    """Return what the machine gets and what annealing reaches, plain and lighter."""
    scores = arrays["scores"][:, :queries]
    first = (qa.Sparsify(slots=16),)
    price = (qa.InsertPenalties(), qa.BinarizeWeights())
    pipelines: dict[str, tuple[Pass, ...]] = {
        "plain": (*first, *price),
        "drop": (*first, qa.DropCouplers(), *price),
        "compress": (*first, qa.Compress(), *price),
    }
    facts: dict[str, Any] = {}
    for name, passes in pipelines.items():
        compiled = qa.compile(
            scores,
            len(scores),
            select=qa.ExactlyK(keys),
            objective="output",
            values=arrays["value"],
            kv_head=arrays["kv_head"],
            target=target,
            passes=passes,
        )
        values, result = compiled.coefficients, compiled.solve("anneal", seed=1)
        assert values is not None
        assert compiled.placement is not None
        between = values.physical[1][: len(values.wiring.plan.coupling_of)]
        rows, spread = compiled.program.constraints, []
        per_qubit = values.h / compiled.placement.chain_lengths
        for r in range(len(rows)):
            spread.append(float(np.std(per_qubit[rows.var[rows.ptr[r] : rows.ptr[r + 1]]])))
        facts[name] = {
            "qubits": int(compiled.placement.chain_lengths.sum()),
            "couplings": int((between != 0).sum()),
            "signal": float(np.median(spread)),
            "feasible": float(result.feasible.mean()),
            "energy": float(result.energies.sum()),
        }
    return facts


def nucleus(arrays: dict[str, np.ndarray], share: float, keys: int, queries: int) -> list[float]:
    """Return sizes of rows and the largest and mean lost mass at a nucleus."""
    compiled = program_of(arrays, "output", qa.Sparsify(nucleus=share), keys, queries)
    sizes = np.diff(compiled.program.constraints.ptr)
    losses = compiled.losses
    attention = compiled.attention
    assert attention.values is not None
    exact = attention.softmax @ attention.values
    size = np.linalg.norm(exact, axis=-1)
    assert losses.output is not None
    relative = losses.output / np.where(size > 0, size, 1.0)
    return [
        float(sizes.mean()),
        float(len(np.unique(sizes))),
        float(losses.mass.max()),
        float(losses.mass.mean()),
        float(relative.mean()),
    ]


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--data", required=True, help="folder of attention files")
    options.add_argument("--target", default="zephyr:12")
    options.add_argument("--keys", type=int, default=4)
    options.add_argument("--slots", type=int, default=16)
    options.add_argument("--queries", type=int, default=32, help="first queries of each file")
    options.add_argument("--budgets", type=float, nargs="*", default=[0.0, 0.001, 0.01])
    chosen = options.parse_args()
    budgets = chosen.budgets
    found: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    kept: dict[str, list[list[float]]] = defaultdict(list)
    machine: dict[str, Any] = {}
    for model, path, arrays in attention_files(chosen.data):
        if arrays["scores"].shape[2] <= chosen.slots:
            continue
        for objective in OBJECTIVES:
            sparsify = qa.Sparsify(slots=chosen.slots)
            program = program_of(arrays, objective, sparsify, chosen.keys, chosen.queries).program
            for name, column in lighter(program, budgets).items():
                found[model, objective][name] += column
        kept[model].append(nucleus(arrays, 0.99, chosen.keys, chosen.queries))
        if model not in machine:
            machine[model] = embedded(arrays, chosen.target, chosen.keys, chosen.queries)
        print(path.name, flush=True)
    facts: dict[str, Any] = {}
    for (model, objective), columns in found.items():
        facts[f"{model}/{objective}"] = summary(columns, budgets)
    for model, lines in kept.items():
        names = ("keys", "sizes", "lost_most", "lost_mean", "relative_output_bound")
        means = np.mean(lines, axis=0).tolist()
        facts[f"{model}/nucleus_0.99"] = dict(zip(names, means, strict=True))
    for model, each in machine.items():
        facts[f"{model}/machine"] = each
    for name, line in facts.items():
        print(name, line)
    finish(facts, chosen.json)


if __name__ == "__main__":
    main()
