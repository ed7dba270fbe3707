"""Graphs: the same bytes as arrays, from any library, with edges in any order."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from scipy.sparse import coo_array, csr_array, save_npz

import qubo_attn as qa
from qubo_attn.cli import app
from qubo_attn.frontend.pattern import dense
from tests.support.graphs import Problem, problems

EDGES = np.array([[2, 0, 1, 1, 0], [0, 0, 0, 2, 2]])
SCORES = np.array([[0.5, 2.0, 1.0, -1.0, 3.0], [1.5, 0.0, 4.0, 1.0, -2.0]])
# Node 1 has no edge that leads to it, node 0 one that leads to itself.
TABLE = np.full((2, 3, 3), -np.inf)
TABLE[:, EDGES[1], EDGES[0]] = SCORES


def same(graph: qa.CompiledAttention, array: qa.CompiledAttention) -> None:
    """Check that all that was compiled and all that is programmed has the same bytes."""
    for ours, theirs in zip(graph.stages, array.stages, strict=True):
        assert ours.program.digest() == theirs.program.digest()
        assert ours.rewrite.prove() == theirs.rewrite.prove()
    if graph.recipe.target is not None:
        for one, other in zip(graph.hardware_arrays(), array.hardware_arrays(), strict=True):
            assert one.tobytes() == other.tobytes()


def same_results(graph: qa.AttentionResult, array: qa.AttentionResult) -> None:
    assert graph.to_dense().tobytes() == array.weights.tobytes()
    assert np.array_equal(dense(graph.pattern, graph.selected), array.selected)
    for name in ("feasible", "repaired", "capped", "empty", "energies", "methods", "proven"):
        np.testing.assert_array_equal(getattr(graph, name), getattr(array, name))
    if array.context is not None:
        np.testing.assert_allclose(graph.context, array.context, atol=1e-12)


# -- graphs and arrays -----------------------------------------------------------------------------


@given(problems())
def test_a_graph_has_the_bytes_of_its_array(problem: Problem) -> None:
    graph = qa.compile(problem.graph, **problem.options)
    array = qa.compile(problem.array, **problem.options)
    same(graph, array)
    ours, theirs = (compiled.solve(seed=1) for compiled in (graph, array))
    same_results(ours, theirs)
    given_order = problem.head[:, None], problem.query, problem.key
    np.testing.assert_array_equal(ours.edge_weights, theirs.weights[given_order])


@pytest.mark.parametrize(
    "options",
    [
        {"objective": "hard"},
        {"objective": "redundancy"},
        {"objective": "boltzmann"},
        {"objective": "sparsemax", "select": qa.SoftWeights(3)},
        {"objective": qa.LeastSquares(of="output"), "select": qa.SoftWeights(3)},
        {"select": qa.SoftWeights(3, k=3)},
        {"objective": "renormalised"},
        {"objective": qa.Output(background="carried")},
        {"objective": "renormalised", "tie": qa.TieVariables(((0, 1),))},
        {"objective": "renormalised", "select": qa.Budget(60), "target": None},
        {"tie": qa.TieVariables(((0, 1),), strength=0.5)},
        {"tie": qa.TieVariables(overlap=0.1, k=3)},
        {"coupling": qa.Diversity(0.5)},
        {"queries": 12},
        {"queries": [0, 3, 11], "objective": "selection"},
    ],
    ids=str,
)
@pytest.mark.parametrize("sampler", [None, "anneal"])
def test_every_objective_takes_a_graph(options: dict[str, Any], sampler: str | None) -> None:
    problem = wide(np.random.default_rng(3))
    if sampler is None and "boltzmann" in str(options):
        sampler = "anneal"
    rest = {"select": qa.ExactlyK(3), "slots": 6, "target": "zephyr:4"} | options
    vectors = np.random.default_rng(4).normal(size=(2, 30, 5))
    arrays = {"values": vectors, "keys": vectors}
    graph, array = (qa.compile(s, **arrays, **rest) for s in (problem.graph, problem.array))
    same(graph, array)
    way = {} if sampler is None else {"num_reads": 8, "num_sweeps": 32}
    ours, theirs = (compiled.solve(sampler, seed=1, **way) for compiled in (graph, array))
    same_results(ours, theirs)
    for one, other in (
        (ours.same_as_top_k(graph.attention), theirs.same_as_top_k(array.attention)),
        (ours.output_errors(graph.attention), theirs.output_errors(array.attention)),
        (graph.losses.mass, array.losses.mass),
        (graph.losses.output, array.losses.output),
    ):
        np.testing.assert_allclose(one, other, atol=1e-12)
    beside = ours.beside(graph).error
    assert beside == pytest.approx(theirs.beside(array).error, abs=1e-12)


def wide(random: np.random.Generator) -> Problem:
    """Return a band of thirty nodes and two heads."""
    near = np.abs(np.arange(30)[:, None] - np.arange(30)) < 7
    query, key = np.nonzero(near & (random.random((30, 30)) < 0.8))
    order = random.permutation(len(query))
    scores = 2.0 * random.normal(size=(2, len(query)))
    return Problem.of(30, query[order], key[order], scores, {})


def test_the_layer_objective_takes_a_graph() -> None:
    problem, random = wide(np.random.default_rng(5)), np.random.default_rng(6)
    options: dict[str, Any] = {
        "values": random.normal(size=(2, 30, 4)),
        "output_projection": random.normal(size=(2, 4, 6)),
        "objective": "layer",
        "select": qa.ExactlyK(2),
        "slots": 4,
        "target": None,
    }
    graph, array = (qa.compile(s, **options) for s in (problem.graph, problem.array))
    same(graph, array)
    ours, theirs = graph.solve(seed=1), array.solve(seed=1)
    same_results(ours, theirs)
    np.testing.assert_allclose(
        ours.layer_errors(graph.attention), theirs.layer_errors(array.attention), atol=1e-12
    )


def test_flags_and_masks_have_an_entry_for_each_edge() -> None:
    random, problem = np.random.default_rng(7), wide(np.random.default_rng(8))
    edges = len(problem.query)
    flags = random.random((3, edges)) < 0.1
    flags[1] &= ~flags[0]
    flags[2] = ~flags[2] | flags[0]
    names = ("required", "forbidden", "mask")
    tables = np.zeros((3, 30, 30), bool)
    tables[:, problem.query, problem.key] = flags
    options: dict[str, Any] = {"select": qa.AtMostK(6), "target": None}
    graph = qa.compile(problem.graph, **dict(zip(names, flags, strict=True)), **options)
    array = qa.compile(problem.array, **dict(zip(names, tables, strict=True)), **options)
    same(graph, array)
    later = wide(np.random.default_rng(8))
    same(graph.rebind(later.graph), array.rebind(later.array))
    added = np.where(flags[2], random.normal(size=(2, edges)), -1e9)
    assert qa.compile(problem.graph, mask=added, **options).attention.hidden_by_value == 0


def test_what_hides_a_key_hides_an_edge() -> None:
    scores = SCORES.copy()
    scores[0, [0, 4]] = -1e9, -np.inf
    graph = qa.AttentionGraph.from_edges(EDGES, scores.astype(np.float32), nodes=3)
    table = TABLE.copy()
    table[:, EDGES[1], EDGES[0]] = scores.astype(np.float32)
    ours, theirs = (
        qa.compile(s, select=qa.OneHot(), target=None) for s in (graph, table.astype(np.float32))
    )
    same(ours, theirs)
    assert ours.attention.hidden_by_value == theirs.attention.hidden_by_value == 1
    assert ours.solve(seed=1).edge_weights[0].tolist() == [0.0, 1.0, 0.0, 1.0, 0.0]


# -- from other libraries --------------------------------------------------------------------------


def test_every_library_gives_the_same_graph() -> None:
    torch = pytest.importorskip("torch")
    matrices = [
        coo_array((scores, (EDGES[1], EDGES[0])), shape=(3, 3)).tocsr() for scores in SCORES
    ]
    directed = nx.DiGraph()
    directed.add_nodes_from(range(3))
    for (u, v), both in zip(EDGES.T.tolist(), SCORES.T.tolist(), strict=True):
        directed.add_edge(u, v, score=both)
    first = matrices[0]
    rows = qa.AttentionGraph.from_rows(first.indptr, first.indices, first.data, keys=3)
    sparse = torch.sparse_coo_tensor(
        np.stack([np.repeat([0, 1], 5), np.tile(EDGES[1], 2), np.tile(EDGES[0], 2)]),
        SCORES.ravel(),
        (2, 3, 3),
        check_invariants=True,
    )
    shown = torch.from_numpy(EDGES)
    for graph in (
        qa.AttentionGraph.from_edges(shown, torch.from_numpy(SCORES)),
        qa.AttentionGraph.from_csr(matrices),
        qa.AttentionGraph.from_networkx(directed),
        qa.AttentionGraph.from_torch(sparse),
    ):
        assert graph.shape == (2, 3, 3)
        same(qa.compile(graph, target=None), qa.compile(TABLE, target=None))
        np.testing.assert_array_equal(
            [m.toarray() for m in graph.to_csr()], np.where(np.isfinite(TABLE), TABLE, 0.0)
        )
    same(qa.compile(rows, target=None), qa.compile(TABLE[:1], target=None))


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
def test_compressed_tensors_of_torch_are_graphs() -> None:
    torch = pytest.importorskip("torch")
    scores = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 4, 6)))
    with torch.sparse.check_sparse_tensor_invariants():
        tensors = scores.to_sparse_csr(), scores.to_sparse_csc(), scores.to_sparse_bsr((2, 3))
        for tensor in tensors:
            graph = qa.AttentionGraph.from_torch(tensor)
            same(qa.compile(graph, target=None), qa.compile(scores, target=None))


def test_ties_and_couplings_of_a_large_graph_take_no_table() -> None:
    """A table of heads x queries x keys would have 6.4 GB."""
    nodes, random = 20_000, np.random.default_rng(1)
    query = np.repeat(np.arange(nodes), 4)
    edges = np.stack([(query + np.tile([0, 1, 7, 50], nodes)) % nodes, query])
    graph = qa.AttentionGraph.from_edges(edges, random.normal(size=(2, 4 * nodes)))
    for options in (
        {"tie": qa.TieVariables(overlap=0.01, k=2)},
        {"tie": qa.TieVariables(groups=((0, 1),), strength=1.0)},
        {"coupling": qa.Diversity(1.0, pairs="overlap")},
    ):
        tracemalloc.start()
        select = qa.ExactlyK(2)
        compiled = qa.compile(graph, select=select, objective="hard", target=None, **options)
        assert len(compiled.program) == 4 * nodes * (1 if "overlap=0.01" in str(options) else 2)
        assert tracemalloc.get_traced_memory()[1] < 400 << 20
        tracemalloc.stop()


def test_heads_may_have_edges_of_their_own() -> None:
    random = np.random.default_rng(2)
    tables = np.where(random.random((3, 8, 5)) < 0.5, random.normal(size=(3, 8, 5)), -np.inf)
    query, key = zip(*(np.nonzero(np.isfinite(t)) for t in tables), strict=True)
    matrices = [
        coo_array((t[q, k], (q, k)), shape=t.shape)
        for t, q, k in zip(tables, query, key, strict=True)
    ]
    graph = qa.AttentionGraph.from_csr(matrices)
    options: dict[str, Any] = {"select": qa.ExactlyK(2), "target": None}
    ours, theirs = (qa.compile(s, **options) for s in (graph, tables))
    same(ours, theirs)
    result = ours.solve(seed=1)
    same_results(result, theirs.solve(seed=1))
    for head, matrix in enumerate(result.to_csr()):
        np.testing.assert_array_equal(matrix.toarray(), result.to_dense()[head])
    assert result.edge_weights.shape == (graph.edges,)


def test_undirected_edges_lead_both_ways() -> None:
    ends = [(0, 1, {"score": 1.0}), (2, 2, {"score": 0})]
    assert qa.AttentionGraph.from_networkx(nx.Graph(ends)).edges == 3


# -- from vectors ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "sees"),
    [
        ({"window": 5, "causal": True}, lambda i, j: (i >= j) & (i - j < 5)),
        ({"window": 5}, lambda i, j: abs(i - j) < 5),
        ({"causal": True}, lambda i, j: i >= j),
        ({}, lambda i, j: i == i),
        ({"window": 3, "globals": 2}, lambda i, j: (abs(i - j) < 3) | (i < 2) | (j < 2)),
        (
            {"window": 3, "globals": [70, 149], "causal": True},
            lambda i, j: ((i - j < 3) | (j == 70) | (i == 70) | (i == 149)) & (i >= j),
        ),
        ({"globals": 3}, lambda i, j: (i < 3) | (j < 3)),
        (
            {"blocks": np.eye(15, dtype=bool), "block_size": 10},
            lambda i, j: i // 10 == j // 10,
        ),
        (
            {"blocks": np.tri(15, dtype=bool), "block_size": 10, "causal": True},
            lambda i, j: i >= j,
        ),
    ],
)
@pytest.mark.parametrize("queries", [150, 47])
def test_vectors_meet_in_a_pattern(options: dict[str, Any], sees: Any, queries: int) -> None:
    random = np.random.default_rng(1)
    q, k = random.normal(size=(4, queries, 6)), random.normal(size=(2, 150, 6))
    if "blocks" in options:
        options = options | {"blocks": options["blocks"][: -(-queries // 10)]}
        position = np.arange(queries)[:, None]
        if queries != 150:
            return
    position = np.arange(150 - queries, 150)[:, None]
    owner = np.array([0, 0, 1, 1])
    graph = qa.AttentionGraph.from_vectors(q, k, kv_head=owner, **options)
    seen = np.broadcast_to(sees(position, np.arange(150)), (queries, 150))
    logits = q @ k[owner].transpose(0, 2, 1) / np.sqrt(6.0)
    table = np.where(seen, logits, -np.inf)
    np.testing.assert_array_equal(
        dense(graph.pattern, np.ones(graph.edges, bool)), np.broadcast_to(seen, table.shape)
    )
    np.testing.assert_allclose(dense(graph.pattern, graph.scores), np.where(seen, logits, 0.0))
    whole = np.concatenate([dense(b.pattern, b.scores) for b in graph.blocks(rows=32)], axis=1)
    made = qa.AttentionGraph.stream_vectors(q, k, rows=40, kv_head=owner, **options)
    streamed = np.concatenate([dense(b.pattern, b.scores) for b in made], axis=1)
    assert whole.tobytes() == streamed.tobytes() == dense(graph.pattern, graph.scores).tobytes()


def test_blocks_compile_to_the_rows_of_the_whole() -> None:
    q, k = np.random.default_rng(2).normal(size=(2, 2, 100, 4))
    graph = qa.AttentionGraph.from_vectors(q, k, window=12, causal=True)
    options: dict[str, Any] = {"select": qa.ExactlyK(3), "slots": 6, "target": None}
    whole = qa.compile(graph, **options).solve(seed=1)
    parts = [c.solve(seed=1) for c in qa.compile_batch(graph.blocks(rows=33), 2, **options)]
    weights = np.concatenate([part.to_dense() for part in parts], axis=1)
    assert weights.tobytes() == whole.to_dense().tobytes()
    edges = sum(part.edge_weights for part in parts)
    np.testing.assert_array_equal(edges, whole.edge_weights)


# -- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edges", "scores", "options", "message"),
    [
        (
            [[0, 1, 0], [1, 1, 1]],
            [1.0, 2.0, 3.0],
            {},
            r"edges 0 and 2 both lead from key 0 to query 1 \(1 edges stand more than once\)",
        ),
        ([[0, 5], [1, 1]], [1.0, 2.0], {"nodes": 3}, "edge 1 leads from key 5 to query 1, but"),
        ([[0, 1], [1, 1]], [1.0], {}, r"scores have shape \(1,\); expected \(2,\)"),
        ([[0, 1, 2], [1, 1, 0]], np.ones((3, 2)), {}, "hand in the transpose"),
        ([0, 1], [1.0], {}, "expected whole numbers of shape"),
        ([[0, 1], [1, 1]], [1.0, 2.0], {"nodes": 2, "shape": (2, 2)}, "not both"),
    ],
)
def test_edges_that_make_no_graph(
    edges: Any, scores: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(qa.InputError, match=message):
        qa.AttentionGraph.from_edges(edges, scores, **options)


def test_duplicates_of_other_forms_are_named() -> None:
    twice = coo_array(([1.0, 2.0], ([1, 1], [0, 0])), shape=(2, 2))
    with pytest.raises(qa.InputError, match="both lead from key 0 to query 1 of head 1") as caught:
        qa.AttentionGraph.from_csr([csr_array((2, 2)), twice])
    assert caught.value.facts["edges"] == (0, 1)
    graph = nx.MultiDiGraph([(0, 1, {"score": 1.0}), (0, 1, {"score": 2.0})])
    with pytest.raises(qa.InputError, match="edges 0 and 1 both lead from key 0 to query 1"):
        qa.AttentionGraph.from_networkx(graph)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mask": np.ones((3, 3), bool)}, r"mask has shape \(3, 3\); expected \(5,\) or \(2, 5\)"),
        ({"required": np.ones(4, bool)}, r"required has shape \(4,\)"),
        ({"heads": 3}, "scores hold 2 heads, but heads says 3"),
        (
            {"required": [1, 0, 0, 0, 0], "forbidden": [1, 0, 0, 0, 0]},
            "key 2 of head 0, query 0 is both required and forbidden",
        ),
    ],
)
def test_arguments_that_do_not_fit_a_graph(options: dict[str, Any], message: str) -> None:
    graph = qa.AttentionGraph.from_edges(EDGES, SCORES)
    with pytest.raises(qa.InputError, match=message):
        qa.compile(graph, **{"heads": None, "target": None} | options)


@pytest.mark.parametrize(("bad", "text"), [(np.nan, "nan"), (np.inf, "inf"), (1e200, "1e\\+200")])
def test_logits_of_edges_are_checked(bad: float, text: str) -> None:
    scores = SCORES.copy()
    scores[1, 3] = bad
    graph = qa.AttentionGraph.from_edges(EDGES, scores)
    with pytest.raises(qa.InputError, match=rf"scores\[1,2,1\] is {text}"):
        qa.compile(graph, select=qa.OneHot(), target=None)


def test_probabilities_of_edges_are_refused() -> None:
    weights = [0.25, 0.5, 0.25, 0.5, 0.5]
    graph = qa.AttentionGraph.from_edges(EDGES, weights)
    with pytest.raises(qa.InputError, match="scores are probabilities"):
        qa.compile(graph, target=None)


# -- kept ------------------------------------------------------------------------------------------


def test_a_graph_is_saved_and_loaded(tmp_path: Path) -> None:
    problem = wide(np.random.default_rng(9))
    options: dict[str, Any] = {"select": qa.ExactlyK(3), "slots": 6, "target": "zephyr:4"}
    compiled = qa.compile(problem.graph, mask=np.ones(len(problem.query), bool), **options)
    compiled.save(tmp_path / "graph")
    loaded = qa.load(tmp_path / "graph")
    same(loaded, qa.compile(problem.array, **options))
    ours, theirs = compiled.solve(seed=1), loaded.solve(seed=1)
    assert ours.edge_weights.tobytes() == theirs.edge_weights.tobytes()
    same(loaded.rebind(problem.graph), compiled)


def test_the_page_shows_a_graph() -> None:
    problem = wide(np.random.default_rng(9))
    options: dict[str, Any] = {"select": qa.ExactlyK(3), "target": None, "seed": 0}
    graph, array = (qa.compile(s, **options) for s in (problem.graph, problem.array))
    ours, theirs = graph.html(graph.solve(seed=1)), array.html(array.solve(seed=1))
    assert ours.count("<image") == theirs.count("<image") > 0
    assert "<pre " in graph.solve(seed=1)._repr_html_()


def test_a_page_of_many_nodes_has_no_table() -> None:
    count = 6_000
    query = np.repeat(np.arange(count), 3)
    key = (query + np.tile([0, 1, 2], count)) % count
    scores = np.random.default_rng(1).normal(size=len(query))
    graph = qa.AttentionGraph.from_edges([key, query], scores)
    compiled = qa.compile(graph, select=qa.OneHot(), target=None)
    result = compiled.solve(seed=1)
    assert "Your attention, before and after" not in compiled.html(result)
    with pytest.raises(qa.InputError, match="a picture of 1 heads, 6000 queries"):
        result.plot()


# -- from files ------------------------------------------------------------------------------------


def test_files_hold_graphs(tmp_path: Path) -> None:
    table = np.where(np.isfinite(TABLE[0]), TABLE[0], 0.0)
    matrix = csr_array(coo_array((SCORES[0], (EDGES[1], EDGES[0])), shape=(3, 3)))
    np.savez(tmp_path / "own.npz", indptr=matrix.indptr, indices=matrix.indices, scores=matrix.data)
    save_npz(tmp_path / "scipy.npz", matrix)
    for file, name in (("own.npz", "scores"), ("scipy.npz", "data")):
        found = qa.read_attention(tmp_path / file, name)["scores"]
        assert found.shape == (1, 3, 3)
        np.testing.assert_array_equal(found.to_csr()[0].toarray(), table)
    save_npz(tmp_path / "csc.npz", matrix.tocsc())
    with pytest.raises(qa.InputError, match="a sparse array of format"):
        qa.read_attention(tmp_path / "csc.npz", "data")
    np.savez(tmp_path / "half.npz", indptr=matrix.indptr, scores=matrix.data)
    with pytest.raises(qa.InputError, match="holds indptr, but no indices"):
        qa.read_attention(tmp_path / "half.npz")


def test_the_command_line_takes_a_graph(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    problem = wide(np.random.default_rng(9))
    order = np.lexsort((-problem.key, problem.query))  # within a row in falling order
    query, key = problem.query[order], problem.key[order]
    ptr = np.concatenate([[0], np.cumsum(np.bincount(query, minlength=30))])
    scores = problem.array[:, query, key]
    np.savez(tmp_path / "g.npz", indptr=ptr, indices=key, scores=scores)
    out, file = str(tmp_path / "out"), str(tmp_path / "w.npz")
    with pytest.raises(SystemExit) as left:
        app(["compile", str(tmp_path / "g.npz"), "-o", out, "--keys", "3", "--target", "zephyr:4"])
    assert left.value.code == 0
    with pytest.raises(SystemExit) as left:
        app(["solve", out, "--seed", "1", "--out", file])
    assert left.value.code == 0
    with np.load(file) as arrays:
        weights = arrays["weights"]
    compiled = qa.compile(problem.array, select=qa.ExactlyK(3), target="zephyr:4")
    np.testing.assert_array_equal(weights, compiled.solve(seed=1).weights[:, query, key])
    capsys.readouterr()


def test_probabilities_of_edges_become_logits() -> None:
    weights = np.array([0.25, 0.5, 0.25, 0.0, 1.0])
    graph = qa.from_attentions(qa.AttentionGraph.from_edges(EDGES, weights))
    compiled = qa.compile(graph, select=qa.Unconstrained(), objective="hard", target=None)
    np.testing.assert_allclose(graph.as_given(compiled.attention.softmax)[0], weights)
    for bad, message in ((1.2, "which is no probability"), (0.9, "query 2 add up to 1.9")):
        weights[3] = bad
        with pytest.raises(qa.InputError, match=message):
            qa.from_attentions(qa.AttentionGraph.from_edges(EDGES, weights))
