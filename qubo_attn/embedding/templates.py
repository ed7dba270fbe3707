"""The stock of compact clique embeddings that ships with the package.

Tiles were found in small ideal lattices by ``benchmarks/find_templates.py``; each is an array of u,
lane, wire, position, chain (see `qubo_attn.machine.lattice`). Cells, found by
``benchmarks/find_cells.py``, are tiles that fill the lattice when repeated every period.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from io import BytesIO

import numpy as np
from numpy.lib.npyio import NpzFile

from qubo_attn.common.arrays import Array, Longs, own_array
from qubo_attn.machine.lattice import Lattice
from qubo_attn.machine.target import Target

# Wires of the lanes that the shipped tiles were found in.
_WIRES = {"pegasus": 2, "zephyr": 4}
# Tiles of one clique whose mirror images are taken, and images at most. Where the smallest have
# fewer than so many, others may exceed them by so many qubits.
_OUTLINES, _IMAGES, _FEW, _LARGER = 48, 96, 48, 1


def stock_for(target: Target) -> str:
    """Return the topology whose shipped tiles a machine holds; ``""`` where lanes are too narrow.

    Example:
        >>> stock_for(Target.zephyr(2))
        'zephyr'
    """
    if not target.is_grid:
        return ""
    lattice = Lattice.of(target.topology, target.shape)
    return target.topology if lattice.t >= _WIRES[target.topology] else ""


# Hundreds of arrays ship, and a compilation needs those of a size or two.
@lru_cache(maxsize=64)
def _stock(topology: str, size: int) -> dict[str, Array]:
    """Return the arrays of a clique by what their names end with."""
    start = f"{topology}.{size}."
    with _opened() as stock:
        return {
            name.removeprefix(start): own_array(stock[name].astype(np.int64))
            for name in stock.files
            if name.startswith(start)
        }


def _opened() -> NpzFile:
    file = resources.files("qubo_attn.embedding").joinpath("templates.npz")
    stock: NpzFile = np.load(BytesIO(file.read_bytes()), allow_pickle=False)
    return stock


def clique_tiles(topology: str, size: int) -> tuple[Array, ...]:
    """Return the shipped embeddings of a clique, smallest first; none where none ships."""
    stock = _stock(topology, size)
    return tuple(stock[place] for place in sorted(filter(str.isdecimal, stock), key=int))


def clique_cell(topology: str, size: int) -> tuple[int, Array] | None:
    """Return period and tiles of the shipped periodic arrangement, or None where none ships.

    The sixth column of the tiles is the number of the copy.
    """
    for place, cell in _stock(topology, size).items():
        if place.startswith("cell"):
            return int(place.removeprefix("cell")), cell
    return None


@lru_cache(maxsize=8)
def clique_sizes(topology: str) -> tuple[int, ...]:
    """Return the clique sizes that ship for a topology, ascending."""
    with _opened() as stock:
        names = [name.split(".") for name in stock.files]
    return tuple(sorted({int(size) for name, size, _ in names if name == topology}))


def round_up(topology: str, size: int) -> int:
    """Return the smallest shipped clique size of at least ``size``, or ``size`` itself."""
    return min((n for n in clique_sizes(topology) if n >= size), default=size)


@lru_cache(maxsize=64)
def clique_images(lattice: Lattice, stock: str, size: int) -> tuple[Array, ...]:
    """Return embeddings of a clique that a search chooses from, smallest first.

    They are what ships (for the next larger clique, without its longest chains, where nothing
    ships), what ships for one node more, without one of its chains, and the mirror images of all.
    Rows are in order of orientation and lane.

    Args:
        lattice: the ideal lattice of a machine.
        stock: topology of the tiles.
        size: nodes of the clique.
    """
    shipped = [_fewest(tile, size) for tile in clique_tiles(stock, round_up(stock, size))]
    if not shipped:
        return ()
    more = [
        _only(tile, np.delete(np.arange(size + 1), chain))
        for tile in clique_tiles(stock, size + 1)
        for chain in range(size + 1)
    ]
    tiles = sorted(lattice.distinct(shipped + more), key=len)[:_OUTLINES]
    images = lattice.distinct(image for tile in tiles for image in lattice.images(tile))
    most = len(shipped[0])
    if sum(len(tile) == most for tile in images) < _FEW:
        most = max(most + _LARGER, *map(len, shipped))
    chosen = [tile for tile in images if len(tile) <= most][:_IMAGES]
    return tuple(tile[np.lexsort(tile[:, 1::-1].T)] for tile in chosen)


def _fewest(tile: Array, size: int) -> Array:
    """Return a tile with its ``size`` shortest chains alone."""
    return _only(tile, np.sort(np.argsort(np.bincount(tile[:, 4]), kind="stable")[:size]))


def _only(tile: Array, chains: Longs) -> Array:
    """Return a tile with some of its chains alone, numbered anew."""
    number = np.full(int(tile[:, 4].max()) + 1, -1, np.int64)
    number[chains] = np.arange(len(chains))
    fewer = tile.copy()
    fewer[:, 4] = number[tile[:, 4]]
    return fewer[fewer[:, 4] >= 0]
