"""Forms whose couplers are worked out when first asked for, or for some variables only.

A row of n keys has n (n - 1) / 2 couplers. Where the first pass keeps a few of its keys, nearly all
of them would be written to be left out again; so an objective over whole rows hands over what its
couplers follow from.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from qubo_attn.arrays import Array, Floats, Ints, Longs, own_array
from qubo_attn.ir import Quadratic


class Couplers(Protocol):
    """What couplers follow from; picklable, as programs travel between processes."""

    def among(self, index: Longs | None) -> tuple[Ints, Ints, Floats]:
        """Return the couplers between some variables, sorted; zeros may be among them.

        Args:
            index: ascending variables; all of them when None.

        Returns:
            Both ends, as positions in ``index``, and values.
        """
        ...


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
        if not bias.all():
            keep = bias != 0
            i, j, bias = i[keep], j[keep], bias[keep]
        return own_array(i), own_array(j), own_array(bias)


def rows_of(ptr: Longs, index: Longs | None) -> tuple[Longs, Longs | slice]:
    """Return the row pointer of the entries at ``index``, and the index to take them by."""
    if index is None:
        return ptr, slice(None)
    return np.searchsorted(index, ptr), index
