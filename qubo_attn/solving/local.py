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
from qubo_attn.solving.swaps import improve

# Choices of a search: as many as take a few hundredths of a second and, where every block must be
# proven, some seconds.
_STEPS, _ALL_STEPS = 1_000_000, 200_000_000


@named_fields
@dataclass(frozen=True)
class LocalSolver:
    """Solves programs on this computer, under their constraints and without their penalties.

    `CompiledAttention.solve` uses it where it is given no sampler. Rows do not depend on each
    other unless a constraint or a coupler joins them, so each block of joined rows is solved alone.
    A row of few selections is searched from end to end, and one of more by a bound that leaves
    branches out; both prove its optimum. Of optima that are equal up to rounding a search takes the
    one with the larger value at the first variable in which they differ: the earlier key.

    Attributes:
        method: ``"exact"``: every block must be proven; ``"swap"``: annealing by exchanges that
            never leave the constraints; ``"anneal"``: simulated annealing of the QUBO, penalties
            and all, to see what becomes of it; ``"auto"``: exact where a block can be proven, swap
            where not, and anneal where greedy steps meet no point that holds all constraints.
        seed: of swap and anneal; swap takes 0 for None.
        steps: choices after which the search of a block gives up, at least 1; a million when None,
            and 200 times as many where every block must be proven.

    Example:
        >>> import qubo_attn as qa
        >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.ExactlyK(2), target=None)
        >>> result = compiled.solve(qa.LocalSolver("exact"))
        >>> result.selected[0, 0], result.methods[0, 0], result.proven[0, 0]
        (array([ True,  True, False]), np.str_('exact'), np.True_)
    """

    method: str = "auto"
    seed: int | None = None
    steps: int | None = None

    # Names of the methods; `CompiledAttention.solve` takes one in place of a solver.
    methods: ClassVar[tuple[str, ...]] = SOLVERS

    def __post_init__(self) -> None:
        one_of("method", self.method, SOLVERS)
        if self.seed is not None:
            object.__setattr__(self, "seed", whole("seed", self.seed))
        if self.steps is not None:
            object.__setattr__(self, "steps", whole("steps", self.steps, least=1))

    def solve(self, program: Program) -> Solution:
        """Solve a program block by block.

        Args:
            program: any program; what its constraints are priced at does not matter.

        Returns:
            A point, and what is known of it. Blocks for which no point is met that holds their
            constraints are left at zero.

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
        if program.constraints.priced.any():
            program = unpriced(program)
        if self.method == "swap":
            solution = Solution.nothing(program)
        else:
            steps = self.steps or (_ALL_STEPS if self.method == "exact" else _STEPS)
            solution = solve_exactly(program, steps)
        if solution.proven.all():
            return solution
        if self.method == "exact":
            raise _unproven(program, solution, steps)
        improve(program, solution, ~solution.proven, self.seed or 0)
        return solution


def _unproven(program: Program, solution: Solution, steps: int) -> InputError:
    """Return the error of a block that must be proven and is not."""
    block = int(np.flatnonzero(~solution.proven)[0])
    variable = int(np.flatnonzero(program.components == block)[0])
    return InputError(
        f"the block of {program.label(variable)} is too large to prove its optimum within "
        f"{steps:,} steps; method='auto' takes what it can get",
        argument="method",
        head=int(program.variables.head[variable]),
        query=int(program.variables.query[variable]),
    )
