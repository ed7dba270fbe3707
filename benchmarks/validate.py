"""Every submission of every file on every machine, through the strict validator.

Compiles each attention file twice per machine, with the package's defaults and with ``output`` at
k = 4, validates every submission (with as many reads as one call takes), then breaks one submission
per machine on purpose in every way and counts what is turned down. ``auto_scale`` is the largest
divisor that a machine's auto-scaling would have used: at most 1 means that it has nothing to mend.

    python benchmarks/validate.py --data DIR --targets zephyr:12,FILE.json --json
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
from common import attention_files, finish, parser

import qubo_attn as qa
from qubo_attn.backend.model import Physical

ANNEALING = 200.0  # microseconds; so long that the most reads never fit a call


def broken(part: qa.Submission) -> Iterator[tuple[str, qa.Submission, int]]:
    """Yield the code that must be found, the submission that earns it, and reads."""
    p = part.physical
    assert p is not None

    def put(**columns: Any) -> qa.Submission:
        changed: Physical = dataclasses.replace(p, **columns)
        return dataclasses.replace(part, physical=changed)

    def at(column: np.ndarray, index: int | np.ndarray, value: float) -> np.ndarray:
        changed = column.copy()
        changed[index] = value
        return changed

    limits = p.target.limits
    yield "h-range", put(h=at(p.h, 0, 1.01 * limits.h[1])), 1
    yield "j-range", put(j=at(p.j, 0, 1.01 * limits.j[0])), 1
    busy = np.bincount(np.concatenate([p.u, p.v])).argmax()
    full = (p.u == busy) | (p.v == busy)
    yield f"{limits.per}-total", put(j=at(p.j, full, limits.j[0])), 1
    first, neighbour, _ = p.target.adjacency
    near = neighbour[first[p.u[0]] : first[p.u[0] + 1]]
    far = int(np.setdiff1d(p.qubit, np.append(near, p.u[0]))[-1])
    yield "missing-coupler", put(v=at(p.v, 0, far)), 1
    yield "overlap", put(chain_qubit=at(p.chain_qubit, -1, p.chain_qubit[0])), 1
    within = p.j == -np.repeat(p.strength, np.diff(p.chain_ptr)).max()
    yield "chain-strength", put(j=at(p.j, within, p.j[within][0] / 2)), 1
    loose = int(np.flatnonzero(np.diff(p.chain_ptr) > 1)[0])
    mine = p.chain_qubit[p.chain_ptr[loose] : p.chain_ptr[loose + 1]]
    inside = np.isin(p.u, mine) & np.isin(p.v, mine)
    yield "broken-chain", put(u=p.u[~inside], v=p.v[~inside], j=p.j[~inside]), 1
    assert limits.reads is not None
    yield "reads", part, limits.reads[1] + 1
    yield "run-duration", part, limits.reads[1]  # at ANNEALING microseconds a read


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--data", required=True, help="folder of attention files")
    options.add_argument("--targets", default="zephyr:12,pegasus:16")
    chosen = options.parse_args()
    facts: dict[str, dict[str, Any]] = {}
    for name in chosen.targets.split(","):
        target = qa.Target.of(name)
        assert target is not None
        count: dict[str, Any] = {"files": 0, "submissions": 0, "rows": 0, "violations": 0}
        scale = 0.0
        for _, path, arrays in attention_files(chosen.data):
            best: dict[str, Any] = {
                "select": qa.ExactlyK(4),
                "objective": "output",
                "values": arrays["value"],
            }
            plain: dict[str, Any] = {}
            for extra in (plain, best):
                compiled = qa.compile(
                    arrays["scores"], len(arrays["scores"]), target=target, **extra
                )
                calls = compiled.schedule(10_000).calls
                for part in compiled.submissions:
                    reads = max(call.reads for call in calls if call.submission == part.index)
                    found = part.diagnose(target, reads)
                    for error in found[:3]:
                        print(path.name, error)
                    count["violations"] += len(found)
                    count["submissions"] += 1
                    count["rows"] += len(part.rows)
                    scale = max(scale, part.auto_scale)
            count["files"] += 1
        count["auto_scale"] = scale
        part = max(compiled.submissions, key=lambda part: part.qubits)
        rejected = {}
        for code, bad, reads in broken(part):
            errors = {
                str(error.facts["code"]): str(error)
                for error in bad.diagnose(None, reads, annealing_time=ANNEALING)
            }
            rejected[code] = code in errors
            print(f"  {code}: {errors.get(code, 'NOT REJECTED')}")
        count["broken"], count["rejected"] = len(rejected), sum(rejected.values())
        count["not_rejected"] = [code for code, ok in rejected.items() if not ok]
        facts[target.label] = count
        print(target.label, count, flush=True)
    finish(facts, chosen.json)


if __name__ == "__main__":
    main()
