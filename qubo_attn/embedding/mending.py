"""Mending of packings whose machine changed.

Copies that the change does not touch stay as they are. The others are mended in place: what is left
of each chain is kept and grows through free qubits nearby (`qubo_attn.kernels.mend_clique`). Where
tiles ship for the clique, the copies that cannot be mended make room, and a short search puts tiles
there and on whatever else is free around. Larger cliques are mended harder instead: single chains
are taken out and grown anew elsewhere, and the copy that is hurt most makes room for the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qubo_attn.common.arrays import Bools, Longs, csr_rows
from qubo_attn.embedding.large import Draft, mend, regrow
from qubo_attn.embedding.packing import Packing, chains_of
from qubo_attn.embedding.templates import clique_tiles, stock_for
from qubo_attn.embedding.tiling import Tiling, moves_of
from qubo_attn.machine.target import Target

# Share of the placements that a packing found anew tries.
_EFFORT = 0.04
# Chains regrown on the way to mending all copies of a large clique once, and for one of them: what
# is not mended by then is found anew sooner.
_REGROWN, _REGROWN_FOR_ONE = 60, 30
# Share by which chains may outgrow those of the packing that was found anew, and at least so many
# qubits; those of large cliques, which are harder to mend, and of large ones not mended otherwise.
_LONGER, _LEAST_LONGER, _LARGE_LONGER, _LAST_RESORT = 1 / 3, 2, 4, 5


@dataclass(frozen=True)
class Repair:
    """What became of the copies of a packing whose machine changed.

    Attributes:
        before: copies it had.
        reused: copies that are as they were.
        mended: copies whose chains were rerouted.
        placed: copies embedded anew.
    """

    before: int
    reused: int
    mended: int
    placed: int

    @property
    def after(self) -> int:
        """Copies it has."""
        return self.reused + self.mended + self.placed


def longest_allowed(longest_chain: int, least: int = _LEAST_LONGER) -> int:
    """Return how long chains may get by mending a packing with the given longest chain.

    Args:
        longest_chain: of the packing that was found anew.
        least: qubits that may come on top.
    """
    return longest_chain + max(least, int(_LONGER * longest_chain))


def mend_packing(
    packing: Packing, target: Target, *, longest: int, rounds: int, seed: int, least: int = 1
) -> tuple[Packing | None, Repair]:
    """Return a packing that fits ``target``, made from one that no longer does.

    Args:
        packing: of a clique, as positions in the target's ``qubits``, -1 where a qubit is gone.
        target: the machine as it is now.
        longest: qubits of the longest chain of the packing found anew; mended ones may have some
            more, see `longest_allowed`.
        rounds: search effort of a packing found anew; a small share of it is spent.
        seed: seed of all choices.
        least: copies that a packing is worth having with; given up once they are out of reach.

    Returns:
        The packing, or None where no copy is left or they were given up, and what became of the
        copies.
    """
    copies, whole = packing.copies(), packing.whole(target)
    intact = [copy for copy, good in zip(copies, whole, strict=True) if good]
    hurt = [_owner(copy, target) for copy, good in zip(copies, whole, strict=True) if not good]
    free = np.ones(len(target.qubits), bool)
    free[packing.qubit[packing.qubit >= 0]] = False
    tiled = bool(clique_tiles(stock_for(target), packing.size))
    mender = _Mender(packing.size, target, longest, free, seed)
    mended = mender.mend_once(hurt) if tiled else mender.mend_all(hurt, least - len(intact))
    if mended is None:
        return None, Repair(before=len(copies), reused=len(intact), mended=0, placed=0)
    result = intact + mended
    counts = {"reused": len(intact), "mended": len(mended)}
    if tiled and len(result) < len(copies):
        marks = {"reused": _marks(intact), "mended": _marks(mended)}
        result = _placed(result, packing.size, target, _around(hurt, target), rounds, seed)
        staying = _marks(result)
        counts = {name: len(staying & before) for name, before in marks.items()}
    repair = Repair(before=len(copies), placed=len(result) - sum(counts.values()), **counts)
    return (Packing.ordered(packing.component, result) if result else None), repair


@dataclass
class _Mender:
    """Mends copies one after another.

    Attributes:
        size: nodes of the clique.
        target: the machine.
        longest: qubits of the longest chain of the packing found anew.
        free: qubits that no copy holds.
        seed: seed of the last choices, counted up.
    """

    size: int
    target: Target
    longest: int
    free: Bools
    seed: int

    def mend_once(self, hurt: list[Longs]) -> list[list[Longs]]:
        """Mend what can be by growing chains; the qubits of the others become free."""
        drafts = [self._mend(owner, 0) for owner in hurt]
        return [draft.chains() for draft in drafts if not draft.unmet]

    def mend_all(self, hurt: list[Longs], least: int) -> list[list[Longs]] | None:
        """Mend as many as possible; the copy that is hurt most makes room for the others.

        Args:
            hurt: owners of qubits, for each copy.
            least: how many must be mended; None is returned where they cannot.
        """
        mended: list[list[Longs]] = []
        while hurt:
            left = []
            for owner in hurt:
                draft = self._mend(owner, min(_REGROWN_FOR_ONE, _REGROWN // len(hurt)))
                if draft.unmet:
                    self.free[owner >= 0] = False
                    left.append((draft.unmet, owner))
                else:
                    mended.append(draft.chains())
            if left:
                worst = max(range(len(left)), key=lambda place: left[place][0])
                self.free[left.pop(worst)[1] >= 0] = True
                if len(mended) + len(left) < least:
                    return None
            hurt = [owner for _, owner in left]
        return mended

    def _mend(self, owner: Longs, rounds: int) -> Draft:
        """Mend one copy; the qubits that it gives up become free, those it takes do not stay so."""
        self.free[owner >= 0] = True
        self.seed += 1
        least = _LARGE_LONGER if rounds else _LEAST_LONGER
        longest, last = (longest_allowed(self.longest, n) for n in (least, _LAST_RESORT))
        draft = mend(owner.copy(), self.size, self.target, longest, self.free)
        draft = regrow(draft, self.target, last, rounds, self.seed, self.free)
        if not draft.unmet:
            self.free[draft.owner >= 0] = False
        return draft


def _owner(copy: list[Longs], target: Target) -> Longs:
    """Return the chain of each qubit, -1 where the copy has none."""
    owner = np.full(len(target.qubits), -1, np.int64)
    for chain, qubits in enumerate(copy):
        owner[qubits[qubits >= 0]] = chain
    return owner


def _around(hurt: list[Longs], target: Target) -> Bools:
    """Return the qubits of some copies and their neighbours."""
    graph = target.adjacency
    near = np.any([owner >= 0 for owner in hurt], axis=0)
    near[graph.neighbour[csr_rows(graph.first, np.flatnonzero(near))[1]]] = True
    return np.asarray(near)


def _placed(
    copies: list[list[Longs]], size: int, target: Target, within: Bools, rounds: int, seed: int
) -> list[list[Longs]]:
    """Put tiles on what is free within some qubits, moving copies about that lie there."""
    tiling = Tiling(size, target)
    rows = [
        (np.concatenate(copy), np.repeat(np.arange(size), [len(chain) for chain in copy]))
        for copy in copies
    ]
    rows = tiling.search(rows, int(_EFFORT * moves_of(rounds, target)), seed, within)
    return [chains_of(*row, size) for row in rows]


def _marks(copies: list[list[Longs]]) -> set[frozenset[bytes]]:
    """Return for each copy what two equal ones share, in whatever order their chains come."""
    return {frozenset(np.sort(chain).tobytes() for chain in copy) for copy in copies}
