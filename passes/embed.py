"""Embed: place every connected component of a program on a machine.

Couplers join variables, and so do constraints, whether their price happens to need couplers or not:
the components, and with them the placement, do not depend on values. A component of n variables
takes one copy of a clique's embedding: whatever its couplers are, they are among the clique's, so
the placement fits every batch of the same shape. Cliques are packed once per size and target, kept
in the cache, and dealt out largest component first; a smaller component may take what a larger size
leaves over in a submission that is open anyway.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from qubo_attn.arrays import Longs, pointers
from qubo_attn.blocks import blocks_of
from qubo_attn.embedding.cache import EmbeddingCache, Kept
from qubo_attn.embedding.packing import ROUNDS, Packing, pack_cliques
from qubo_attn.embedding.placement import Placement
from qubo_attn.embedding.templates import round_up
from qubo_attn.ir import Program
from qubo_attn.lift import Lift
from qubo_attn.pipeline import BINARY, PRICED, Fact
from qubo_attn.rewrite import Rewrite
from qubo_attn.target import Target


@dataclass(frozen=True)
class Embed:
    """Place a program on a target.

    Attributes:
        target: the machine.
        cache: where packings are kept.
        rounds: search effort for a new packing, in ruined windows.
        seed: of that search.
        kept: an earlier placement; taken over where the program's components are the same.
    """

    target: Target
    cache: EmbeddingCache = field(default_factory=EmbeddingCache, repr=False)
    rounds: int = ROUNDS
    seed: int = 0
    kept: Placement | None = field(default=None, repr=False)

    name: ClassVar[str] = "embed"
    needs: ClassVar[frozenset[Fact]] = frozenset({BINARY, PRICED})
    ensures: ClassVar[frozenset[Fact]] = frozenset()
    breaks: ClassVar[frozenset[Fact]] = frozenset()

    def apply(self, program: Program) -> Rewrite:
        """Return the program unchanged, with its placement.

        Raises:
            EmbeddingError: a component does not fit even alone.
        """
        n = len(program)
        component = blocks_of(program)
        structure = hashlib.sha256(component.tobytes()).hexdigest()
        if self.kept is not None and self.kept.structure == structure:
            return Rewrite(
                program, Lift.identity(n), notes=("placement taken over",), placement=self.kept
            )
        sizes = np.bincount(component)
        classes = {int(size): self._class(int(size)) for size in np.unique(sizes)}
        wanted = np.array([classes[int(size)] for size in sizes], np.int64)
        kept: dict[int, Kept] = {}

        def room(size: int) -> int:
            if size not in kept:
                kept[size] = self.packing(size)
            return len(kept[size].packing)

        submission, slot_class, slot = _deal(wanted, room)
        packings = {size: found.packing for size, found in kept.items()}
        chain_ptr, chain_qubit = _chains(component, slot_class, slot, packings)
        placement = Placement(
            self.target,
            submission[component],
            component,
            chain_ptr,
            chain_qubit,
            {size: len(packing) for size, packing in packings.items()},
            structure,
        )
        notes = (
            f"{len(sizes)} components in {placement.submissions} submissions",
            # To find a packing kept is the rule; a repaired one has longer chains.
            *(str(found) for found in kept.values() if found.origin.repair is not None),
        )
        return Rewrite(program, Lift.identity(n), notes=notes, placement=placement)

    def packing(self, size: int) -> Kept:
        """Return the packing for components of ``size`` variables, found once and then kept.

        Raises:
            EmbeddingError: such a component does not fit even alone.
        """
        size, options = self._class(size), {"rounds": self.rounds, "seed": self.seed}
        return self.cache.packing(
            size, self.target, options, lambda: pack_cliques(size, self.target, **options)
        )

    def _class(self, size: int) -> int:
        return round_up(self.target.topology, size) if self.target.is_grid else size


def _deal(wanted: Longs, room: Callable[[int], int]) -> tuple[Longs, Longs, Longs]:
    """Deal components out over submissions, each of which is filled with one clique size.

    The largest size still waiting opens a submission; what it leaves free goes to the next smaller.

    Args:
        wanted: clique size of each component.
        room: how many copies of a clique size one submission holds; asked only where one is opened.

    Returns:
        Submission, clique size and slot of each component.
    """
    submission, slot = np.zeros(len(wanted), np.int64), np.zeros(len(wanted), np.int64)
    slot_class = np.zeros(len(wanted), np.int64)
    # Largest first, and in their own order where sizes are equal.
    waiting = np.lexsort((np.arange(len(wanted)), -wanted))
    opened, start = 0, 0
    while start < len(waiting):
        size = int(wanted[waiting[start]])
        dealt = waiting[start : start + room(size)]
        submission[dealt], slot_class[dealt] = opened, size
        slot[dealt] = np.arange(len(dealt))
        start, opened = start + len(dealt), opened + 1
    return submission, slot_class, slot


def _chains(
    component: Longs, slot_class: Longs, slot: Longs, packings: dict[int, Packing]
) -> tuple[Longs, Longs]:
    """Give the variables of each component the chains of its slot, shortest first."""
    n = len(component)
    order = np.argsort(component, kind="stable")
    starts = pointers(np.bincount(component))
    place = np.empty(n, np.int64)
    place[order] = np.arange(n) - starts[component[order]]
    begin, length = np.zeros(n, np.int64), np.zeros(n, np.int64)
    pool, offset = [np.zeros(0, np.int64)], 0
    for size, packing in packings.items():
        pool.append(packing.qubit)
        mine = slot_class[component] == size
        chain = slot[component[mine]] * size + place[mine]
        begin[mine] = offset + packing.ptr[chain]
        length[mine] = packing.ptr[chain + 1] - packing.ptr[chain]
        offset += len(packing.qubit)
    ptr = pointers(length)
    entries = np.arange(ptr[-1]) + np.repeat(begin - ptr[:-1], length)
    return ptr, np.concatenate(pool)[entries]
