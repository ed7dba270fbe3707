"""Attention of a call: checked once, at the border, and kept in columns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from qubo_attn.common.arrays import (
    Array,
    Bools,
    Floats,
    Ints,
    Longs,
    first_place,
    own_array,
    pointers,
)
from qubo_attn.common.checks import numbers
from qubo_attn.common.frozen import Portable
from qubo_attn.errors import InputError


@dataclass(frozen=True, eq=False)
class Attention(Portable):
    """Checked input of a compilation.

    Attributes:
        logits: float64, shape (H, Q, K); -inf where the query may not see the key.
        values: float64, shape (H, K, d), or None.
        keys: float64, shape (H, K, d), or None: the key vectors.
        required, forbidden: bool, shape (H, Q, K), or None: keys that must, or must not, be kept.
    """

    logits: Floats
    values: Floats | None = None
    keys: Floats | None = None
    required: Bools | None = None
    forbidden: Bools | None = None

    @classmethod
    def check(
        cls,
        scores: ArrayLike,
        heads: int,
        *,
        values: ArrayLike | None = None,
        keys: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        kv_head: ArrayLike | None = None,
        required: ArrayLike | None = None,
        forbidden: ArrayLike | None = None,
    ) -> Attention:
        """Check and convert the arguments of `qubo_attn.compile`.

        Args:
            scores: logits, shape (H, Q, K), or (Q, K) with one head.
            heads: number of heads, H.
            values, keys: vectors, shape (H, K, d), or (number of key/value heads, K, d) with
                ``kv_head``.
            mask: bool, shape (Q, K) or (H, Q, K), true where the query may see the key.
            kv_head: int, shape (H,), the key/value head of each query head.
            required, forbidden: bool, shape (Q, K) or (H, Q, K), keys that must be kept, or not.

        Raises:
            InputError: names the argument and the head, query and key where it fails.
        """
        logits = _logits(scores, heads)
        seen = _mask("mask", mask, logits.shape)
        if seen is not None:
            logits = np.where(seen, logits, -np.inf)
        must = _mask("required", required, logits.shape)
        must_not = _mask("forbidden", forbidden, logits.shape)
        _check_required(must, must_not, logits)
        owner = _owners(kv_head, logits.shape[0])
        return cls(
            own_array(logits),
            _vectors("values", values, logits.shape, owner),
            _vectors("keys", keys, logits.shape, owner),
            must,
            must_not,
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Heads, queries, keys."""
        h, q, k = self.logits.shape
        return h, q, k

    @cached_property
    def visible(self) -> Bools:
        """Which keys each query sees, shape (H, Q, K)."""
        return own_array(self.logits > -np.inf)

    @cached_property
    def softmax(self) -> Floats:
        """Softmax over the visible keys, shape (H, Q, K); zero rows where nothing is visible."""
        top = self.logits.max(axis=-1, keepdims=True, initial=-np.inf)
        top = np.where(np.isfinite(top), top, 0.0)
        weights = np.exp(self.logits - top)
        total = weights.sum(axis=-1, keepdims=True)
        return own_array(np.divide(weights, total, out=weights, where=total > 0))

    @cached_property
    def rows(self) -> Rows:
        """The visible keys of all heads, one row per head and query that sees any."""
        _, queries, keys = self.logits.shape
        sizes = np.count_nonzero(self.visible, axis=-1).ravel()
        row = np.flatnonzero(sizes)
        key = np.broadcast_to(np.arange(keys, dtype=np.int32), self.logits.shape)
        all_visible = len(row) == len(sizes) and (sizes == keys).all()

        def entries(array: Array) -> Array:
            # Where every key is visible, no copy is needed.
            return array.reshape(-1) if all_visible else array[self.visible]

        return Rows(
            ptr=pointers(sizes[row]),
            key=entries(key),
            head=(row // max(queries, 1)).astype(np.int32),
            query=(row % max(queries, 1)).astype(np.int32),
            logit=entries(self.logits),
            mass=entries(self.softmax),
        )


@dataclass(frozen=True, eq=False)
class Rows(Portable):
    """Rows of visible keys, in CSR form.

    Attributes:
        ptr: int64, keys of row r are ``ptr[r]:ptr[r + 1]``.
        key: int32; logit, mass: float64, one entry per visible key.
        head, query: int32, one entry per row.
    """

    ptr: Longs
    key: Ints
    head: Ints
    query: Ints
    logit: Floats
    mass: Floats

    def __post_init__(self) -> None:
        for array in (self.ptr, self.key, self.head, self.query, self.logit, self.mass):
            own_array(array)

    def __len__(self) -> int:
        return len(self.head)

    @property
    def sizes(self) -> Longs:
        """Number of visible keys of each row."""
        return np.diff(self.ptr)

    def take(self, mask: Bools) -> Rows:
        """Return some rows, in the order they stand here.

        Args:
            mask: which, one entry per row.
        """
        entries = np.repeat(mask, self.sizes)
        return Rows(
            ptr=pointers(self.sizes[mask]),
            key=self.key[entries],
            head=self.head[mask],
            query=self.query[mask],
            logit=self.logit[entries],
            mass=self.mass[entries],
        )


def _logits(scores: ArrayLike, heads: int) -> Floats:
    logits = numbers("scores", scores)
    if logits.ndim == 2 and heads == 1:
        logits = logits[None]
    if logits.ndim != 3:
        raise InputError(
            f"scores have shape {logits.shape}; expected (heads, queries, keys), "
            "or (queries, keys) with heads=1",
            shape=logits.shape,
        )
    if logits.shape[0] != heads:
        raise InputError(
            f"scores hold {logits.shape[0]} heads, but heads says {heads}", heads=heads
        )
    bad = np.isnan(logits) | (logits == np.inf)
    if bad.any():
        head, query, key = first_place(bad)
        raise InputError(
            f"scores[{head},{query},{key}] is {logits[head, query, key]} (head {head}, query "
            f"{query}, key {key}; {int(bad.sum())} such entries): mask keys with -inf or mask=",
            head=head,
            query=query,
            key=key,
        )
    return logits


def _array(name: str, given: ArrayLike) -> Array:
    try:
        return np.array(given)  # a copy: the caller may go on writing to its own
    except (ValueError, TypeError) as error:
        raise InputError(f"{name} is not a rectangular array ({error})", argument=name) from error


def _mask(name: str, mask: ArrayLike | None, shape: tuple[int, ...]) -> Bools | None:
    if mask is None:
        return None
    array = _array(name, mask)
    if array.dtype != np.bool_:
        raise InputError(f"{name} has dtype {array.dtype}; expected bool", argument=name)
    if array.shape not in (shape, shape[1:]):
        raise InputError(
            f"{name} has shape {array.shape}; expected {shape[1:]} or {shape}", argument=name
        )
    return np.broadcast_to(array, shape)


def _check_required(required: Bools | None, forbidden: Bools | None, logits: Floats) -> None:
    """Reject a key that is required and not seen, or required and forbidden at once."""
    if required is None:
        return
    for bad, reason in (
        (required & (logits == -np.inf), "required, but the query does not see it"),
        (required & (False if forbidden is None else forbidden), "both required and forbidden"),
    ):
        if bad.any():
            head, query, key = first_place(bad)
            raise InputError(
                f"key {key} of head {head}, query {query} is {reason}",
                head=head,
                query=query,
                key=key,
            )


def _owners(kv_head: ArrayLike | None, heads: int) -> Longs | None:
    if kv_head is None:
        return None
    owner = _array("kv_head", kv_head)
    if owner.shape != (heads,) or not np.issubdtype(owner.dtype, np.integer) or owner.min() < 0:
        raise InputError(
            f"kv_head must hold one whole number >= 0 for each of {heads} heads",
            argument="kv_head",
        )
    return owner.astype(np.int64)


def _vectors(
    name: str, vectors: ArrayLike | None, shape: tuple[int, ...], owner: Longs | None
) -> Floats | None:
    if vectors is None:
        return None
    array: Array = numbers(name, vectors)
    if array.ndim == 2 and shape[0] == 1:
        array = array[None]
    if owner is not None and array.ndim == 3 and array.shape[0] == owner.max() + 1 < shape[0]:
        array = array[owner]
    if array.ndim != 3 or array.shape[:2] != (shape[0], shape[2]):
        raise InputError(
            f"{name} have shape {array.shape}; expected ({shape[0]}, {shape[2]}, d): "
            "one vector for each head and key",
            argument=name,
            shape=array.shape,
        )
    bad = ~np.isfinite(array)
    if bad.any():
        head, key, feature = first_place(bad)
        raise InputError(
            f"{name}[{head},{key},{feature}] is {array[head, key, feature]} "
            f"(head {head}, key {key})",
            head=head,
            key=key,
        )
    return own_array(np.ascontiguousarray(array))
