"""Making damaged clique embeddings whole again.

What a defect breaks is small: a chain falls apart, or two chains lose the coupler they met at. The
largest piece of each chain is kept, and chains then grow through free qubits, along the path that
meets the most missing partners per qubit. Qubits that turn out not to be needed are given back.
"""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Array, Bools, Longs
from qubo_attn.kernels._jit import kernel


@kernel
def mend_clique(
    owner: Longs,
    chains: int,
    free: Bools,
    first: Longs,
    neighbour: Longs,
    longest: int,
    most: int,
    spare: bool,
) -> tuple[int, Longs]:
    """Make the chains in ``owner`` a clique embedding, growing them through free qubits.

    Args:
        owner: chain of each qubit or -1; changed in place.
        chains: how many chains there are.
        free: qubits that chains may grow into; chains' own qubits must be free too.
        first, neighbour: the working graph in CSR form.
        longest: qubits that a chain may have; most: qubits that all may have together.
        spare: whether qubits that are not needed are taken off in the end.

    Returns:
        How many pairs of chains are not coupled (also when given up), and for each chain how many
        others it does not meet; a chain without qubits meets none.
    """
    qubits = len(owner)
    members = np.empty((chains, longest), np.int64)
    length = np.zeros(chains, np.int64)
    seen = np.zeros(qubits, np.int64)
    queue = np.empty(qubits, np.int64)
    _keep_largest_pieces(owner, members, length, first, neighbour, seen, queue)
    met = np.zeros((chains, chains), np.int64)
    for c in range(chains):
        for s in range(length[c]):
            q = members[c, s]
            for e in range(first[q], first[q + 1]):
                d = owner[neighbour[e]]
                if d >= 0:
                    met[c, d] += 1
    lacking = np.zeros(chains, np.int64)
    total, unmet = 0, 0
    for c in range(chains):
        total += length[c]
        for d in range(chains):
            if d != c and met[c, d] == 0:
                lacking[c] += 1
        unmet += lacking[c]
    unmet //= 2
    stuck = np.zeros(chains, np.bool_)
    parent = np.empty(qubits, np.int64)
    depth = np.empty(qubits, np.int64)
    gain = np.empty(qubits, np.int64)
    stamp = np.zeros(chains, np.int64)
    mark, turn = chains + 1, 0
    seen[:] = 0
    while unmet:
        c, worst = -1, 0
        for d in range(chains):
            if not stuck[d] and lacking[d] > worst:
                c, worst = d, lacking[d]
        if c < 0:
            break
        # Breadth first from chain c through free qubits; a path's worth is what it newly meets.
        mark += 1
        room = min(longest - length[c], most - total)
        head, tail = 0, 0
        for s in range(length[c]):
            q = members[c, s]
            seen[q] = mark
            depth[q], gain[q], parent[q] = 0, 0, -1
            queue[tail] = q
            tail += 1
        best, best_gain, best_depth = -1, 0, 1
        while head < tail:
            q = queue[head]
            head += 1
            if depth[q] >= room or (best >= 0 and depth[q] * best_gain > worst * best_depth):
                break
            for e in range(first[q], first[q + 1]):
                r = neighbour[e]
                if seen[r] == mark or owner[r] >= 0 or not free[r]:
                    continue
                seen[r] = mark
                parent[r], depth[r] = q, depth[q] + 1
                turn += 1
                worth = gain[q]
                for f in range(first[r], first[r + 1]):
                    d = owner[neighbour[f]]
                    if d >= 0 and d != c and met[c, d] == 0 and stamp[d] != turn:
                        stamp[d] = turn
                        worth += 1
                gain[r] = worth
                queue[tail] = r
                tail += 1
                if worth * best_depth > best_gain * depth[r]:
                    best, best_gain, best_depth = r, worth, depth[r]
        if best < 0:
            stuck[c] = True
            continue
        while owner[best] < 0:
            owner[best] = c
            members[c, length[c]] = best
            length[c] += 1
            total += 1
            for e in range(first[best], first[best + 1]):
                d = owner[neighbour[e]]
                if d >= 0:
                    if d != c and met[c, d] == 0:
                        lacking[c] -= 1
                        lacking[d] -= 1
                        unmet -= 1
                    met[c, d] += 1
                    met[d, c] += 1
            best = parent[best]
    if spare:
        _take_off(owner, members, length, met, first, neighbour, seen, queue)
    return unmet, lacking


@kernel
def regrow_clique(
    owner: Longs,
    unmet: int,
    lacking: Longs,
    free: Bools,
    first: Longs,
    neighbour: Longs,
    longest: int,
    rounds: int,
    places: int,
    seed: int,
) -> tuple[int, Longs]:
    """Take chains that lack couplers out and grow them anew from where many others are near.

    Args:
        owner: chain of each qubit or -1, as `mend_clique` leaves it; changed in place.
        unmet, lacking: what `mend_clique` returned for it.
        free, first, neighbour, longest: as for `mend_clique`.
        rounds: chains taken out, at most; places: free qubits that are compared as a new start.
        seed: of all choices.

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
        for _ in range(places):
            q = open_qubits[np.random.randint(count)]
            turn += 1
            near = 0
            for e in range(first[q], first[q + 1]):
                d = other[neighbour[e]]
                if d < 0:
                    d = chains  # free qubits count as one more chain
                if stamp[d] != turn:
                    stamp[d] = turn
                    near += 1
            if near > most_near:
                start, most_near = q, near
        other[start] = c
        found, short = mend_clique(other, chains, free, first, neighbour, longest, qubits, True)
        if found <= unmet:
            unmet, lacking = found, short
            owner[:] = other
    return unmet, lacking


@kernel
def _keep_largest_pieces(
    owner: Longs,
    members: Array,
    length: Longs,
    first: Longs,
    neighbour: Longs,
    seen: Longs,
    queue: Longs,
) -> None:
    """Reduce each chain to its largest connected piece, at most as long as a chain may be."""
    longest = members.shape[1]
    for root in range(len(owner)):
        c = owner[root]
        if c < 0 or seen[root]:
            continue
        seen[root] = 1
        queue[0] = root
        head, tail = 0, 1
        while head < tail:
            q = queue[head]
            head += 1
            for e in range(first[q], first[q + 1]):
                r = neighbour[e]
                if owner[r] == c and not seen[r]:
                    seen[r] = 1
                    queue[tail] = r
                    tail += 1
        size = min(tail, longest)
        if size > length[c]:
            for s in range(length[c]):
                owner[members[c, s]] = -1
            for s in range(size):
                members[c, s] = queue[s]
            length[c] = size
            for s in range(size, tail):
                owner[queue[s]] = -1
        else:
            for s in range(tail):
                owner[queue[s]] = -1


@kernel
def _take_off(
    owner: Longs,
    members: Array,
    length: Longs,
    met: Array,
    first: Longs,
    neighbour: Longs,
    seen: Longs,
    queue: Longs,
) -> None:
    """Free ends of chains whose couplers are all doubled elsewhere, from long chains first."""
    chains = len(length)
    touches = np.zeros(chains, np.int64)
    for c in np.argsort(-length):
        s = 0
        while s < length[c]:
            q = members[c, s]
            inside = 0
            needed = length[c] == 1
            touches[:] = 0
            for e in range(first[q], first[q + 1]):
                d = owner[neighbour[e]]
                if d == c:
                    inside += 1
                elif d >= 0:
                    touches[d] += 1
                    if touches[d] == met[c, d]:
                        needed = True
            # Only ends come off: a chain stays connected without a qubit that has one neighbour.
            if needed or inside != 1:
                s += 1
                continue
            owner[q] = -1
            length[c] -= 1
            members[c, s] = members[c, length[c]]
            for d in range(chains):
                met[c, d] -= touches[d]
                met[d, c] -= touches[d]
            s = 0
