"""A quadratic form with couplers added, few beside its own; late couplers stay late."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Array, Floats, Ints, Longs
from qubo_attn.common.frozen import Portable
from qubo_attn.ir.quadratic import Couplers, Quadratic, Terms


@dataclass(frozen=True, eq=False)
class _Added(Couplers, Portable):
    """Late couplers, and some more.

    Attributes:
        late: what is worked out late.
        more: a form over the same variables, without linear part.
    """

    late: Couplers
    more: Quadratic

    @property
    def count(self) -> int:
        """Number of couplers; some may be zero, or stand in both parts."""
        return self.late.count + self.more.coupler_count

    @property
    def links(self) -> tuple[Array, Array]:
        """What links the variables of each part."""
        first, second = self.late.links
        return np.append(first, self.more.i), np.append(second, self.more.j)

    def among(self, index: Longs | None) -> tuple[Ints, Ints, Floats]:
        """Return the couplers between some variables, sorted."""
        n = len(self.more.linear) if index is None else len(index)
        more = self.more.among(index)
        return kernels.add_couplers(n, *self.late.among(index), (more.i, more.j, more.bias))

    def merged(self, source: Array, n: int) -> Couplers | None:
        """Return the couplers of variables that have become equal; see `Couplers`."""
        late, more = self.late.merged(source, n), self.more
        if late is None:
            return None
        return _with_more(late, n, (source[more.i], source[more.j], more.bias))


def _with_more(late: Couplers, n: int, more: tuple[Array, Array, Array]) -> Couplers:
    """Return late couplers of n variables, and some more."""
    return _Added(late, Quadratic(0.0, np.zeros(n), *kernels.collect_couplers(n, *more)))


def with_couplers(
    form: Quadratic, more: tuple[Array, Array, Array], linear: Floats | None = None
) -> Quadratic:
    """Return a form with couplers added.

    Args:
        form: the form.
        more: first variables, second variables and coefficients, in any order and with repeats.
        linear: linear part of the form returned; that of ``form`` when None.

    Example:
        >>> form = Quadratic(0.0, [1.0, 2.0, 3.0], [0], [1], [4.0])
        >>> more = np.array([2, 1]), np.array([0, 0]), np.array([5.0, -1.0])
        >>> both = with_couplers(form, more)
        >>> both.i, both.j, both.bias
        (array([0, 0], dtype=int32), array([1, 2], dtype=int32), array([3., 5.]))
    """
    linear, n = form.linear if linear is None else linear, len(form.linear)
    if isinstance(form.couplers, Terms):
        terms = kernels.add_couplers(n, form.i, form.j, form.bias, more)
        return Quadratic(form.offset, linear, *terms)
    return Quadratic(form.offset, linear, couplers=_with_more(form.couplers, n, more))
