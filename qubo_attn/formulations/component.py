"""Priced components one at a time, as dense matrices: what weights are checked on again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from qubo_attn.common.arrays import Array, Bools, Floats, Longs
from qubo_attn.ir.columns import Kind
from qubo_attn.ir.program import Program


@dataclass(frozen=True, eq=False)
class Component:
    """Variables that nothing joins to others, and claims on their constraints.

    Attributes:
        linear, upper: float64, of each variable.
        form: float64, shape (n, n), symmetric: ``linear.x + x.form.x`` is the objective.
        claims: int64, the number of each constraint among all claims.
        coef: float64, shape (claims, n); rhs: float64, right-hand sides.
        gate: which constraints are gates.
        complete: whether every constraint of these variables is among the claims.
    """

    linear: Floats
    upper: Floats
    form: Floats
    claims: Longs
    coef: Floats
    rhs: Floats
    gate: Bools
    complete: bool

    @property
    def states(self) -> float:
        """How many points there are."""
        return float(np.prod(self.upper + 1))

    @property
    def size(self) -> float:
        """Sum of all coefficients, times what their variables reach."""
        sizes = np.abs(self.form) @ self.upper
        return float(np.abs(self.linear) @ self.upper + sizes @ self.upper)

    def in_units(self) -> tuple[Component, float]:
        """Return the component at unit size, and the power of two that it was divided by."""
        largest = max(np.abs(self.linear).max(), np.abs(self.form).max())
        if largest == 0:
            return self, 1.0
        unit = float(2.0 ** (np.frexp(largest)[1] - 1))
        return replace(self, linear=self.linear / unit, form=self.form / unit), unit

    def energies(self, points: Array) -> Floats:
        """Return the objective at each of ``points``, shape (m, n)."""
        return np.asarray(points @ self.linear + ((points @ self.form) * points).sum(axis=1))


def components(program: Program, index: Longs) -> Iterator[Component]:
    """Yield the components that hold the constraints ``index``.

    Args:
        program: before its constraints are priced.
        index: int64, constraints on whose prices something is claimed.
    """
    c, o, owner = program.constraints, program.objective, program.components
    first = owner[c.var[c.ptr[:-1]]]
    place = np.zeros(len(program), np.int64)
    claims, terms = _grouped(first[index]), _grouped(owner[o.i])
    members, rows = _grouped(owner), _grouped(first)
    nothing = np.zeros(0, np.int64)
    for number, mine in claims.items():
        var, couplers = members[number], terms.get(number, nothing)
        place[var] = np.arange(len(var))
        form = np.zeros((len(var), len(var)))
        i, j, half = place[o.i[couplers]], place[o.j[couplers]], 0.5 * o.bias[couplers]
        np.add.at(form, (i, j), half)
        np.add.at(form, (j, i), half)
        coef = np.zeros((len(mine), len(var)))
        for place_of_row, r in enumerate(index[mine].tolist()):
            entries = slice(c.ptr[r], c.ptr[r + 1])
            coef[place_of_row, place[c.var[entries]]] = c.coef[entries]
        yield Component(
            o.linear[var],
            program.variables.upper[var].astype(np.float64),
            form,
            mine,
            coef,
            c.rhs[index[mine]],
            c.kind[index[mine]] == Kind.GATE,
            len(rows[number]) == len(mine),
        )


def _grouped(owner: Array) -> dict[int, Longs]:
    """Return the places of each owner, by owner."""
    if not len(owner):
        return {}
    order = np.argsort(owner, kind="stable")
    numbers, starts = np.unique(owner[order], return_index=True)
    return dict(zip(numbers.tolist(), np.split(order, starts[1:]), strict=True))
