"""Packs rows on lattices of every size, as a process of its own; its argument is one of `JOBS`.

Prints one line for each machine and row length: what came of it. Chains are checked with sets and
loops alone.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dwave.graphs as lattices
import networkx as nx
import numpy as np

import qubo_attn as qa


def edges_of(graph: nx.Graph) -> set[frozenset[Any]]:
    return {frozenset(edge) for edge in graph.edges}


def check(part: qa.Submission, couplers: set[frozenset[Any]], qubits: set[Any]) -> None:
    """Disjoint, connected chains on couplers that there are, which carry the logical model."""
    owner = {q: v for v, chain in part.embedding.items() for q in chain}
    assert len(owner) == sum(map(len, part.embedding.values())), "chains overlap"
    assert set(owner) <= qubits, "a qubit that is none"
    model, logical = part.embedded_bqm, part.bqm.change_vartype("SPIN", inplace=False)
    fields, couplings = defaultdict[Any, float](float), defaultdict[Any, float](float)
    linked = defaultdict[Any, set[Any]](set)
    for q, bias in model.linear.items():
        fields[owner[q]] += bias
    for (p, q), bias in model.quadratic.items():
        assert frozenset((p, q)) in couplers, f"no coupler {p}-{q}"
        if owner[p] == owner[q]:
            assert bias < 0
            linked[p].add(q)
            linked[q].add(p)
        else:
            couplings[frozenset((owner[p], owner[q]))] += bias
    for chain in part.embedding.values():
        reached, waiting = {chain[0]}, [chain[0]]
        while waiting:
            new = linked[waiting.pop()] - reached
            reached |= new
            waiting += new
        assert reached == set(chain), "a chain falls apart"
    for v, bias in logical.linear.items():
        assert abs(fields[v] - bias) < 1e-9
    assert set(couplings) == {frozenset(pair) for pair in logical.quadratic}
    for (u, v), bias in logical.quadratic.items():
        assert abs(couplings[frozenset((u, v))] - bias) < 1e-9


def packed(target: object, graph: nx.Graph, keys: int) -> str:
    """Compile rows that keep some keys, and check where they sit; what came of it in words."""
    scores = np.random.default_rng(keys).normal(size=(1, 3, keys))
    try:
        compiled = qa.compile(
            scores, 1, select=qa.ExactlyK(max(1, keys // 3)), target=target, slots=None
        )
    except qa.EmbeddingError as error:
        return f"fits {error.facts['fits']}"
    couplers, qubits = edges_of(graph), set(graph.nodes)
    for part in compiled.submissions:
        check(part, couplers, qubits)
    assert sum(len(part.rows) for part in compiled.submissions) == 3
    assert compiled.recipe.target is not None
    return f"packed on {compiled.recipe.target.topology}"


def report(name: str, target: object, graph: nx.Graph) -> None:
    for keys in (3, 9, 17):
        try:
            line = packed(target, graph, keys)
        except qa.TargetError as error:
            line = f"TargetError: {error}"
        print(f"{name}: {keys} keys: {line}", flush=True)


def damaged(graph: nx.Graph, seed: int) -> nx.Graph:
    """Return a graph without a tenth of its qubits and some of its couplers."""
    generator, rest = np.random.default_rng(seed), graph.copy()
    nodes, edges = list(rest.nodes), list(rest.edges)
    rest.remove_nodes_from(nodes[i] for i in generator.permutation(len(nodes))[: len(nodes) // 10])
    rest.remove_edges_from(edges[i] for i in generator.permutation(len(edges))[: len(edges) // 20])
    return rest


def zephyr(m: int) -> Iterator[tuple[str, object, nx.Graph]]:
    for t in range(1, 7):
        graph = lattices.zephyr_graph(m, t)
        yield f"zephyr {m} {t}", graph, graph
        rest = damaged(graph, 10 * m + t)
        yield f"zephyr {m} {t} damaged", rest, rest
        if t in (2, 5):
            yield f"zephyr {m} {t} file", file_of("zephyr", [m, t]), graph


def pegasus() -> Iterator[tuple[str, object, nx.Graph]]:
    for m in (2, 3, 4):
        graph = lattices.pegasus_graph(m)
        yield f"pegasus {m}", graph, graph
        rest = damaged(graph, m)
        yield f"pegasus {m} damaged", rest, rest
        whole = lattices.pegasus_graph(m, fabric_only=False)
        yield f"pegasus {m} with loose qubits", whole, whole


def others() -> Iterator[tuple[str, object, nx.Graph]]:
    chosen = {
        "chimera": lattices.chimera_graph(3),
        "zephyr coordinates": lattices.zephyr_graph(2, 3, coordinates=True),
        "pegasus coordinates": lattices.pegasus_graph(3, coordinates=True),
        "pegasus nice coordinates": lattices.pegasus_graph(3, nice_coordinates=True),
        "zephyr torus": lattices.zephyr_torus(3, 2),
        "zephyr wide": lattices.zephyr_graph(2, 8),
    }
    order = np.random.default_rng(0).permutation(80).tolist()
    chosen["zephyr renumbered"] = nx.relabel_nodes(
        lattices.zephyr_graph(2, 2), dict(enumerate(order))
    )
    named = lattices.zephyr_graph(2, 2)
    chosen["zephyr named"] = nx.relabel_nodes(named, {q: f"q{q}" for q in named})
    more = lattices.zephyr_graph(2, 2)
    more.add_edges_from([(0, 79), (1, 40)])
    chosen["zephyr with more couplers"] = more
    far = lattices.zephyr_graph(2, 2)
    far.add_edge(0, 100)
    chosen["zephyr with a qubit beyond it"] = far
    for rows, tile in ((5, 4), (1, 2), (2, 3), (0, 2), (2, 0), (10**9, 2), ("two", None)):
        stated = lattices.zephyr_graph(2, 2)
        stated.graph |= {"rows": rows, "tile": tile}
        chosen[f"zephyr that says {rows} {tile}"] = stated
    for name, graph in chosen.items():
        yield name, graph, graph


def samplers() -> Iterator[tuple[str, object, nx.Graph]]:
    graph = lattices.zephyr_graph(2, 2)
    for topology in (
        {"type": "zephyr", "shape": [2, 2]},
        {"type": "zephyr", "shape": [1, 2]},
        {"type": "zephyr", "shape": [2, 2, 2]},
        {"type": "zephyr", "shape": [2]},
        {"type": "zephyr", "shape": [999_999, 4]},
        {"type": "zephyr", "shape": None},
        {"type": "zephyr", "shape": 2},
        {"type": "zephyr"},
        {"type": "pegasus", "shape": [4]},
        {"type": ["zephyr"], "shape": [2, 2]},
        {"type": "kite", "shape": [2, 2]},
        "zephyr",
        None,
    ):
        sampler = SimpleNamespace(
            nodelist=list(graph.nodes),
            edgelist=list(graph.edges),
            properties={"topology": topology},
        )
        yield f"sampler {topology}", sampler, graph


def file_of(family: str, shape: list[int]) -> Path:
    file = Path(tempfile.mkdtemp()) / "machine.json"
    content = {"topology": {"type": family, "shape": shape}}
    file.write_text(json.dumps(content | {"missing_qubits": [], "missing_couplers": []}))
    return file


JOBS: dict[str, Callable[[], Iterator[tuple[str, object, nx.Graph]]]] = {
    **{f"zephyr-{m}": lambda m=m: zephyr(m) for m in (1, 2, 3, 4)},  # type: ignore[misc]
    "pegasus": pegasus,
    "others": others,
    "samplers": samplers,
}

if __name__ == "__main__":
    for job in JOBS[sys.argv[1]]():
        report(*job)
