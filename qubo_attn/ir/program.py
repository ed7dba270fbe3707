"""The intermediate representation: a quadratic program over small integers, in columns.

::

    minimise   offset + sum_i a_i x_i + sum_{i<=j} b_ij x_i x_j        x_i in {0, .., upper_i}
    subject to sum_i c_ri x_i {=, <=} d_r                              for every constraint r

``h, q, k`` index head, query, key; ``i < j`` index variables; ``m`` counts samples and ``n``
variables. Energies are minimised.

A constraint may carry a *price*: a ``weight`` A and a ``slope`` mu. A priced constraint is no
longer imposed but paid for, and adds to the energy

* ``A (c.x - d)^2 + mu (c.x - d)``, and
* ``A max(c.x - d, 0)`` when it is one-sided. For an implication ``u - v <= 0`` between two bits
  this is ``A u (1 - v)``. For a gate ``c.u - U v <= 0`` it is ``A (c.u) (1 - v)``; there the
  variables u, which add up to U at most, have to be zero unless the bit v is one.

So the objective and each penalty stay apart to the end, and a program is unconstrained exactly when
every constraint is priced.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from qubo_attn.common.arrays import Array, Bools, Floats, Longs, digest_of, own_array
from qubo_attn.common.brief import folding
from qubo_attn.common.checks import instance
from qubo_attn.common.frozen import Portable, replaced
from qubo_attn.ir.columns import Constraints, Sense, Variables
from qubo_attn.ir.components import components_of
from qubo_attn.ir.points import read_points
from qubo_attn.ir.quadratic import Quadratic
from qubo_attn.ir.text import parse_program, print_program
from qubo_attn.ir.total import total
from qubo_attn.ir.verify import verify


@dataclass(frozen=True, eq=False)
class Program(Portable):
    """A quadratic program over attention variables, as it is after any pass.

    Attributes:
        variables: columns of the variables.
        objective: what is minimised, penalties excluded.
        constraints: what is imposed or, where priced, paid for.

    Example:
        >>> from qubo_attn import Program
        >>> program = Program.parse('''
        ... x[0,0,0] : -2
        ... x[0,0,1] : -1
        ... x[0,0,0] * x[0,0,1] : 0.5
        ... pick[0,0]: x[0,0,0] + x[0,0,1] == 1
        ... ''')
        >>> program.is_binary, program.is_unconstrained
        (True, False)
        >>> program.energies([[1, 0], [1, 1]])
        array([-2. , -2.5])
        >>> program.feasible([[1, 0], [1, 1]])
        array([ True, False])
    """

    variables: Variables
    objective: Quadratic
    constraints: Constraints

    def __len__(self) -> int:
        return len(self.variables)

    # -- properties read off the columns ------------------------------------------------------

    @property
    def is_binary(self) -> bool:
        """Whether every variable is a bit."""
        return bool((self.variables.upper == 1).all())

    @property
    def is_unconstrained(self) -> bool:
        """Whether every constraint is priced (or there is none)."""
        return bool(self.constraints.priced.all())

    @cached_property
    def components(self) -> Longs:
        """The independent component of each variable, int64, numbered from 0.

        Couplers and constraints join variables. Energies and feasibility of one component do not
        depend on another, so the best read may be picked for each alone.
        """
        return components_of(self.objective, self.constraints)

    @cached_property
    def count_rows(self) -> Bools:
        """Which imposed constraints are plain counts over variables of their own.

        Coefficients are one, the variables stand in no other constraint, and the right-hand side is
        a whole number that the variables can reach. Equalities and upper bounds alike.
        """
        uses = np.bincount(self.constraints.var, minlength=len(self))
        return own_array(self.constraints.counts(self.variables.upper, uses))

    # -- names ----------------------------------------------------------------------------------

    def label(self, v: int) -> str:
        """Return the derived name of variable ``v``, for example ``x[0,3,5]``."""
        return self.variables.label(v)

    @property
    def labels(self) -> list[str]:
        """The names of all variables, in order."""
        return [self.label(v) for v in range(len(self))]

    # -- values at points ---------------------------------------------------------------------

    def penalty_energies(self, samples: ArrayLike) -> Floats:
        """Return what the priced constraints add at each of ``samples``, shape (m, n)."""
        c = self.constraints
        excess = self.excess(samples)
        weight, slope = np.where(c.priced, c.weight, 0.0), np.where(c.priced, c.slope, 0.0)
        both, one = np.where(c.one_sided, 0.0, 1.0), np.where(c.one_sided, weight, 0.0)
        paid = excess @ (slope * both) + (excess * excess) @ (weight * both)
        return np.asarray(paid + np.maximum(excess, 0.0) @ one)

    def energies(self, samples: ArrayLike) -> Floats:
        """Return objective plus penalties at each of ``samples``, shape (m, n)."""
        return self.objective.energies(samples) + self.penalty_energies(samples)

    def excess(self, samples: ArrayLike) -> Floats:
        """Return left side minus right side, shape (m, constraints)."""
        points = read_points(samples, len(self))
        return np.asarray((self.constraints.matrix(len(self)) @ points.T).T - self.constraints.rhs)

    def violations(self, samples: ArrayLike) -> Floats:
        """Return by how much each constraint fails, shape (m, constraints); 0 where it holds."""
        excess = self.excess(samples)
        return np.where(self.constraints.sense == Sense.EQ, np.abs(excess), np.maximum(excess, 0))

    def feasible(self, samples: ArrayLike) -> Bools:
        """Return which of ``samples`` satisfy every constraint, priced ones included."""
        return np.asarray((self.violations(samples) <= 1e-9).all(axis=1))

    # -- forms --------------------------------------------------------------------------------

    def total(self) -> Quadratic:
        """Return objective plus priced constraints as one quadratic form.

        Couplers that the structure has but whose value is zero are dropped.

        Raises:
            VerifyError: a constraint is still imposed, or a variable is not a bit.
        """
        return self._total

    @cached_property
    def _total(self) -> Quadratic:
        return total(self.variables, self.objective, self.constraints)

    def replace(self, **parts: Variables | Quadratic | Constraints) -> Program:
        """Return a copy with some of the three column groups replaced."""
        return replace(self, **parts)  # type: ignore[arg-type]  # dataclasses.replace is untyped

    # -- text and identity --------------------------------------------------------------------

    def __str__(self) -> str:
        return self.text(limit=400)

    def _repr_html_(self) -> str:
        return folding(str(self))

    def text(self, *, exact: bool = False, limit: int | None = None) -> str:
        """Return the program as text.

        Args:
            exact: print floats so that they read back exactly; otherwise six digits.
            limit: most lines of variables, terms and constraints, each; all when None.
        """
        return print_program(
            self.variables, self.objective, self.constraints, exact=exact, limit=limit
        )

    @staticmethod
    def parse(text: str) -> Program:
        """Read a program back from its text.

        Raises:
            ParseError: names the line and column.
            InputError: it is no text.
            VerifyError: the text reads but is malformed as a program.
        """
        program = Program(*parse_program(instance("text", text, str)))
        program.verify()
        return program

    def verify(self) -> None:
        """Reject a malformed program.

        Raises:
            VerifyError: the first problem, with the count of the rest.
        """
        verify(self.variables, self.objective, self.constraints)

    def arrays(self) -> dict[str, Array]:
        """Return every column, by group and name, for saving."""
        groups = {
            "v": self.variables.arrays(),
            "o": self.objective.arrays(),
            "c": self.constraints.arrays(),
        }
        columns = {f"{g}.{k}": a for g, group in groups.items() for k, a in group.items()}
        return columns | {"o.offset": np.array(self.objective.offset)}

    @staticmethod
    def from_arrays(arrays: dict[str, Array]) -> Program:
        """Build a program from what `arrays` returned."""

        def group(prefix: str, names: dict[str, type]) -> dict[str, Array]:
            return {name: arrays[f"{prefix}.{name}"] for name in names}

        return Program(
            Variables(**group("v", Variables._dtypes)),
            Quadratic(
                float(arrays["o.offset"]), *(arrays[f"o.{k}"] for k in ("linear", "i", "j", "bias"))
            ),
            Constraints(**group("c", Constraints._dtypes)),
        )

    def digest(self) -> str:
        """Return a hash of every column: equal exactly when the programs are the same."""
        return digest_of(self.arrays())

    def same(self, other: Program) -> bool:
        """Return whether both programs are equal, bit for bit."""
        return self.digest() == other.digest()


def unpriced(program: Program) -> Program:
    """Return a program with every constraint imposed again, whatever it was priced at."""
    c = program.constraints
    nothing = np.full(len(c), np.nan)
    return program.replace(constraints=replaced(c, weight=nothing, slope=np.zeros(len(c))))
