"""Starts: the selection whose error is to be bettered, and what is left over of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Array, Bools, Floats, Longs
from qubo_attn.frontend.attention import Attention, Rows
from qubo_attn.frontend.objectives import Objective, Renormalised
from qubo_attn.frontend.select import Budget, Select
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
        given = objective.entries(attention) if isinstance(objective, Renormalised) else None
        if given is not None:
            heads = np.array([other == objective for other in objectives])
            inside = np.repeat(heads[rows.head], rows.sizes)
            start = np.where(inside, given, start)
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
        scores: of every visible key, at least 0, in the order of ``attention.rows``; the softmax
            mass when None.

    Returns:
        bool, one entry per visible key of ``attention.rows``.
    """
    rows, counts = attention.rows, np.empty(len(attention.rows), np.int64)
    for head, select in enumerate(selects):
        own = rows.head == head
        counts[own] = select.counts(rows.sizes[own])
    entries = rows.mass if scores is None else scores
    if ties.merge or any(isinstance(select, Budget) for select in selects):
        return _tied(attention, selects, ties, counts, entries)
    return kernels.heaviest(rows.ptr, _order(attention, rows), entries, counts)


def _order(attention: Attention, rows: Rows) -> np.ndarray:
    """Return 1 for required keys, -1 for forbidden ones, 0 for others, one entry per key seen."""
    order = np.zeros(len(rows.key), np.int8)
    for flags, value in ((attention.required, 1), (attention.forbidden, -1)):
        if flags is not None:
            order[attention.entries(flags)] = value
    return order


def _tied(
    attention: Attention, selects: Sequence[Select], ties: Ties, counts: Longs, scores: Floats
) -> Bools:
    """Return the keys of largest summed score of each tied group or budget.

    Rows that are merged are one row, with an entry for each key that any of them sees; it keeps as
    many keys as the most that one of them does. Rows that share a budget are one, too.
    """
    rows, (heads, queries, keys) = attention.rows, attention.shape
    lead, width = ties.leading_heads(heads), 1 if ties.queries else queries
    # A number for each merged row, and one for each of its keys.
    owner: Longs = lead[rows.head] * width
    if not ties.queries:
        owner = owner + rows.query
    code, place = _numbered(np.repeat(owner * keys, rows.sizes) + rows.key, heads * width * keys)
    merged = code // max(keys, 1)
    head = merged // max(width, 1)
    mass = _sums(attention, scores, place, head)
    # A number for each row that chooses: a merged one, or all those of a budget.
    sharer, most = merged.copy(), np.zeros(heads * width + heads, np.int64)
    np.maximum.at(most, owner, counts)
    for budget in dict.fromkeys(select for select in selects if isinstance(select, Budget)):
        members = [h for h in np.unique(lead).tolist() if selects[h] == budget]
        for group in [members] if budget.over == "all" else [[h] for h in members]:
            number = heads * width + group[0]
            sharer[np.isin(head, group)], most[number] = number, budget.k
    order = np.lexsort((-mass, sharer))
    first = np.flatnonzero(np.diff(sharer[order], prepend=-1))
    rank = np.arange(len(order)) - np.repeat(first, np.diff(first, append=len(order)))
    kept = np.zeros(len(code), bool)
    kept[order] = rank < most[sharer[order]]
    return np.asarray(kept[place])


def _numbered(codes: Longs, room: int) -> tuple[Longs, Longs]:
    """Return the different codes, ascending, and the place of each of ``codes`` among them.

    Args:
        codes: from 0 to ``room``, which is left out.
        room: how many codes there could be.
    """
    if room > 2 * len(codes):
        different, place = np.unique(codes, return_inverse=True)
        return different, place
    there = np.zeros(room, bool)
    there[codes] = True
    return np.flatnonzero(there), (np.cumsum(there) - 1)[codes]


def _sums(attention: Attention, scores: Floats, place: Longs, head: Longs) -> Floats:
    """Return the score of each key of merged rows; required first, forbidden last.

    Args:
        attention: checked input.
        scores: of every visible key.
        place: of each visible key among those of merged rows.
        head: first head of each of these.
    """

    def merged(entries: Array) -> Floats:
        return np.asarray(np.bincount(place, entries, len(head)), np.float64)

    mass = merged(scores)
    # Between the two, whatever the scores are.
    largest = np.full(attention.shape[0], 1e-300)
    np.maximum.at(largest, head, mass)
    mass = mass / largest[head]
    if attention.forbidden is not None:
        mass = np.where(merged(attention.entries(attention.forbidden)) > 0, 1e-12 * mass, mass)
    if attention.required is not None:
        mass = np.where(merged(attention.entries(attention.required)) > 0, 1e6 + mass, mass)
    return np.asarray(mass)
