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

from qubo_attn.common.arrays import Array, own_array
from qubo_attn.machine.lattice import Lattice
from qubo_attn.machine.target import Target

# Wires of the lanes that the shipped tiles were found in.
_WIRES = {"pegasus": 2, "zephyr": 4}


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
