"""Packings of cliques that ship with the package, for ideal machines of the usual sizes.

They are what the search of `qubo_attn.embedding.cliques` finds with its usual options: a first run
on such a machine searches nothing, and compiles no kernel for it. ``benchmarks/find_packings.py``
writes the file.
"""

from __future__ import annotations

from importlib import resources
from io import BytesIO

import numpy as np

from qubo_attn.common.arrays import Array, own_array, pointers
from qubo_attn.embedding.cliques import ROUNDS, pack_cliques
from qubo_attn.embedding.component import Component
from qubo_attn.embedding.packing import Packing
from qubo_attn.machine.target import Target

FILE = "packings.npz"


def shipped_packing(size: int, target: Target) -> Packing | None:
    """Return the packing of a clique that ships for a machine; None where none does.

    Like every packing that is read, it is checked on the machine; one that does not fit is as good
    as none.

    Args:
        size: nodes of the clique.
        target: the machine; packings ship for ideal ones alone.

    Example:
        >>> packing = shipped_packing(8, Target.zephyr(4))
        >>> len(packing), packing.longest_chain
        (33, 2)
    """
    if not (target.is_grid and target.is_ideal):
        return None
    content = resources.files("qubo_attn.embedding").joinpath(FILE).read_bytes()
    with np.load(BytesIO(content), allow_pickle=False) as file:
        name = name_of(size, target)
        if name not in file.files:
            return None
        numbers = file[name].astype(np.int64)
    packing = _unpacked(size, numbers)
    return packing if packing.fits(target) else None


def packed_cliques(size: int, target: Target, options: dict[str, int]) -> Packing:
    """Return the packing of a clique that ships, else one found anew.

    Args:
        size: nodes of the clique.
        target: the machine.
        options: of `qubo_attn.embedding.cliques.pack_cliques`; packings ship for its usual ones.
    """
    usual = options == {"seed": 0, "rounds": ROUNDS}
    shipped = shipped_packing(size, target) if usual else None
    return pack_cliques(size, target, **options) if shipped is None else shipped


def name_of(size: int, target: Target) -> str:
    """Return what a packing is called in the file."""
    return "-".join([target.topology, *map(str, target.shape), f"K{size}"])


def packed(packing: Packing) -> Array:
    """Return a packing as the file holds it: numbers that are small, and alike in all copies.

    They are the number of chains, the length of each, and the step from each qubit to the next.
    """
    lengths = np.diff(packing.ptr)
    steps = np.diff(packing.qubit, prepend=0)
    return np.concatenate([[len(lengths)], lengths, steps]).astype(np.int16)


def _unpacked(size: int, numbers: Array) -> Packing:
    chains = int(numbers[0])
    lengths, steps = numbers[1 : chains + 1], numbers[chains + 1 :]
    return Packing(Component(size), own_array(pointers(lengths)), own_array(np.cumsum(steps)))
