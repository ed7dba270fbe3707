"""Certified weights of rows that add up to exactly k, and their proof.

``A (S - k)^2 + mu (S - k)`` vanishes where a row keeps exactly k keys, so mu is free. Two proofs
that it keeps the optimum by a margin D:

* *relaxation*: with F(m) the least objective over selections of m keys, it does exactly when
  ``A (m - k)^2 + mu (m - k) >= F(k) - F(m) + D`` for all m != k. A feasible point bounds F(k) from
  above, sorting and a convex relaxation bound F(m) from below; the least A over mu is then a
  maximum over pairs of counts (`kernels.certify_rows`).
* *steps*: from a point that chooses too few, adding a key changes the penalty by at most
  ``mu - A``; from one with too many, removing one changes it by at most ``-mu - A``. If some
  addition costs the objective at most ``up`` and some removal at most ``down``, then
  ``A = (up + down) / 2 + D``, ``mu = (down - up) / 2`` makes every such step fall by D. With mu = 0
  and coarser costs this is the weight of Verma and Lewis (2020). It holds whatever other rows do,
  so it serves rows that are coupled to others.

A = 0 is the linear penalty (Mirkarimi et al., arXiv 2404.05467), which needs no couplers.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from qubo_attn import kernels
from qubo_attn.arrays import Array, Bools, Floats, Longs, segment_ids
from qubo_attn.ir import Constraints, Program

METHODS = ("steps", "relaxation")
STEPS = 24
MOST_BITS = 16


@dataclass(frozen=True, eq=False)
class Certificates:
    """Weights of rows with what proves them; one entry per row.

    Attributes:
        program: the program before its constraints were priced.
        index: int64, the row's number among the program's constraints.
        weight, slope: A and mu.
        margin: D, in energy units.
        method: 0 for steps, 1 for the relaxation, see `METHODS`.
        upper: proven upper bound on F(k), the objective of the row alone; NaN for steps.
        lower: proven lower bounds on F(m) for m = 0 .. n, row after row; empty for steps.
        witness: the selection behind ``upper``, entry after entry; empty for steps.
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
        return [self.program.constraint_label(int(r)) for r in self.index]

    def recheck(self, *, exact: bool = False) -> list[str]:
        """Prove every weight again, from the program alone.

        Bounds are worked out afresh, the witness is evaluated, and each inequality of the proof is
        tested count by count.

        Args:
            exact: also enumerate every assignment of rows of up to 16 bits that are coupled to no
                other row.

        Returns:
            The labels of rows whose weight is not proven; empty when all are.
        """
        again = certify(
            self.program, self.index, self.margin, relax=bool(self.method.any()), steps=self.steps
        )
        rows, k = self.rows, np.rint(self.rows.rhs).astype(np.int64)
        up, down = step_costs(self.program, rows)
        failed = []
        for r, label in enumerate(self.labels):
            size = float(abs(self.weight[r]) + abs(self.slope[r]) + abs(self.margin[r]))
            tolerance = 1e-9 * (size + 1e-300)
            if self.method[r] == 0:
                good = bool(
                    up[r] - self.weight[r] + self.slope[r] <= -self.margin[r] + tolerance
                    and down[r] - self.weight[r] - self.slope[r] <= -self.margin[r] + tolerance
                )
            else:
                need = self._need(rows, r, int(k[r]), again.lower, again.witness)
                good = bool((self._penalty(rows, r, int(k[r])) >= need - tolerance).all())
            if good and exact:
                good = self._enumerated(rows, r, int(k[r]), tolerance)
            if not good:
                failed.append(label)
        return failed

    def _penalty(self, rows: Constraints, r: int, k: int) -> Floats:
        d = np.arange(rows.ptr[r + 1] - rows.ptr[r] + 1) - k
        return np.delete(self.weight[r] * d * d + self.slope[r] * d, k)

    def _need(self, rows: Constraints, r: int, k: int, lower: Floats, witness: Array) -> Floats:
        """Return ``F(k) - F(m) + D`` for all m != k, from the witness and the lower bounds."""
        entries = slice(rows.ptr[r], rows.ptr[r + 1])
        point = np.zeros((1, len(self.program)))
        point[0, rows.var[entries]] = witness[entries]
        upper = self.program.objective.energies(point)[0] - self.program.objective.offset
        bounds = lower[rows.ptr[r] + r : rows.ptr[r + 1] + r + 1]
        return np.delete(upper - bounds + self.margin[r], k)

    def _enumerated(self, rows: Constraints, r: int, k: int, tolerance: float) -> bool:
        """Return whether the weight holds against every assignment of a small row on its own."""
        var = rows.var[rows.ptr[r] : rows.ptr[r + 1]]
        o, upper = self.program.objective, self.program.variables.upper[var]
        touching = np.isin(o.i, var) != np.isin(o.j, var)
        if np.log2(upper + 1.0).sum() > MOST_BITS or touching.any():
            return True
        choices = np.array(list(product(*(range(int(u) + 1) for u in upper))), dtype=np.float64)
        points = np.zeros((len(choices), len(self.program)))
        points[:, var] = choices
        surplus = choices.sum(axis=1) - k
        energies = o.energies(points)
        total = energies + self.weight[r] * surplus**2 + self.slope[r] * surplus
        best = energies[surplus == 0].min()
        return bool((total[surplus != 0] >= best + self.margin[r] - tolerance).all())


def step_costs(program: Program, rows: Constraints) -> tuple[Floats, Floats]:
    """Return the cost of a step up and of a step down of each row; see `kernels.step_costs`."""
    o = program.objective
    square = o.i == o.j
    curvature = np.zeros(len(program))
    curvature[o.i[square]] = o.bias[square]
    return kernels.step_costs(
        rows.ptr,
        rows.var,
        np.rint(rows.rhs).astype(np.int64),
        o.linear,
        program.variables.upper,
        curvature,
        *kernels.adjacency(len(program), o.i[~square], o.j[~square], o.bias[~square]),
    )


def certify(
    program: Program,
    index: Longs,
    margin: Floats,
    *,
    relax: bool = True,
    steps: int = STEPS,
    costs: tuple[Floats, Floats] | None = None,
) -> Certificates:
    """Return the smallest proven weights of rows that add up to exactly k.

    Args:
        program: before its constraints are priced.
        index: int64, the rows.
        margin: D of each row, in energy units.
        relax: also try the relaxation, where a row is of bits and coupled to no other; the smaller
            weight wins.
        steps: gradient steps of the relaxation.
        costs: of the rows, see `step_costs`; worked out when None.
    """
    rows, o = program.constraints.take(index), program.objective
    count = np.rint(rows.rhs).astype(np.int64)
    up, down = step_costs(program, rows) if costs is None else costs
    # A row that takes none, or all, has steps in one direction only.
    up, down = np.where(np.isinf(up), -down, up), np.where(np.isinf(down), -up, down)
    # Without slack a step could be a rounding error short.
    slack = margin + 1e-12 * (np.abs(up) + np.abs(down))
    weight = np.maximum((up + down) / 2 + slack, 0)
    slope, method = (down - up) / 2, np.zeros(len(rows), np.int8)
    upper, lower = np.full(len(rows), np.nan), np.zeros(len(rows.var) + len(rows))
    witness = np.zeros(len(rows.var), np.uint8)
    if relax:
        alone = _alone(program, rows)
        part = rows.take(alone)
        adjacency = kernels.adjacency(len(program), o.i, o.j, o.bias)
        found = kernels.certify_rows(
            part.ptr, part.var, count[alone], o.linear, *adjacency, margin[alone], steps
        )
        better = found[0] < weight[alone]
        row = np.flatnonzero(alone)
        weight[row[better]], slope[row[better]] = found[0][better], found[1][better]
        method[row[better]], upper[row] = 1, found[2]
        entries = alone[segment_ids(rows.ptr)]
        counts = np.repeat(alone, np.diff(rows.ptr) + 1)
        lower[counts], witness[entries] = found[3], found[5]
    return Certificates(program, index, weight, slope, margin, method, upper, lower, witness, steps)


def step_scale(
    program: Program, index: Longs, costs: tuple[Floats, Floats] | None = None
) -> Floats:
    """Return the largest cost of a corrective flip of each row, the unit of relative margins.

    Args:
        program: before its constraints are priced.
        index: int64, the rows.
        costs: of the rows, see `step_costs`; worked out when None.
    """
    bare = certify(program, index, np.zeros(len(index)), relax=False, costs=costs)
    scale = np.maximum(np.abs(bare.weight + bare.slope), np.abs(bare.weight - bare.slope))
    # A row without any objective still has to be told apart from its infeasible points.
    return np.where(scale > 0, scale, 1.0)


def _alone(program: Program, rows: Constraints) -> Bools:
    """Return which rows are of bits, and coupled to no variable of another row or of none."""
    o = program.objective
    owner = np.full(len(program), -1, np.int64)
    owner[rows.var] = segment_ids(rows.ptr)
    crossing = owner[o.i] != owner[o.j]
    alone = np.ones(len(rows), bool)
    ends = np.concatenate([owner[o.i[crossing]], owner[o.j[crossing]]])
    alone[ends[ends >= 0]] = False
    wide = program.variables.upper[rows.var] > 1
    alone[segment_ids(rows.ptr)[wide]] = False
    return alone
