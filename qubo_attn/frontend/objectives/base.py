"""The contract of an objective."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

from qubo_attn.errors import InputError

if TYPE_CHECKING:
    from qubo_attn.common.arrays import Floats
    from qubo_attn.frontend.attention import Attention, Rows
    from qubo_attn.ir.quadratic import Quadratic


class Objective(Protocol):
    """A frozen dataclass whose fields are its options.

    Attributes:
        name: what it is called.
        decoder: the decoder that suits it, where the caller names none.
        soft: whether it is over weights (and needs `SoftWeights`) rather than selections; then it
            also has ``wanted(attention, rows)``, the real weights it would like, which set a row's
            scale.
    """

    name: ClassVar[str]
    decoder: ClassVar[str]
    soft: ClassVar[bool]

    def coefficients(self, attention: Attention, rows: Rows) -> Quadratic:
        """Return the quadratic form over the entries of ``rows``, in their order.

        Raises:
            InputError: the attention lacks what the objective needs.
        """
        ...


class SoftObjective(Objective, Protocol):
    """An objective over weights."""

    def wanted(self, attention: Attention, rows: Rows) -> Floats:
        """Return the real weights it would like, one per entry of ``rows``."""
        ...


def needed(vectors: Floats | None, argument: str, objective: str) -> Floats:
    """Return ``vectors``, or say which argument the objective needs."""
    if vectors is None:
        raise InputError(
            f"objective {objective!r} needs {argument}=, an array of shape (heads, keys, d)",
            argument=argument,
        )
    return vectors
