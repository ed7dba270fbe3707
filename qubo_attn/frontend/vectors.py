"""Value and key vectors: one for each query head and key, read and checked."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from qubo_attn.common.arrays import Bools, Floats, Longs, first_place, own_array
from qubo_attn.common.checks import numbers
from qubo_attn.errors import InputError
from qubo_attn.frontend.hidden import read_array

VECTORS = ("values", "keys")
# Energies stay below this; those of many rows add up to a number still.
LARGEST = 1e305

_SHARED = "; where heads share vectors, kv_head= gives the key/value head of each"


def read_owners(kv_head: ArrayLike, heads: int) -> Longs:
    """Return the key/value head of each query head.

    Args:
        kv_head: whole numbers of at least 0, shape (H,).
        heads: number of query heads, H.

    Raises:
        InputError: it is no such array.

    Example:
        >>> read_owners([0, 0, 1, 1], 4)
        array([0, 0, 1, 1])
    """
    owner = read_array("kv_head", kv_head)
    if owner.shape != (heads,) or owner.dtype.kind not in "iu" or owner.min() < 0:
        raise InputError(
            f"kv_head must hold one whole number >= 0 for each of {heads} heads",
            argument="kv_head",
        )
    return owner.astype(np.int64)


def read_vectors(
    name: str, given: ArrayLike | None, earlier: Floats | None, seen: Bools, owner: Longs | None
) -> tuple[Floats | None, Bools]:
    """Return vectors of query heads, and which keys have none.

    Args:
        name: ``"values"`` or ``"keys"``.
        given: shape (H, K, d), or (key/value heads, K, d) with ``owner``; (K, d) with one head.
        earlier: of query heads; they serve where None are given. NaN where there are none.
        seen: bool, shape (H, K): keys that a query sees.
        owner: of `read_owners`, or None. Where the vectors are those of query heads already, alike
            for heads of one owner, they stay as they are; but an owner for each head is obeyed.

    Returns:
        float64, shape (H, K, d), zero where a key has none; and bool, shape (H, K), true there.

    Raises:
        InputError: they do not fit, a key that a query sees has an entry that is not finite, or
            squares of values overflow.

    Example:
        >>> nan, seen = np.nan, np.array([[True, False]])
        >>> read_vectors("values", [[1.0], [nan]], None, seen, None)
        (array([[[1.],
                [0.]]]), array([[False,  True]]))
    """
    missing = np.zeros(seen.shape, bool)
    if given is None and earlier is None:
        return None, missing
    array = earlier if given is None else _of_heads(name, numbers(name, given), len(seen), owner)
    assert array is not None
    if array.ndim != 3 or array.shape[:2] != seen.shape:
        fewer = array.ndim == 3 and array.shape[0] < len(seen) and owner is None
        raise InputError(
            f"{name} have shape {array.shape}; expected ({len(seen)}, {seen.shape[1]}, d): one "
            f"vector for each head and key{_SHARED if fewer else ''}",
            argument=name,
            shape=array.shape,
        )
    odd = ~np.isfinite(array)
    if name == "values":
        # Squares that nobody needs must not overflow either.
        odd |= ~seen[..., None] & (np.abs(array) > _largest(array))
    if odd.any():
        _check(name, array, odd & seen[..., None])
        missing = np.asarray(odd.any(axis=-1))
        array = np.where(missing[..., None], 0.0, array)
    if name == "values":
        check_squares(array)
    return own_array(np.ascontiguousarray(array)), missing


def _of_heads(name: str, array: Floats, heads: int, owner: Longs | None) -> Floats:
    """Return vectors of key/value heads, or of query heads, as those of query heads."""
    if array.ndim == 2 and heads == 1:
        array = array[None]
    if owner is None or array.ndim != 3 or _spread_out(array, owner):
        return array
    if len(array) <= owner.max():
        raise InputError(
            f"{name} have shape {array.shape}: {len(array)} key/value heads, but kv_head names "
            f"number {owner.max()}",
            argument=name,
            shape=array.shape,
        )
    return array[owner]


def _spread_out(array: Floats, owner: Longs) -> bool:
    """Return whether these are vectors of query heads, alike for those of one owner."""
    if len(array) != len(owner) or owner.max() + 1 >= len(owner):
        return False
    _, first, group = np.unique(owner, return_index=True, return_inverse=True)
    return np.array_equal(array, array[first[group]], equal_nan=True)


def _check(name: str, array: Floats, bad: Bools) -> None:
    """Reject what is not finite where a query sees the key."""
    if bad.any():
        head, key, feature = first_place(bad)
        raise InputError(
            f"{name}[{head},{key},{feature}] is {array[head, key, feature]} (head {head}, key "
            f"{key}): hide the key from all queries, with -inf or mask=, or mend its vector",
            argument=name,
            head=head,
            key=key,
        )


def _largest(values: Floats) -> float:
    """Return the largest value whose squares can be added up.

    A row's price is as large as what its keys add up to, and counts up to keys^2 times.
    """
    _, keys, width = values.shape
    return float(LARGEST**0.5 / (2.0 * max(keys, 1) * max(width, 1) ** 0.5))


def check_squares(values: Floats, name: str = "values") -> None:
    """Reject vectors whose squares overflow when they are added up.

    Args:
        values: shape (H, K, d).
        name: what they are, for the message.

    Raises:
        InputError: names the head and the key.
    """
    largest = float(max(values.max(initial=0.0), -values.min(initial=0.0)))
    if not largest <= _largest(values):
        bad = ~(np.abs(values) < largest)
        head, key, feature = first_place(bad)
        raise InputError(
            f"{name}[{head},{key},{feature}] is {values[head, key, feature]:g}: squares of the "
            f"values overflow when they are added up; scale {name}",
            argument="values" if name == "values" else "output_projection",
            head=head,
            key=key,
        )
