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
    read_only,
    split_masked,
)
from qubo_attn.common.checks import numbers
from qubo_attn.common.frozen import Portable
from qubo_attn.errors import InputError
from qubo_attn.frontend.hidden import (
    apply_mask,
    fitted,
    floor_of,
    hidden_keys,
    read_flags,
    read_mask,
)
from qubo_attn.frontend.probabilities import refuse_probabilities
from qubo_attn.frontend.projection import metric_of, read_carried, read_projection
from qubo_attn.frontend.vectors import VECTORS, read_owners, read_vectors
from qubo_attn.frontend.window import read_window, window_of


@dataclass(frozen=True, eq=False)
class Attention(Portable):
    """Checked input of a compilation.

    Attributes:
        logits: float64, shape (H, Q, K); -inf where the query may not see the key.
        values: float64, shape (H, K, d), or None.
        keys: float64, shape (H, K, d), or None: the key vectors.
        required, forbidden: bool, shape (H, Q, K), or None: keys that must, or must not, be kept.
        missing: bool, shape (2, H, K), or None: keys that no query sees and whose value, or key,
            vector was not finite; it is zero here.
        hidden_by_value: how many keys of all rows are hidden by a finite logit, see
            `qubo_attn.frontend.hidden`.
        projection: float64, shape (H, d, model), or None: the output projection of each head.
        carried: float64, shape (H, d + 1), or None: what earlier batches leave to a carried
            background, see `qubo_attn.frontend.background`.
    """

    logits: Floats
    values: Floats | None = None
    keys: Floats | None = None
    required: Bools | None = None
    forbidden: Bools | None = None
    missing: Bools | None = None
    hidden_by_value: int = 0
    projection: Floats | None = None
    carried: Floats | None = None

    @classmethod
    def check(
        cls,
        scores: ArrayLike,
        heads: int | None = None,
        *,
        values: ArrayLike | None = None,
        keys: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        kv_head: ArrayLike | None = None,
        required: ArrayLike | None = None,
        forbidden: ArrayLike | None = None,
        output_projection: ArrayLike | None = None,
        carried: ArrayLike | None = None,
        queries: ArrayLike | None = None,
        earlier: Attention | None = None,
    ) -> Attention:
        """Check and convert the arguments of `qubo_attn.compile`.

        Args:
            scores: logits, shape (H, Q, K), or (Q, K) with one head; what is masked in a masked
                array is hidden. `qubo_attn.frontend.hidden` says what else is.
            heads: number of heads, H; as many as ``scores`` hold when None.
            values, keys: vectors, shape (H, K, d), or (number of key/value heads, K, d) with
                ``kv_head``; where no query sees a key, they may be anything.
            mask: see `qubo_attn.frontend.hidden.read_mask`; any shape that broadcasts to (H, Q, K).
            kv_head: int, shape (H,), the key/value head of each query head.
            required, forbidden: bools, or zeros and ones, of such a shape: keys that must be kept,
                or not.
            output_projection: see `qubo_attn.frontend.projection.read_projection`.
            carried: see `qubo_attn.frontend.background`; shape (H, d + 1).
            queries: which of them count, see `qubo_attn.frontend.window`; Q are these alone.
            earlier: checked before; its vectors serve where None are given.

        Raises:
            InputError: names the argument and the head, query and key where it fails.
        """
        logits, by_value = _logits(scores, heads, mask)
        must = read_flags("required", required, logits.shape)
        must_not = read_flags("forbidden", forbidden, logits.shape)
        window = read_window(queries)
        if window is not None:
            logits = window_of(window, logits)
            must, must_not = (None if f is None else window_of(window, f) for f in (must, must_not))
        _check_required(must, must_not, logits)
        seen = np.asarray((logits > -np.inf).any(axis=1))
        owner = None if kv_head is None else read_owners(kv_head, len(seen))
        old = {} if earlier is None else {name: earlier.as_given(name) for name in VECTORS}
        of_values, no_value = read_vectors("values", values, old.get("values"), seen, owner)
        of_keys, no_key = read_vectors("keys", keys, old.get("keys"), seen, owner)
        missing = np.stack([no_value, no_key])
        return cls(
            own_array(logits),
            of_values,
            of_keys,
            must,
            must_not,
            own_array(missing) if missing.any() else None,
            by_value,
            read_projection(output_projection, of_values),
            read_carried(carried, of_values),
        )

    def as_given(self, name: str) -> Floats | None:
        """Return ``"values"`` or ``"keys"`` with NaN where they are missing."""
        array: Floats | None = getattr(self, name)
        if array is None or self.missing is None:
            return array
        return np.where(self.missing[VECTORS.index(name)][..., None], np.nan, array)

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
        return self.table(self.rows.mass)

    def table(self, entries: Floats) -> Floats:
        """Return one entry per visible key, in the order of `rows`, as a table.

        Args:
            entries: float64, as many as there are visible keys.

        Returns:
            Shape (H, Q, K), read-only; zero where a key is hidden.
        """
        if len(entries) == self.logits.size:
            return read_only(entries.reshape(self.logits.shape))
        table = np.zeros(self.logits.shape)
        table[self.visible] = entries
        return own_array(table)

    @cached_property
    def measured(self) -> Floats | None:
        """Values whose lengths and products are those after the output projection.

        The values themselves without a projection; shape (H, K, at most d) with one.
        """
        if self.values is None or self.projection is None:
            return self.values
        return own_array(self.values @ self.metric)

    @cached_property
    def metric(self) -> Floats:
        """What takes values to `measured`, shape (H, d, min(d, model)); see `metric_of`."""
        assert self.projection is not None
        return metric_of(self.projection)

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
            # The table itself is as large as the logits: it is made again when somebody reads it.
            mass=entries(_softmax(self.logits)),
        )


@dataclass(frozen=True, eq=False)
class Rows(Portable):
    """Rows of visible keys, in CSR form.

    Attributes:
        ptr: int64, keys of row r are ``ptr[r]:ptr[r + 1]``.
        key: int32; logit, mass: float64, one entry per visible key.
        head, query: int32, one entry per row.
        start: bool, one entry per visible key, or None: the selection that an objective starts
            from, where one does.
    """

    ptr: Longs
    key: Ints
    head: Ints
    query: Ints
    logit: Floats
    mass: Floats
    start: Bools | None = None

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
            start=None if self.start is None else self.start[entries],
        )


def _softmax(logits: Floats) -> Floats:
    """Return the softmax over the last axis; zeros where all of it is -inf."""
    top = logits.max(axis=-1, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, 0.0)
    weights = np.exp(logits - top)
    total = weights.sum(axis=-1, keepdims=True)
    np.divide(weights, total, out=weights, where=total > 0)
    return np.asarray(weights)


def _logits(scores: ArrayLike, heads: int | None, mask: ArrayLike | None) -> tuple[Floats, int]:
    """Return logits with -inf for hidden keys, and how many of these are hidden by value."""
    floor, logits = floor_of(scores), numbers("scores", scores)
    _, masked = split_masked(scores)
    if masked is not None:
        logits[masked] = -np.inf
    if logits.ndim == 2 and heads in (1, None):
        logits = logits[None]
    if logits.ndim != 3:
        raise InputError(
            f"scores have shape {logits.shape}; expected (heads, queries, keys), "
            "or (queries, keys) with heads=1",
            shape=logits.shape,
        )
    if heads is not None and logits.shape[0] != heads:
        raise InputError(
            f"scores hold {logits.shape[0]} heads, but heads says {heads}", heads=heads
        )
    refuse_probabilities(logits)
    if mask is not None:
        logits = apply_mask(logits, fitted("mask", read_mask(mask), logits.shape))
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
    hidden = hidden_keys(logits, floor)
    by_value = int(np.count_nonzero(hidden) - np.count_nonzero(logits == -np.inf))
    if by_value:
        logits[hidden] = -np.inf
    return logits, by_value


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
