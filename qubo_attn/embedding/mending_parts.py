"""Mending of packings of sparse shapes, and of mixtures, whose machine changed.

Connected parts that the change does not touch stay as they are. Minorminer embeds each of the
others anew, near where it was, in what no other part holds.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from qubo_attn.common.arrays import Bools, Longs
from qubo_attn.embedding.component import Component
from qubo_attn.embedding.mending import Repair, longest_allowed
from qubo_attn.embedding.minors import couplers_among, embed
from qubo_attn.embedding.packing import Packing
from qubo_attn.embedding.parts import parts_of
from qubo_attn.embedding.plane import Plane
from qubo_attn.machine.target import Target

# How far beyond its own outline a part is embedded anew, in positions along a lane; then anywhere.
_MARGINS = (1.0, 3.0)


def mend_parts(
    packing: Packing, target: Target, *, longest: int, seed: int
) -> tuple[Packing | None, Repair]:
    """Return a packing that fits ``target``, made from one that no longer does.

    Args:
        packing: of any graph, as positions in the target's ``qubits``, -1 where a qubit is gone.
        target: the machine as it is now.
        longest: qubits of the longest chain of the packing found anew.
        seed: seed of all choices.

    Returns:
        The packing, or None where no copy is left, and what became of the copies.
    """
    i, j = packing.component.edges
    parts = parts_of(packing.size, i, j)
    copies, free = packing.copies(), np.ones(len(target.qubits), bool)
    hurt: list[tuple[int, int]] = []
    for c, copy in enumerate(copies):
        for p, (component, nodes) in enumerate(parts):
            chains = [copy[node] for node in nodes.tolist()]
            if Packing.of(component, [chains]).whole(target).all():
                free[np.concatenate(chains)] = False
            else:
                hurt.append((c, p))
    lost: set[int] = set()
    for c, p in hurt:
        component, nodes = parts[p]
        old = np.concatenate([copies[c][node] for node in nodes.tolist()])
        fresh = _anew(component, old[old >= 0], free, target, longest_allowed(longest), seed)
        if not fresh:
            lost.add(c)
        for node, chain in zip(nodes.tolist(), fresh, strict=False):
            copies[c][node] = chain
            free[chain] = False
    left = [copy for c, copy in enumerate(copies) if c not in lost]
    mended = len({c for c, _ in hurt} - lost)
    repair = Repair(before=len(copies), reused=len(left) - mended, mended=mended, placed=0)
    return (Packing.of(packing.component, left) if left else None), repair


def _anew(
    component: Component, old: Longs, free: Bools, target: Target, longest: int, seed: int
) -> list[Longs]:
    """Return chains of a part in free qubits near where it was, or nothing."""
    edges = list(zip(*component.edges.tolist(), strict=True))
    for window in _windows(old, target):
        room = free & window
        if component.size == 1 and room.any():
            return [np.flatnonzero(room)[:1]]
        part = couplers_among(room, target)
        if room.sum() < component.size or len(part) < len(edges):
            continue
        chains = embed(component.size, edges, part, seed, tries=2)
        if chains and max(map(len, chains)) <= longest:
            return [np.sort(chain) for chain in chains]
    return []


def _windows(old: Longs, target: Target) -> Iterator[Bools]:
    """Yield where a part is sought: around where it was, then anywhere."""
    if target.is_grid and len(old):
        plane = Plane.of(target)
        for margin in _MARGINS:
            inside = np.ones(len(target.qubits), bool)
            for where in (plane.x, plane.y):
                low, high = where[old].min() - margin, where[old].max() + margin
                inside &= (where >= low) & (where <= high)
            yield inside
    yield np.ones(len(target.qubits), bool)
