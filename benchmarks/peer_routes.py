"""One route of other software, for `peers.py`, which runs this file by another interpreter.

Arguments are the route, rows, keys, k, the file of scores, and bytes of memory. It prints what the
route took, its version and the energy of its model at one point. Only NumPy and the route's own
package have to be there.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

DISTRIBUTION = {"qiskit_optimization": "qiskit-optimization", "cimod": "jij-cimod"}
ALPHA, PRICE = 0.05, 3.0

Energy = Callable[[], float]


class Rows(NamedTuple):
    """The problem: scores of shape (rows, n), k keys of each row, and the point."""

    scores: np.ndarray
    k: int
    point: list[int]

    @property
    def linear(self) -> np.ndarray:
        return (ALPHA - self.scores).ravel()

    def ranges(self) -> Iterator[range]:
        """Yield the variables of each row."""
        rows, n = self.scores.shape
        return (range(r * n, r * n + n) for r in range(rows))

    def pairs(self) -> Iterator[tuple[int, int, float]]:
        """Yield all couplers."""
        rows, n = self.scores.shape
        for r in range(rows):
            for a in range(n):
                for b in range(a + 1, n):
                    bias = 2 * ALPHA * float(self.scores[r, a] * self.scores[r, b])
                    yield r * n + a, r * n + b, bias


def pyqubo(package: Any, rows: Rows) -> Energy:
    z = [package.Binary(str(v)) for v in range(rows.scores.size)]
    h = sum(float(a) * x for a, x in zip(rows.linear, z, strict=True))
    h += sum(w * z[a] * z[b] for a, b, w in rows.pairs())
    for row in rows.ranges():
        h += PRICE * (sum(z[v] for v in row) - rows.k) ** 2
    model = h.compile().to_bqm()
    return lambda: float(model.energy({str(v): x for v, x in enumerate(rows.point)}))


def ommx(package: Any, rows: Rows) -> Energy:
    v1 = importlib.import_module("ommx.v1")
    z = [v1.DecisionVariable.binary(v) for v in range(rows.scores.size)]
    first, second, values = zip(*rows.pairs(), strict=True)
    linear = v1.Linear(terms=dict(enumerate(rows.linear.tolist())))
    objective = v1.Quadratic(rows=first, columns=second, values=values, linear=linear)
    rules = [sum(z[v] for v in row) == rows.k for row in rows.ranges()]
    instance = v1.Instance.from_components(
        decision_variables=z,
        objective=objective,
        constraints=rules,
        sense=v1.Instance.MINIMIZE,
    )
    q, offset = instance.to_qubo(uniform_penalty_weight=PRICE)
    x = rows.point
    return lambda: float(offset + sum(w * x[a] * x[b] for (a, b), w in q.items()))


def qiskit_optimization(package: Any, rows: Rows) -> Energy:
    converters = importlib.import_module("qiskit_optimization.converters")
    program = package.QuadraticProgram()
    for v in range(rows.scores.size):
        program.binary_var(str(v))
    program.minimize(linear=rows.linear, quadratic={(a, b): w for a, b, w in rows.pairs()})
    for number, row in enumerate(rows.ranges()):
        program.linear_constraint(dict.fromkeys(row, 1), "==", rows.k, str(number))
    priced = converters.LinearEqualityToPenalty(PRICE).convert(program)
    return lambda: float(priced.objective.evaluate(rows.point))


def cimod(package: Any, rows: Rows) -> Energy:
    linear = {v: float(a) + PRICE * (1 - 2 * rows.k) for v, a in enumerate(rows.linear)}
    couplers = {(a, b): w + 2 * PRICE for a, b, w in rows.pairs()}
    offset = PRICE * rows.k * rows.k * len(rows.scores)
    model = package.BinaryQuadraticModel(linear, couplers, offset, "BINARY")
    return lambda: float(model.energy(dict(enumerate(rows.point))))


def qubovert(package: Any, rows: Rows) -> Energy:
    model = package.PCBO({(v,): float(a) for v, a in enumerate(rows.linear)})
    for a, b, w in rows.pairs():
        model[(a, b)] += w
    for row in rows.ranges():
        rule: dict[tuple[int, ...], int] = {(v,): 1 for v in row}
        rule[()] = -rows.k
        model.add_constraint_eq_zero(rule, lam=PRICE)
    q = model.to_qubo()
    return lambda: float(q.value(dict(enumerate(rows.point))))


PEERS: dict[str, Callable[[Any, Rows], Energy]] = {
    route.__name__: route for route in (pyqubo, ommx, qiskit_optimization, cimod, qubovert)
}


def main() -> None:
    name, _, n, k, file, memory = sys.argv[1], *sys.argv[2:]
    resource.setrlimit(resource.RLIMIT_AS, (int(memory), -1))
    try:
        package = importlib.import_module(name)
    except ImportError:
        print(json.dumps({"absent": True}))
        return
    scores = np.load(file).reshape(-1, int(n))
    point = (np.random.default_rng(1).random(scores.size) < 0.2).astype(int).tolist()
    start, cpu = time.perf_counter(), time.process_time()
    energy = PEERS[name](package, Rows(scores, int(k), point))
    facts: dict[str, Any] = {
        "seconds": time.process_time() - cpu,
        "wall": time.perf_counter() - start,
        "energy": energy(),
        "version": importlib.metadata.version(DISTRIBUTION.get(name, name)),
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
