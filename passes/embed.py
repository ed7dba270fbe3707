"""Embed: place every connected component of a program on a machine.

Couplers join variables, and so do constraints, whether their price happens to need couplers or not:
the components, and with them the placement, do not depend on values. A component of n variables
takes one copy of a clique's embedding: whatever its couplers are, they are among the clique's, so
the placement fits every batch of the same shape. Where constraints leave most pairs of a component
uncoupled (walls, switches, a few pair terms), it takes one copy of its own shape instead, with
shorter chains; see `qubo_attn.embedding.shapes`.

Cliques and shapes are packed once per target, kept in the cache, and dealt out largest component
first; a smaller component may take what a larger class of its kind leaves over in a submission that
is open anyway.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Integral
from typing import ClassVar

import numpy as np

from qubo_attn.common.arrays import Longs, pointers
from qubo_attn.embedding.cache import EmbeddingCache, Kept
from qubo_attn.embedding.packing import ROUNDS, Packing, pack_cliques, pack_shape
from qubo_attn.embedding.placement import Placement
from qubo_attn.embedding.shapes import Shape
from qubo_attn.embedding.sparse import sparse_shapes
from qubo_attn.embedding.templates import round_up
from qubo_attn.errors import InputError
from qubo_attn.ir.components import places_within
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program
from qubo_attn.machine.target import Target
from qubo_attn.pipeline.pipeline import BINARY, PRICED, Fact
from qubo_attn.pipeline.rewrite import Rewrite


@dataclass(frozen=True)
class Embed:
    """Place a program on a target.

    Attributes:
        target: the machine.
        cache: where packings are kept.
        rounds: search effort for a new packing, in ruined windows.
        seed: seed of the embedding search.
        longest_chain: qubits that a chain may have; None for any number.

    Example:
        >>> from qubo_attn import Embed, InsertPenalties, Pipeline, Program, Target
        >>> program = Program.parse('''
        ... x[0,0,0] : -2
        ... x[0,0,1] : -1
        ... pick[0,0]: x[0,0,0] + x[0,0,1] == 1
        ... ''')
        >>> stages = Pipeline((InsertPenalties(), Embed(Target.zephyr(2)))).run(program)
        >>> stages[-1].rewrite.notes
        ('1 components in 1 submissions',)
        >>> stages[-1].rewrite.placement.chain_lengths
        array([1, 1])
    """

    target: Target
    cache: EmbeddingCache = field(default_factory=EmbeddingCache, repr=False)
    rounds: int = ROUNDS
    seed: int = 0
    longest_chain: int | None = None

    name: ClassVar[str] = "embed"
    needs: ClassVar[frozenset[Fact]] = frozenset({BINARY, PRICED})
    ensures: ClassVar[frozenset[Fact]] = frozenset()
    breaks: ClassVar[frozenset[Fact]] = frozenset()

    def __post_init__(self) -> None:
        longest = self.longest_chain
        if longest is not None and not (isinstance(longest, Integral) and longest >= 1):
            raise InputError(
                f"longest_chain must be None or a whole number of qubits >= 1, not {longest!r}",
                longest_chain=longest,
            )

    def apply(self, program: Program, placement: Placement | None = None) -> Rewrite:
        """Return the program unchanged, with its placement.

        Args:
            program: bits only, constraints priced.
            placement: an earlier one; it serves again where the program's components are the same.

        Raises:
            EmbeddingError: a component does not fit even alone.
        """
        n = len(program)
        component = program.components
        shapes = sparse_shapes(program, component)
        structure = _structure(component, shapes, self.longest_chain)
        if placement is not None and placement.structure == structure:
            return Rewrite(
                program, Lift.identity(n), notes=("placement taken over",), placement=placement
            )
        sizes = np.bincount(component)
        names = [shapes.get(c) or self._class(int(size)) for c, size in enumerate(sizes)]
        classes = sorted(set(names), key=_rank)
        number = {name: place for place, name in enumerate(classes)}
        kept: dict[int, Kept] = {}

        def room(place: int) -> int:
            if place not in kept:
                kept[place] = self.packing(classes[place])
            return len(kept[place].packing)

        submission, taken, slot = _deal(np.array([number[x] for x in names]), classes, room)
        packings = {place: found.packing for place, found in kept.items()}
        chain_ptr, chain_qubit = _chains(component, taken, slot, packings)
        placement = Placement(
            self.target,
            submission[component],
            component,
            chain_ptr,
            chain_qubit,
            {
                name: len(packings[place])
                for place, name in enumerate(classes)
                if place in packings and isinstance(name, int)
            },
            structure,
        )
        notes = [f"{len(sizes)} components in {placement.submissions} submissions"]
        if shapes:
            notes.append(f"{len(shapes)} of them in {len(set(shapes.values()))} sparse shapes")
        # To find a packing kept is the rule; a repaired one has longer chains.
        notes += [str(found) for found in kept.values() if found.origin.repair is not None]
        return Rewrite(program, Lift.identity(n), notes=tuple(notes), placement=placement)

    def packing(self, shape: int | Shape) -> Kept:
        """Return the packing for components of a shape, found once and then kept.

        Args:
            shape: the variables of a component that may be a clique, or its sparse shape.

        Raises:
            EmbeddingError: such a component does not fit even alone.
        """
        bound = {} if self.longest_chain is None else {"longest_chain": int(self.longest_chain)}
        if isinstance(shape, Shape):
            chosen = {"seed": self.seed, **bound}
            return self.cache.packing(
                shape.size,
                self.target,
                chosen,
                lambda: pack_shape(shape, self.target, **chosen),
                shape,
            )
        size, options = self._class(shape), {"rounds": self.rounds, "seed": self.seed, **bound}
        return self.cache.packing(
            size, self.target, options, lambda: pack_cliques(size, self.target, **options)
        )

    def _class(self, size: int) -> int:
        return round_up(self.target.topology, size) if self.target.is_grid else size


def _structure(component: Longs, shapes: dict[int, Shape], longest_chain: int | None) -> str:
    digest = hashlib.sha256(component.tobytes())
    if longest_chain is not None:
        digest.update(f"chains<={longest_chain};".encode())
    for c, shape in shapes.items():
        digest.update(f"{c}:{shape.name};".encode())
    return digest.hexdigest()


def _rank(name: int | Shape) -> tuple[bool, int, str]:
    """Cliques first, then shapes, each from the largest."""
    if isinstance(name, Shape):
        return True, -name.size, name.name
    return False, -name, ""


def _holds(larger: int | Shape, name: int | Shape) -> bool:
    """Return whether a copy of one class can take a component of another that ranks after it."""
    if isinstance(larger, Shape) and isinstance(name, Shape):
        return larger.holds(name)
    return isinstance(larger, int) and isinstance(name, int)


def _deal(
    wanted: Longs, classes: list[int | Shape], room: Callable[[int], int]
) -> tuple[Longs, Longs, Longs]:
    """Deal components out over submissions, each of which is filled with copies of one class.

    The first class still waiting opens a submission; what it leaves free goes to later ones that
    its copies can hold.

    Args:
        wanted: class of each component, as a position in ``classes``.
        classes: clique sizes and shapes, the largest first.
        room: how many copies of a class one submission holds; asked only where one is opened.

    Returns:
        Submission, class of the slot, and slot of each component.
    """
    submission, slot = np.zeros(len(wanted), np.int64), np.zeros(len(wanted), np.int64)
    slot_class = np.zeros(len(wanted), np.int64)
    waiting = [np.flatnonzero(wanted == place) for place in range(len(classes))]
    opened = 0
    for place, name in enumerate(classes):
        while len(waiting[place]):
            free, used = room(place), 0
            for other in range(place, len(classes)):
                if used == free:
                    break
                if not len(waiting[other]) or not _holds(name, classes[other]):
                    continue
                dealt, waiting[other] = np.split(waiting[other], [free - used])
                submission[dealt], slot_class[dealt] = opened, place
                slot[dealt] = used + np.arange(len(dealt))
                used += len(dealt)
            opened += 1
    return submission, slot_class, slot


def _chains(
    component: Longs, slot_class: Longs, slot: Longs, packings: dict[int, Packing]
) -> tuple[Longs, Longs]:
    """Give the variables of each component the chains of its slot, in order."""
    n = len(component)
    place = places_within(component)
    begin, length = np.zeros(n, np.int64), np.zeros(n, np.int64)
    pool, offset = [np.zeros(0, np.int64)], 0
    for name, packing in packings.items():
        pool.append(packing.qubit)
        mine = slot_class[component] == name
        chain = slot[component[mine]] * packing.size + place[mine]
        begin[mine] = offset + packing.ptr[chain]
        length[mine] = packing.ptr[chain + 1] - packing.ptr[chain]
        offset += len(packing.qubit)
    ptr = pointers(length)
    entries = np.arange(ptr[-1]) + np.repeat(begin - ptr[:-1], length)
    return ptr, np.concatenate(pool)[entries]
