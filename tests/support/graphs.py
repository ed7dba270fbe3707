"""Attention on graphs, for hypothesis: any pattern, edges in any order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

import qubo_attn as qa


@dataclass(frozen=True, eq=False)
class Problem:
    """A graph, the same as an array, and options of `compile`."""

    graph: qa.AttentionGraph
    array: np.ndarray
    head: np.ndarray
    query: np.ndarray
    key: np.ndarray
    options: dict[str, Any]

    @classmethod
    def of(
        cls,
        nodes: int,
        query: np.ndarray,
        key: np.ndarray,
        scores: np.ndarray,
        options: dict[str, Any],
    ) -> Problem:
        graph = qa.AttentionGraph.from_edges(np.stack([key, query]), scores, nodes=nodes)
        array = np.full((len(scores), nodes, nodes), -np.inf)
        array[:, query, key] = scores
        return cls(graph, array, np.arange(len(scores)), query, key, options)


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Draw a pattern of any kind, empty nodes and self-loops among it, and scores."""
    nodes, heads = draw(st.integers(1, 12)), draw(st.integers(1, 3))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    share = draw(st.sampled_from((0.0, 0.1, 0.4, 0.8, 1.0)))
    query, key = np.nonzero(random.random((nodes, nodes)) < share)
    order = random.permutation(len(query))
    scores = random.normal(scale=2.0, size=(heads, len(query)))
    if draw(st.booleans()):
        scores[random.random(scores.shape) < 0.1] = -np.inf
    if draw(st.booleans()):
        scores = scores.round()
    values = random.normal(size=(heads, nodes, 3))
    k = draw(st.integers(1, 3))
    options: dict[str, Any] = draw(
        st.sampled_from(
            (
                {"objective": "selection"},
                {"values": values},
                {"values": values, "objective": "renormalised"},
                {"objective": "sparsemax", "select": qa.SoftWeights(2)},
                {"values": values, "select": qa.SoftWeights(3, k=k)},
                {"values": values, "objective": "renormalised", "select": qa.Budget(5)},
                {
                    "values": values,
                    "objective": "renormalised",
                    "tie": qa.TieVariables(queries=True),
                    "select": qa.AtMostK(k),
                },
            )
        )
    )
    plain = {"select": qa.ExactlyK(k), "slots": 5, "target": None}
    return Problem.of(nodes, query[order], key[order], scores, plain | options)
