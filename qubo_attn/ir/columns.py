"""Columns of a program: one entry per variable, one per constraint.

``h, q, k`` index head, query, key; ``i < j`` index variables; ``m`` counts samples and ``n``
variables.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import (
    Array,
    Bools,
    Bytes,
    Floats,
    Ints,
    Longs,
    csr_rows,
    ones,
    own_array,
    pointers,
    segment_ids,
)
from qubo_attn.common.frozen import Columns

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


@dataclass(frozen=True, eq=False)
class Variables(Columns):
    """One entry per variable; the row number is the variable's id.

    Attributes:
        head, query, key, bit: int32; -1 where a variable belongs to no single one.
        upper: int32, largest value; 1 for a bit.
        role: uint8, see `Role`.
        mass: float64, softmax probability of the key in its row; NaN where it has none.
    """

    head: Ints
    query: Ints
    key: Ints
    bit: Ints
    upper: Ints
    role: Bytes
    mass: Floats

    def __len__(self) -> int:
        return len(self.role)

    def label(self, v: int) -> str:
        """Return the derived name of variable ``v``, for example ``x[0,3,5]``."""
        letter = Role(self.role[v]).letter
        return _label(letter, self.head[v], self.query[v], self.key[v], self.bit[v])

    def take(self, index: Longs | Bools) -> Variables:
        """Return the variables at ``index``, an index or boolean array."""
        return Variables(**{name: own_array(a[index]) for name, a in self.arrays().items()})


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

    ptr: Longs
    var: Ints
    coef: Floats
    sense: Bytes
    rhs: Floats
    kind: Bytes
    head: Ints
    query: Ints
    key: Ints
    bit: Ints
    weight: Floats
    slope: Floats

    def __len__(self) -> int:
        return len(self.rhs)

    @classmethod
    @cache
    def none(cls) -> Constraints:
        """Return no constraints at all."""
        empty: dict[str, Array] = {name: np.empty(0, dtype) for name, dtype in cls._dtypes.items()}
        return cls(**(empty | {"ptr": np.zeros(1, np.int64)}))

    @classmethod
    def over(
        cls, ptr: Array, var: Array, coef: Array | float = 1.0, **columns: Array | float
    ) -> Constraints:
        """Return constraints from columns; a single number stands for one in each row.

        Args:
            ptr, var: the entries, in CSR form.
            coef: their coefficients, or one for all.
            **columns: the others, by name; ``key`` and ``bit`` are -1 unless given, and the
                constraints are imposed unless ``weight`` prices them.

        Example:
            >>> import numpy as np
            >>> from qubo_attn.ir.columns import Constraints, Kind, Sense
            >>> rows = Constraints.over(
            ...     np.array([0, 2]), np.arange(2), sense=Sense.EQ, rhs=1, kind=Kind.PICK, head=0,
            ...     query=3,
            ... )
            >>> rows.label(0), rows.coef
            ('pick[0,3]', array([1., 1.]))
        """

        def column(value: Array | float, count: int) -> Array:
            return value if isinstance(value, np.ndarray) else np.full(count, value)

        rest: dict[str, Array | float] = {"key": -1, "bit": -1, "weight": np.nan, "slope": 0.0}
        rows = {name: column(value, len(ptr) - 1) for name, value in (rest | columns).items()}
        coefs = ones(len(var)) if isinstance(coef, float) and coef == 1.0 else coef
        return cls(ptr=ptr, var=var, coef=column(coefs, len(var)), **rows)

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

    def label(self, r: int) -> str:
        """Return the derived name of constraint ``r``, for example ``pick[0,3]``."""
        kind = Kind(self.kind[r])
        if kind is Kind.PICK:
            return _label("pick", self.head[r], self.query[r])
        name = kind.name.lower()
        return _label(name, self.head[r], self.query[r], self.key[r], self.bit[r])

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

    def owners(self, n: int) -> Longs:
        """Return the constraint of each of ``n`` variables, -1 of those that stand in none."""
        owner = np.full(n, -1, np.int64)
        owner[self.var] = self.row
        return owner

    @cached_property
    def counted(self) -> kernels.CountRows:
        """The constraints as rows that keep a count: right-hand sides as whole numbers."""
        return kernels.CountRows(self.ptr, self.var, np.rint(self.rhs).astype(np.int64))

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

    def counts(self, upper: Array, uses: Longs) -> Bools:
        """Return which imposed constraints are plain counts over variables of their own.

        Args:
            upper: the largest value of each variable.
            uses: in how many constraints each variable stands.
        """
        if not len(self):
            return np.zeros(0, bool)
        plain, reach = kernels.plain_counts(self.ptr, self.var, self.coef, uses, upper)
        whole = (self.rhs == np.rint(self.rhs)) & (self.rhs >= 0) & (self.rhs <= reach)
        listed = (np.diff(self.ptr) > 0) & (self.kind != Kind.GATE)
        return np.asarray(plain & whole & listed & ~self.priced)

    def matrix(self, n: int) -> sparse.csr_array:
        """Return the coefficients as a sparse matrix of shape (constraints, n)."""
        from scipy import sparse

        return sparse.csr_array((self.coef, self.var, self.ptr), shape=(len(self), n))


def _label(name: str, *parts: int | np.integer) -> str:
    last = parts[-1]
    shown = parts[:-1] if len(parts) == 4 and last < 0 else parts
    return f"{name}[{','.join('*' if part < 0 else str(part) for part in shown)}]"
