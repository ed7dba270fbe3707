"""Checks of arguments: whole numbers, shares, arrays, known names and the nearest known name."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike

from qubo_attn.common.arrays import Floats, split_masked
from qubo_attn.common.tensors import as_array
from qubo_attn.errors import InputError


def whole(name: str, value: object, least: int = 0, most: int | None = None) -> int:
    """Return a whole number, or say what it must be.

    NumPy's whole numbers are taken; bools and floats are not, whatever their value.

    Args:
        name: of the argument, for the message.
        value: what was given.
        least, most: the smallest and the largest value; no largest one when None.

    Raises:
        InputError: it is no such number; ``argument`` is its name.

    Example:
        >>> whole("reads", np.int64(3), least=1)
        3
        >>> whole("reads", True)
        Traceback (most recent call last):
        qubo_attn.errors.InputError: reads must be a whole number of at least 0, not True
    """
    good = isinstance(value, Integral) and not isinstance(value, bool)
    if not good or int(value) < least or (most is not None and int(value) > most):  # type: ignore[call-overload]
        limits = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise InputError(
            f"{name} must be a whole number {limits}, not {value!r}",
            **{"argument": name, name: value},
        )
    return int(value)  # type: ignore[call-overload,no-any-return]


def share(name: str, value: object) -> float:
    """Return a number from 0 to 1, or say that it must be one.

    Raises:
        InputError: it is no such number; ``argument`` is its name.

    Example:
        >>> share("budget", 0.25)
        0.25
    """
    good = isinstance(value, Real) and not isinstance(value, (bool, np.bool_))
    if not good or not 0.0 <= float(value) <= 1.0:  # type: ignore[arg-type]
        raise InputError(
            f"{name} must be a share from 0 to 1, not {value!r}", **{"argument": name, name: value}
        )
    return float(value)  # type: ignore[arg-type]


def number(name: str, value: object, least: float | None = None) -> float:
    """Return a finite number, or say what it must be.

    Args:
        name: of the argument, for the message.
        value: what was given.
        least: the smallest value; none when None.

    Raises:
        InputError: it is no such number; ``argument`` is its name.

    Example:
        >>> number("strength", 2, least=0)
        2.0
    """
    good = isinstance(value, Real) and not isinstance(value, (bool, np.bool_))
    good = good and math.isfinite(value)  # type: ignore[arg-type]
    if not good or (least is not None and float(value) < least):  # type: ignore[arg-type]
        limit = "" if least is None else f" of at least {least:g}"
        raise InputError(
            f"{name} must be a finite number{limit}, not {value!r}",
            **{"argument": name, name: value},
        )
    return float(value)  # type: ignore[arg-type]


def one_of(name: str, value: object, known: Iterable[str]) -> str:
    """Return a name that is among the known ones, or name those.

    Raises:
        InputError: it is not among them; ``argument`` is its name.

    Example:
        >>> one_of("decoder", "residual", ["renormalise", "residual"])
        'residual'
        >>> one_of("decoder", "level", ["levels", "residual"])
        Traceback (most recent call last):
        qubo_attn.errors.InputError: unknown decoder 'level'; one of levels, residual; did you \
mean 'levels'?
    """
    names = list(known)
    if not isinstance(value, str) or value not in names:
        hint = nearest(value, names) if isinstance(value, str) else ""
        raise InputError(
            f"unknown {name} {value!r}; one of {', '.join(names)}{hint}",
            **{"argument": name, name: value},
        )
    return value


def numbers(name: str, array: ArrayLike) -> Floats:
    """Return a new array of float64, or say that it is no array of numbers.

    Args:
        name: of the argument, for the message.
        array: whatever NumPy reads; torch tensors on any device, of any type, with or without
            gradients. What is masked in a masked array becomes NaN.

    Raises:
        InputError: rows differ in length, or entries are no real numbers; ``argument`` is its name.

    Example:
        >>> numbers("scores", [[1, 2]])
        array([[1., 2.]])
    """
    readable = as_array(name, array)
    try:
        readable, masked = split_masked(readable)
        plain = np.asarray(readable)
        if np.iscomplexobj(plain):
            raise TypeError("complex numbers")
        plain = np.array(plain, dtype=np.float64)
        if masked is not None:
            plain[masked] = np.nan
        return plain
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:
        raise InputError(
            f"{name} is not a rectangular array of numbers ({error})", argument=name
        ) from error


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the known one that is like it, if any.

    Example:
        >>> nearest("sparsfy", ["embed", "sparsify"])
        "; did you mean 'sparsify'?"
        >>> nearest("moon", ["embed", "sparsify"])
        ''
    """
    by_key = {entry.lower(): entry for entry in known}
    close = difflib.get_close_matches(name.lower(), by_key, n=1)
    return f"; did you mean {by_key[close[0]]!r}?" if close else ""
