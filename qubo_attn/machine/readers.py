"""Machines read from lattices by name, JSON files, networkx graphs and structured samplers."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from qubo_attn.common.arrays import Array, Longs, own_array
from qubo_attn.common.checks import nearest
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

    def without(self, qubits: Array, couplers: Array, label: str) -> Machine:
        """Return the machine without some more qubits and couplers, both by qubit number.

        Raises:
            TargetError: no qubit is left.
        """
        live = ~np.isin(self.qubits, qubits)
        if not live.any():
            raise TargetError(f"{label}: no working qubit is left")
        span = int(self.qubits.max()) + 1
        ends, dead = self.qubits[self.couplers], np.sort(couplers, axis=1)
        gone = np.isin(ends[:, 0] * span + ends[:, 1], dead[:, 0] * span + dead[:, 1])
        pairs = self.couplers[live[self.couplers].all(axis=1) & ~gone]
        names = self.names
        if names is not None:
            names = tuple(name for name, works in zip(names, live, strict=True) if works)
        return self._replace(
            qubits=own_array(self.qubits[live]),
            couplers=own_array((np.cumsum(live) - 1)[pairs]),
            label=label,
            names=names,
        )


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


def named(name: str) -> Machine:
    """Return the machine of a name such as ``"zephyr:12"``, or of a JSON file.

    Raises:
        TargetError: the name is unknown, or the file does not read.
    """
    family, _, size = name.partition(":")
    if family in GRIDS and size.isdecimal() and int(size) >= 1:
        return ideal(family, (int(size), 4) if family == "zephyr" else (int(size),))
    if Path(name).suffix == ".json" or Path(name).exists():
        return read_json(name)
    raise TargetError(
        f"unknown target {name!r}: expected zephyr:M, pegasus:M, all-to-all or a JSON file"
        f"{nearest(family, [*GRIDS, 'all-to-all'])}",
        target=name,
    )


def read_json(file: str | Path) -> Machine:
    """Return the machine of a JSON file; see `qubo_attn.Target.from_json`."""
    try:
        content = json.loads(Path(file).read_text())
        family, shape = content["topology"]["type"], tuple(content["topology"]["shape"])
        qubits = np.array(content["missing_qubits"], np.int64)
        couplers = np.array(content["missing_couplers"], np.int64).reshape(-1, 2)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TargetError(
            f"{file} does not read as a working graph: {error!r}", file=str(file)
        ) from error
    label = content.get("solver", Path(file).stem)
    machine = ideal(family, shape).without(qubits, couplers, label)
    return machine._replace(properties=stated(family, content.get("properties", {})))


def read_graph(graph: nx.Graph, properties: Mapping[str, Any], label: str) -> Machine:
    """Return the machine of a networkx graph; see `qubo_attn.Target.from_graph`."""
    import networkx as nx

    plain = not (graph.is_directed() or graph.is_multigraph())
    if not plain or not len(graph) or nx.number_of_selfloops(graph):
        raise TargetError(
            "a working graph is undirected, has qubits, and no self-loops or double edges"
        )
    rows, tile = graph.graph.get("rows"), graph.graph.get("tile")
    family, shape = str(graph.graph.get("family")), tuple[int, ...]()
    if rows is not None and graph.graph.get("labels", "int") == "int":
        shape = (int(rows), int(tile)) if family == "zephyr" else (int(rows),)
    return _working(family, shape, graph.nodes, graph.edges, properties, label)


def read_sampler(sampler: dimod.Structured) -> Machine:
    """Return the machine behind a structured sampler; see `qubo_attn.Target.from_sampler`."""
    properties = dict(getattr(sampler, "properties", {}))
    topology = properties.get("topology", {})
    # A live solver's name outlives its working graph; this identifies the graph.
    if graph_id := getattr(getattr(sampler, "solver", None), "graph_id", None):
        properties["graph_id"] = str(graph_id)
    label = str(properties.get("chip_id", type(sampler).__name__))
    nodes, edges = list(sampler.nodelist), list(sampler.edgelist)
    family, shape = topology.get("type"), tuple(topology.get("shape", ()))
    if family in GRIDS and nodes and _are_whole(nodes):
        return _working(family, shape, nodes, edges, properties, label)
    import networkx as nx

    graph = nx.Graph()
    graph.add_nodes_from(nodes)
    graph.add_edges_from(edges)
    return read_graph(graph, properties, label)


def _working(
    family: str,
    shape: tuple[int, ...],
    nodes: Iterable[Any],
    edges: Iterable[tuple[Any, Any]],
    properties: Mapping[str, Any],
    label: str,
) -> Machine:
    """Return the machine of working qubits and couplers; of a lattice where they say which."""
    whole = _are_whole(nodes)
    names = sorted(nodes) if whole else sorted(nodes, key=lambda q: (type(q).__name__, str(q)))
    place = {name: index for index, name in enumerate(names)}
    pairs = np.array([(place[u], place[v]) for u, v in edges], np.int64).reshape(-1, 2)
    qubits = np.array(names if whole else range(len(names)), np.int64)
    columns = own_array(qubits), own_array(ordered(pairs))
    if family in GRIDS and shape and whole:
        return Machine(
            family, shape, *columns, stated(family, properties), label or f"{family} {shape[0]}"
        )
    return Machine(
        "other",
        (),
        *columns,
        stated("other", properties),
        label or f"graph of {len(names)} qubits",
        None if whole else tuple(names),
    )


def _are_whole(nodes: Iterable[Any]) -> bool:
    return all(isinstance(q, (int, np.integer)) for q in nodes)
