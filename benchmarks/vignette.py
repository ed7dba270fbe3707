"""Copies of six graphs on one machine, beside the figures that its vendor publishes for it.

The graphs are those of the maximum-cut vignette in the vendor's documentation (dwave-ocean-sdk,
``vignette_maxcut.rst``, read in November 2026): cliques of 12 and 16 nodes, and random regular
graphs of degree 3 and 4 with 24 and 36 nodes, in chains of at most 4 qubits, the best of ten. Ours
is one run. Every packing is verified. The regular graphs are drawn here with ``--graph-seed``; the
vendor's own are not published.

    python benchmarks/vignette.py --target FILE --json
"""

from __future__ import annotations

import tempfile
import time

import networkx as nx
from common import finish, parser
from minorminer.utils.diagnostic import is_valid_embedding

import qubo_attn as qa

PUBLISHED = {
    "K12": 113, "K16": 66, "3-regular 24": 147, "3-regular 36": 94, "4-regular 24": 127,
    "4-regular 36": 71,
}  # fmt: skip


def graph_of(name: str, seed: int) -> nx.Graph:
    """Return a graph by its name."""
    if name.startswith("K"):
        return nx.complete_graph(int(name[1:]))
    degree, size = int(name[0]), int(name.split()[1])
    return nx.random_regular_graph(degree, size, seed=seed)


def is_good(packed: qa.PackedGraphs, graph: nx.Graph, target: qa.Target) -> bool:
    """Return whether all copies are embeddings, and disjoint."""
    machine = target.graph()
    used = [qubit for copy in packed.embeddings for chain in copy.values() for qubit in chain]
    each = (is_valid_embedding(copy, graph, machine) for copy in packed.embeddings)
    return len(used) == len(set(used)) and all(each)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--target", required=True, help="working graph of the machine")
    options.add_argument("--rounds", type=int, default=20_000, help="effort of the search")
    options.add_argument("--longest-chain", type=int, default=4)
    options.add_argument("--graphs", default=",".join(PUBLISHED))
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--graph-seed", type=int, default=1)
    chosen = options.parse_args()
    target = qa.Target.of(chosen.target)
    if target is None:
        raise SystemExit(f"{chosen.target} is no machine")
    facts: dict[str, dict[str, float]] = {}
    for name in chosen.graphs.split(","):
        graph, start = graph_of(name, chosen.graph_seed), time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            packed = qa.pack_graphs(
                graph,
                target,
                seed=chosen.seed,
                longest_chain=chosen.longest_chain,
                rounds=chosen.rounds,
                cache=folder,
            )
        facts[name] = {
            "ours": len(packed) if is_good(packed, graph, target) else 0,
            "published": PUBLISHED[name],
            "longest_chain": packed.longest_chain,
            "qubits": packed.qubits,
            "seconds": round(time.process_time() - start, 1),
        }
        print(f"{name}: {facts[name]}", flush=True)
    finish(facts, chosen.json)


if __name__ == "__main__":
    main()
