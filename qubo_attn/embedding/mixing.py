"""Search for mixtures: copies of several components side by side on one working graph.

On Pegasus and Zephyr, small components are laid as tiles: the largest first, then the next beside
them, while those that lie already may still be moved about (`qubo_attn.embedding.laying`). What no
tile is known of is embedded before them, one after another in what is free. Every result is checked
before it leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from time import monotonic

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Array, Bools, Longs
from qubo_attn.common.checks import MOST_SEED
from qubo_attn.embedding.cliques import ROUNDS, free_clique
from qubo_attn.embedding.component import Component
from qubo_attn.embedding.laying import Kind, Laid, lay_tiles, sorted_tiles
from qubo_attn.embedding.packing import NO_BOUND, Packing, chains_of
from qubo_attn.embedding.parts import Mixture, Part, together
from qubo_attn.embedding.shape_tiles import shape_tiles
from qubo_attn.embedding.shapes import embed_free
from qubo_attn.embedding.squeezing import squeeze
from qubo_attn.embedding.templates import clique_images, stock_for
from qubo_attn.embedding.tiling import Tiling, moves_of
from qubo_attn.errors import EmbeddingError
from qubo_attn.machine.lattice import Lattice
from qubo_attn.machine.target import Target

# Tiles of each sparse component, mirror images among them.
_TILES = 32
# Share of the qubits that copies laid at first may take; what is asked for beyond comes after.
_FULL = 0.9
# Share of the area whose kinds, the largest, are laid before the others.
_MOST_OF_IT = 0.85
# Qubits that a placement may lose at first where there are several kinds.
_HEAT = 2.0
# Rounds of the first phases and of each cycle of all kinds, in those asked for; cycles at most, and
# cycles without a gain after which none is begun; where the seeds of later phases start.
_FEW, _MANY, _CYCLES, _PATIENCE, _STEPS = 3, 5, 14, 4, 50
# Rounds for each attempt to squeeze in one more copy of a shape.
_PER_ATTEMPT = 4
# Placements tried between two looks at the clock.
_SLICE = 500_000
# Attempts of minorminer at each copy.
_TRIES = 2


def pack_mixture(
    mixture: Mixture,
    target: Target,
    *,
    rounds: int = ROUNDS,
    seed: int = 0,
    longest_chain: int | None = None,
    timeout: float | None = None,
) -> Packing:
    """Return as many copies of the components as were found to fit, as one copy of their union.

    Args:
        mixture: what is asked for.
        target: a machine with a working graph.
        rounds: search effort, as for `qubo_attn.embedding.cliques.pack_cliques`.
        seed: seed of all choices.
        longest_chain: qubits that a chain may have; None for any number.
        timeout: seconds after which no new step begins; results are the same everywhere without one
            only.

    Raises:
        EmbeddingError: not one copy was found.
    """
    deadline = inf if timeout is None else monotonic() + timeout
    bound = NO_BOUND if longest_chain is None else longest_chain
    mixer = _Mixer(mixture, target, rounds, seed, bound, deadline)
    parts = mixer.mix()
    if not parts:
        names = ", ".join(component.name for component in mixture.components[:3])
        limit = "" if longest_chain is None else f" with chains of at most {longest_chain} qubits"
        raise EmbeddingError(
            f"no embedding of {names} was found on {target.label}{limit}",
            requested=max(component.size for component in mixture.components),
        )
    chains = [chain for part in parts for chain in part.chains]
    return Packing.of(together(part.component for part in parts), [chains]).checked(target)


@dataclass(eq=False)
class _Mixer:
    """One search.

    Attributes:
        mixture, target, rounds, seed: as for `pack_mixture`.
        longest: qubits that a chain may have.
        deadline: when no new step begins.
        free: qubits that no copy without a tile holds.
        parts: copies without tiles.
    """

    mixture: Mixture
    target: Target
    rounds: int
    seed: int
    longest: int
    deadline: float
    free: Bools = field(init=False)
    parts: list[Part] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.free = np.ones(len(self.target.qubits), bool)

    def mix(self) -> list[Part]:
        """Return the copies, in order of the mixture's components."""
        components, tiled = self.mixture.components, {}
        only = components[0] if len(components) == 1 else None
        if only is not None and only.shape is not None and only.shape.is_path:
            paths = kernels.carve_paths(only.size, self.target.adjacency)
            chosen = paths[: self.mixture.counts[0]]
            return [Part(only, list(path[:, None])) for path in chosen]
        for component, count in zip(components, self.mixture.counts, strict=True):
            tiles = tiles_for(component, self.target, self.seed, self.longest)
            if tiles:
                tiled[component] = Kind(component, tiles, count)
        loose = [component for component in components if component not in tiled]
        for component in sorted(loose, key=lambda component: -component.size):
            self._one_by_one(component)
        parts = self.parts + (self._lay(list(tiled.values())) if tiled else [])
        number = {component: place for place, component in enumerate(components)}
        return sorted(parts, key=lambda part: number[part.component])

    def _one_by_one(self, component: Component) -> None:
        """Embed copies one after another in what is free."""
        left = self.mixture.counts[self.mixture.components.index(component)]
        while left and self.free.sum() >= component.size and monotonic() < self.deadline:
            seed = self.seed + len(self.parts)
            if component.shape is None:
                chains = free_clique(component.size, self.target, self.free, seed)
            else:
                chains = embed_free(component.shape, self.target, self.free, seed, _TRIES)
            if not chains or max(map(len, chains)) > self.longest:
                return
            self.parts.append(Part(component, chains))
            self.free[np.concatenate(chains)] = False
            left -= 1

    def _lay(self, kinds: list[Kind]) -> list[Part]:
        """Lay copies as tiles: the largest first, then what room was not reckoned for."""
        kinds = sorted(kinds, key=lambda kind: -min(map(len, kind.tiles)))
        wanted = np.array([kind.left for kind in kinds])
        taken = np.array([min(map(len, kind.tiles)) for kind in kinds])
        room, first = int(_FULL * self.free.sum()), wanted.copy()
        for k in range(len(kinds) - 1, -1, -1):
            first[k] = min(wanted[k], room // taken[k])
            room -= int(first[k] * taken[k])
        if len(kinds) == 1:
            first = wanted
        laid, moves = self._crystal(kinds[0], int(first[0])), moves_of(self.rounds, self.target)
        if len(kinds) == 1:
            laid = self._phase(kinds, laid, first, 1, moves, 0)
        else:
            laid = self._together(kinds, laid, first)
            for k in range(len(kinds) - 1, -1, -1):
                if first[k] < wanted[k]:
                    first[k] = wanted[k]
                    laid = self._phase(kinds, laid, first, len(kinds), moves, _STEPS + k)
        good = [copy for copy in laid if np.bincount(copy.chain).max() <= self.longest]
        parts = [
            Part(component, chains_of(copy.qubits, copy.chain, component.size))
            for copy, component in ((copy, kinds[copy.kind].component) for copy in good)
        ]
        if len(self.mixture.components) == 1 and len(parts) < wanted[0]:
            parts = self._squeezed(kinds[0].component, parts, int(wanted[0]))
        return parts

    def _crystal(self, kind: Kind, most: int) -> list[Laid]:
        """Return the periodic arrangement of a clique, where there is one and all is free."""
        if kind.component.shape is not None or not self.free.all():
            return []
        copies = Tiling(kind.component.size, self.target, self.longest).crystal()
        return [Laid(0, *copy) for copy in copies[:most]]

    def _together(self, kinds: Sequence[Kind], laid: list[Laid], wanted: Longs) -> list[Laid]:
        """Lay copies of several kinds: the largest, then those of most of the area, then all.

        All are laid in cycles, each from hot to cold, until none is left or more do not help.
        """
        worth = np.array([min(map(len, kind.tiles)) for kind in kinds])
        area, moves = np.cumsum(worth * wanted), moves_of(self.rounds, self.target)
        most = int(np.searchsorted(area, _MOST_OF_IT * area[-1])) + 1
        for step, shown in enumerate(dict.fromkeys((1, most))):
            laid = self._phase(kinds, laid, wanted, shown, _FEW * moves, step)
        best, since = laid, 0
        for cycle in range(_CYCLES):
            laid = self._phase(kinds, laid, wanted, len(kinds), _MANY * moves, 2 + cycle)
            covered = [sum(int(worth[copy.kind]) for copy in copies) for copies in (best, laid)]
            best, since = (laid, 0) if covered[1] > covered[0] else (best, since + 1)
            if len(best) == wanted.sum() or since == _PATIENCE or monotonic() >= self.deadline:
                break
        return best

    def _phase(
        self,
        kinds: Sequence[Kind],
        laid: list[Laid],
        wanted: Longs,
        shown: int,
        moves: int,
        step: int,
    ) -> list[Laid]:
        """Lay more copies of the first kinds, until there are as many as wanted.

        Args:
            kinds: all kinds; copies of those not shown stay or move.
            laid: copies to start from.
            wanted: copies of each kind.
            shown: kinds that copies are added of.
            moves: placements tried.
            step: number of this phase, for its seeds.
        """
        within = None if self.free.all() else self.free
        room, heat = int(self.free.sum()), _HEAT if len(kinds) > 1 else 0.0
        each = moves if self.deadline == inf else _SLICE
        for start in range(0, moves, each):
            # Something is laid however short the time is.
            if laid and monotonic() >= self.deadline:
                break
            there = np.bincount([copy.kind for copy in laid], minlength=len(kinds))
            left = []
            for k, kind in enumerate(kinds):
                most = room // min(map(len, kind.tiles))
                few = min(max(int(wanted[k] - there[k]), 0), most) if k < shown else 0
                left.append(Kind(kind.component, kind.tiles, few))
            if not any(kind.left for kind in left):
                break
            end = min(start + each, moves)
            seed = (self.seed + 1000 * step + start // each) % MOST_SEED
            heats = heat * (1 - start / moves), heat * (1 - end / moves)
            laid = lay_tiles(
                self.target,
                left,
                laid,
                end - start,
                seed,
                within,
                longest=self.longest,
                heat=heats,
            )
        return laid

    def _squeezed(self, component: Component, parts: list[Part], most: int) -> list[Part]:
        """Squeeze in more copies of a shape."""
        if component.shape is None:
            return parts
        copies, step = [part.chains for part in parts], 50
        for start in range(0, self.rounds // _PER_ATTEMPT, step):
            if monotonic() >= self.deadline:
                break
            copies = squeeze(
                component,
                copies,
                self.target,
                attempts=step,
                most=most,
                seed=self.seed + start,
                longest=self.longest,
            )
        return [Part(component, copy) for copy in copies]


def tiles_for(component: Component, target: Target, seed: int, longest: int) -> list[Array]:
    """Return tiles of a component and their mirror images, or nothing where none are known.

    Args:
        component: what is embedded.
        target: the machine.
        seed: seed of a search for tiles.
        longest: qubits that a chain may have.
    """
    if not target.is_grid:
        return []
    lattice = Lattice.of(target.topology, target.shape)
    if component.shape is None:
        tiles = list(clique_images(lattice, stock_for(target), component.size))
    else:
        found = shape_tiles(component.shape, target, seed=seed, longest=longest)
        images = [image for tile in found for image in lattice.images(tile)]
        tiles = sorted_tiles(lattice, images)[:_TILES]
    return [tile for tile in tiles if np.bincount(tile[:, 4]).max() <= longest]
