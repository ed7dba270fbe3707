"""The largest clique on a machine, against busclique, and how soon the first K_64 is there.

``largest`` and ``busclique``: nodes of the largest clique found; ``K96_chain`` and
``busclique_K96_chain``: its longest chain; ``first_K64_seconds``: from an empty cache, the package
imported and its kernels compiled. With ``--seeds N`` ours are medians over seeds.
Every embedding is verified by the library.

    python benchmarks/cliques.py --target zephyr:12 --json
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import networkx as nx
import numpy as np
from common import finish, parser
from dwave.embedding import verify_embedding
from minorminer import busclique

import qubo_attn as qa
from qubo_attn.embedding.cliques import find_clique
from qubo_attn.embedding.large import LONGEST, large_clique
from qubo_attn.machine.topology import working_graph


def busclique_chains(size: int, target: qa.Target, graph: nx.Graph) -> list[np.ndarray]:
    """Return what busclique alone finds; its all-sizes cache is never built."""
    try:
        embedding = busclique.find_clique_embedding(size, graph, use_cache=False, seed=0)
    except ValueError:
        return []
    chains = [np.array(sorted(embedding[v]), np.int64) for v in range(size)] if embedding else []
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


def shortest_clique(
    size: int, target: qa.Target, chains: list[np.ndarray], seed: int
) -> list[np.ndarray]:
    """Return a clique whose longest chain is as short as is found, at worst the given one."""
    while True:
        longest = max(map(len, chains), default=LONGEST + 1) - 1
        shorter = large_clique(size, target, longest=longest, seed=seed)
        if not shorter:
            return chains
        chains = shorter


def verify(chains: list[np.ndarray], target: qa.Target) -> None:
    embedding = {c: target.qubits[chain].tolist() for c, chain in enumerate(chains)}
    verify_embedding(embedding, nx.complete_graph(len(chains)), target.graph())


def measured(
    target: qa.Target,
    widest: list[np.ndarray],
    reference: list[np.ndarray],
    longest: int,
    seed: int,
) -> dict[str, float]:
    """Return what one seed finds; ``widest`` is busclique's largest, ``reference`` its K_96."""
    start = time.perf_counter()
    first = find_clique(64, target, seed=seed)
    facts: dict[str, float] = {"first_K64_seconds": round(time.perf_counter() - start, 3)}
    verify(first, target)
    ceiling = 16 * target.shape[0] + 1
    facts["largest"], chains = largest(
        len(widest), ceiling, lambda size: large_clique(size, target, longest=longest, seed=seed)
    )
    facts["largest_chain"] = max(map(len, chains or widest))
    ours = shortest_clique(96, target, reference, seed)
    facts["K96_chain"] = max(map(len, ours), default=0)
    for embedding in (chains, ours):
        if embedding:
            verify(embedding, target)
    return facts


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--target", default="zephyr:12")
    options.add_argument("--longest", type=int, default=20, help="qubits that a chain may have")
    options.add_argument("--seeds", type=int, default=1)
    chosen = options.parse_args()
    target = qa.Target.of(chosen.target)
    if target is None or not target.is_grid:
        raise SystemExit(f"{chosen.target} is not a Pegasus or Zephyr machine")
    # Kernels are compiled, or loaded, before anything is timed.
    large_clique(30, qa.Target.zephyr(3, missing_qubits=0.1))
    find_clique(12, qa.Target.zephyr(3))
    graph = working_graph(target.topology, target.shape, target.qubits[target.couplers])
    reach, widest = largest(
        9, 16 * target.shape[0] + 1, lambda size: busclique_chains(size, target, graph)
    )
    reference = busclique_chains(96, target, graph)
    for embedding in (widest, reference):
        if embedding:
            verify(embedding, target)
    print(f"busclique: K_{reach}, chains up to {max(map(len, widest))}", flush=True)
    runs = []
    for seed in range(chosen.seeds):
        runs.append(measured(target, widest, reference, chosen.longest, seed))
        print(f"ours, seed {seed}: {runs[-1]}", flush=True)
    facts: dict[str, Any] = {name: median(run[name] for run in runs) for name in runs[0]}
    facts |= {
        "busclique": reach,
        "busclique_K96_chain": max(map(len, reference), default=0),
        "seeds": chosen.seeds,
    }
    finish(facts, chosen.json)


if __name__ == "__main__":
    main()
