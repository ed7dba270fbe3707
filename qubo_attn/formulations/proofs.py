"""Proofs of the weights of rows that add up to exactly k: by steps, relaxation, switches or walls.

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

A row need not be priced by a square of its sum:

* *switches* (`qubo_attn.formulations.switches`): excesses e of the switches add up to ``S - k``,
  and so do those of their prices ``A e^2 + mu e``. As ``sum e^2 >= |S - k|``, the proof by steps
  holds as it is; where broken switches cancel out, ``sum e^2 >= 2`` costs the margin if ``A >= D /
  2``.
* *walls* (`qubo_attn.formulations.walls`): broken walls let keys leave 0 and 1, by one unit a wall
  at most. Proof: the bit at row j and key i is linked to its right neighbour by a wall of key i +
  1, to the row above by one of key i; every wall belongs to one key so. A key below 0 has as many
  rows that fall there as units are missing, less those that rise, and each fall breaks a wall of
  its own. Let r rows rise at a key. Between two of them, one after the other, the walls of that key
  lead from a one to a zero, so one of these walls is broken. At least r - 1 are; falls are those
  that lower the key. Hence ``sum (x - 1)^+ + sum (-x)^+ <= broken walls``.

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

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Array, Bools, Floats, Longs
from qubo_attn.common.threads import SUMS, by_rows
from qubo_attn.formulations.walls import reach
from qubo_attn.ir.columns import Constraints
from qubo_attn.ir.program import Program
from qubo_attn.ir.rows import row_classes, uncrossed


class Price(NamedTuple):
    """Weight A and slope mu of each row."""

    weight: Floats
    slope: Floats


class StepCosts(NamedTuple):
    """Largest cost of a corrective step of each row, in energy units.

    Attributes:
        up, down: of a step up and of a step down; -inf where no such step is ever needed.
    """

    up: Floats
    down: Floats

    def take(self, index: Longs) -> StepCosts:
        """Return the costs of some rows."""
        return StepCosts(self.up[index], self.down[index])

    def both(self) -> StepCosts:
        """Return costs that are finite: a row that takes none, or all, has steps one way only."""
        up, down = self
        return StepCosts(np.where(np.isinf(up), -down, up), np.where(np.isinf(down), -up, down))

    def slack(self, margin: Floats) -> Floats:
        """Return the margin and what a step could be short by rounding."""
        up, down = self.both()
        return np.asarray(margin + 1e-12 * (np.abs(up) + np.abs(down)))


def step_costs(program: Program, rows: Constraints) -> StepCosts:
    """Return the cost of a step up and of a step down of each row; see `kernels.step_costs`."""
    o, upper, sizes = program.objective, program.variables.upper, np.diff(rows.ptr)
    few = (sizes <= kernels.FEW_BITS) & (rows.rhs > 0.5) & (rows.rhs < kernels.FEW_KEPT + 0.5)
    few &= rows.rhs < sizes - 0.5
    few[rows.row[upper[rows.var] > 1]] = False
    columns = o.linear, upper, o.squares(), o.adjacency()
    up, down = np.empty(len(rows)), np.empty(len(rows))
    for kernel, chosen in ((kernels.step_costs_of_few, few), (kernels.step_costs, ~few)):
        if chosen.any():
            part = rows if chosen.all() else rows.take(chosen)
            up[chosen], down[chosen] = _step_costs(kernel, part, columns)
    return StepCosts(up, down)


def _step_costs(
    kernel: Callable[..., tuple[Floats, Floats]], rows: Constraints, columns: tuple[Any, ...]
) -> tuple[Array, ...]:
    """Return the costs of rows that a kernel works out, in parts side by side."""
    return by_rows(lambda part: kernel(rows.counted.part(part), *columns), rows.ptr, SUMS)


def step_scale(costs: StepCosts, usual: Floats) -> Floats:
    """Return the largest cost of a corrective step of each row, the unit of relative margins.

    Args:
        costs: of the rows.
        usual: size of a usual coefficient of each row: its unit where steps cost nothing.
    """
    weight, slope = by_steps(costs, np.zeros(len(costs.up)))
    scale = np.maximum(np.abs(weight + slope), np.abs(weight - slope))
    # A row without any objective still has to be told apart from its infeasible points.
    return np.where(scale > 0, scale, np.where(usual > 0, usual, 1.0))


def by_steps(costs: StepCosts, margin: Floats) -> Price:
    """Return prices of rows by the square of their sum, proven by steps."""
    up, down = costs.both()
    return Price(np.maximum((up + down) / 2 + costs.slack(margin), 0), (down - up) / 2)


def by_switches(costs: StepCosts, margin: Floats) -> Price:
    """Return prices of the switches of rows that become networks."""
    weight, slope = by_steps(costs, margin)
    return Price(np.maximum(weight, margin / 2), slope)


def by_walls(program: Program, index: Longs, costs: StepCosts, margin: Floats) -> Price:
    """Return prices of the walls of rows that become grids.

    Args:
        program: before its constraints are priced.
        index: int64, all rows that become grids; other rows stay within their bits.
        costs, margin: of each row.
    """
    up, down = costs.both()
    least = _wall_weights(up, down, *wall_costs(program, index))
    weight = np.minimum(least, _hills(program, index)) + costs.slack(margin)
    return Price(weight, np.zeros(len(index)))


def by_relaxation(
    program: Program, rows: Constraints, margin: Floats, steps: int
) -> kernels.RelaxedRows:
    """Return prices of rows by the square of their sum, proven by relaxation, and their bounds.

    Args:
        program: before its constraints are priced.
        rows: see `stands_alone`.
        margin: of each row.
        steps: gradient steps of the relaxation.
    """
    o, counted = program.objective, rows.counted
    adjacency = o.adjacency()
    return kernels.RelaxedRows(
        *by_rows(
            lambda part: kernels.certify_rows(
                counted.part(part), o.linear, adjacency, margin[part], steps
            ),
            rows.ptr,
        )
    )


def stands_alone(program: Program, rows: Constraints) -> Bools:
    """Return which rows are of bits, and coupled to no variable of another row or of none."""
    alone = uncrossed(program, rows)
    alone[rows.row[program.variables.upper[rows.var] > 1]] = False
    return alone


def wall_costs(program: Program, index: Longs) -> tuple[Floats, Floats]:
    """Bound what one unit costs that brings a key of a grid back to 0 and 1.

    Args:
        program: before its constraints are priced.
        index: int64, all rows that become grids; other rows stay within their bits.

    Returns:
        The cost of taking a unit from a key above 1, and of adding one to a key below 0, per row,
        in energy units; -inf where no broken wall can do that.
    """
    least, most = reach(program, index)
    up, down = move_costs(program, least, most)
    down[most <= 1], up[least >= 0] = -np.inf, -np.inf
    rows = program.constraints.take(index)
    starts = rows.ptr[:-1]
    return np.maximum.reduceat(down[rows.var], starts), np.maximum.reduceat(up[rows.var], starts)


def move_costs(program: Program, least: Floats, most: Floats) -> tuple[Floats, Floats]:
    """Return the most that one unit up, and one unit down, of each variable can cost.

    Args:
        program: any program.
        least, most: the range of each variable; from zero where its square has a coefficient.
    """
    o, n = program.objective, len(program)
    up, down = o.linear.copy(), -o.linear
    pair = o.i != o.j
    i, j, bias = o.i[pair], o.j[pair], o.bias[pair]
    for ends, others in ((i, j), (j, i)):
        low, high = bias * least[others], bias * most[others]
        up += np.bincount(ends, weights=np.maximum(low, high), minlength=n)
        down -= np.bincount(ends, weights=np.minimum(low, high), minlength=n)
    # A step from w to w + 1 changes the square's term by its coefficient times 2 w + 1.
    flat = o.squares()
    steep = flat * (2.0 * most - 1.0)
    return up + np.maximum(steep, flat), down - np.minimum(steep, flat)


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
    for n, k, rows, var in row_classes(program, index):
        if k != 1:
            continue
        costs = o.linear[var]
        before = np.minimum.accumulate(costs, axis=1)[:, : n - 2]
        after = np.minimum.accumulate(costs[:, ::-1], axis=1)[:, ::-1][:, 2:]
        hills = (costs[:, 1:-1] - np.maximum(before, after)).max(axis=1, initial=0.0)
        heights[rows] = np.where(coupled[var].any(axis=1), np.inf, hills)
    return heights[index]
