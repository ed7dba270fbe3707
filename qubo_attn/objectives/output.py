"""Output: the k keys whose kept terms reproduce the attention output best.

    minimise  | sum_i (1 - z_i) w_i |^2,   w_i = p_i (v_i - vbar)

with p = softmax(s) over the row's keys and vbar their mean value. Decoded by ``residual``,
``vbar + sum_i z_i w_i``, the energy is exactly the squared error of the row's output. With
G = W W^T it is linear ``G_ii - 2 w_i.sum_j w_j`` and quadratic ``2 G_ij``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from qubo_attn import kernels
from qubo_attn.objectives.base import Objective, needed
from qubo_attn.objectives.forms import quadratic

if TYPE_CHECKING:
    from qubo_attn.attention import Attention, Rows
    from qubo_attn.ir import Quadratic


@dataclass(frozen=True)
class Output(Objective):
    """Smallest squared error of the attention output; needs the value vectors."""

    name: ClassVar[str] = "output"
    decoder: ClassVar[str] = "residual"
    soft: ClassVar[bool] = False

    def coefficients(self, attention: Attention, rows: Rows) -> Quadratic:
        """Return ``|r|^2``, ``G_ii - 2 w_i.r`` and ``2 G_ij``."""
        values = needed(attention.values, "values", self.name)
        return quadratic(
            *kernels.output_coefficients(rows.ptr, rows.mass, rows.key, rows.head, values)
        )
