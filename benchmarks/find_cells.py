"""Find periodic arrangements of the shipped tiles (run once, minutes).

Images of the tiles on a small torus, their wires in random order, are chosen by an integer program:
as many as possible, no place twice. What fills the torus fills the lattice. The best is written
beside the tiles. Usage: ``python benchmarks/find_cells.py TOPOLOGY
qubo_attn/embedding/templates.npz [--sizes 4,8] [--images 4000] [--nodes 20000]``.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from qubo_attn.embedding.templates import clique_tiles
from qubo_attn.machine.lattice import Lattice


def images(topology: str, n: int, period: int, count: int, seed: int) -> list[np.ndarray]:
    """Return images of tiles that do not meet themselves on the torus, in lattice coordinates."""
    lattice = Lattice(topology, 8, 4 if topology == "zephyr" else 2)
    generator = np.random.default_rng(seed)
    tiles = lattice.distinct(i for tile in clique_tiles(topology, n) for i in lattice.images(tile))
    shifts = lattice.shifts(period)
    tiles_by_place: dict[frozenset[tuple[int, ...]], np.ndarray] = {}
    for _ in range(20 * count):
        tile = tiles[generator.integers(len(tiles))]
        tile = lattice.shifted(tile, shifts[generator.integers(len(shifts))])
        lane = np.unique(tile[:, :2], axis=0, return_inverse=True)[1]
        order = lattice.orders[generator.integers(len(lattice.orders), size=lane.max() + 1)]
        tile[:, 2] = order[lane, tile[:, 2]]
        places = frozenset(map(tuple, wrapped(lattice, tile, period).tolist()))
        if len(places) == len(tile):
            tiles_by_place.setdefault(places, tile)
        if len(tiles_by_place) == count:
            break
    return list(tiles_by_place.values())


def wrapped(lattice: Lattice, tile: np.ndarray, period: int) -> np.ndarray:
    """Return the places of a tile on the torus."""
    place = tile[:, :4].copy()
    place[:, 1] %= period // lattice.lane_width
    place[:, 3] %= period
    return place


def choose(lattice: Lattice, pool: list[np.ndarray], period: int, nodes: int) -> list[np.ndarray]:
    """Return the most images that share no place."""
    places = np.concatenate([wrapped(lattice, tile, period) for tile in pool])
    row = np.unique(places, axis=0, return_inverse=True)[1].ravel()
    column = np.repeat(np.arange(len(pool)), [len(tile) for tile in pool])
    shape = (int(row.max()) + 1, len(pool))
    matrix = csr_array((np.ones(len(row)), (row, column)), shape=shape)
    solution = milp(
        -np.ones(len(pool)),
        constraints=LinearConstraint(matrix, -np.inf, 1),
        integrality=np.ones(len(pool), np.int64),
        bounds=Bounds(0, 1),
        options={"node_limit": nodes, "time_limit": 300},
    )
    return [] if solution.x is None else [pool[t] for t in np.flatnonzero(solution.x > 0.5)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("topology", choices=["pegasus", "zephyr"])
    parser.add_argument("out")
    parser.add_argument("--sizes", default="4,8")
    parser.add_argument("--period", type=int, default=0)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--nodes", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    lattice = Lattice(options.topology, 8, 4 if options.topology == "zephyr" else 2)
    period = options.period or (3 if options.topology == "zephyr" else 12)
    # A Pegasus lane holds a qubit of each wire every twelve positions, a Zephyr lane one at each.
    room = 2 * lattice.t * period * period // (24 if options.topology == "pegasus" else 1)
    for n in map(int, options.sizes.split(",")):
        pool = images(options.topology, n, period, options.images, options.seed)
        chosen = choose(lattice, pool, period, options.nodes) if pool else []
        qubits = sum(map(len, chosen))
        print(n, f"{len(chosen)} copies, {qubits} of {room} qubits, {len(pool)} images", flush=True)
        if not chosen:
            continue
        with np.load(options.out, allow_pickle=False) as file:
            stock = {name: file[name] for name in file.files}
        cell = np.concatenate(
            [np.column_stack([t, np.full(len(t), c)]) for c, t in enumerate(chosen)]
        )
        stock[f"{options.topology}.{n}.cell{period}"] = cell.astype(np.int16)
        np.savez_compressed(options.out, **stock)


if __name__ == "__main__":
    main()
