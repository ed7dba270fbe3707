"""Each kernel against its NumPy twin."""

from __future__ import annotations

from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qubo_attn import kernels
from tests.strategies import programs

SEEDS = st.integers(0, 10_000)


def ragged(generator: np.random.Generator, rows: int = 4, most: int = 6) -> np.ndarray:
    return np.cumsum(np.r_[0, generator.integers(0, most, rows)])


def pairs(ptr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    ends = [np.triu_indices(b - a, 1) for a, b in pairwise(ptr)]
    shifted = [np.stack(e) + a for e, a in zip(ends, ptr[:-1], strict=True)]
    i, j = np.concatenate(shifted, axis=1)
    return i, j


@given(SEEDS)
def test_selection(seed: int) -> None:
    generator = np.random.default_rng(seed)
    ptr = ragged(generator)
    logit = generator.normal(size=ptr[-1])
    i, j, bias = kernels.selection_couplers(ptr, logit, 0.3)
    u, v = pairs(ptr)
    np.testing.assert_array_equal((i, j), (u, v))
    np.testing.assert_allclose(bias, 0.6 * logit[u] * logit[v])


@given(SEEDS)
def test_redundancy(seed: int) -> None:
    generator = np.random.default_rng(seed)
    ptr = ragged(generator)
    key = generator.integers(0, 5, ptr[-1]).astype(np.int32)
    head = generator.integers(0, 2, len(ptr) - 1).astype(np.int32)
    cosine = generator.normal(size=(2, 5, 5))
    i, j, bias = kernels.redundancy_couplers(ptr, key, head, cosine, 0.7)
    u, v = pairs(ptr)
    row = np.repeat(head, np.diff(ptr))
    np.testing.assert_array_equal((i, j), (u, v))
    np.testing.assert_allclose(bias, 0.7 * cosine[row[u], key[u], key[v]])


@given(SEEDS)
def test_output(seed: int) -> None:
    generator = np.random.default_rng(seed)
    sizes = generator.integers(0, 6, 4)
    ptr = np.concatenate([[0], np.cumsum(sizes)])
    key = np.concatenate([generator.permutation(5)[:n] for n in sizes]).astype(np.int32)
    head = generator.integers(0, 2, len(ptr) - 1).astype(np.int32)
    values, mass = generator.normal(size=(2, 5, 3)), generator.random(ptr[-1])
    values -= values.mean(axis=1, keepdims=True)
    offset, linear = kernels.output_linear(ptr, mass, key, head, values)
    chosen = np.flatnonzero(generator.random(ptr[-1]) < 0.7)
    among = np.searchsorted(chosen, ptr)
    i, j, bias = kernels.output_couplers(ptr, mass, key, head, values, among, chosen)
    u, v = pairs(among)
    expected_offset = 0.0
    w = np.zeros((ptr[-1], 3))
    rest = np.zeros((ptr[-1], 3))
    for r in range(len(ptr) - 1):
        part = slice(ptr[r], ptr[r + 1])
        own = values[head[r], key[part]]
        w[part] = mass[part, None] * (own - (own.mean(axis=0) if len(own) else 0))
        rest[part] = w[part].sum(axis=0)
        expected_offset += (w[part].sum(axis=0) ** 2).sum()
    np.testing.assert_array_equal((i, j), (u, v))
    assert offset.sum() == pytest.approx(expected_offset)
    np.testing.assert_allclose(linear, (w * w).sum(1) - 2 * (w * rest).sum(1), atol=1e-12)
    np.testing.assert_allclose(bias, 2 * (w[chosen[u]] * w[chosen[v]]).sum(1), atol=1e-12)


@given(programs(heads=3))
def test_adjacency_and_fields(program: object) -> None:
    o = program.objective
    n = len(o.linear)
    dense = np.zeros((n, n))
    dense[o.i, o.j] = o.bias
    dense += dense.T
    ptr, neighbour, value = kernels.adjacency(n, o.i, o.j, o.bias)
    for v in range(n):
        mine = slice(ptr[v], ptr[v + 1])
        assert (np.diff(neighbour[mine]) > 0).all()
        row = np.zeros(n)
        row[neighbour[mine]] = value[mine]
        np.testing.assert_array_equal(row, dense[v])
    fields = kernels.ising_fields(o.linear, o.i, o.j, o.bias)
    np.testing.assert_allclose(fields, o.linear / 2 + dense.sum(axis=1) / 4)


@given(SEEDS)
def test_physical_fill(seed: int) -> None:
    generator = np.random.default_rng(seed)
    field_of, coupling_of = generator.integers(0, 4, 9), generator.integers(0, 5, 7)
    chain_of = generator.integers(0, 4, 6)
    parts_h, parts_j = generator.random(9), generator.random(7)
    h, coupling, strength = generator.normal(size=4), generator.normal(size=5), np.arange(4.0)
    fields, couplings = np.empty(9), np.empty(13)
    kernels.fill_physical(
        field_of, parts_h, coupling_of, parts_j, chain_of, h, coupling, strength, fields, couplings
    )
    np.testing.assert_allclose(fields, h[field_of] / parts_h)
    np.testing.assert_allclose(couplings[:7], coupling[coupling_of] / parts_j)
    np.testing.assert_allclose(couplings[7:], -strength[chain_of])


@given(SEEDS)
def test_connected_components(seed: int) -> None:
    generator = np.random.default_rng(seed)
    n = int(generator.integers(0, 12))
    edges = generator.integers(0, max(n, 1), (int(generator.integers(0, 12)) if n else 0, 2))
    graph = nx.Graph()
    graph.add_nodes_from(range(n))
    graph.add_edges_from(edges.tolist())
    parts = sorted((sorted(part) for part in nx.connected_components(graph)), key=lambda p: p[0])
    expected = {v: number for number, part in enumerate(parts) for v in part}
    found = kernels.connected_components(n, edges[:, 0].copy(), edges[:, 1].copy())
    assert found.tolist() == [expected[v] for v in range(n)]


@given(programs(heads=3), SEEDS)
def test_terms_among(program: object, seed: int) -> None:
    o = program.objective
    source = np.random.default_rng(seed).integers(-1, 5, len(o.linear))
    i, j, bias = kernels.terms_among(source, o.i, o.j, o.bias)
    expected = [
        (source[u], source[v], b)
        for u, v, b in zip(o.i, o.j, o.bias, strict=True)
        if source[u] >= 0 and source[v] >= 0
    ]
    assert list(zip(i, j, bias, strict=True)) == expected


@given(SEEDS)
def test_first_bad_terms(seed: int) -> None:
    generator = np.random.default_rng(seed)
    n, terms = 4, int(generator.integers(0, 7))
    upper = generator.integers(1, 3, n).astype(np.int32)
    ends = np.sort(generator.integers(0, n, (terms, 2)), axis=1)
    i, j = ends[np.lexsort((ends[:, 1], ends[:, 0]))].T.astype(np.int32).copy()
    bias = generator.normal(size=terms)
    for t in np.flatnonzero(generator.random(terms) < 0.2):
        column, value = [(bias, 0.0), (bias, np.nan), (i, 3), (j, 0), (j, n), (i, -1)][seed % 6]
        column[t] = value
    keys = list(zip(i.tolist(), j.tolist(), strict=True))
    kinds = [
        [not (0 <= u < n and 0 <= v < n) for u, v in keys],
        [u > v for u, v in keys],
        [t > 0 and key <= keys[t - 1] for t, key in enumerate(keys)],
        (bias == 0).tolist(),
        (~np.isfinite(bias)).tolist(),
        [u == v and 0 <= u < n and upper[u] == 1 for u, v in keys],
    ]
    expected = [kind.index(True) if True in kind else -1 for kind in kinds]
    if expected[0] >= 0:
        expected[1:] = [-1] * 5
    assert kernels.first_bad_terms(n, upper, i, j, bias).tolist() == expected
