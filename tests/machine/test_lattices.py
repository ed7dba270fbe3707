"""Lattices of every size, and graphs and samplers that say they are one: packed, or refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dimod
import dwave.graphs as lattices
import networkx as nx
import numpy as np
import pytest
from dwave.system.testing import MockDWaveSampler

import qubo_attn as qa
from qubo_attn.machine.lattice import Lattice
from tests.conftest import ROOT
from tests.support.lattices import JOBS


@pytest.mark.parametrize("job", JOBS)
def test_every_lattice_packs(job: str, tmp_path: Path) -> None:
    """In a process of its own: a kernel that reads beyond its arrays takes the process with it.

    With a cache of its own, too: other tests must not mend what is packed here.
    """
    child = subprocess.run(
        [sys.executable, "-m", "tests.support.lattices", job],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "QUBO_ATTN_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert child.returncode == 0, child.stderr[-2000:]
    lines = [line.rsplit(": ", 1) for line in child.stdout.splitlines()]
    assert len(lines) == 3 * len(list(JOBS[job]()))
    # Three keys that all interact take a path of couplers at most: every machine holds them.
    assert {what[:9] for name, what in lines if ": 3 keys" in name} == {"packed on"}
    assert all(what.startswith(("packed on", "fits ")) for _, what in lines)


def test_what_fits_on_narrow_lanes_is_said() -> None:
    graph = lattices.zephyr_graph(1, 2)
    with pytest.raises(qa.EmbeddingError) as caught:
        qa.compile(np.zeros((1, 9)), 1, select=qa.ExactlyK(4), target=graph, slots=None)
    fits: Any = caught.value.facts["fits"]
    assert 3 <= fits < 9
    assert qa.compile(np.zeros((1, fits)), 1, select=qa.ExactlyK(2), target=graph, slots=None)


@pytest.mark.parametrize(
    ("family", "shape"),
    [("zephyr", (m, t)) for m in (1, 2, 3) for t in (1, 2, 4, 5)]
    + [("pegasus", (m,)) for m in (2, 3, 4)],
)
def test_couplers_of_a_lattice_are_those_of_the_library(
    family: str, shape: tuple[int, ...]
) -> None:
    lattice = Lattice.of(family, shape)
    graph = (
        lattices.zephyr_graph(*shape)
        if family == "zephyr"
        else lattices.pegasus_graph(*shape, fabric_only=False)
    )
    assert lattice.qubits == len(graph)
    one, other = np.triu_indices(len(graph), 1)
    joined = lattice.joined(one, other)
    pairs = zip(one[joined].tolist(), other[joined].tolist(), strict=True)
    assert set(pairs) == {tuple(sorted(edge)) for edge in graph.edges}
    np.testing.assert_array_equal(lattice.joined(other, one), joined)


def test_a_graph_is_a_lattice_by_its_numbers() -> None:
    graph = lattices.zephyr_graph(2, 3)
    assert qa.Target.of(graph).topology == "zephyr"  # type: ignore[union-attr]
    assert qa.Target.of(graph).label == "zephyr 2, tile 3"  # type: ignore[union-attr]
    renumbered = nx.relabel_nodes(graph, {q: q + 1 for q in graph})
    assert qa.Target.of(renumbered).topology == "other"  # type: ignore[union-attr]


def file_with(folder: Path, **content: object) -> Path:
    whole: dict[str, object] = {"topology": {"type": "zephyr", "shape": [2, 4]}}
    whole |= {"missing_qubits": [], "missing_couplers": []}
    file = folder / "machine.json"
    file.write_text(json.dumps(whole | content))
    return file


@pytest.mark.parametrize(
    "shape",
    [[2, 4, 7], [2, 0], [0, 4], [-1, 4], [2, -4], [], [2.5, 4], [True, 4], ["2", 4], [[2], 4],
     [999_999, 4], [2, 999_999], [10**30, 4], None, 2, "24", {}],
)  # fmt: skip
@pytest.mark.parametrize("family", ["zephyr", "pegasus"])
def test_shapes_of_files(tmp_path: Path, family: str, shape: object) -> None:
    file = file_with(tmp_path, topology={"type": family, "shape": shape})
    with pytest.raises(qa.TargetError, match=r"machine\.json"):
        qa.Target.of(file)


@pytest.mark.parametrize(
    "content",
    [
        {"missing_qubits": [160]},
        {"missing_qubits": [-1]},
        {"missing_qubits": [1.5]},
        {"missing_qubits": ["a"]},
        {"missing_qubits": [2**70]},
        {"missing_qubits": None},
        {"missing_couplers": [[0, 160]]},
        {"missing_couplers": [[0, 1, 2]]},
        {"missing_couplers": [[0], [1, 2]]},
        {"properties": [1]},
        {"topology": None},
        {"topology": {"type": ["zephyr"], "shape": [2, 4]}},
    ],
)
def test_files_that_do_not_read(tmp_path: Path, content: dict[str, object]) -> None:
    with pytest.raises(qa.TargetError, match=r"machine\.json"):
        qa.Target.of(file_with(tmp_path, **content))


@pytest.mark.parametrize(
    "name",
    ["zephyr:999999", "pegasus:999999", f"zephyr:{'9' * 5000}", "zephyr:-1", "zephyr:2.5",
     "zephyr:", "zephyr:0", "zephyr:000", "x" * 5000, "a\0b", "", ".", "zephyr:2:4"],
)  # fmt: skip
def test_names_of_no_target(name: str) -> None:
    with pytest.raises(qa.TargetError):
        qa.Target.of(name)


@pytest.mark.parametrize("m", [0, -1, 2.0, True, "2", None, 999_999])
def test_grids(m: Any) -> None:
    for make in (qa.Target.zephyr, qa.Target.pegasus):
        with pytest.raises(qa.TargetError):
            make(m)


def test_the_largest_lattice_that_is_taken() -> None:
    """A limit on what is about to be made, not on what was made."""
    with pytest.raises(qa.TargetError, match="more than 250000 qubits"):
        qa.Target.zephyr(125)
    assert len(qa.Target.zephyr(30).qubits) == 16 * 30 * 61


def sampler_with(
    nodes: Iterable[Any] | None, edges: Iterable[Any] | None, **properties: object
) -> SimpleNamespace:
    return SimpleNamespace(nodelist=nodes, edgelist=edges, properties=properties)


@pytest.mark.parametrize(
    "sampler",
    [
        sampler_with([0, 1], [(0, 5)]),
        sampler_with([0, 1], [(0, 1, 2)]),
        sampler_with([0, 1], [0, 1]),
        sampler_with([0, 1], [(0, 0)]),
        sampler_with([], []),
        sampler_with([[0], [1]], []),
        sampler_with([0, 1], [(0, 1)], topology=None, h_range="wide"),
        sampler_with([0, 1], [(0, 1)], h_range=[0, float("nan")]),
        sampler_with([0, 1], [(0, 1)], h_range=[-(10**400), 10**400]),
        sampler_with([0, 1], [(0, 1)], h_range=[-1, True]),
        sampler_with([0, 1], [(0, 1)], num_reads_range=5),
        sampler_with([0, 1], [(0, 1)], problem_run_duration_range=["a", "b"]),
        sampler_with([0, 1], [(0, 1)], per_qubit_coupling_range=[1, 2]),
    ],
)
def test_samplers_that_do_not_read(sampler: object) -> None:
    with pytest.raises(qa.TargetError):
        qa.compile([[2.0, 1.0]], 1, select=qa.OneHot(), target=sampler).report()


@pytest.mark.parametrize(
    "timing",
    [
        [1, 2],
        "fast",
        {"version": "1.0.0"},
        {"readout_time_model_parameters": 5},
        {"readout_time_model_parameters": ["a", "b"]},
        {"readout_time_model_parameters": [1.0, None]},
        {"typical_programming_time": "long"},
        {"typical_programming_time": None},
        {"typical_programming_time": -1},
        {"qpu_delay_time_per_sample": float("nan")},
        {"default_annealing_time": [20]},
    ],
)
def test_timing_that_does_not_read(timing: Any) -> None:
    whole = {
        "version": "1.0.0",
        "readout_time_model": "pwl_log_log",
        "readout_time_model_parameters": [0.0, 1.0, 1.0, 2.0],
        "typical_programming_time": 1.0,
        "qpu_delay_time_per_sample": 1.0,
    }
    properties = {"problem_timing_data": whole | timing if isinstance(timing, dict) else timing}
    if timing == {"version": "1.0.0"}:
        properties["problem_timing_data"] = timing
    target = qa.Target.of(sampler_with([0, 1], [(0, 1)], **properties))
    assert target is not None
    with pytest.raises(qa.TargetError):
        target.timing  # noqa: B018


@pytest.mark.parametrize("properties", [None, 5, "odd", [("topology", "zephyr")]])
def test_properties_that_are_none(properties: object) -> None:
    """A working graph is enough."""
    sampler = SimpleNamespace(nodelist=[0, 1, 2], edgelist=[(0, 1), (1, 2)], properties=properties)
    compiled = qa.compile([[2.0, 1.0]], 1, select=qa.OneHot(), target=sampler)
    assert compiled.solve("anneal", seed=1).selected.tolist() == [[[True, False]]]


@pytest.mark.parametrize(
    ("qubits", "couplers"),
    [
        ([0, 1, 2], [[0, 3]]),
        ([0, 1, 2], [[-1, 0]]),
        ([0, 1, 2], [[1, 0]]),
        ([0, 1, 2], [[0, 1], [0, 1]]),
        ([0, 2, 1], [[0, 1]]),
        ([0, 0, 1], [[0, 1]]),
        ([0, 1, 160], [[0, 1]]),
        ([-1, 0, 1], [[0, 1]]),
    ],
)
def test_targets_by_hand_are_checked(qubits: list[int], couplers: list[list[int]]) -> None:
    columns = np.array(qubits, np.int64), np.array(couplers, np.int64)
    with pytest.raises(qa.TargetError):
        qa.Target("zephyr", (2, 4), *columns)


def test_couplers_beyond_the_lattice_do_not_reach_a_kernel() -> None:
    columns = np.array([0, 1, 2, 159]), np.array([[0, 1], [0, 3]])
    limits = {"per_group_coupling_range": [-13, 10], "h_range": [-4, 4], "j_range": [-1, 1]}
    target = qa.Target("zephyr", (2, 4), *columns, limits)
    with pytest.raises(qa.TargetError, match="a coupler is none of zephyr"):
        target.coupling_groups  # noqa: B018


@pytest.mark.parametrize(
    ("qubits", "couplers"),
    [
        (["a"], []),
        ([1.5], []),
        ([10**30], []),
        ([[0], [1, 2]], []),
        (None, []),
        ([], [[0, 1, 2]]),
        ([], [0, 1]),
        ([], [["a", "b"]]),
        (range(160), []),
    ],
)
def test_losses_that_do_not_read(qubits: Any, couplers: Any) -> None:
    with pytest.raises(qa.TargetError):
        qa.Target.zephyr(2).without(qubits, couplers)
    if couplers or qubits != range(160):
        solver = SimpleNamespace(properties={"qubits": qubits, "couplers": couplers})
        with pytest.raises(qa.TargetError):
            qa.SolverOrder.of(qa.Target.zephyr(2), solver)


def test_the_order_of_a_solver_behind_a_composite() -> None:
    machine = MockDWaveSampler(topology_type="zephyr", topology_shape=[2, 4])
    compiled = qa.compile([[2.0, 1.0]], 1, select=qa.OneHot(), target=machine)
    assert compiled.wires(dimod.TrackingComposite(machine)) == compiled.wires(machine)
    with pytest.raises(qa.TargetError, match="does not list its qubits"):
        compiled.wires(SimpleNamespace(properties=None))
