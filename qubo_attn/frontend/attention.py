"""Attention of a call: checked once, at the border, and kept in columns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from qubo_attn import kernels
from qubo_attn.common import ragged
from qubo_attn.common.arrays import (
    Array,
    Bools,
    Floats,
    Ints,
    Longs,
    own_array,
    pointers,
    read_only,
)
from qubo_attn.common.frozen import Portable
from qubo_attn.frontend.graph import AttentionGraph
from qubo_attn.frontend.pattern import Pattern
from qubo_attn.frontend.projection import metric_of, read_carried, read_projection
from qubo_attn.frontend.scores import Scores, read_scores, seen_keys
from qubo_attn.frontend.vectors import VECTORS, read_owners, read_vectors
from qubo_attn.frontend.window import read_window


@dataclass(frozen=True, eq=False)
class Attention(Portable):
    """Checked input of a compilation.

    What there is one of for each query and key is a table of shape (H, Q, K) or, of a graph, a
    column of edges by head, query and key.

    Attributes:
        logits: float64, a table or column; -inf where the query may not see the key.
        values: float64, shape (H, K, d), or None.
        keys: float64, shape (H, K, d), or None: the key vectors.
        required, forbidden: bool, a table or column, or None: keys that must, or must not, be kept.
        missing: bool, shape (2, H, K), or None: keys that no query sees and whose value, or key,
            vector was not finite; it is zero here.
        hidden_by_value: how many keys of all rows are hidden by a finite logit, see
            `qubo_attn.frontend.hidden`.
        projection: float64, shape (H, d, model), or None: the output projection of each head.
        carried: float64, shape (H, d + 1), or None: what earlier batches leave to a carried
            background, see `qubo_attn.frontend.background`.
        pattern: the edges of a graph; None where every query and key has an entry.
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
    pattern: Pattern | None = None

    @classmethod
    def check(
        cls,
        scores: Scores,
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
                array is hidden. `qubo_attn.frontend.hidden` says what else is. Or a graph, whose
                edges then have the entries of ``mask``, ``required`` and ``forbidden``.
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
        read = read_scores(scores, heads, mask, required, forbidden).of_queries(
            read_window(queries)
        )
        read.check_required()
        seen = seen_keys(read.logits, read.pattern)
        owner = None if kv_head is None else read_owners(kv_head, len(seen))
        old = {} if earlier is None else {name: earlier.as_given(name) for name in VECTORS}
        of_values, no_value = read_vectors("values", values, old.get("values"), seen, owner)
        of_keys, no_key = read_vectors("keys", keys, old.get("keys"), seen, owner)
        missing = np.stack([no_value, no_key])
        return cls(
            own_array(read.logits),
            of_values,
            of_keys,
            read.required,
            read.forbidden,
            own_array(missing) if missing.any() else None,
            read.by_value,
            read_projection(output_projection, of_values),
            read_carried(carried, of_values),
            read.pattern,
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
        if self.pattern is not None:
            return self.pattern.shape
        h, q, k = self.logits.shape
        return h, q, k

    @cached_property
    def visible(self) -> Bools:
        """Which keys each query sees, a table or column."""
        return own_array(self.logits > -np.inf)

    @cached_property
    def softmax(self) -> Floats:
        """Softmax over the visible keys, a table or column; zero where a key is hidden."""
        return read_only(self.table(self.rows.mass))

    @property
    def sees(self) -> Bools:
        """Which queries see any key, shape (H, Q)."""
        return np.asarray(self.counts > 0)

    @property
    def counts(self) -> Longs:
        """How many keys each query sees, shape (H, Q)."""
        table = np.zeros(self.shape[:2], np.int64)
        table[self.rows.head, self.rows.query] = self.rows.sizes
        return table

    @property
    def seen(self) -> Bools:
        """Which keys any query sees, shape (H, K)."""
        return seen_keys(self.logits, self.pattern)

    def table(self, entries: Array) -> Array:
        """Return one entry per visible key, in the order of `rows`, as a table or column.

        Args:
            entries: numbers or flags, as many as there are visible keys.

        Returns:
            Of the same type; zero where a key is hidden.
        """
        if len(entries) == self.logits.size:
            return entries.reshape(self.logits.shape)
        table = np.zeros(self.logits.shape, entries.dtype)
        table[self.visible] = entries
        return table

    def entries(self, table: Array) -> Array:
        """Return the entries of the visible keys of a table or column, in the order of `rows`."""
        if len(self.rows.key) == self.logits.size:
            return table.reshape(-1)
        return np.asarray(table[self.visible])

    def spread(self, column: Array) -> Array:
        """Return what belongs to rows, shape (H, Q), so that it broadcasts to a table or column."""
        if self.pattern is None:
            return column[..., None]
        return np.repeat(column.ravel(), self.pattern.sizes)

    def sums(self, table: Array) -> Floats:
        """Return the sum over each row of a table or column, shape (H, Q)."""
        if self.pattern is None:
            return np.asarray(table.sum(axis=-1))
        return ragged.sums(self.pattern.ptr, table).reshape(self.shape[:2])

    def scores(self, logits: Floats) -> Scores:
        """Return a table or column of logits as `qubo_attn.compile` takes them."""
        return logits if self.pattern is None else AttentionGraph(self.pattern, logits)

    def outputs(self, weights: Floats) -> Floats:
        """Return the values that a table or column of weights adds up to, shape (H, Q, d)."""
        assert self.values is not None
        if self.pattern is None:
            return np.asarray(weights @ self.values)
        rows, column = self.rows, self.entries(weights)
        some = np.flatnonzero(column)
        ptr = np.searchsorted(some, rows.ptr)
        table = np.zeros((*self.shape[:2], self.values.shape[2]))
        table[rows.head, rows.query] = kernels.row_outputs(
            ptr, column[some], rows.key[some], rows.head, self.values
        )
        return table

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
        _, queries, keys = self.shape
        if self.pattern is None:
            sizes = np.count_nonzero(self.visible, axis=-1).ravel()
            key = np.broadcast_to(np.arange(keys, dtype=np.int32), self.logits.shape)
        else:
            sizes, key = ragged.counts(self.pattern.ptr, self.visible), self.pattern.key
        row = np.flatnonzero(sizes)
        ptr = pointers(sizes[row])
        all_visible = int(ptr[-1]) == self.logits.size

        def entries(array: Array) -> Array:
            # Where every key is visible, no copy is needed.
            return array.reshape(-1) if all_visible else array[self.visible]

        logit = entries(self.logits)
        return Rows(
            ptr=ptr,
            key=entries(key),
            head=(row // max(queries, 1)).astype(np.int32),
            query=(row % max(queries, 1)).astype(np.int32),
            logit=logit,
            mass=ragged.softmax(ptr, logit),
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
