"""Several quadratic forms as one, each over variables of its own; late couplers stay late."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qubo_attn.common.arrays import Array, Floats, Ints, Longs
from qubo_attn.common.frozen import Portable
from qubo_attn.ir.quadratic import Couplers, Quadratic, Terms


@dataclass(frozen=True, eq=False)
class _Joined(Couplers, Portable):
    """The couplers of several forms.

    Attributes:
        forms: the forms.
        places: the variables of each among those of all, ascending.
    """

    forms: tuple[Quadratic, ...]
    places: tuple[Longs, ...]

    @property
    def count(self) -> int:
        """Number of couplers; there may be zeros among them."""
        return sum(form.coupler_count for form in self.forms)

    @property
    def links(self) -> tuple[Array, Array]:
        """What links the variables of each form."""
        parts = []
        for form, place in zip(self.forms, self.places, strict=True):
            c = form.couplers
            ends = (c.i, c.j) if isinstance(c, Terms) else c.links
            parts.append((place[ends[0]], place[ends[1]]))
        first, second = zip(*parts, strict=True)
        return np.concatenate(first), np.concatenate(second)

    def among(self, index: Longs | None) -> tuple[Ints, Ints, Floats]:
        """Return the couplers between some variables, sorted and without zeros."""
        number = np.arange(1 + max(int(place.max(initial=-1)) for place in self.places))
        if index is not None:
            number = np.full(len(number), -1, np.int64)
            number[index] = np.arange(len(index))
        columns = []
        for form, place in zip(self.forms, self.places, strict=True):
            own = number[place]
            chosen = np.flatnonzero(own >= 0)
            terms = form.among(None if index is None else chosen)
            columns.append((own[chosen[terms.i]], own[chosen[terms.j]], terms.bias))
        i, j, bias = (np.concatenate(each) for each in zip(*columns, strict=True))
        order = np.lexsort((j, i))
        return i[order].astype(np.int32), j[order].astype(np.int32), bias[order]

    def merged(self, source: Array, n: int) -> Couplers | None:
        """Return the couplers of variables that have become equal; see `Couplers`.

        None where variables of different forms become one.
        """
        forms, places, seen = [], [], np.zeros(n, np.int64)
        for form, place in zip(self.forms, self.places, strict=True):
            var, own = np.unique(source[place], return_inverse=True)
            if isinstance(form.couplers, Terms):
                return None
            couplers = form.couplers.merged(own, len(var))
            if couplers is None:
                return None
            forms.append(Quadratic(0.0, np.zeros(len(var)), couplers=couplers))
            places.append(var)
            seen[var] += 1
        return _Joined(tuple(forms), tuple(places)) if (seen <= 1).all() else None


def joined(forms: tuple[Quadratic, ...], places: tuple[Longs, ...], n: int) -> Quadratic:
    """Return the sum of forms over variables of their own.

    Args:
        forms: at least one.
        places: the variables of each, ascending numbers below ``n``; no two share one.
        n: number of variables of the sum.

    Example:
        >>> one, two = Quadratic(1.0, [2.0, 3.0], [0], [1], [4.0]), Quadratic(0.0, [5.0])
        >>> both = joined((one, two), (np.array([0, 2]), np.array([1])), 3)
        >>> both.linear, both.i, both.j
        (array([2., 5., 3.]), array([0], dtype=int32), array([2], dtype=int32))
    """
    linear = np.zeros(n)
    for form, place in zip(forms, places, strict=True):
        linear[place] = form.linear
    offset = sum(form.offset for form in forms)
    return Quadratic(offset, linear, couplers=_Joined(forms, places))
