"""Large cliques on working graphs, where missing qubits halve what busclique reaches.

The chains of an ideal clique are laid over the machine in each of its mirror images. The chains
that defects hurt most are dropped until the wanted number is left. The others grow through the
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
from qubo_attn.embedding.minors import embed_clique
from qubo_attn.machine.lattice import Lattice
from qubo_attn.machine.readers import ideal
from qubo_attn.machine.target import Target

LONGEST = 20
REGROWN = 400
# Sizes of the ideal cliques that are laid over the machine, as multiples of the wanted size.
_STARTS = (1.0, 1.1, 1.25, 1.5)
# Minorminer's one-shot clique search eats all memory for 5 to 8 nodes on Zephyr (version 0.2.22).
LEAST_BUSCLIQUE = 9
# Wires of the widest lanes that busclique knows.
_WIDEST = 4
# Sizes between those that are tried for a clique that stays.
_STEP = 4


@dataclass(frozen=True, eq=False)
class Draft:
    """Chains that may still lack couplers.

    Attributes:
        owner: chain of each qubit, or -1.
        unmet: pairs of chains that are not coupled.
        lacking: how many others each chain does not meet.
    """

    owner: Longs
    unmet: int
    lacking: Longs

    def chains(self) -> list[Longs]:
        """Return the qubits of each chain."""
        return [np.flatnonzero(self.owner == chain) for chain in range(len(self.lacking))]


def large_clique(
    size: int, target: Target, *, longest: int = LONGEST, rounds: int = REGROWN, seed: int = 0
) -> list[Longs]:
    """Return the chains of one clique on a Pegasus or Zephyr machine, or nothing.

    Args:
        size: nodes of the clique, at least 9.
        target: the machine.
        longest: qubits that a chain may have.
        rounds: chains taken out and regrown where the first draft lacks couplers.
        seed: seed of all choices.
    """
    ceiling = ideal_largest(target.topology, target.shape)
    if size > ceiling:
        return []
    starts = sorted({min(round(size * start), ceiling) for start in _STARTS}, reverse=True)
    drafts = [draft for chains in starts for draft in _drafts(chains, size, target, longest)]
    best = min(drafts, key=_cost)
    if best.unmet and ceiling not in starts:
        best = min(best, *_drafts(ceiling, size, target, longest), key=_cost)
    best = regrow(best, target, longest, rounds, seed)
    return [] if best.unmet else best.chains()


def clique_that_stays(target: Target, below: int) -> int:
    """Return the size of a clique that the machine holds, quickly: larger ones may be found.

    The largest ideal clique is laid over the machine, and the chains that defects hurt most are
    dropped until the rest can be mended. `large_clique` finds each size that is returned.

    Args:
        target: a Pegasus or Zephyr machine.
        below: a size that is known not to fit.

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
    table, here = lattice.table(target.qubits), np.zeros((1, 2), np.int64)
    for image in lattice.images(_ideal_clique(chains, target.topology, target.shape)):
        (qubits,) = lattice.qubits_at(table, image, here)
        owner = np.full(len(target.qubits), -1, np.int64)
        owner[qubits[qubits >= 0]] = image[qubits >= 0, 4]
        yield owner


@lru_cache(maxsize=8)
def _ideal_clique(size: int, topology: str, shape: tuple[int, ...]) -> Array:
    """Return busclique's embedding in the ideal lattice, as a tile; empty where none is found.

    Of wide lanes it takes the first wires: a lattice holds the one of narrower lanes.
    """
    if topology == "zephyr":
        shape = shape[0], min(Lattice.of(topology, shape).t, _WIDEST)
    target = Target(*ideal(topology, shape))
    chains = embed_clique(size, target, target.couplers, seed=0)
    qubits = target.qubits[np.concatenate([np.zeros(0, np.int64), *chains])]
    owner = np.repeat(np.arange(len(chains)), [len(chain) for chain in chains])
    return np.column_stack([Lattice.of(topology, shape).coordinates(qubits), owner])


def ideal_largest(topology: str, shape: tuple[int, ...]) -> int:
    """Return the largest clique that busclique embeds in the ideal lattice, or 8 for none."""
    if topology == "pegasus":
        return 12 * (shape[0] - 1) if shape[0] > 2 else 10
    tile = min(Lattice.of(topology, shape).t, _WIDEST)
    return max(2 * tile * (2 * shape[0] - 1), 8)


def _dropped(owner: Longs, chains: int, size: int, target: Target) -> Longs:
    """Drop the chains that miss most others, one after another, until ``size`` are left."""
    for left in range(chains, size, -1):
        draft = mend(owner.copy(), left, target, left, grow=False)
        worst = int(np.argmax(draft.lacking))
        owner = np.where(owner == worst, -1, owner - (owner > worst))
    return owner


def _cost(draft: Draft) -> tuple[int, int, int]:
    """Return missing couplers, longest chain, and qubits of a draft: less is better."""
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
        owner: chain of each qubit, or -1.
        size: how many chains there are.
        target: the machine.
        longest: qubits that a chain may have.
        free: qubits that chains may grow into, their own among them; None for all.
        grow: whether they may.
    """
    free = np.ones(len(owner), np.bool_) if free is None else free
    most = len(owner) if grow else 0
    unmet, lacking = kernels.mend_clique(owner, size, free, target.adjacency, longest, most)
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
        draft: chains to improve on.
        target, longest, free: as for `mend`.
        rounds: chains taken out, at most.
        seed: seed of all choices.
    """
    if not draft.unmet or not rounds:
        return draft
    owner = draft.owner.copy()
    free = np.ones(len(owner), np.bool_) if free is None else free
    unmet, lacking = kernels.regrow_clique(
        owner, draft.unmet, draft.lacking, free, target.adjacency, longest, rounds, seed
    )
    return Draft(owner, unmet, lacking)
