"""The intermediate representation: a quadratic program over small integers, in columns.

::

    minimise   offset + sum_i a_i x_i + sum_{i<=j} b_ij x_i x_j        x_i in {0, .., upper_i}
    subject to sum_i c_ri x_i {=, <=} d_r                              for every constraint r

``h, q, k`` index head, query, key; ``i < j`` index variables; ``m`` counts samples and ``n``
variables. Energies are minimised.

A constraint may carry a *price*: a ``weight`` A and a ``slope`` mu. A priced constraint is no
longer imposed but paid for, and adds to the energy

* ``A (c.x - d)^2 + mu (c.x - d)``, and
* ``A max(c.x - d, 0)`` when it is one-sided: an implication ``u - v <= 0`` between two bits, where
  this is ``A u (1 - v)``, or a gate ``c.u - U v <= 0``, in which the bit v lets variables that add
  up to U at most be other than zero, and this is ``A (c.u) (1 - v)``.

So the objective and each penalty stay apart to the end, and a program is unconstrained exactly when
every constraint is priced.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cache, cached_property
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from qubo_attn import kernels
from qubo_attn.common.arrays import (
    Array,
    Bools,
    Floats,
    Longs,
    csr_rows,
    frozen_array,
    own_array,
    pointers,
    segment_ids,
)
from qubo_attn.common.frozen import Portable

if TYPE_CHECKING:
    from scipy import sparse


class Role(IntEnum):
    """What a variable stands for; the letter is its name in text."""

    SELECT = 0
    WEIGHT = 1
    ANCILLA = 2

    @property
    def letter(self) -> str:
        """The letter of this role in a label: x, w or a."""
        return "xwa"[self]


class Kind(IntEnum):
    """Where a constraint comes from; its lower-case name is its name in text."""

    PICK = 0  # a row's selection
    WALL = 1  # an encoding's order of bits
    LEVEL = 2  # an encoding's choice of one level
    KEEP = 3  # a required or forbidden key
    BUDGET = 4  # the keys of a whole head, or of all heads
    GATE = 5  # a key's level, which is zero unless the key is selected
    SWITCH = 6  # two bits passed on, straight or crossed


class Sense(IntEnum):
    """Whether a constraint is an equality or an upper bound."""

    EQ = 0
    LE = 1


class Columns(Portable):
    """Base of the frozen column groups: converts each array to its dtype once and freezes it."""

    _dtypes: dict[str, type]

    def __post_init__(self) -> None:
        for name, dtype in self._dtypes.items():
            object.__setattr__(self, name, frozen_array(getattr(self, name), dtype))

    def arrays(self) -> dict[str, Array]:
        """Return the columns by name."""
        return {name: getattr(self, name) for name in self._dtypes}


@dataclass(frozen=True, eq=False)
class Variables(Columns):
    """One entry per variable; the row number is the variable's id.

    Attributes:
        head, query, key, bit: int32; -1 where a variable belongs to no single one.
        upper: int32, largest value; 1 for a bit.
        role: uint8, see `Role`.
        mass: float64, softmax probability of the key in its row; NaN where it has none.
    """

    head: Array
    query: Array
    key: Array
    bit: Array
    upper: Array
    role: Array
    mass: Array

    _dtypes = {  # noqa: RUF012  (a table shared by all instances)
        "head": np.int32,
        "query": np.int32,
        "key": np.int32,
        "bit": np.int32,
        "upper": np.int32,
        "role": np.uint8,
        "mass": np.float64,
    }

    def __len__(self) -> int:
        return len(self.role)

    def take(self, index: Longs | Bools) -> Variables:
        """Return the variables at ``index``, an index or boolean array."""
        return Variables(**{name: own_array(a[index]) for name, a in self.arrays().items()})


@dataclass(frozen=True, eq=False)
class Quadratic(Columns):
    """A quadratic form; terms sorted by ``(i, j)`` with ``i <= j``, unique, none zero.

    Attributes:
        offset: float.
        linear: float64, one per variable.
        i, j: int32, the variables of each coupler.
        bias: float64, the coefficient of each coupler.
    """

    offset: float
    linear: Array
    i: Array
    j: Array
    bias: Array

    _dtypes = {  # noqa: RUF012
        "linear": np.float64,
        "i": np.int32,
        "j": np.int32,
        "bias": np.float64,
    }

    def __len__(self) -> int:
        return len(self.bias)

    @property
    def made(self) -> bool:
        """Whether the couplers are at hand; see `qubo_attn.ir.quadratic`."""
        return True

    def energies(self, samples: ArrayLike) -> Floats:
        """Return the value of the form at each of ``samples``, shape (m, n)."""
        points = np.ascontiguousarray(samples, dtype=np.float64)
        return kernels.quadratic_energies(
            points, self.offset, self.linear, self.i, self.j, self.bias
        )


@dataclass(frozen=True, eq=False)
class Constraints(Columns):
    """Linear constraints in CSR form; within a constraint the variables ascend.

    Attributes:
        ptr: int64, one more than there are constraints.
        var, coef: int32 and float64, the entries.
        sense, kind: uint8, see `Sense` and `Kind`.
        rhs: float64, right-hand sides.
        head, query, key, bit: int32, parts of the label; -1 where they do not apply.
        weight, slope: float64, the price; NaN weight where a constraint is still imposed.
    """

    ptr: Array
    var: Array
    coef: Array
    sense: Array
    rhs: Array
    kind: Array
    head: Array
    query: Array
    key: Array
    bit: Array
    weight: Array
    slope: Array

    _dtypes = {  # noqa: RUF012
        "ptr": np.int64,
        "var": np.int32,
        "coef": np.float64,
        "sense": np.uint8,
        "rhs": np.float64,
        "kind": np.uint8,
        "head": np.int32,
        "query": np.int32,
        "key": np.int32,
        "bit": np.int32,
        "weight": np.float64,
        "slope": np.float64,
    }

    def __len__(self) -> int:
        return len(self.rhs)

    @classmethod
    @cache
    def none(cls) -> Constraints:
        """Return no constraints at all."""
        empty: dict[str, Array] = {name: np.empty(0, dtype) for name, dtype in cls._dtypes.items()}
        return cls(**(empty | {"ptr": np.zeros(1, np.int64)}))

    @classmethod
    def concatenate(cls, parts: list[Constraints]) -> Constraints:
        """Return the constraints of all ``parts``, in order; they index the same variables."""
        parts = [part for part in parts if len(part)]
        if len(parts) < 2:
            return parts[0] if parts else cls.none()
        columns = {
            name: own_array(np.concatenate([getattr(part, name) for part in parts]))
            for name in cls._dtypes
            if name != "ptr"
        }
        counts = np.concatenate([np.diff(part.ptr) for part in parts])
        return cls(ptr=pointers(counts), **columns)

    def take(self, index: Longs | Bools) -> Constraints:
        """Return the constraints at ``index``, an index or boolean array, in that order."""
        rows = np.flatnonzero(index) if index.dtype == bool else np.asarray(index, np.int64)
        if len(rows) == len(self) and (np.diff(rows) == 1).all():
            return self
        ptr, entries = csr_rows(self.ptr, rows)
        columns = {
            name: a[entries if name in ("var", "coef") else rows]
            for name, a in self.arrays().items()
            if name != "ptr"
        }
        return Constraints(ptr=ptr, **columns)

    @cached_property
    def row(self) -> Longs:
        """The constraint of each entry."""
        return own_array(segment_ids(self.ptr))

    @cached_property
    def gated(self) -> bool:
        """Whether there is any gate."""
        return bool((self.kind == Kind.GATE).any())

    @cached_property
    def priced(self) -> Bools:
        """Which constraints carry a price."""
        return own_array(~np.isnan(self.weight))

    @cached_property
    def implications(self) -> Bools:
        """Which constraints read ``u - v <= 0``; their price is a product (between bits)."""
        pairs = (np.diff(self.ptr) == 2) & (self.sense == Sense.LE) & (self.rhs == 0)
        if not pairs.any():
            return own_array(pairs)
        first = np.minimum(self.ptr[:-1], max(len(self.coef) - 2, 0))
        pairs &= (np.abs(self.coef[first]) == 1) & (self.coef[first] == -self.coef[first + 1])
        return own_array(pairs)

    @cached_property
    def one_sided(self) -> Bools:
        """Which constraints are implications or gates: their price is ``A max(c.x - d, 0)``."""
        return (
            own_array(self.implications | (self.kind == Kind.GATE))
            if self.gated
            else self.implications
        )

    def matrix(self, n: int) -> sparse.csr_array:
        """Return the coefficients as a sparse matrix of shape (constraints, n)."""
        from scipy import sparse

        return sparse.csr_array((self.coef, self.var, self.ptr), shape=(len(self), n))


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

    @property
    def is_unpriced(self) -> bool:
        """Whether no constraint is priced."""
        return not self.constraints.priced.any()

    # -- names ----------------------------------------------------------------------------------

    def label(self, v: int) -> str:
        """Return the derived name of variable ``v``, for example ``x[0,3,5]``."""
        c = self.variables
        return _label(Role(c.role[v]).letter, c.head[v], c.query[v], c.key[v], c.bit[v])

    @property
    def labels(self) -> list[str]:
        """The names of all variables, in order."""
        return [self.label(v) for v in range(len(self))]

    def constraint_label(self, r: int) -> str:
        """Return the derived name of constraint ``r``, for example ``pick[0,3]``."""
        c = self.constraints
        kind = Kind(c.kind[r])
        if kind is Kind.PICK:
            return _label("pick", c.head[r], c.query[r])
        return _label(kind.name.lower(), c.head[r], c.query[r], c.key[r], c.bit[r])

    # -- values at points ---------------------------------------------------------------------

    def objective_energies(self, samples: ArrayLike) -> Floats:
        """Return the objective at each of ``samples``, shape (m, n), penalties excluded."""
        return self.objective.energies(samples)

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
        return self.objective_energies(samples) + self.penalty_energies(samples)

    def excess(self, samples: ArrayLike) -> Floats:
        """Return left side minus right side, shape (m, constraints)."""
        points = np.asarray(samples, dtype=np.float64)
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
        from qubo_attn.ir.total import expand

        return expand(self)

    def replace(self, **parts: Variables | Quadratic | Constraints) -> Program:
        """Return a copy with some of the three column groups replaced."""
        return replace(self, **parts)  # type: ignore[arg-type]  # dataclasses.replace is untyped

    # -- text and identity --------------------------------------------------------------------

    def __str__(self) -> str:
        return self.text(limit=400)

    def _repr_html_(self) -> str:
        from qubo_attn.report.notebook import program_html

        return program_html(self)

    def text(self, *, exact: bool = False, limit: int | None = None) -> str:
        """Return the program as text.

        Args:
            exact: print floats so that they read back exactly; otherwise six digits.
            limit: most lines of variables, terms and constraints, each; all when None.
        """
        from qubo_attn.ir.text import print_program

        return print_program(self, exact=exact, limit=limit)

    @staticmethod
    def parse(text: str) -> Program:
        """Read a program back from its text.

        Raises:
            ParseError: names the line and column.
            VerifyError: the text reads but is malformed as a program.
        """
        from qubo_attn.ir.text import parse_program

        return parse_program(text)

    def verify(self) -> None:
        """Reject a malformed program.

        Raises:
            VerifyError: the first problem, with the count of the rest.
        """
        from qubo_attn.ir.verify import verify

        verify(self)

    def arrays(self) -> dict[str, Array]:
        """Return every column, by group and name, for saving."""
        groups = {"v": self.variables, "o": self.objective, "c": self.constraints}
        columns = {f"{g}.{k}": a for g, group in groups.items() for k, a in group.arrays().items()}
        return columns | {"o.offset": np.array(self.objective.offset)}

    @staticmethod
    def from_arrays(arrays: dict[str, Array]) -> Program:
        """Build a program from what `arrays` returned."""

        def group(prefix: str, names: dict[str, type]) -> dict[str, Array]:
            return {name: arrays[f"{prefix}.{name}"] for name in names}

        return Program(
            Variables(**group("v", Variables._dtypes)),
            Quadratic(offset=float(arrays["o.offset"]), **group("o", Quadratic._dtypes)),
            Constraints(**group("c", Constraints._dtypes)),
        )

    def digest(self) -> str:
        """Return a hash of every column: equal exactly when the programs are the same."""
        return _digest(self.arrays())

    def same(self, other: Program) -> bool:
        """Return whether both programs are equal, bit for bit."""
        return self.digest() == other.digest()


G = TypeVar("G", bound=Columns)


def replaced(group: G, **columns: Array) -> G:
    """Return a column group with some columns replaced.

    Args:
        group: variables or constraints.
        **columns: the new columns, by name.
    """
    return type(group)(**(group.arrays() | columns))


def unpriced(program: Program) -> Program:
    """Return a program with every constraint imposed again, whatever it was priced at."""
    c = program.constraints
    nothing = np.full(len(c), np.nan)
    return program.replace(constraints=replaced(c, weight=nothing, slope=np.zeros(len(c))))


def _label(name: str, *parts: int | np.integer) -> str:
    last = parts[-1]
    shown = parts[:-1] if len(parts) == 4 and last < 0 else parts
    return f"{name}[{','.join('*' if part < 0 else str(part) for part in shown)}]"


def _digest(arrays: dict[str, Array]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}:{array.dtype.str}:{array.shape};".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
