"""The largest clique on a machine, against busclique, and how soon the first K_64 is there.

``largest`` and ``busclique``: nodes of the largest clique found; ``K96_chain`` and
``busclique_K96_chain``: its longest chain; ``first_K64_seconds``: from an empty cache, the package
imported and its kernels compiled. Every embedding is verified by the library.

    python benchmarks/cliques.py --target zephyr:12 --json
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np
from common import finish, parser
from dwave.embedding import verify_embedding
from minorminer import busclique

import qubo_attn as qa
from qubo_attn.embedding.large import large_clique, shortest_clique
from qubo_attn.embedding.packing import find_clique


def busclique_chains(size: int, target: qa.Target, graph: nx.Graph) -> list[np.ndarray]:
    """Return what busclique alone finds; its all-sizes cache is never built."""
    try:
        found = busclique.find_clique_embedding(size, graph, use_cache=False, seed=0)
    except ValueError:
        return []
    chains = [np.array(sorted(found[v]), np.int64) for v in range(size)] if found else []
    return [np.searchsorted(target.qubits, chain) for chain in chains]


def largest(
    low: int, high: int, find: Callable[[int], list[np.ndarray]]
) -> tuple[int, list[np.ndarray]]:
    """Return the largest size found from ``low``, known to work, to below ``high``; its chains."""
    best: list[np.ndarray] = []
    while high - low > 1:
        middle = (low + high) // 2
        chains = find(middle)
        if chains:
            low, best = middle, chains
        else:
            high = middle
    return low, best


def verify(chains: list[np.ndarray], target: qa.Target) -> None:
    embedding = {c: target.qubits[chain].tolist() for c, chain in enumerate(chains)}
    verify_embedding(embedding, nx.complete_graph(len(chains)), target.graph())


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--target", default="zephyr:12")
    options.add_argument("--longest", type=int, default=20, help="qubits that a chain may have")
    chosen = options.parse_args()
    target = qa.Target.of(chosen.target)
    if target is None or not target.is_grid:
        raise SystemExit(f"{chosen.target} is not a Pegasus or Zephyr machine")
    small = qa.Target.zephyr(3, missing_qubits=0.05)
    large_clique(16, small)
    start = time.perf_counter()
    first = find_clique(64, target)
    facts: dict[str, Any] = {"first_K64_seconds": round(time.perf_counter() - start, 3)}
    verify(first, target)
    print(f"first K_64 after {facts['first_K64_seconds']} s", flush=True)
    graph, ceiling = target.lattice_graph(target.couplers), 16 * target.shape[0] + 1
    facts["busclique"], chains = largest(
        9, ceiling, lambda size: busclique_chains(size, target, graph)
    )
    print(f"busclique: K_{facts['busclique']}, chains up to {max(map(len, chains))}", flush=True)
    facts["largest"], longer = largest(
        facts["busclique"],
        ceiling,
        lambda size: large_clique(size, target, longest=chosen.longest),
    )
    chains = longer or chains
    verify(chains, target)
    facts["largest_chain"] = max(map(len, chains))
    print(f"ours: K_{facts['largest']}, chains up to {facts['largest_chain']}", flush=True)
    theirs = busclique_chains(96, target, graph)
    ours = shortest_clique(96, target, theirs)
    for name, found in (("K96_chain", ours), ("busclique_K96_chain", theirs)):
        facts[name] = max(map(len, found), default=0)
        if found:
            verify(found, target)
    print(f"K_96: chains up to {facts['K96_chain']}, busclique {facts['busclique_K96_chain']}")
    finish(facts, chosen.json)


if __name__ == "__main__":
    main()
