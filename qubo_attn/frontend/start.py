"""Starts: the selection whose error is to be bettered, and what is left over of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Bools, Floats, Longs
from qubo_attn.frontend.attention import Attention, Rows
from qubo_attn.frontend.objectives import Objective, Renormalised
from qubo_attn.frontend.select import Budget, Select
from qubo_attn.ir.heads import top_k
from qubo_attn.ir.ties import Ties


def needs_start(objectives: Sequence[Objective]) -> bool:
    """Return whether any objective starts from a selection."""
    return any(getattr(objective, "starts", False) for objective in objectives)


def with_start(
    attention: Attention,
    objectives: Sequence[Objective],
    selects: Sequence[Select],
    ties: Ties,
) -> Rows:
    """Return the rows with the selection that each starts from.

    That is the keys of largest mass, of tied rows together; required keys first, forbidden ones
    last. Heads whose objective names a start have that one.

    Args:
        attention: checked input.
        objectives, selects: one per head.
        ties: of heads and queries.
    """
    rows = attention.rows
    start = heaviest_entries(attention, selects, ties)
    for objective in dict.fromkeys(objectives):
        given = objective.selection(attention) if isinstance(objective, Renormalised) else None
        if given is not None:
            heads = np.array([other == objective for other in objectives])
            inside = np.repeat(heads[rows.head], rows.sizes)
            start = np.where(inside, given[attention.visible], start)
    return dataclasses.replace(rows, start=start)


def heaviest_entries(
    attention: Attention, selects: Sequence[Select], ties: Ties, scores: Floats | None = None
) -> Bools:
    """Return which visible keys each row keeps by scores: those of the largest, as many as it may.

    Tied rows, and rows that share a budget, keep the keys of the largest sums.

    Args:
        attention: checked input; required keys go first, forbidden ones last.
        selects: one per head.
        ties: of heads and queries.
        scores: of every key, at least 0, shape (H, Q, K); the softmax mass when None.

    Returns:
        bool, one entry per visible key of ``attention.rows``.
    """
    rows, counts = attention.rows, np.empty(len(attention.rows), np.int64)
    for head, select in enumerate(selects):
        own = rows.head == head
        counts[own] = select.counts(rows.sizes[own])
    if ties.merge or any(isinstance(select, Budget) for select in selects):
        table = attention.table(rows.mass) if scores is None else scores
        return np.asarray(_tied(attention, selects, ties, counts, table)[attention.visible])
    entries = rows.mass if scores is None else scores[attention.visible]
    return kernels.heaviest(rows.ptr, _order(attention, rows), entries, counts)


def _order(attention: Attention, rows: Rows) -> np.ndarray:
    """Return 1 for required keys, -1 for forbidden ones, 0 for others, one entry per key seen."""
    order = np.zeros(len(rows.key), np.int8)
    for flags, value in ((attention.required, 1), (attention.forbidden, -1)):
        if flags is not None:
            order[flags[attention.visible]] = value
    return order


def _tied(
    attention: Attention, selects: Sequence[Select], ties: Ties, counts: Longs, scores: Floats
) -> Bools:
    """Return the keys of largest summed mass of each tied group or budget, shape (H, Q, K)."""
    heads, queries, _ = attention.shape
    lead, visible, rows = ties.leading_heads(heads), attention.visible, attention.rows
    of_row = np.zeros((heads, queries), np.int64)
    of_row[rows.head, rows.query] = counts
    leaders = np.unique(lead).tolist()
    mass = np.stack([_summed(attention, scores, lead == head, ties.queries) for head in leaders])
    seen: Bools = np.stack([visible[lead == head].any(axis=0) for head in leaders])
    if ties.queries:
        seen = np.asarray(seen.any(axis=1, keepdims=True))
    table = np.zeros(attention.shape, bool)
    asked = [selects[head] for head in leaders]
    parts: list[tuple[list[int], int]] = []
    for select in dict.fromkeys(selects):
        own = [n for n, other in enumerate(asked) if other == select]
        if isinstance(select, Budget):
            groups = [own] if select.over == "all" else [[n] for n in own]
            parts += [(group, select.k) for group in groups if group]
            continue
        for n in own:
            count = of_row[lead == leaders[n]].max(axis=0)
            count = count.max(initial=0, keepdims=True) if ties.queries else count
            kept = top_k(mass[n : n + 1], seen[n : n + 1], count[None])[0]
            table[lead == leaders[n]] = kept & visible[lead == leaders[n]]
    for group, k in parts:
        flat = mass[group].reshape(1, 1, -1), seen[group].reshape(1, 1, -1)
        kept = top_k(*flat, np.full((1, 1), k)).reshape(mass[group].shape)
        for n, own_keys in zip(group, kept, strict=True):
            table[lead == leaders[n]] = own_keys & visible[lead == leaders[n]]
    return table


def _summed(attention: Attention, scores: Floats, members: Bools, queries: bool) -> Floats:
    """Return the score of each key in tied heads, and queries; required first, forbidden last."""

    def merged(table: np.ndarray) -> Floats:
        one = table[members].sum(axis=0, dtype=np.float64)
        return np.asarray(one.sum(axis=0, keepdims=True) if queries else one)

    mass = merged(scores)
    # Between the two, whatever the scores are.
    mass = mass / max(float(mass.max(initial=0.0)), 1e-300)
    if attention.forbidden is not None:
        mass = np.where(merged(attention.forbidden) > 0, 1e-12 * mass, mass)
    if attention.required is not None:
        mass = np.where(merged(attention.required) > 0, 1e6 + mass, mass)
    return mass
