from __future__ import annotations

from pathlib import Path
from typing import Any

import dimod
import networkx as nx
import numpy as np
import pytest
from dwave.embedding import verify_embedding
from hypothesis import given, settings
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn.embedding.component import Component
from qubo_attn.embedding.packing import Packing
from qubo_attn.embedding.parts import parts_of, together
from qubo_attn.embedding.squeezing import squeeze

MACHINE = qa.Target.zephyr(4, missing_qubits=0.05, missing_couplers=0.01, seed=1)
OTHERS = [
    qa.Target.pegasus(4),
    qa.Target.from_graph(nx.relabel_nodes(nx.grid_2d_graph(10, 10), lambda at: f"q{at}")),
]
GRAPHS = {
    "cubic": nx.random_regular_graph(3, 12, seed=1),
    "clique": nx.complete_graph(6),
    "path": nx.path_graph(9),
    "apart": nx.disjoint_union(nx.cycle_graph(5), nx.path_graph(3)),
    "lonely": nx.empty_graph(4),
}

# A square grid holds few graphs that are no paths.
CASES = [
    (target, name)
    for target in (MACHINE, *OTHERS)
    for name in GRAPHS
    if target is not OTHERS[1] or name in ("path", "apart", "lonely")
]
NAMES = [f"{target.label}-{name}" for target, name in CASES]


def verified(packed: qa.PackedGraphs, graphs: list[nx.Graph], target: qa.Target) -> None:
    used: list[object] = []
    for number, embedding in zip(packed.graph, packed.embeddings, strict=True):
        verify_embedding(embedding, graphs[number], target.graph())
        used += [qubit for chain in embedding.values() for qubit in chain]
    assert len(used) == len(set(used)) == packed.qubits


@pytest.mark.parametrize(("target", "name"), CASES, ids=NAMES)
def test_one_embedding(target: qa.Target, name: str, tmp_path: Path) -> None:
    embedding = qa.embed_graph(GRAPHS[name], target, cache=tmp_path)
    verify_embedding(embedding, GRAPHS[name], target.graph())
    assert list(embedding) == list(GRAPHS[name])
    assert qa.embed_graph(GRAPHS[name], target, cache=tmp_path) == embedding


@pytest.mark.parametrize(("target", "name"), CASES, ids=NAMES)
def test_as_many_copies_as_fit(target: qa.Target, name: str, tmp_path: Path) -> None:
    packed = qa.pack_graphs(GRAPHS[name], target, rounds=100, cache=tmp_path)
    verified(packed, [GRAPHS[name]], target)
    assert len(packed) > 1
    if target.is_grid:
        assert packed.qubits > 0.6 * len(target.qubits)
    again = qa.pack_graphs(GRAPHS[name], target, rounds=100, cache=tmp_path)
    assert again.embeddings == packed.embeddings
    assert again.placement.digest == packed.placement.digest


def test_a_list_in_which_all_fit() -> None:
    graphs = list(GRAPHS.values())
    packed = qa.pack_graphs(graphs, MACHINE, copies=2, rounds=50)
    verified(packed, graphs, MACHINE)
    assert packed.graph == (0, 0, 1, 1, 2, 2, 3, 3, 4, 4)
    submission, component = packed.placement.submission, packed.placement.component
    assert packed.placement.submissions == 1
    assert len(submission) == component.size == 2 * sum(map(len, graphs))


def test_a_list_in_which_the_small_fit() -> None:
    graphs = [nx.complete_graph(size) for size in (40, 20, 6, 5, 4, 3, 2)]
    target = qa.Target.zephyr(2)
    packed = qa.pack_graphs(graphs, target, rounds=50)
    verified(packed, graphs, target)
    assert 0 not in packed.graph
    assert {2, 3, 4, 5, 6} <= set(packed.graph)


def test_a_placement_carries_a_program() -> None:
    """The plan of a packing finds a coupler for every edge of every copy."""
    lines = [f"x[0,0,{key}] : 1" for key in range(3)]
    lines += ["x[0,0,0] * x[0,0,1] : 2", "x[0,0,1] * x[0,0,2] : -1"]
    program = qa.Program.parse("\n".join(lines))
    graph = [(0, 1), (1, 2)]
    packed = qa.pack_graphs(graph, "zephyr:1", copies=1)
    plan = packed.placement.plan(program.total())
    assert len(set(plan.coupling_of.tolist())) == 2


def test_sources_that_mean_the_same() -> None:
    edges = [(0, 1), (1, 2), (2, 3), (3, 0), (0, 2)]
    model = dimod.BinaryQuadraticModel({}, dict.fromkeys(edges, 1.0), 0.0, "SPIN")
    directed = nx.DiGraph(edges)
    doubled = [*edges, (1, 0), (3, 3)]
    first, *others = (
        qa.embed_graph(source, "zephyr:2")
        for source in (edges, model, directed, doubled, nx.Graph(edges))
    )
    assert all(other == first for other in others)


def test_chains_are_no_longer_than_asked() -> None:
    cubic, dense = GRAPHS["cubic"], nx.random_regular_graph(4, 24, seed=1)
    packed = qa.pack_graphs([cubic, dense], MACHINE, copies=3, longest_chain=2, rounds=50)
    assert packed.longest_chain <= 2
    embedding = qa.embed_graph(dense, MACHINE, longest_chain=3)
    assert max(map(len, embedding.values())) <= 3
    with pytest.raises(qa.EmbeddingError, match="chains of at most 1"):
        qa.embed_graph(nx.complete_graph(9), MACHINE, longest_chain=1)


def test_one_is_no_worse_than_minorminer() -> None:
    import minorminer

    graph = nx.random_regular_graph(3, 60, seed=1)
    theirs = minorminer.find_embedding(graph, MACHINE.graph(), random_seed=0)
    ours = qa.embed_graph(graph, MACHINE)
    assert sum(map(len, ours.values())) <= sum(map(len, theirs.values()))


def test_a_timeout_ends_the_search() -> None:
    graph = nx.random_regular_graph(3, 20, seed=1)
    embedding = qa.embed_graph(graph, MACHINE, timeout=1.0)
    verify_embedding(embedding, graph, MACHINE.graph())
    packed = qa.pack_graphs(graph, MACHINE, timeout=0.1, rounds=2**20)
    verified(packed, [graph], MACHINE)


def test_what_does_not_fit_says_so() -> None:
    with pytest.raises(qa.EmbeddingError) as caught:
        qa.pack_graphs(nx.complete_graph(8), "zephyr:1", copies=50)
    assert caught.value.requested == 50
    assert 1 <= caught.value.fits < 50
    with pytest.raises(qa.EmbeddingError, match="no embedding"):
        qa.embed_graph(nx.complete_bipartite_graph(60, 60), "zephyr:1")


@pytest.mark.parametrize("graph", [[], [1, 2], "ab", None, 3, [(0, 1), (2,)], [([], 1)], {}])
def test_what_is_no_graph_is_refused(graph: Any) -> None:
    for call in (qa.embed_graph, qa.pack_graphs):
        with pytest.raises(qa.InputError):
            call(graph, "zephyr:1")


def test_a_machine_without_a_graph_is_refused() -> None:
    with pytest.raises(qa.TargetError):
        qa.embed_graph([(0, 1)], "all-to-all")


@pytest.mark.parametrize("name", ["cubic", "apart", "list"])
def test_packings_are_repaired(name: str, tmp_path: Path) -> None:
    graphs = list(GRAPHS.values()) if name == "list" else [GRAPHS[name]]
    asked: Any = graphs if name == "list" else graphs[0]
    cache = qa.EmbeddingCache(tmp_path)
    before = qa.pack_graphs(asked, MACHINE, copies=3, rounds=50, cache=cache)
    gone = next(iter(before.embeddings[1].values()))[0]
    target = MACHINE.without([gone], [])
    after = qa.pack_graphs(asked, target, copies=3, rounds=50, cache=cache)
    verified(after, graphs, target)
    assert cache.counts.repaired == 1
    same = sum(a == b for a, b in zip(before.embeddings, after.embeddings, strict=True))
    assert same == len(before) - 1


def test_files_of_mixtures_are_checked(tmp_path: Path) -> None:
    cache = qa.EmbeddingCache(tmp_path)
    qa.pack_graphs(list(GRAPHS.values()), MACHINE, rounds=50, cache=cache)
    (entry,) = cache.entries()
    assert entry.path.parent.name.startswith("M")
    assert [problem for _, problem in cache.verify(MACHINE)] == [""]
    data = bytearray(entry.path.read_bytes())
    data[-1] ^= 1
    entry.path.write_bytes(bytes(data))
    fresh = qa.EmbeddingCache(tmp_path)
    packed = qa.pack_graphs(list(GRAPHS.values()), MACHINE, rounds=50, cache=fresh)
    assert fresh.counts.bad == 1
    verified(packed, list(GRAPHS.values()), MACHINE)


def test_squeezing_adds_copies() -> None:
    component = Component(4)
    target = qa.Target.zephyr(3)
    packed = qa.pack_graphs(nx.complete_graph(4), target, copies=30)
    copies = np.split(packed.placement.chain_qubit, packed.placement.chain_ptr[1:-1])
    rows = [copies[at : at + 4] for at in range(0, len(copies), 4)]
    more = squeeze(component, rows, target, attempts=40, most=34, seed=0, longest=2)
    assert len(more) > 30
    assert Packing.of(component, more).fits(target)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_parts_make_up_the_graph(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 12))
    pairs = [(u, v) for u in range(size) for v in range(u + 1, size)]
    chosen = data.draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    i, j = np.array(sorted(chosen), np.int64).reshape(-1, 2).T
    graph = nx.Graph(chosen)
    graph.add_nodes_from(range(size))
    parts = parts_of(size, i, j)
    assert sorted(map(len, nx.connected_components(graph))) == sorted(len(n) for _, n in parts)
    edges = {
        (int(nodes[u]), int(nodes[v]))
        for component, nodes in parts
        for u, v in component.edges.T.tolist()
    }
    assert edges == set(chosen)
    union = together(component for component, _ in parts)
    assert union.size == size
    assert union.edge_count == len(chosen)
    assert union.shape is None or union.shape.is_well_formed
