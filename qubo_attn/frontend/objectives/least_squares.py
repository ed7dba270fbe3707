"""Least squares: soft weights near softmax, or an attention output near softmax(s) V.

    minimise  | w - p |^2                          (of = "weights")
    minimise  | sum_i w_i v_i - sum_i p_i v_i |^2  (of = "output")

with p = softmax(s), over binarised weights w.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Floats, own_array
from qubo_attn.common.checks import one_of
from qubo_attn.common.keywords import named_fields
from qubo_attn.frontend.attention import Attention, Rows
from qubo_attn.frontend.objectives.base import Objective, needed, quadratic
from qubo_attn.ir.quadratic import Quadratic


@named_fields
@dataclass(frozen=True)
class LeastSquares(Objective):
    """Soft weights that come closest; needs `SoftWeights`, and values for ``of="output"``.

    Attributes:
        of: ``"weights"`` or ``"output"``.

    Example:
        >>> from qubo_attn import LeastSquares
        >>> LeastSquares(of="output").of
        'output'
    """

    of: Literal["weights", "output"] = "weights"

    name: ClassVar[str] = "least_squares"
    decoder: ClassVar[str] = "levels"
    soft: ClassVar[bool] = True

    def __post_init__(self) -> None:
        one_of("of", self.of, ("weights", "output"))

    def coefficients(self, attention: Attention, rows: Rows) -> Quadratic:
        """Return the squared distance as a form over real weights."""
        if self.of == "output":
            values = needed(attention.values, "values", self.name)
            return quadratic(
                *kernels.distance_coefficients(rows.ptr, rows.mass, rows.key, rows.head, values)
            )
        index = own_array(np.arange(len(rows.mass), dtype=np.int32))
        offset = float((rows.mass * rows.mass).sum())
        return Quadratic(offset, own_array(-2.0 * rows.mass), index, index, np.ones(len(index)))

    def wanted(self, attention: Attention, rows: Rows) -> Floats:
        """Return softmax, the weights at which the distance is zero."""
        return rows.mass
