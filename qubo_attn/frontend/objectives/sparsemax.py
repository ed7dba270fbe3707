"""Sparsemax: the projection of the scores onto the simplex.

    minimise  (1/2) |w|^2 - s.w   over w >= 0, sum w = 1

(Martins and Astudillo 2016, arXiv 1602.02068): natively quadratic, solved over binarised weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Floats, own_array, segment_ids
from qubo_attn.common.keywords import named_fields
from qubo_attn.frontend.attention import Attention, Rows
from qubo_attn.frontend.objectives.base import Objective
from qubo_attn.ir.quadratic import Quadratic


@named_fields
@dataclass(frozen=True)
class Sparsemax(Objective):
    """Sparse soft attention from the scores alone; needs `SoftWeights`.

    Example:
        >>> from qubo_attn import Sparsemax
        >>> Sparsemax().soft
        True
    """

    name: ClassVar[str] = "sparsemax"
    decoder: ClassVar[str] = "levels"
    soft: ClassVar[bool] = True

    def coefficients(self, attention: Attention, rows: Rows) -> Quadratic:
        """Return ``-s_i`` and ``w_i^2 / 2``, over real weights."""
        index = own_array(np.arange(len(rows.logit), dtype=np.int32))
        return Quadratic(0.0, own_array(-rows.logit), index, index, np.full(len(index), 0.5))

    def wanted(self, attention: Attention, rows: Rows) -> Floats:
        """Return the exact sparsemax weights, by sorting; one per entry of ``rows``."""
        row = segment_ids(rows.ptr)
        order = np.lexsort((-rows.logit, row))
        place = np.arange(len(order)) - rows.ptr[row]
        # Below the row's largest: only differences matter, and sums of large logits lose them.
        below = rows.logit - rows.logit[order[rows.ptr[:-1]]][row]
        ordered = below[order]
        sums = kernels.sums_before(rows.ptr, ordered) + ordered
        inside = 1.0 + (place + 1) * ordered > sums
        last = np.zeros(len(rows), np.int64)
        np.maximum.at(last, row[inside], place[inside])
        tau = (sums[rows.ptr[:-1] + last] - 1.0) / (last + 1)
        return np.asarray(np.maximum(below - tau[row], 0.0))
