"""Hard: the largest scores; with `OneHot`, discrete attention.

    minimise  - sum_i s_i z_i

The job that QAHAN (arXiv 2412.20930) gives the annealer; its coefficients are not public in a text
we could read, so this is QAHAN-style and claims no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from qubo_attn.common.arrays import own_array
from qubo_attn.common.keywords import named_fields
from qubo_attn.frontend.attention import Attention, Rows
from qubo_attn.frontend.objectives.base import Objective
from qubo_attn.ir.quadratic import Quadratic


@named_fields
@dataclass(frozen=True)
class Hard(Objective):
    """Largest scores, keys independent of each other.

    Example:
        >>> from qubo_attn import Hard
        >>> Hard().name
        'hard'
    """

    name: ClassVar[str] = "hard"
    decoder: ClassVar[str] = "renormalise"
    soft: ClassVar[bool] = False

    def coefficients(self, attention: Attention, rows: Rows) -> Quadratic:
        """Return ``-s_i``."""
        return Quadratic(0.0, own_array(-rows.logit))
