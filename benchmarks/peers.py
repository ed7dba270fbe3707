"""What other software takes for the same quadratic models.

``E(z) = -s.z + 0.1 sum_{i<j} s_i s_j z_i z_j + 3 sum_rows (sum z - k)^2``, rows of one head, query:

    W1  1 row of 512 keys, k = 16           W2  8 x 64 rows of 64 keys, k = 8
    W3  12 x 128 rows of 128 keys, k = 16

``ours`` writes arrays into fresh memory; ``ours bqm`` makes a dimod model of them besides, and
``ours again`` the next one of the same couplers, from a copy of the first with new linear biases.
Each other route starts from the scores and ends with its own model, whose energy at one point is
compared. Packages that are not installed are said to be absent; they can be installed elsewhere,
with ``--python`` naming that environment's interpreter. A route gets ``--limit`` seconds; one that
ran out of them is not tried on larger workloads. sparse-qubo has no
route here. Medians of wall time; peers besides dimod run once.

    python benchmarks/peers.py --workloads W1 W2 --limit 60 --json
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from common import finish, parser

WORKLOADS = {"W1": (1, 512, 16), "W2": (512, 64, 8), "W3": (1536, 128, 16)}
ALPHA, PRICE = 0.05, 3.0
PEERS = ("pyqubo", "ommx", "qiskit_optimization", "cimod", "qubovert")

# Runs under any interpreter, without qubo_attn: arguments are route, rows, keys and k.
ROUTES = """
import importlib.metadata, json, sys, time
route, rows, n, k = sys.argv[1], *map(int, sys.argv[2:5])
DISTRIBUTION = {"qiskit_optimization": "qiskit-optimization", "cimod": "jij-cimod"}
try:
    __import__(route)
except ImportError:
    print(json.dumps({"absent": True})); raise SystemExit
import numpy as np
ALPHA, PRICE = 0.05, 3.0
S = np.random.default_rng(0).normal(size=(rows, n))
POINT = (np.random.default_rng(1).random(rows * n) < 0.2).astype(int).tolist()

def pairs():
    for r in range(rows):
        for a in range(n):
            for b in range(a + 1, n):
                yield r * n + a, r * n + b, 2 * ALPHA * float(S[r, a] * S[r, b])

def pyqubo():
    from pyqubo import Binary
    z = [Binary(str(v)) for v in range(rows * n)]
    h = sum(-float(s) * x for s, x in zip(S.ravel(), z))
    h += sum(w * z[a] * z[b] for a, b, w in pairs())
    for r in range(rows):
        h += PRICE * (sum(z[r * n:r * n + n]) - k) ** 2
    model = h.compile().to_bqm()
    return lambda: model.energy({str(v): x for v, x in enumerate(POINT)})

def ommx():
    from ommx.v1 import DecisionVariable, Instance
    z = [DecisionVariable.binary(v) for v in range(rows * n)]
    objective = sum(-float(s) * x for s, x in zip(S.ravel(), z))
    objective = objective + sum(w * z[a] * z[b] for a, b, w in pairs())
    rules = [sum(z[r * n:r * n + n]) == k for r in range(rows)]
    rules = dict(enumerate(rules))
    instance = Instance.from_components(decision_variables=z, objective=objective,
                                        constraints=rules, sense=Instance.MINIMIZE)
    q, offset = instance.to_qubo(uniform_penalty_weight=PRICE)
    return lambda: offset + sum(w * POINT[a] * POINT[b] for (a, b), w in q.items())

def qiskit_optimization():
    from qiskit_optimization import QuadraticProgram
    from qiskit_optimization.converters import LinearEqualityToPenalty
    program = QuadraticProgram()
    for v in range(rows * n):
        program.binary_var(str(v))
    program.minimize(linear=-S.ravel(), quadratic={(a, b): w for a, b, w in pairs()})
    for r in range(rows):
        program.linear_constraint({v: 1 for v in range(r * n, r * n + n)}, "==", k, str(r))
    made = LinearEqualityToPenalty(PRICE).convert(program)
    return lambda: made.objective.evaluate(POINT)

def cimod():
    import cimod
    linear = {v: -float(s) + PRICE * (1 - 2 * k) for v, s in enumerate(S.ravel())}
    model = cimod.BinaryQuadraticModel(
        linear, {(a, b): w + 2 * PRICE for a, b, w in pairs()}, PRICE * k * k * rows, "BINARY")
    return lambda: model.energy(dict(enumerate(POINT)))

def qubovert():
    from qubovert import PCBO
    model = PCBO({(v,): -float(s) for v, s in enumerate(S.ravel())})
    for a, b, w in pairs():
        model[(a, b)] += w
    for r in range(rows):
        rule = {(v,): 1 for v in range(r * n, r * n + n)}
        rule[()] = -k
        model.add_constraint_eq_zero(rule, lam=PRICE)
    q = model.to_qubo()
    return lambda: q.value(dict(enumerate(POINT)))

start = time.perf_counter()
energy = globals()[route]()
spent = time.perf_counter() - start
print(json.dumps({"seconds": spent, "energy": float(energy()),
                  "version": importlib.metadata.version(DISTRIBUTION.get(route, route))}))
"""


def reference(scores: np.ndarray, k: int) -> float:
    """Return the energy of the point that every route is asked for, worked out row by row."""
    z = (np.random.default_rng(1).random(scores.size) < 0.2).astype(float).reshape(scores.shape)
    chosen = (scores * z).sum(axis=1)
    pairs = chosen**2 - ((scores * z) ** 2).sum(axis=1)
    return float((-chosen + ALPHA * pairs + PRICE * (z.sum(axis=1) - k) ** 2).sum())


def median(call: Callable[[], object], repeats: int = 3) -> float:
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def at_home(scores: np.ndarray, k: int) -> tuple[dict[str, float], dict[str, float]]:
    """Return seconds and energies of our arrays and models, and of dimod's three routes."""
    import dimod

    from qubo_attn import kernels

    rows, n = scores.shape
    logit, ptr = scores.ravel(), np.arange(rows + 1) * n
    pairs, square = int(kernels.count_pairs(ptr)), np.full(rows, 2 * PRICE)
    point = (np.random.default_rng(1).random(scores.size) < 0.2).astype(np.int8)
    made: dict[str, Any] = {}

    def arrays() -> tuple[np.ndarray, ...]:
        i, j = np.empty(pairs, np.int32), np.empty(pairs, np.int32)
        bias = np.empty(pairs)
        kernels.selection_into(ptr, logit, ALPHA, square, i, j, bias)
        return PRICE * (1 - 2 * k) - logit, i, j, bias

    def ours() -> None:
        linear, i, j, bias = arrays()
        offset = PRICE * k * k * rows
        made["ours bqm"] = dimod.BinaryQuadraticModel.from_numpy_vectors(
            linear, (i, j, bias), offset, "BINARY"
        )

    def again() -> None:
        # The pair terms are those of the first: only linear biases are new.
        made["ours again"].add_linear_from_array(np.zeros(rows * n))

    def vectors() -> None:
        up = np.stack(np.triu_indices(n, 1))
        first = (np.arange(rows)[:, None] * n + up[0]).ravel()
        second = (np.arange(rows)[:, None] * n + up[1]).ravel()
        bias = 2 * ALPHA * logit[first] * logit[second] + 2 * PRICE
        linear = PRICE * (1 - 2 * k) - logit
        made["dimod vectors"] = dimod.BinaryQuadraticModel.from_numpy_vectors(
            linear, (first, second, bias), PRICE * k * k * rows, "BINARY"
        )

    def objective() -> dimod.BinaryQuadraticModel:
        up = np.stack(np.triu_indices(n, 1))
        first = (np.arange(rows)[:, None] * n + up[0]).ravel()
        second = (np.arange(rows)[:, None] * n + up[1]).ravel()
        bias = 2 * ALPHA * logit[first] * logit[second]
        return dimod.BinaryQuadraticModel.from_numpy_vectors(
            -logit, (first, second, bias), 0.0, "BINARY"
        )

    def equality() -> None:
        model = objective()
        for r in range(rows):
            terms = [(v, 1) for v in range(r * n, r * n + n)]
            model.add_linear_equality_constraint(terms, PRICE, -k)
        made["dimod equality"] = model

    def cqm() -> None:
        model = dimod.ConstrainedQuadraticModel.from_bqm(objective())
        for r in range(rows):
            model.add_constraint([(v, 1) for v in range(r * n, r * n + n)], "==", k)
        made["dimod cqm"] = dimod.cqm_to_bqm(model, PRICE)[0]

    times = {"ours": median(arrays), "ours bqm": median(ours)}
    start = time.perf_counter()
    made["ours again"] = made["ours bqm"].copy()
    copied = time.perf_counter() - start
    times["ours linear only"] = median(again)
    times["ours again"] = copied + times["ours linear only"]
    times |= {
        "dimod vectors": median(vectors),
        "dimod equality": median(equality, 1),
        "dimod cqm": median(cqm, 1),
    }
    values = {
        name: float(model.energies((point, list(range(rows * n))))[0])
        for name, model in made.items()
    }
    return times, values


def visit(python: str, route: str, shape: tuple[int, int, int], limit: float) -> dict[str, Any]:
    """Return what a route told under another interpreter."""
    command = [python, "-c", ROUTES, route, *map(str, shape)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return {"over": limit}
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1][:200]}
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=["W1", "W2"])
    options.add_argument("--limit", type=float, default=60.0)
    options.add_argument("--python", default=sys.executable, help="interpreter that has the peers")
    chosen = options.parse_args()
    facts: dict[str, Any] = {}
    spent: set[str] = set()
    for name in sorted(chosen.workloads):
        rows, n, k = shape = WORKLOADS[name]
        scores = np.random.default_rng(0).normal(size=(rows, n))
        expected = reference(scores, k)
        times, values = at_home(scores, k)
        for route, value in values.items():
            if not np.isclose(value, expected):
                raise SystemExit(f"{route} gives {value}, expected {expected}")
        table: dict[str, Any] = dict(times)
        for route in PEERS:
            told = {"over": chosen.limit} if route in spent else {}
            told = told or visit(chosen.python, route, shape, chosen.limit)
            if "over" in told:
                spent.add(route)
            if "energy" in told and not np.isclose(told["energy"], expected):
                raise SystemExit(f"{route} gives {told['energy']}, expected {expected}")
            table[route] = told.get("seconds", told)
        facts[name] = table
        for route, value in table.items():
            shown = f"{1e3 * value:10.2f} ms" if isinstance(value, float) else f"{value}"
            print(f"{name}  {route:<20} {shown}", flush=True)
    finish(facts, chosen.json)


if __name__ == "__main__":
    main()
