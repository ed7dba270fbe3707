"""Decoding a full chip with every read repaired, beside unembedding the same reads.

112 real rows of 16 slots and k = 4, 1,000 reads of a simulated machine: median
wall times in turns, and their ratio. `best` repairs rows without a feasible read alone.

    python benchmarks/decoding.py --data DIR --json
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from common import attention_files, finish, milliseconds, parser

import qubo_attn as qa

HEADS, QUERIES = 8, 14


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--data", required=True, help="folder of attention files")
    options.add_argument("--target", default="zephyr:12")
    options.add_argument("--reads", type=int, default=1000)
    options.add_argument("--repeats", type=int, default=15)
    chosen = options.parse_args()
    files = [arrays for _, _, arrays in attention_files(Path(chosen.data))]
    arrays = next(a for a in files if len(a["scores"]) >= HEADS and a["scores"].shape[1] >= 24)
    compiled = qa.compile(
        arrays["scores"][:HEADS, :QUERIES],
        HEADS,
        select=qa.ExactlyK(4),
        objective="output",
        values=arrays["value"][:HEADS],
        target=chosen.target,
    )
    parts = compiled.submissions
    machine = qa.SimulatedMachine(compiled.recipe.target)
    reads = [machine.sample(p.embedded_bqm, num_reads=chosen.reads, seed=1) for p in parts]

    def unembed() -> None:
        for part, sampleset in zip(parts, reads, strict=True):
            part.unembed(sampleset)

    times = {
        "unembed": milliseconds(unembed, chosen.repeats),
        "every": milliseconds(lambda: compiled.decode(reads), chosen.repeats),
        "best": milliseconds(lambda: compiled.decode(reads, repair="best"), chosen.repeats),
        "unembed_again": milliseconds(unembed, chosen.repeats),
    }
    plain = float(np.mean([times["unembed"], times["unembed_again"]]))
    facts = {
        "rows": sum(len(part.rows) for part in parts),
        "submissions": len(parts),
        "reads": chosen.reads,
        **{name: round(time, 2) for name, time in times.items()},
        "ratio": round(times["every"] / plain, 2),
    }
    for name, fact in facts.items():
        print(f"{name:<14}{fact}")
    finish(facts, chosen.json)


if __name__ == "__main__":
    main()
