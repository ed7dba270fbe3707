"""Machines written to files and read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
from dwave.system.testing import MockDWaveSampler
from hypothesis import given
from hypothesis import strategies as st

import qubo_attn as qa
from tests.conftest import shared_files


def plain(properties: Any) -> Any:
    """Properties as JSON holds them: tuples are lists."""
    return json.loads(json.dumps(properties, default=list))


def read_back(target: qa.Target, folder: Path) -> qa.Target:
    file = folder / "chip.json"
    target.to_json(file)
    back = qa.Target.from_json(file)
    assert (back.hash, back.topology, back.shape) == (target.hash, target.topology, target.shape)
    assert (back.label, back.names) == (target.label, target.names)
    for column in ("qubits", "couplers"):
        assert getattr(back, column).tobytes() == getattr(target, column).tobytes()
    assert plain(back.properties) == plain(target.properties)
    again = folder / "again.json"
    back.to_json(again)
    assert again.read_bytes() == file.read_bytes()
    return back


@pytest.mark.parametrize("family", ["zephyr", "pegasus"])
@given(m=st.integers(2, 3), lost=st.sampled_from([0.0, 0.03, 0.5]), seed=st.integers(0, 9))
def test_lattices(family: str, m: int, lost: float, seed: int, tmp_path_factory: Any) -> None:
    target = getattr(qa.Target, family)(m, missing_qubits=lost, missing_couplers=lost, seed=seed)
    back = read_back(target, tmp_path_factory.mktemp("files"))
    assert back.limits == target.limits
    assert back.timing == target.timing


def test_other_machines(tmp_path: Path) -> None:
    graph = nx.path_graph([9, 4, 7, 30])
    properties = {"h_range": np.array([-2.0, 2.0]), "j_range": (-1, 1), "note": {"a": None}}
    numbered = qa.Target.from_graph(graph, properties=properties, label="path")
    back = qa.Target.of(str(_written(numbered, tmp_path)))
    assert (back.hash, back.limits) == (numbered.hash, numbered.limits)
    assert sorted(back.graph().edges) == sorted(numbered.graph().edges)
    for target in (
        qa.Target.from_graph(nx.relabel_nodes(graph, {9: "a", 4: "b", 7: "c", 30: "d"})),
        qa.Target.all_to_all(6),
        qa.SimulatedMachine("zephyr:2", temperature=0.2).target,
    ):
        read_back(target, tmp_path)
    mock = MockDWaveSampler(topology_type="zephyr", topology_shape=[2, 4], broken_nodes=[3, 5])
    read_back(qa.Target.from_sampler(mock), tmp_path)


def _written(target: qa.Target, folder: Path) -> Path:
    target.to_json(folder / "one.json")
    return folder / "one.json"


@pytest.mark.data
@pytest.mark.parametrize("file", shared_files("qpu/*.json"), ids=lambda f: f.stem)
def test_real_machines(file: Path, tmp_path: Path) -> None:
    target = qa.Target.from_json(file)
    read_back(target, tmp_path)
    content = json.loads((tmp_path / "chip.json").read_text())
    facts = json.loads(file.read_text())
    assert content["missing_qubits"] == facts["missing_qubits"]
    assert sorted(content["missing_couplers"]) == sorted(facts["missing_couplers"])


def test_what_no_file_holds(tmp_path: Path) -> None:
    graph = nx.path_graph(3)
    file = tmp_path / "chip.json"
    for properties in ({"x": object()}, {"x": float("nan")}, {"x": {1: 2}}, {"x": b"1"}):
        target = qa.Target.from_graph(graph, properties=properties)
        with pytest.raises(qa.TargetError, match="property x holds"):
            target.to_json(file)
    pairs = qa.Target.from_graph(nx.relabel_nodes(graph, {0: (0, 0), 1: (0, 1), 2: (1, 0)}))
    with pytest.raises(qa.TargetError, match="a name that is no text"):
        pairs.to_json(file)
    assert not file.exists()
    with pytest.raises(qa.InputError, match="cannot be written"):
        qa.Target.zephyr(1).to_json("/dev/null/chip.json")


@pytest.mark.parametrize(
    "change",
    [
        {"qubits": [1, 0]},
        {"qubits": [0, 0]},
        {"qubits": None},
        {"couplers": [[0, 5]]},
        {"couplers": [[0, 0]]},
        {"couplers": [0, 1]},
        {"names": ["a"]},
        {"names": [1, 2]},
        {"properties": [1]},
    ],
    ids=str,
)
def test_files_that_do_not_read(tmp_path: Path, change: dict[str, object]) -> None:
    file = tmp_path / "chip.json"
    content = {"topology": {"type": "other", "shape": []}, "qubits": [0, 1], "couplers": [[0, 1]]}
    file.write_text(json.dumps(content))
    assert qa.Target.from_json(file).topology == "other"
    file.write_text(json.dumps(content | change))
    with pytest.raises(qa.TargetError):
        qa.Target.from_json(file)
