"""Which keys are hidden: the one rule, for logits and masks of every form.

Software hides a key in many ways: -inf, a mask of bools or of whole numbers 0 and 1, a masked
array, or a large negative number. That number (-1e4, -1e9, the lowest number of its type) is put in
the place of a logit or added to it. A key is hidden where

- a mask says so,
- its logit is -inf,
- its logit lies 9,000 or more below the best of its row: softmax in float64 gives 0 to all that is
  746 below, and bfloat16 rounds -1e4 to -9,984,
- its logit is the lowest number of its type, or beyond half of it, as logits are added to that
  number and halves of it are in use,
- the best logit of its row is the lowest float32, bfloat16 or float16, whatever type it has now.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from qubo_attn.common.arrays import (
    Array,
    Bools,
    Floats,
    Longs,
    first_place,
    own_array,
    split_masked,
)
from qubo_attn.common.checks import numbers
from qubo_attn.common.ragged import largest
from qubo_attn.common.tensors import as_array
from qubo_attn.errors import InputError

# So far below the best logit of its row is a hidden key; so low is a number of a mask that hides.
GAP = 9_000.0
# The lowest numbers of float32, bfloat16 and float16.
LOWEST = (float(np.finfo(np.float32).min), -3.3895313892515355e38, -65504.0)


def floor_of(array: object) -> float:
    """Return the number that hides a key wherever it, or a lower one, stands for a logit.

    It is half of the lowest number of a floating type, and the lowest of whole numbers of more than
    a byte; -inf, where a type has none.

    Args:
        array: NumPy's, or a torch tensor; lists and the like count as float64.

    Example:
        >>> floor_of(np.zeros(3, np.float16)), floor_of(np.zeros(3, np.int8))
        (-32752.0, -inf)
    """
    name = str(getattr(array, "dtype", "float64")).removeprefix("torch.")
    if name == "bfloat16":  # NumPy has no such type
        return LOWEST[1] / 2
    try:
        dtype = np.dtype(name)
    except TypeError:
        return -np.inf
    if dtype.kind == "i" and dtype.itemsize > 1:
        return float(np.iinfo(dtype).min)
    if dtype.kind in "iub":
        return -np.inf
    widest = np.finfo(np.float64).min
    return float(max(np.finfo(dtype).min, widest) if dtype.kind == "f" else widest) / 2


def hidden_keys(logits: Floats, floor: float = -np.inf) -> Bools:
    """Return where keys are hidden by their logit.

    Args:
        logits: float64, shape (..., K), the last axis that of the keys; masks already applied, as a
            row's best logit is that of a key it may see. NaN hides nothing.
        floor: of the type they came in, see `floor_of`.

    Returns:
        bool, the shape of the logits; true where they are -inf, too.

    Example:
        >>> hidden_keys(np.array([[2.0, -9_998.0, 1.0], [-1e9, -1e9, -1e9]]))
        array([[False,  True, False],
               [False, False, False]])
        >>> hidden_keys(np.full(2, -65504.0))
        array([ True,  True])
    """
    top = logits.max(axis=-1, keepdims=True, initial=-np.inf)
    hidden: Bools = logits <= _limit(top)
    if floor > -np.inf and (top <= floor + GAP).any():
        hidden |= logits <= floor
    return hidden


def hidden_edges(ptr: Longs, logits: Floats, floor: float = -np.inf) -> Bools:
    """Return where keys are hidden by their logit, in rows of any length.

    Args:
        ptr: int64, logits of row r are ``ptr[r]:ptr[r + 1]``.
        logits, floor: see `hidden_keys`.

    Example:
        >>> hidden_edges(np.array([0, 2, 3]), np.array([2.0, -9_998.0, 1.0]))
        array([False,  True, False])
    """
    top = largest(ptr, logits)
    hidden: Bools = logits <= np.repeat(_limit(top), np.diff(ptr))
    if floor > -np.inf and (top <= floor + GAP).any():
        hidden |= logits <= floor
    return hidden


def _limit(top: Floats) -> Floats:
    """Return what hides a key in rows of these best numbers, which it may write to."""
    # A row whose best number hides sees nothing: all its keys lie below plus infinity.
    top[np.isin(top, (-np.inf, *LOWEST))] = np.inf
    # Of numbers so large that the gap is lost in rounding, all that are lower lie beyond it.
    with np.errstate(over="ignore"):
        return np.minimum(top - GAP, np.nextafter(top, -np.inf))


def apply_mask(logits: Floats, mask: Bools | Floats | None) -> Floats:
    """Return logits with a mask that `read_mask` has read; -inf where it hides a key.

    Example:
        >>> apply_mask(np.zeros((1, 2)), np.array([True, False]))
        array([[  0., -inf]])
    """
    if mask is None:
        return logits
    if mask.dtype == np.bool_:
        return np.where(mask, logits, -np.inf)
    # What stands under a hidden key may be anything, NaN too.
    with np.errstate(invalid="ignore", over="ignore"):
        return np.where(mask == -np.inf, -np.inf, logits + mask)


def read_mask(mask: ArrayLike) -> Bools | Floats:
    """Return a mask of any form as bools, or as floats that are added to the logits.

    Args:
        mask: bools or whole numbers 0 and 1, true or 1 where a query may see a key. Or numbers that
            are added to logits: 0 where it may, -9,000 and lower (-inf too) where it may not; other
            numbers are added unchanged. Entries of a masked array that are masked hide.

    Returns:
        bool, true where a query may see a key, or float64 with -inf where not; of the same shape.

    Raises:
        InputError: it is no such array; names its type or the number.

    Example:
        >>> read_mask([1, 1, 0])
        array([ True,  True, False])
        >>> read_mask([[0.0, -0.5, -1e9]])
        array([[ 0. , -0.5, -inf]])
    """
    array, masked = _read("mask", mask)
    if masked is not None:
        array = np.where(masked, np.zeros((), array.dtype), array)
    kind = array.dtype.kind
    flags = kind in "biu" and bool(((array == 0) | (array == 1)).all())
    if kind in "iu" and not flags and (array > 0).any():
        raise InputError(
            f"mask holds whole numbers from {array.min()} to {array.max()}; expected 1 for a key "
            "that the query may see and 0 for one it may not",
            argument="mask",
        )
    array = array != 0 if flags else _added(array)
    if masked is not None:
        array = np.where(masked, False if array.dtype == np.bool_ else -np.inf, array)
    return own_array(array)


def read_flags(name: str, flags: ArrayLike | None, shape: tuple[int, ...]) -> Bools | None:
    """Return an array of bools or zeros and ones as bools of a shape.

    Args:
        name: of the argument, for the message.
        flags: bool, or numbers 0 and 1; None stays so. Masked entries of a masked array are false.
        shape: (H, Q, K); the array may have any shape that broadcasts to it.

    Raises:
        InputError: it is no such array; names it.

    Example:
        >>> read_flags("required", [0, 1], (1, 1, 2))
        array([[[False,  True]]])
    """
    if flags is None:
        return None
    array, masked = _read(name, flags)
    if array.dtype.kind not in "biuf" or not ((array == 0) | (array == 1)).all():
        raise InputError(
            f"{name} of dtype {array.dtype} holds more than bools, or numbers 0 and 1",
            argument=name,
        )
    flagged = array != 0 if masked is None else (array != 0) & ~masked
    return own_array(np.broadcast_to(fitted(name, flagged, shape), shape))


def fitted(name: str, array: Array, shape: tuple[int, ...]) -> Array:
    """Return an array that broadcasts to a shape.

    Args:
        name: of the argument, for the message.
        array: of shape (K,), (Q, K), (H, Q, K), or what broadcasts to that; further axes of
            length 1 in front are dropped.
        shape: (H, Q, K).

    Raises:
        InputError: it does not fit; names the shapes that do.

    Example:
        >>> fitted("mask", np.ones((1, 1, 4, 3)), (2, 4, 3)).shape
        (1, 4, 3)
    """
    given = array.shape
    while array.ndim > len(shape) and array.shape[0] == 1:
        array = array[0]
    fits = 0 < array.ndim <= len(shape) and all(
        length in (1, wanted)
        for length, wanted in zip(reversed(array.shape), reversed(shape), strict=False)
    )
    if not fits:
        heads, queries, keys = shape
        raise InputError(
            f"{name} has shape {given}; expected ({queries}, {keys}), ({heads}, {queries}, {keys}) "
            f"or ({keys},), or 1 in place of a length",
            argument=name,
            shape=given,
        )
    return array


def read_array(name: str, given: ArrayLike) -> Array:
    """Return a new array of whatever NumPy or torch holds.

    Raises:
        InputError: it is no rectangular array, or a part of it is masked; names it.

    Example:
        >>> read_array("kv_head", [0, 1])
        array([0, 1])
    """
    array, masked = _read(name, given)
    if masked is not None and masked.any():
        raise InputError(f"{name} is masked in {int(masked.sum())} places", argument=name)
    return array


def _read(name: str, given: Any) -> tuple[Array, Bools | None]:
    """Return a new array, as the caller may go on writing to its own, and where it is masked."""
    readable = as_array(name, given)
    try:
        plain, masked = split_masked(readable)
        array = np.array(np.asarray(plain))
        # Bools and numbers of Python in an array of objects are what they are by themselves.
        return np.array(array.tolist()) if array.dtype == object else array, masked
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"{name} is not a rectangular array ({error})", argument=name) from error


def _added(mask: Array) -> Floats:
    """Return a mask of numbers that are added to logits, -inf where they hide."""
    added = numbers("mask", mask)
    bad = np.isnan(added) | (added == np.inf)
    if bad.any():
        place = first_place(bad)
        raise InputError(
            f"mask{list(place)} is {added[place]}: a mask of floats holds 0 where the query may "
            "see the key and -inf where not",
            argument="mask",
            place=place,
        )
    if added.size and np.isin(added, (0.0, 1.0)).all() and added.any():
        raise InputError(
            f"mask has dtype {mask.dtype}; expected bool or whole numbers where it holds 0 and 1 "
            "alone, as floats are added to logits",
            argument="mask",
        )
    return np.where(added <= -GAP, -np.inf, added)
