"""Blocks rounded to whole multiples of a step: the steps, and what rounding does to the optimum.

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
from qubo_attn.common.arrays import Bools, Floats, Longs
from qubo_attn.ir.columns import Sense
from qubo_attn.ir.program import Program
from qubo_attn.ir.quadratic import Quadratic
from qubo_attn.ir.spins import Spins, steps_of

STEPS_TRIED = 64
# Steps tried per enumerated block until one keeps its optimum, best rounding error first.
STEPS_ENUMERATED = 12
# Eigenvalues cost the cube of the block's size: about a second here.
MOST_EIGENVALUES = 1024


@dataclass(frozen=True, eq=False)
class Rounding:
    """A block in whole multiples of a step, and what rounding does to its energies.

    Attributes:
        step: energy per unit.
        h, coupling: whole numbers, in the order of the block's variables and couplers.
        rise: how much more than the optimum the worst best feasible state after rounding costs.
        margin: least distance of infeasible states above it after rounding; inf without any.
        error: largest change of a feasible state's energy.
        unchanged: whether every ground state after rounding was one before.
    """

    step: float
    h: Floats
    coupling: Floats
    rise: float
    margin: float
    error: float
    unchanged: bool

    @property
    def rank(self) -> tuple[float, bool, float]:
        """The order in which roundings are preferred, best first."""
        return self.rise, not self.unchanged, -min(self.margin, 0.0)


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
    sizes = np.bincount(spins.owners, weights=np.abs(spins.values), minlength=spins.blocks)
    errors[errors < 1e-12 * sizes[:, None]] = 0.0
    order = np.argsort(errors, axis=1, kind="stable")
    steps = np.where(largest > 0, largest, 1.0)[:, None] / divisors
    steps[largest == 0] = 1.0
    return np.take_along_axis(steps, order, axis=1), np.take_along_axis(errors, order, axis=1)


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
    def members(self) -> list[Longs]:
        """The variables of each block, ascending."""
        return _grouped(self.spins.block, self.spins.blocks)

    @cached_property
    def terms(self) -> list[Longs]:
        """The positions of the couplers of each block, ascending."""
        return _grouped(self.spins.block[self.form.i], self.spins.blocks)

    @cached_property
    def rows(self) -> list[Longs]:
        """The constraints of each block, ascending."""
        c = self.program.constraints
        return _grouped(self.spins.block[c.var[c.ptr[:-1]]], self.spins.blocks)

    def bounded(self, b: int, step: float, total_error: float) -> Rounding:
        """Return block ``b`` rounded to the nearest, with what holds for any states.

        The margin takes the prices for sound before.
        """
        spread, error = 2.0 * total_error, total_error
        members, terms = self.members[b], self.terms[b]
        h, coupling = self.spins.h[members], self.spins.coupling[terms]
        whole_h, whole_j = np.rint(h / step), np.rint(coupling / step)
        if total_error > 0 and len(members) < MOST_EIGENVALUES:
            matrix = np.zeros((len(members) + 1, len(members) + 1))
            i, j = self._places(members, terms)
            matrix[i, j] = matrix[j, i] = _residue(coupling, step)
            matrix[:-1, -1] = matrix[-1, :-1] = _residue(h, step)
            eigenvalues = np.linalg.eigvalsh(matrix)
            noise = 1e-12 * total_error
            half = len(matrix) / 2.0
            spread = min(spread, half * float(eigenvalues[-1] - eigenvalues[0]) + noise)
            error = min(error, half * float(np.abs(eigenvalues).max()) + noise)
        margin = -spread if len(self.rows[b]) else np.inf
        return Rounding(step, whole_h, whole_j, spread, margin, error, spread == 0.0)

    def enumerated(self, b: int, steps: Floats, limit: int) -> Rounding:
        """Return the first rounding of block ``b`` that keeps its optimum, or the least bad one.

        For each step the nearest multiples come first. Then the fields make up for what rounding
        the couplings does to a single flip of the optimum. Such a flip then costs what it did up to
        one step; without this, n independent errors would add up.
        """
        members, terms = self.members[b], self.terms[b]
        i, j = self._places(members, terms)
        linear, bias = self.form.linear[members], self.form.bias[terms]
        h, coupling = self.spins.h[members], self.spins.coupling[terms]
        before = kernels.binary_table(linear, i, j, bias) + coupling.sum() - h.sum()
        feasible = self._feasible(b, members)
        # What float64 loses of the sums of both tables; more would hide small differences of keys.
        sums = float(np.abs(linear).sum() + np.abs(bias).sum())
        noise = 4.0 * (len(linear) + len(bias)) * float(np.finfo(np.float64).eps) * sums
        optimum = int(np.where(feasible, before, np.inf).argmin())
        state = np.where(optimum >> np.arange(len(h)) & 1, 1.0, -1.0)
        best: Rounding | None = None
        for step in steps[:STEPS_ENUMERATED].tolist():
            whole_j = np.rint(coupling / step)
            lost = _pulls(i, j, _residue(coupling, step), state)
            for target in (h, h + lost):
                whole_h = np.clip(np.rint(target / step), -limit, limit)
                table, shift = _whole_table(whole_h, whole_j, i, j)
                rise, ground, margin, error = kernels.compare_tables(
                    before, table, shift, step, feasible
                )
                rise = rise if rise > noise else 0.0
                same = rise == 0.0 and ground <= noise
                rounding = Rounding(step, whole_h, whole_j, rise, margin, error, same)
                if best is None or rounding.rank < best.rank:
                    best = rounding
                if best.unchanged:
                    return best
        assert best is not None
        return best

    def _feasible(self, b: int, members: Longs) -> Bools:
        """Return which points of block ``b`` satisfy its constraints; all where none does."""
        c = self.program.constraints
        good = np.ones(1 << len(members), bool)
        nothing = np.zeros(0, np.int32)
        for r in self.rows[b].tolist():
            entries = slice(c.ptr[r], c.ptr[r + 1])
            coef = np.zeros(len(members))
            coef[np.searchsorted(members, c.var[entries])] = c.coef[entries]
            left = kernels.binary_table(coef, nothing, nothing, np.zeros(0)) - c.rhs[r]
            good &= (np.abs(left) if c.sense[r] == Sense.EQ else left) <= 1e-9
        return good if good.any() else np.ones_like(good)

    def _places(self, members: Longs, terms: Longs) -> tuple[Longs, Longs]:
        i, j = self.form.i[terms], self.form.j[terms]
        return np.searchsorted(members, i), np.searchsorted(members, j)


def _grouped(block: Longs, blocks: int) -> list[Longs]:
    """Return the positions of each block's entries, ascending."""
    ends = np.cumsum(np.bincount(block, minlength=blocks))
    return np.split(np.argsort(block, kind="stable"), ends[:-1])


def _residue(value: Floats, step: float) -> Floats:
    return np.asarray(value - step * np.rint(value / step))


def _pulls(i: Longs, j: Longs, coupling: Floats, state: Floats) -> Floats:
    """Return the field that the couplings put on each spin in ``state``."""
    pull = np.bincount(i, weights=coupling * state[j], minlength=len(state))
    return np.asarray(pull + np.bincount(j, weights=coupling * state[i], minlength=len(state)))


def _whole_table(h: Floats, coupling: Floats, i: Longs, j: Longs) -> tuple[Floats, float]:
    """Return the energies of all states in steps, and what to add to each: whole numbers."""
    pull = _pulls(i, j, coupling, np.ones(len(h)))
    table = kernels.binary_table(2.0 * (h - pull), i, j, 4.0 * coupling)
    return table, float(coupling.sum() - h.sum())
