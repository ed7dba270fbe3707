"""Checks of arguments: numbers, shares, flags, arrays, known names and the nearest known name."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from qubo_attn.common.arrays import Floats, Longs, split_masked
from qubo_attn.common.tensors import as_array
from qubo_attn.errors import InputError

T = TypeVar("T")

# Heads, keys, levels and qubits are counted in 32 bits.
MOST = 2**31 - 1
LARGEST = float(np.finfo(np.float64).max)
# Of units that are energies of a row: their product is a number still.
MOST_UNITS = 1e100
MOST_SEED = 2**32 - 1  # as in NumPy
_TEXT = 80  # letters of a value in a message


def shown(value: object) -> str:
    """Return a value for a message: one line of few letters, whatever it is.

    Example:
        >>> shown(np.zeros((2, 40))), shown("twelve")
        ('an array of shape (2, 40)', "'twelve'")
    """
    if isinstance(value, np.ndarray) and value.ndim:
        return f"an array of shape {value.shape}"
    try:
        text = " ".join(repr(value).split())
    except Exception:  # a number of too many digits, or an object that does not print
        return f"a {type(value).__name__} too large to print"
    return text if len(text) <= _TEXT else f"{text[: _TEXT - 3]}..."


def _refused(name: str, must: str, value: object) -> InputError:
    return InputError(
        f"{name} must be {must}, not {shown(value)}", **{"argument": name, name: value}
    )


def _scalar(value: object) -> object:
    """Return Python's own number for one of NumPy's or torch's, of any width."""
    try:
        single = hasattr(value, "item") and getattr(value, "shape", None) == ()
        return value.item() if single else value  # type: ignore[attr-defined]
    except Exception:  # a tensor without data, or without a shape
        return value


def _real(value: object) -> float | None:
    """Return a number as a float, infinite where it is too large; None where it is no number."""
    value = _scalar(value)
    if not isinstance(value, Real) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def whole(name: str, value: object, least: int = 0, most: int | None = MOST) -> int:
    """Return a whole number, or say what it must be.

    NumPy's whole numbers of any width are taken; bools and floats are not, whatever their value.

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
        >>> whole("keys", 2**40)
        Traceback (most recent call last):
        qubo_attn.errors.InputError: keys must be a whole number from 0 to 2147483647, \
not 1099511627776
    """
    count = _scalar(value)
    good = isinstance(count, Integral) and not isinstance(count, bool)
    large = good and most is not None and int(count) > most  # type: ignore[call-overload]
    if not good or large or int(count) < least:  # type: ignore[call-overload]
        endless = most is None or (most >= MOST and not large)
        limits = f"of at least {least}" if endless else f"from {least} to {most}"
        raise _refused(name, f"a whole number {limits}", value)
    return int(count)  # type: ignore[call-overload,no-any-return]


def share(name: str, value: object, *, positive: bool = False) -> float:
    """Return a number from 0 to 1, or say that it must be one.

    Args:
        name: of the argument, for the message.
        value: what was given.
        positive: whether 0 is refused.

    Raises:
        InputError: it is no such number; ``argument`` is its name.

    Example:
        >>> share("budget", np.float32(0.25))
        0.25
    """
    real = _real(value)
    if real is None or not 0.0 <= real <= 1.0 or (positive and real == 0.0):
        raise _refused(name, f"a share {'above 0 up' if positive else 'from 0'} to 1", value)
    return real


def number(
    name: str,
    value: object,
    least: float | None = None,
    most: float = LARGEST,
    *,
    above: float | None = None,
) -> float:
    """Return a finite number, or say what it must be.

    NumPy's numbers of any width are taken; bools are not.

    Args:
        name: of the argument, for the message.
        value: what was given.
        least: the smallest value; none when None.
        most: the largest size of it.
        above: what it must exceed; nothing when None.

    Raises:
        InputError: it is no such number; ``argument`` is its name.

    Example:
        >>> number("strength", np.float32(1.5), least=0)
        1.5
    """
    real = _real(value)
    good = real is not None and math.isfinite(real)
    large = good and abs(real) > most  # type: ignore[arg-type]
    good = good and not large
    if not good or (least is not None and real < least) or (above is not None and real <= above):  # type: ignore[operator]
        limit = "" if least is None else f" of at least {least:g}"
        limit += "" if above is None else f" above {above:g}"
        limit += f" of a size up to {most:g}" if large else ""
        raise _refused(name, f"a finite number{limit}", value)
    return real  # type: ignore[return-value]


def flag(name: str, value: object) -> bool:
    """Return whether something is asked for, or say that this must be true or false.

    Raises:
        InputError: it is neither; ``argument`` is its name.

    Example:
        >>> flag("queries", np.bool_(True))
        True
        >>> flag("queries", "no")
        Traceback (most recent call last):
        qubo_attn.errors.InputError: queries must be True or False, not 'no'
    """
    if not isinstance(value, (bool, np.bool_)):
        raise _refused(name, "True or False", value)
    return bool(value)


def several(name: str, values: object) -> tuple[Any, ...]:
    """Return the entries of a sequence, or say that it must be one; a text is none.

    Raises:
        InputError: it is no sequence; ``argument`` is its name.

    Example:
        >>> several("sizes", range(3))
        (0, 1, 2)
    """
    if isinstance(values, Iterable) and not isinstance(values, (str, bytes, Mapping)):
        try:
            return tuple(values)
        except (TypeError, RuntimeError):  # an array without axes, a tensor without numbers
            pass
    raise _refused(name, "a sequence", values)


def instance(name: str, value: object, kind: type[T]) -> T:
    """Return an object of a kind, or say that it must be one.

    Raises:
        InputError: it is none; ``argument`` is its name.

    Example:
        >>> instance("program", None, dict)
        Traceback (most recent call last):
        qubo_attn.errors.InputError: program must be a dict, not None
    """
    if not isinstance(value, kind):
        article = "an" if kind.__name__[0] in "AEIO" else "a"
        raise _refused(name, f"{article} {kind.__name__}", value)
    return value


def indices(name: str, values: ArrayLike) -> Longs:
    """Return an array of whole numbers, or say that it is none.

    Raises:
        InputError: entries are no whole numbers; ``argument`` is its name.

    Example:
        >>> indices("variables", [2, 0])
        array([2, 0])
    """
    array = numbers(name, values)
    if array.ndim != 1 or not (np.abs(array) <= MOST).all() or (array % 1).any():
        raise _refused(name, "whole numbers in a row", values)
    return array.astype(np.int64)


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
            f"unknown {name} {shown(value)}; one of {', '.join(names)}{hint}",
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
