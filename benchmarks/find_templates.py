"""Find the compact clique embeddings that the package ships (run once, minutes).

For each topology and clique size, seeded runs of ``minorminer.find_embedding`` and busclique in
small ideal tiles; the smallest ones that no symmetry of the lattice maps onto each other are kept.
Sizes found before stay in the file, and their tiles compete with the new ones. Usage: ``python
benchmarks/find_templates.py TOPOLOGY qubo_attn/embedding/templates.npz [--sizes 8,16]
[--scale 1.0]``.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path

import dwave.graphs
import minorminer
import numpy as np
from minorminer import busclique

from qubo_attn.machine.lattice import Lattice

KEEP = 16
SIZES = [*range(1, 25), 26, 28, 30, 32]


def tries(n: int, scale: float) -> int:
    return max(4, int(scale * (400 if n <= 8 else 250 if n <= 12 else 160 if n <= 16 else 60)))


def tiles(topology: str, n: int) -> list[int]:
    if topology == "zephyr":
        return [1, 2] if n <= 8 else [2] if n <= 16 else [2, 3] if n <= 24 else [3]
    return [2, 3] if n <= 8 else [3] if n <= 16 else [3, 4] if n <= 24 else [4]


def find(topology: str, n: int, scale: float, older: list[np.ndarray]) -> list[np.ndarray]:
    """Return tiles as arrays of (u, lane, wire, position, chain), smallest first."""
    edges = sorted(itertools.combinations(range(n), 2)) or [(v, v) for v in range(n)]
    lattice = Lattice(topology, 8, 4 if topology == "zephyr" else 2)
    pool: list[np.ndarray] = list(older)
    for m in tiles(topology, n):
        graph = (dwave.graphs.zephyr_graph if topology == "zephyr" else dwave.graphs.pegasus_graph)(
            m
        )
        small = Lattice(topology, m, lattice.t)
        target = sorted(tuple(sorted(edge)) for edge in graph.edges)
        embeddings = [
            minorminer.find_embedding(edges, target, random_seed=seed, tries=1)
            for seed in range(tries(n, scale))
        ]
        if n > 8:
            embeddings.append(busclique.busgraph_cache(graph).find_clique_embedding(n))
        for embedding in filter(None, embeddings):
            chains = [list(embedding[v]) for v in range(n)]
            qubits = np.array([q for chain in chains for q in chain])
            owner = np.repeat(np.arange(n), [len(chain) for chain in chains])
            pool.append(np.column_stack([small.coordinates(qubits), owner]))
    least, slack = min(map(len, pool)), 1 if n <= 16 else 3
    best = sorted(
        (tile for tile in pool if len(tile) <= least + slack),
        key=lambda tile: (len(tile), int(np.bincount(tile[:, 4]).max()), area(tile, topology)),
    )
    chosen: list[np.ndarray] = []
    images_so_far: list[np.ndarray] = []
    for tile in best:
        images = lattice.images(tile)
        if len(lattice.distinct([*images_so_far, images[0]])) > len(images_so_far):
            chosen.append(images[0])
            images_so_far = lattice.distinct([*images_so_far, *images])
        if len(chosen) == KEEP:
            break
    return chosen


def area(tile: np.ndarray, topology: str) -> int:
    width = 2 if topology == "pegasus" else 1
    u, lane, position = tile[:, 0], tile[:, 1] * width, tile[:, 3]
    x, y = np.where(u == 0, lane, position), np.where(u == 0, position, lane)
    return int((np.ptp(x) + 1) * (np.ptp(y) + 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("topology", choices=["pegasus", "zephyr"])
    parser.add_argument("out")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    stock: dict[str, np.ndarray] = {}
    if Path(options.out).exists():
        with np.load(options.out, allow_pickle=False) as file:
            stock = {name: file[name] for name in file.files}
    summary = {}
    for n in map(int, options.sizes.split(",")):
        prefix = f"{options.topology}.{n}."
        old = [name for name in stock if name.startswith(prefix) and "cell" not in name]
        older = [stock.pop(name).astype(np.int64) for name in old]
        best = find(options.topology, n, options.scale, older)
        stock |= {f"{prefix}{place}": tile.astype(np.int16) for place, tile in enumerate(best)}
        summary[f"K{n}"] = [len(best), len(best[0]), int(np.bincount(best[0][:, 4]).max())]
        print(n, summary[f"K{n}"], flush=True)
        np.savez_compressed(options.out, **stock)  # type: ignore[arg-type]
    if options.json:
        print(json.dumps(summary))


if __name__ == "__main__":
    main()
