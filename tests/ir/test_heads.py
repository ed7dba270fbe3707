"""What heads have in common, against loops over sets."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn.ir.columns import Role
from qubo_attn.ir.heads import cells, exchange_prices, greedy_path, link_groups, overlaps, top_keys
from qubo_attn.kernels.forms import add_couplers, collect_couplers
from tests.support.strategies import programs


def naive_overlap(mass: np.ndarray, visible: np.ndarray, k: int, h: int, g: int) -> float:
    shares = []
    for q in range(mass.shape[1]):
        tops = []
        for head in (h, g):
            seen = [key for key in range(mass.shape[2]) if visible[head, q, key]]
            tops.append(sorted(seen, key=lambda key: (-mass[head, q, key], key)))
        if min(map(len, tops)) > k:
            shares.append(len(set(tops[0][:k]) & set(tops[1][:k])) / k)
    return sum(shares) / len(shares) if shares else 0.0


def test_overlaps_of_real_heads(smollm2: dict[str, np.ndarray]) -> None:
    compiled = qa.compile(smollm2["scores"], 9, select=qa.ExactlyK(4), slots=None, target=None)
    v = compiled.stages[0].program.variables
    table, visible = cells(v), smollm2["scores"] > -np.inf
    mass = np.zeros(visible.shape)
    mass[v.head, v.query, v.key] = v.mass
    likeness = overlaps(table, v.mass[table.var], np.full((9, 19), 4), range(9))
    for h, g in combinations(range(9), 2):
        assert likeness[h, g] == likeness[g, h]
        assert likeness[h, g] == pytest.approx(naive_overlap(mass, visible, 4, h, g))
    some = overlaps(table, v.mass[table.var], np.full((9, 19), 4), [7, 2])
    assert some[0, 1] == likeness[7, 2]
    assert (overlaps(table, v.mass[table.var], np.full((9, 19), 19), range(9)) == 0).all()


@given(programs(heads=3), st.booleans(), st.integers(0, 1000))
def test_cells_are_those_of_a_dense_table(program: qa.Program, merge: bool, seed: int) -> None:
    v = program.variables
    table, dense = cells(v, merge_queries=merge), {}
    for n in np.random.default_rng(seed).permutation(len(program)).tolist():
        if v.role[n] == Role.SELECT and min(v.head[n], v.query[n], v.key[n]) >= 0:
            place = int(v.head[n]), 0 if merge else int(v.query[n]), int(v.key[n])
            dense[place] = max(n, dense.get(place, -1))
    heads, queries, keys = table.shape
    seen = [
        (row // queries, at // keys, at % keys)
        for row in range(heads * queries)
        for at in table.place[table.ptr[row] : table.ptr[row + 1]].tolist()
    ]
    assert seen == sorted(dense)
    assert table.var.tolist() == [dense[place] for place in seen]
    for head in range(heads):
        inside = table.head(head)
        assert {place[0] for place in seen[inside]} <= {head}
        assert inside.stop - inside.start == table.sizes[head].sum()


@given(st.integers(0, 10_000), st.lists(st.integers(0, 6), min_size=1, max_size=6))
def test_top_keys_are_those_of_every_row(seed: int, sizes: list[int]) -> None:
    generator, ptr = np.random.default_rng(seed), np.append(0, np.cumsum(sizes))
    mass = np.round(generator.random(ptr[-1]), 1)
    counts = generator.integers(0, 5, len(sizes))
    top = top_keys(ptr, mass, counts)
    for row, count in enumerate(counts):
        entries = range(ptr[row], ptr[row + 1])
        best = sorted(entries, key=lambda n: (-mass[n], n))[:count]
        assert [n for n in entries if top[n]] == sorted(best)


def likenesses(seed: int, heads: int) -> np.ndarray:
    half = np.round(np.random.default_rng(seed).random((heads, heads)), 1)
    return np.triu(half, 1) + np.triu(half, 1).T


@given(st.integers(0, 10_000), st.integers(1, 8), st.sampled_from([0.3, 0.5, 0.8, 1.0]))
@settings(max_examples=80)
def test_groups_keep_their_threshold(seed: int, heads: int, threshold: float) -> None:
    likeness = likenesses(seed, heads)
    groups = link_groups(likeness, threshold)
    members = [head for group in groups for head in group]
    assert len(members) == len(set(members))
    assert all(len(group) > 1 and list(group) == sorted(group) for group in groups)
    for group in groups:
        assert all(likeness[h, g] >= threshold for h, g in combinations(group, 2))
    # Complete: no two groups, single heads included, could have been merged.
    every = [*groups, *((head,) for head in range(heads) if head not in members)]
    for a, b in combinations(every, 2):
        assert any(likeness[h, g] < threshold for h in a for g in b)


@given(st.integers(0, 10_000), st.integers(1, 9))
@settings(max_examples=60)
def test_the_path_visits_every_head_once(seed: int, heads: int) -> None:
    likeness = likenesses(seed, heads)
    path = greedy_path(likeness)
    assert len(path) == heads - 1
    assert np.bincount(np.array(path, int).ravel(), minlength=heads).max(initial=0) <= 2
    reached = {0}
    for _ in path:
        reached |= {head for pair in path if reached & set(pair) for head in pair}
    assert reached == set(range(heads))
    if heads > 1:
        best = max(combinations(range(heads), 2), key=lambda pair: likeness[pair])
        assert best in path


def test_prices_of_rows_of_all_sizes() -> None:
    program = qa.Program.parse(
        "x[0,0,0] : 5\nx[0,0,1] : -3\nx[0,0,2] : 1\nx[0,0,3] : -1\nx[0,0,4] : 9\n"
        "x[0,1,0] : 7\nx[1,0,3] : 2\nx[1,0,4] : 8\n"
        "pick[0,0]: x[0,0,0] + x[0,0,1] + x[0,0,2] + x[0,0,3] + x[0,0,4] == 2\n"
    )
    table = cells(program.variables)
    assert table.shape == (2, 2, 5)
    assert table.sizes.tolist() == [[5, 1], [2, 0]]
    prices = exchange_prices(table, program.objective.linear, np.array([[2, 0], [1, 0]]))
    assert prices.tolist() == [[(1 + 5 + 3 + 1) / 2, 0.0], [6.0, 0.0]]


@given(st.integers(0, 10_000), st.integers(0, 12), st.integers(0, 12))
@settings(max_examples=60)
def test_added_couplers_are_those_collected_together(seed: int, a: int, b: int) -> None:
    generator, n = np.random.default_rng(seed), 5
    ends, others = generator.integers(0, n, (2, a)), generator.integers(0, n, (2, b))
    first = collect_couplers(n, ends[0], ends[1], generator.integers(-2, 3, a))
    more = others[0], others[1], generator.integers(-2, 3, b).astype(float)
    together = [np.concatenate(columns) for columns in zip(first, more, strict=True)]
    for found, expected in zip(
        add_couplers(n, first[0], first[1], first[2], more),
        collect_couplers(n, together[0], together[1], together[2]),
        strict=True,
    ):
        assert found.tolist() == expected.tolist()
        assert found.dtype == expected.dtype
