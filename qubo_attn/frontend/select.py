"""Selections: how many of its keys a row keeps, or how much weight it gives out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, cast, runtime_checkable

from qubo_attn.common.arrays import Longs
from qubo_attn.common.checks import one_of, shown, whole
from qubo_attn.common.keywords import named_fields
from qubo_attn.common.vocabulary import ENCODINGS
from qubo_attn.errors import InputError
from qubo_attn.formulations.encodings import MOST_LEVELS, coefficients
from qubo_attn.ir.columns import Sense


@runtime_checkable
class Select(Protocol):
    """How many of its keys a row keeps, or how much weight it gives out.

    Attributes:
        sense: equality or upper bound; None where rows are free or share a budget.
        levels: largest level of a key: 1 where keys are kept or not.
    """

    @property
    def sense(self) -> Sense | None:
        """Equality or upper bound."""
        ...

    @property
    def levels(self) -> int:
        """Largest level of a key."""
        ...

    def counts(self, sizes: Longs) -> Longs:
        """Return how many keys rows with ``sizes`` visible keys keep."""
        ...


def check_select(value: object) -> Select:
    """Return what a row may select, or say what it must be.

    Raises:
        InputError: it is no `Select`.
    """
    # What isinstance tells by the protocol, which looks at its members anew for every head.
    members = ("sense", "levels", "counts")
    if isinstance(value, type) or not all(hasattr(value, name) for name in members):
        raise InputError(
            f"select must say how many keys a row keeps, e.g. qubo_attn.ExactlyK(4), "
            f"not {shown(value)}",
            argument="select",
            select=value,
        )
    return cast(Select, value)


@dataclass(frozen=True)
class _UpToK:
    """Rows that keep ``k`` keys at most."""

    k: int

    levels: ClassVar[int] = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "k", whole("k", self.k, least=1))

    def counts(self, sizes: Longs) -> Longs:
        """Return ``min(k, size)`` for each row."""
        return sizes.clip(max=self.k)


@named_fields
@dataclass(frozen=True)
class ExactlyK(_UpToK):
    """Keep exactly ``k`` keys a row, or all there are where a row sees fewer.

    Attributes:
        k: keys to keep, at least 1.

    Example:
        >>> from qubo_attn import ExactlyK
        >>> ExactlyK(0)
        Traceback (most recent call last):
        qubo_attn.errors.InputError: k must be a whole number of at least 1, not 0
    """

    sense: ClassVar[Sense | None] = Sense.EQ


@named_fields
@dataclass(frozen=True)
class AtMostK(_UpToK):
    """Keep at most ``k`` keys a row.

    Attributes:
        k: most keys to keep, at least 1.

    Example:
        >>> from qubo_attn import AtMostK
        >>> AtMostK(2).k
        2
    """

    sense: ClassVar[Sense | None] = Sense.LE


@named_fields
@dataclass(frozen=True)
class OneHot:
    """Keep exactly one key a row.

    Example:
        >>> import numpy as np
        >>> from qubo_attn import OneHot
        >>> OneHot().counts(np.array([3, 1, 0]))
        array([1, 1, 0])
    """

    sense: ClassVar[Sense | None] = Sense.EQ
    levels: ClassVar[int] = 1

    def counts(self, sizes: Longs) -> Longs:
        """Return 1 for each row that sees a key."""
        return sizes.clip(max=1)


@named_fields
@dataclass(frozen=True)
class Unconstrained:
    """Keep whichever keys the objective likes.

    Example:
        >>> from qubo_attn import Unconstrained
        >>> Unconstrained().sense is None
        True
    """

    sense: ClassVar[Sense | None] = None
    levels: ClassVar[int] = 1

    def counts(self, sizes: Longs) -> Longs:
        """Return all keys of each row: the most it may keep."""
        return sizes


@named_fields
@dataclass(frozen=True)
class Budget:
    """Keep exactly ``k`` keys of a whole head, or of all heads together.

    With all queries tied (`TieVariables` with ``queries``) a key counts once however many queries
    and tied heads share it: the budget of a KV cache. Otherwise every selection counts.

    Attributes:
        k: keys to keep, at least 1; all there are where there are fewer.
        over: ``"head"`` (each head or tied group its own) or ``"all"`` (one for all heads).

    Example:
        >>> from qubo_attn import Budget
        >>> Budget(16, over="all").over
        'all'
    """

    k: int
    over: Literal["head", "all"] = "head"

    sense: ClassVar[Sense | None] = None
    levels: ClassVar[int] = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "k", whole("k", self.k, least=1))
        one_of("over", self.over, ("head", "all"))

    def counts(self, sizes: Longs) -> Longs:
        """Return all keys of each row: the most it may keep."""
        return sizes


@named_fields
@dataclass(frozen=True)
class SoftWeights:
    """Give each key a weight in whole levels.

    Without ``k`` the levels of a row add up to a number T, and the key's weight is its level over
    T. With ``k``, exactly k keys have a weight (all keys if a row sees fewer). Each has a level
    from 0 to ``levels`` about its softmax weight, and so can take over what the other keys would
    have had. The ``output`` objective needs ``k``, see `qubo_attn.frontend.objectives.output`.

    Attributes:
        levels: largest level of a key, from 1 to 65,535. The default 3 takes two bits a key.
        k: keys that have a weight, at least 1; None for any number.
        encoding: of the levels by bits, see `qubo_attn.BinarizeWeights`.
        scale: what T is, where there is no ``k``: ``"row-max"`` gives all ``levels`` to the largest
            weight that the objective would like; ``"unit"`` is T = ``levels``, which rounds most
            keys of long rows to nothing.

    Example:
        >>> from qubo_attn import SoftWeights
        >>> SoftWeights(levels=0)
        Traceback (most recent call last):
        qubo_attn.errors.InputError: levels must be a whole number from 1 to 65535, not 0
    """

    levels: int = 3
    k: int | None = None
    encoding: str = "auto"
    scale: Literal["row-max", "unit"] = "row-max"

    sense: ClassVar[Sense | None] = Sense.EQ

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", whole("levels", self.levels, 1, MOST_LEVELS))
        if self.k is not None:
            object.__setattr__(self, "k", whole("k", self.k, least=1))
        if one_of("encoding", self.encoding, ("auto", *ENCODINGS)) != "auto":
            coefficients(self.encoding, self.levels)
        one_of("scale", self.scale, ("row-max", "unit"))

    def counts(self, sizes: Longs) -> Longs:
        """Return how many keys of each row have a weight at most."""
        return sizes if self.k is None else sizes.clip(max=self.k)
