"""The stock of compact clique embeddings that ships with the package.

Tiles were found in small ideal lattices by ``benchmarks/find_templates.py``; each is an array of u,
lane, wire, position, chain (see `qubo_attn.embedding.lattice`). Cells, found by
``benchmarks/find_cells.py``, are tiles that fill the lattice when repeated every period.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources

import numpy as np

from qubo_attn.arrays import Array, own_array


@lru_cache(maxsize=1)
def _file() -> dict[str, Array]:
    file = resources.files("qubo_attn.embedding").joinpath("templates.npz")
    with file.open("rb") as stream, np.load(stream, allow_pickle=False) as stock:
        return {name: own_array(stock[name].astype(np.int64)) for name in stock.files}


@lru_cache(maxsize=1)
def _stock() -> dict[tuple[str, int], tuple[Array, ...]]:
    tiles: dict[tuple[str, int], list[tuple[int, Array]]] = {}
    for name, tile in _file().items():
        topology, size, place = name.split(".")
        if place.isdecimal():
            tiles.setdefault((topology, int(size)), []).append((int(place), tile))
    return {
        key: tuple(tile for _, tile in sorted(found, key=_place)) for key, found in tiles.items()
    }


def _place(entry: tuple[int, Array]) -> int:
    return entry[0]


def clique_tiles(topology: str, size: int) -> tuple[Array, ...]:
    """Return the shipped embeddings of a clique, smallest first; none where none ships."""
    return _stock().get((topology, size), ())


def clique_cell(topology: str, size: int) -> tuple[int, Array] | None:
    """Return period and tiles of the shipped periodic arrangement, or None where none ships.

    The sixth column of the tiles is the number of the copy.
    """
    prefix = f"{topology}.{size}.cell"
    for name, cell in _file().items():
        if name.startswith(prefix):
            return int(name.removeprefix(prefix)), cell
    return None


def clique_sizes(topology: str) -> tuple[int, ...]:
    """Return the clique sizes that ship for a topology, ascending."""
    return tuple(sorted(size for name, size in _stock() if name == topology))


def round_up(topology: str, size: int) -> int:
    """Return the smallest shipped clique size of at least ``size``, or ``size`` itself."""
    return min((n for n in clique_sizes(topology) if n >= size), default=size)
