"""Chains of a clique embedding taken out and grown anew elsewhere, until all pairs are coupled."""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Bools, Longs
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.graph import WorkingGraph
from qubo_attn.kernels.mending import mend_clique

# Free qubits that are compared as a new start of a chain.
_STARTS = 20


@kernel
def regrow_clique(
    owner: Longs,
    unmet: int,
    lacking: Longs,
    free: Bools,
    graph: WorkingGraph,
    longest: int,
    rounds: int,
    seed: int,
) -> tuple[int, Longs]:
    """Take chains that lack couplers out and grow them anew from where many others are near.

    Args:
        owner: chain of each qubit or -1, as `mend_clique` leaves it; changed in place.
        unmet, lacking: what `mend_clique` returned for it.
        free, graph, longest: as for `mend_clique`.
        rounds: chains taken out, at most.
        seed: seed of all choices.

    Returns:
        What `mend_clique` returns, for what ``owner`` then holds.
    """
    chains, qubits = len(lacking), len(owner)
    np.random.seed(seed)
    other, open_qubits = np.empty_like(owner), np.empty(qubits, np.int64)
    stamp, turn = np.zeros(chains + 1, np.int64), 0
    for _ in range(rounds):
        if not unmet:
            break
        # Mostly a chain that lacks something; at times another one, to make room.
        total = lacking.sum()
        pick, c = np.random.random() * 1.2 * total, 0
        pick -= lacking[0] + 0.2 * total / chains
        while pick > 0 and c < chains - 1:
            c += 1
            pick -= lacking[c] + 0.2 * total / chains
        count = 0
        for q in range(qubits):
            other[q] = -1 if owner[q] == c else owner[q]
            if other[q] < 0 and free[q]:
                open_qubits[count] = q
                count += 1
        if not count:
            break
        start, most_near = -1, -1
        for _ in range(_STARTS):
            q = open_qubits[np.random.randint(count)]
            turn += 1
            near = 0
            for e in range(graph.first[q], graph.first[q + 1]):
                d = other[graph.neighbour[e]]
                if d < 0:
                    d = chains  # free qubits count as one more chain
                if stamp[d] != turn:
                    stamp[d] = turn
                    near += 1
            if near > most_near:
                start, most_near = q, near
        other[start] = c
        left, short = mend_clique(other, chains, free, graph, longest, qubits)
        if left <= unmet:
            unmet, lacking = left, short
            owner[:] = other
    return unmet, lacking
