"""Selection: large scores, and a price on choosing two large scores together.

    minimise  sum_i (alpha - s_i) z_i + sum_{i<j} 2 alpha s_i s_j z_i z_j

It is ``z^T Q z`` of a matrix with ``alpha - s_i`` on the diagonal and ``alpha s_i s_j`` in BOTH
triangles, so that each pair counts twice.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Array, Floats, Ints, Longs, coupler_columns
from qubo_attn.common.checks import number
from qubo_attn.common.frozen import Portable
from qubo_attn.common.keywords import named_fields
from qubo_attn.frontend.attention import Attention, Rows
from qubo_attn.frontend.objectives.base import Objective
from qubo_attn.frontend.objectives.tied import TiedProducts, tied_products
from qubo_attn.frontend.sizes import check_scores, check_size
from qubo_attn.ir.quadratic import Quadratic, RowCouplers, rows_of


@named_fields
@dataclass(frozen=True)
class Selection(Objective):
    """Large scores, pairs of large scores discouraged.

    Attributes:
        alpha: strength of the pair term, per squared logit. The default 0.01 keeps a key's own
            score in charge: beside k keys it pays ``2 alpha s_i sum_j s_j``, less than ``s_i``
            while the chosen logits add up to less than 50, as those of real heads do.

    Example:
        >>> from qubo_attn import Selection
        >>> Selection(alpha=0.1).name
        'selection'
    """

    alpha: float = 0.01

    name: ClassVar[str] = "selection"
    decoder: ClassVar[str] = "renormalise"
    soft: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", number("alpha", self.alpha))

    def coefficients(self, attention: Attention, rows: Rows) -> Quadratic:
        """Return ``alpha - s_i`` and ``2 alpha s_i s_j``.

        Raises:
            InputError: scores, or alpha, are too large.
        """
        largest = float(np.abs(rows.logit).max(initial=0.0))
        if largest > abs(self.alpha):
            check_scores(attention, rows, 2.0 * self.alpha)
        check_size("alpha", self.alpha, max(1.0, 2.0 * largest * largest), attention)
        return Quadratic(0.0, self.alpha - rows.logit, couplers=_Products(rows, self.alpha))


@dataclass(frozen=True, eq=False)
class _Products(RowCouplers, Portable):
    """The couplers ``2 alpha s_i s_j``."""

    rows: Rows
    alpha: float

    @property
    def ptr(self) -> Longs:
        return self.rows.ptr

    def among(self, index: Longs | None) -> tuple[Ints, Ints, Floats]:
        ptr, chosen = rows_of(self.rows.ptr, index)
        return kernels.selection_couplers(ptr, self.rows.logit[chosen], self.alpha)

    def merged(self, source: Array, n: int) -> TiedProducts | None:
        """Return the couplers of rows that share variables; see `Couplers`."""
        # Products of logits alone: vectors of zeros, about a shift of -1.
        rows = dataclasses.replace(self.rows, mass=self.rows.logit)
        vectors = np.zeros((int(rows.head.max(initial=0)) + 1, int(rows.key.max(initial=0)) + 1, 1))
        centre, shift = np.zeros((len(rows), 1)), np.full(len(rows), -1.0)
        scale = np.full(len(rows), self.alpha)
        return tied_products(rows, vectors, centre, shift, scale, source, n)

    def plus(self, square: Floats) -> tuple[Ints, Ints, Floats, int]:
        i, j, bias = coupler_columns(int(kernels.count_pairs(self.ptr)))
        zeros = kernels.selection_into(self.ptr, self.rows.logit, self.alpha, square, i, j, bias)
        return i, j, bias, int(zeros)
