"""Redundancy: large scores, and a price on choosing two keys that say the same.

    minimise  - sum_i s_i z_i + strength sum_{i<j} c_ij z_i z_j

with c_ij the cosine of CENTRED key vectors (maximal marginal relevance as a QUBO). The mean over
the head's keys is taken off first: in a trained causal model any two raw keys have cosine 0.67.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Floats, Ints, Longs
from qubo_attn.common.checks import number
from qubo_attn.common.frozen import Portable
from qubo_attn.common.keywords import named_fields
from qubo_attn.frontend.attention import Attention, Rows
from qubo_attn.frontend.objectives.base import Objective, centred, needed
from qubo_attn.frontend.sizes import check_size
from qubo_attn.ir.quadratic import Quadratic, RowPairs, rows_of


@named_fields
@dataclass(frozen=True)
class Redundancy(Objective):
    """Large scores, similar keys discouraged; needs the key vectors.

    Attributes:
        strength: energy of choosing two equal keys, in logits. The default 1 makes a twin cost as
            much as a factor e of its softmax weight.

    Example:
        Keys 0 and 1 say the same, so the second one kept is key 2:

        >>> import qubo_attn as qa
        >>> compiled = qa.compile(
        ...     [[[2.0, 1.9, 1.5]]],
        ...     1,
        ...     select=qa.ExactlyK(2),
        ...     objective=qa.Redundancy(strength=1.0),
        ...     keys=[[[1.0, 0.0], [1.0, 0.1], [-1.0, 0.0]]],
        ...     target=None,
        ... )
        >>> compiled.solve(seed=1).selected[0, 0]
        array([ True, False,  True])
    """

    strength: float = 1.0

    name: ClassVar[str] = "redundancy"
    decoder: ClassVar[str] = "renormalise"
    soft: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "strength", number("strength", self.strength))

    def coefficients(self, attention: Attention, rows: Rows) -> Quadratic:
        """Return ``-s_i`` and ``strength c_ij``.

        Raises:
            InputError: there are no key vectors, or the strength is too large.
        """
        check_size("strength", self.strength, 1.0, attention)
        cosine = centred_cosine(needed(attention.keys, "keys", self.name))
        return Quadratic(0.0, -rows.logit, couplers=_Cosines(rows, cosine, self.strength))


@dataclass(frozen=True, eq=False)
class _Cosines(RowPairs, Portable):
    """The couplers ``strength c_ij``."""

    rows: Rows
    cosine: Floats
    strength: float

    @property
    def ptr(self) -> Longs:
        return self.rows.ptr

    def among(self, index: Longs | None) -> tuple[Ints, Ints, Floats]:
        ptr, chosen = rows_of(self.rows.ptr, index)
        return kernels.redundancy_couplers(
            ptr, self.rows.key[chosen], self.rows.head, self.cosine, self.strength
        )


def centred_cosine(keys: Floats) -> Floats:
    """Return the cosine of each pair of keys about their head's mean, shape (H, K, K).

    A key equal to the mean has cosine 0 with every other.
    """
    # Powers of two keep every digit, and squares neither overflow nor vanish.
    power = np.frexp(np.abs(keys).max(axis=(1, 2), keepdims=True, initial=0.0))[1]
    middle = centred(np.ldexp(keys, -power))
    length = np.linalg.norm(middle, axis=-1, keepdims=True)
    unit = np.divide(middle, length, out=np.zeros_like(middle), where=length > 0)
    return np.ascontiguousarray(unit @ unit.transpose(0, 2, 1))
