"""Weights checked again, from the program alone and by other means than those that made them.

* Components of few points are enumerated: every infeasible point is compared with the best feasible
  one, and where float64 cannot decide, in whole numbers, exactly.
* Of larger rows bounds are worked out by `qubo_attn.formulations.rebounds`. Those by a convex
  relaxation have to show half the margin: the other half is left to what their search misses.

Either way a weight counts as proven only if float64 carries it: rounding of the coefficients that
are sampled must leave the digits of the objective, and be less than half the margin.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from qubo_attn.common.arrays import Array, Bools, Floats, Longs
from qubo_attn.formulations.component import Component, components
from qubo_attn.formulations.method import Method
from qubo_attn.formulations.rebounds import (
    box_reach,
    convex_twin,
    count_shortfall,
    gated_floor,
    steps,
    wall_need,
)
from qubo_attn.ir.program import Program

_EPS = float(np.finfo(np.float64).eps)
# What rounding may take of the objective, and off a margin.
_DIGITS, _TOLERANCE = 1e-6, 1e-9
# Levels of one selection that are enumerated for the best.
_MOST_LEVEL_BITS = 16


@dataclass(frozen=True, eq=False)
class Claims:
    """Claims on the weights of rows; one entry per row but for ``witness``.

    Attributes:
        program: before its constraints are priced.
        index: int64, the constraints.
        weight, slope, margin: A, mu and D.
        method: see `Method`.
        witness: a feasible point, entry after entry.
    """

    program: Program
    index: Longs
    weight: Floats
    slope: Floats
    margin: Floats
    method: Array
    witness: Array


def proven(claims: Claims, most_bits: int) -> Bools:
    """Return which claims hold.

    Args:
        claims: what is claimed.
        most_bits: components of up to so many bits are enumerated.
    """
    good = np.zeros(len(claims.index), bool)
    point = np.zeros(len(claims.program))
    rows = claims.program.constraints.take(claims.index)
    point[rows.var] = np.maximum(point[rows.var], 0)
    np.maximum.at(point, rows.var, claims.witness.astype(np.float64))
    place = claims.program.components
    for part in components(claims.program, claims.index):
        var = np.flatnonzero(place == place[rows.var[rows.ptr[part.claims[0]]]])
        good[part.claims] = _Check(part, claims, point[var]).result(most_bits)
    return good


class _Check:
    """The check of one component."""

    def __init__(self, part: Component, claims: Claims, point: Floats) -> None:
        """Take what is claimed of the constraints of a component, and its witness."""
        mine, self.point = part.claims, point
        # So squares neither overflow nor vanish.
        self.part, unit = part.in_units()
        self.weight, self.slope = claims.weight[mine] / unit, claims.slope[mine] / unit
        self.margin, self.method = claims.margin[mine] / unit, claims.method[mine]
        sizes = np.abs(self.weight) + np.abs(self.slope) + np.abs(self.margin)
        self.need = self.margin - _TOLERANCE * sizes
        self.least = self.need - 0.5 * self.margin

    def result(self, most_bits: int) -> Bools:
        """Return which claims hold."""
        part, walls = self.part, self.method == Method.WALLS
        few = part.complete and part.states <= 2.0**most_bits
        if few and not walls.any():
            good = self._enumerated()
        elif (self.method == Method.LEVELS).any():
            good = self._leveled()
        else:
            good = np.array([self._row(r) for r in range(len(part.claims))])
        return np.asarray(good & self._is_carried())

    def _is_carried(self) -> Bools:
        """Return which weights leave the digits of the objective, and margins above rounding."""
        part = self.part
        reach = np.abs(part.rhs) + np.abs(part.coef) @ part.upper
        own = np.abs(part.coef) > 0
        near = own @ ((np.abs(part.linear) + 2 * np.abs(part.form) @ part.upper) * part.upper)
        with np.errstate(over="ignore"):
            lost = 2 * _EPS * (near + self.weight * reach**2 + np.abs(self.slope) * reach)
        digits = (2 * lost <= _DIGITS * part.size) | (part.size == 0)
        apart = (self.margin == 0) | (self.margin > 2 * lost)
        return np.asarray(digits & apart & np.isfinite(lost))

    # -- enumeration ---------------------------------------------------------------------------

    def _enumerated(self) -> Bools:
        """Compare every infeasible point with the best feasible one."""
        part = self.part
        zero = np.zeros_like(part.form)
        excess = np.stack([_table(row, zero, part.upper) for row in part.coef])
        excess -= part.rhs[:, None]
        broken = np.where(part.gate[:, None], excess > 0.5, np.abs(excess) > 0.5)
        feasible = ~broken.any(axis=0)
        if not feasible.any():
            return np.zeros(len(part.claims), bool)
        objective = _table(part.linear, part.form, part.upper)
        cost = objective + self._paid(excess, self.weight, self.slope).sum(axis=0)
        needed = np.where(broken, self.need[:, None], -np.inf).max(axis=0)
        least = objective[feasible].min()
        gap = cost - least - needed
        paid = np.abs(self.weight) @ np.abs(excess).max(axis=1) ** 2
        doubt = (len(part.linear) ** 2 + 8) * _EPS * (part.size + float(paid))
        bad = ~feasible & (gap < doubt)
        unsure = bad & (gap >= -doubt)
        if unsure.any():
            near = feasible & (objective <= least + doubt)
            bad[unsure] = self._exactly(excess, needed, near, unsure)
        return ~self._blamed(broken, bad, gap)

    def _paid(self, excess: Array, weight: Array, slope: Array) -> Array:
        """Return what each constraint costs where its left side exceeds its right."""
        square = weight[:, None] * excess * excess + slope[:, None] * excess
        single = weight[:, None] * np.abs(excess) + slope[:, None] * excess
        gate = weight[:, None] * np.maximum(excess, 0)
        switches = self.method == Method.SWITCHES
        return np.where(self.part.gate[:, None], gate, np.where(switches[:, None], single, square))

    def _exactly(self, excess: Floats, needed: Floats, best: Bools, unsure: Bools) -> Bools:
        """Return which of the points ``unsure`` fail, by exact fractions."""
        part = self.part
        shape = tuple((part.upper + 1).astype(int))
        linear = [Fraction(a) for a in part.linear.tolist()]
        form = [[Fraction(b) for b in row] for row in part.form.tolist()]
        weight, slope = ([Fraction(a) for a in c.tolist()] for c in (self.weight, self.slope))

        def energy(number: int) -> Fraction:
            x = [int(v) for v in np.unravel_index(number, shape)]
            used = [v for v, level in enumerate(x) if level]
            return sum((linear[v] * x[v] for v in used), Fraction(0)) + sum(
                (form[u][v] * x[u] * x[v] for u in used for v in used), Fraction(0)
            )

        least = min(energy(int(number)) for number in np.flatnonzero(best)[:256])
        fails = []
        for number in np.flatnonzero(unsure).tolist():
            total = energy(number) - least - Fraction(float(needed[number]))
            for r, (a, b) in enumerate(zip(weight, slope, strict=True)):
                e = Fraction(float(excess[r, number]))
                if part.gate[r]:
                    total += a * e if e > 0 else 0
                elif self.method[r] == Method.SWITCHES:
                    total += a * abs(e) + b * e
                else:
                    total += a * e * e + b * e
            fails.append(total < 0)
        return np.array(fails, bool)

    def _blamed(self, broken: Bools, bad: Bools, gap: Floats) -> Bools:
        """Return which constraints the bad points break: first those that one alone breaks."""
        blamed = np.zeros(len(broken), bool)
        alone = bad & (broken.sum(axis=0) == 1)
        blamed |= broken[:, alone].any(axis=1)
        rest = bad & ~(broken & blamed[:, None]).any(axis=0)
        if rest.any():
            worst = np.flatnonzero(rest)[np.argmin(gap[rest])]
            blamed |= broken[:, worst]
        switches = self.method == Method.SWITCHES
        return np.asarray(blamed | (switches & (2 * self.weight < self.need)))

    # -- bounds --------------------------------------------------------------------------------

    def _row(self, r: int) -> bool:
        """Return whether bounds prove the weight of a row that adds up to exactly k."""
        part, method = self.part, int(self.method[r])
        row, k = np.flatnonzero(part.coef[r]), int(part.rhs[r])
        weight, slope, need = (float(c[r]) for c in (self.weight, self.slope, self.need))
        if method == Method.WALLS:
            least, most = np.zeros(len(part.linear)), part.upper.copy()
            for grid in np.flatnonzero(self.method == Method.WALLS):
                keys = np.flatnonzero(part.coef[grid])
                least[keys], most[keys] = _grid_reach(len(keys), int(part.rhs[grid]))
            return weight >= wall_need(part, row, k, least, most) + need
        up, down = steps(part, row, k)
        if up - weight + slope <= -need and down - weight - slope <= -need:
            return method != Method.SWITCHES or 2 * weight >= need
        others = np.setdiff1d(np.arange(len(part.linear)), row)
        if method != Method.RELAXATION or np.any(part.form[np.ix_(row, others)]):
            return False
        chosen = self.point[row]
        if chosen.sum() != k:
            return False
        linear, form = part.linear[row], part.form[np.ix_(row, row)]
        surplus = np.arange(len(row) + 1) - k
        paid = weight * surplus**2 + slope * surplus - float(self.least[r])
        best = float(chosen @ linear + chosen @ form @ chosen)
        return count_shortfall(linear, form, k, best, paid) <= 0

    def _leveled(self) -> Bools:
        """Return which weights of a row with levels, and of its gates, bounds prove."""
        part, size = self.part, len(self.part.linear)
        nothing = np.zeros(len(part.claims), bool)
        picks = np.flatnonzero(~part.gate)
        if len(picks) != 1:
            return nothing
        pick = int(picks[0])
        counted, k = part.coef[pick] != 0, int(part.rhs[pick])
        opener, price = np.full(size, -1), np.full(size, np.inf)
        for r in np.flatnonzero(part.gate).tolist():
            held = np.flatnonzero(part.coef[r] > 0)
            opener[held] = np.flatnonzero(part.coef[r] < 0)[0]
            price[held] = self.weight[r] * part.coef[r, held]
        behind: Bools = opener >= 0
        x = self._best_levels(counted, opener)
        if x[counted].sum() != k:
            return nothing
        best, noise = float(part.energies(x[None])[0]), 16 * size * _EPS * part.size
        reach = box_reach(part, best)
        need = np.array([self.need[part.coef[:, v] > 0].max(initial=0) for v in range(size)])
        by_range = bool((price[behind] >= reach + need[behind]).all())
        linear, form = convex_twin(part, opener)
        floor = -0.25 * float(linear @ np.linalg.solve(form, linear)) if form.any() else -np.inf
        above = max(best - floor, 0.0)
        if by_range and not above < reach:
            above = reach
        lengths = 2 * np.sqrt(above) * np.sqrt(np.diag(form))
        settled = by_range | (price >= lengths + need)
        good = np.array([bool(settled[(row > 0) & behind].all()) for row in part.coef])
        surplus = np.arange(int(counted.sum()) + 1) - k
        paid = self.weight[pick] * surplus**2 + self.slope[pick] * surplus - self.least[pick]
        good[pick] = True
        for m in np.flatnonzero((surplus != 0) & (paid < above)).tolist():
            # What m bits cost above the floor, and what of it is left where gates are broken.
            over = above - float(paid[m])
            if over > above and not by_range:
                over = ((above + over) / 2) ** 2 / above
            goal = best - above + over + noise
            gates = counted, opener
            if gated_floor(linear, form, part.upper, gates, m, goal) < goal:
                good[pick] = False
        return good

    def _best_levels(self, counted: Bools, opener: Longs) -> Floats:
        """Return the witness with its best levels or, where there are too many, with good ones."""
        part, x = self.part, np.where(counted, self.point, 0.0)
        open_ = np.flatnonzero(~counted & ((opener < 0) | (x[opener] > 0)))
        form, upper = part.form[np.ix_(open_, open_)], part.upper[open_]
        linear = part.linear[open_] + 2.0 * part.form[open_] @ x
        if np.prod(upper + 1) <= 2.0**_MOST_LEVEL_BITS:
            best = int(_table(linear, form, upper).argmin())
            x[open_] = np.unravel_index(best, tuple((upper + 1).astype(int)))
            return x
        level: Floats = np.zeros(len(open_))
        before: Floats = np.full(len(open_), -1.0)
        while not np.array_equal(level, before):
            before = level.copy()
            for v in range(len(open_)):
                field = linear[v] + 2.0 * (form[v] @ level - form[v, v] * level[v])
                values = np.arange(upper[v] + 1)
                level[v] = float(np.argmin(field * values + form[v, v] * values**2))
        x[open_] = level
        return x


def _table(linear: Floats, form: Floats, upper: Floats) -> Floats:
    """Return the value of a form at every point of its box, the last variable fastest."""
    values = np.zeros(1)
    for i in range(len(linear)):
        field = np.full(1, linear[i])
        for j in range(i):
            levels = np.arange(upper[j] + 1)
            field = (field[:, None] + 2.0 * form[i, j] * levels).ravel()
        x = np.arange(upper[i] + 1)
        values = (values[:, None] + field[:, None] * x + form[i, i] * x * x).ravel()
    return values


def _grid_reach(n: int, k: int) -> tuple[Longs, Longs]:
    """Return least and most of each key of a grid while its walls break.

    Row j of the grid adds to key i where it rises, from j to n - k + j, and takes from it where it
    falls, between two of its own bits.
    """
    i, j = np.arange(n)[:, None], np.arange(k)
    rises = (i >= j) & (i <= n - k + j)
    falls = (i > j) & (i < n - k + j)
    return -falls.sum(axis=1), rises.sum(axis=1)
