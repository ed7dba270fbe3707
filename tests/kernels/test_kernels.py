"""Each kernel against its NumPy twin.

Most have a naive twin in `tests.support.twins`. Searches and proofs have none that is not the
algorithm
once more: their source runs under the interpreter, and other tests judge what they find.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import combinations, pairwise
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn import kernels
from qubo_attn.embedding.cliques import pack_cliques
from qubo_attn.embedding.large import large_clique
from qubo_attn.kernels.graph import WorkingGraph
from tests.support.strategies import programs
from tests.support.twins import TWINS, interpreted, pairs

SEEDS = st.integers(0, 10_000)
Generator = np.random.Generator


def ragged(generator: Generator, rows: int = 4, most: int = 6) -> np.ndarray:
    return np.cumsum(np.r_[0, generator.integers(0, most, rows)])


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
    middle, mass = generator.normal(size=(2, 5, 3)), generator.random(ptr[-1])
    middle -= middle.mean(axis=1, keepdims=True)
    values = middle + generator.normal(size=(2, 1, 3))
    offset, linear = kernels.output_linear(ptr, mass, key, head, values, middle)
    chosen = np.flatnonzero(generator.random(ptr[-1]) < 0.7)
    among = np.searchsorted(chosen, ptr)
    i, j, bias = kernels.output_couplers(ptr, mass, key, head, values, middle, among, chosen)
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
    shares = kernels.Shares(field_of, parts_h, coupling_of, parts_j, chain_of)
    fields, couplings = kernels.fill_physical(shares, h, coupling, strength)
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
def test_terms_are_good(seed: int) -> None:
    generator = np.random.default_rng(seed)
    n, terms = 4, int(generator.integers(0, 7))
    upper = generator.integers(1, 3, n).astype(np.int32)
    ends = np.unique(np.sort(generator.integers(0, n, (terms, 2)), axis=1), axis=0)
    i, j = ends.T.astype(np.int32).copy()
    bias = generator.normal(size=len(i))
    for t in np.flatnonzero(generator.random(len(i)) < 0.2):
        column, value = [(bias, 0.0), (bias, np.nan), (i, 3), (j, 0), (j, n), (i, -1)][seed % 6]
        column[t] = value
    keys = list(zip(i.tolist(), j.tolist(), strict=True))
    good = all(0 <= u <= v < n and (u < v or upper[u] > 1) for u, v in keys)
    good &= keys == sorted(set(keys)) and bool((np.isfinite(bias) & (bias != 0)).all())
    assert kernels.terms_are_good(n, upper, i, j, bias) == good


# -- cases for twins ------------------------------------------------------------------------------

Case = Callable[[Generator], tuple[Any, ...]]
CASES: dict[str, Case] = {}


def case(make: Case) -> Case:
    """Register what makes arguments for the kernel of its name, of the types that callers use."""
    CASES[make.__name__] = make
    return make


def frozen(values: Any, dtype: Any = None) -> np.ndarray:
    array = np.array(values, dtype)
    array.setflags(write=False)
    return array


def form(g: Generator, n: int, share: float = 0.6) -> tuple[np.ndarray, ...]:
    """Couplers of n variables: both ends and values, sorted."""
    i, j = np.triu_indices(n, 1)
    kept = g.random(len(i)) < share
    return i[kept].astype(np.int32), j[kept].astype(np.int32), g.normal(size=kept.sum())


def adjacency(g: Generator, n: int, share: float = 0.6, blocks: Any = None) -> tuple[Any, ...]:
    """Couplers in both directions; with ``blocks`` only within one."""
    i, j, bias = form(g, n, share)
    if blocks is not None:
        kept = blocks[i] == blocks[j]
        i, j, bias = i[kept], j[kept], bias[kept]
    matrix = np.zeros((n, n))
    matrix[i, j] = bias
    matrix += matrix.T
    u, v = np.nonzero(matrix)
    first = np.searchsorted(u, np.arange(n + 1)).astype(np.int64)
    return kernels.Adjacency(first, v.astype(np.int32), matrix[u, v])


def rows(g: Generator, most: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Rows with gaps between their variables: pointer, variables, sizes, number of variables."""
    sizes = g.integers(1, most + 1, 3)
    n = int(sizes.sum()) + 2
    var = np.sort(g.choice(n, sizes.sum(), replace=False))
    return frozen(np.r_[0, np.cumsum(sizes)], np.int64), frozen(var, np.int32), sizes, n


@case
def count_pairs(g: Generator) -> tuple[Any, ...]:
    return (ragged(g),)


@case
def selection_into(g: Generator) -> tuple[Any, ...]:
    ptr = ragged(g)
    size = len(pairs(ptr)[0])
    out = np.empty(size, np.int32), np.empty(size, np.int32), np.empty(size)
    return ptr, g.normal(size=ptr[-1]), 0.3, g.normal(size=4), *out


def _attention(g: Generator) -> tuple[Any, ...]:
    ptr = ragged(g)
    key, head = g.integers(0, 5, ptr[-1]), g.integers(0, 2, len(ptr) - 1)
    values = frozen(g.normal(size=(2, 5, 3)))
    return ptr, g.random(ptr[-1]), key.astype(np.int32), head.astype(np.int32), values


@case
def row_outputs(g: Generator) -> tuple[Any, ...]:
    return _attention(g)


@case
def kept_errors(g: Generator) -> tuple[Any, ...]:
    ptr, mass, *others = _attention(g)
    mass[: ptr[1]] *= g.integers(2)
    return ptr, mass, *others, g.normal(size=(len(ptr) - 1, 3)), g.random(len(mass)) < 0.5


@case
def centred_linear(g: Generator) -> tuple[Any, ...]:
    ptr, *others = _attention(g)
    rows = len(ptr) - 1
    return ptr, *others, *g.normal(size=(2, rows, 3)), *g.random((2, rows))


@case
def centred_couplers(g: Generator) -> tuple[Any, ...]:
    ptr, *others = _attention(g)
    rows = len(ptr) - 1
    return ptr, *others, g.normal(size=(rows, 3)), *g.random((2, rows))


@case
def next_nearest(g: Generator) -> tuple[Any, ...]:
    table = np.triu(g.normal(size=(6, 6)) * (g.random((6, 6)) < 0.6), 1)
    (i, j), couplers = np.nonzero(table), np.stack(np.triu_indices(6, 1), axis=1)
    first, second, value = frozen(i, np.int32), frozen(j, np.int32), frozen(table[i, j])
    couplings = kernels.adjacency(6, first, second, value)
    return couplings, frozen(couplers[g.random(15) < 0.7])


@case
def tied_couplers(g: Generator) -> tuple[Any, ...]:
    # Rows of a group share its variables, each of which stands for a key; some are not chosen.
    groups, keys = 3, 5
    count = g.integers(0, 4, groups)
    group = np.repeat(np.arange(groups), count)[g.permutation(count.sum())]
    seen = g.random((len(group), keys)) < 0.6
    row, key = np.nonzero(seen)
    variable = (group[row] * keys + key).astype(np.int32)
    rows = kernels.TiedRows(
        np.cumsum(np.r_[0, seen.sum(axis=1)]),
        frozen(g.random(len(row))),
        frozen(variable),
        frozen(g.integers(0, 2, len(group)).astype(np.int32)),
        frozen(g.normal(size=(len(group), 3))),
        frozen(g.random(len(group))),
        frozen(g.random(len(group))),
        np.cumsum(np.r_[0, np.bincount(group, minlength=groups)]),
        np.argsort(group, kind="stable"),
    )
    chosen = np.flatnonzero(g.random(groups * keys) < 0.7)
    ptr, place = np.searchsorted(chosen, np.arange(groups + 1) * keys), np.full(groups * keys, -1)
    place[chosen] = np.arange(len(chosen)) - ptr[chosen // keys]
    number = np.arange(len(chosen), dtype=np.int32)
    values = frozen(g.normal(size=(2, keys, 3)))
    return rows, values, ptr, number, (chosen % keys).astype(np.int32), place


@case
def layer_couplers(g: Generator) -> tuple[Any, ...]:
    n = int(g.integers(1, 12))
    group = g.integers(0, 3, n)
    ptr = np.cumsum(np.r_[0, np.bincount(group, minlength=3)])
    key, head = g.integers(0, 5, n).astype(np.int32), g.integers(0, 2, n).astype(np.int32)
    values, row = frozen(g.normal(size=(2, 5, 3))), g.integers(0, 4, n)
    order = np.argsort(group, kind="stable")
    return ptr, order, g.random(n), key, head, values, g.normal(size=(4, 3)), row


def _leveled(g: Generator) -> kernels.LeveledEntries:
    ptr, mass, key, head, values = _attention(g)
    centre = g.normal(size=((len(ptr) - 1) * int(g.integers(2)), 3))
    base, step = g.random((2, len(mass)))
    return kernels.LeveledEntries(ptr, mass, base, step, key, head, values, centre)


@case
def leveled_fields(g: Generator) -> tuple[Any, ...]:
    return (_leveled(g),)


@case
def leveled_couplers(g: Generator) -> tuple[Any, ...]:
    entries = _leveled(g)
    n = len(entries.mass)
    # Some entries without a selection, some without a level, some without either.
    has = g.random((2, n)) < 0.7
    number = (np.cumsum(has.ravel()) - 1).reshape(2, n)
    number[~has] = -1
    entry = np.flatnonzero(has.any(axis=0))
    ptr = np.searchsorted(entry, entries.ptr)
    chosen = kernels.ChosenEntries(ptr, entry, *number[:, entry])
    return entries, chosen, bool(g.integers(2))


@case
def spread_terms(g: Generator) -> tuple[Any, ...]:
    ptr = ragged(g, 5, 4).astype(np.int32)
    i, j = np.triu_indices(5)
    kept = g.random(len(i)) < 0.7
    i, j = i[kept].astype(np.int32), j[kept].astype(np.int32)
    first = np.searchsorted(i, np.arange(6)).astype(np.int64)
    var = np.sort(g.choice(ptr[-1] + 3, ptr[-1], replace=False)).astype(np.int32)
    columns = frozen(ptr, np.int32), frozen(var, np.int32), frozen(g.normal(size=ptr[-1]))
    terms = frozen(i, np.int32), frozen(j, np.int32), frozen(g.normal(size=len(i)))
    return *columns, first, *terms, g.normal(size=ptr[-1] + 3)


@case
def distance_coefficients(g: Generator) -> tuple[Any, ...]:
    return _attention(g)


@case
def quadratic_energies(g: Generator) -> tuple[Any, ...]:
    points = g.integers(0, 3, (6, 5)).astype(float)
    return points, 0.5, frozen(g.normal(size=5)), *map(frozen, form(g, 5))


@case
def disjoint_squares(g: Generator) -> tuple[Any, ...]:
    ptr, var, sizes, n = rows(g)
    i, j, bias = form(g, n)
    row, position = np.full(n, -1), np.full(n, -1)
    row[var], position[var] = np.repeat(np.arange(3), sizes), np.arange(len(var))
    first = np.searchsorted(i, np.arange(n + 1)).astype(np.int64)
    coef, weight = frozen(g.normal(size=len(var))), frozen(g.random(3))
    couplers = {*zip(i.tolist(), j.tolist(), strict=True)}
    ends = [(u, v) for a, b in pairwise(ptr) for u, v in combinations(var[a:b].tolist(), 2)]
    count = len(couplers.union(ends))
    return first, frozen(j), frozen(bias), row, position, ptr, var, coef, weight, count


@case
def squares_on(g: Generator) -> tuple[Any, ...]:
    _, var, sizes, n = rows(g)
    row, position = np.full(n, -1), np.full(n, -1)
    row[var], position[var] = np.repeat(np.arange(3), sizes), np.arange(len(var))
    coef, weight = frozen(g.normal(size=len(var))), frozen(g.random(3))
    return *map(frozen, form(g, n)), row, position, coef, weight


@case
def fixed_terms(g: Generator) -> tuple[Any, ...]:
    stays = g.random(7) < 0.5
    source = np.where(stays, np.cumsum(stays) - 1, -1)
    constant = frozen(np.where(stays, 0, g.integers(0, 2, 7)), float)
    return source, constant, int(stays.sum()), *map(frozen, form(g, 7))


@case
def plain_counts(g: Generator) -> tuple[Any, ...]:
    ptr, var, _, n = rows(g)
    coef = frozen(np.where(g.random(len(var)) < 0.8, 1.0, 2.0))
    upper = frozen(g.integers(1, 4, n), np.int32)
    return ptr, var, coef, np.where(g.random(n) < 0.9, 1, 2), upper


@case
def heaviest(g: Generator) -> tuple[Any, ...]:
    ptr = frozen(ragged(g), np.int64)
    first, mass = g.integers(-1, 2, ptr[-1]).astype(np.int8), g.integers(0, 3, ptr[-1]) / 4.0
    return ptr, first, mass, g.integers(0, 7, len(ptr) - 1)


def _choice(g: Generator, wide: bool = False) -> tuple[Any, ...]:
    ptr, var, sizes, n = rows(g, 4 if wide else 5)
    upper = g.integers(1, 3, n).astype(np.int32)
    if not wide:
        upper[var] = 1
    count = g.integers(0, np.add.reduceat(upper[var], ptr[:-1]) + 1)
    counted = kernels.CountRows(ptr, var, count)
    return counted, frozen(g.normal(size=n)), frozen(upper), adjacency(g, n), sizes


@case
def swap_costs(g: Generator) -> tuple[Any, ...]:
    counted, linear, upper, couplers, sizes = _choice(g)
    stay = g.integers(counted.keep, sizes + 1)
    kept = [g.permutation(np.arange(s) < m) for s, m in zip(sizes, stay, strict=True)]
    return counted, np.concatenate(kept), linear, upper, couplers


@case
def dominated_keys(g: Generator) -> tuple[Any, ...]:
    counted, linear, upper, couplers, _ = _choice(g)
    return counted, frozen(3 * linear), upper, couplers


@case
def ascending(g: Generator) -> tuple[Any, ...]:
    table = np.unique(g.integers(-1, 2, (5, 6)), axis=1)
    if g.random() < 0.5:
        table = table[:, g.integers(0, table.shape[1], 6)]
    kind = frozen(table[0] + 1, np.uint8)
    return kind, *(frozen(column, np.int32) for column in table[1:])


@case
def rows_are_good(g: Generator) -> tuple[Any, ...]:
    ptr = frozen(ragged(g), np.int64)
    var = np.concatenate([np.arange(n) for n in np.diff(ptr)]) if ptr[-1] else np.zeros(0)
    coef, rhs = g.normal(size=ptr[-1]), g.normal(size=len(ptr) - 1)
    for column, odd in ((var, (-1, 0, 9)), (coef, (0.0, np.nan)), (rhs, (np.inf,))):
        if len(column) and g.random() < 0.5:
            column[g.integers(len(column))] = g.choice(odd)
    return 6, ptr, frozen(var, np.int32), frozen(coef), frozen(rhs)


@case
def entries_among(g: Generator) -> tuple[Any, ...]:
    ptr = frozen(ragged(g), np.int64)
    source = np.where(g.random(6) < 0.6, np.arange(6), -1)
    var = frozen(g.integers(0, 6, ptr[-1]), np.int32)
    return ptr, var, frozen(g.integers(0, 3, ptr[-1]), np.float64), frozen(source)


@case
def lost_shares(g: Generator) -> tuple[Any, ...]:
    ptr = frozen(ragged(g), np.int64)
    var, mass = frozen(g.integers(0, 6, ptr[-1]), np.int32), g.random(6) * g.integers(0, 2)
    return ptr, var, g.random(ptr[-1]) < 0.5, frozen(mass)


@case
def squared_fields(g: Generator) -> tuple[Any, ...]:
    ptr = frozen(ragged(g), np.int64)
    columns = [frozen(g.normal(size=size)) for size in (ptr[-1], *3 * [len(ptr) - 1])]
    linear = frozen(g.normal(size=6))
    return linear, ptr, frozen(g.integers(0, 6, ptr[-1]), np.int32), *columns


@case
def gram_matrices(g: Generator) -> tuple[Any, ...]:
    return (g.normal(size=g.integers(1, 7, 3)),)


@case
def gram_couplers(g: Generator) -> tuple[Any, ...]:
    heads, keys, count = g.integers(1, 7, 3)
    chosen = np.flatnonzero(g.random(count * keys) < 0.7)
    key = np.tile(g.permutation(keys), count)[chosen]
    values = g.normal(size=(heads, keys, 3))
    head = frozen(g.integers(0, heads, count), np.int32)
    gram = np.ascontiguousarray(values @ values.transpose(0, 2, 1))
    ptr = np.searchsorted(chosen, np.arange(count + 1) * keys)
    return g.random(len(chosen)), frozen(key, np.int32), head, gram, ptr


@case
def sums_before(g: Generator) -> tuple[Any, ...]:
    ptr = frozen(ragged(g), np.int64)
    return ptr, frozen(g.normal(size=ptr[-1]))


@case
def step_costs(g: Generator) -> tuple[Any, ...]:
    counted, linear, upper, couplers, _ = _choice(g, wide=bool(g.integers(2)))
    square = np.where(upper > 1, g.normal(size=len(upper)), 0.0)
    return counted, linear, upper, square, couplers


@case
def step_costs_of_few(g: Generator) -> tuple[Any, ...]:
    counted, linear, upper, couplers, _ = _choice(g, wide=False)
    sizes = np.diff(counted.ptr)
    few = np.flatnonzero((counted.keep > 0) & (counted.keep < sizes))
    keep, ptr = counted.keep[few], np.r_[0, np.cumsum(sizes[few])]
    var = [counted.var[counted.ptr[r] : counted.ptr[r + 1]] for r in few]
    rows = kernels.CountRows(ptr, np.concatenate([counted.var[:0], *var]), keep)
    return rows, linear, upper, g.normal(size=len(linear)), couplers


@case
def common_steps(g: Generator) -> tuple[Any, ...]:
    block = g.integers(0, 3, 9)
    value = g.integers(-6, 7, 9) / 4.0
    largest = np.array([np.abs(value[block == b]).max(initial=0) for b in range(3)])
    return value, block, largest, 1e-5


@case
def rounding_errors(g: Generator) -> tuple[Any, ...]:
    block, value = g.integers(0, 3, 9), g.normal(size=9)
    value[block == 0] = 0.0
    largest = np.array([np.abs(value[block == b]).max(initial=0) for b in range(3)])
    return value, block, largest, np.asfortranarray(g.integers(1, 9, (3, 4)).astype(float))


@case
def binary_table(g: Generator) -> tuple[Any, ...]:
    n = int(g.integers(0, 6))
    i, j, bias = form(g, n)
    turned = g.random(len(i)) < 0.5
    i, j = np.where(turned, j, i), np.where(turned, i, j)
    return g.normal(size=n), i.astype(np.int64), j.astype(np.int64), bias


@case
def compare_tables(g: Generator) -> tuple[Any, ...]:
    after, feasible = g.integers(-4, 5, 8).astype(float), g.random(8) < 0.6
    feasible[g.integers(8)] = True
    return 0.5 * (after + 3) + g.normal(size=8) / 4, after, 3.0, 0.5, feasible


@case
def place_values(g: Generator) -> tuple[Any, ...]:
    values = np.where(g.random(9) < 0.3, -0.0, g.normal(size=9))
    return values, frozen(g.permutation(14)[:9]), np.full(14, np.nan)


def _working_graph(g: Generator, qubits: int = 14) -> tuple[np.ndarray, ...]:
    first, neighbour, _ = adjacency(g, qubits, 0.5)
    return first, neighbour.astype(np.int64)


def _chains(g: Generator, chains: int, qubits: int = 14) -> tuple[np.ndarray, np.ndarray]:
    sizes = g.integers(1, 3, chains)
    return np.r_[0, np.cumsum(sizes)], g.permutation(qubits)[: sizes.sum()]


@case
def match_couplers(g: Generator) -> tuple[Any, ...]:
    ptr, neighbour = _working_graph(g)
    one, other = np.repeat(np.arange(14), np.diff(ptr)), neighbour
    ends = np.stack([np.minimum(one, other), np.maximum(one, other)])
    number = np.unique(ends, axis=1, return_inverse=True)[1].ravel()
    chain_ptr, chain_qubit = map(frozen, _chains(g, 6))
    i, j, _ = form(g, 6)
    first, order = np.searchsorted(i, np.arange(7)), np.sort(g.permutation(6)[:4])
    graph = WorkingGraph(ptr, frozen(neighbour), frozen(number))
    return chain_ptr, chain_qubit, order, first, frozen(j), graph, np.full(14, -1)


@case
def range_shares(g: Generator) -> tuple[Any, ...]:
    ends = np.sort(g.integers(0, 6, (7, 2)), axis=1)
    groups = 2 * ends + g.integers(0, 2, (7, 2))
    scales = np.stack([-g.random(3), g.random(3)], axis=1)
    fields = g.permutation(6)[:4], g.normal(size=4)
    return g.integers(0, 3, 6), 3, *fields, ends, groups, g.normal(size=7), scales, g.random() < 0.5


@case
def outside_couplings(g: Generator) -> tuple[Any, ...]:
    return g.integers(0, 5, (7, 2)), g.normal(size=7), 5


@case
def chain_bounds(g: Generator) -> tuple[Any, ...]:
    sizes = g.integers(1, 5, 4)
    ptr = np.r_[0, np.cumsum(sizes)]
    links = [np.stack(form(g, s, 0.8)[:2]) + a for s, a in zip(sizes, ptr[:-1], strict=True)]
    doubled = [np.concatenate([part, part[:, :1]], axis=1) for part in links]
    link_ptr = np.r_[0, np.cumsum([part.shape[1] for part in doubled])]
    u, v = np.concatenate(doubled, axis=1).astype(np.int64)
    field, outside = g.normal(size=ptr[-1]), g.random(ptr[-1])
    return ptr, field, outside, link_ptr, u.copy(), v.copy(), int(g.integers(2, 5))


@case
def whole_copies(g: Generator) -> tuple[Any, ...]:
    first, neighbour = adjacency(g, 14, 0.9)[:2]
    graph = WorkingGraph(first, frozen(neighbour, np.int64), frozen(np.zeros(0, np.int64)))
    ptr, qubit = _chains(g, 6)
    if g.random() < 0.3:
        qubit[g.integers(len(qubit))] = g.integers(-1, 16)
    edges = np.stack(np.triu_indices(3, 1))[:, : g.integers(2, 4)].copy()
    return frozen(ptr), frozen(qubit), 3, edges, graph


def _reads(g: Generator) -> tuple[np.ndarray, kernels.Chains]:
    """Spins of more reads than a tile holds, and chains over their columns."""
    ptr, column = _chains(g, 5, 12)
    samples = g.choice(np.array([-1, 1], np.int8), (int(g.integers(1, 200)), 12))
    return samples, kernels.Chains(column, ptr)


def _model(g: Generator, n: int = 5) -> kernels.SpinModel:
    i, j, coupling = form(g, n)
    first = np.searchsorted(i, np.arange(n + 1)).astype(np.int64)
    return kernels.SpinModel(0.5, g.normal(size=n), first, j.astype(np.int64), coupling)


@case
def chain_votes(g: Generator) -> tuple[Any, ...]:
    return *_reads(g), int(g.integers(-1, 1))


@case
def unembed_majority(g: Generator) -> tuple[Any, ...]:
    return *_reads(g), _model(g)


@case
def spin_energies(g: Generator) -> tuple[Any, ...]:
    spins = g.choice(np.array([-1, 1], np.int8), (int(g.integers(1, 200)), 5))
    return spins, _model(g)


@case
def descend_breaks(g: Generator) -> tuple[Any, ...]:
    parts = np.array([0, 0, 1, 1, 1])
    model = kernels.SpinModel(0.0, g.normal(size=5), *adjacency(g, 5, 0.8, parts))
    return *_reads(g), np.arange(5), np.array([0, 2, 5]), model


def _set(result: tuple[np.ndarray, ...]) -> tuple[set[Any], set[Any]]:
    logical, physical, within, link = (part.tolist() for part in result)
    assert len(set(physical + link)) == len(physical + link)
    return set(zip(logical, physical, strict=True)), set(zip(within, link, strict=True))


def assert_alike(found: Any, expected: Any) -> None:
    if isinstance(expected, (tuple, list)):
        assert len(found) == len(expected)
        for mine, theirs in zip(found, expected, strict=True):
            assert_alike(mine, theirs)
    elif isinstance(expected, (set, type(None))):
        assert found == expected
    else:
        scale = np.abs(expected, where=np.isfinite(expected), out=np.zeros(np.shape(expected)))
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * scale.max(initial=0))


@pytest.mark.parametrize("name", sorted(CASES))
def test_twins_agree(name: str) -> None:
    """Results, and arrays that are filled."""
    for seed in range(30):
        mine = CASES[name](np.random.default_rng(seed))
        theirs = copy.deepcopy(mine)
        found = getattr(kernels, name)(*mine)
        found = _set(found) if name == "match_couplers" else found
        assert_alike(found, TWINS[name](*theirs))
        assert_alike(mine, theirs)


# -- searches and proofs --------------------------------------------------------------------------


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[tuple[Any, ...]]]:
    """Record the arguments of the first few calls of a kernel."""

    def record(name: str, most: int = 2) -> list[tuple[Any, ...]]:
        kept: list[tuple[Any, ...]] = []
        kernel = getattr(kernels, name)

        def recorded(*arguments: Any) -> Any:
            if len(kept) < most:
                kept.append(tuple(_copied(a) for a in arguments))
            return kernel(*arguments)

        recorded.__dict__["kernel"] = kernel
        monkeypatch.setattr(kernels, name, recorded)
        return kept

    return record


def _copied(argument: Any) -> Any:
    if isinstance(argument, tuple):
        return type(argument)(*map(_copied, argument))
    if not isinstance(argument, np.ndarray):
        return argument
    made = argument.copy()
    made.setflags(write=argument.flags.writeable)
    return made


def assert_interpreted_alike(name: str, calls: list[tuple[Any, ...]]) -> None:
    kernel = getattr(kernels, name).kernel
    assert calls, name
    for arguments in calls:
        mine, theirs = [[_copied(a) for a in arguments] for _ in range(2)]
        found = kernel(*mine)
        assert_alike(found, interpreted(kernel)(*theirs))
        assert_alike(mine, theirs)


PROOFS = ("certify_rows", "certify_leveled", "drop_couplers", "compress_rows")
SEARCHES = ("mend_clique", "regrow_clique", "pack_tiles", "carve_paths", "reroute")


def test_proofs_under_the_interpreter(
    calls: Callable[[str], list[tuple[Any, ...]]], minilm: dict[str, np.ndarray]
) -> None:
    kept = {name: calls(name) for name in PROOFS}
    given_: dict[str, Any] = {
        "objective": "output",
        "values": minilm["value"][:1],
        "target": None,
    }
    scores = minilm["scores"][:1, :2, :6]
    steps = (qa.DropCouplers(0.05), qa.Compress(budget=0.05), qa.InsertPenalties())
    given_["values"] = given_["values"][:, :6]
    qa.compile(scores, 1, select=qa.ExactlyK(2), passes=steps, **given_)
    qa.compile(scores, 1, select=qa.SoftWeights(2, k=2), **given_)
    for name in PROOFS:
        assert_interpreted_alike(name, kept[name])


def test_searches_under_the_interpreter(calls: Callable[[str], list[tuple[Any, ...]]]) -> None:
    kept = {name: calls(name) for name in SEARCHES}
    target = qa.Target.zephyr(2, missing_qubits=0.1, missing_couplers=0.02, seed=3)
    owner = np.full(len(target.qubits), -1)
    for node, chain in enumerate(large_clique(24, target, rounds=6)):
        owner[chain] = node
    others = np.tile(np.arange(24), (24, 1))[~np.eye(24, dtype=bool)]
    kernels.reroute(owner, 23 * np.arange(25), others, target.adjacency, 12, 40, 2.0, 0.5, 1)
    pack_cliques(8, target, rounds=1)
    *arguments, search = kept["pack_tiles"][0]
    kept["pack_tiles"] = [(*arguments, search._replace(moves=200, heat=2.0))]
    kernels.carve_paths(5, target.adjacency)
    for name in SEARCHES:
        assert_interpreted_alike(name, kept[name])


# -- all of them ----------------------------------------------------------------------------------

ABOVE = {
    "adjacency",
    "connected_components",
    "fill_physical",
    "terms_are_good",
    "ising_fields",
    "output_couplers",
    "output_linear",
    "redundancy_couplers",
    "selection_couplers",
    "terms_among",
}


# Beside a slow reference or an enumeration, in the tests of what calls them.
ELSEWHERE = {
    "block_chances", "bound_rows", "least_ratios", "lowest_states", "mend_counts", "mend_reads",
    "search_rows", "settle_bits", "step_chances", "swap_blocks", "warm_weights",
}  # fmt: skip


def test_every_kernel_has_a_twin() -> None:
    compiled = {name for name in kernels.__all__ if hasattr(getattr(kernels, name), "py_func")}
    assert set(CASES) == set(TWINS)
    groups = [set(CASES), ABOVE, set(PROOFS), set(SEARCHES), ELSEWHERE]
    assert compiled == set().union(*groups)
    assert sum(map(len, groups)) == len(compiled)
