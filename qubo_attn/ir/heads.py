"""Keys that heads have in common: those both see, and how far their heaviest keys agree.

Tables have shape (H, Q, K), one cell per head, query and key.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from qubo_attn.common.arrays import Array, Bools, Floats, Longs
from qubo_attn.ir.columns import Kind, Role, Variables
from qubo_attn.ir.program import Program


def cells(variables: Variables, *, merge_queries: bool = False) -> Longs:
    """Return the variable that keeps each key of each row, -1 where there is none.

    Args:
        variables: of a program; weights and ancillas have no cell.
        merge_queries: put all queries of a head into one row; where several queries have a variable
            each for one key, the last one stands there.

    Returns:
        int64, shape (H, Q, K), or (H, 1, K) with ``merge_queries``.
    """
    v = variables
    var = np.flatnonzero((v.role == Role.SELECT) & (v.head >= 0) & (v.query >= 0) & (v.key >= 0))
    query = np.zeros(len(var), np.int64) if merge_queries else v.query[var]
    place = v.head[var], query, v.key[var]
    shape = tuple(int(column.max(initial=-1)) + 1 for column in place)
    table = np.full(shape, -1, np.int64)
    table[place] = var
    return table


def row_counts(program: Program, table: Longs) -> Longs:
    """Return how many keys each row keeps or, where no count says so, may well keep, shape (H, Q).

    The count of its own constraint; half of its keys where it has none, or could keep more.
    """
    c = program.constraints
    counts = np.zeros(table.shape[:2], np.int64)
    pick = (c.kind == Kind.PICK) & (c.head < table.shape[0])
    query = np.minimum(c.query[pick], table.shape[1] - 1)
    counts[c.head[pick], query] = np.rint(c.rhs[pick])
    half = (table >= 0).sum(axis=-1) // 2
    return np.asarray(np.where(counts > 0, np.minimum(counts, half), half))


def exchange_prices(table: Longs, linear: Floats, counts: Longs) -> Floats:
    """Return what it costs a row to fall back on its next best keys, per key, shape (H, Q).

    With a the linear coefficients in rising order and k the row's count, the mean of
    ``a_{k+1} .. a_{2k}`` less that of ``a_1 .. a_k``; couplers are left out. 0 in rows of one key.
    """
    seen = table >= 0
    order = np.sort(np.where(seen, linear[table], np.inf), axis=-1)
    sums = np.concatenate(
        [np.zeros((*table.shape[:2], 1)), np.cumsum(np.where(np.isinf(order), 0.0, order), -1)], -1
    )

    def prefix(index: Longs) -> Floats:
        return np.asarray(np.take_along_axis(sums, index[..., None], axis=-1)[..., 0])

    return np.asarray((prefix(2 * counts) - 2.0 * prefix(counts)) / np.maximum(counts, 1))


def shared_keys(table: Longs, pairs: Iterable[tuple[int, int]]) -> tuple[Longs, Longs, Longs]:
    """Return the keys that both heads of a pair see.

    Returns:
        For each such key the pair of rows, as indices (3, n) of first head, second head and query,
        and the variables of the first and of the second head.
    """
    ends = np.array(list(pairs), np.int64).reshape(-1, 2)
    first, second = table[ends[:, 0]], table[ends[:, 1]]
    pair, query, key = np.nonzero((first >= 0) & (second >= 0))
    rows = np.stack([ends[pair, 0], ends[pair, 1], query])
    return rows, first[pair, query, key], second[pair, query, key]


def top_k(mass: Floats, visible: Bools, counts: Array) -> Bools:
    """Return the ``counts`` keys of largest mass of each row.

    Args:
        mass: float64, shape (H, Q, K).
        visible: bool, shape (H, Q, K).
        counts: keys to keep, shape (H, Q).
    """
    order = np.argsort(-np.where(visible, mass, -1.0), axis=-1, kind="stable")
    rank = np.argsort(order, axis=-1, kind="stable")
    return np.asarray((rank < np.asarray(counts)[..., None]) & visible)


def overlaps(mass: Floats, visible: Bools, counts: Longs) -> Floats:
    """Return the mean share of their top keys that two heads have in common, shape (H, H).

    The top keys of a row are its ``counts`` keys of largest mass. Of two rows of one query the
    share is |both| / min of the counts; the mean is over queries at which both rows see more keys
    than they keep, and 0 where there is none.

    Args:
        mass: float64, shape (H, Q, K).
        visible: bool, shape (H, Q, K).
        counts: int, shape (H, Q).
    """
    choice = (visible.sum(axis=-1) > counts) & (counts > 0)
    top = (top_k(mass, visible, counts) & choice[..., None]).astype(np.float64)
    common = np.einsum("hqk,gqk->hgq", top, top, optimize=True)
    least = np.minimum(counts[:, None], counts[None]).clip(min=1)
    both = choice[:, None] & choice[None]
    queries = both.sum(axis=-1)
    return np.asarray((common / least).sum(axis=-1) / np.maximum(queries, 1))


def link_groups(likeness: Floats, threshold: float) -> tuple[tuple[int, ...], ...]:
    """Return groups in which every two heads are alike by at least ``threshold``.

    Complete linkage: the two groups whose least alike members are most alike are merged first, the
    earlier heads where several are, until no merged group would keep the threshold.

    Args:
        likeness: float64, symmetric, shape (H, H).
        threshold: least likeness within a group.

    Returns:
        The groups of more than one head, by first head.

    Example:
        >>> import numpy as np
        >>> link_groups(np.array([[1, 0.9, 0.5], [0.9, 1, 0.8], [0.5, 0.8, 1]]), 0.8)
        ((0, 1),)
    """
    groups = [[head] for head in range(len(likeness))]
    between = np.where(np.tri(len(likeness), dtype=bool), -np.inf, likeness)
    while len(groups) > 1:
        a, b = np.unravel_index(int(between.argmax()), between.shape)
        if between[a, b] < threshold - 1e-12:
            break
        groups[a] = sorted(groups[a] + groups.pop(b))
        merged = np.minimum(np.fmax(between[a], between[:, a]), np.fmax(between[b], between[:, b]))
        between[a], between[:, a] = merged, merged
        between = np.delete(np.delete(between, b, axis=0), b, axis=1)
        between[np.tri(len(between), dtype=bool)] = -np.inf
    return tuple(tuple(group) for group in sorted(groups) if len(group) > 1)


def greedy_path(likeness: Floats) -> list[tuple[int, int]]:
    """Return a path through all heads that takes the most alike pairs first.

    Pairs are taken by falling likeness, the earlier heads where several are alike, as long as no
    head gets a third neighbour and no circle closes.

    Example:
        >>> import numpy as np
        >>> greedy_path(np.array([[1, 0.1, 0.9], [0.1, 1, 0.2], [0.9, 0.2, 1]]))
        [(0, 2), (1, 2)]
    """
    first, second = np.triu_indices(len(likeness), 1)
    end = list(range(len(likeness)))  # of a path's end, the other end; -1 inside
    path = []
    for t in np.argsort(-likeness[first, second], kind="stable").tolist():
        h, g = int(first[t]), int(second[t])
        if -1 in (end[h], end[g]) or end[h] == g:
            continue
        path.append((h, g))
        far_h, far_g = end[h], end[g]
        end[h] = end[g] = -1
        end[far_h], end[far_g] = far_g, far_h
    return sorted(path)
