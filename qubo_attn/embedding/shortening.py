"""Fewer qubits for one embedding: annealing that takes chains out and lays them anew.

One annealing after another begins with the best embedding so far; each is longer than the last. A
clock may only end them between two calls of the kernel, so a number of rounds gives the same chains
everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Longs, pointers
from qubo_attn.embedding.component import Component
from qubo_attn.machine.target import Target

# Rounds of one call: a few hundredths of a second for short chains.
_ROUNDS = 5000
# Calls of the first annealing, and how many more the next one has.
_FIRST, _LONGER = 1, 3
# Temperatures, in qubits, at which annealings begin in turn, and at which all of them end.
_WARM, _COLD = (0.5, 1.0, 2.0), 0.15
# Qubits by which a chain may outgrow the longest one of the first embedding.
_SLACK = 4


def shorten(
    component: Component,
    chains: list[Longs],
    target: Target,
    *,
    calls: int,
    seed: int,
    longest: int,
    end: float | None = None,
) -> list[Longs]:
    """Return an embedding with fewer qubits, or as many and a shorter longest chain, or the same.

    Args:
        component: the graph.
        chains: a valid embedding of it, as positions in the target's qubits.
        target: a machine with a working graph.
        calls: of the kernel, where no clock ends the search.
        seed: seed of all choices.
        longest: qubits that a chain may have.
        end: when the search ends, by the monotonic clock, in place of ``calls``.
    """
    first, neighbour = _neighbours(component)
    best, cost = _owner(chains, target), cost_of(chains)
    room, owner = min(longest, cost[1] + _SLACK), best
    for call, (begins, warm, cold) in enumerate(_ladder()):
        # No embedding has fewer qubits than nodes.
        enough = call >= calls if end is None else monotonic() >= end
        if enough or cost[0] == component.size:
            break
        owner = best.copy() if begins else owner
        met = kernels.reroute(
            owner, first, neighbour, target.adjacency, room, _ROUNDS, warm, cold, seed + call
        )
        lengths = np.bincount(met[met >= 0])
        if (reached := (int(lengths.sum()), int(lengths.max()))) <= cost:
            best, cost = met, reached
    return [np.flatnonzero(best == node) for node in range(component.size)]


def cost_of(chains: list[Longs]) -> tuple[int, int]:
    """Return qubits and longest chain of an embedding: less is better."""
    return sum(map(len, chains)), max(map(len, chains))


def _ladder() -> Iterator[tuple[bool, float, float]]:
    """Yield whether a call begins an annealing, and the temperatures that it begins and ends at."""
    calls, turn = _FIRST, 0
    while True:
        warm = _WARM[turn % len(_WARM)]
        steps = warm * (_COLD / warm) ** np.linspace(0.0, 1.0, calls + 1)
        for call in range(calls):
            yield call == 0, float(steps[call]), float(steps[call + 1])
        calls, turn = calls + _LONGER, turn + 1


def _owner(chains: list[Longs], target: Target) -> Longs:
    """Return the node of each qubit, or -1."""
    owner = np.full(len(target.qubits), -1, np.int64)
    for node, chain in enumerate(chains):
        owner[chain] = node
    return owner


def _neighbours(component: Component) -> tuple[Longs, Longs]:
    """Return the neighbours of each node in CSR form."""
    ends = np.concatenate([component.edges, component.edges[::-1]], axis=1).astype(np.int64)
    order = np.lexsort((ends[1], ends[0]))
    return pointers(np.bincount(ends[0], minlength=component.size)), ends[1, order]
