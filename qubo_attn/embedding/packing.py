"""As many disjoint copies of one clique, or of one sparse shape, as a working graph holds.

On Pegasus and Zephyr, small cliques are packed from shipped tiles (`qubo_attn.embedding.tiling`);
larger ones come from busclique, one copy after another in what is left, and where it finds not even
one from `qubo_attn.embedding.large`. On other graphs minorminer embeds them. Every packing is
checked on the working graph before anybody sees it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import NoReturn

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Array, Bools, Longs, frozen_array, pointers
from qubo_attn.embedding.large import (
    LEAST_BUSCLIQUE,
    clique_that_stays,
    is_beyond_ideal,
    large_clique,
)
from qubo_attn.embedding.shapes import Shape, embed_copies
from qubo_attn.embedding.templates import clique_sizes, clique_tiles, round_up
from qubo_attn.embedding.tiling import pack_tiles
from qubo_attn.errors import EmbeddingError
from qubo_attn.machine.target import Target

# Search effort: two seconds or so on a full chip, and half a minute.
ROUNDS, THOROUGH = 2000, 30_000
NO_BOUND = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class Packing:
    """Disjoint embeddings of one clique or shape, those with the shortest chains first.

    Attributes:
        size: chains of each copy.
        ptr: int64; chain c of copy r is ``qubit[ptr[r * size + c]:ptr[r * size + c + 1]]``.
        qubit: int64, positions in the target's ``qubits``; within a copy of a clique short chains
            come first.
        shape: what is embedded, chain by node; None for cliques.
    """

    size: int
    ptr: Longs
    qubit: Longs
    shape: Shape | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "ptr", frozen_array(self.ptr, np.int64))
        object.__setattr__(self, "qubit", frozen_array(self.qubit, np.int64))

    @classmethod
    def of(cls, copies: list[list[Longs]], shape: Shape | None = None) -> Packing:
        """Return copies given as chains: short chains first in a clique, compact copies first."""
        ordered = [[np.sort(chain) for chain in copy] for copy in copies]
        if shape is None:
            ordered = [sorted(copy, key=_chain_order) for copy in ordered]
        ordered.sort(key=lambda copy: (max(map(len, copy)), sum(map(len, copy)), copy[0][0]))
        chains = [chain for copy in ordered for chain in copy]
        ptr = pointers([len(chain) for chain in chains])
        return cls(len(copies[0]), ptr, np.concatenate(chains), shape)

    def __len__(self) -> int:
        return (len(self.ptr) - 1) // self.size

    @property
    def longest_chain(self) -> int:
        """Qubits of the longest chain."""
        return int(np.diff(self.ptr).max(initial=0))

    @property
    def is_well_formed(self) -> bool:
        """Whether pointers and qubits describe whole copies of non-empty chains."""
        ptr = self.ptr
        return bool(
            self.size >= 1
            and len(ptr)
            and (len(ptr) - 1) % self.size == 0
            and ptr[0] == 0
            and ptr[-1] == len(self.qubit)
            and (np.diff(ptr) >= 1).all()
        )

    def fits(self, target: Target) -> bool:
        """Return whether every copy is a disjoint, connected embedding with all its couplers."""
        if not self.is_well_formed:
            return False
        if self.shape is None:
            return bool(self.whole(target).all())
        first, neighbour, _ = target.adjacency
        i, j, qubits = self.shape.i, self.shape.j, len(target.qubits)
        bad = kernels.first_bad_copy(
            self.ptr, self.qubit, self.size, i, j, first, neighbour, qubits
        )
        return bad < 0

    def whole(self, target: Target) -> Bools:
        """Return for each copy of a clique whether it is one on ``target``; -1 is no qubit."""
        first, neighbour, _ = target.adjacency
        return kernels.whole_cliques(
            self.ptr, self.qubit, self.size, first, neighbour, len(target.qubits)
        )

    def copies(self) -> list[list[Longs]]:
        """Return the chains of each copy."""
        chains = np.split(self.qubit, self.ptr[1:-1])
        return [chains[at : at + self.size] for at in range(0, len(chains), self.size)]


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
        seed: of all random choices.
        longest_chain: qubits that a chain may have; None for any number.

    Raises:
        EmbeddingError: not even one copy was found; carries ``requested`` and ``fits``, or, where
            chains are too long, ``longest_chain`` and the ``shortest`` that was found.
    """
    bound = NO_BOUND if longest_chain is None else longest_chain
    copies: list[list[Longs]] = []
    if target.is_grid and clique_tiles(target.topology, size):
        copies = _within(pack_tiles(size, target, rounds, seed, bound), bound)
    if not copies:
        copies = _repeat(size, target, seed, bound)
    if not copies and longest_chain is not None:
        # Raises the other error where no chains, however long, would do.
        _raise_too_long(
            f"a row of {size} keys that all interact",
            longest_chain,
            pack_cliques(size, target, rounds=0, seed=seed),
            target,
        )
    if not copies:
        fits = largest_clique(target, size)
        raise EmbeddingError(
            f"{target.label} is too small for a row of {size} keys that all interact: "
            f"at least {fits} would fit; give rows fewer slots or take a larger target",
            requested=size,
            fits=fits,
        )
    packing = Packing.of(copies)
    if not packing.fits(target):  # never seen; a wrong embedding must not leave this function
        raise EmbeddingError(f"packing of {size}-cliques does not verify on {target.label}")
    return packing


def pack_shape(
    shape: Shape, target: Target, *, seed: int = 0, longest_chain: int | None = None
) -> Packing:
    """Return disjoint embeddings of a sparse shape on ``target``.

    Args:
        shape: a connected graph.
        target: a machine with a working graph.
        seed: of all choices.
        longest_chain: qubits that a chain may have; None for any number.

    Raises:
        EmbeddingError: not one copy was found, and none of the clique of its size either.
    """
    found = embed_copies(shape, target, seed)
    bound = NO_BOUND if longest_chain is None else longest_chain
    copies = _within(found, bound) or _as_clique(shape, target, seed, longest_chain)
    if not copies and found and longest_chain is not None:
        what = f"a component of {shape.size} variables and {len(shape.i)} couplers"
        _raise_too_long(what, longest_chain, Packing.of(found, shape), target)
    if not copies:
        raise EmbeddingError(
            f"a component of {shape.size} variables and {len(shape.i)} couplers does not fit "
            f"{target.label}; give rows fewer slots, or price them with cardinality='dense'",
            requested=shape.size,
        )
    packing = Packing.of(copies, shape)
    if not packing.fits(target):
        raise EmbeddingError(f"packing of {shape.name} does not verify on {target.label}")
    return packing


def _within(copies: list[list[Longs]], bound: int) -> list[list[Longs]]:
    """Return the copies without a chain longer than ``bound``."""
    return [copy for copy in copies if max(map(len, copy)) <= bound]


def _raise_too_long(what: str, longest_chain: int, found: Packing, target: Target) -> NoReturn:
    """Raise the error for chains that are all too long."""
    lengths = np.diff(found.ptr).reshape(-1, found.size)
    shortest = int(lengths.max(axis=1).min())
    raise EmbeddingError(
        f"no embedding of {what} on {target.label} has chains of at most {longest_chain} qubits; "
        f"chains of {shortest} were found: allow longest_chain={shortest}, or give rows fewer "
        "slots",
        longest_chain=longest_chain,
        shortest=shortest,
    )


def _as_clique(
    shape: Shape, target: Target, seed: int, longest_chain: int | None
) -> list[list[Longs]]:
    """Return embeddings of the clique that holds a shape, or nothing."""
    size = round_up(target.topology, shape.size) if target.is_grid else shape.size
    try:
        packing = pack_cliques(size, target, seed=seed, longest_chain=longest_chain)
        return [copy[: shape.size] for copy in packing.copies()]
    except EmbeddingError:
        return []


def find_clique(size: int, target: Target, *, seed: int = 0) -> list[Longs]:
    """Return the chains of one clique on ``target``, as positions in its qubits, or nothing."""
    if target.topology == "pegasus" and not target.is_ideal and size >= LEAST_BUSCLIQUE:
        # Busclique takes seconds for one size where couplers are dead; this less than half.
        found = large_clique(size, target, rounds=0, seed=seed)
        if found:
            return found
    return _find_clique(size, target, np.ones(len(target.qubits), bool), seed)


def largest_clique(target: Target, below: int) -> int:
    """Return the largest clique found on ``target`` within seconds, smaller than ``below``.

    On Pegasus and Zephyr it is what stays of the ideal lattice's largest clique, or a shipped tile;
    a longer search may find a larger one.
    """
    if target.is_grid:
        stays = clique_that_stays(target, below)
        room = min(below, len(target.qubits) + 1)
        tiles = (n for n in reversed(clique_sizes(target.topology)) if stays < n < room)
        return next((n for n in tiles if pack_tiles(n, target, 0, 0)), stays)
    # A chain of l qubits of d neighbours each has at most l (d - 2) + 2 couplers to other chains.
    qubits, degree = len(target.qubits), int(np.diff(target.adjacency[0]).max(initial=0))
    most = 3 + int(np.sqrt(qubits * max(degree - 2, 0)))
    low, high = 0, min(below, most + 1, qubits + 1)
    while high - low > 1:
        middle = (low + high) // 2
        if find_clique(middle, target):
            low = middle
        else:
            high = middle
    return low


# -- one copy after another ---------------------------------------------------------------------


def _repeat(size: int, target: Target, seed: int, bound: int) -> list[list[Longs]]:
    free = np.ones(len(target.qubits), bool)
    copies: list[list[Longs]] = []
    while free.sum() >= size and (copy := _find_clique(size, target, free, seed)):
        if max(map(len, copy)) > bound:
            # What busclique finds next, in what is left, has no shorter chains.
            if target.is_grid and size >= LEAST_BUSCLIQUE and not copies:
                copies = [chains] if (chains := large_clique(size, target, longest=bound)) else []
            break
        copies.append(copy)
        free[np.concatenate(copy)] = False
    return copies


def _find_clique(size: int, target: Target, free: Array, seed: int) -> list[Longs]:
    """Return the chains of one clique on the free qubits, or nothing."""
    if size == 1:
        return [np.flatnonzero(free)[:1]]
    part = target.couplers[free[target.couplers].all(axis=1)]
    if not len(part):
        return []
    if target.is_grid and size >= LEAST_BUSCLIQUE:
        if is_beyond_ideal(size, target):
            return []
        chains = _busclique(size, target, part, seed)
        # A copy beside others is not worth the longer search.
        return chains if chains or not free.all() else large_clique(size, target, seed=seed)
    import minorminer

    # The result depends on the order of edges: both lists are sorted.
    found = minorminer.find_embedding(
        list(combinations(range(size), 2)), part.tolist(), random_seed=seed
    )
    return [np.sort(np.array(found[v], np.int64)) for v in range(size)] if found else []


def _busclique(size: int, target: Target, part: Array, seed: int) -> list[Longs]:
    from minorminer import busclique

    try:
        found = busclique.find_clique_embedding(
            size, target.lattice_graph(part), use_cache=False, seed=seed
        )
    except ValueError:
        return []
    chains = (np.array(sorted(found[v]), np.int64) for v in range(size)) if found else ()
    return [np.searchsorted(target.qubits, chain) for chain in chains]


def _chain_order(chain: Longs) -> tuple[int, int]:
    return len(chain), int(chain[0])
