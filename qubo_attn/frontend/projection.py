"""Output projections: what of a head's output a model feels, read and checked."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from qubo_attn.common.arrays import Floats, first_place, own_array
from qubo_attn.common.checks import numbers
from qubo_attn.errors import InputError
from qubo_attn.frontend.vectors import check_squares


def read_projection(given: ArrayLike | None, values: Floats | None) -> Floats | None:
    """Return the output projection of each head.

    Args:
        given: W_O, shape (heads, d, model); or (model, heads * d), as the weight of a linear layer
            over the concatenated heads has it. None for none.
        values: shape (heads, keys, d), or None.

    Returns:
        float64, shape (heads, d, model).

    Raises:
        InputError: there are no values, it does not fit them, or is not finite; names the entry.

    Example:
        >>> weight = np.arange(8.0).reshape(2, 4)  # two heads of width 2, a model of width 2
        >>> read_projection(weight, np.zeros((2, 5, 2)))[1]
        array([[2., 6.],
               [3., 7.]])
    """
    if given is None:
        return None
    if values is None:
        raise InputError(
            "output_projection needs values, which it projects", argument="output_projection"
        )
    heads, _, d = values.shape
    weight = numbers("output_projection", given)
    if weight.ndim == 2 and weight.shape[1] == heads * d:
        weight = weight.T.reshape(heads, d, len(weight))
    if weight.ndim != 3 or weight.shape[:2] != (heads, d) or not weight.shape[2]:
        raise InputError(
            f"output_projection has shape {weight.shape}; expected ({heads}, {d}, model) or "
            f"(model, {heads * d})",
            argument="output_projection",
            shape=weight.shape,
        )
    bad = ~np.isfinite(weight)
    if bad.any():
        place = first_place(bad)
        raise InputError(
            f"output_projection{list(place)} is {weight[place]}: it must be finite",
            argument="output_projection",
            head=place[0],
        )
    weight = own_array(np.ascontiguousarray(weight))
    # Squares of what it makes of the values are added up.
    with np.errstate(over="ignore", invalid="ignore"):
        check_squares(values @ metric_of(weight), "output_projection times values")
    return weight


def metric_of(projection: Floats) -> Floats:
    """Return a factor of ``W_h W_h'``: what it makes of vectors has their length after W_h.

    Args:
        projection: shape (heads, d, model).

    Returns:
        Shape (heads, d, min(d, model)).

    Example:
        >>> metric_of(np.array([[[3.0, 4.0]]])).round(6)
        array([[[-5.]]])
    """
    factor = np.asarray(np.linalg.qr(projection.transpose(0, 2, 1), mode="r"))
    return own_array(np.ascontiguousarray(factor.transpose(0, 2, 1)))


def read_carried(given: ArrayLike | None, values: Floats | None) -> Floats | None:
    """Return what earlier batches carried along, or say what it must be.

    Args:
        given: shape (heads, d + 1): sums of values, and the mass they have; None for none.
        values: shape (heads, keys, d), or None.

    Raises:
        InputError: there are no values, it does not fit them, it is not finite, or a mass is below
            0; names the head.
    """
    if given is None:
        return None
    carried = numbers("carried", given)
    expected = None if values is None else (len(values), values.shape[2] + 1)
    if carried.shape != expected:
        raise InputError(
            f"carried has shape {carried.shape}; "
            + (f"expected {expected}" if expected else "it needs values"),
            argument="carried",
            shape=carried.shape,
        )
    bad = ~np.isfinite(carried)
    bad[:, -1] |= carried[:, -1] < 0
    bad |= np.abs(carried) > 1e150
    if bad.any():
        place = first_place(bad)
        raise InputError(
            f"carried{list(place)} is {carried[place]}: sums must be finite and masses at least 0",
            argument="carried",
            head=place[0],
        )
    return own_array(np.ascontiguousarray(carried))
