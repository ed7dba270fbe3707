"""Machines read from ideal lattices, JSON files, networkx graphs and structured samplers."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from qubo_attn.common.arrays import Array, Longs, own_array
from qubo_attn.errors import TargetError
from qubo_attn.machine.limits import stated
from qubo_attn.machine.topology import GRIDS, ideal_graph, ordered

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


def ideal(family: str, shape: tuple[int, ...]) -> Machine:
    """Return a Pegasus or Zephyr machine with nothing missing.

    Raises:
        TargetError: there is no such lattice.
    """
    if family not in GRIDS:
        raise TargetError(
            f"unknown topology {family!r}; one of {', '.join(GRIDS)}", topology=family
        )
    least = 2 if family == "pegasus" else 1
    whole = all(isinstance(s, (int, np.integer)) for s in shape)
    if not shape or not whole or shape[0] < least:
        raise TargetError(f"{family} needs a grid of at least {least}, not {shape}")
    columns = ideal_graph(family, tuple(int(s) for s in shape))
    return Machine(family, shape, *columns, stated(family, {}), f"{family} {shape[0]}")


def read_json(file: str | Path) -> tuple[Machine, Longs, Array]:
    """Return the ideal machine of a JSON file, and its missing qubits and couplers.

    See `qubo_attn.Target.from_json`.
    """
    try:
        content = json.loads(Path(file).read_text())
        family, shape = content["topology"]["type"], tuple(content["topology"]["shape"])
        qubits = np.array(content["missing_qubits"], np.int64)
        couplers = np.array(content["missing_couplers"], np.int64).reshape(-1, 2)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TargetError(
            f"{file} does not read as a working graph: {error!r}", file=str(file)
        ) from error
    label, properties = content.get("solver", Path(file).stem), content.get("properties", {})
    machine = ideal(family, shape)._replace(properties=stated(family, properties), label=label)
    return machine, qubits, couplers


def read_graph(graph: nx.Graph, properties: Mapping[str, Any], label: str) -> Machine:
    """Return the machine of a networkx graph; see `qubo_attn.Target.from_graph`."""
    if graph.is_directed() or graph.is_multigraph():
        raise TargetError(_PLAIN)
    rows, tile = graph.graph.get("rows"), graph.graph.get("tile")
    family, shape = str(graph.graph.get("family")), tuple[int, ...]()
    if rows is not None and graph.graph.get("labels", "int") == "int":
        shape = (int(rows), int(tile)) if family == "zephyr" else (int(rows),)
    return _working(family, shape, list(graph.nodes), list(graph.edges), properties, label)


def read_sampler(sampler: dimod.Structured) -> Machine:
    """Return the machine behind a structured sampler; see `qubo_attn.Target.from_sampler`."""
    properties = dict(getattr(sampler, "properties", {}))
    topology = properties.get("topology", {})
    # A live solver's name outlives its working graph; this identifies the graph.
    if graph_id := getattr(getattr(sampler, "solver", None), "graph_id", None):
        properties["graph_id"] = str(graph_id)
    label = str(properties.get("chip_id", type(sampler).__name__))
    family, shape = topology.get("type"), tuple(topology.get("shape", ()))
    nodes, edges = list(sampler.nodelist), list(sampler.edgelist)
    return _working(family, shape, nodes, edges, properties, label)


def _working(
    family: str,
    shape: tuple[int, ...],
    nodes: list[Any],
    edges: list[tuple[Any, Any]],
    properties: Mapping[str, Any],
    label: str,
) -> Machine:
    """Return the machine of working qubits and couplers; of a lattice where they say which."""
    if not nodes or any(u == v for u, v in edges):
        raise TargetError(_PLAIN)
    whole = all(isinstance(q, (int, np.integer)) for q in nodes)
    names = sorted(nodes) if whole else sorted(nodes, key=lambda q: (type(q).__name__, str(q)))
    place = {name: index for index, name in enumerate(names)}
    pairs = np.array([(place[u], place[v]) for u, v in edges], np.int64).reshape(-1, 2)
    qubits = np.array(names if whole else range(len(names)), np.int64)
    columns = own_array(qubits), own_array(ordered(pairs))
    if family in GRIDS and shape and whole:
        label = label or f"{family} {shape[0]}"
        return Machine(family, shape, *columns, stated(family, properties), label)
    label = label or f"graph of {len(names)} qubits"
    properties = stated("other", properties)
    return Machine("other", (), *columns, properties, label, None if whole else tuple(names))


_PLAIN = "a working graph is undirected, has qubits, and no self-loops or double edges"
