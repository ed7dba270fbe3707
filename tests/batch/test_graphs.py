"""Graphs in streams: blocks of queries come back from other processes with the same bytes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

import qubo_attn as qa


def test_blocks_from_an_executor_have_the_same_bytes() -> None:
    q, k, v = np.random.default_rng(0).normal(size=(3, 2, 90, 4))
    window: dict[str, Any] = {"rows": 40, "window": 9, "causal": True}
    options: dict[str, Any] = {
        "select": qa.ExactlyK(2),
        "slots": 5,
        "target": "zephyr:4",
        "values": v,
    }

    def blocks() -> Any:
        return qa.AttentionGraph.stream_vectors(q, k, **window)

    alone = [qa.compile(block, 2, **options) for block in blocks()]
    here = list(qa.compile_batch(blocks(), 2, **options))
    with ThreadPoolExecutor(1) as pool:
        sent = list(qa.compile_batch(blocks(), 2, executor=pool, **options))
    for found in (here, sent):
        assert len(found) == len(alone) == 3
        for ours, theirs in zip(found, alone, strict=True):
            for one, other in zip(ours.stages, theirs.stages, strict=True):
                assert one.program.digest() == other.program.digest()
            for one_array, other_array in zip(
                ours.hardware_arrays(), theirs.hardware_arrays(), strict=True
            ):
                assert one_array.tobytes() == other_array.tobytes()
    ours, theirs = (found[1].solve(seed=1) for found in (sent, alone))
    assert ours.edge_weights.tobytes() == theirs.edge_weights.tobytes()


def test_items_may_be_graphs_with_values() -> None:
    v = np.random.default_rng(1).normal(size=(1, 3, 2))
    graph = qa.AttentionGraph.from_edges([[0, 1, 2], [0, 0, 1]], [1.0, 0.5, 2.0])
    items = [{"scores": graph, "values": v}, graph]
    first, second = qa.compile_batch(
        items, 1, select=qa.OneHot(), objective="selection", target=None
    )
    assert first.attention.values is not None
    assert second.attention.values is None
