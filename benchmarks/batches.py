"""A second batch end to end, stage by stage: from scores to physical arrays and wire bytes.

Twelve heads of 64 queries and 64 keys, 16 slots, ``output``, compiled once; then `rebind` takes the
other files in turn. ``bound`` prices rows by the fast bound (``InsertPenalties(relax=False)``),
``certified`` by the convex relaxation. Medians of wall times in milliseconds: checking the input,
each stage and verifying what goes in, the plan, coefficients in hardware units, h and J arrays in
the solver's order, wire bytes. ``arrays`` is the total up to the arrays, ``per_row`` by row.

    python benchmarks/batches.py --data DIR --target zephyr:12 --json
"""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any

import numpy as np
from common import batches, finish, parser

import qubo_attn as qa

Batch = tuple[np.ndarray, np.ndarray]


def measure(first: qa.CompiledAttention, batch: Batch) -> dict[str, float]:
    """Return the seconds that each part of one more batch takes."""
    scores, values = batch
    marks = [time.perf_counter()]
    again = first.rebind(scores, values=values)
    marks.append(time.perf_counter())
    for step in (
        lambda: again.program.total(),
        lambda: again.plan,
        lambda: again.coefficients,
        lambda: again.hardware_arrays(),
        lambda: again.wires(),
    ):
        step()
        marks.append(time.perf_counter())
    lower, expand, plan, coefficients, fill, wire = np.diff(marks).tolist()
    stages = {stage.name: stage.seconds for stage in again.stages}
    assert again.plan is first.plan
    return {
        "check_and_verify": lower - sum(stages.values()),
        **stages,
        "expand": expand,
        "plan": plan,
        "coefficients": coefficients,
        "fill": fill,
        "arrays": lower + expand + plan + coefficients + fill,
        "wire": wire,
    }


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--data", required=True, help="folder of attention files")
    options.add_argument("--target", default="zephyr:12")
    options.add_argument("--keys", type=int, default=4)
    options.add_argument("--repeats", type=int, default=9)
    chosen = options.parse_args()
    found = batches(chosen.data)
    facts: dict[str, Any] = {"rows": found[0][0].shape[0] * found[0][0].shape[1]}
    for name, relax in (("bound", False), ("certified", True)):
        first = qa.compile(
            found[0][0],
            len(found[0][0]),
            select=qa.ExactlyK(chosen.keys),
            objective="output",
            values=found[0][1],
            passes=(qa.Sparsify(slots=16), qa.InsertPenalties(relax=relax), qa.BinarizeWeights()),
            target=chosen.target,
        )
        first.wires(), first.hardware_arrays()
        columns: dict[str, list[float]] = defaultdict(list)
        for batch in found[1:] * (chosen.repeats if not relax else 1):
            for part, seconds in measure(first, batch).items():
                columns[part].append(1e3 * seconds)
        medians = {part: float(np.median(column)) for part, column in columns.items()}
        facts[name] = medians | {"per_row": medians["arrays"] / facts["rows"]}
        shown = "  ".join(f"{part} {value:.2f}" for part, value in facts[name].items())
        print(f"{name:<10} {shown}", flush=True)
    finish(facts, chosen.json)


if __name__ == "__main__":
    main()
