"""The local solver: optima of rows on this computer, proven where they can be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import dimod
import numpy as np

from qubo_attn.common.checks import one_of, whole
from qubo_attn.common.keywords import check_names, named_fields
from qubo_attn.common.vocabulary import SOLVERS
from qubo_attn.errors import InputError
from qubo_attn.ir.program import Program, unpriced
from qubo_attn.solving.exact import solve_exactly
from qubo_attn.solving.model import program_of, sampleset_of
from qubo_attn.solving.solution import Solution
from qubo_attn.solving.swaps import SWEEPS, improve

# Choices of a search: as many as take a few hundredths of a second and, where every block must be
# proven, some seconds.
_STEPS, _ALL_STEPS = 1_000_000, 200_000_000


@named_fields
@dataclass(frozen=True)
class LocalSolver(dimod.Sampler):  # type: ignore[misc]
    """Solves programs on this computer, under their constraints and without their penalties.

    `CompiledAttention.solve` uses it where it is given no sampler. Rows do not depend on each
    other unless a constraint or a coupler joins them, so each block of joined rows is solved alone.
    A row of few selections is searched from end to end, and one of more by a bound that leaves
    branches out; both prove its optimum. Of optima that are equal up to rounding a search takes the
    one with the larger value at the first variable in which they differ: the earlier key.

    It is a dimod sampler, too: `sample` takes any binary quadratic model (docs/local_solver.md).

    Attributes:
        method: ``"exact"``: every block must be proven. ``"swap"``: annealing by exchanges that
            never leave the constraints. ``"anneal"``: simulated annealing of the QUBO with all
            penalties. ``"auto"``: exact if a block can be proven, otherwise swap; anneal if greedy
            steps find no point that keeps all constraints.
        seed: of swap and anneal; swap takes 0 for None.
        steps: choices after which the search of a block gives up, at least 1; a million when None,
            and 200 times as many where every block must be proven.
        sweeps: turns of every variable in each of the two annealings of ``"swap"``, at least 1; 64
            when None.

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
    sweeps: int | None = None

    # Names of the methods; `CompiledAttention.solve` takes one in place of a solver.
    methods: ClassVar[tuple[str, ...]] = SOLVERS

    def __post_init__(self) -> None:
        one_of("method", self.method, SOLVERS)
        if self.seed is not None:
            object.__setattr__(self, "seed", whole("seed", self.seed))
        for name in ("steps", "sweeps"):
            given = getattr(self, name)
            if given is not None:
                object.__setattr__(self, name, whole(name, given, least=1))

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
        solution = self._solved(program)
        if self.method == "exact" and not solution.proven.all():
            variable = _unproven(program, solution)
            raise InputError(
                self._too_large(program.label(variable)),
                argument="method",
                head=int(program.variables.head[variable]),
                query=int(program.variables.query[variable]),
            )
        return solution

    # -- as a dimod sampler ---------------------------------------------------------------------

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Options of `sample`, which are those of simulated annealing in dwave-samplers."""
        return dict(_annealer().parameters) if self.method == "anneal" else {}

    @property
    def properties(self) -> Mapping[str, Any]:
        """What else is known of the sampler; there is nothing."""
        return {}

    def sample(self, bqm: dimod.BinaryQuadraticModel, **parameters: Any) -> dimod.SampleSet:
        """Solve a binary quadratic model, part by independent part.

        Penalties are ordinary terms here. A part of up to 15 variables is enumerated, and a part of
        a few more is searched with a bound. The rest is annealed, by single flips and by exchanges.

        Args:
            bqm: any model, such as ``submission.bqm``.
            **parameters: of method ``"anneal"`` alone, see `parameters`.

        Returns:
            One sample. ``info`` says whether it is ``proven`` to be an optimum, a lower ``bound``
            on all energies, and how many parts were solved by which of the ``methods``. Method
            ``"anneal"`` returns its reads.

        Raises:
            InputError: it is no such model, a bias is not finite, or the method does not take an
                option. Also if the method is ``"exact"`` and a part is not proven; names its first
                variable.

        Example:
            >>> import dimod, qubo_attn as qa
            >>> model = dimod.BinaryQuadraticModel({"a": 1.0, "b": -2.0}, {"ab": -0.5}, 0.0, "SPIN")
            >>> read = qa.LocalSolver().sample(model)
            >>> read.first.sample, read.first.energy
            ({'a': np.int8(-1), 'b': np.int8(1)}, np.float64(-2.5))
            >>> read.info["proven"], read.info["methods"]
            (True, {'exact': 1})
        """
        program = program_of(bqm)
        if self.method == "anneal":
            check_names("annealing", parameters, self.parameters)
            return _annealer().sample(bqm, **{"seed": self.seed} | parameters)
        if parameters:
            name = next(iter(parameters))
            raise InputError(
                f"method {self.method!r} of the local solver takes no {name}; "
                "qubo_attn.LocalSolver('anneal') takes options of annealing",
                argument=name,
            )
        solution = self._solved(program)
        if self.method == "exact" and not solution.proven.all():
            label = list(bqm.variables)[_unproven(program, solution)]
            raise InputError(self._too_large(repr(label)), argument="method")
        return sampleset_of(bqm, solution)

    # -- parts of both --------------------------------------------------------------------------

    @property
    def _most_steps(self) -> int:
        return self.steps or (_ALL_STEPS if self.method == "exact" else _STEPS)

    def _solved(self, program: Program) -> Solution:
        """Return what the method makes of a program without prices."""
        if self.method == "swap":
            solution = Solution.nothing(program)
        else:
            solution = solve_exactly(program, self._most_steps)
        if self.method != "exact" and not solution.proven.all():
            improve(program, solution, ~solution.proven, self.seed or 0, self.sweeps or SWEEPS)
        return solution

    def _too_large(self, label: str) -> str:
        """Return the message on a block that must be proven and is not."""
        return (
            f"the block of {label} is too large to prove its optimum within "
            f"{self._most_steps:,} steps; method='auto' takes what it can get"
        )


def _unproven(program: Program, solution: Solution) -> int:
    """Return the first variable of the first block that is not proven."""
    block = int(np.flatnonzero(~solution.proven)[0])
    return int(np.flatnonzero(program.components == block)[0])


def _annealer() -> dimod.Sampler:
    from dwave.samplers import SimulatedAnnealingSampler

    return SimulatedAnnealingSampler()
