"""Graph attention: edges of a social network selected per node under a budget, beside top-k.

A layer as in graph attention networks scores edges ``LeakyReLU(a_s h_source + a_t h_target)``, two
heads on the karate club of networkx, self-loops included. Each node keeps three of its edges. The
error is that of what the node takes in, against softmax over all its edges.

    python examples/graph_attention.py
"""

from __future__ import annotations

import networkx as nx
import numpy as np

import qubo_attn as qa

HEADS, FEATURES, BUDGET = 2, 8, 3


def layer(graph: nx.Graph, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return edges (sources above targets), their scores and the nodes' values."""
    random = np.random.default_rng(seed)
    club = np.array([graph.nodes[node]["club"] == "Officer" for node in graph])
    features = random.normal(size=(len(club), FEATURES)) + 1.5 * club[:, None]
    weight = random.normal(size=(HEADS, FEATURES, FEATURES)) / np.sqrt(FEATURES)
    of_source, of_target = random.normal(size=(2, HEADS, FEATURES))
    both = nx.to_directed(graph)
    edges = np.array([*both.edges, *((node, node) for node in both)]).T
    values = features @ weight  # heads, nodes, features
    source = np.einsum("hnf,hf->hn", values, of_source)[:, edges[0]]
    target = np.einsum("hnf,hf->hn", values, of_target)[:, edges[1]]
    scores = source + target
    return edges, np.where(scores > 0, scores, 0.2 * scores), values


def main() -> None:
    """Print what the nodes keep, and how far off that is."""
    club = nx.karate_club_graph()
    edges, scores, values = layer(club)
    graph = qa.AttentionGraph.from_edges(edges, scores, nodes=len(club))
    compiled = qa.compile(
        graph, HEADS, values=values, select=qa.ExactlyK(BUDGET), target="zephyr:6"
    )
    result = compiled.solve(seed=1)
    errors = result.beside(compiled).error
    kept = graph.as_given(result.selected)
    print(
        f"{graph.edges // HEADS} edges of {len(club)} nodes, {HEADS} heads; each node keeps "
        f"{BUDGET}: {int(kept.sum())} in all, in {len(compiled.submissions)} programming(s)"
    )
    print(f"relative error of what nodes take in: {errors['result']:.3f}, ", end="")
    print(f"of their {BUDGET} heaviest edges {errors['top-k']:.3f}")
    same = result.same_as_top_k(compiled.attention)
    print(f"{int((~same).sum())} of {same.size} rows keep other edges than their heaviest")
    node, name = 33, "the officer"
    own = edges[0, (edges[1] == node) & kept[0]].tolist()
    print(f"head 0 of node {node}, {name}, attends to nodes {', '.join(map(str, own))}")


if __name__ == "__main__":
    main()
