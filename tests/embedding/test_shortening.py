"""Embeddings get fewer qubits, then shorter chains, and stay valid; a seed gives one result."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from dwave.embedding import verify_embedding

import qubo_attn as qa
from qubo_attn.common.arrays import Longs
from qubo_attn.embedding.component import Component
from qubo_attn.embedding.minors import embed
from qubo_attn.embedding.packing import NO_BOUND
from qubo_attn.embedding.parts import component_of
from qubo_attn.embedding.shortening import cost_of, shorten
from qubo_attn.embedding.source import Source

ZEPHYR = qa.Target.zephyr(4, missing_qubits=0.05, missing_couplers=0.01, seed=1)
TARGETS = {
    "zephyr": ZEPHYR,
    "pegasus": qa.Target.pegasus(4),
    "grid": qa.Target.from_graph(nx.grid_2d_graph(12, 12)),
}
GRAPHS = {
    "dense": nx.gnp_random_graph(16, 0.5, seed=3),
    "clique": nx.complete_graph(12),
    "cubic": nx.random_regular_graph(3, 16, seed=1),
    "apart": nx.disjoint_union(nx.complete_graph(5), nx.empty_graph(3)),
    "tree": nx.balanced_tree(4, 2),
}
CASES = [(t, g) for t in TARGETS for g in GRAPHS if t != "grid" or g == "tree"]


def start_of(graph: nx.Graph, target: qa.Target) -> tuple[Component, list[Longs]]:
    """Return a graph and what minorminer finds for it."""
    source = Source.of(graph)
    component = component_of(len(source.labels), source.i, source.j)
    edges = [*map(tuple, component.edges.T.tolist()), *((v, v) for v in range(component.size))]
    return component, embed(component.size, edges, target.couplers, 1)


def verified(chains: list[Longs], graph: nx.Graph, target: qa.Target) -> None:
    names = {v: [target.qubit_name(int(q)) for q in chain] for v, chain in enumerate(chains)}
    verify_embedding(names, graph, target.graph())


@pytest.mark.parametrize(("machine", "name"), CASES)
def test_what_is_shortened_is_valid_and_no_larger(machine: str, name: str) -> None:
    target, graph = TARGETS[machine], GRAPHS[name]
    component, start = start_of(graph, target)
    options = {"calls": 12, "seed": 4, "longest": NO_BOUND}
    chains = shorten(component, start, target, **options)
    verified(chains, graph, target)
    assert cost_of(chains) <= cost_of(start)
    if name == "dense":
        assert cost_of(chains)[0] < cost_of(start)[0]
    again = shorten(component, start, target, **options)
    assert [chain.tolist() for chain in again] == [chain.tolist() for chain in chains]


def test_no_chain_is_longer_than_allowed() -> None:
    component, start = start_of(GRAPHS["dense"], ZEPHYR)
    longest = cost_of(start)[1]
    chains = shorten(component, start, ZEPHYR, calls=12, seed=0, longest=longest)
    assert cost_of(chains)[1] <= longest


def test_nothing_changes_without_calls_or_where_no_better_can_be() -> None:
    component, start = start_of(GRAPHS["dense"], ZEPHYR)
    chains = shorten(component, start, ZEPHYR, calls=0, seed=0, longest=NO_BOUND)
    assert all(map(np.array_equal, chains, map(np.sort, start)))
    path, alone = start_of(nx.path_graph(5), ZEPHYR)
    chains = shorten(path, alone, ZEPHYR, calls=3, seed=0, longest=NO_BOUND)
    assert all(map(np.array_equal, chains, alone))


def test_known_optima_are_reached() -> None:
    """A clique of n nodes takes 2 n - 4 qubits at least: no five qubits are all coupled."""
    for size in (6, 8, 10):
        embedding = qa.embed_graph(nx.complete_graph(size), "zephyr:4")
        assert sum(map(len, embedding.values())) == 2 * size - 4
    triangles = qa.embed_graph(nx.triangular_lattice_graph(3, 6), "pegasus:4")
    assert sum(map(len, triangles.values())) == 18
