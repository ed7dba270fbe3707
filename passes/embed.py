"""Embed: place every connected component of a program on a machine.

Couplers join variables, and so do constraints, whether their price happens to need couplers or not:
the components, and with them the placement, do not depend on values. A component of n variables
takes one copy of a clique's embedding: whatever its couplers are, they are among the clique's, so
the placement fits every batch of the same shape. Where constraints leave most pairs of a component
uncoupled (walls, switches, a few pair terms), it takes one copy of its own shape instead, with
shorter chains; see `qubo_attn.embedding.shapes`.

Cliques and shapes are packed once per target, kept in the cache, and dealt out largest component
first. A smaller component may take a place of a larger one of its kind that is left over in a
submission. Where cliques of several sizes would fit in fewer submissions, the last of these are
packed side by side, for the very rows there are (`qubo_attn.embedding.dealing`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ClassVar

import numpy as np

from qubo_attn.common.arrays import Longs, pointers
from qubo_attn.common.checks import MOST_SEED, instance, whole
from qubo_attn.common.keywords import named_fields
from qubo_attn.common.words import plural
from qubo_attn.embedding.cache import CachedPacking, EmbeddingCache
from qubo_attn.embedding.cliques import ROUNDS
from qubo_attn.embedding.component import Component, Shape
from qubo_attn.embedding.dealing import Seats, ends_mixed
from qubo_attn.embedding.mixing import pack_mixture
from qubo_attn.embedding.parts import Mixture
from qubo_attn.embedding.placement import Placement
from qubo_attn.embedding.shapes import pack_shape
from qubo_attn.embedding.shipped import packed_cliques
from qubo_attn.embedding.sparse import sparse_shapes
from qubo_attn.embedding.templates import round_up, stock_for
from qubo_attn.ir.components import places_within
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program
from qubo_attn.machine.target import Target
from qubo_attn.pipeline.pipeline import BINARY, PRICED, Fact
from qubo_attn.pipeline.rewrite import Rewrite

# What is said of a placement that an earlier batch had.
TAKEN_OVER = ("placement taken over",)
_NONE: Mapping[str, Placement] = MappingProxyType({})


@named_fields
@dataclass(frozen=True)
class Embed:
    """Place a program on a target.

    Attributes:
        target: the machine.
        cache: where packings are kept.
        rounds: search effort for a new packing; see `qubo_attn.embedding.cliques.pack_cliques`.
        seed: seed of the embedding search.
        longest_chain: qubits that a chain may have; None for any number.

    Example:
        >>> from qubo_attn import Embed, InsertPenalties, Pipeline, Program, Target
        >>> program = Program.parse(\'\'\'
        ... x[0,0,0] : -2
        ... x[0,0,1] : -1
        ... pick[0,0]: x[0,0,0] + x[0,0,1] == 1
        ... \'\'\')
        >>> stages = Pipeline((InsertPenalties(), Embed(Target.zephyr(2)))).run(program)
        >>> stages[-1].rewrite.notes
        ('1 component in 1 submission',)
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
        instance("target", self.target, Target)
        instance("cache", self.cache, EmbeddingCache)
        object.__setattr__(self, "rounds", whole("rounds", self.rounds))
        object.__setattr__(self, "seed", whole("seed", self.seed, most=MOST_SEED))
        if self.longest_chain is not None:
            longest = whole("longest_chain", self.longest_chain, 1)
            object.__setattr__(self, "longest_chain", longest)

    def apply(self, program: Program, known: Mapping[str, Placement] = _NONE) -> Rewrite:
        """Return the program unchanged, with its placement.

        Args:
            program: bits only, constraints priced.
            known: earlier placements on this target by their ``structure``; one of them is taken
                over where the program's components are the same.

        Raises:
            EmbeddingError: a component does not fit even alone.
        """
        lift, component = Lift.identity(len(program)), program.components
        shapes = sparse_shapes(program, component)
        structure = _structure(component, shapes, self.longest_chain)
        if structure in known:
            return Rewrite(program, lift, notes=TAKEN_OVER, placement=known[structure])
        sizes = np.bincount(component)
        seats, packings = self._dealt(sizes, shapes)
        if not shapes and self.target.is_grid and len(set(sizes.tolist())) > 1:
            rules = (self.target, self.longest_chain, self.packing)
            seats, packings = ends_mixed(sizes, seats, packings, *rules)
        chain_ptr, chain_qubit = _chains(component, seats, packings)
        submission = seats.submission[component]
        placement = Placement(self.target, submission, component, chain_ptr, chain_qubit, structure)
        components = plural(len(sizes), "component", "d")
        notes = [f"{components} in {plural(placement.submissions, 'submission')}"]
        if shapes:
            notes.append(
                f"{len(shapes)} of them in {plural(len(set(shapes.values())), 'sparse shape')}"
            )
        # A packing from the cache is the rule; a repaired one has longer chains.
        notes += [str(entry) for entry in packings.values() if entry.origin.repair is not None]
        return Rewrite(program, lift, notes=tuple(notes), placement=placement)

    def packing(self, component: Component | Mixture | int) -> CachedPacking:
        """Return the packing of a component, found once and then kept.

        Args:
            component: a clique or a sparse shape; a number stands for the clique of so many
                variables, a mixture for what of it fits in one submission.

        Raises:
            EmbeddingError: such a component does not fit even alone.
        """
        if isinstance(component, Mixture):
            return self._mixed(component)
        if not isinstance(component, Component):
            component = Component(component)
        if component.shape is None:
            component = self._clique(component.size)
        target, shape = self.target, component.shape
        options = {"seed": self.seed}
        if self.longest_chain is not None:
            options["longest_chain"] = self.longest_chain
        if shape is not None:
            return self.cache.packing(
                component, target, options, lambda: pack_shape(shape, target, **options)
            )
        options["rounds"] = self.rounds
        return self.cache.packing(
            component, target, options, lambda: packed_cliques(component.size, target, options)
        )

    def _mixed(self, mixture: Mixture) -> CachedPacking:
        """Return components side by side, as many of a mixture as were found to fit."""
        options = {"seed": self.seed, "rounds": self.rounds}
        if self.longest_chain is not None:
            options["longest_chain"] = self.longest_chain
        return self.cache.packing(
            mixture, self.target, options, lambda: pack_mixture(mixture, self.target, **options)
        )

    def _clique(self, size: int) -> Component:
        """Return the clique that is packed for components of a size."""
        return Component(round_up(stock_for(self.target), size))

    def _dealt(
        self, sizes: Longs, shapes: Mapping[int, Shape]
    ) -> tuple[Seats, Mapping[int, CachedPacking]]:
        """Deal components out over submissions, each of which is filled with copies of one kind.

        The largest kind still waiting opens a submission; what it leaves free goes to later ones
        that its copies can hold. A packing is asked for only where a submission is opened.

        Args:
            sizes: variables of each component.
            shapes: those of sparse components.

        Returns:
            The seat of each component, and the packings by kind.
        """
        cliques = {size: self._clique(size) for size in np.unique(sizes).tolist()}
        wanted = [cliques[size] for size in sizes.tolist()]
        for c, shape in shapes.items():
            wanted[c] = Component(shape.size, shape)
        kinds = sorted(set(wanted), key=lambda kind: kind.rank)
        number = {kind: place for place, kind in enumerate(kinds)}
        kind_of = np.array([number[kind] for kind in wanted], np.int64)
        seats = Seats(*(np.full(len(sizes), -1, np.int64) for _ in range(3)))
        packings: dict[int, CachedPacking] = {}
        opened = 0
        for place, kind in enumerate(kinds):
            served = [p for p in range(place, len(kinds)) if kind.holds(kinds[p])]
            while ((kind_of == place) & (seats.submission < 0)).any():
                if place not in packings:
                    packings[place] = self.packing(kind)
                waiting = np.flatnonzero(np.isin(kind_of, served) & (seats.submission < 0))
                order = np.argsort(kind_of[waiting], kind="stable")
                first = waiting[order][: len(packings[place].packing)]
                seats.submission[first], seats.kind[first] = opened, place
                seats.chain[first] = np.arange(len(first)) * kind.size
                opened += 1
        return seats, packings


def _structure(component: Longs, shapes: Mapping[int, Shape], longest_chain: int | None) -> str:
    """Return a hash of all that a placement depends on."""
    digest = hashlib.sha256(component.tobytes())
    if longest_chain is not None:
        digest.update(f"chains<={longest_chain};".encode())
    for c, shape in shapes.items():
        digest.update(f"{c}:{shape.name};".encode())
    return digest.hexdigest()


def _chains(
    component: Longs, seats: Seats, packings: Mapping[int, CachedPacking]
) -> tuple[Longs, Longs]:
    """Give the variables of each component the chains of its copy, in order."""
    n, place = len(component), places_within(component)
    begin, length = np.zeros(n, np.int64), np.zeros(n, np.int64)
    pool, offset = [np.zeros(0, np.int64)], 0
    for kind, entry in packings.items():
        packing = entry.packing
        pool.append(packing.qubit)
        members = np.flatnonzero(seats.kind[component] == kind)
        chain = seats.chain[component[members]] + place[members]
        begin[members] = offset + packing.ptr[chain]
        length[members] = packing.ptr[chain + 1] - packing.ptr[chain]
        offset += len(packing.qubit)
    ptr = pointers(length)
    entries = np.arange(ptr[-1]) + np.repeat(begin - ptr[:-1], length)
    return ptr, np.concatenate(pool)[entries]
