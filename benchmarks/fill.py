"""Rows of the last programming with and without copies in the room that it leaves.

Each file is compiled for one machine with ``replicas="fill"`` and without. The last submission of
both is sampled on the simulated machine with the same reads, the same errors of every qubit and
coupler, and several seeds of these. The rows of the other submissions are the same in both.

Figures, by file and over all of them: rows of the last submission; copies; ``optimum``, the share
of rows whose best feasible read is the proven optimum as sampled, no read repaired and no descent;
``feasible``, the share of reads that hold their constraints; machine time of the submission in
milliseconds, as estimated. ``gain`` is how many times fewer rows are left without their optimum.

    python benchmarks/fill.py --data DIR --target FILE --files d02_L5 d05_L3 d09_L0 --json
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import dimod
import numpy as np
from common import attention_files, finish, parser

import qubo_attn as qa

# A sweep's machines have errors of their own.
_SEEDS = 1000


def last_rows(compiled: qa.CompiledAttention) -> np.ndarray:
    """Return which rows the last submission carries, bool, shape (H, Q)."""
    rows = np.zeros(compiled.attention.shape[:2], bool)
    rows[tuple(np.array(compiled.submissions[-1].rows).T)] = True
    return rows


def sampled(
    compiled: qa.CompiledAttention, machine: qa.SimulatedMachine, reads: int, seed: int
) -> qa.AttentionResult:
    """Return what reads of the last submission give; of the others, one empty read each."""
    *others, last = compiled.submissions
    empty = [
        dimod.SampleSet.from_samples(
            (-np.ones((1, len(part.variables)), np.int8), part.variables.tolist()), "SPIN", 0.0
        )
        for part in others
    ]
    answer = machine.sample(last.programmed_bqm, num_reads=reads, seed=seed)
    return compiled.decode([*empty, answer], repair="none", descend=False)


def measured(
    compiled: qa.CompiledAttention, machines: list[qa.SimulatedMachine], reads: int
) -> dict[str, Any]:
    """Return the figures of one compilation, over all machines."""
    rows, optimum, feasible, number = last_rows(compiled), [], [], []
    for machine in machines:
        result = sampled(compiled, machine, reads, machine.seed)
        found = result.optimality()
        known = rows & found.proven
        close = 1e-9 * np.maximum(np.abs(found.optimum), 1e-12)
        optimum.append(np.mean((found.gap <= close)[known] & result.feasible[known]))
        feasible.append(np.mean(result.reads.feasible[rows]))
        number.append(np.mean(result.reads.number[rows]))
    calls = compiled.schedule(reads).of(len(compiled.submissions) - 1)
    return {
        "rows": int(rows.sum()),
        "optimum": round(float(np.mean(optimum)), 4),
        "feasible": round(float(np.mean(feasible)), 4),
        "reads": round(float(np.mean(number)), 1),
        "milliseconds": round(sum(call.microseconds or 0.0 for call in calls) / 1e3, 1),
    }


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--data", type=Path, required=True, help="folder of attention files")
    options.add_argument("--target", default="zephyr:12")
    options.add_argument("--files", nargs="+", default=[""], help="parts of names; all without")
    options.add_argument("--keys", type=int, default=4)
    options.add_argument("--slots", type=int, default=16)
    options.add_argument("--reads", type=int, default=100)
    options.add_argument("--machines", type=int, default=3, help="draws of the machine's errors")
    chosen = options.parse_args()
    target = qa.Target.of(chosen.target)
    machines = [qa.SimulatedMachine(target, seed=_SEEDS + m) for m in range(chosen.machines)]
    ways: dict[str, Literal["fill"] | None] = {"once": None, "fill": "fill"}
    table: dict[str, Any] = {}
    for _, path, arrays in attention_files(chosen.data):
        if not any(part in path.name for part in chosen.files):
            continue
        compiled = {
            name: qa.compile(
                arrays["scores"],
                select=qa.ExactlyK(chosen.keys),
                values=arrays["value"],
                slots=chosen.slots,
                target=target,
                replicas=replicas,
            )
            for name, replicas in ways.items()
        }
        copies = compiled["fill"].copies
        figures = {name: measured(each, machines, chosen.reads) for name, each in compiled.items()}
        table[path.stem] = {"copies": 0 if copies is None else len(copies), **figures}
        print(path.stem, table[path.stem], flush=True)
    facts: dict[str, Any] = {"reads": chosen.reads, "files": table}
    for name in ways:
        rows = np.array([each[name]["rows"] for each in table.values()])
        optimum = np.array([each[name]["optimum"] for each in table.values()])
        facts[name] = round(float(rows @ optimum / max(rows.sum(), 1)), 4)
    facts["gain"] = round((1.0 - facts["once"]) / max(1.0 - facts["fill"], 1e-4), 2)
    print(facts["once"], facts["fill"], facts["gain"])
    finish(facts, chosen.json)


if __name__ == "__main__":
    main()
