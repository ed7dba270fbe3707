"""Logical coefficients against the floor: a bare loop that writes the same arrays.

12 heads of 128 queries and 128 keys, k = 16, ``selection`` (s_i s_j redundancy), no slots: 12.5
million couplers. Ratios of medians, taken in turns within one run:

- ``arrays_vs_bare_loop``: the coupler kernel with a square per row against a bare Numba loop, both
  into the same ready memory; the loop is the faster of two, three stores a turn or one;
- ``compile_vs_fresh_loop``: ``compile(target=None)`` by the fast bound, every key kept, to
  objective plus penalties, against the same loop into fresh memory;
  ``slots_vs_fresh_loop``: with the default slots, which writes a sixteenth of the couplers;
- ``peak_vs_arrays``: how far that compilation raises the process's largest memory, over the bytes
  of the arrays (Linux);
- ``bqm_vs_from_numpy_vectors``: ``submission.bqm`` against dimod on ready arrays.

    python benchmarks/kernels.py --json
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from pathlib import Path

import dimod
import numba
import numpy as np
from common import finish, parser

import qubo_attn as qa
from qubo_attn import kernels

ALPHA = 0.01


@numba.njit
def bare(rows, n, logit, alpha, square, i, j, bias):  # type: ignore[no-untyped-def]
    t = 0
    for r in range(rows):
        for a in range(n):
            for b in range(a + 1, n):
                i[t] = r * n + a
                j[t] = r * n + b
                bias[t] = 2.0 * alpha * logit[r * n + a] * logit[r * n + b] + square[r]
                t += 1


@numba.njit
def streams(rows, n, logit, alpha, square, i, j, bias):  # type: ignore[no-untyped-def]
    t = 0
    for r in range(rows):
        for a in range(r * n, r * n + n):
            scale, count = 2.0 * alpha * logit[a], r * n + n - a - 1
            own_i, own_j, own = i[t : t + count], j[t : t + count], bias[t : t + count]
            for b in range(count):
                own_i[b] = a
            for b in range(count):
                own_j[b] = a + 1 + b
            for b in range(count):
                own[b] = scale * logit[a + 1 + b] + square[r]
            t += count


def memory(field: str) -> int:
    """Return a figure of this process's memory in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return 1024 * int(line.split()[1])
    raise SystemExit(f"/proc/self/status has no {field}")


def seconds(calls: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Return the median wall time of calls made in turns, once each has been made before."""
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for repeat in range(repeats + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if repeat:
                spent[name].append(time.perf_counter() - start)
    return {name: float(np.median(times)) for name, times in spent.items()}


def compiled(scores: np.ndarray, slots: int | None) -> qa.CompiledAttention:
    """Return the scores compiled to logical models by the fast bound."""
    first = () if slots is None else (qa.Sparsify(slots=slots),)
    made = qa.compile(
        scores,
        len(scores),
        select=qa.ExactlyK(16),
        objective=qa.Selection(ALPHA),
        passes=(*first, qa.InsertPenalties(relax=False), qa.BinarizeWeights()),
        target=None,
    )
    made.program.total()
    return made


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--heads", type=int, default=12)
    options.add_argument("--tokens", type=int, default=128)
    options.add_argument("--repeats", type=int, default=5)
    chosen = options.parse_args()
    rows, n = chosen.heads * chosen.tokens, chosen.tokens
    scores = np.random.default_rng(0).normal(size=(chosen.heads, n, n))
    compiled(scores[:1, :20], None), compiled(scores[:1, :20], 32)
    gc.collect()
    before = memory("VmRSS")
    made = compiled(scores, None)
    peak = memory("VmHWM") - before
    form = made.program.total()
    size = sum(column.nbytes for column in form.arrays().values())

    logit, ptr = scores.ravel(), np.arange(rows + 1) * n
    square = np.ones(rows)
    pairs = len(form)
    ready = np.empty(pairs, np.int32), np.empty(pairs, np.int32), np.empty(pairs)

    def fresh(loop: Callable[..., None]) -> None:
        own = np.empty(pairs, np.int32), np.empty(pairs, np.int32), np.empty(pairs)
        loop(rows, n, logit, ALPHA, square, *own)

    times = seconds(
        {
            "ours": lambda: kernels.selection_into(ptr, logit, ALPHA, square, *ready),
            "bare": lambda: bare(rows, n, logit, ALPHA, square, *ready),
            "streams": lambda: streams(rows, n, logit, ALPHA, square, *ready),
            "fresh": lambda: fresh(bare),
            "fresh streams": lambda: fresh(streams),
        },
        4 * chosen.repeats,
    )
    floor, fresh_floor = (
        min(times[name], times[other])
        for name, other in (("bare", "streams"), ("fresh", "fresh streams"))
    )
    times |= seconds({"slots": lambda: compiled(scores, 32)}, chosen.repeats)
    times |= seconds({"compile": lambda: compiled(scores, None)}, chosen.repeats)
    vectors = form.linear, (form.i, form.j, form.bias), form.offset
    make = dimod.BinaryQuadraticModel.from_numpy_vectors
    bqm = seconds(
        {
            "vectors": lambda: make(*vectors, "BINARY"),
            "bqm": lambda: compiled_bqm(made),
        },
        chosen.repeats,
    )
    facts = {
        "arrays_vs_bare_loop": times["ours"] / floor,
        "compile_vs_fresh_loop": times["compile"] / fresh_floor,
        "slots_vs_fresh_loop": times["slots"] / fresh_floor,
        "peak_vs_arrays": peak / size,
        "bqm_vs_from_numpy_vectors": bqm["bqm"] / bqm["vectors"],
    }
    for name, value in (times | bqm).items():
        print(f"{name:<13} {1e3 * value:.1f} ms")
    for name, value in facts.items():
        print(f"{name:<26} {value:.2f}")
    finish(facts, chosen.json)


def compiled_bqm(made: qa.CompiledAttention) -> dimod.BinaryQuadraticModel:
    """Return the model of a submission that has none yet."""
    made.__dict__.pop("submissions", None)
    return made.submissions[0].bqm


if __name__ == "__main__":
    main()
