"""Certified weights of rows that add up to exactly k, with what proves them.

`qubo_attn.formulations.proofs` has the proofs. Rows whose keys have levels behind gates are proven
together with their gates (*levels*): the objective is a squared length above its least value, what
a shut gate lets through has a length of its own, and the triangle inequality says what it can gain;
see `kernels.leveled`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import product
from typing import Any

import numpy as np

from qubo_attn.common.arrays import Array, Bools, Floats, Longs, csr_rows, pointers
from qubo_attn.common.frozen import Portable
from qubo_attn.formulations.cardinality import Cardinality
from qubo_attn.formulations.leveled import ROUNDS, by_levels
from qubo_attn.formulations.proofs import (
    StepCosts,
    by_relaxation,
    by_steps,
    by_switches,
    by_walls,
    stands_alone,
    step_costs,
)
from qubo_attn.ir.columns import Constraints, Kind
from qubo_attn.ir.program import Program

STEPS = 40
MOST_BITS = 16


class Method(IntEnum):
    """The proof of a weight; its lower-case name is its name in reports."""

    STEPS = 0
    RELAXATION = 1
    SWITCHES = 2
    WALLS = 3
    LEVELS = 4


_PER_ROW = ("index", "weight", "slope", "margin", "method", "upper")


@dataclass(frozen=True, eq=False)
class Certificates(Portable):
    """Weights of rows with what proves them; one entry per row.

    Attributes:
        program: the program before its constraints were priced.
        index: int64, the row's number among the program's constraints.
        weight, slope: A and mu.
        margin: D, in energy units.
        method: int8, see `Method`.
        upper: proven upper bound on F(k), the objective of the row alone; NaN but for the
            relaxation and rows with levels.
        lower: proven lower bounds on F(m) for m = 0 .. n, row after row; zero likewise.
        witness: the selection behind ``upper``, entry after entry; zero likewise.
        steps: gradient steps of the relaxation.
    """

    program: Program
    index: Longs
    weight: Floats
    slope: Floats
    margin: Floats
    method: Array
    upper: Floats
    lower: Floats
    witness: Array
    steps: int

    def __len__(self) -> int:
        return len(self.index)

    @property
    def rows(self) -> Constraints:
        """The rows, in order."""
        return self.program.constraints.take(self.index)

    @property
    def labels(self) -> list[str]:
        """The names of the rows, for example ``pick[0,3]``."""
        return [self.program.constraints.label(int(r)) for r in self.index]

    def take(self, index: Longs | Bools) -> Certificates:
        """Return the certificates at ``index``, an index or boolean array."""
        rows, ptr = np.arange(len(self))[index], self.rows.ptr
        bounds = csr_rows(ptr + np.arange(len(ptr)), rows)[1]
        return replace(
            self,
            **{name: getattr(self, name)[rows] for name in _PER_ROW},
            lower=self.lower[bounds],
            witness=self.witness[csr_rows(ptr, rows)[1]],
        )

    def recheck(self, *, exact: bool = False) -> list[str]:
        """Prove every weight again, from the program alone.

        Bounds are worked out afresh, the witness is evaluated, and each inequality of the proof is
        tested count by count.

        Args:
            exact: also enumerate every assignment of rows of up to 16 bits that are priced by
                their sum and coupled to no other row.

        Returns:
            The labels of rows whose weight is not proven; empty when all are.
        """
        proven = np.zeros(len(self), bool)
        for method, is_proven in _CHECKS.items():
            rows = np.flatnonzero(self.method == method)
            if len(rows):
                proven[rows] = is_proven(self.take(rows))
        if exact:
            for r in np.flatnonzero(proven & (self.method <= Method.RELAXATION)).tolist():
                proven[r] = self._holds_everywhere(r)
        return [label for label, good in zip(self.labels, proven, strict=True) if not good]

    @property
    def tolerance(self) -> Floats:
        """What rounding may take off the margin of each row."""
        size = np.abs(self.weight) + np.abs(self.slope) + np.abs(self.margin)
        return np.asarray(1e-9 * (size + 1e-300))

    def pays_for(self, upper: Floats, lower: Floats) -> Bools:
        """Return which rows pay at least ``F(k) - F(m) + D`` for every m but k.

        Args:
            upper: bounds on F(k); lower: bounds on F(m), like the columns of these names.
        """
        sizes = np.diff(self.rows.ptr) + 1
        row = np.repeat(np.arange(len(self)), sizes)
        surplus = np.arange(len(row)) - (pointers(sizes)[:-1] + self.rows.counted.keep)[row]
        paid = self.weight[row] * surplus * surplus + self.slope[row] * surplus
        enough = paid >= upper[row] - lower + (self.margin - self.tolerance)[row]
        short = np.bincount(row, weights=~enough & (surplus != 0), minlength=len(self))
        return np.asarray(short == 0)

    def _holds_everywhere(self, r: int) -> bool:
        """Return whether a weight holds against every assignment of a small row on its own."""
        row = self.program.constraints.take(self.index[r : r + 1])
        o, upper = self.program.objective, self.program.variables.upper[row.var]
        touching = np.isin(o.i, row.var) != np.isin(o.j, row.var)
        if np.log2(upper + 1.0).sum() > MOST_BITS or touching.any():
            return True
        choices = np.array(list(product(*(range(int(u) + 1) for u in upper))), dtype=np.float64)
        points = np.zeros((len(choices), len(self.program)))
        points[:, row.var] = choices
        surplus = choices.sum(axis=1) - row.counted.keep[0]
        energies = o.energies(points)
        total = energies + self.weight[r] * surplus**2 + self.slope[r] * surplus
        least = energies[surplus == 0].min() + self.margin[r] - self.tolerance[r]
        return bool((total[surplus != 0] >= least).all())


def certify(
    program: Program,
    index: Longs,
    margin: Floats,
    *,
    relax: bool = True,
    steps: int = STEPS,
    form: Array | None = None,
    costs: StepCosts | None = None,
) -> Certificates:
    """Return the smallest proven weights of rows that add up to exactly k.

    Args:
        program: before its constraints are priced.
        index: int64, the rows.
        margin: D of each row, in energy units.
        relax: also try the relaxation, where a row is dense, of bits, and coupled to no other; the
            smaller weight wins.
        steps: gradient steps of the relaxation.
        form: the `Cardinality` of each row; None where all are dense.
        costs: of the rows, see `step_costs`; worked out when None.
    """
    rows = program.constraints.take(index)
    costs = step_costs(program, rows) if costs is None else costs
    form = np.full(len(rows), Cardinality.DENSE) if form is None else form
    weight, slope = by_steps(costs, margin)
    method = np.full(len(rows), Method.STEPS, np.int8)
    upper, lower = np.full(len(rows), np.nan), np.zeros(len(rows.var) + len(rows))
    witness = np.zeros(len(rows.var), np.uint8)
    network, grid = form == Cardinality.NETWORK, form == Cardinality.GRID
    if network.any():
        method[network] = Method.SWITCHES
        weight[network], slope[network] = by_switches(costs.take(network), margin[network])
    if grid.any():
        method[grid] = Method.WALLS
        weight[grid], slope[grid] = by_walls(program, index[grid], costs.take(grid), margin[grid])
    if relax:
        alone = (form == Cardinality.DENSE) & stands_alone(program, rows)
        proof = by_relaxation(program, rows.take(alone), margin[alone], steps)
        upper[alone], witness[alone[rows.row]] = proof.upper, proof.witness
        lower[np.repeat(alone, np.diff(rows.ptr) + 1)] = proof.lower
        better = proof.weight < weight[alone]
        row = np.flatnonzero(alone)[better]
        weight[row], slope[row] = proof.weight[better], proof.slope[better]
        method[row] = Method.RELAXATION
    return Certificates(program, index, weight, slope, margin, method, upper, lower, witness, steps)


def certify_levels(program: Program, index: Longs, share: float) -> Certificates:
    """Return proven weights of exactly-k rows whose keys have levels, and of their gates.

    Args:
        program, index, share: see `by_levels`.
    """
    columns = by_levels(program, index, share)._asdict()
    method = np.full(len(index), Method.LEVELS, np.int8)
    return Certificates(program, index, method=method, steps=ROUNDS, **columns)


def joined(parts: list[Certificates]) -> Certificates:
    """Return the certificates of several parts of one program."""
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in (*_PER_ROW, "lower", "witness")
    }
    return replace(parts[0], **columns)


def _steps_hold(proof: Certificates) -> Bools:
    up, down = step_costs(proof.program, proof.rows)
    most = proof.tolerance - proof.margin
    rises, falls = up - proof.weight + proof.slope, down - proof.weight - proof.slope
    return np.asarray((rises <= most) & (falls <= most))


def _relaxation_holds(proof: Certificates) -> Bools:
    program, rows = proof.program, proof.rows
    again = by_relaxation(program, rows, proof.margin, proof.steps)
    upper = _objectives(program, rows, again.witness)
    return stands_alone(program, rows) & proof.pays_for(upper, again.lower)


def _switches_hold(proof: Certificates) -> Bools:
    return _steps_hold(proof) & (proof.weight >= proof.margin / 2 - proof.tolerance)


def _walls_hold(proof: Certificates) -> Bools:
    costs = step_costs(proof.program, proof.rows)
    again = by_walls(proof.program, proof.index, costs, proof.margin)
    return np.asarray(proof.weight >= again.weight - proof.tolerance)


def _levels_hold(proof: Certificates) -> Bools:
    again = by_levels(proof.program, proof.index, 0.0)
    gates = proof.weight >= again.weight + proof.margin - proof.tolerance
    is_gate = proof.rows.kind == Kind.GATE
    return np.where(is_gate, gates, proof.pays_for(again.upper, again.lower))


_CHECKS: dict[Method, Callable[[Certificates], Bools]] = {
    Method.STEPS: _steps_hold,
    Method.RELAXATION: _relaxation_holds,
    Method.SWITCHES: _switches_hold,
    Method.WALLS: _walls_hold,
    Method.LEVELS: _levels_hold,
}


def _objectives(program: Program, rows: Constraints, chosen: Array) -> Floats:
    """Return the objective of each row alone, at ``chosen``, entry after entry."""
    o, owner = program.objective, rows.owners(len(program))
    point = np.zeros(len(program))
    point[rows.var] = chosen
    inside = (owner[o.i] >= 0) & (owner[o.i] == owner[o.j])
    i, j = o.i[inside], o.j[inside]
    fields = np.bincount(rows.row, o.linear[rows.var] * chosen, len(rows))
    return np.asarray(
        fields + np.bincount(owner[i], o.bias[inside] * point[i] * point[j], len(rows))
    )
