"""How time and memory grow with rows, keys, heads and machines: the table in docs/scaling.md.

Real logits (the longest file of the folder, its heads and queries as rows), ``selection`` with k =
4. Each line is one compilation, median processor time of several after one that warms up, and the
peak of what it allocates (``tracemalloc``). Coefficients written are those of the program before
any pass and of the last one, and, on a machine, fields and couplings of all qubits and couplers in
use. The exponent is the slope of log time, or log memory, over log coefficients, by least squares
through the larger half of the sizes: 1 is linear, less means that a fixed cost still shows.

    OPENBLAS_NUM_THREADS=1 python benchmarks/scaling.py --data DIR --write docs/scaling.md --json
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import attention_files, finish, parser

import qubo_attn as qa

MARK = "<!-- written by benchmarks/scaling.py -->\n"


@dataclass(frozen=True)
class Point:
    axis: str
    size: str
    coefficients: int
    seconds: float
    peak: float


def arrays(scores: np.ndarray, heads: int, **options: Any) -> tuple[int, qa.CompiledAttention]:
    """Compile up to the arrays that go out; return how many coefficients were written."""
    compiled = qa.compile(scores, heads, select=qa.ExactlyK(4), **options)
    first, last = compiled.stages[0].program.objective, compiled.program.total()
    written = len(first) + len(first.linear) + len(last) + len(last.linear)
    if compiled.plan is not None and compiled.coefficients is not None:
        compiled.wires()
        written += len(compiled.plan.field_of) + len(compiled.plan.coupling_of)
        written += len(compiled.plan.chain_of)
    return written, compiled


def measure(axis: str, size: str, call: Callable[[], tuple[int, Any]], repeats: int) -> Point:
    written, _ = call()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    point = Point(axis, size, written, float(np.median(times)), peak / 2**20)
    print(point, flush=True)
    return point


def cases(folder: str) -> Iterator[tuple[str, str, Callable[[], tuple[int, Any]]]]:
    longest = max((a["scores"] for _, _, a in attention_files(folder)), key=np.size)
    heads, tokens, keys = longest.shape
    flat = longest.reshape(1, heads * tokens, keys)
    many = np.tile(flat, (1, 4, 1))
    rows = [128, 512, 1024, 2048, 4096]
    for n in rows:
        part = many[:, :n, :32]
        yield "rows", f"{n} x 32 keys", lambda p=part: arrays(p, 1, target=None)  # type: ignore[misc]
    for n in (16, 31, 62, keys):
        part = flat[:, :256, :n]
        yield "keys", f"256 x {n} keys", lambda p=part: arrays(p, 1, target=None)  # type: ignore[misc]
    for n in (16, 31, 62, keys):
        part = flat[:, :256, :n]
        yield (
            "keys, all kept",
            f"256 x {n} keys",
            lambda p=part: arrays(p, 1, slots=None, target=None),  # type: ignore[misc]
        )
    for n in (1, 3, 6, heads):
        part = longest[:n, :64, :32]
        yield "heads", f"{n} x 64 x 32", lambda p=part: arrays(p, len(p), target=None)  # type: ignore[misc]
    for n in rows[:-1]:
        part = many[:, :n, :16]
        yield (
            "rows, Zephyr 12",
            f"{n} x 16 keys",
            lambda p=part: arrays(p, 1, slots=8, target="zephyr:12"),  # type: ignore[misc]
        )
    for m in (3, 6, 9, 12):
        part, target = many[:, :512, :16], qa.Target.zephyr(m)
        yield (
            "machine",
            f"512 x 16 keys, Zephyr {m}",
            lambda p=part, t=target: arrays(p, 1, slots=8, target=t),  # type: ignore[misc]
        )


def exponent(points: list[Point], of: str) -> float:
    """Return the slope of log ``of`` over log coefficients, the larger half of the points."""
    top = sorted(points, key=lambda point: point.coefficients)[-max(3, len(points) // 2) :]
    x = np.log([point.coefficients for point in top])
    return float(np.polyfit(x, np.log([getattr(point, of) for point in top]), 1)[0])


def fitted(points: list[Point]) -> dict[str, dict[str, float]]:
    """Return the exponents of time and memory; machines differ in more than coefficients."""
    facts: dict[str, dict[str, float]] = {}
    for axis in dict.fromkeys(point.axis for point in points if point.axis != "machine"):
        mine = [point for point in points if point.axis == axis]
        facts[axis] = {of: exponent(mine, of) for of in ("seconds", "peak")}
    return facts


def table(points: list[Point]) -> str:
    lines = [
        "| | size | coefficients written | ms | ns each | peak MiB |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {p.axis} | {p.size} | {p.coefficients:,} | {1e3 * p.seconds:.1f} | "
        f"{1e9 * p.seconds / p.coefficients:.0f} | {p.peak:.1f} |"
        for p in points
    ]
    lines += ["", "| | exponent of time | exponent of memory |", "|---|---|---|"]
    lines += [
        f"| {axis} | {found['seconds']:.2f} | {found['peak']:.2f} |"
        for axis, found in fitted(points).items()
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--data", required=True, help="folder of attention files")
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--write", help="file whose table is replaced")
    chosen = options.parse_args()
    points = [measure(*case, chosen.repeats) for case in cases(chosen.data)]
    print(table(points))
    if chosen.write:
        file = Path(chosen.write)
        head = file.read_text().split(MARK)[0] if file.exists() else ""
        file.write_text(f"{head}{MARK}\n{table(points)}")
    finish(fitted(points), chosen.json)


if __name__ == "__main__":
    main()
