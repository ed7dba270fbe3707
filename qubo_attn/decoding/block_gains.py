"""What one round over blocks gave each component of whole rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Bools, Bytes, Floats, Longs
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.decoding.decode import Best
from qubo_attn.formulations.held import component_energies
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program
from qubo_attn.solving.solution import Way


class Gave(NamedTuple):
    """What a round gave each component of whole rows.

    Attributes:
        program: of the round, before prices and encodings.
        owner: the component of each of its blocks.
        ways, proven, share: of each component.
        figures: least energies of its blocks, see `Mended`, shape (3, components).
        number: reads of each component.
    """

    program: Program
    owner: Longs
    ways: Bytes
    proven: Bools
    share: Floats
    figures: Floats
    number: Longs

    @classmethod
    def of(cls, step: Compilation, best: Best, component: Longs, lift: Lift) -> Gave:
        """Return what the blocks of a round add up to."""
        program, count = step.stages[step.unpriced].program, int(component.max(initial=-1)) + 1
        owner = np.zeros(len(best.ways.way), np.int64)
        owner[program.components[lift.indices]] = np.repeat(component, np.diff(lift.indptr))
        ways, proven = np.full(count, Way.SETTLED, np.uint8), np.ones(count, bool)
        np.maximum.at(ways, owner, best.ways.way)
        np.logical_and.at(proven, owner, best.ways.proven)
        blocks = np.maximum(np.bincount(owner, minlength=count), 1)
        share = np.bincount(owner, best.point.feasible, count) / blocks
        point, number = best.point, np.zeros(count, np.int64)
        least = point.sampled, point.mended, point.descended
        figures = [np.bincount(owner, part, count) for part in least]
        np.maximum.at(number, owner, point.number)
        return cls(program, owner, ways, proven, share, np.array(figures), number)

    def before(self, point: Floats, lift: Lift) -> Floats:
        """Return the energy of the blocks at the point that the round started from."""
        start = np.zeros(len(self.program))
        start[lift.indices] = np.repeat(point, np.diff(lift.indptr))
        energy = component_energies(self.program, start)
        return np.asarray(np.bincount(self.owner, energy, len(self.ways)), np.float64)
