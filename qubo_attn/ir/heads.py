"""Keys that heads have in common: those both see, and how far their heaviest keys agree.

Rows are ragged: memory grows with the keys that are seen, not with heads x queries x keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Bools, Floats, Longs, pointers, segment_ids
from qubo_attn.ir.columns import Kind, Role, Variables
from qubo_attn.ir.program import Program


class Cells(NamedTuple):
    """The variables that keep keys, by head, query and key.

    Attributes:
        shape: H, Q and K, one more than the largest head, query and key.
        ptr: int64, shape (H Q + 1,), first entry of each row; row ``head * Q + query``.
        place: int64, ``query * K + key`` of each entry; ascends within a head.
        var: int64, the variable of each entry.
    """

    shape: tuple[int, int, int]
    ptr: Longs
    place: Longs
    var: Longs

    @property
    def sizes(self) -> Longs:
        """Keys of each row, shape (H, Q)."""
        return np.diff(self.ptr).reshape(self.shape[:2])

    def head(self, head: int) -> slice:
        """Return the entries of a head."""
        queries = self.shape[1]
        return slice(int(self.ptr[head * queries]), int(self.ptr[(head + 1) * queries]))


def cells(variables: Variables, *, merge_queries: bool = False) -> Cells:
    """Return the variables that keep keys; weights and ancillas do not.

    Args:
        variables: of a program.
        merge_queries: put all queries of a head into one row; where several queries have a variable
            each for one key, the last one stands there.
    """
    v = variables
    var = np.flatnonzero((v.role == Role.SELECT) & (v.head >= 0) & (v.query >= 0) & (v.key >= 0))
    query = np.zeros(len(var), np.int64) if merge_queries else v.query[var].astype(np.int64)
    head, key = v.head[var].astype(np.int64), v.key[var]
    shape = tuple(int(column.max(initial=-1)) + 1 for column in (head, query, key))
    return _sorted(shape, head, query * shape[2] + key, var)


def _sorted(shape: tuple[int, ...], head: Longs, place: Longs, var: Longs) -> Cells:
    """Return cells in order; of several at one place the last one."""
    heads, queries, keys = shape
    cell = head * (queries * keys) + place
    if not (cell[1:] > cell[:-1]).all():
        order = np.argsort(cell, kind="stable")
        order = order[np.append(np.diff(cell[order]) > 0, True)[: len(order)]]
        head, place, var = head[order], place[order], var[order]
    row = head * queries + place // max(keys, 1)
    ptr = pointers(np.bincount(row, minlength=heads * queries))
    return Cells((heads, queries, keys), ptr, place, var)


def over_queries(table: Cells, mass: Floats) -> tuple[Cells, Floats]:
    """Return cells with all queries of a head in one row, and the mass of each, summed."""
    heads, queries, keys = table.shape
    cell = segment_ids(table.ptr) // max(queries, 1) * keys + table.place % max(keys, 1)
    first, member = np.unique(cell, return_inverse=True)
    merged = _sorted((heads, 1, keys), first // max(keys, 1), first % max(keys, 1), first)
    return merged, np.bincount(member, mass, len(first)).astype(np.float64, copy=False)


def row_counts(program: Program, table: Cells) -> Longs:
    """Return how many keys each row keeps or, where no count says so, may well keep, shape (H, Q).

    The count of its own constraint; half of its keys where it has none, or could keep more.
    """
    c, half = program.constraints, table.sizes // 2
    counts = np.zeros_like(half)
    pick = (c.kind == Kind.PICK) & (c.head < table.shape[0])
    query = np.minimum(c.query[pick], table.shape[1] - 1)
    counts[c.head[pick], query] = np.rint(c.rhs[pick])
    return np.asarray(np.where(counts > 0, np.minimum(counts, half), half))


def exchange_prices(table: Cells, linear: Floats, counts: Longs) -> Floats:
    """Return what it costs a row to fall back on its next best keys, per key, shape (H, Q).

    With a the linear coefficients in rising order and k the row's count, the mean of
    ``a_{k+1} .. a_{2k}`` less that of ``a_1 .. a_k``; couplers are left out. 0 in rows of one key.
    """
    cost, row = linear[table.var], segment_ids(table.ptr)
    # The zero at the end keeps every start within the array.
    rising = np.append(cost[np.lexsort((cost, row))], 0.0)
    k = counts.ravel()
    asked = np.flatnonzero(k > 0)
    start, k = table.ptr[asked], k[asked]
    sums = np.add.reduceat(rising, np.stack([start, start + k, start + 2 * k], axis=1).ravel())
    prices = np.zeros(counts.size)
    prices[asked] = (sums[1::3] - sums[::3]) / k
    return prices.reshape(counts.shape)


def shared_keys(table: Cells, pairs: Iterable[tuple[int, int]]) -> tuple[Longs, Longs, Longs]:
    """Return the keys that both heads of a pair see.

    Returns:
        For each such key the pair of rows, as indices (3, n) of first head, second head and query,
        and the variables of the first and of the second head.
    """
    rows, variables = [np.zeros((3, 0), np.int64)], [np.zeros((2, 0), np.int64)]
    for ends in pairs:
        first, second = (table.head(head) for head in ends)
        place, *at = np.intersect1d(
            table.place[first], table.place[second], assume_unique=True, return_indices=True
        )
        heads = (np.full(len(place), head) for head in ends)
        rows.append(np.stack([*heads, place // max(table.shape[2], 1)]))
        variables.append(np.stack([table.var[first][at[0]], table.var[second][at[1]]]))
    first_var, second_var = np.concatenate(variables, axis=1)
    return np.concatenate(rows, axis=1), first_var, second_var


def top_keys(ptr: Longs, mass: Floats, counts: Longs) -> Bools:
    """Return which entries are among those of largest mass of their row, the earlier where equal.

    Args:
        ptr: first entry of each row.
        mass: of each entry.
        counts: entries to keep, by row.
    """
    row = segment_ids(ptr)
    order = np.lexsort((-mass, row))
    top = np.zeros(len(mass), bool)
    top[order] = np.arange(len(mass)) - ptr[row] < counts[row]
    return top


def overlaps(table: Cells, mass: Floats, counts: Longs, heads: Sequence[int]) -> Floats:
    """Return the mean share of their top keys that two heads have in common.

    The top keys of a row are its ``counts`` keys of largest mass. Of two rows of one query the
    share is |both| / min of the counts; the mean is over queries at which both rows see more keys
    than they keep, and 0 where there is none.

    Args:
        table: rows of all heads.
        mass: float64, of each entry.
        counts: int, shape (H, Q).
        heads: those to compare, n of them.

    Returns:
        float64, symmetric, shape (n, n).
    """
    choice = (table.sizes > counts) & (counts > 0)
    top = top_keys(table.ptr, mass, np.where(choice, counts, 0).ravel())
    places = [table.place[table.head(head)][top[table.head(head)]] for head in heads]
    likeness, (_, queries, keys) = np.zeros((len(heads), len(heads))), table.shape
    for a, h in enumerate(heads):
        for b, g in enumerate(heads[: a + 1]):
            both = np.intersect1d(places[a], places[b], assume_unique=True) // max(keys, 1)
            least = np.minimum(counts[h], counts[g]).clip(min=1)
            share = (np.bincount(both, minlength=queries) / least).sum()
            likeness[a, b] = likeness[b, a] = share / max((choice[h] & choice[g]).sum(), 1)
    return likeness


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
