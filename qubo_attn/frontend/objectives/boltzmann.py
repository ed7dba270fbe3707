"""Boltzmann: no optimum is sought; attention is what a sampler at some temperature visits.

    E(z) = - sum_i s_i z_i - sum_{i<j} J_ij z_i z_j

Weights are the sampled marginals <z_i> (arXiv 2606.12478); one-hot rows sampled at effective
temperature T give softmax(s / T) (arXiv 2606.02098). `qubo_attn.decoding.temperature` estimates T.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from qubo_attn import kernels
from qubo_attn.common.arrays import Array, first_place, own_array
from qubo_attn.common.checks import number, numbers
from qubo_attn.common.keywords import named_fields
from qubo_attn.errors import InputError
from qubo_attn.frontend.attention import Attention, Rows
from qubo_attn.frontend.objectives.base import Objective, quadratic
from qubo_attn.frontend.sizes import check_size
from qubo_attn.ir.quadratic import Quadratic


@named_fields
@dataclass(frozen=True)
class Boltzmann(Objective):
    """Fields are the scores, couplings are optional; decoded by sampled marginals.

    Attributes:
        couplings: J, symmetric, an array of shape (K, K) or (H, K, K), in logits, kept as nested
            tuples; none by default. Positive values draw two keys together.
        temperature: T, in logits, that reads of a machine shall have: rows are scaled alike, so
            that the machine's own temperature is T. Rows whose coefficients do not fit its ranges
            then stay hotter (`Precision.temperature` says how hot). None: as cold as they can be.

    Raises:
        InputError: the couplings are no symmetric array of finite numbers, or the temperature is
            not above 0.

    Example:
        >>> from qubo_attn import Boltzmann
        >>> Boltzmann(couplings=[[0, 0.5], [0.5, 0]]).couplings
        ((0.0, 0.5), (0.5, 0.0))
    """

    couplings: ArrayLike | None = None
    temperature: float | None = None

    name: ClassVar[str] = "boltzmann"
    decoder: ClassVar[str] = "marginals"
    soft: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.temperature is not None:
            aim = number("temperature", self.temperature, 1e-6, 1e6)
            object.__setattr__(self, "temperature", aim)
        if self.couplings is None:
            return
        pairs = numbers("couplings", self.couplings)
        if pairs.ndim not in (2, 3) or pairs.shape[-1] != pairs.shape[-2]:
            raise InputError(
                f"couplings have shape {pairs.shape}; expected (keys, keys) or (heads, keys, keys)",
                argument="couplings",
            )
        bad = ~np.isfinite(pairs)
        if bad.any():
            place = first_place(bad)
            raise InputError(
                f"couplings{list(place)} is {pairs[place]}; they must be finite",
                argument="couplings",
            )
        if not np.array_equal(pairs, np.swapaxes(pairs, -1, -2)):
            raise InputError("couplings must be symmetric", argument="couplings")
        object.__setattr__(self, "couplings", _tuples(pairs.tolist()))

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
        check_size("couplings", float(np.abs(pairs).max(initial=0.0)), 1.0, attention)
        pairs = np.ascontiguousarray(np.broadcast_to(pairs, (heads, keys, keys)))
        return quadratic(
            0.0,
            -rows.logit,
            *kernels.redundancy_couplers(rows.ptr, rows.key, rows.head, pairs, -1.0),
        )


def _tuples(nested: Any) -> Any:
    """Return nested lists as tuples, which compare and hash."""
    return tuple(map(_tuples, nested)) if isinstance(nested, list) else nested
