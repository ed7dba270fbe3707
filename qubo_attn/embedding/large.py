"""Large cliques on working graphs, where missing qubits halve what busclique reaches.

The chains of an ideal clique are laid over the machine in each of its mirror images; the chains
that defects hurt most are dropped until the wanted number is left, and the others grow through the
qubits that became free until all meet (`qubo_attn.kernels.mend_clique`). What still lacks couplers
is improved by taking single chains out and growing them anew elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from qubo_attn import kernels
from qubo_attn.arrays import Array, Longs
from qubo_attn.embedding.lattice import Lattice
from qubo_attn.target import Target

LONGEST = 20
REGROWN = 400
# Sizes of the ideal cliques that are laid over the machine, as multiples of the wanted size.
_STARTS = (1.0, 1.1, 1.25, 1.5)
# Places where a chain may be regrown that are compared.
_SEEDS = 20


@dataclass(frozen=True, eq=False)
class _Draft:
    """Chains that may still lack couplers.

    Attributes:
        owner: chain of each qubit, or -1; unmet: pairs of chains that are not coupled.
        lacking: how many others each chain does not meet.
    """

    owner: Longs
    unmet: int
    lacking: Longs

    @property
    def worth(self) -> tuple[int, int, int]:
        """Missing couplers, longest chain, qubits: less is better."""
        lengths = np.bincount(self.owner[self.owner >= 0])
        return self.unmet, int(lengths.max(initial=0)), int(lengths.sum())


def large_clique(
    size: int, target: Target, *, longest: int = LONGEST, rounds: int = REGROWN, seed: int = 0
) -> list[Longs]:
    """Return the chains of one clique on a Pegasus or Zephyr machine, or nothing.

    Args:
        size: nodes of the clique, at least 9.
        target: the machine.
        longest: qubits that a chain may have.
        rounds: chains taken out and regrown where the first draft lacks couplers.
        seed: of all choices.
    """
    best: _Draft | None = None
    for owner, chains in _laid_over(size, target):
        draft = _mend(_dropped(owner, chains, size, target), size, target, longest)
        if best is None or draft.worth < best.worth:
            best = draft
    if best is None:
        return []
    best = _regrown(best, size, target, longest, rounds, np.random.default_rng(seed))
    if best.unmet:
        return []
    return [np.flatnonzero(best.owner == c) for c in range(size)]


def shortest_clique(
    size: int, target: Target, chains: list[Longs], *, seed: int = 0
) -> list[Longs]:
    """Return a clique whose longest chain is as short as is found, at worst the given one.

    Args:
        size: nodes of the clique, at least 9; target: a Pegasus or Zephyr machine.
        chains: an embedding to improve on, or nothing.
        seed: of all choices.
    """
    while True:
        longest = max(map(len, chains), default=LONGEST + 1) - 1
        shorter = large_clique(size, target, longest=longest, seed=seed)
        if not shorter:
            return chains
        chains = shorter


def _laid_over(size: int, target: Target) -> Iterator[tuple[Longs, int]]:
    """Yield the owners of qubits when ideal cliques are laid over the machine, and chain counts."""
    lattice = Lattice.of(target.topology, target.shape)
    table = lattice.table(target.qubits)
    ceiling = _ideal_largest(target.topology, target.shape)
    for chains in sorted({min(round(size * start), ceiling) for start in _STARTS}, reverse=True):
        if chains < size:
            continue
        tile = _ideal_clique(chains, target.topology, target.shape)
        for image in lattice.images(tile):
            u, lane, wire, position, chain = image.T
            inside = (lane < table.shape[1]) & (position < table.shape[3])
            qubits = np.where(inside, table[u, lane * inside, wire, position * inside], -1)
            owner = np.full(len(target.qubits), -1, np.int64)
            owner[qubits[qubits >= 0]] = chain[qubits >= 0]
            yield owner, chains


@lru_cache(maxsize=8)
def _ideal_clique(size: int, topology: str, shape: tuple[int, ...]) -> Array:
    """Return busclique's embedding in the ideal lattice, as a tile; empty where none is found."""
    from minorminer import busclique

    target = Target.ideal(topology, shape)
    try:
        found = busclique.find_clique_embedding(
            size, target.lattice_graph(target.couplers), use_cache=False, seed=0
        )
    except ValueError:
        found = {}
    qubits = np.array([q for v in range(size) for q in sorted(found.get(v, ()))], np.int64)
    chain = np.repeat(np.arange(size), [len(found.get(v, ())) for v in range(size)])
    return np.column_stack([Lattice.of(topology, shape).coordinates(qubits), chain])


@lru_cache(maxsize=8)
def _ideal_largest(topology: str, shape: tuple[int, ...]) -> int:
    """Return the largest clique that busclique finds in the ideal lattice."""
    low, high = 8, 16 * shape[0] + 1
    while high - low > 1:
        middle = (low + high) // 2
        if len(_ideal_clique(middle, topology, shape)):
            low = middle
        else:
            high = middle
    return low


def _dropped(owner: Longs, chains: int, size: int, target: Target) -> Longs:
    """Drop the chains that miss most others, one after another, until ``size`` are left."""
    for left in range(chains, size, -1):
        draft = _mend(owner.copy(), left, target, left, grow=False)
        worst = int(np.argmax(draft.lacking))
        owner = np.where(owner == worst, -1, owner - (owner > worst))
    return owner


def _mend(owner: Longs, size: int, target: Target, longest: int, grow: bool = True) -> _Draft:
    """Mend chains in place; without growing, only count what they lack."""
    first, neighbour, _ = target.adjacency
    free = np.ones(len(owner), np.bool_)
    most = len(owner) if grow else 0
    unmet, lacking = kernels.mend_clique(owner, size, free, first, neighbour, longest, most, grow)
    return _Draft(owner, unmet, lacking)


def _regrown(
    draft: _Draft,
    size: int,
    target: Target,
    longest: int,
    rounds: int,
    generator: np.random.Generator,
) -> _Draft:
    """Take chains that lack couplers out and grow them anew from where many others are near."""
    first, neighbour, _ = target.adjacency
    for _ in range(rounds):
        if not draft.unmet:
            break
        # Mostly a chain that lacks something; at times another one, to make room.
        weight = draft.lacking / draft.lacking.sum() + 0.2 / size
        chain = generator.choice(size, p=weight / weight.sum())
        owner = np.where(draft.owner == chain, -1, draft.owner)
        seeds = generator.choice(np.flatnonzero(owner < 0), _SEEDS)
        near = [len(np.unique(owner[neighbour[first[q] : first[q + 1]]])) for q in seeds]
        owner[seeds[int(np.argmax(near))]] = chain
        other = _mend(owner, size, target, longest)
        if other.unmet <= draft.unmet:
            draft = other
    return draft
