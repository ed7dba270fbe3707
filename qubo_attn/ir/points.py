"""Points: assignments of a program's variables, one a row."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from qubo_attn.common.arrays import Floats
from qubo_attn.common.tensors import as_array
from qubo_attn.errors import InputError


def read_points(samples: ArrayLike, width: int) -> Floats:
    """Return samples as float64, shape (m, width); an array that is so already is not copied.

    Raises:
        InputError: they are no real numbers of that shape; ``argument`` is ``"samples"``.

    Example:
        >>> read_points([[0, 1]], 2)
        array([[0., 1.]])
        >>> read_points([[0, 1]], 3)
        Traceback (most recent call last):
        qubo_attn.errors.InputError: samples have shape (1, 2); expected (m, 3)
    """
    readable = as_array("samples", samples)
    try:
        plain = np.asarray(readable)
        if np.iscomplexobj(plain):
            raise TypeError("complex numbers")
        points = np.asarray(plain, dtype=np.float64)
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:
        raise InputError(
            f"samples are not a rectangular array of numbers ({error})", argument="samples"
        ) from error
    if points.ndim != 2 or points.shape[1] != width:
        raise InputError(
            f"samples have shape {points.shape}; expected (m, {width})",
            argument="samples",
            shape=points.shape,
        )
    return points
