"""Mixtures for a program: how many copies of each clique go into each of a few programmings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Longs
from qubo_attn.embedding.cache import CachedPacking
from qubo_attn.embedding.component import Component
from qubo_attn.embedding.mixing import tiles_for
from qubo_attn.embedding.packing import NO_BOUND
from qubo_attn.embedding.parts import Mixture, parts_of
from qubo_attn.machine.target import Target

# Share of a machine's qubits above which no mixture is tried: the smallest tiles are counted.
_DENSEST = 0.89
# Programmings of which all are mixed, where they are no more.
_MOST_MIXED = 12


class Seats(NamedTuple):
    """Where each component sits.

    Attributes:
        submission: its submission, -1 while it waits.
        kind: which of the packings its submission is filled with.
        chain: the first of its chains in that packing.
    """

    submission: Longs
    kind: Longs
    chain: Longs


def fewest_programmings(sizes: Longs, target: Target, longest_chain: int | None) -> float:
    """Return the qubits of the smallest tiles of cliques, over those of a machine.

    Args:
        sizes: nodes of each clique.
        target: a machine.
        longest_chain: qubits that a chain may have; None for any number.

    Returns:
        A bound on the programmings that they take; infinite where no tile of a size is known.
    """
    bound, total = NO_BOUND if longest_chain is None else longest_chain, 0
    for size, count in zip(*np.unique(sizes, return_counts=True), strict=True):
        tiles = tiles_for(Component(int(size)), target, 0, bound)
        if not tiles:
            return np.inf
        total += int(count) * min(map(len, tiles))
    return total / len(target.qubits)


def ends_mixed(
    sizes: Longs,
    seats: Seats,
    packings: Mapping[int, CachedPacking],
    target: Target,
    longest_chain: int | None,
    packing: Callable[[Mixture], CachedPacking],
) -> tuple[Seats, Mapping[int, CachedPacking]]:
    """Return seats of cliques whose last programmings are mixtures, where these are fewer.

    Of more than twelve programmings, those full of one size stay as they are: a mixture holds no
    more, and is searched for seconds. Nor is one searched that had to hold more than these do.

    Args:
        sizes: nodes of each clique, of more than one size.
        seats: the seat of each clique.
        packings: what programmings are filled with, by kind.
        target, longest_chain, packing: see `mixed`.
    """
    total = int(seats.submission.max()) + 1
    least, most = np.full(total, np.iinfo(np.int64).max), np.zeros(total, np.int64)
    np.minimum.at(least, seats.submission, sizes)
    np.maximum.at(most, seats.submission, sizes)
    places = np.zeros(total, np.int64)
    places[seats.submission] = [len(packings[kind].packing) for kind in seats.kind.tolist()]
    stay = np.flatnonzero((np.bincount(seats.submission) == places) & (least == most))
    if total <= _MOST_MIXED:
        stay = stay[:0]
    loose = ~np.isin(seats.submission, stay)
    if len(stay):
        each = fewest_programmings(sizes[~loose], target, longest_chain) / len(stay)
        fewer = total - len(stay) - 1
        if fewest_programmings(sizes[loose], target, longest_chain) > each * fewer:
            return seats, packings
    found = mixed(sizes[loose], target, longest_chain, total - len(stay), packing)
    if found is None:
        return seats, packings
    submission, kind, chain = (column.copy() for column in seats)
    kinds = max(packings) + 1
    submission = np.searchsorted(stay, submission)
    submission[loose], kind[loose] = found[0].submission + len(stay), found[0].kind + kinds
    chain[loose] = found[0].chain
    own = set(kind.tolist())
    every = {**packings, **{number + kinds: entry for number, entry in found[1].items()}}
    return Seats(submission, kind, chain), {k: entry for k, entry in every.items() if k in own}


def mixed(
    sizes: Longs,
    target: Target,
    longest_chain: int | None,
    fewer_than: int,
    packing: Callable[[Mixture], CachedPacking],
) -> tuple[Seats, dict[int, CachedPacking]] | None:
    """Return seats of cliques in fewer programmings, each a mixture; None where none were found.

    Args:
        sizes: nodes of each clique.
        target: a machine.
        longest_chain: qubits that a chain may have; None for any number.
        fewer_than: programmings that they take anyway.
        packing: returns what of a mixture fits.
    """
    least = fewest_programmings(sizes, target, longest_chain)
    for programmings in range(1, fewer_than):
        if least > _DENSEST * programmings:
            continue
        found = _shared(sizes, target, longest_chain, programmings, packing)
        if found is not None:
            return found
    return None


def _shared(
    sizes: Longs,
    target: Target,
    longest_chain: int | None,
    programmings: int,
    packing: Callable[[Mixture], CachedPacking],
) -> tuple[Seats, dict[int, CachedPacking]] | None:
    """Return seats in some programmings, each with its share of every size."""
    seats = Seats(*(np.full(len(sizes), -1, np.int64) for _ in range(3)))
    packings: dict[int, CachedPacking] = {}
    for number in range(programmings):
        waiting = {
            int(size): np.flatnonzero((sizes == size) & (seats.submission < 0)).tolist()
            for size in np.unique(sizes)[::-1]
        }
        shares = {size: -(-len(who) // (programmings - number)) for size, who in waiting.items()}
        shares = {size: share for size, share in shares.items() if share}
        if not shares:
            break
        mixture = Mixture(tuple(map(Component, shares)), tuple(shares.values()))
        packings[number] = packing(mixture)
        placed = packings[number].packing
        i, j = placed.component.edges
        for component, nodes in parts_of(placed.size, i, j):
            who = waiting[component.size].pop(0)
            seats.submission[who], seats.kind[who] = number, number
            seats.chain[who] = nodes[0]
        here = seats.submission == number
        if here.sum() < sum(shares.values()):
            held = fewest_programmings(sizes[here], target, longest_chain)
            left = fewest_programmings(sizes[seats.submission < 0], target, longest_chain)
            # Each of the others would have to hold more than this one could.
            if left > held * (programmings - number - 1):
                return None
    return None if (seats.submission < 0).any() else (seats, packings)
