"""What other software takes for the same quadratic models.

``E(z) = sum_i (0.05 - s_i) z_i + 0.1 sum_{i<j} s_i s_j z_i z_j + 3 sum_rows (sum z - k)^2``, pairs
within a row of one head and query:

    W1  1 row of 512 keys, k = 16           W2  8 x 64 rows of 64 keys, k = 8
    W3  12 x 128 rows of 128 keys, k = 16

Every route starts from the scores and ends with its own model, whose energy at one point is
compared. ``ours compile`` is ``compile(..., target=None).submissions.to_vectors()``, every key
kept: checked input, a program before and after each pass, and the arrays. ``ours arrays`` is the
part of it that writes linear biases and couplers, ``Program.total()``; ``ours kernel`` the loop in
that for the couplers alone. ``ours model`` goes on to ``submissions[0].bqm``. ``ours again`` is
``.bqm`` of a second batch, made by ``rebind``, once its arrays are there (``ours again: arrays``);
``dimod ready`` is dimod's fastest call on arrays that are there.

The ratios say how many times faster ours is. CPU seconds, medians of rounds in which everything has
its turn; dimod's slower routes and other software run once. Packages that are not installed are
said to be absent; ``--python`` names the interpreter of an environment that has them. A route gets
``--limit`` seconds of wall time and ``--memory`` GiB; once it ran out, it is not tried on larger
workloads.
sparse-qubo is not run: importing it imports Amplify, whose licence restricts research use.
With ``--data``, scores are logits of real attention, repeated to the shape.

    python benchmarks/peers.py --data DIR --workloads W1 W2 --limit 60 --json
"""

from __future__ import annotations

import gc
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import dimod
import numpy as np
from common import attention_files, finish, parser

import qubo_attn as qa
from qubo_attn import kernels
from qubo_attn.common.frozen import replaced
from qubo_attn.ir.program import Program
from qubo_attn.pipeline.pipeline import PRICED, UNPRICED, Fact
from qubo_attn.pipeline.rewrite import Rewrite

# Heads, queries, keys, k.
WORKLOADS = {"W1": (1, 1, 512, 16), "W2": (8, 64, 64, 8), "W3": (12, 128, 128, 16)}
ALPHA, PRICE = 0.05, 3.0
PEERS = ("pyqubo", "ommx", "qiskit_optimization", "cimod", "qubovert")
ROUTES = Path(__file__).with_name("peer_routes.py")


@dataclass(frozen=True)
class Fixed:
    """Price every constraint at one weight, as the other routes do."""

    name: ClassVar[str] = "fixed"
    needs: ClassVar[frozenset[Fact]] = frozenset({UNPRICED})
    ensures: ClassVar[frozenset[Fact]] = frozenset({PRICED})
    breaks: ClassVar[frozenset[Fact]] = frozenset({UNPRICED})

    def apply(self, program: Program) -> Rewrite:
        c = program.constraints
        priced = replaced(c, weight=np.full(len(c), PRICE), slope=np.zeros(len(c)))
        return Rewrite(program.replace(constraints=priced), qa.Lift.identity(len(program)))


def logits(folder: str | None) -> np.ndarray | None:
    """Return all logits of the attention files that are not masked; None without a folder."""
    if folder is None:
        return None
    found = [arrays["scores"].ravel() for _, _, arrays in attention_files(folder)]
    every = np.concatenate(found).astype(np.float64)
    return every[np.isfinite(every)]


def drawn(known: np.ndarray | None, shape: tuple[int, ...], batch: int) -> np.ndarray:
    """Return the scores of a batch: known logits from another place on, or normal ones."""
    if known is None:
        return np.random.default_rng(batch).normal(size=shape)
    return np.resize(np.roll(known, -7919 * batch), shape)


def point(variables: int) -> np.ndarray:
    """Return the point at which energies are compared."""
    return (np.random.default_rng(1).random(variables) < 0.2).astype(np.int8)


def reference(scores: np.ndarray, k: int) -> float:
    """Return the energy at the point, worked out row by row."""
    z = point(scores.size).astype(float).reshape(-1, scores.shape[-1])
    terms = scores.reshape(z.shape) * z
    chosen = terms.sum(axis=1)
    pairs = chosen**2 - (terms**2).sum(axis=1)
    linear = ALPHA * z.sum(axis=1) - chosen
    return float((linear + ALPHA * pairs + PRICE * (z.sum(axis=1) - k) ** 2).sum())


def compiled(scores: np.ndarray, k: int) -> qa.CompiledAttention:
    return qa.compile(
        scores,
        len(scores),
        select=qa.ExactlyK(k),
        objective=qa.Selection(ALPHA),
        passes=(Fixed(),),
        target=None,
    )


class Clock:
    """CPU seconds of calls by name, and the energies of the models they gave."""

    def __init__(self) -> None:
        self.spent: dict[str, list[float]] = {}
        self.checked: set[str] = set()

    def time(self, name: str, call: Callable[[], Any]) -> Any:
        start = time.process_time()
        made = call()
        self.spent.setdefault(name, []).append(time.process_time() - start)
        return made

    def check(self, name: str, model: dimod.BinaryQuadraticModel, expected: float) -> None:
        """Compare the energy of a model, in the first round of a name."""
        if name in self.checked:
            return
        self.checked.add(name)
        found = float(model.energies(point(model.num_variables))[0])
        if not np.isclose(found, expected, rtol=1e-9):
            raise SystemExit(f"{name} gives {found}, expected {expected}")

    def medians(self) -> dict[str, float]:
        return {name: float(np.median(times)) for name, times in self.spent.items()}


def by_dimod(clock: Clock, scores: np.ndarray, k: int, slow: bool) -> None:
    """Time dimod's routes from scores to a model."""
    n = scores.shape[-1]
    logit, rows = scores.ravel(), scores.size // n
    expected = reference(scores, k)

    def model(linear: np.ndarray, square: float, offset: float) -> dimod.BinaryQuadraticModel:
        up = np.stack(np.triu_indices(n, 1)).astype(np.int32)
        start = np.arange(rows, dtype=np.int32)[:, np.newaxis] * n
        i, j = (start + up[0]).ravel(), (start + up[1]).ravel()
        bias = (2 * ALPHA) * logit[i] * logit[j] + square
        make = dimod.BinaryQuadraticModel.from_numpy_vectors
        return make(linear, (i, j, bias), offset, "BINARY")

    def vectors() -> dimod.BinaryQuadraticModel:
        linear = ALPHA - logit + PRICE * (1 - 2 * k)
        return model(linear, 2 * PRICE, PRICE * k * k * rows)

    def equality() -> dimod.BinaryQuadraticModel:
        made = model(ALPHA - logit, 0.0, 0.0)
        for r in range(rows):
            terms = [(v, 1) for v in range(r * n, r * n + n)]
            made.add_linear_equality_constraint(terms, PRICE, -k)
        return made

    def constrained() -> dimod.BinaryQuadraticModel:
        made = dimod.ConstrainedQuadraticModel.from_bqm(model(ALPHA - logit, 0.0, 0.0))
        for r in range(rows):
            made.add_constraint([(v, 1) for v in range(r * n, r * n + n)], "==", k)
        return dimod.cqm_to_bqm(made, PRICE)[0]

    clock.check("dimod vectors", clock.time("dimod vectors", vectors), expected)
    if slow:
        clock.check("dimod equality", clock.time("dimod equality", equality), expected)
        clock.check("dimod cqm", clock.time("dimod cqm", constrained), expected)


def by_us(clock: Clock, first: np.ndarray, second: np.ndarray, k: int) -> None:
    """Time our arrays and models, of a first batch and of a second."""
    ptr = np.arange(first.size // first.shape[-1] + 1) * first.shape[-1]
    square = np.full(len(ptr) - 1, 2 * PRICE)
    pairs = int(kernels.count_pairs(ptr))

    def kernel() -> None:
        i, j, bias = np.empty(pairs, np.int32), np.empty(pairs, np.int32), np.empty(pairs)
        kernels.selection_into(ptr, first.ravel(), ALPHA, square, i, j, bias)

    def whole() -> qa.CompiledAttention:
        made = compiled(first, k)
        made.submissions.to_vectors()
        return made

    clock.time("ours kernel", kernel)
    priced = compiled(first, k).program
    clock.time("ours arrays", priced.total)
    del priced
    made = clock.time("ours compile", whole)
    part = made.submissions[0]
    clock.check("ours model", clock.time("ours model", lambda: part.bqm), reference(first, k))
    make, vectors = dimod.BinaryQuadraticModel.from_numpy_vectors, part.to_vectors()
    columns = vectors.linear, vectors.quadratic, vectors.offset, vectors.vartype
    clock.time("dimod ready", lambda: make(*columns))
    following = clock.time("ours again: arrays", lambda: rebound(made, second))
    part = following.submissions[0]
    clock.check("ours again", clock.time("ours again", lambda: part.bqm), reference(second, k))


def rebound(made: qa.CompiledAttention, scores: np.ndarray) -> qa.CompiledAttention:
    """Return the next batch with its arrays worked out."""
    following = made.rebind(scores)
    following.submissions.to_vectors()
    return following


def visit(
    python: str, route: str, scores: np.ndarray, k: int, limit: float, memory: float
) -> dict[str, Any]:
    """Return what a route told under another interpreter."""
    n = scores.shape[-1]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scores.npy"
        np.save(file, scores.reshape(-1, n))
        shape = map(str, (scores.size // n, n, k))
        command = [python, str(ROUTES), route, *shape, str(file), str(int(memory * 2**30))]
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=limit, check=False
            )
        except subprocess.TimeoutExpired:
            spent = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
            return {"over": f"{limit:g} s", "at least": spent}
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"ended with {done.returncode}"]
        if "MemoryError" in lines[-1] or "bad_alloc" in done.stderr:
            return {"over": f"{memory:g} GiB"}
        return {"failed": lines[-1][:200]}
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def ratios(times: dict[str, float], pyqubo: float | None) -> dict[str, float]:
    """Return how many times faster ours is."""
    best = min(times[name] for name in ("dimod vectors", "dimod equality", "dimod cqm"))
    facts = {
        "arrays vs dimod": best / times["ours arrays"],
        "compile vs dimod": best / times["ours compile"],
        "model vs dimod": best / (times["ours compile"] + times["ours model"]),
        "first model vs ready": times["dimod ready"] / times["ours model"],
        "again vs ready": times["dimod ready"] / times["ours again"],
        "second batch vs dimod": best / (times["ours again: arrays"] + times["ours again"]),
    }
    if pyqubo is not None:
        facts["arrays vs pyqubo"] = pyqubo / times["ours arrays"]
        facts["compile vs pyqubo"] = pyqubo / times["ours compile"]
    return facts


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=["W1", "W2"])
    options.add_argument("--limit", type=float, default=60.0, help="seconds for each other route")
    options.add_argument("--memory", type=float, default=8.0, help="GiB for each other route")
    options.add_argument("--python", default=sys.executable, help="interpreter that has the peers")
    options.add_argument("--peers", nargs="*", choices=PEERS, default=PEERS)
    options.add_argument("--data", help="folder of attention files; normal scores without")
    options.add_argument("--repeats", type=int, default=5)
    chosen = options.parse_args()
    known = logits(chosen.data)
    facts: dict[str, Any] = {}
    spent: dict[str, dict[str, Any]] = {}
    for name in sorted(chosen.workloads):
        *shape, k = WORKLOADS[name]
        first, second = (drawn(known, tuple(shape), batch) for batch in range(2))
        # With little first, which compiles every kernel.
        by_us(Clock(), first[:1, :1, :32], second[:1, :1, :32], 2)
        clock = Clock()
        for repeat in range(chosen.repeats):
            gc.collect()
            by_dimod(clock, first, k, slow=not repeat)
            by_us(clock, first, second, k)
        times = clock.medians()
        table: dict[str, Any] = dict(times)
        for route, seconds in times.items():
            print(f"{name}  {route:<24} {1e3 * seconds:12.3f} ms", flush=True)
        expected = reference(first, k)
        for route in chosen.peers:
            told = spent.get(route) or visit(
                chosen.python, route, first, k, chosen.limit, chosen.memory
            )
            if "over" in told:
                spent[route] = told
            if "energy" in told and not np.isclose(told["energy"], expected):
                raise SystemExit(f"{route} gives {told['energy']}, expected {expected}")
            table[route] = told
            shown = f"{1e3 * told['seconds']:12.3f} ms" if "seconds" in told else str(told)
            print(f"{name}  {route:<24} {shown}  {told.get('version', '')}", flush=True)
        table["ratios"] = ratios(times, table.get("pyqubo", {}).get("seconds"))
        for ratio, value in table["ratios"].items():
            print(f"{name}  {ratio:<24} {value:12.2f} x", flush=True)
        facts[name] = table
    finish(facts, chosen.json)


if __name__ == "__main__":
    main()
