"""Room that the last submission leaves: seats for copies of its rows, on qubits that are idle.

First come the seats of the packing that opened the submission. Where sizes were mixed there are
few of these: then cliques of each size there is are laid in what is idle, the largest first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qubo_attn.common.arrays import Bools, Longs, csr_rows, pointers
from qubo_attn.common.frozen import Columns
from qubo_attn.embedding.component import Component
from qubo_attn.embedding.laying import Kind, lay_tiles
from qubo_attn.embedding.mixing import tiles_for
from qubo_attn.embedding.packing import NO_BOUND, Packing, chains_of, within
from qubo_attn.embedding.placement import Placement
from qubo_attn.machine.target import Target

# Placements tried for each size, some hundredths of a second: ten times as many gain one seat in
# ten.
_MOVES = 50_000


@dataclass(frozen=True, eq=False)
class Room(Columns):
    """Seats that overlap neither each other nor what sits in the last submission.

    Attributes:
        size: int64, shape (seats,), chains of each seat; those of a clique hold smaller ones too.
        first: int64, shape (seats,), the first chain of each seat.
        ptr, qubit: int64, all chains, as positions in the target's ``qubits``.
    """

    size: Longs
    first: Longs
    ptr: Longs
    qubit: Longs

    def __len__(self) -> int:
        return len(self.size)


def room_left(
    placement: Placement, packing: Packing, sizes: Sequence[int], seed: int, longest: int | None
) -> Room:
    """Return the seats that the last submission leaves.

    Args:
        placement: of a program that is not empty.
        packing: of the largest component of that submission.
        sizes: of its components.
        seed: seed of the search for places.
        longest: qubits that a chain may have; None for any number.
    """
    target, idle = placement.target, np.ones(len(placement.target.qubits), bool)
    idle[placement.chain_qubit[csr_rows(placement.chain_ptr, placement.members[-1])[1]]] = False
    whole = np.logical_and.reduceat(idle[packing.qubit], packing.ptr[: -1 : packing.size])
    copies = packing.copies()
    seats = [copies[seat] for seat in np.flatnonzero(whole).tolist()]
    _take(idle, seats)
    if packing.component.shape is None and target.is_grid:
        for size in sorted(set(sizes), reverse=True):
            laid = _laid(size, target, idle, seed, longest)
            _take(idle, laid)
            seats += laid
    chains_each = np.array([len(seat) for seat in seats], np.int64)
    chains = [chain for seat in seats for chain in seat]
    qubits = np.concatenate(chains) if chains else np.zeros(0, np.int64)
    ptr = pointers([len(chain) for chain in chains])
    return Room(chains_each, pointers(chains_each)[:-1], ptr, qubits)


def _take(idle: Bools, seats: Sequence[Sequence[Longs]]) -> None:
    for seat in seats:
        idle[np.concatenate(seat)] = False


def _laid(
    size: int, target: Target, idle: Bools, seed: int, longest: int | None
) -> list[list[Longs]]:
    """Return cliques laid on idle qubits, in order of their longest chains; none where none fit."""
    bound = NO_BOUND if longest is None else longest
    component = Component(size)
    tiles = tiles_for(component, target, seed, bound)
    most = int(idle.sum()) // min(map(len, tiles), default=NO_BOUND)
    if not most:
        return []
    laid = lay_tiles(target, [Kind(component, tiles, most)], [], _MOVES, seed, idle)
    # What is mended may go beyond the tiles' places.
    inside = [copy for copy in laid if idle[copy.qubits].all()]
    copies = within([chains_of(copy.qubits, copy.chain, size) for copy in inside], bound)
    return Packing.ordered(component, copies).checked(target).copies() if copies else []
