"""Models as OMMX instances, which adapters of many machines and solvers read (package ommx)."""

from __future__ import annotations

from typing import Any

import numpy as np

from qubo_attn.errors import MissingExtraError
from qubo_attn.interchange.bits import Bits
from qubo_attn.ir.columns import Sense


def to_ommx(bits: Bits) -> bytes:
    """Return a model as an OMMX instance (``ommx.v1.Instance.to_bytes``).

    Constraints are ``c.x - d = 0`` or ``c.x - d <= 0``.

    Raises:
        MissingExtraError: the package ommx is not installed.
    """
    v1, c = _v1(), bits.constraints
    linear = v1.Linear(terms=dict(enumerate(bits.linear.tolist())), constant=bits.offset)
    ends = {"columns": bits.low.tolist(), "rows": bits.high.tolist()}
    objective = v1.Quadratic(**ends, values=bits.bias.tolist(), linear=linear)
    signs = {True: v1.Constraint.EQUAL_TO_ZERO, False: v1.Constraint.LESS_THAN_OR_EQUAL_TO_ZERO}
    rules = []
    for row, (start, stop) in enumerate(zip(c.ptr[:-1].tolist(), c.ptr[1:].tolist(), strict=True)):
        terms = zip(c.var[start:stop].tolist(), c.coef[start:stop].tolist(), strict=True)
        equal = bool(c.sense[row] == Sense.EQ)
        rules.append(
            v1.Constraint(
                id=row,
                function=v1.Linear(terms=dict(terms), constant=-float(c.rhs[row])),
                equality=signs[equal],
                name=c.label(row),
            )
        )
    instance = v1.Instance.from_components(
        decision_variables=[v1.DecisionVariable.binary(v) for v in range(len(bits.linear))],
        objective=objective,
        constraints=rules,
        sense=v1.Instance.MINIMIZE,
    )
    return bytes(instance.to_bytes())


def from_ommx(data: bytes) -> Bits:
    """Read an instance over bits without constraints.

    Raises:
        MissingExtraError: the package ommx is not installed.
        ValueError: it has constraints, other variables than bits, or terms of a higher degree.
    """
    v1 = _v1()
    instance = v1.Instance.from_bytes(data)
    variables = instance.decision_variables
    if instance.constraints:
        raise ValueError(f"it holds {len(instance.constraints)} constraints; a QUBO has none")
    if any(variable.kind != v1.DecisionVariable.BINARY for variable in variables):
        raise ValueError("a variable is no bit")
    objective = instance.objective
    if objective.degree() > 2:
        raise ValueError(f"its objective has terms of degree {objective.degree()}")
    place = {variable.id: number for number, variable in enumerate(variables)}
    linear = np.zeros(len(place))
    for name, value in objective.linear_terms.items():
        linear[place[name]] = value
    ends: dict[tuple[int, int], float] = {}
    for (one, other), value in objective.quadratic_terms.items():
        i, j = sorted((place[one], place[other]))
        if i == j:
            linear[i] += value
        else:
            ends[i, j] = ends.get((i, j), 0.0) + value
    pairs = np.array(sorted(ends), np.int64).reshape(-1, 2)
    bias = np.array([ends[i, j] for i, j in sorted(ends)])
    if instance.sense == v1.Instance.MAXIMIZE:
        return Bits(-linear, pairs[:, 0], pairs[:, 1], -bias, -float(objective.constant_term))
    return Bits(linear, pairs[:, 0], pairs[:, 1], bias, float(objective.constant_term))


def _v1() -> Any:  # the module, whose members have loose types
    try:
        from ommx import v1
    except ImportError as error:
        raise MissingExtraError(
            "OMMX instances need ommx: pip install ommx (extra [ommx])", extra="ommx"
        ) from error
    return v1
