"""The promises of a pass, executable: used by tests and by ``verify_each``."""

from __future__ import annotations

from itertools import islice

import numpy as np

from qubo_attn.common.arrays import Bools, Floats
from qubo_attn.common.checks import MOST_SEED, instance, whole
from qubo_attn.errors import PromiseError
from qubo_attn.ir.columns import Sense
from qubo_attn.ir.program import Program
from qubo_attn.pipeline.rewrite import Rewrite

MOST_BITS = 20
MOST_POINTS = 1 << MOST_BITS


def validate(before: Program, rewrite: Rewrite, *, samples: int = 4096, seed: int = 0) -> None:
    """Check a rewrite against what it promises (see `Rewrite`).

    Up to about a million points (20 bits) all of them are checked, and with them the optimum and
    the margin. Above that, ``samples`` points are drawn, as many of them feasible as the simple
    constraints allow, and only what holds point by point is checked.

    Args:
        before: the program the pass was given.
        rewrite: what it returned.
        samples: points to draw where there are too many to enumerate.
        seed: of the draw.

    Raises:
        PromiseError: names the broken promise and a point that breaks it.
        VerifyError: the program after the pass is malformed.

    Example:
        >>> from qubo_attn import InsertPenalties, Program, validate
        >>> program = Program.parse('''
        ... x[0,0,0] : -2
        ... x[0,0,1] : -1
        ... pick[0,0]: x[0,0,0] + x[0,0,1] == 1
        ... ''')
        >>> validate(program, InsertPenalties().apply(program))
    """
    instance("before", before, Program)
    after = instance("rewrite", rewrite, Rewrite).program
    samples, seed = whole("samples", samples, 1, MOST_POINTS), whole("seed", seed, most=MOST_SEED)
    after.verify()
    shape = (rewrite.lift.n_before, rewrite.lift.n_after)
    if shape != (len(before), len(after)):
        raise PromiseError(f"lift has shape {shape}, programs have {(len(before), len(after))}")
    complete = _bits_of(after) <= MOST_BITS
    points = every_point(after) if complete else _draw(after, samples, seed)
    lifted = rewrite.lift.lift(points)
    feasible = after.feasible(points)
    tolerance = 1e-9 * max(1.0, scale_of(before), scale_of(after))
    _check_points(before, lifted, after, points, feasible, tolerance + rewrite.error)
    if complete and feasible.any():
        _check_optimum(before, rewrite, points, feasible, tolerance)


def every_point(program: Program) -> Floats:
    """Return every point of a small program's box, shape (points, n), in counting order."""
    sides = program.variables.upper.astype(np.int64) + 1
    count = int(np.prod(sides)) if len(sides) else 1
    if count > MOST_POINTS:
        raise ValueError(f"{count} points are too many to enumerate")
    return (
        np.stack(np.unravel_index(np.arange(count), tuple(sides)), axis=1).astype(np.float64)
        if len(sides)
        else np.zeros((1, 0))
    )


def scale_of(program: Program) -> float:
    """Return an upper bound of the objective's size, the unit of rounding tolerances."""
    o, upper = program.objective, program.variables.upper.astype(np.float64)
    return float(
        abs(o.offset) + np.abs(o.linear) @ upper + np.abs(o.bias) @ (upper[o.i] * upper[o.j])
    )


def _bits_of(program: Program) -> float:
    """Return the binary logarithm of the number of points; the number itself may overflow."""
    return float(np.log2(program.variables.upper + 1.0).sum())


def _check_points(
    before: Program,
    lifted: Floats,
    after: Program,
    points: Floats,
    feasible: Bools,
    tolerance: float,
) -> None:
    """A feasible point lifts to a feasible point of the same energy, up to ``tolerance``."""
    inside = ((lifted >= 0) & (lifted <= before.variables.upper)).all(axis=1)
    lifts = before.feasible(lifted) & inside
    wrong = feasible & ~lifts
    if wrong.any():
        raise PromiseError(
            f"a feasible point lifts to an infeasible one: {_show(after, points[wrong][0])}"
        )
    gap = np.abs(after.energies(points) - before.energies(lifted))
    wrong = feasible & (gap > tolerance)
    if wrong.any():
        raise PromiseError(
            f"energy changes by {gap[wrong][0]:g} at {_show(after, points[wrong][0])}"
        )


def _check_optimum(
    before: Program, rewrite: Rewrite, points: Floats, feasible: Bools, tolerance: float
) -> None:
    """Best points lift to ones within the bound; infeasible points lie above by the margin."""
    after = rewrite.program
    energies = after.energies(points)
    optimum = float(energies[feasible].min())
    if not rewrite.restricts and _bits_of(before) <= MOST_BITS:
        candidates = every_point(before)
        candidates = candidates[before.feasible(candidates)]
        original = float(before.energies(candidates).min())
        best = points[feasible & (energies <= optimum + tolerance)]
        # Measured before the pass: where energies are rounded, the optimum's own may even fall.
        reached = float(before.energies(rewrite.lift.lift(best)).max())
        if not original - tolerance <= reached <= original + rewrite.prove() + 2 * tolerance:
            raise PromiseError(
                f"the optimum moves from {original:g} to {reached:g}, bound {rewrite.prove():g}"
            )
    imposed = after.constraints.take(~after.constraints.priced)
    allowed = after.replace(constraints=imposed).feasible(points) & ~feasible
    if allowed.any():
        lowest = float(energies[allowed].min())
        if lowest < optimum + rewrite.margin - tolerance:
            worst = points[allowed][int(energies[allowed].argmin())]
            raise PromiseError(
                f"an infeasible point lies at {lowest:g}, optimum {optimum:g}, "
                f"margin {rewrite.margin:g}: {_show(after, worst)}"
            )


def _draw(program: Program, count: int, seed: int) -> Floats:
    """Draw points; where constraints are plain counts over their own bits, they hold."""
    generator = np.random.default_rng(seed)
    upper, c = program.variables.upper, program.constraints
    points = generator.integers(0, upper + 1, size=(count, len(program))).astype(np.float64)
    for r in range(len(c)):
        var = c.var[c.ptr[r] : c.ptr[r + 1]]
        if c.sense[r] != Sense.EQ or (c.coef[c.ptr[r] : c.ptr[r + 1]] != 1).any():
            continue
        rank = generator.random((count, len(var))).argsort(axis=1).argsort(axis=1)
        points[: count // 2, var] = rank[: count // 2] < c.rhs[r]
    return points


def _show(program: Program, point: Floats) -> str:
    chosen = (f"{program.label(int(v))}={point[v]:g}" for v in np.flatnonzero(point))
    return ", ".join(islice(chosen, 12)) or "all zero"
