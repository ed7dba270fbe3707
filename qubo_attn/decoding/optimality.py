"""How far results are from the optimum, and how soon reads of a sampler reach it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Array, Bools, Floats, Longs
from qubo_attn.common.brief import Brief
from qubo_attn.common.checks import number
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.decoding.mended import lifted, whole_reads
from qubo_attn.decoding.reads import PartReads
from qubo_attn.ir.program import Program
from qubo_attn.solving.exact import solve_exactly

# Choices of the search for an optimum, and how close to it counts as it.
_STEPS, _CLOSE = 1_000_000, 1e-9


class Behind(NamedTuple):
    """What a result was made of: the compilation, the point, the reads of a sampler if any."""

    compiled: Compilation
    point: Floats
    parts: Sequence[PartReads]


@dataclass(frozen=True, eq=False)
class Optimality(Brief):
    """Rows beside their optima, under their constraints and before penalties.

    A row that a coupling or a constraint joins to others has the figures of all of them together.

    Attributes:
        optimum: float64, shape (H, Q), the least objective, constants excluded; NaN where it is
            not proven.
        gap: float64, shape (H, Q), how far the row's objective lies above its optimum or, where
            that is not proven, above a lower bound; infinite where none is known.
        proven: bool, shape (H, Q), whether the optimum is.
        success: float64, shape (H, Q), share of reads that hold the constraints and are at the
            optimum, as sampled; NaN where nothing was sampled or the optimum is not proven.

    Example:
        >>> import dimod, qubo_attn as qa
        >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target=None)
        >>> found = compiled.solve(dimod.ExactSolver()).optimality()
        >>> found.share, found.gap.max(), found.success, found.reads_to_solution().round()
        (1.0, np.float64(0.0), array([[0.125]]), array([[34.]]))
    """

    optimum: Floats
    gap: Floats
    proven: Bools
    success: Floats

    @property
    def share(self) -> float:
        """Share of the proven rows that are at their optimum; NaN where none is proven."""
        return float((self.gap[self.proven] == 0).mean()) if self.proven.any() else float("nan")

    def reads_to_solution(self, chance: float = 0.99) -> Floats:
        """Return how many reads show the optimum of each row with a chance; shape (H, Q).

        It is ``ln(1 - chance) / ln(1 - success)``, at least 1, and infinite without success.

        Args:
            chance: above 0 and below 1.

        Raises:
            InputError: the chance is none.
        """
        wanted = number("chance", chance, above=0.0, most=1.0 - 1e-12)
        with np.errstate(divide="ignore"):
            reads = np.log1p(-wanted) / np.log1p(-self.success)
        return np.asarray(np.maximum(np.abs(reads), 1.0))

    def time_to_solution(self, read_time: float, chance: float = 0.99) -> Floats:
        """Return how long it takes to show the optimum of each row with a chance; shape (H, Q).

        Args:
            read_time: of one read, in any unit of time.
            chance: see `reads_to_solution`.

        Raises:
            InputError: the chance or the time is none.
        """
        time = number("read_time", read_time, above=0.0)
        return np.asarray(time * self.reads_to_solution(chance))


def optimality(behind: Behind) -> Optimality:
    """Return how far a result is from the optimum; see `AttentionResult.optimality`."""
    compiled = behind.compiled
    program = compiled.stages[compiled.unpriced].program
    solution, size = solve_exactly(program, _STEPS), _sizes(program)
    energy = _energies(program, behind.point[0])
    close = _CLOSE * size
    gap = np.where(energy - solution.bound <= close, 0.0, energy - solution.bound)
    success = np.full(len(energy), np.nan)
    best = np.where(solution.proven, solution.energy + close, -np.inf)
    for block, hits in _hits(compiled, program, behind.parts, best):
        success[block] = np.where(solution.proven[block], hits, np.nan)
    row, block = _pairs(compiled, program)
    shape = compiled.attention.shape[:2]

    def added(figures: Array) -> Floats:
        summed = np.bincount(row, figures[block], shape[0] * shape[1])
        return np.asarray(summed.reshape(shape), np.float64)

    proven = added(~solution.proven) == 0
    log = np.log(np.maximum(success, 1e-300))
    chance = np.where(added(success == 0) > 0, 0.0, np.exp(added(log)))
    return Optimality(
        np.where(proven, added(np.where(solution.proven, solution.energy, 0.0)), np.nan),
        added(gap),
        proven,
        np.where(proven & (added(np.ones(len(energy))) > 0), chance, np.nan),
    )


def _sizes(program: Program) -> Floats:
    """Return the sum of all coefficients of each block."""
    o, component = program.objective, program.components
    count = int(component.max(initial=-1)) + 1
    fields = np.bincount(component, np.abs(o.linear) * program.variables.upper, count)
    return np.asarray(fields + np.bincount(component[o.i], np.abs(o.bias), count), np.float64)


def _energies(program: Program, point: Floats) -> Floats:
    """Return the objective of each block at a point, constants excluded."""
    o, component = program.objective, program.components
    count = int(component.max(initial=-1)) + 1
    fields = np.bincount(component, o.linear * point, count)
    coupled = np.bincount(component[o.i], o.bias * point[o.i] * point[o.j], count)
    return np.asarray(fields + coupled, np.float64)


def _pairs(compiled: Compilation, program: Program) -> tuple[Longs, Longs]:
    """Return the rows of the attention and the blocks behind them, each pair once."""
    first, queries = compiled.stages[0].program.variables, compiled.attention.shape[1]
    back = compiled.lift_between(0, compiled.unpriced)
    held = np.flatnonzero(np.diff(back.indptr))
    held = held[(first.head[held] >= 0) & (first.query[held] >= 0)]
    blocks = int(program.components.max(initial=-1)) + 1
    row = first.head[held].astype(np.int64) * queries + first.query[held]
    block = program.components[back.indices[back.indptr[held]]]
    pairs = np.unique(row * max(blocks, 1) + block)
    return pairs // max(blocks, 1), pairs % max(blocks, 1)


def _hits(
    compiled: Compilation, program: Program, parts: Sequence[PartReads], best: Floats
) -> Iterator[tuple[Longs, Floats]]:
    """Yield blocks, and the share of reads of each that hold its constraints at the optimum."""
    lift, component, c = (
        compiled.lift_to(compiled.unpriced),
        program.components,
        program.constraints,
    )
    owner = component[c.var[c.ptr[:-1]]]
    for reads in whole_reads(parts, lift, component):
        inside = np.zeros(len(best), bool)
        inside[reads.block] = True
        var = np.flatnonzero(inside[component])
        levels, weight = lifted(lift, var, reads), reads.weight
        hits, point = np.zeros(len(best)), np.zeros(len(program))
        for read in range(len(weight)):
            point[var] = levels[:, read]
            bad = np.bincount(component, (point < 0) | (point > program.variables.upper), len(best))
            bad += np.bincount(owner, program.violations(point[None])[0] > 1e-9, len(best))
            hits += weight[read] * ((bad == 0) & (_energies(program, point) <= best))
        yield reads.block, hits[reads.block] / max(weight.sum(), 1)
