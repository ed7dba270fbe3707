"""A second batch end to end, stage by stage: from scores to physical arrays and wire bytes.

Twelve heads of 64 queries and 64 keys, 16 slots, ``output``, compiled once; then `rebind` takes the
other files in turn. ``bound`` prices rows by the fast bound (``InsertPenalties(relax=False)``),
``certified`` by the convex relaxation. Medians in milliseconds: ``objective`` with checking the
input and verifying the program, each pass, the sum of objective and penalties, the plan,
coefficients in hardware units, h and J arrays in the solver's order, wire bytes. ``arrays`` is the
total up to the arrays, ``per_row`` that by row. ``--clock cpu`` counts the process's own time, for
a machine that does other things besides.

    python benchmarks/batches.py --data DIR --target zephyr:12 --clock wall --json
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
from common import batches, finish, parser

import qubo_attn as qa

Batch = tuple[np.ndarray, np.ndarray]


class Marks:
    """What each part of a batch took; hooks of a compilation add its passes."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.spent: dict[str, float] = {}
        self.last = clock()

    def start(self) -> None:
        self.spent, self.last = {}, self.clock()

    def end(self, part: str) -> None:
        now = self.clock()
        self.spent[part] = self.spent.get(part, 0.0) + 1e3 * (now - self.last)
        self.last = now


def measure(first: qa.CompiledAttention, batch: Batch, marks: Marks) -> dict[str, float]:
    """Return the milliseconds that each part of one more batch takes."""
    scores, values = batch
    marks.start()
    again = first.rebind(scores, values=values)
    again.program.total()
    marks.end("expand")
    plan = again.plan
    marks.end("plan")
    _ = again.coefficients
    marks.end("coefficients")
    again.hardware_arrays()
    marks.end("fill")
    arrays = sum(marks.spent.values())
    again.wires()
    marks.end("wire")
    assert plan is first.plan
    return marks.spent | {"arrays": arrays}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--data", required=True, help="folder of attention files")
    options.add_argument("--target", default="zephyr:12")
    options.add_argument("--keys", type=int, default=4)
    options.add_argument("--repeats", type=int, default=9)
    options.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    chosen = options.parse_args()
    marks = Marks(time.perf_counter if chosen.clock == "wall" else time.process_time)
    found = batches(chosen.data)
    facts: dict[str, Any] = {
        "rows": found[0][0].shape[0] * found[0][0].shape[1],
        "clock": chosen.clock,
    }
    for name, relax in (("bound", False), ("certified", True)):
        first = qa.compile(
            found[0][0],
            len(found[0][0]),
            select=qa.ExactlyK(chosen.keys),
            objective="output",
            values=found[0][1],
            passes=(qa.Sparsify(slots=16), qa.InsertPenalties(relax=relax), qa.BinarizeWeights()),
            target=chosen.target,
            before=[lambda *_: marks.end("objective" if not marks.spent else "between")],
            after=[lambda stage: marks.end(stage.name)],
        )
        first.wires(), first.hardware_arrays()
        columns: dict[str, list[float]] = defaultdict(list)
        for batch in found[1:] * (chosen.repeats if not relax else 1):
            for part, spent in measure(first, batch, marks).items():
                columns[part].append(spent)
        medians = {part: float(np.median(column)) for part, column in columns.items()}
        facts[name] = medians | {"per_row": medians["arrays"] / facts["rows"]}
        shown = "  ".join(f"{part} {value:.2f}" for part, value in facts[name].items())
        print(f"{name:<10} {shown}", flush=True)
    finish(facts, chosen.json)


if __name__ == "__main__":
    main()
