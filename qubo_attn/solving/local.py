"""The local solver: optima of rows on this computer, proven where they can be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qubo_attn.common.checks import one_of, whole
from qubo_attn.common.keywords import named_fields
from qubo_attn.common.vocabulary import SOLVERS
from qubo_attn.errors import InputError
from qubo_attn.ir.program import Program, unpriced
from qubo_attn.solving.exact import solve_exactly
from qubo_attn.solving.solution import Solution

# Choices of a search that take a few hundredths of a second.
_STEPS = 1_000_000


@named_fields
@dataclass(frozen=True)
class LocalSolver:
    """Solves programs on this computer, under their constraints and without their penalties.

    `CompiledAttention.solve` uses it where it is given no sampler. Rows do not depend on each
    other unless a constraint or a coupler joins them, so each block of joined rows is solved alone.
    A row of few selections is searched from end to end, which proves its optimum. Of optima that
    are equal up to rounding it takes the one with the larger value at the first variable in which
    they differ: the earlier key.

    Attributes:
        method: ``"exact"``: every block must be proven; ``"anneal"``: simulated annealing of the
            QUBO, penalties and all, to see what becomes of it; ``"auto"``: exact where a block can
            be proven, annealing where not.
        seed: of annealing.
        steps: choices after which the search of a block gives up, at least 1.

    Example:
        >>> import qubo_attn as qa
        >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.ExactlyK(2), target=None)
        >>> result = compiled.solve(qa.LocalSolver("exact"))
        >>> result.selected[0, 0], result.methods[0, 0], result.proven[0, 0]
        (array([ True,  True, False]), np.str_('exact'), np.True_)
    """

    method: str = "auto"
    seed: int | None = None
    steps: int = _STEPS

    # Names of the methods; `CompiledAttention.solve` takes one in place of a solver.
    methods: ClassVar[tuple[str, ...]] = SOLVERS

    def __post_init__(self) -> None:
        one_of("method", self.method, SOLVERS)
        if self.seed is not None:
            object.__setattr__(self, "seed", whole("seed", self.seed))
        object.__setattr__(self, "steps", whole("steps", self.steps, least=1))

    def solve(self, program: Program) -> Solution:
        """Solve a program block by block.

        Args:
            program: any program; what its constraints are priced at does not matter.

        Returns:
            A point, and what is known of it. With ``"auto"`` blocks that it cannot solve are left
            at zero.

        Raises:
            InputError: ``method`` is ``"exact"`` and a block is not proven; names its first
                variable. Or it is ``"anneal"``, which takes a QUBO.

        Example:
            >>> import qubo_attn as qa
            >>> program = qa.Program.parse('''
            ... x[0,0,0] : -1
            ... x[0,0,1] : -2
            ... pick[0,0]: x[0,0,0] + x[0,0,1] == 1
            ... ''')
            >>> solution = qa.LocalSolver().solve(program)
            >>> solution.point, solution.proven, solution.energy
            (array([0., 1.]), array([ True]), array([-2.]))
        """
        if self.method == "anneal":
            raise InputError("annealing takes a QUBO, not a program", argument="method")
        solution = solve_exactly(
            unpriced(program) if program.constraints.priced.any() else program, self.steps
        )
        if self.method == "exact" and not solution.proven.all():
            block = int(np.flatnonzero(~solution.proven)[0])
            variable = int(np.flatnonzero(program.components == block)[0])
            raise InputError(
                f"the block of {program.label(variable)} is too large to prove its optimum within "
                f"{self.steps:,} steps; method='auto' takes what it can get",
                argument="method",
                head=int(program.variables.head[variable]),
                query=int(program.variables.query[variable]),
            )
        return solution
