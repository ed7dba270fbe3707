"""Objective: the contract, and what several objectives share."""

from __future__ import annotations

from typing import ClassVar, Protocol

from qubo_attn.common.arrays import Floats, Ints, own_array
from qubo_attn.errors import InputError
from qubo_attn.frontend.attention import Attention, Rows
from qubo_attn.ir.quadratic import Quadratic, Terms

# Energies stay below this; those of many rows add up to a number still.
LARGEST = 1e305


class Objective(Protocol):
    """A frozen dataclass whose fields are its options.

    Attributes:
        name: its name in calls, reports and files.
        decoder: name of the decoder where the caller gives none.
        soft: whether it is over weights (and needs `SoftWeights`) rather than selections; see
            `SoftObjective`.
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
        """Return the real weights of its optimum, one per entry of ``rows``: they set the scale."""
        ...


def needed(vectors: Floats | None, argument: str, objective: str) -> Floats:
    """Return ``vectors``, or say which argument the objective needs."""
    if vectors is None:
        raise InputError(
            f"objective {objective!r} needs {argument}=, an array of shape (heads, keys, d)",
            argument=argument,
        )
    return vectors


def check_size(argument: str, factor: float, product: float, attention: Attention) -> None:
    """Reject an option that makes sums over a row overflow.

    Args:
        argument: name of the option.
        factor: its size.
        product: largest number that it is multiplied with.
        attention: says how many keys a row has.

    Raises:
        InputError: names the option.
    """
    largest, keys = abs(factor) * product, attention.shape[2]
    # A row adds up keys^2 couplers; its price is as large, and counts up to keys^2 times.
    if not largest <= LARGEST / max(keys, 1) ** 4:
        raise InputError(
            f"{argument} of {factor:g} makes coefficients of {largest:g} with these scores: their "
            "sums overflow; make it, or the scores, smaller",
            argument=argument,
        )


def quadratic(offset: float, linear: Floats, i: Ints, j: Ints, bias: Floats) -> Quadratic:
    """Return the form of a kernel's arrays, which become its columns, without zero couplers."""
    terms = Terms.nonzero(i, j, bias, zeros=not bias.all())
    return Quadratic(float(offset), own_array(linear), couplers=terms)
