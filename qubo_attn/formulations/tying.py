"""Costs of tying heads: the mass lost, a bound on the energy, and the price of a soft tie."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Bools, Floats, Ints, Longs, csr_rows, pointers, segment_ids
from qubo_attn.common.words import plural
from qubo_attn.errors import PassError
from qubo_attn.ir.added import with_couplers
from qubo_attn.ir.columns import Kind, Role, Variables
from qubo_attn.ir.heads import (
    cells,
    exchange_prices,
    link_groups,
    over_queries,
    overlaps,
    row_counts,
    shared_keys,
    top_keys,
)
from qubo_attn.ir.program import Program
from qubo_attn.ir.rows import exact_rows
from qubo_attn.ir.ties import Groups, Ties


def find_groups(
    variables: Variables, threshold: float, k: int, *, queries: bool
) -> tuple[Groups, tuple[str, ...]]:
    """Return groups of heads whose top keys overlap, and what each group loses by tying.

    Heads that see different keys at some query are never grouped.

    Args:
        variables: of a program with every key of every row.
        threshold: least share of top keys that every two heads of a group have in common.
        k: keys of largest softmax mass to compare.
        queries: compare the keys of largest mass over all queries.

    Returns:
        The groups, and a note on each.

    Raises:
        PassError: a key carries no softmax mass.
    """
    table = cells(variables)
    mass = variables.mass[table.var]
    if np.isnan(mass).any():
        raise PassError("overlap needs the softmax mass of every key; give groups= instead")
    heads = range(table.shape[0])
    seen = np.array([table.place[table.head(head)].tobytes() for head in heads], object)
    if queries:
        table, mass = over_queries(table, mass)
    counts = np.full(table.shape[:2], k)
    likeness = np.where(seen[:, None] == seen, overlaps(table, mass, counts, heads), -1.0)
    groups = link_groups(likeness, threshold)
    notes = []
    for group in map(list, groups):
        # All heads of a group see the same keys.
        own = np.stack([mass[table.head(head)] for head in group])
        ptr = pointers(table.sizes[group[0]])
        shared = top_keys(ptr, own.sum(axis=0), counts[0])
        of_all = np.stack([_mass_held(ptr, shared, each) for each in own])
        of_own = [_mass_held(ptr, top_keys(ptr, each, counts[0]), each) for each in own]
        held = (of_all / np.stack(of_own).clip(min=1e-300))[:, np.diff(ptr) > k]
        held = held if held.size else np.ones(1)  # rows of k keys at most keep all
        notes.append(
            f"heads {'+'.join(map(str, group))} overlap by "
            f"{likeness[np.ix_(group, group)].min():.2f} or more: their {k} keys of largest mass "
            f"hold {held.mean():.2%} of what each head's own hold (least {held.min():.2%})"
        )
    return groups, tuple(notes) or (f"no heads overlap by {threshold:g} in their top {k} keys",)


def _mass_held(ptr: Longs, kept: Bools, mass: Floats) -> Floats:
    """Return the mass that each row keeps."""
    return np.bincount(segment_ids(ptr)[kept], mass[kept], len(ptr) - 1).astype(np.float64)


def tie_bound(program: Program, leader: Ints) -> float | None:
    """Return how far the optimum rises at most by tying; None where that cannot be bounded.

    Exchanging keys row by row leads from any optimum to the point at which every tied row keeps its
    group's keys of largest mass; `kernels.swap_costs` bounds what the exchanges cost.

    Args:
        program: before tying; every tied row has to keep an exact number of keys.
        leader: int32, the first variable of those tied to each.
    """
    rows = program.constraints.take(exact_rows(program))
    in_group = np.bincount(leader, minlength=len(program))[leader] > 1
    inside = np.zeros(len(program), bool)
    inside[rows.var] = True
    if (in_group & ~inside).any():
        return None
    row, o = segment_ids(rows.ptr), program.objective
    summed = np.bincount(leader, np.nan_to_num(program.variables.mass), len(program))[leader]
    order = np.lexsort((leader[rows.var], -summed[rows.var], row))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - rows.ptr[row]
    count = np.rint(rows.rhs).astype(np.int64)
    tied = np.bincount(row, weights=in_group[rows.var], minlength=len(rows)) > 0
    keeps = (rank < count[row]) | ~tied[row]
    costs = kernels.swap_costs(
        rows.counted,
        keeps,
        o.linear,
        program.variables.upper,
        o.adjacency(),
    )
    return float(costs.sum())


def price_differences(program: Program, ties: Ties, strength: float) -> tuple[Program, float, str]:
    """Add ``strength u (z_h - z_g)^2`` for neighbours of each group; see `TieVariables`.

    Args:
        program: with the heads of a group apart; its queries are merged already.
        ties: the groups, and whether queries are merged.
        strength: price of a key that one head keeps and the other does not, in units u.

    Returns:
        The program, the most that all prices can add to an energy, and a note.

    Raises:
        PassError: a head gives out soft weights; names it.
    """
    v, o = program.variables, program.objective
    heads = [head for group in ties.groups for head in group]
    weights = np.flatnonzero(np.isin(v.head, heads) & (v.role == Role.WEIGHT))
    if len(weights):
        head = int(v.head[weights[0]])
        raise PassError(
            f"head {head} gives out soft weights: only heads that keep keys or not can be tied "
            "softly; leave strength out for a hard tie",
            head=head,
        )
    table = cells(v, merge_queries=ties.queries)
    stake = exchange_prices(table, o.linear, row_counts(program, table))
    pairs = [
        pair
        for group in ties.groups
        for pair in pairwise(sorted(group))
        if pair[1] < table.shape[0]
    ]
    (first, second, query), u, w = shared_keys(table, pairs)
    price: Floats = strength * np.minimum(stake[first, query], stake[second, query])
    paid = np.bincount(np.append(u, w), np.append(price, price), len(v))
    linear = np.asarray(o.linear + paid, np.float64)
    objective = with_couplers(o, (u, w, -2.0 * price), linear)
    most = float(price.sum())
    note = (
        f"disagreement of {plural(len(pairs), 'pair')} of heads priced, {most:.4g} in all at most"
    )
    return program.replace(objective=objective), most, note


def check_rows(program: Program, ties: Ties, leader: Ints) -> None:
    """Reject tied rows that do not see the same keys: no one selection serves them all.

    Args:
        program: before tying.
        ties: the ties of its heads and queries.
        leader: int32, the first variable of those tied to each.

    Raises:
        PassError: names the rows, and head, query and key where they differ.
    """
    if not ties.merge:
        return
    c, v, head = program.constraints, program.variables, ties.lead(program.constraints.head)
    unequal = np.flatnonzero(v.upper != v.upper[leader])
    if len(unequal):
        a, b = int(leader[unequal[0]]), int(unequal[0])
        raise PassError(
            f"{program.label(a)} and {program.label(b)} cannot be tied: their largest levels "
            f"are {v.upper[a]} and {v.upper[b]}",
            heads=(int(v.head[a]), int(v.head[b])),
        )
    picks = np.flatnonzero(c.kind == Kind.PICK)
    ptr, entries = csr_rows(c.ptr, picks)
    row, keys = segment_ids(ptr), leader[c.var[entries]]
    keys = keys[np.lexsort((keys, row))]
    queries = int(c.query.max(initial=0)) + 2
    query = 0 if ties.queries else c.query[picks].astype(np.int64) + 1
    # Of each row the first one that it shares its selection with.
    _, first, member = np.unique(
        head[picks] * queries + query, return_index=True, return_inverse=True
    )
    twin, size = first[member], np.diff(ptr)
    unlike = size[twin] != size
    alike = ~unlike[row]
    other = (np.arange(len(keys)) - ptr[row] + ptr[twin[row]])[alike]
    unlike[row[alike][keys[other] != keys[alike]]] = True
    if unlike.any():
        r = int(unlike.argmax())
        raise _unlike(program, int(picks[twin[r]]), int(picks[r]))


def _unlike(program: Program, twin: int, r: int) -> PassError:
    """Return the error of two rows that no one selection serves."""
    c, v = program.constraints, program.variables
    rows = [c.var[c.ptr[s] : c.ptr[s + 1]] for s in (twin, r)]
    a, b = program.constraints.label(twin), program.constraints.label(r)
    roles = [set(v.role[row].tolist()) for row in rows]
    seen = [set(v.key[row].tolist()) for row in rows]
    if roles[0] != roles[1] or seen[0] == seen[1]:
        soft = int(c.head[r if Role.WEIGHT in roles[1] else twin])
        return PassError(
            f"{a} and {b} cannot share one selection: head {soft} gives out soft weights, the "
            "other keeps keys or has other levels",
            rows=(a, b),
            head=soft,
        )
    key = int(min(seen[0] ^ seen[1]))
    sees, other = (twin, r) if key in seen[0] else (r, twin)
    return PassError(
        f"{a} and {b} cannot share one selection: their rows see different keys, head "
        f"{c.head[sees]}, query {c.query[sees]} key {key}, which head {c.head[other]}, query "
        f"{c.query[other]} does not see (a mask that differs, as in causal attention, cannot be "
        "tied over queries, unless select=Budget counts keys rather than rows)",
        rows=(a, b),
        head=int(c.head[other]),
        query=int(c.query[other]),
        key=key,
    )
