"""What rounding to whole multiples of a step does to a block: searched, bounded, or enumerated.

With D the energy lost by rounding, a state that is best after rounding costs at most
``max D - min D`` more than the optimum. Over all states (``s^T M s / 2`` with M the matrix of
rounding errors, auxiliary spin included, n spins in all) that is at most the smaller of

* twice the sum of absolute errors, and
* ``n (lambda_max(M) - lambda_min(M)) / 2``, as ``s^T s = n``; smaller from a few spins on.

Small blocks are enumerated instead, which gives the rise itself, mostly zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qubo_attn import kernels
from qubo_attn.arrays import Bools, Floats, Longs, pointers
from qubo_attn.integers import Spins, steps_of
from qubo_attn.ir import Program, Quadratic, Sense

STEPS_TRIED = 64
# Steps tried per enumerated block until one keeps its optimum, best rounding error first.
STEPS_ENUMERATED = 12
# Eigenvalues cost the cube of the block's size: about a second here.
MOST_EIGENVALUES = 1024


@dataclass(frozen=True)
class Verdict:
    """What rounding does to one block, in energy units.

    Attributes:
        rise: how much more than the optimum the worst best feasible state after rounding costs.
        margin: least distance of infeasible states above it after rounding; inf without any.
        error: largest change of a feasible state's energy.
        unchanged: whether every ground state after rounding was one before.
    """

    rise: float
    margin: float
    error: float
    unchanged: bool


def candidate_steps(spins: Spins, limit: int) -> tuple[Floats, Floats]:
    """Return steps for each block, the one of least rounding error first.

    The largest value of a block becomes an integer between half the limit and the limit, or what
    makes the block exact where it has a common step.

    Returns:
        Steps and sums of absolute rounding errors, shape (blocks, candidates).
    """
    largest = spins.largest
    exact = np.rint(largest / steps_of(spins, limit))
    exact = np.where((exact >= 1) & (exact <= limit), exact, limit)
    tried = np.unique(np.rint(np.linspace(limit // 2 + 1, limit, STEPS_TRIED)))[::-1]
    divisors = np.column_stack([exact, np.broadcast_to(tried, (len(exact), len(tried)))])
    errors = kernels.rounding_errors(spins.values, spins.owners, largest, divisors)
    # An error of rounding noise is none, so that the exact step wins.
    errors[errors < 1e-12 * _sizes(spins)[:, None]] = 0.0
    order = np.argsort(errors, axis=1, kind="stable")
    steps = np.where(largest > 0, largest, 1.0)[:, None] / divisors
    steps[largest == 0] = 1.0
    return np.take_along_axis(steps, order, axis=1), np.take_along_axis(errors, order, axis=1)


def _sizes(spins: Spins) -> Floats:
    return np.asarray(
        np.bincount(spins.owners, weights=np.abs(spins.values), minlength=spins.blocks)
    )


@dataclass(frozen=True, eq=False)
class BlockView:
    """The blocks of a program, one at a time.

    Attributes:
        program: bits only, every constraint priced.
        form: its total.
        spins: the same over spins.
    """

    program: Program
    form: Quadratic
    spins: Spins

    @cached_property
    def sizes(self) -> Longs:
        """Variables of each block."""
        return np.bincount(self.spins.block, minlength=self.spins.blocks)

    @cached_property
    def constrained(self) -> Bools:
        """Which blocks have a constraint."""
        found = np.zeros(self.spins.blocks, bool)
        found[self._row_block] = True
        return found

    def bounded(self, b: int, step: float, total_error: float) -> Verdict:
        """Return what holds of block ``b`` for any states, given that its prices were sound."""
        spread, error = 2.0 * total_error, total_error
        members, terms = self._members(b), self._terms(b)
        if total_error > 0 and len(members) < MOST_EIGENVALUES:
            matrix = np.zeros((len(members) + 1, len(members) + 1))
            h, coupling = self.spins.h[members], self.spins.coupling[terms]
            i, j = self._places(members, terms)
            matrix[i, j] = matrix[j, i] = coupling - step * np.rint(coupling / step)
            matrix[:-1, -1] = matrix[-1, :-1] = h - step * np.rint(h / step)
            eigenvalues = np.linalg.eigvalsh(matrix)
            noise = 1e-12 * total_error
            half = len(matrix) / 2.0
            spread = min(spread, half * float(eigenvalues[-1] - eigenvalues[0]) + noise)
            error = min(error, half * float(np.abs(eigenvalues).max()) + noise)
        margin = -spread if self.constrained[b] else np.inf
        return Verdict(spread, margin, error, spread == 0.0)

    def enumerated(self, b: int, steps: Floats) -> tuple[int, Verdict]:
        """Return the first of ``steps`` that keeps the optimum of block ``b``, or the least bad."""
        members, terms = self._members(b), self._terms(b)
        i, j = self._places(members, terms)
        linear, bias = self.form.linear[members], self.form.bias[terms]
        h, coupling = self.spins.h[members], self.spins.coupling[terms]
        before = kernels.binary_table(linear, i, j, bias) + coupling.sum() - h.sum()
        feasible = self._feasible(b, members)
        noise = 1e-11 * float(np.abs(linear).sum() + np.abs(bias).sum())
        found: tuple[int, Verdict] | None = None
        for c, step in enumerate(steps[:STEPS_ENUMERATED].tolist()):
            whole_h, whole_j = np.rint(h / step), np.rint(coupling / step)
            pull = np.bincount(i, weights=whole_j, minlength=len(h))
            pull += np.bincount(j, weights=whole_j, minlength=len(h))
            # Whole numbers far below 2^53: the table is exact, and so are its ties.
            after = kernels.binary_table(2.0 * (whole_h - pull), i, j, 4.0 * whole_j)
            verdict = _compare(before, after + whole_j.sum() - whole_h.sum(), step, feasible, noise)
            if found is None or (verdict.rise, not verdict.unchanged) < (
                found[1].rise,
                not found[1].unchanged,
            ):
                found = c, verdict
            if verdict.unchanged:
                break
        assert found is not None
        return found

    def _feasible(self, b: int, members: Longs) -> Bools:
        """Return which points of block ``b`` satisfy its constraints; all where none does."""
        c = self.program.constraints
        good = np.ones(1 << len(members), bool)
        nothing = np.zeros(0, np.int32)
        for r in self._rows(b).tolist():
            entries = slice(c.ptr[r], c.ptr[r + 1])
            coef = np.zeros(len(members))
            coef[np.searchsorted(members, c.var[entries])] = c.coef[entries]
            left = kernels.binary_table(coef, nothing, nothing, np.zeros(0)) - c.rhs[r]
            good &= (np.abs(left) if c.sense[r] == Sense.EQ else left) <= 1e-9
        return good if good.any() else np.ones_like(good)

    def _places(self, members: Longs, terms: Longs) -> tuple[Longs, Longs]:
        i, j = self.form.i[terms], self.form.j[terms]
        return np.searchsorted(members, i), np.searchsorted(members, j)

    @cached_property
    def _row_block(self) -> Longs:
        c = self.program.constraints
        return self.spins.block[c.var[c.ptr[:-1]]]

    def _members(self, b: int) -> Longs:
        return _part(self._by_variable, b)

    def _terms(self, b: int) -> Longs:
        return _part(self._by_term, b)

    def _rows(self, b: int) -> Longs:
        return _part(self._by_row, b)

    @cached_property
    def _by_variable(self) -> tuple[Longs, Longs]:
        return _grouped(self.spins.block, self.spins.blocks)

    @cached_property
    def _by_term(self) -> tuple[Longs, Longs]:
        return _grouped(self.spins.block[self.form.i], self.spins.blocks)

    @cached_property
    def _by_row(self) -> tuple[Longs, Longs]:
        return _grouped(self._row_block, self.spins.blocks)


def _grouped(block: Longs, blocks: int) -> tuple[Longs, Longs]:
    return pointers(np.bincount(block, minlength=blocks)), np.argsort(block, kind="stable")


def _part(grouped: tuple[Longs, Longs], b: int) -> Longs:
    ptr, order = grouped
    return order[ptr[b] : ptr[b + 1]]


def _compare(before: Floats, after: Floats, step: float, feasible: Bools, noise: float) -> Verdict:
    """Compare all states of a block; ``after`` counts steps and is exact."""
    kept, rounded = before[feasible], after[feasible]
    best = rounded.min()
    rise = float(kept[rounded == best].max() - kept.min())
    rise = rise if rise > noise else 0.0
    rest = after[~feasible]
    margin = float(step * (rest.min() - best)) if len(rest) else np.inf
    ground = before[after == after.min()].max() - before.min()
    error = float(np.abs(kept - step * rounded).max())
    return Verdict(rise, margin, error, rise == 0.0 and bool(ground <= noise))
