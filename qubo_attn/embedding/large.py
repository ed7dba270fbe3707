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
from qubo_attn.common.arrays import Array, Bools, Longs
from qubo_attn.machine.lattice import Lattice
from qubo_attn.machine.target import Target

LONGEST = 20
REGROWN = 400
# Sizes of the ideal cliques that are laid over the machine, as multiples of the wanted size.
_STARTS = (1.0, 1.1, 1.25, 1.5)
# Minorminer's one-shot clique search eats all memory for 5 to 8 nodes on Zephyr (version 0.2.22).
LEAST_BUSCLIQUE = 9
# Sizes between those that are tried for a clique that stays.
_STEP = 4
# Places where a chain may be regrown that are compared.
_SEEDS = 20


@dataclass(frozen=True, eq=False)
class Draft:
    """Chains that may still lack couplers.

    Attributes:
        owner: chain of each qubit, or -1; unmet: pairs of chains that are not coupled.
        lacking: how many others each chain does not meet.
    """

    owner: Longs
    unmet: int
    lacking: Longs


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
    ceiling = ideal_largest(target.topology, target.shape)
    if size > ceiling:
        return []
    starts = sorted({min(round(size * start), ceiling) for start in _STARTS}, reverse=True)
    drafts = [draft for chains in starts for draft in _drafts(chains, size, target, longest)]
    best = min(drafts, key=_worth)
    if best.unmet and ceiling not in starts:
        best = min(best, *_drafts(ceiling, size, target, longest), key=_worth)
    best = regrow(best, target, longest, rounds, seed)
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


def clique_that_stays(target: Target, below: int) -> int:
    """Return the size of a clique that the machine holds, quickly: larger ones may be found.

    The largest ideal clique is laid over the machine, and the chains that defects hurt most are
    dropped until the rest can be mended. `large_clique` finds each size that is returned.

    Args:
        target: a Pegasus or Zephyr machine; below: a size that is known not to fit.

    Returns:
        The size; 0 where the lattice is too small for busclique.
    """
    ceiling, best = ideal_largest(target.topology, target.shape), 0
    if ceiling < LEAST_BUSCLIQUE:
        return 0
    for owner in _laid_over(ceiling, target):
        for left in range(ceiling, best, -1):
            tried = left < below and (ceiling - left) % _STEP == 0
            if tried and not mend(owner.copy(), left, target, LONGEST).unmet:
                best = left
                break
            owner = _dropped(owner, left, left - 1, target)
    return best


def _drafts(chains: int, size: int, target: Target, longest: int) -> Iterator[Draft]:
    """Yield what is left of each image of an ideal clique, dropped to ``size`` and mended."""
    for owner in _laid_over(chains, target):
        yield mend(_dropped(owner, chains, size, target), size, target, longest)


def _laid_over(chains: int, target: Target) -> Iterator[Longs]:
    """Yield the owners of qubits when each image of an ideal clique is laid over the machine."""
    lattice = Lattice.of(target.topology, target.shape)
    table = lattice.table(target.qubits)
    for image in lattice.images(_ideal_clique(chains, target.topology, target.shape)):
        u, lane, wire, position, chain = image.T
        inside = (lane < table.shape[1]) & (position < table.shape[3])
        qubits = np.where(inside, table[u, lane * inside, wire, position * inside], -1)
        owner = np.full(len(target.qubits), -1, np.int64)
        owner[qubits[qubits >= 0]] = chain[qubits >= 0]
        yield owner


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
def ideal_largest(topology: str, shape: tuple[int, ...]) -> int:
    """Return the largest clique that busclique finds in the ideal lattice, or 8 for none."""
    low, high = LEAST_BUSCLIQUE - 1, 16 * shape[0] + 1
    known = _ideal_known(topology, shape)
    if known > low and len(_ideal_clique(known, topology, shape)):
        low = known
        if not len(_ideal_clique(known + 1, topology, shape)):
            return known
    while high - low > 1:
        middle = (low + high) // 2
        if len(_ideal_clique(middle, topology, shape)):
            low = middle
        else:
            high = middle
    return low


def is_beyond_ideal(size: int, target: Target) -> bool:
    """Return whether a clique is too large for busclique and for `large_clique`, defects aside."""
    lattice = target.topology, target.shape
    return size > _ideal_known(*lattice) and size > ideal_largest(*lattice)


def _ideal_known(topology: str, shape: tuple[int, ...]) -> int:
    """Return the largest clique that busclique was seen to find in the lattices of machines."""
    return 12 * (shape[0] - 1) if topology == "pegasus" else 16 * shape[0] - 8


def _dropped(owner: Longs, chains: int, size: int, target: Target) -> Longs:
    """Drop the chains that miss most others, one after another, until ``size`` are left."""
    for left in range(chains, size, -1):
        draft = mend(owner.copy(), left, target, left, grow=False)
        worst = int(np.argmax(draft.lacking))
        owner = np.where(owner == worst, -1, owner - (owner > worst))
    return owner


def _worth(draft: Draft) -> tuple[int, int, int]:
    """Missing couplers, longest chain, qubits: less is better."""
    lengths = np.bincount(draft.owner[draft.owner >= 0])
    return draft.unmet, int(lengths.max(initial=0)), int(lengths.sum())


def mend(
    owner: Longs,
    size: int,
    target: Target,
    longest: int,
    free: Bools | None = None,
    grow: bool = True,
) -> Draft:
    """Mend chains in place; without growing, only count what they lack.

    Args:
        owner: chain of each qubit, or -1; size: how many chains there are.
        target: the machine; longest: qubits that a chain may have.
        free: qubits that chains may grow into, their own among them; None for all.
        grow: whether they may.
    """
    first, neighbour, _ = target.adjacency
    free = np.ones(len(owner), np.bool_) if free is None else free
    most = len(owner) if grow else 0
    unmet, lacking = kernels.mend_clique(owner, size, free, first, neighbour, longest, most, grow)
    return Draft(owner, unmet, lacking)


def regrow(
    draft: Draft,
    target: Target,
    longest: int,
    rounds: int,
    seed: int,
    free: Bools | None = None,
) -> Draft:
    """Take chains that lack couplers out and grow them anew from where many others are near.

    Args:
        draft: chains to improve on; target, longest, free: as for `mend`.
        rounds: chains taken out, at most; seed: of all choices.
    """
    if not draft.unmet or not rounds:
        return draft
    first, neighbour, _ = target.adjacency
    owner = draft.owner.copy()
    free = np.ones(len(owner), np.bool_) if free is None else free
    unmet, lacking = kernels.regrow_clique(
        owner, draft.unmet, draft.lacking, free, first, neighbour, longest, rounds, _SEEDS, seed
    )
    return Draft(owner, unmet, lacking)
