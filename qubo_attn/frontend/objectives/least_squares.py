"""Least squares: soft weights near softmax, or an attention output near softmax(s) V.

    minimise  | w - p |^2                          (of = "weights")
    minimise  | sum_i w_i v_i - sum_i p_i v_i |^2  (of = "output")

with p = softmax(s), over binarised weights w.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.checks import one_of
from qubo_attn.frontend.objectives.base import Objective, needed
from qubo_attn.frontend.objectives.forms import quadratic

if TYPE_CHECKING:
    from qubo_attn.common.arrays import Floats
    from qubo_attn.frontend.attention import Attention, Rows
    from qubo_attn.ir.quadratic import Quadratic


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
        index = np.arange(len(rows.mass), dtype=np.int32)
        offset = float((rows.mass * rows.mass).sum())
        return quadratic(offset, -2.0 * rows.mass, index, index.copy(), np.ones(len(index)))

    def wanted(self, attention: Attention, rows: Rows) -> Floats:
        """Return softmax, the weights that would make the distance zero."""
        return rows.mass
