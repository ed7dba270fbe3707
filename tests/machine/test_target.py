from __future__ import annotations

import json
from pathlib import Path

import dimod
import networkx as nx
import numpy as np
import pytest

import qubo_attn as qa
from tests.conftest import shared_files


def test_ideal_machines_match_the_published_counts() -> None:
    assert (len(qa.Target.zephyr(12).qubits), len(qa.Target.zephyr(12).couplers)) == (4800, 45864)
    assert (len(qa.Target.pegasus(16).qubits), len(qa.Target.pegasus(16).couplers)) == (5640, 40484)
    assert qa.Target.zephyr(3).is_ideal


def test_losses_are_seeded() -> None:
    a = qa.Target.zephyr(3, missing_qubits=0.1, missing_couplers=0.05, seed=4)
    b = qa.Target.zephyr(3, missing_qubits=0.1, missing_couplers=0.05, seed=4)
    c = qa.Target.zephyr(3, missing_qubits=0.1, missing_couplers=0.05, seed=5)
    assert a.hash == b.hash != c.hash
    assert len(a.qubits) == 336 - 34
    assert not a.is_ideal
    assert a.properties["h_range"] == (-6.0, 6.0)
    ideal = qa.Target.zephyr(3).graph()
    assert set(a.graph().edges) <= {e for u, v in ideal.edges for e in ((u, v), (v, u))}


def test_the_hash_is_of_the_graph_alone() -> None:
    target = qa.Target.zephyr(2)
    assert qa.Target.of(target.graph()).hash != target.hash  # a bare graph is no Zephyr lattice
    missing = target.without([5], [[0, 1]])
    assert missing.hash != target.hash
    assert target.without([], []).hash == target.hash


def test_networkx_graphs_of_the_library_keep_their_family() -> None:
    graph = __import__("dwave.graphs", fromlist=["zephyr_graph"]).zephyr_graph(2)
    target = qa.Target.of(graph)
    assert target is not None
    assert target.topology == "zephyr"
    assert target.hash == qa.Target.zephyr(2).hash


def test_any_graph_will_do() -> None:
    target = qa.Target.of(nx.relabel_nodes(nx.complete_graph(5), dict(enumerate("edcba"))))
    assert target is not None
    assert (target.topology, target.names) == ("other", ("a", "b", "c", "d", "e"))
    assert sorted(map(sorted, target.graph().edges))[0] == ["a", "b"]


def test_structured_samplers() -> None:
    nodes, edges = [3, 1, 2], [(3, 1), (2, 1)]
    sampler = dimod.StructureComposite(dimod.ExactSolver(), nodes, edges)
    target = qa.Target.of(sampler)
    assert target is not None
    assert target.qubits.tolist() == [1, 2, 3]
    assert target.couplers.tolist() == [[0, 1], [0, 2]]


def test_mock_machines_lose_the_stale_limit() -> None:
    from dwave.system.testing import MockDWaveSampler

    ideal = qa.Target.zephyr(2)
    mock = MockDWaveSampler(
        topology_type="zephyr",
        topology_shape=[2, 4],
        properties={"per_group_coupling_range": [-13.0, 10.0]},
    )
    target = qa.Target.of(mock)
    assert target is not None
    assert target.hash == ideal.hash
    assert "per_qubit_coupling_range" not in target.properties


@pytest.mark.parametrize("file", shared_files("qpu/*.json"), ids=lambda f: f.stem)
def test_real_working_graphs(file: Path) -> None:
    target = qa.Target.from_json(file)
    content = json.loads(file.read_text())
    assert len(target.qubits) == content["working_qubits"]
    assert len(target.couplers) == content["working_couplers"]
    assert target.label == content["solver"]


def test_json_round_trip(tmp_path: Path) -> None:
    file = tmp_path / "machine.json"
    file.write_text(
        json.dumps(
            {
                "topology": {"type": "zephyr", "shape": [2, 4]},
                "missing_qubits": [3],
                "missing_couplers": [[0, 1]],
            }
        )
    )
    target = qa.Target.of(str(file))
    assert target is not None
    assert target.hash == qa.Target.zephyr(2).without([3], [[0, 1]]).hash
    assert target.label == "machine"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("chimera:4", "unknown target 'chimera:4': expected zephyr:M, pegasus:M, all-to-all or"),
        ("zephyr:0", "zephyr needs a size of at least 1, as in zephyr:12"),
        ("pegasus:1", "pegasus needs a grid of at least 2"),
        ("nowhere.json", "there is no file .*nowhere.json"),
        (7, "cannot compile for int: pass a Target"),
        (nx.Graph(), "a working graph is undirected, has qubits"),
        (nx.DiGraph([(0, 1)]), "a working graph is undirected"),
    ],
)
def test_unusable_targets_are_named(target: object, message: str) -> None:
    with pytest.raises(qa.TargetError, match=message):
        qa.Target.of(target)


def test_unusable_files_are_named(tmp_path: Path) -> None:
    file = tmp_path / "odd.json"
    for text in (
        "{",
        "[]",
        '{"topology": {"type": "kite", "shape": [2]}, "missing_qubits": [], '
        '"missing_couplers": []}',
    ):
        file.write_text(text)
        with pytest.raises(qa.TargetError, match=r"odd\.json|unknown topology 'kite'"):
            qa.Target.from_json(file)


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_losses_are_shares(share: float) -> None:
    with pytest.raises(qa.TargetError, match="missing_qubits must be a share"):
        qa.Target.zephyr(2, missing_qubits=share)


def test_names_do_not_depend_on_insertion_order() -> None:
    a = nx.Graph([((0, 1), (1, 1)), ((1, 1), (2, 1))])
    b = nx.Graph([((2, 1), (1, 1)), ((1, 1), (0, 1))])
    first, second = qa.Target.from_graph(a), qa.Target.from_graph(b)
    assert first.hash == second.hash
    assert first.names == second.names
    assert np.array_equal(first.couplers, [[0, 1], [1, 2]])
