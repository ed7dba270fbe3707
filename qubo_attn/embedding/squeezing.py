"""More copies of a shape on a machine: some that lie close make room for one more.

A few copies near a gap are taken out, and minorminer embeds them and one more in their qubits and
in the gaps between. It works around defects that no tile fits.
"""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Bools, Longs
from qubo_attn.embedding.component import Component
from qubo_attn.embedding.minors import couplers_among, embed
from qubo_attn.embedding.parts import together
from qubo_attn.embedding.plane import Plane
from qubo_attn.machine.target import Target

# Copies that are taken out at once, and the share of their qubits that marks how far they reach.
_TAKEN, _REACH = 2, 0.95


def squeeze(
    component: Component,
    copies: list[list[Longs]],
    target: Target,
    *,
    attempts: int,
    most: int,
    seed: int,
    longest: int,
) -> list[list[Longs]]:
    """Return at least as many copies.

    Args:
        component: what is embedded.
        copies: more than two disjoint copies.
        target: a Pegasus or Zephyr machine.
        attempts: how often some are taken out.
        most: copies that are enough.
        seed: seed of all choices.
        longest: qubits that a chain may have.
    """
    if len(copies) <= _TAKEN:
        return copies
    copies, generator, plane = list(copies), np.random.default_rng(seed), Plane.of(target)
    least = min(sum(map(len, copy)) for copy in copies)
    union = together([component] * (_TAKEN + 1))
    edges = list(zip(*union.edges.tolist(), strict=True))
    for _ in range(attempts):
        owner = _owner(copies, target)
        gaps = np.flatnonzero(owner < 0)
        if len(copies) >= most or not len(gaps):
            break
        near, region = _around(int(generator.choice(gaps)), owner, len(copies), plane)
        if region.sum() < (_TAKEN + 1) * least:
            continue
        couplers = couplers_among(region, target)
        number = int(generator.integers(2**31 - 1))
        options = {"tries": 1, "max_no_improvement": 3, "chainlength_patience": 0}
        chains = embed(union.size, edges, couplers, number, **options)
        if chains and max(map(len, chains)) <= longest:
            chains, size = [np.sort(chain) for chain in chains], component.size
            fresh = [chains[at : at + size] for at in range(0, union.size, size)]
            for place, copy in zip(near.tolist(), fresh, strict=False):
                copies[place] = copy
            copies.append(fresh[-1])
    return copies


def _owner(copies: list[list[Longs]], target: Target) -> Longs:
    """Return the copy that holds each qubit, or -1."""
    owner = np.full(len(target.qubits), -1, np.int64)
    for c, copy in enumerate(copies):
        owner[np.concatenate(copy)] = c
    return owner


def _around(gap: int, owner: Longs, copies: int, plane: Plane) -> tuple[Longs, Bools]:
    """Return the copies nearest to a free qubit, and their qubits with the gaps between."""
    far = np.maximum(np.abs(plane.x - plane.x[gap]), np.abs(plane.y - plane.y[gap]))
    held = owner >= 0
    total = np.bincount(owner[held], far[held], minlength=copies)
    near = np.argsort(total / np.bincount(owner[held], minlength=copies), kind="stable")[:_TAKEN]
    inside = np.isin(owner, near)
    return near, inside | (~held & (far <= np.quantile(far[inside], _REACH)))
