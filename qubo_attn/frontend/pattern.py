"""Patterns: which keys the queries of a graph may see, as rows of edges.

An edge leads from a key to a query. Edges stand by head, query and key; numbers, flags and weights
of edges are columns in that order. An `Attention` without a pattern has an edge for each query and
key, and its columns are tables of shape (H, Q, K).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qubo_attn.common.arrays import (
    Array,
    Ints,
    Longs,
    csr_rows,
    own_array,
    pointers,
    segment_ids,
)
from qubo_attn.common.frozen import Portable
from qubo_attn.errors import InputError
from qubo_attn.frontend.window import window_of

# Cells of a picture, all heads together.
_MOST_CELLS = 1 << 24


@dataclass(frozen=True, eq=False)
class Pattern(Portable):
    """Edges in rows, one row for each head and query.

    Attributes:
        heads, queries, keys: how many there are.
        ptr: int64, edges of row ``head * queries + query`` are ``ptr[row]:ptr[row + 1]``.
        key: int32, the key of each edge, ascending within a row.
        order: int64, shape (edges of a head,) where all heads have the same edges, (edges,) where
            not: place of each edge among those that were given; None where they were given in this
            order.
        given: how many edges were given: of a head where all heads have the same, else of all.
        shared: whether all heads have the same edges.
    """

    heads: int
    queries: int
    keys: int
    ptr: Longs
    key: Ints
    order: Longs | None
    given: int
    shared: bool

    def __post_init__(self) -> None:
        for array in (self.ptr, self.key):
            own_array(array)

    def __len__(self) -> int:
        return len(self.key)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Heads, queries, keys."""
        return self.heads, self.queries, self.keys

    @property
    def sizes(self) -> Longs:
        """Number of edges of each row."""
        return np.diff(self.ptr)

    def place(self, edge: int) -> tuple[int, int, int]:
        """Return head, query and key of an edge."""
        row = int(np.searchsorted(self.ptr, edge, side="right")) - 1
        return row // self.queries, row % self.queries, int(self.key[edge])

    def in_rows(self, name: str, column: Array) -> Array:
        """Return one entry per edge, in the order of the rows.

        Args:
            name: of the argument, for the message.
            column: one entry per edge in the order in which edges were given: shape (E,) or
                (heads, E) where all heads have the same edges.

        Raises:
            InputError: it has another shape.
        """
        wanted = [(self.given,)] + [(self.heads, self.given)] * self.shared
        if column.shape not in wanted:
            shapes = " or ".join(map(str, wanted))
            raise InputError(
                f"{name} has shape {column.shape}; expected {shapes}, one entry for each edge of "
                "the graph",
                argument=name,
                shape=column.shape,
            )
        if not self.shared:
            return column if self.order is None else column[self.order]
        table = np.broadcast_to(column, (self.heads, self.given))
        return (table if self.order is None else table[:, self.order]).reshape(-1)

    def as_given(self, column: Array) -> Array:
        """Return one entry per edge in the order in which edges were given.

        Args:
            column: in the order of the rows.

        Returns:
            Shape (heads, E) where all heads have the same edges, else (E,); zero at edges that were
            given and are not here, as those of other queries.
        """
        table = column.reshape(self.heads if self.shared else 1, -1)
        if self.order is not None:
            back = np.zeros((len(table), self.given), column.dtype)
            back[:, self.order] = table
            table = back
        return table if self.shared else table[0]

    def of_queries(self, window: Longs | None) -> tuple[Pattern, Longs]:
        """Return the pattern of some queries alone, and its edges by their numbers here.

        Args:
            window: of `qubo_attn.frontend.window.read_window`.
        """
        queries = window_of(window, np.arange(self.queries)[None])[0]
        rows = (np.arange(self.heads)[:, None] * self.queries + queries).ravel()
        ptr, edges = csr_rows(self.ptr, rows)
        order = edges if self.order is None else None
        if self.shared:
            own = edges[: len(edges) // max(self.heads, 1)]
            order = own if self.order is None else self.order[own]
        elif self.order is not None:
            order = self.order[edges]
        sizes = self.heads, len(queries), self.keys
        return Pattern(*sizes, ptr, self.key[edges], order, self.given, self.shared), edges


def sorted_pattern(shape: tuple[int, int, int], row: Longs, key: Longs, *, shared: bool) -> Pattern:
    """Return the pattern of edges in any order.

    Args:
        shape: heads, queries, keys.
        row: row of each edge, ``head * queries + query``; ``query`` alone where shared.
        key: key of each edge.
        shared: whether the edges are those of one head, and of every other one too.

    Raises:
        InputError: an edge stands twice; names both places.
    """
    heads, queries, keys = shape
    code = row * max(keys, 1) + key
    order: Longs | None = None
    if (np.diff(code) <= 0).any():
        order = np.argsort(code, kind="stable")
        code, key = code[order], key[order]
    twice = np.flatnonzero(np.diff(code) == 0)
    if len(twice):
        at = int(twice[0])
        first, second = (at, at + 1) if order is None else (int(order[at]), int(order[at + 1]))
        head, query = divmod(int(row[first]), max(queries, 1))
        raise InputError(
            f"edges {first} and {second} both lead from key {key[at]} to query {query}"
            f"{'' if shared else f' of head {head}'} ({len(twice)} edges stand more than once): "
            "keep one of each, or add their scores up",
            argument="edge_index",
            edges=(first, second),
            query=query,
            key=int(key[at]),
        )
    rows = queries if shared else heads * queries
    sizes = np.bincount(row, minlength=rows)
    column = key.astype(np.int32)
    if shared:
        sizes, column = np.tile(sizes, heads), np.tile(column, heads)
    return Pattern(*shape, pointers(sizes), column, order, len(code), shared)


def dense(pattern: Pattern | None, column: Array) -> Array:
    """Return a column of edges as a table, shape (H, Q, K); a table as it is.

    Args:
        pattern: the edges; None for a table.
        column: one entry per edge, by head, query and key.

    Returns:
        Zero, or false, where there is no edge.
    """
    if pattern is None:
        return column
    table = np.zeros((pattern.heads * pattern.queries, pattern.keys), column.dtype)
    table[segment_ids(pattern.ptr), pattern.key] = column
    return table.reshape(pattern.shape)


def drawn(pattern: Pattern | None, column: Array) -> Array:
    """Return what `dense` does, for a picture.

    Raises:
        InputError: it would have more than 2^24 cells.
    """
    if pattern is not None and not is_drawn(pattern):
        raise InputError(
            f"a picture of {pattern.heads} heads, {pattern.queries} queries and {pattern.keys} "
            "keys is too large for a graph: compile some of its queries",
            argument="scores",
        )
    return dense(pattern, column)


def is_drawn(pattern: Pattern | None) -> bool:
    """Return whether tables are small enough to be drawn."""
    return pattern is None or pattern.heads * pattern.queries * pattern.keys <= _MOST_CELLS
