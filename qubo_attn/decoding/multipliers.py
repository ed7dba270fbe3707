"""Multipliers of linear penalties, found by sampling (Ohzeki, Scientific Reports 10, 3126).

A row priced ``mu (S - k)`` needs no couplers for its constraint, but where no mu is proven, the
best sampled selection may hold too many keys or too few. As in the dual ascent of a Lagrangian, mu
rises by ``eta (<S> - k)`` after each round of samples. Fields alone change: structure, placement
and plan are taken over. Feasible reads pay no penalty whatever mu was, so reads of all rounds
compare as they are, and the best of them is decoded.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from qubo_attn.common.arrays import Bools, Floats, segment_ids
from qubo_attn.common.frozen import replaced
from qubo_attn.decoding.reads import mean_read, read_parts
from qubo_attn.errors import PassError
from qubo_attn.ir.columns import Sense
from qubo_attn.ir.program import Program

if TYPE_CHECKING:
    import dimod

    from qubo_attn.compilation.compilation import Compilation

# Rounds of sampling: the slopes have settled long before.
MOST_STEPS = 10_000
# The first rate, as a share of the mean distance of a row's fields: the interval of slopes that
# serves a real row is narrow, and the certificate's slope lies near it.
_RATE = 0.01
# A step that overshot is halved; one that did not reach grows.
_SHRINK, _GROW = 0.5, 1.5


def refine(
    compiled: Compilation,
    samplesets: list[dimod.SampleSet],
    resample: Callable[[Compilation, int], list[dimod.SampleSet]],
    steps: int,
) -> list[dimod.SampleSet]:
    """Return the samples of several rounds, multipliers moved in between.

    Args:
        compiled: what was sampled.
        samplesets: the first round, one per submission.
        resample: returns the samples of an artifact in the round of that number, from 1.
        steps: rounds besides the first.

    Raises:
        PassError: there are whole coefficients, which a moved multiplier would break.
    """
    import dimod

    if any(stage.name == "quantize" for stage in compiled.stages):
        raise PassError("multipliers move fields off the whole steps of quantize; leave one out")
    program = compiled.program
    moving = linear_rows(program)
    if not moving.any() or not samplesets:
        return samplesets
    c = program.constraints
    rate, slope, last = _units(program), c.slope.copy(), np.zeros(len(c))
    rounds = [samplesets]
    for step in range(1, steps + 1):
        read = read_parts(compiled.submissions, rounds[-1], ordered=True)
        mean = mean_read(program, read)
        surplus = np.where(moving, program.excess(mean)[0], 0.0)
        turn = np.sign(surplus) * np.sign(last)
        rate *= np.where(turn < 0, _SHRINK, np.where(turn > 0, _GROW, 1.0))
        slope, last = slope + rate * surplus, surplus
        rounds.append(resample(_with_slopes(compiled, slope), step))
    return [dimod.concatenate(parts) for parts in zip(*rounds, strict=True)]


def linear_rows(program: Program) -> Bools:
    """Return which constraints are equalities priced by a slope alone."""
    c = program.constraints
    return np.asarray(c.priced & (c.weight == 0) & (c.sense == Sense.EQ))


def _units(program: Program) -> Floats:
    """Return the first rate of each constraint, from the mean distance of its variables' fields."""
    c, o = program.constraints, program.objective
    row = segment_ids(c.ptr)
    low, high = np.full(len(c), np.inf), np.full(len(c), -np.inf)
    np.minimum.at(low, row, o.linear[c.var] / c.coef)
    np.maximum.at(high, row, o.linear[c.var] / c.coef)
    return np.asarray(_RATE * (high - low) / np.maximum(np.diff(c.ptr), 1))


def _with_slopes(compiled: Compilation, slope: Floats) -> Compilation:
    """Return the artifact with other multipliers; the plan from logical to physical stays."""
    stage = compiled.stages[-1]
    program = stage.program.replace(constraints=replaced(stage.program.constraints, slope=slope))
    rewrite = dataclasses.replace(stage.rewrite, program=program)
    stages = (*compiled.stages[:-1], dataclasses.replace(stage, rewrite=rewrite))
    return dataclasses.replace(compiled, stages=stages)
