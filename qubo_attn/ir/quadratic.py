"""Forms whose couplers are worked out when first asked for, or for some variables only.

A row of n keys has n (n - 1) / 2 couplers. Where the first pass keeps a few of its keys, nearly all
of them would be written to be left out again; so an objective over whole rows hands over what its
couplers follow from.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

import numpy as np

from qubo_attn.common.arrays import Array, Floats, Ints, Longs, own_array
from qubo_attn.ir.program import Constraints, Quadratic


class Couplers(Protocol):
    """What couplers follow from; picklable, as programs travel between processes."""

    @property
    def ptr(self) -> Longs:
        """Where each row's variables start; every coupler lies within a row."""
        ...

    def among(self, index: Longs | None) -> tuple[Ints, Ints, Floats]:
        """Return the couplers between some variables, sorted; zeros may be among them.

        Args:
            index: ascending variables; all of them when None.

        Returns:
            Both ends, as positions in ``index``, and values.
        """
        ...


class RowCouplers(ABC):
    """Couplers of every pair of a row, of which much is known without them; see `Couplers`."""

    @property
    @abstractmethod
    def ptr(self) -> Longs:
        """Where each row's variables start."""

    @abstractmethod
    def among(self, index: Longs | None) -> tuple[Ints, Ints, Floats]:
        """Return the couplers between some variables, sorted; zeros may be among them."""

    @abstractmethod
    def step_costs(self, linear: Floats, row: Longs, count: Longs) -> tuple[Floats, Floats]:
        """Return the cost of a step up and of a step down; see `kernels.step_costs`.

        Args:
            linear: of all variables.
            row, count: rows by number, and how many of its keys each keeps.
        """

    @abstractmethod
    def plus(self, square: Floats) -> tuple[Ints, Ints, Floats, int]:
        """Return all couplers, each with its row's entry of ``square`` added, and their zeros."""


class LateQuadratic(Quadratic):
    """A quadratic form that works its couplers out when ``i``, ``j`` or ``bias`` is asked for.

    Attributes:
        couplers: what they follow from.
    """

    couplers: Couplers

    def __init__(self, offset: float, linear: Floats, couplers: Couplers) -> None:
        object.__setattr__(self, "offset", float(offset))
        object.__setattr__(self, "linear", own_array(linear))
        object.__setattr__(self, "couplers", couplers)

    def __getstate__(self) -> dict[str, Any]:
        """Return what the couplers follow from, in place of the couplers."""
        return {name: self.__dict__[name] for name in ("offset", "linear", "couplers")}

    def __getattr__(self, name: str) -> Array:
        if name not in ("i", "j", "bias"):
            raise AttributeError(name)
        columns = self.among(None)
        for column, array in zip(("i", "j", "bias"), columns, strict=True):
            object.__setattr__(self, column, array)
        return columns[("i", "j", "bias").index(name)]

    @property
    def made(self) -> bool:
        """Whether the couplers have been worked out."""
        return "bias" in self.__dict__

    def among(self, index: Longs | None) -> tuple[Ints, Ints, Floats]:
        """Return the couplers between some variables, sorted and without zeros.

        Args:
            index: ascending variables; all of them when None.

        Returns:
            Both ends, as positions in ``index``, and values.
        """
        i, j, bias = self.couplers.among(index)
        return _owned(i, j, bias, not bias.all())

    def plus(self, square: Floats) -> Quadratic:
        """Return the form with each row's entry of ``square`` added to the row's couplers.

        Args:
            square: one per row of the couplers.

        Raises:
            TypeError: its couplers are not those of every pair of a row.
        """
        if not isinstance(self.couplers, RowCouplers):
            raise TypeError(f"{type(self.couplers).__name__} has not every pair of a row")
        i, j, bias, zeros = self.couplers.plus(square)
        return Quadratic(self.offset, self.linear, *_owned(i, j, bias, zeros > 0))


def _owned(i: Ints, j: Ints, bias: Floats, zeros: bool) -> tuple[Ints, Ints, Floats]:
    """Return fresh couplers frozen, and without their zeros where there are any."""
    if zeros:
        keep = bias != 0
        i, j, bias = i[keep], j[keep], bias[keep]
    return own_array(i), own_array(j), own_array(bias)


def whole_rows(form: Quadratic, rows: Constraints) -> tuple[RowCouplers, Longs] | None:
    """Return what the couplers of a form follow from, where constraints are over whole rows of it.

    And the number of each constraint's row. None where anything else is the case.
    """
    if not isinstance(form, LateQuadratic) or not isinstance(form.couplers, RowCouplers):
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
