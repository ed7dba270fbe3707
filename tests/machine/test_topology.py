"""The lattices, against the topology library's graphs."""

from __future__ import annotations

import dwave.graphs
import numpy as np
import pytest

from qubo_attn.machine.topology import ideal_graph


@pytest.mark.parametrize("shape", [(1, 4), (2, 4), (3, 2), (12, 4)])
def test_zephyr_is_the_librarys(shape: tuple[int, int]) -> None:
    qubits, couplers = ideal_graph("zephyr", shape)
    graph = dwave.graphs.zephyr_graph(*shape)
    assert qubits.tolist() == sorted(graph.nodes)
    pairs = {tuple(sorted(edge)) for edge in graph.edges}
    assert sorted(pairs) == [tuple(pair) for pair in couplers.tolist()]
    assert couplers.dtype == np.int64
