"""Scores of a call, and flags beside them: read, and hidden keys made -inf.

They are columns of edges where the scores are a graph's, and tables of shape (H, Q, K) else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qubo_attn.common.arrays import Bools, Floats, Longs, first_place, own_array, split_masked
from qubo_attn.common.checks import numbers
from qubo_attn.errors import InputError
from qubo_attn.frontend.graph import AttentionGraph
from qubo_attn.frontend.hidden import (
    apply_mask,
    fitted,
    floor_of,
    hidden_edges,
    hidden_keys,
    read_array,
    read_flags,
    read_mask,
)
from qubo_attn.frontend.pattern import Pattern
from qubo_attn.frontend.probabilities import refuse_edge_probabilities, refuse_probabilities
from qubo_attn.frontend.window import window_of

Scores = ArrayLike | AttentionGraph


@dataclass(frozen=True, eq=False)
class Read:
    """Scores and flags, read.

    Attributes:
        logits: float64, shape (H, Q, K), or (edges,) of a graph; -inf where a key is hidden.
        pattern: of a graph; None without.
        required, forbidden: bool, of that shape, or None.
        by_value: how many keys are hidden by a finite logit.
    """

    logits: Floats
    pattern: Pattern | None
    required: Bools | None
    forbidden: Bools | None
    by_value: int

    def of_queries(self, window: Longs | None) -> Read:
        """Return the scores of some queries alone; see `qubo_attn.frontend.window`."""
        if window is None:
            return self
        pattern, columns = None, (self.logits, self.required, self.forbidden)
        if self.pattern is None:
            taken = [None if c is None else window_of(window, c) for c in columns]
        else:
            pattern, edges = self.pattern.of_queries(window)
            taken = [None if c is None else c[edges] for c in columns]
        logits, required, forbidden = taken
        assert logits is not None
        return Read(logits, pattern, required, forbidden, self.by_value)

    def check_required(self) -> None:
        """Reject a key that is required and not seen, or required and forbidden at once."""
        if self.required is None:
            return
        both = self.required & (False if self.forbidden is None else self.forbidden)
        for bad, reason in (
            (self.required & (self.logits == -np.inf), "required, but the query does not see it"),
            (both, "both required and forbidden"),
        ):
            if bad.any():
                head, query, key = place_of(self.pattern, bad)
                raise InputError(
                    f"key {key} of head {head}, query {query} is {reason}",
                    head=head,
                    query=query,
                    key=key,
                )


def seen_keys(logits: Floats, pattern: Pattern | None) -> Bools:
    """Return which keys any query sees, shape (H, K)."""
    if pattern is None:
        return np.asarray((logits > -np.inf).any(axis=1))
    seen = np.zeros((pattern.heads, pattern.keys), bool)
    for head, row in enumerate(seen):
        ends = pattern.ptr[[head * pattern.queries, (head + 1) * pattern.queries]]
        own = slice(*ends.tolist())
        row[pattern.key[own][logits[own] > -np.inf]] = True
    return seen


def place_of(pattern: Pattern | None, where: Bools) -> tuple[int, ...]:
    """Return head, query and key of the first true entry of a table or a column of edges."""
    return first_place(where) if pattern is None else pattern.place(int(where.argmax()))


def read_scores(
    scores: Scores,
    heads: int | None,
    mask: ArrayLike | None,
    required: ArrayLike | None,
    forbidden: ArrayLike | None,
) -> Read:
    """Return what was given of queries and keys; see `Attention.check`.

    Raises:
        InputError: names the argument and the head, query and key where it fails.
    """
    if isinstance(scores, AttentionGraph):
        return _of_graph(scores, heads, mask, required, forbidden)
    logits, by_value = _of_array(scores, heads, mask)
    must = read_flags("required", required, logits.shape)
    must_not = read_flags("forbidden", forbidden, logits.shape)
    return Read(logits, None, must, must_not, by_value)


def _of_graph(
    graph: AttentionGraph,
    heads: int | None,
    mask: ArrayLike | None,
    required: ArrayLike | None,
    forbidden: ArrayLike | None,
) -> Read:
    pattern, logits = graph.pattern, graph.scores
    _check_heads(pattern.heads, heads)
    refuse_edge_probabilities(pattern.ptr, logits)
    if mask is not None:
        column = pattern.in_rows("mask", read_mask(mask))
        logits = apply_mask(logits, column)
    _check_numbers(logits, pattern)
    hidden = hidden_edges(pattern.ptr, logits, graph.floor)
    by_value = int(np.count_nonzero(hidden) - np.count_nonzero(logits == -np.inf))
    if by_value:
        logits = np.where(hidden, -np.inf, logits)
    must = _edge_flags(pattern, "required", required)
    must_not = _edge_flags(pattern, "forbidden", forbidden)
    return Read(logits, pattern, must, must_not, by_value)


def _edge_flags(pattern: Pattern, name: str, flags: ArrayLike | None) -> Bools | None:
    """Return one flag per edge, in the order of the rows."""
    if flags is None:
        return None
    column = pattern.in_rows(name, read_array(name, flags))
    table = read_flags(name, column, (1, 1, len(column)))
    assert table is not None
    return own_array(table.reshape(-1))


def _of_array(scores: ArrayLike, heads: int | None, mask: ArrayLike | None) -> tuple[Floats, int]:
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
    _check_heads(logits.shape[0], heads)
    refuse_probabilities(logits)
    if mask is not None:
        logits = apply_mask(logits, fitted("mask", read_mask(mask), logits.shape))
    _check_numbers(logits, None)
    hidden = hidden_keys(logits, floor)
    by_value = int(np.count_nonzero(hidden) - np.count_nonzero(logits == -np.inf))
    if by_value:
        logits[hidden] = -np.inf
    return logits, by_value


def _check_heads(there: int, heads: int | None) -> None:
    if heads is not None and there != heads:
        raise InputError(f"scores hold {there} heads, but heads says {heads}", heads=heads)


def _check_numbers(logits: Floats, pattern: Pattern | None) -> None:
    """Reject what is no logit."""
    bad = np.isnan(logits) | (logits == np.inf)
    if bad.any():
        head, query, key = place_of(pattern, bad)
        raise InputError(
            f"scores[{head},{query},{key}] is {logits.flat[bad.argmax()]} (head {head}, query "
            f"{query}, key {key}; {int(bad.sum())} such entries): mask keys with -inf or mask=",
            head=head,
            query=query,
            key=key,
        )
