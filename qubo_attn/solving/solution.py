"""What the local solver returns: a point of a program, and what is known of it block by block."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from qubo_attn.common.arrays import Array, Bools, Bytes, Floats
from qubo_attn.common.brief import Brief
from qubo_attn.ir.program import Program


class Way(IntEnum):
    """How a point of a block came about; its lower-case name is what results say."""

    SETTLED = 0  # nothing was left to choose
    EXACT = 1  # all points of the block were searched, or all that a bound leaves
    SWAP = 2  # annealed by exchanges that keep the constraints
    ANNEAL = 3  # simulated annealing of the QUBO
    SAMPLER = 4  # reads of a sampler

    @classmethod
    def names(cls, ways: Array) -> Array:
        """Return the names of ways, an array of text of the same shape."""
        return np.array([way.name.lower() for way in cls])[ways]


@dataclass(frozen=True, eq=False)
class Solution(Brief):
    """A point of a program, and what is known of it.

    Blocks are the program's independent components, numbered as ``program.components`` numbers
    them. Energies are objectives, constants and penalties excluded.

    Attributes:
        point: float64, shape (n,), the value of each variable.
        way: uint8, how each block was solved, see `Way`; `Way.SETTLED` where it was not.
        proven: bool, which blocks are at their optimum, as far as float64 tells.
        energy: float64, objective of each block; infinite where it was not solved.
        bound: float64, a lower bound on the objective of each block; that of ``energy`` where it
            is proven, minus infinity where none is known.

    Example:
        >>> import qubo_attn as qa
        >>> program = qa.Program.parse('''
        ... x[0,0,0] : -1
        ... x[0,0,1] : -2
        ... pick[0,0]: x[0,0,0] + x[0,0,1] == 1
        ... ''')
        >>> solution = qa.LocalSolver().solve(program)
        >>> solution.methods, solution.energy, solution.bound
        (array(['exact'], dtype='<U7'), array([-2.]), array([-2.]))
    """

    point: Floats
    way: Bytes
    proven: Bools
    energy: Floats
    bound: Floats

    @classmethod
    def nothing(cls, program: Program) -> Solution:
        """Return what is known of a program before anything is solved."""
        count = int(program.components.max(initial=-1)) + 1
        return cls(
            np.zeros(len(program)),
            np.full(count, Way.SETTLED, np.uint8),
            np.zeros(count, bool),
            np.full(count, np.inf),
            np.full(count, -np.inf),
        )

    @property
    def methods(self) -> Array:
        """How each block was solved, as ``"exact"``, ``"swap"`` or ``"settled"``."""
        return Way.names(self.way)
