"""Pegasus and Zephyr, the two lattices of real machines.

The one module that imports the topology library.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from numbers import Integral
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from qubo_attn.common.arrays import Array, Floats, Longs, own_array
from qubo_attn.common.checks import shown
from qubo_attn.errors import TargetError
from qubo_attn.machine.lattice import Lattice

if TYPE_CHECKING:
    import networkx as nx

GRIDS = ("pegasus", "zephyr")
# Fifty times the qubits of today's machines: tables of a lattice and its couplers fit in memory.
MOST_QUBITS = 250_000


def lattice_shape(family: str, shape: Sequence[object]) -> tuple[int, ...]:
    """Return the shape of a Pegasus or Zephyr lattice, or say what it must be.

    Args:
        family: ``"pegasus"`` or ``"zephyr"``.
        shape: grid parameter; for Zephyr also the wires of a lane, 4 where it is left out.

    Raises:
        TargetError: there is no such lattice, or it is too large for memory.
    """
    least, most = (2, 1) if family == "pegasus" else (1, 2)
    whole = all(isinstance(s, Integral) and not isinstance(s, bool) for s in shape)
    sizes = tuple(int(s) for s in shape) if whole else ()  # type: ignore[call-overload]
    if not 1 <= len(sizes) <= most or sizes[0] < least or min(sizes) < 1:
        form = "one whole number" if most == 1 else "one or two whole numbers"
        raise TargetError(
            f"{family} needs a grid of at least {least}: its shape is {form}, "
            f"not {shown(tuple(shape))}",
            topology=family,
            shape=tuple(shape),
        )
    if Lattice.of(family, sizes).qubits > MOST_QUBITS:
        raise TargetError(
            f"{family} with shape {shown(list(sizes))} has more than {MOST_QUBITS} qubits, the "
            "most that a target may have",
            topology=family,
            shape=sizes,
        )
    return sizes


def check_graph(family: str, shape: tuple[int, ...], qubits: Longs, couplers: Array) -> None:
    """Check that columns describe a working graph: kernels rely on it.

    Raises:
        TargetError: qubits do not ascend or lie beyond the lattice, or a coupler does not join two
            of them, comes twice or out of order.
    """
    size = len(qubits)
    good = qubits.ndim == 1 and couplers.ndim == 2 and couplers.shape[1] == 2
    if not good or qubits.dtype != np.int64 or couplers.dtype != np.int64:
        raise TargetError("qubits and couplers are int64 columns: one number, two positions each")
    if (qubits[1:] <= qubits[:-1]).any():
        raise TargetError("the qubits of a target ascend, each of them once")
    u, v = couplers.T
    if len(couplers) and (u.min() < 0 or v.max() >= size or (u >= v).any()):
        raise TargetError(f"a coupler joins two positions among {size} qubits, smaller first")
    codes = u * size + v
    if (codes[1:] <= codes[:-1]).any():
        raise TargetError("the couplers of a target are sorted, each of them once")
    if family in GRIDS:
        most = Lattice.of(family, lattice_shape(family, shape)).qubits
        if size and (qubits[0] < 0 or qubits[-1] >= most):
            q = int(qubits[0] if qubits[0] < 0 else qubits[-1])
            raise TargetError(
                f"qubit {q} lies beyond {family} with shape {list(shape)}, whose qubits are 0 to "
                f"{most - 1}",
                qubit=q,
            )


def is_part_of_lattice(
    family: str, shape: Sequence[object], qubits: Longs, couplers: Array
) -> bool:
    """Return whether a lattice has all of these qubits and couplers.

    Args:
        family, shape: as a machine or a graph states them.
        qubits: numbers.
        couplers: positions in ``qubits``, shape (couplers, 2).
    """
    if family not in GRIDS:
        return False
    try:
        lattice = Lattice.of(family, lattice_shape(family, shape))
    except TargetError:
        return False
    inside = qubits[0] >= 0 and qubits[-1] < lattice.qubits
    return bool(inside and lattice.joined(*qubits[couplers].T).all())


@lru_cache(maxsize=8)
def ideal_graph(family: str, shape: tuple[int, ...]) -> tuple[Longs, Array]:
    """Return all qubits of a lattice, ascending, and its couplers as sorted pairs of positions."""
    if family == "zephyr":
        return _zephyr(*shape)
    graph = _ideal(family, shape)
    qubits = np.array(sorted(graph.nodes), np.int64)
    pairs = np.array(list(graph.edges), np.int64)
    return own_array(qubits), own_array(ordered(np.searchsorted(qubits, pairs)))


def _zephyr(grid: int, tile: int = 4) -> tuple[Longs, Array]:
    """Return Zephyr's qubits and couplers, those of the library's graph, without that graph.

    A wire in lane w at position p crosses lanes p and p + 1; it is joined with the next two
    positions of its line (Boothby, King and Raymond, Zephyr Topology of D-Wave Quantum Processors,
    2021).
    """
    lattice = Lattice("zephyr", grid, tile)
    qubits = np.arange(2 * lattice.lanes * tile * lattice.length, dtype=np.int64)
    table = lattice.table(qubits)
    pairs = [np.stack([table[..., :-step], table[..., step:]], axis=-1) for step in (1, 2)]
    for side, back in product(range(2), repeat=2):
        lane, place = np.indices((lattice.lanes, lattice.length)).reshape(2, -1)
        inside = (lane >= back) & (lane - back < lattice.length)
        lane, place = lane[inside], place[inside]
        low, high = table[0, lane, :, place], table[1, place + side, :, lane - back]
        ends = np.broadcast_arrays(low[:, :, None], high[:, None, :])
        pairs.append(np.stack(ends, axis=-1))
    joined = np.concatenate([part.reshape(-1, 2) for part in pairs])
    return own_array(qubits), own_array(ordered(joined))


def ordered(pairs: Array) -> Array:
    """Return pairs once each, smaller end first, sorted."""
    pairs = np.sort(np.asarray(pairs, np.int64).reshape(-1, 2), axis=1)
    base = int(pairs.max(initial=0)) + 1
    keys = np.unique(pairs[:, 0] * base + pairs[:, 1])
    return np.stack([keys // base, keys % base], axis=1)


def working_graph(family: str, shape: tuple[int, ...], pairs: Array) -> nx.Graph:
    """Return couplers, as pairs of qubit numbers, as the topology library's own graph."""
    nodes = np.unique(pairs).tolist()
    return _ideal(family, shape, node_list=nodes, edge_list=pairs.tolist())


def layout(family: str, shape: tuple[int, ...], qubits: Longs) -> Floats:
    """Return where the topology library draws each qubit, shape (qubits, 2)."""
    library = _topology_library()
    place = library.zephyr_layout if family == "zephyr" else library.pegasus_layout
    where = place(_ideal(family, shape))
    return np.array([where[int(q)] for q in qubits], dtype=np.float64).reshape(-1, 2)


def coupling_groups(family: str, shape: tuple[int, ...], qubits: Longs, couplers: Array) -> Array:
    """Return the coupling group of each coupler at each of its two qubits.

    A Zephyr qubit has two groups, and a machine limits the total of each. One group has the
    couplers of the right (or upper) half of the wire and those on to the next wires in line. The
    other has those of the left (or lower) half and back. These are the groups of
    ``dwave.system.coupling_groups``. On any other graph a qubit's couplers are one group.

    Args:
        family, shape: the topology, e.g. ``"zephyr", (12, 4)``.
        qubits: linear numbers.
        couplers: positions in ``qubits``, shape (couplers, 2).

    Returns:
        int64, shape (couplers, 2): two times the qubit's position, plus its group (0 or 1).

    Raises:
        TargetError: a coupler is none of the lattice's.
    """
    if family != "zephyr":
        return 2 * couplers
    u, lane, _, position = Lattice.of(family, shape).coordinates(qubits).T
    near, far = couplers, couplers[:, ::-1]
    crossing = position[near] + 1 - lane[far]
    inline = np.where(position[far] > position[near], 0, 1)
    group = np.where(u[near] != u[far], crossing, inline)
    if len(group) and not 0 <= group.min() <= group.max() <= 1:
        raise TargetError(f"a coupler is none of {family} with shape {list(shape)}")
    return 2 * couplers + group


def _ideal(family: str, shape: tuple[int, ...], **options: object) -> nx.Graph:
    library = _topology_library()
    make = library.zephyr_graph if family == "zephyr" else library.pegasus_graph
    return make(*shape, **options)


def _topology_library() -> ModuleType:
    """Return dwave-graphs or, where it is absent, its predecessor without its warning."""
    try:
        import dwave.graphs as library
    except ImportError:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            import dwave_networkx as library
    return library  # type: ignore[no-any-return]  # published without types
