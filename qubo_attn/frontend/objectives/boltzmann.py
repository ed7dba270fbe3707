"""Boltzmann: no optimum is sought; attention is what a sampler at some temperature visits.

    E(z) = - sum_i s_i z_i - sum_{i<j} J_ij z_i z_j

Weights are the sampled marginals <z_i> (arXiv 2606.12478); one-hot rows sampled at effective
temperature T give softmax(s / T) (arXiv 2606.02098). `qubo_attn.decoding.temperature` estimates T.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Array, own_array
from qubo_attn.errors import InputError
from qubo_attn.frontend.attention import Attention, Rows
from qubo_attn.frontend.objectives.base import Objective, quadratic
from qubo_attn.ir.quadratic import Quadratic


@dataclass(frozen=True)
class Boltzmann(Objective):
    """Fields are the scores, couplings are optional; decoded by sampled marginals.

    Attributes:
        couplings: J, symmetric, as nested tuples of shape (K, K) or (H, K, K), in logits; none by
            default. Positive values draw two keys together.

    Example:
        >>> from qubo_attn import Boltzmann
        >>> Boltzmann(couplings=((0.0, 0.5), (0.5, 0.0))).decoder
        'marginals'
    """

    couplings: tuple[tuple[float, ...], ...] | None = None

    name: ClassVar[str] = "boltzmann"
    decoder: ClassVar[str] = "marginals"
    soft: ClassVar[bool] = False

    def coefficients(self, attention: Attention, rows: Rows) -> Quadratic:
        """Return ``-s_i`` and ``-J_ij``.

        Raises:
            InputError: the couplings do not fit the keys.
        """
        if self.couplings is None:
            return Quadratic(0.0, own_array(-rows.logit))
        heads, _, keys = attention.shape
        pairs: Array = np.asarray(self.couplings, dtype=np.float64)
        if pairs.shape not in ((keys, keys), (heads, keys, keys)):
            raise InputError(
                f"couplings have shape {pairs.shape}; expected ({keys}, {keys}) or "
                f"({heads}, {keys}, {keys})",
                argument="couplings",
            )
        pairs = np.ascontiguousarray(np.broadcast_to(pairs, (heads, keys, keys)))
        if not np.array_equal(pairs, pairs.transpose(0, 2, 1)):
            raise InputError("couplings must be symmetric", argument="couplings")
        return quadratic(
            0.0,
            -rows.logit,
            *kernels.redundancy_couplers(rows.ptr, rows.key, rows.head, pairs, -1.0),
        )
