"""Search for cliques: as many disjoint copies of one as a working graph holds, or the largest.

On Pegasus and Zephyr, small cliques are packed from shipped tiles (`qubo_attn.embedding.tiling`);
larger ones come from busclique, one copy after another in what is left, and where it finds not even
one from `qubo_attn.embedding.large`. On other graphs minorminer embeds them. Every packing is
checked on the working graph before it leaves.
"""

from __future__ import annotations

from itertools import combinations
from typing import NoReturn

import numpy as np

from qubo_attn.common.arrays import Bools, Longs
from qubo_attn.embedding.component import Component
from qubo_attn.embedding.large import (
    LEAST_BUSCLIQUE,
    clique_that_stays,
    ideal_largest,
    large_clique,
)
from qubo_attn.embedding.minors import couplers_among, embed, embed_clique
from qubo_attn.embedding.packing import NO_BOUND, Packing, within
from qubo_attn.embedding.templates import clique_sizes, clique_tiles, stock_for
from qubo_attn.embedding.tiling import pack_tiles
from qubo_attn.errors import EmbeddingError
from qubo_attn.machine.target import Target

# Search effort: two seconds or so on a full chip, and half a minute.
ROUNDS, THOROUGH = 2000, 30_000


def pack_cliques(
    size: int,
    target: Target,
    *,
    rounds: int = ROUNDS,
    seed: int = 0,
    longest_chain: int | None = None,
) -> Packing:
    """Return disjoint embeddings of the clique of ``size`` nodes on ``target``.

    Args:
        size: nodes of the clique.
        target: a machine with a structure.
        rounds: search effort for tiles, in milliseconds on a full chip or so (a count of placements
            tried, not a time); more is denser. Smaller machines get proportionally fewer.
        seed: seed of all random choices.
        longest_chain: qubits that a chain may have; None for any number.

    Raises:
        EmbeddingError: not even one copy was found; carries ``requested`` and ``fits``, or, where
            chains are too long, ``longest_chain`` and the ``shortest`` that was found.
    """
    bound = NO_BOUND if longest_chain is None else longest_chain
    copies: list[list[Longs]] = []
    if clique_tiles(stock_for(target), size):
        copies = within(pack_tiles(size, target, rounds, seed, bound), bound)
    if not copies:
        copies = _one_by_one(size, target, seed, bound)
    if not copies and longest_chain is not None:
        # Raises the other error where no chains, however long, would do.
        raise_too_long(
            f"a row of {size} keys that all interact",
            longest_chain,
            pack_cliques(size, target, rounds=0, seed=seed),
            target,
        )
    if not copies:
        fits = largest_clique(target, size)
        raise EmbeddingError(
            f"{target.label} is too small for a row of {size} keys that all interact: "
            f"at least {fits} would fit; solve it in blocks (decompose={max(fits, 2)}), give rows "
            "fewer slots, or take a larger target",
            requested=size,
            fits=fits,
        )
    return Packing.ordered(Component(size), copies).checked(target)


def find_clique(size: int, target: Target, *, seed: int = 0) -> list[Longs]:
    """Return the chains of one clique on ``target``, as positions in its qubits, or nothing."""
    if target.topology == "pegasus" and not target.is_ideal and size >= LEAST_BUSCLIQUE:
        # Busclique takes seconds for one size where couplers are dead; this less than half.
        chains = large_clique(size, target, rounds=0, seed=seed)
        if chains:
            return chains
    return free_clique(size, target, np.ones(len(target.qubits), bool), seed)


def largest_clique(target: Target, below: int) -> int:
    """Return the largest clique found on ``target`` within seconds, smaller than ``below``.

    On Pegasus and Zephyr it is what stays of the ideal lattice's largest clique, or a shipped tile,
    where either fits; a longer search may find a larger one.
    """
    if target.is_grid:
        stays = clique_that_stays(target, below)
        room = min(below, len(target.qubits) + 1)
        tiles = (n for n in reversed(clique_sizes(stock_for(target))) if stays < n < room)
        if fits := next((n for n in tiles if pack_tiles(n, target, 0, 0)), stays):
            return fits
    # A chain of l qubits of d neighbours each has at most l (d - 2) + 2 couplers to other chains.
    qubits, degree = len(target.qubits), int(np.diff(target.adjacency.first).max(initial=0))
    most = 3 + int(np.sqrt(qubits * max(degree - 2, 0)))
    low, high = 0, min(below, most + 1, qubits + 1)
    while high - low > 1:
        middle = (low + high) // 2
        if find_clique(middle, target):
            low = middle
        else:
            high = middle
    return low


def raise_too_long(what: str, longest_chain: int, packing: Packing, target: Target) -> NoReturn:
    """Raise the error for chains that are all too long.

    Raises:
        EmbeddingError: names the shortest that a packing found without a bound has.
    """
    shortest = packing.shortest_possible
    raise EmbeddingError(
        f"no embedding of {what} on {target.label} has chains of at most {longest_chain} qubits; "
        f"chains of {shortest} were found: allow longest_chain={shortest}, or give rows fewer "
        "slots",
        longest_chain=longest_chain,
        shortest=shortest,
    )


def _one_by_one(size: int, target: Target, seed: int, bound: int) -> list[list[Longs]]:
    """Return one copy after another, each in what the others leave free."""
    free = np.ones(len(target.qubits), bool)
    copies: list[list[Longs]] = []
    while free.sum() >= size and (copy := free_clique(size, target, free, seed)):
        if max(map(len, copy)) > bound:
            # What busclique finds next, in what is left, has no shorter chains.
            if target.is_grid and size >= LEAST_BUSCLIQUE and not copies:
                copies = [chains] if (chains := large_clique(size, target, longest=bound)) else []
            break
        copies.append(copy)
        free[np.concatenate(copy)] = False
    return copies


def free_clique(size: int, target: Target, free: Bools, seed: int) -> list[Longs]:
    """Return the chains of one clique on the free qubits of a machine, or nothing."""
    if size == 1:
        return [np.flatnonzero(free)[:1]]
    part = couplers_among(free, target)
    if not len(part):
        return []
    if target.is_grid and size >= LEAST_BUSCLIQUE:
        if size > ideal_largest(target.topology, target.shape):
            return []
        chains = embed_clique(size, target, part, seed)
        # A copy beside others is not worth the longer search.
        return chains if chains or not free.all() else large_clique(size, target, seed=seed)
    return embed(size, combinations(range(size), 2), part, seed)
