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

Rows whose keys have levels behind gates are proven together with their gates (*levels*): the
objective is a squared length above its least value, what a shut gate lets through has a length of
its own, and the triangle inequality says what it can gain; see `kernels.leveled`.

A = 0 is the linear penalty (Mirkarimi et al., arXiv 2404.05467), which needs no couplers.

A row need not be priced by a square of its sum:

* *switches* (`qubo_attn.formulations.switches`): excesses e of the switches add up to ``S - k``,
  and so do those of their prices ``A e^2 + mu e``. As ``sum e^2 >= |S - k|``, the proof by steps
  holds as it is; where broken switches cancel out, ``sum e^2 >= 2`` costs the margin if ``A >= D /
  2``.
* *walls* (`qubo_attn.formulations.walls`): broken walls let keys leave 0 and 1, by one unit a wall
  at most. Proof: the bit at row j and key i is linked to its right neighbour by a wall of key i +
  1, to the row above by one of key i; every wall belongs to one key so. A key below 0 has as many
  rows that fall there as units are missing, less those that rise, and each fall breaks a wall of
  its own. If r rows rise at a key, then between two of them, one after the other, the walls of that
  key lead
  from a one to a zero, so one of them is broken: at least r - 1, of which falls are those that
  lower the key. Hence ``sum (x - 1)^+ + sum (-x)^+ <= broken walls``.

  Now bring the keys back to 0 and 1, a unit at a time. Taking a unit away costs the objective at
  most ``high``, adding one at most ``low``, over all values that keys can have while walls are
  broken. Then correct the sum by steps as above. With ``s`` units too many and ``t`` missing,
  ``|s - t|`` steps are left, each upwards if s > t. For any number mu, the sum of keys being k,
  ``A = max(high + max(up, mu), low + max(down, -mu)) + D`` pays for all: removals are booked at
  ``high + mu``, additions at ``low - mu``, steps at ``up - mu`` or ``down + mu``. The least over mu
  is taken. Without couplers this is the distance of the dearest or cheapest key from the k-th.

  One key of a row without couplers: bits rise and fall in turns, and the objective is the sum of
  the costs where they rise less that where they fall. Without a fall and the dearer of the rises
  beside it, turns still alternate; so A = the highest hill between two valleys,
  ``max_e c_e - max(min_{p<e} c_p, min_{p>e} c_p)``, is enough, and it is the least that is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Array, Bools, Floats, Longs, csr_rows
from qubo_attn.common.frozen import Portable
from qubo_attn.common.threads import SUMS, by_rows, rows_at
from qubo_attn.formulations.walls import reach
from qubo_attn.ir.columns import Constraints, Kind
from qubo_attn.ir.program import Program
from qubo_attn.ir.quadratic import whole_rows
from qubo_attn.ir.rows import row_classes

METHODS = ("steps", "relaxation", "switches", "walls", "levels")
BY_STEPS, RELAXATION, SWITCHES, WALLS, LEVELS = range(5)
STEPS = 40
MOST_BITS = 16


_PER_ROW = ("index", "weight", "slope", "margin", "method", "upper")


@dataclass(frozen=True, eq=False)
class Certificates(Portable):
    """Weights of rows with what proves them; one entry per row.

    Attributes:
        program: the program before its constraints were priced.
        index: int64, the row's number among the program's constraints.
        weight, slope: A and mu.
        margin: D, in energy units.
        method: the number of the proof, see `METHODS`.
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
        return [self.program.constraint_label(int(r)) for r in self.index]

    def take(self, index: Longs | Bools) -> Certificates:
        """Return the certificates at ``index``, an index or boolean array."""
        mine = np.arange(len(self))[index]
        ptr = self.rows.ptr
        counts = csr_rows(ptr + np.arange(len(ptr)), mine)[1]
        return replace(
            self,
            **{name: getattr(self, name)[mine] for name in _PER_ROW},
            lower=self.lower[counts],
            witness=self.witness[csr_rows(ptr, mine)[1]],
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
        leveled = self.method == LEVELS
        if leveled.any():
            rest = self.take(~leveled).recheck(exact=exact) if not leveled.all() else []
            return rest + self.take(leveled)._recheck_levels()
        again = certify(
            self.program,
            self.index,
            self.margin,
            relax=bool((self.method == RELAXATION).any()),
            steps=self.steps,
            methods=self.method,
        )
        rows, k = self.rows, np.rint(self.rows.rhs).astype(np.int64)
        up, down = step_costs(self.program, rows)
        failed = []
        for r, label in enumerate(self.labels):
            size = float(abs(self.weight[r]) + abs(self.slope[r]) + abs(self.margin[r]))
            tolerance = 1e-9 * (size + 1e-300)
            if self.method[r] == WALLS:
                good = bool(self.weight[r] >= again.weight[r] - tolerance)
            elif self.method[r] != RELAXATION:
                good = bool(
                    up[r] - self.weight[r] + self.slope[r] <= -self.margin[r] + tolerance
                    and down[r] - self.weight[r] - self.slope[r] <= -self.margin[r] + tolerance
                )
                if self.method[r] == SWITCHES:
                    good &= bool(self.weight[r] >= self.margin[r] / 2 - tolerance)
            else:
                need = self._need(rows, r, int(k[r]), again.lower, again.witness)
                good = bool((self._penalty(rows, r, int(k[r])) >= need - tolerance).all())
            if good and exact and self.method[r] in (BY_STEPS, RELAXATION):
                good = self._enumerated(rows, r, int(k[r]), tolerance)
            if not good:
                failed.append(label)
        return failed

    def _recheck_levels(self) -> list[str]:
        """Return the labels of rows with levels, and of gates, whose weight is not proven."""
        from qubo_attn.formulations.leveled import certify_levels

        again = certify_levels(self.program, self.index, 0.0)
        rows, k = self.rows, np.rint(self.rows.rhs).astype(np.int64)
        failed = []
        for r, label in enumerate(self.labels):
            size = float(abs(self.weight[r]) + abs(self.slope[r]) + abs(self.margin[r]))
            tolerance = 1e-9 * (size + 1e-300)
            if rows.kind[r] == Kind.GATE:
                good = self.weight[r] >= again.weight[r] + self.margin[r] - tolerance
            else:
                bounds = again.lower[rows.ptr[r] + r : rows.ptr[r + 1] + r + 1]
                need = np.delete(again.upper[r] - bounds + self.margin[r], k[r])
                good = (self._penalty(rows, r, int(k[r])) >= need - tolerance).all()
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
    o, count = program.objective, np.rint(rows.rhs).astype(np.int64)
    whole = whole_rows(o, rows) if (program.variables.upper[rows.var] == 1).all() else None
    if whole is not None:
        return whole[0].step_costs(o.linear, whole[1], count)
    square = o.i == o.j
    curvature = np.zeros(len(program))
    terms = (o.i, o.j, o.bias)
    if square.any():
        curvature[o.i[square]] = o.bias[square]
        terms = (o.i[~square], o.j[~square], o.bias[~square])
    adjacency = kernels.adjacency(len(program), *terms)

    def costs(mine: slice) -> tuple[Array, ...]:
        ptr, entries = rows_at(rows.ptr, mine)
        columns = (rows.var[entries], count[mine], o.linear, program.variables.upper, curvature)
        return kernels.step_costs(ptr, *columns, *adjacency)

    up, down = by_rows(costs, rows.ptr, SUMS)
    return up, down


def certify(
    program: Program,
    index: Longs,
    margin: Floats,
    *,
    relax: bool = True,
    steps: int = STEPS,
    methods: Array | None = None,
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
        methods: the proof for each row; ``SWITCHES`` and ``WALLS`` stand where rows are priced that
            way, the others are chosen here. None where all rows are priced by their sums.
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
    squared = np.ones(len(rows), bool)
    if methods is not None:
        squared = methods < SWITCHES
        method = np.where(squared, 0, methods).astype(np.int8)
        switches, walls = methods == SWITCHES, methods == WALLS
        weight[switches] = np.maximum(weight[switches], margin[switches] / 2)
        if walls.any():
            broken = wall_costs(program, index[walls])
            least = _wall_weights(up[walls], down[walls], *broken)
            weight[walls] = np.minimum(least, _hills(program, index[walls])) + slack[walls]
            slope[walls] = 0.0
    if relax and squared.any():
        alone = _alone(program, rows) & squared
        part = rows.take(alone)
        adjacency = kernels.adjacency(len(program), o.i, o.j, o.bias)
        counts, margins = count[alone], margin[alone]

        def proofs(mine: slice) -> tuple[Array, ...]:
            ptr, entries = rows_at(part.ptr, mine)
            columns = (part.var[entries], counts[mine], o.linear)
            return kernels.certify_rows(ptr, *columns, *adjacency, margins[mine], steps)

        found = by_rows(proofs, part.ptr)
        better = found[0] < weight[alone]
        row = np.flatnonzero(alone)
        weight[row[better]], slope[row[better]] = found[0][better], found[1][better]
        method[row[better]], upper[row] = 1, found[2]
        entries = alone[rows.row]
        lower[np.repeat(alone, np.diff(rows.ptr) + 1)], witness[entries] = found[3], found[5]
    return Certificates(program, index, weight, slope, margin, method, upper, lower, witness, steps)


def joined(parts: list[Certificates]) -> Certificates:
    """Return the certificates of several parts of one program."""
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in (*_PER_ROW, "lower", "witness")
    }
    return replace(parts[0], **columns)


def wall_costs(program: Program, index: Longs) -> tuple[Floats, Floats]:
    """Bound what one unit costs that brings a key of a grid back to 0 and 1.

    Args:
        program: before its constraints are priced.
        index: int64, rows that become grids. Rows next to them that do not stay within their bits.

    Returns:
        The cost of taking a unit from a key above 1, and of adding one to a key below 0, per row,
        in energy units; -inf where no broken wall can do that.
    """
    o, c, n = program.objective, program.constraints, len(program)
    least, most = reach(program, index)
    up, down = o.linear.copy(), -o.linear
    for ends, others in ((o.i, o.j), (o.j, o.i)):
        low, high = o.bias * least[others], o.bias * most[others]
        up += np.bincount(ends, weights=np.maximum(low, high), minlength=n)
        down -= np.bincount(ends, weights=np.minimum(low, high), minlength=n)
    down[most <= 1], up[least >= 0] = -np.inf, -np.inf
    rows = c.take(index)
    high, low = np.full(len(rows), -np.inf), np.full(len(rows), -np.inf)
    owner = rows.row
    np.maximum.at(high, owner, down[rows.var])
    np.maximum.at(low, owner, up[rows.var])
    return high, low


def _wall_weights(up: Floats, down: Floats, high: Floats, low: Floats) -> Floats:
    """Return the least over mu of ``max(high + max(up, mu), low + max(down, -mu))``, or 0."""
    with np.errstate(invalid="ignore"):
        middle = (low - high) / 2
    # Where keys cannot leave their range on one side, that side does not bind.
    middle = np.where(np.isneginf(high), np.inf, np.where(np.isneginf(low), -np.inf, middle))
    mu = np.clip(middle, np.minimum(up, -down), np.maximum(up, -down))
    weight = np.maximum(high + np.maximum(up, mu), low + np.maximum(down, -mu))
    return np.maximum(weight, 0.0)


def _hills(program: Program, index: Longs) -> Floats:
    """Return the highest hill between two valleys of rows of one key without couplers, else inf."""
    c, o = program.constraints, program.objective
    coupled = np.zeros(len(program), bool)
    coupled[o.i], coupled[o.j] = True, True
    heights = np.full(len(c), np.inf)
    for (n, k), rows in row_classes(program, index):
        if k != 1:
            continue
        var = c.var[c.ptr[rows][:, None] + np.arange(n)]
        costs = o.linear[var]
        before = np.minimum.accumulate(costs, axis=1)[:, : n - 2]
        after = np.minimum.accumulate(costs[:, ::-1], axis=1)[:, ::-1][:, 2:]
        hills = (costs[:, 1:-1] - np.maximum(before, after)).max(axis=1, initial=0.0)
        heights[rows] = np.where(coupled[var].any(axis=1), np.inf, hills)
    return heights[index]


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
    owner[rows.var] = rows.row
    crossing = owner[o.i] != owner[o.j]
    alone = np.ones(len(rows), bool)
    ends = np.concatenate([owner[o.i[crossing]], owner[o.j[crossing]]])
    alone[ends[ends >= 0]] = False
    wide = program.variables.upper[rows.var] > 1
    alone[rows.row[wide]] = False
    return alone
