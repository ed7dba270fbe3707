"""The board of Ember, on small input, and the bound that proves embeddings minimal."""

from __future__ import annotations

import importlib
import json
import sys
import warnings
from itertools import combinations
from pathlib import Path
from typing import Any

import dwave.graphs
import networkx as nx
import pytest
from networkx.algorithms.isomorphism import GraphMatcher

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def bounds() -> Any:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    yield importlib.import_module("ember_bounds")
    sys.path.remove(str(ROOT / "benchmarks"))


@pytest.fixture(scope="module")
def lattices(bounds: Any) -> dict[str, Any]:
    return {name: bounds.Lattice(name) for name in ("zephyr_12", "pegasus_16")}


@pytest.mark.parametrize("name", ["zephyr_12", "pegasus_16"])
def test_a_clique_takes_two_qubits_a_node_but_for_four(
    bounds: Any, lattices: dict[str, Any], name: str
) -> None:
    for size in (1, 3, 4, 5, 7):
        least = bounds.least_qubits(nx.complete_graph(size), lattices[name], 100)
        assert least == max(size, 2 * size - 4)


def test_stars_take_what_degrees_say(bounds: Any, lattices: dict[str, Any]) -> None:
    for name, degree in (("zephyr_12", 20), ("pegasus_16", 15)):
        for leaves in (degree, degree + 1):
            least = bounds.least_qubits(nx.star_graph(leaves), lattices[name], 100)
            assert least == leaves + 1 + (leaves > degree)


def test_bounds_are_those_of_a_search_through_all_subgraphs(
    bounds: Any, lattices: dict[str, Any]
) -> None:
    """What a small Zephyr lattice holds after nodes are left out, the bound takes for possible."""
    small = dwave.graphs.zephyr_graph(2, 2)
    for seed in range(3):
        graph = nx.gnp_random_graph(6, 0.75, seed=seed)
        least = bounds.least_qubits(graph, lattices["zephyr_12"], 100)
        for out in range(len(graph)):
            rests = (graph.subgraph(set(graph) - set(c)) for c in combinations(graph, out))
            if any(GraphMatcher(small, rest).subgraph_is_monomorphic() for rest in rests):
                break
        assert least <= len(graph) + out


def test_no_proof_beyond_a_known_embedding(bounds: Any, lattices: dict[str, Any]) -> None:
    assert bounds.least_qubits(nx.complete_graph(9), lattices["zephyr_12"], 11) == 11


def test_the_board(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("ember_qc", reason="ember-qc is not installed")
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    kept = tmp_path / "results.jsonl"
    asked = ["--graphs", "K6,petersen,er_n10_p0-05_s0", "--targets", "zephyr_4", "--seconds", "0.6"]
    asked += ["--first", "0.3", "--faults", "0,0.05", "--others", "--resume", str(kept), "--json"]
    monkeypatch.setattr(sys, "argv", ["ember.py", *asked])
    with warnings.catch_warnings():
        # Ember imports dwave_networkx, which says that it is deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        script = importlib.import_module("ember")
        script.main()
    facts = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(facts) == {"zephyr_4, faults 0.0", "zephyr_4, faults 0.05"}
    for board in facts.values():
        assert board["graphs"] == board["qubo-attn"]["valid"] == 3
        assert board["qubo-attn"]["minimal"] == 1.0
        assert board["qubo-attn"]["qubits"] == pytest.approx(28 / 3, abs=1e-3)
        assert board["verdicts"] == {"equal, proven minimal": 3}
        assert set(board) >= {"minorminer", "clique", "pssa-fast"}
    lines = kept.read_text()
    script.main()
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == facts
    assert kept.read_text() == lines
    monkeypatch.setattr(sys, "argv", ["ember.py", "--graphs", "no_such"])
    with pytest.raises(SystemExit, match="no such graphs: no_such"):
        script.main()
