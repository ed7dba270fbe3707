"""Packings whose machine changed, made whole again where the change hurt them.

Copies that the change does not touch stay as they are. The others are mended in place: what is left
of each chain is kept and grows through free qubits nearby (`qubo_attn.kernels.mend_clique`). Where
tiles ship for the clique, the copies that cannot be mended make room, and a short search puts tiles
there and on whatever else is free around. Larger cliques are mended harder instead: single chains
are taken out and grown anew elsewhere, and the copy that is hurt most makes room for the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qubo_attn.arrays import Array, Bools, Longs, csr_rows
from qubo_attn.embedding.large import Draft, mend, regrow
from qubo_attn.embedding.packing import Packing
from qubo_attn.embedding.templates import clique_tiles
from qubo_attn.embedding.tiling import Copies, Tiling, moves_of
from qubo_attn.target import Target

# Share of the placements that a packing found anew tries.
_EFFORT = 0.04
# Chains regrown on the way to mending all copies of a large clique once.
_REGROWN = 60
# Share by which chains may outgrow those of the packing that was found anew, and at least so much.
_LONGER, _LEAST_LONGER = 1 / 3, 2


@dataclass(frozen=True)
class Repair:
    """What became of the copies of a packing whose machine changed.

    Attributes:
        before: copies it had.
        reused: copies that are as they were; mended: copies whose chains were rerouted.
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


def longest_allowed(longest_chain: int) -> int:
    """Return how long chains may get by mending a packing with the given longest chain."""
    return longest_chain + max(_LEAST_LONGER, int(_LONGER * longest_chain))


def mend_packing(
    packing: Packing, target: Target, *, longest: int, rounds: int, seed: int
) -> tuple[Packing | None, Repair]:
    """Return a packing that fits ``target``, made from one that no longer does.

    Args:
        packing: as positions in the target's ``qubits``, -1 where a qubit is gone.
        target: the machine as it is now.
        longest: qubits that a mended chain may have.
        rounds: search effort of a packing found anew; a small share of it is spent.
        seed: of all choices.

    Returns:
        The packing, or None where no copy is left, and what became of the copies.
    """
    size, copies = packing.size, packing.copies()
    whole = packing.whole(target)
    kept = [copy for copy, good in zip(copies, whole, strict=True) if good]
    hurt = [_owner(copy, target) for copy, good in zip(copies, whole, strict=True) if not good]
    free = np.ones(len(target.qubits), bool)
    free[packing.qubit[packing.qubit >= 0]] = False
    tiled = target.is_grid and bool(clique_tiles(target.topology, size))
    crew = _Crew(size, target, longest, free, np.random.default_rng(seed))
    mended = crew.mend_once(hurt) if tiled else crew.mend_all(hurt)
    found = kept + mended
    if tiled and len(found) < len(copies):
        found = _placed(found, size, target, _around(hurt, target), rounds, seed)
    known = {"reused": _marks(kept), "mended": _marks(mended)}
    counts = {name: sum(mark in marks for mark in _marks(found)) for name, marks in known.items()}
    placed = len(found) - sum(counts.values())
    repair = Repair(before=len(copies), placed=placed, **counts)
    return (Packing.of(found) if found else None), repair


@dataclass
class _Crew:
    """What mending a number of copies shares.

    Attributes:
        size: nodes of the clique; target: the machine.
        longest: qubits that a chain may have.
        free: qubits that no copy holds.
        generator: of all choices.
    """

    size: int
    target: Target
    longest: int
    free: Bools
    generator: np.random.Generator

    def mend_once(self, hurt: list[Longs]) -> list[list[Longs]]:
        """Mend what can be by growing chains; the qubits of the others become free."""
        mended = [self._mend(owner, 0) for owner in hurt]
        return [self._chains(draft) for draft in mended if not draft.unmet]

    def mend_all(self, hurt: list[Longs]) -> list[list[Longs]]:
        """Mend as many as possible; the copy that is hurt most makes room for the others."""
        done: list[list[Longs]] = []
        while hurt:
            left = []
            for owner in hurt:
                draft = self._mend(owner, _REGROWN // len(hurt))
                if draft.unmet:
                    self.free[owner >= 0] = False
                    left.append((draft.unmet, owner))
                else:
                    done.append(self._chains(draft))
            if left:
                worst = max(range(len(left)), key=lambda place: left[place][0])
                self.free[left.pop(worst)[1] >= 0] = True
            hurt = [owner for _, owner in left]
        return done

    def _mend(self, owner: Longs, rounds: int) -> Draft:
        """Mend one copy; the qubits that it gives up become free, those it takes do not stay so."""
        self.free[owner >= 0] = True
        draft = mend(owner.copy(), self.size, self.target, self.longest, self.free)
        draft = regrow(
            draft, self.size, self.target, self.longest, rounds, self.generator, self.free
        )
        if not draft.unmet:
            self.free[draft.owner >= 0] = False
        return draft

    def _chains(self, draft: Draft) -> list[Longs]:
        return [np.flatnonzero(draft.owner == chain) for chain in range(self.size)]


def _owner(copy: list[Longs], target: Target) -> Longs:
    """Return the chain of each qubit, -1 where the copy has none."""
    owner = np.full(len(target.qubits), -1, np.int64)
    for chain, qubits in enumerate(copy):
        owner[qubits[qubits >= 0]] = chain
    return owner


def _around(hurt: list[Longs], target: Target) -> Bools:
    """Return the qubits of some copies and their neighbours."""
    first, neighbour, _ = target.adjacency
    near = np.any([owner >= 0 for owner in hurt], axis=0)
    near[neighbour[csr_rows(first, np.flatnonzero(near))[1]]] = True
    return np.asarray(near)


def _placed(
    copies: list[list[Longs]], size: int, target: Target, within: Bools, rounds: int, seed: int
) -> list[list[Longs]]:
    """Put tiles on what is free within some qubits, moving copies about that lie there."""
    tiling = Tiling(size, target)
    qubits = [np.concatenate(copy) for copy in copies]
    room = tiling.empty().qubits.shape
    widest = max(map(len, qubits), default=0)
    held = Copies.none(max(room[0], len(copies)), max(room[1], widest))
    for copy, taken in zip(copies, qubits, strict=True):
        held.add(taken, np.repeat(np.arange(size), [len(chain) for chain in copy]))
    tiling.search(held, int(_EFFORT * moves_of(rounds, target)), seed, within)
    return held.chains(size)


def _marks(copies: list[list[Longs]]) -> list[bytes]:
    """Return for each copy what two equal ones share."""
    return [_mark(copy) for copy in copies]


def _mark(copy: list[Longs]) -> bytes:
    chains: list[Array] = sorted((np.sort(chain) for chain in copy), key=_first)
    return b"".join(chain.tobytes() for chain in chains)


def _first(chain: Array) -> int:
    return int(chain[0])
