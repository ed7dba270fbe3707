"""What a row may select."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Protocol, runtime_checkable

from qubo_attn.arrays import Longs
from qubo_attn.errors import InputError


@runtime_checkable
class Select(Protocol):
    """How many of its keys a row keeps."""

    def counts(self, sizes: Longs) -> Longs:
        """Return how many keys rows with ``sizes`` visible keys keep."""
        ...


@dataclass(frozen=True)
class ExactlyK:
    """Keep exactly ``k`` keys a row, or all there are where a row sees fewer.

    Attributes:
        k: keys to keep, at least 1.

    Example:
        >>> from qubo_attn import ExactlyK
        >>> ExactlyK(0)
        Traceback (most recent call last):
        qubo_attn.errors.InputError: k must be a whole number of at least 1, not 0
    """

    k: int

    def __post_init__(self) -> None:
        if not isinstance(self.k, Integral) or isinstance(self.k, bool) or self.k < 1:
            raise InputError(f"k must be a whole number of at least 1, not {self.k!r}", k=self.k)
        object.__setattr__(self, "k", int(self.k))

    def counts(self, sizes: Longs) -> Longs:
        """Return ``min(k, size)`` for each row."""
        return sizes.clip(max=self.k)


@dataclass(frozen=True)
class OneHot:
    """Keep exactly one key a row.

    Example:
        >>> import numpy as np
        >>> from qubo_attn import OneHot
        >>> OneHot().counts(np.array([3, 1, 0]))
        array([1, 1, 0])
    """

    def counts(self, sizes: Longs) -> Longs:
        """Return 1 for each row that sees a key."""
        return sizes.clip(max=1)
