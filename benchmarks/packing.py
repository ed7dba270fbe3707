"""Copies of a clique placed at once, beside Ocean's own tools and the area bound.

For each size: ``ours``, ``ocean`` (the best of its tools, each given the same time), ``bound``
(working qubits over those of the smallest tile known) and ``seconds``, the processor time of ours
from nothing, kernels compiled. With ``--seeds N`` all four are medians over N seeds of ours;
``ours_least`` is the worst of them. Every packing counted is verified.

    python benchmarks/packing.py --target zephyr:12 --sizes 8,12,16,32 --json
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from statistics import median
from typing import Any

import minorminer
import networkx as nx
import numpy as np
from common import finish, parser
from minorminer import busclique
from minorminer.utils.parallel_embeddings import (
    find_multiple_embeddings,
    find_sublattice_embeddings,
)

import qubo_attn as qa
from qubo_attn.embedding.cliques import THOROUGH, pack_cliques
from qubo_attn.embedding.component import Component
from qubo_attn.embedding.packing import Packing
from qubo_attn.embedding.templates import clique_tiles
from qubo_attn.machine.topology import working_graph

# The smallest sublattice that holds the clique with some room.
SUBLATTICE = {"zephyr": {8: 2, 16: 2, 32: 3}, "pegasus": {8: 2, 16: 3, 32: 4}}


def one_clique(source: nx.Graph, graph: nx.Graph, **_: object) -> dict[int, Iterable[int]]:
    """Embed a clique with busclique, without its all-sizes cache."""
    try:
        return dict(busclique.find_clique_embedding(len(source), graph, use_cache=False, seed=0))
    except ValueError:
        return {}


def ocean(size: int, target: qa.Target, budget: float) -> dict[str, int]:
    """Return how many copies each of Ocean's tools places in ``budget`` seconds."""
    source = nx.complete_graph(size)
    graph = working_graph(target.topology, target.shape, target.qubits[target.couplers])
    common: dict[str, Any] = {
        "max_num_emb": None,
        "use_filter": False,
        "one_to_iterable": True,
        "timeout": budget,
        "embedder": minorminer.find_embedding,
        "embedder_kwargs": {"timeout": 20, "random_seed": 1, "tries": 2},
    }
    side = next(m for n, m in SUBLATTICE[target.topology].items() if size <= n)
    tools: dict[str, Callable[[], list[dict[int, Iterable[int]]]]] = {
        "sublattice": lambda: find_sublattice_embeddings(
            source, graph, sublattice_size=side, use_tile_embedding=True, **common
        ),
        "find_embedding": lambda: find_multiple_embeddings(source, graph, **common),
    }
    # Minorminer's one-shot clique search eats all memory for 5 to 8 nodes on Zephyr.
    if size > 8 or target.topology == "pegasus":
        tools["busclique"] = lambda: find_multiple_embeddings(
            source, graph, **common | {"embedder": one_clique, "embedder_kwargs": {}}
        )
    return {name: verified(tool(), size, target) for name, tool in tools.items()}


def verified(embeddings: list[dict[int, Iterable[int]]], size: int, target: qa.Target) -> int:
    """Return how many copies were found, or 0 where they are not disjoint embeddings."""
    copies = [
        [np.searchsorted(target.qubits, sorted(embedding[v])) for v in range(size)]
        for embedding in embeddings
    ]
    return len(copies) if copies and Packing.of(Component(size), copies).fits(target) else 0


def ours(size: int, target: qa.Target, rounds: int, seed: int) -> tuple[int, float, int]:
    """Return copies, processor time and the longest chain of our packing."""
    start = time.process_time()
    packing = pack_cliques(size, target, rounds=rounds, seed=seed)
    seconds = time.process_time() - start
    return len(packing) if packing.fits(target) else 0, seconds, packing.longest_chain


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--target", default="zephyr:12")
    options.add_argument("--sizes", default="8,12,16,32", help="cliques, at most 32")
    options.add_argument("--rounds", type=int, default=THOROUGH, help="effort of our search")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--seeds", type=int, default=1, help="seeds from --seed on")
    options.add_argument("--budget", type=float, default=30.0, help="seconds per Ocean tool")
    chosen = options.parse_args()
    target = qa.Target.of(chosen.target)
    if target is None or not target.is_grid:
        raise SystemExit(f"{chosen.target} is not a Pegasus or Zephyr machine")
    pack_cliques(4, qa.Target.zephyr(2, missing_qubits=0.05), rounds=1)
    facts: dict[str, dict[str, float]] = {}
    for size in map(int, chosen.sizes.split(",")):
        runs = [ours(size, target, chosen.rounds, chosen.seed + n) for n in range(chosen.seeds)]
        ocean_copies = ocean(size, target, chosen.budget) if chosen.budget > 0 else {}
        counts, seconds, chains = zip(*runs, strict=True)
        facts[f"K{size}"] = {
            "ours": median(counts),
            "ocean": max(ocean_copies.values(), default=0),
            "bound": len(target.qubits) // len(clique_tiles(target.topology, size)[0]),
            "seconds": round(median(seconds), 2),
            "longest_chain": median(chains),
            "ours_least": min(counts),
            "seeds": chosen.seeds,
        }
        print(f"K_{size}: {facts[f'K{size}']} {ocean_copies}", flush=True)
    finish(facts, chosen.json)


if __name__ == "__main__":
    main()
