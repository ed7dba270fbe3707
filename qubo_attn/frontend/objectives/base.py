"""Objective: the contract, and what several objectives share."""

from __future__ import annotations

from typing import ClassVar, Protocol

import numpy as np

from qubo_attn.common.arrays import Bools, Floats, Ints, own_array
from qubo_attn.errors import InputError
from qubo_attn.frontend.attention import Attention, Rows
from qubo_attn.ir.quadratic import Quadratic, Terms


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


def centred(vectors: Floats, seen: Bools | None = None) -> Floats:
    """Return vectors less the mean of their head's, shape (H, K, d).

    Args:
        vectors: shape (H, K, d).
        seen: bool, shape (H, K): the mean is that of these keys, and others become zero: what
            stands there is nobody's. All keys when None.
    """
    if seen is None or seen.all():
        mean: Floats = vectors.sum(axis=1, keepdims=True) / max(vectors.shape[1], 1)
        return np.asarray(vectors - mean)
    inside = seen[..., None]
    count = np.maximum(inside.sum(axis=1, keepdims=True), 1)
    mean = np.where(inside, vectors, 0.0).sum(axis=1, keepdims=True) / count
    return np.where(inside, vectors - mean, 0.0)


def quadratic(offset: float, linear: Floats, i: Ints, j: Ints, bias: Floats) -> Quadratic:
    """Return the form of a kernel's arrays, which become its columns, without zero couplers."""
    terms = Terms.nonzero(i, j, bias, zeros=not bias.all())
    return Quadratic(float(offset), own_array(linear), couplers=terms)
