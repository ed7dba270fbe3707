"""Quadratic forms in columns, whose couplers may be worked out late.

A row of n keys has n (n - 1) / 2 couplers. Where the first pass keeps a few of its keys, nearly all
of them would be written to be left out again. So an objective over whole rows gives a form what its
couplers follow from, and the form works them out when they are first read, or for some variables
only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from qubo_attn import kernels
from qubo_attn.common.arrays import Array, Floats, Ints, Longs, frozen_array, own_array, segment_ids
from qubo_attn.common.frozen import Columns, Portable
from qubo_attn.ir.columns import Constraints
from qubo_attn.ir.points import read_points


@dataclass(frozen=True, eq=False)
class Terms(Columns):
    """Couplers, one entry each.

    Attributes:
        i, j: int32, the variables of each coupler.
        bias: float64, the coefficient of each coupler.
    """

    i: Ints
    j: Ints
    bias: Floats

    def __len__(self) -> int:
        return len(self.bias)

    @classmethod
    def nonzero(cls, i: Ints, j: Ints, bias: Floats, zeros: bool) -> Terms:
        """Return couplers without zeros; the arrays become the columns.

        Args:
            i, j, bias: the couplers, arrays that nobody else holds.
            zeros: whether there may be zeros among them.
        """
        if zeros:
            keep = bias != 0
            i, j, bias = i[keep], j[keep], bias[keep]
        return cls(own_array(i), own_array(j), own_array(bias))


class Couplers(ABC):
    """What the couplers of whole rows follow from; picklable, as programs go to other processes."""

    @property
    @abstractmethod
    def count(self) -> int:
        """How many there are; there may be zeros among them."""

    @property
    @abstractmethod
    def links(self) -> tuple[Array, Array]:
        """Pairs of variables that make the components that the couplers make."""

    @abstractmethod
    def among(self, index: Longs | None) -> tuple[Ints, Ints, Floats]:
        """Return the couplers between some variables, sorted; there may be zeros among them.

        Args:
            index: ascending variables; all of them when None.

        Returns:
            Both ends, as positions in ``index``, and values.
        """

    def merged(self, source: Array, n: int) -> Couplers | None:
        """Return what the couplers are once variables have become equal.

        Args:
            source: the new variable of each one; no two that a coupler joins become one.
            n: number of new variables.

        Returns:
            None where there is no shorter way than to add the couplers up one by one.
        """
        return None


class RowPairs(Couplers):
    """Couplers of every pair of a row; see `Couplers`."""

    @property
    @abstractmethod
    def ptr(self) -> Longs:
        """Where each row's variables start."""

    @property
    def count(self) -> int:
        """Number of pairs."""
        sizes = np.diff(self.ptr)
        return int((sizes * (sizes - 1) // 2).sum())

    @property
    def links(self) -> tuple[Array, Array]:
        """Each variable, and the first one of its row."""
        return self.ptr[segment_ids(self.ptr)], np.arange(self.ptr[-1])


class RowCouplers(RowPairs):
    """Couplers of every pair of a row, of which much is known without them."""

    @abstractmethod
    def plus(self, square: Floats) -> tuple[Ints, Ints, Floats, int]:
        """Return all couplers, each with its row's entry of ``square`` added, and their zeros."""


@dataclass(frozen=True, eq=False, init=False)
class Quadratic(Portable):
    """A quadratic form; terms sorted by ``(i, j)`` with ``i <= j``, unique, none zero.

    Attributes:
        offset: the constant.
        linear: float64, one entry per variable.
        couplers: the terms, or what they follow from; see `is_late`.

    Example:
        >>> form = Quadratic(1.0, [2.0, 3.0], [0], [1], [-4.0])
        >>> form.energies([[0, 0], [1, 1]])
        array([1., 2.])
        >>> len(form), form.is_late
        (1, False)
    """

    offset: float
    linear: Array
    couplers: Terms | Couplers

    def __init__(
        self,
        offset: float,
        linear: ArrayLike,
        i: ArrayLike = (),
        j: ArrayLike = (),
        bias: ArrayLike = (),
        *,
        couplers: Terms | Couplers | None = None,
    ) -> None:
        """Take the columns over.

        Args:
            offset: the constant.
            linear: one entry per variable.
            i, j, bias: the couplers, where ``couplers`` is None.
            couplers: the terms, or what they follow from.
        """
        if couplers is None:
            couplers = Terms(i, j, bias)  # type: ignore[arg-type]  # columns convert what they take
        object.__setattr__(self, "offset", float(offset))
        object.__setattr__(self, "linear", frozen_array(linear, np.float64))
        object.__setattr__(self, "couplers", couplers)

    def __len__(self) -> int:
        return len(self.terms)

    @property
    def is_late(self) -> bool:
        """Whether the terms are worked out when they are first read."""
        return not isinstance(self.couplers, Terms)

    @property
    def coupler_count(self) -> int:
        """Number of couplers; there may be zeros among late ones."""
        return len(self.couplers) if isinstance(self.couplers, Terms) else self.couplers.count

    @cached_property
    def terms(self) -> Terms:
        """The couplers."""
        return self.among(None)

    @property
    def i(self) -> Array:
        """The first variable of each coupler, int32."""
        return self.terms.i

    @property
    def j(self) -> Array:
        """The second variable of each coupler, int32."""
        return self.terms.j

    @property
    def bias(self) -> Array:
        """The coefficient of each coupler, float64."""
        return self.terms.bias

    def among(self, index: Longs | None) -> Terms:
        """Return the couplers between some variables, sorted and without zeros.

        Args:
            index: ascending variables; all of them when None.

        Returns:
            The couplers, their ends as positions in ``index``.
        """
        if not isinstance(self.couplers, Terms):
            i, j, bias = self.couplers.among(index)
            return Terms.nonzero(i, j, bias, not bias.all())
        if index is None:
            return self.couplers
        place = np.full(len(self.linear), -1, np.int32)
        place[index] = np.arange(len(index))
        first, second = place[self.i], place[self.j]
        inside = (first >= 0) & (second >= 0)
        return Terms(first[inside], second[inside], self.bias[inside])

    def adjacency(self) -> kernels.Adjacency:
        """Return the couplers of different variables, in both directions."""
        pair, terms = self.i != self.j, (self.i, self.j, self.bias)
        if not pair.all():
            terms = self.i[pair], self.j[pair], self.bias[pair]
        return kernels.adjacency(len(self.linear), *terms)

    def squares(self) -> Floats:
        """Return the coefficient of the square of each variable."""
        square, coefficient = self.i == self.j, np.zeros(len(self.linear))
        coefficient[self.i[square]] = self.bias[square]
        return coefficient

    def arrays(self) -> dict[str, Array]:
        """Return the columns by name."""
        return {"linear": self.linear, **self.terms.arrays()}

    def energies(self, samples: ArrayLike) -> Floats:
        """Return the value of the form at each of ``samples``, shape (m, n)."""
        points = np.ascontiguousarray(read_points(samples, len(self.linear)))
        return kernels.quadratic_energies(
            points, self.offset, self.linear, self.i, self.j, self.bias
        )


def whole_rows(form: Quadratic, rows: Constraints) -> tuple[RowCouplers, Longs] | None:
    """Return what a form's couplers follow from, where constraints are over whole rows of it.

    Args:
        form: any form.
        rows: constraints over its variables.

    Returns:
        The couplers and the number of each constraint's row; None where anything else is the case.
    """
    if not isinstance(form.couplers, RowCouplers):
        return None
    ptr = form.couplers.ptr
    sizes = np.diff(rows.ptr)
    if not sizes.all():
        return None
    first, last = rows.var[rows.ptr[:-1]], rows.var[rows.ptr[1:] - 1]
    row = np.searchsorted(ptr, first, side="right") - 1
    # Variables ascend within a constraint: with the ends and the size it is every one between.
    whole = (ptr[row] == first) & (ptr[row + 1] == last + 1) & (last - first + 1 == sizes)
    return (form.couplers, row) if whole.all() else None


def rows_of(ptr: Longs, index: Longs | None) -> tuple[Longs, Longs | slice]:
    """Return the row pointer of the entries at ``index``, and the index to take them by."""
    if index is None:
        return ptr, slice(None)
    return np.searchsorted(index, ptr), index
