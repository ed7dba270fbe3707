"""Machines read from ideal lattices, JSON files, networkx graphs and structured samplers."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from qubo_attn.common.arrays import Array, Longs, own_array, places_in
from qubo_attn.common.checks import shown
from qubo_attn.common.files import path_of, unread
from qubo_attn.errors import InputError, TargetError
from qubo_attn.machine.lattice import Lattice
from qubo_attn.machine.limits import stated
from qubo_attn.machine.topology import (
    GRIDS,
    ideal_graph,
    is_part_of_lattice,
    lattice_shape,
    ordered,
)

if TYPE_CHECKING:
    import dimod
    import networkx as nx


class Machine(NamedTuple):
    """The columns of a target; see `qubo_attn.Target` for what they hold."""

    topology: str
    shape: tuple[int, ...]
    qubits: Longs
    couplers: Array
    properties: Mapping[str, Any]
    label: str
    names: tuple[Hashable, ...] | None = None


def ideal(family: str, shape: Sequence[object]) -> Machine:
    """Return a Pegasus or Zephyr machine with nothing missing.

    Raises:
        TargetError: there is no such lattice, or it is too large for memory.
    """
    if family not in GRIDS:
        raise TargetError(
            f"unknown topology {family!r}; one of {', '.join(GRIDS)}", topology=family
        )
    sizes = lattice_shape(family, shape)
    return Machine(
        family, sizes, *ideal_graph(family, sizes), stated(family, {}), _name(family, sizes)
    )


def read_json(file: str | Path) -> tuple[Machine, Longs, Array]:
    """Return the ideal machine of a JSON file, and its missing qubits and couplers.

    A machine of no lattice lists what it has, and lacks nothing. See `qubo_attn.Target.from_json`.
    """
    try:
        path = path_of("file", file)
    except InputError as error:
        raise TargetError(str(error), file=shown(file)) from None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        family, shape = content["topology"]["type"], tuple(content["topology"]["shape"])
        properties = content.get("properties") or {}
        if not isinstance(properties, dict):
            raise TypeError("properties are an object")
        if family in _LISTED:
            machine, lost, pairs = _listed(content, family), [], []
        else:
            machine = ideal(family, shape)
            lost, pairs = content["missing_qubits"], content["missing_couplers"]
        size = None if family in _LISTED else Lattice.of(family, machine.shape).qubits
        qubits = qubit_numbers("missing_qubits", lost, size)
        couplers = coupler_ends("missing_couplers", pairs, size)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise TargetError(unread(file, "a working graph", error), file=str(file)) from error
    label = str(content.get("solver", path.stem))
    if family == "all-to-all":
        return machine._replace(properties=properties, label=label), qubits, couplers
    return machine._replace(properties=stated(family, properties), label=label), qubits, couplers


def _listed(content: Mapping[str, Any], family: str) -> Machine:
    """Return a machine that lists its qubits and couplers; an all-to-all one has none.

    Raises:
        TypeError: its names are no texts, or not as many as qubits.
        ValueError: a coupler has an end that is no qubit.
    """
    qubits = qubit_numbers("qubits", content["qubits"])
    pairs = coupler_ends("couplers", content["couplers"])
    ends = places_in(qubits, pairs)
    if ends.min(initial=0) < 0:
        raise ValueError("a coupler has an end that is no qubit")
    listed = content.get("names")
    names = None if listed is None else tuple(listed)
    if names is not None and (len(names) != len(qubits) or not all(map(_is_text, names))):
        raise TypeError("names are texts, one for each qubit")
    return Machine(family, (), own_array(qubits), own_array(ordered(ends)), {}, "", names)


def _is_text(name: object) -> bool:
    return isinstance(name, str)


def qubit_numbers(name: str, listed: ArrayLike, size: int | None = None) -> Longs:
    """Return numbers of qubits that a file, a solver or a caller lists.

    Args:
        name: of the list, for the message.
        listed: whole numbers.
        size: how many qubits there are; numbers may be any where None.

    Raises:
        TargetError: one is no whole number, or none of the qubits.
    """
    try:
        array = np.asarray(listed)
    except ValueError as error:
        raise TargetError(f"{name} is no list of qubits: {error}") from error
    if array.size and array.dtype.kind not in "iu":
        raise TargetError(f"{name} must hold whole numbers of qubits, not {array.ravel()[0]!r}")
    if array.size and size is not None and not 0 <= array.min() <= array.max() < size:
        raise TargetError(f"{name} names a qubit that is none of the lattice's {size}")
    return array.astype(np.int64)


def coupler_ends(name: str, listed: ArrayLike, size: int | None = None) -> Array:
    """Return the qubits of couplers, shape (couplers, 2); see `qubit_numbers`.

    Raises:
        TargetError: a coupler has not two ends, or one that is no qubit.
    """
    ends = qubit_numbers(name, listed, size)
    if ends.size and (ends.ndim != 2 or ends.shape[1] != 2):
        raise TargetError(f"{name} must hold pairs of qubits, not a shape of {ends.shape}")
    return ends.reshape(-1, 2)


def read_graph(graph: nx.Graph, properties: Mapping[str, Any], label: str) -> Machine:
    """Return the machine of a networkx graph; see `qubo_attn.Target.from_graph`."""
    if graph.is_directed() or graph.is_multigraph():
        raise TargetError(_PLAIN)
    notes = graph.graph
    family = notes.get("family") if notes.get("labels", "int") == "int" else None
    shape = [notes.get(name) for name in ("rows", "tile")[: 2 if family == "zephyr" else 1]]
    return _working(family, shape, list(graph.nodes), list(graph.edges), properties, label)


def read_sampler(sampler: dimod.Structured) -> Machine:
    """Return the machine behind a structured sampler; see `qubo_attn.Target.from_sampler`."""
    listed = getattr(sampler, "properties", None)
    properties = dict(listed) if isinstance(listed, Mapping) else {}
    topology = properties.get("topology")
    topology = topology if isinstance(topology, Mapping) else {}
    # A live solver's name outlives its working graph; this identifies the graph.
    if graph_id := getattr(getattr(sampler, "solver", None), "graph_id", None):
        properties["graph_id"] = str(graph_id)
    label = str(properties.get("chip_id") or type(sampler).__name__)
    try:
        nodes, edges = list(sampler.nodelist), [(u, v) for u, v in sampler.edgelist]
    except (AttributeError, TypeError, ValueError) as error:
        raise TargetError(
            f"{type(sampler).__name__} lists no qubits and couplers ({error}): its nodelist and "
            "edgelist must name them",
            sampler=repr(sampler),
        ) from error
    shape = topology.get("shape")
    shape = tuple(shape) if isinstance(shape, Iterable) else ()
    return _working(topology.get("type"), shape, nodes, edges, properties, label)


def _working(
    family: object,
    shape: Sequence[object],
    nodes: list[Any],
    edges: list[tuple[Any, Any]],
    properties: Mapping[str, Any],
    label: str,
) -> Machine:
    """Return the machine of working qubits and couplers.

    It is of a lattice where that has all of them, by their numbers. A graph with other couplers, or
    with numbers of its own, works as any other graph does, whatever lattice it states.
    """
    if not nodes or any(u == v for u, v in edges):
        raise TargetError(_PLAIN)
    if not isinstance(properties, Mapping):
        raise TargetError(f"the machine's properties are a dict, not {properties!r}")
    try:
        nodes = list(dict.fromkeys(nodes))
    except TypeError as error:
        raise TargetError(f"qubits need labels that hash: {error}") from error
    whole = all(_is_number(q) for q in nodes)
    names = sorted(nodes) if whole else sorted(nodes, key=lambda q: (type(q).__name__, str(q)))
    place = {name: index for index, name in enumerate(names)}
    try:
        pairs = np.array([(place[u], place[v]) for u, v in edges], np.int64).reshape(-1, 2)
    except (KeyError, TypeError) as error:
        raise TargetError(f"a coupler has an end that is no qubit: {error}") from error
    qubits = np.array(names if whole else range(len(names)), np.int64)
    columns = own_array(qubits), own_array(ordered(pairs))
    if whole and isinstance(family, str) and is_part_of_lattice(family, shape, *columns):
        sizes = lattice_shape(family, shape)
        label = label or _name(family, sizes)
        return Machine(family, sizes, *columns, stated(family, properties), label)
    label = label or f"graph of {len(names)} qubits"
    properties = stated("other", properties)
    return Machine("other", (), *columns, properties, label, None if whole else tuple(names))


def _is_number(qubit: object) -> bool:
    """Return whether a label serves as a number of a qubit."""
    number = isinstance(qubit, (int, np.integer)) and not isinstance(qubit, bool)
    return number and -(2**63) <= int(qubit) < 2**63  # type: ignore[call-overload]


def _name(family: str, shape: tuple[int, ...]) -> str:
    """Return how reports call a lattice: its grid, and its tile where machines have another."""
    tile = f", tile {shape[1]}" if shape[1:] not in ((), (4,)) else ""
    return f"{family} {shape[0]}{tile}"


# Topologies without a lattice: files list their qubits and couplers.
_LISTED = ("other", "all-to-all")
_PLAIN = "a working graph is undirected, has qubits, and no self-loops or double edges"
