"""Machines to compile for: working graph, ranges, topology, hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from qubo_attn.common.arrays import Array, Longs, own_array, pointers
from qubo_attn.common.checks import nearest
from qubo_attn.common.frozen import Portable
from qubo_attn.errors import TargetError
from qubo_attn.machine.limits import Limits, stated
from qubo_attn.machine.timing import Timing
from qubo_attn.machine.topology import GRIDS, coupling_groups, ideal_graph, ordered, working_graph

if TYPE_CHECKING:
    import dimod
    import networkx as nx


@dataclass(frozen=True, eq=False)
class Target(Portable):
    """A machine: which qubits and couplers work, and what ranges they take.

    Build one with `zephyr`, `pegasus`, `from_graph`, `from_json`, `from_sampler` or `all_to_all`.

    Attributes:
        topology: ``"zephyr"``, ``"pegasus"``, ``"other"`` or ``"all-to-all"``.
        shape: as the machine states it, e.g. ``(12, 4)``; empty for ``"other"``.
        qubits: int64, the working qubits, ascending; positions in ``names`` for ``"other"``.
        couplers: int64, shape (couplers, 2): positions in ``qubits``, sorted, smaller first.
        properties: ranges in hardware units, and what else the machine states.
        label: how reports call it.
        names: the graph's own labels where they are not whole numbers, else None.

    Example:
        >>> from qubo_attn import Target
        >>> target = Target.zephyr(2)
        >>> len(target.qubits), len(target.couplers)
        (160, 1224)
        >>> Target.zephyr(2, missing_qubits=0.05, seed=1).hash == target.hash
        False
    """

    topology: str
    shape: tuple[int, ...]
    qubits: Longs
    couplers: Array
    properties: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""
    names: tuple[Hashable, ...] | None = None

    # -- ways to build one --------------------------------------------------------------------

    @classmethod
    def zephyr(
        cls,
        m: int,
        *,
        missing_qubits: float = 0.0,
        missing_couplers: float = 0.0,
        seed: int = 0,
    ) -> Target:
        """Return a Zephyr machine with grid parameter ``m`` (tile 4).

        Args:
            m: grid parameter; Advantage2 machines have 12 or 6.
            missing_qubits, missing_couplers: share of each that does not work, drawn with ``seed``.
            seed: of the draw.
        """
        return cls._ideal("zephyr", (m, 4)).with_losses(missing_qubits, missing_couplers, seed)

    @classmethod
    def pegasus(
        cls,
        m: int,
        *,
        missing_qubits: float = 0.0,
        missing_couplers: float = 0.0,
        seed: int = 0,
    ) -> Target:
        """Return a Pegasus machine with grid parameter ``m``; Advantage machines have 16.

        Args:
            m: grid parameter.
            missing_qubits, missing_couplers: share of each that does not work, drawn with ``seed``.
            seed: of the draw.
        """
        return cls._ideal("pegasus", (m,)).with_losses(missing_qubits, missing_couplers, seed)

    @classmethod
    def ideal(cls, topology: str, shape: tuple[int, ...]) -> Target:
        """Return a Pegasus or Zephyr machine of the given shape with nothing missing."""
        return cls._ideal(topology, shape)

    @classmethod
    def all_to_all(cls, bits: int = 8) -> Target:
        """Return a machine without a topology, such as a coherent Ising machine.

        Args:
            bits: precision of its integer coefficients.
        """
        if bits < 1:
            raise TargetError(f"bits must be at least 1, not {bits}", bits=bits)
        properties = {"bits": bits}
        empty, none = np.zeros(0, np.int64), np.zeros((0, 2), np.int64)
        return cls("all-to-all", (), empty, none, properties, f"all-to-all, {bits} bits")

    @classmethod
    def from_graph(
        cls, graph: nx.Graph, *, properties: Mapping[str, Any] | None = None, label: str = ""
    ) -> Target:
        """Return a machine with the given working graph.

        A graph made by the topology library keeps its family; any other is ``"other"``.

        Raises:
            TargetError: the graph is empty, directed, or has self-loops.
        """
        import networkx as nx

        plain = not (graph.is_directed() or graph.is_multigraph())
        if not plain or not len(graph) or nx.number_of_selfloops(graph):
            raise TargetError(
                "a working graph is undirected, has qubits, and no self-loops or double edges"
            )
        family, shape = graph.graph.get("family"), _shape_of(graph)
        if family in GRIDS and shape and all(isinstance(q, (int, np.integer)) for q in graph):
            return cls._grid(str(family), shape, graph.nodes, graph.edges, properties or {}, label)
        whole = all(isinstance(q, (int, np.integer)) for q in graph)
        names = sorted(graph) if whole else sorted(graph, key=lambda q: (type(q).__name__, str(q)))
        place = {name: index for index, name in enumerate(names)}
        edges = np.array([(place[u], place[v]) for u, v in graph.edges], np.int64).reshape(-1, 2)
        merged = stated("other", properties or {})
        return cls(
            "other",
            (),
            own_array(np.array(names if whole else range(len(names)), dtype=np.int64)),
            own_array(ordered(edges)),
            merged,
            label or f"graph of {len(names)} qubits",
            None if whole else tuple(names),
        )

    @classmethod
    def from_json(cls, file: str | Path) -> Target:
        """Read a working graph: topology, what is missing from the ideal graph, ranges.

        The file holds ``topology: {type, shape}``, ``missing_qubits``, ``missing_couplers`` and,
        optionally, ``properties`` and ``solver``.

        Raises:
            TargetError: names the file and what does not read.
        """
        try:
            content = json.loads(Path(file).read_text())
            family, shape = content["topology"]["type"], tuple(content["topology"]["shape"])
            missing = np.array(content["missing_qubits"], np.int64)
            gone = np.array(content["missing_couplers"], np.int64).reshape(-1, 2)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TargetError(
                f"{file} does not read as a working graph: {error!r}", file=str(file)
            ) from error
        ideal = cls._ideal(family, shape)
        return ideal._without(
            missing, gone, content.get("properties", {}), content.get("solver", Path(file).stem)
        )

    @classmethod
    def from_sampler(cls, sampler: dimod.Structured) -> Target:
        """Return the machine behind a structured sampler, for example a ``DWaveSampler``."""
        properties = dict(getattr(sampler, "properties", {}))
        topology = properties.get("topology", {})
        # A live solver's name outlives its working graph; this identifies the graph.
        if graph_id := getattr(getattr(sampler, "solver", None), "graph_id", None):
            properties["graph_id"] = str(graph_id)
        label = str(properties.get("chip_id", type(sampler).__name__))
        nodes, edges = list(sampler.nodelist), list(sampler.edgelist)
        family = topology.get("type")
        if family in GRIDS and nodes and all(isinstance(q, (int, np.integer)) for q in nodes):
            return cls._grid(family, tuple(topology["shape"]), nodes, edges, properties, label)
        import networkx as nx

        graph = nx.Graph()
        graph.add_nodes_from(nodes)
        graph.add_edges_from(edges)
        return cls.from_graph(graph, properties=properties, label=label)

    @classmethod
    def of(cls, target: object) -> Target | None:
        """Return the target meant by what a caller passed; None stays None.

        Args:
            target: a `Target`, ``"zephyr:12"``, ``"pegasus:16"``, ``"all-to-all"``, the path of a
                JSON file, a networkx graph, a structured sampler, or None.

        Raises:
            TargetError: it is none of these.
        """
        if target is None or isinstance(target, Target):
            return target
        if isinstance(target, (str, Path)):
            return cls._named(str(target))
        import networkx as nx

        if isinstance(target, nx.Graph):
            return cls.from_graph(target)
        if hasattr(target, "nodelist") and hasattr(target, "edgelist"):
            return cls.from_sampler(target)
        raise TargetError(
            f"cannot compile for {type(target).__name__}: pass a Target, a name such as "
            "'zephyr:12', a JSON file, a networkx graph or a sampler with a structure",
            target=repr(target),
        )

    @classmethod
    def _named(cls, name: str) -> Target:
        if name == "all-to-all":
            return cls.all_to_all()
        family, _, size = name.partition(":")
        if family in GRIDS and size.isdecimal() and int(size) >= 1:
            return cls._ideal(family, (int(size), 4) if family == "zephyr" else (int(size),))
        if Path(name).suffix == ".json" or Path(name).exists():
            return cls.from_json(name)
        raise TargetError(
            f"unknown target {name!r}: expected zephyr:M, pegasus:M, all-to-all or a JSON file"
            f"{nearest(family, [*GRIDS, 'all-to-all'])}",
            target=name,
        )

    @classmethod
    def _ideal(cls, family: str, shape: tuple[int, ...]) -> Target:
        if family not in GRIDS:
            raise TargetError(
                f"unknown topology {family!r}; one of {', '.join(GRIDS)}", topology=family
            )
        least = 2 if family == "pegasus" else 1
        if (
            not shape
            or not all(isinstance(s, (int, np.integer)) for s in shape)
            or (shape[0] < least)
        ):
            raise TargetError(f"{family} needs a grid of at least {least}, not {shape}")
        qubits, couplers = ideal_graph(family, tuple(int(s) for s in shape))
        label = f"{family} {shape[0]}"
        return cls(family, shape, qubits, couplers, stated(family, {}), label)

    @classmethod
    def _grid(
        cls,
        family: str,
        shape: tuple[int, ...],
        nodes: object,
        edges: object,
        properties: Mapping[str, Any],
        label: str,
    ) -> Target:
        """Return a grid machine from its working qubits and couplers, as linear numbers."""
        qubits = np.array(sorted(nodes), np.int64)  # type: ignore[call-overload]
        pairs = np.array(list(edges), np.int64).reshape(-1, 2)  # type: ignore[call-overload]
        couplers = ordered(np.searchsorted(qubits, pairs))
        merged = stated(family, properties)
        return cls(
            family,
            tuple(shape),
            own_array(qubits),
            own_array(couplers),
            merged,
            label or f"{family} {shape[0]}",
        )

    # -- variations ---------------------------------------------------------------------------

    def with_losses(self, qubits: float, couplers: float, seed: int = 0) -> Target:
        """Return the machine with a random share of its qubits and couplers missing.

        Raises:
            TargetError: a share is not between 0 and 1.
        """
        for name, share in (("missing_qubits", qubits), ("missing_couplers", couplers)):
            if not 0 <= share < 1:
                raise TargetError(f"{name} must be a share from 0 to below 1, not {share}")
        if qubits == couplers == 0:
            return self
        generator = np.random.default_rng(seed)
        lost = generator.choice(
            self.qubits, round(qubits * len(self.qubits)), replace=False, shuffle=False
        )
        part = self._without(lost, np.zeros((0, 2), np.int64), self.properties, self.label)
        gone = generator.choice(
            len(part.couplers), round(couplers * len(part.couplers)), replace=False
        )
        label = f"{self.label}, {len(lost)} qubits and {len(gone)} couplers missing"
        pairs = part.qubits[part.couplers[gone]]
        return part._without(np.zeros(0, np.int64), pairs, self.properties, label)

    def without(self, qubits: ArrayLike, couplers: ArrayLike) -> Target:
        """Return the machine without some more qubits and couplers, both by qubit number."""
        pairs = np.asarray(couplers, np.int64).reshape(-1, 2)
        return self._without(np.asarray(qubits, np.int64), pairs, self.properties, self.label)

    def _without(
        self, missing: Array, gone: Array, properties: Mapping[str, Any], label: str
    ) -> Target:
        live = ~np.isin(self.qubits, missing)
        place = np.cumsum(live) - 1
        size = int(self.qubits.max()) + 1
        ends = self.qubits[self.couplers]
        lost = np.sort(gone, axis=1)
        dead = np.isin(ends[:, 0] * size + ends[:, 1], lost[:, 0] * size + lost[:, 1])
        keep = live[self.couplers].all(axis=1) & ~dead
        if not live.any():
            raise TargetError(f"{label}: no working qubit is left")
        return Target(
            self.topology,
            self.shape,
            own_array(self.qubits[live]),
            own_array(place[self.couplers[keep]]),
            stated(self.topology, properties),
            label,
            None
            if self.names is None
            else tuple(name for name, ok in zip(self.names, live, strict=True) if ok),
        )

    # -- what others read ---------------------------------------------------------------------

    @property
    def is_structured(self) -> bool:
        """Whether problems must be embedded."""
        return self.topology != "all-to-all"

    @property
    def is_grid(self) -> bool:
        """Whether it is a Pegasus or Zephyr lattice."""
        return self.topology in GRIDS

    @cached_property
    def is_ideal(self) -> bool:
        """Whether nothing is missing."""
        if not self.is_grid:
            return False
        qubits, couplers = ideal_graph(self.topology, self.shape)
        return len(qubits) == len(self.qubits) and len(couplers) == len(self.couplers)

    @cached_property
    def hash(self) -> str:
        """A hash of topology, qubits and couplers; ranges and names do not enter."""
        digest = hashlib.sha256(f"{self.topology}{tuple(map(int, self.shape))}".encode())
        digest.update(np.ascontiguousarray(self.qubits, "<i8").tobytes())
        digest.update(np.ascontiguousarray(self.couplers, "<i8").tobytes())
        return digest.hexdigest()

    @cached_property
    def adjacency(self) -> tuple[Longs, Longs, Longs]:
        """Neighbours in CSR form: row pointer, neighbour, number of the coupler."""
        count = len(self.couplers)
        ends = np.concatenate([self.couplers, self.couplers[:, ::-1]])
        order = np.lexsort((ends[:, 1], ends[:, 0]))
        ptr = pointers(np.bincount(ends[:, 0], minlength=len(self.qubits)))
        number = np.tile(np.arange(count), 2)[order]
        return ptr, own_array(ends[order, 1].copy()), own_array(number)

    @cached_property
    def limits(self) -> Limits:
        """Ranges of fields, couplings and totals; reads and run time of one call.

        Raises:
            TargetError: a property of the machine does not read; names it.
        """
        return Limits.of(self.properties)

    @cached_property
    def timing(self) -> Timing | None:
        """How long the machine takes; None for a graph that is nobody's machine."""
        return Timing.of(self.topology, self.properties)

    @cached_property
    def coupling_groups(self) -> Longs:
        """The group of each coupler at either qubit.

        See `qubo_attn.machine.topology.coupling_groups`.
        """
        family = self.topology if self.limits.per == "group" else "other"
        return own_array(coupling_groups(family, self.shape, self.qubits, self.couplers))

    def coupler_numbers(self, u: Longs, v: Longs) -> Longs:
        """Return where `couplers` holds pairs of qubit positions; -1 where none joins them."""
        size = len(self.qubits)
        known = self.couplers[:, 0] * size + self.couplers[:, 1]
        wanted = np.minimum(u, v) * size + np.maximum(u, v)
        if not len(known):
            return np.full(len(wanted), -1)
        at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        return np.where(known[at] == wanted, at, -1)

    def qubit_name(self, position: int) -> Hashable:
        """Return the machine's own label of the qubit at ``position`` in `qubits`."""
        if self.names is not None:
            return self.names[position]
        return int(self.qubits[position])

    def graph(self) -> nx.Graph:
        """Return the working graph with the machine's own labels."""
        import networkx as nx

        graph = nx.Graph(family=self.topology)
        graph.add_nodes_from(self.qubit_name(p) for p in range(len(self.qubits)))
        graph.add_edges_from(
            (self.qubit_name(u), self.qubit_name(v)) for u, v in self.couplers.tolist()
        )
        return graph

    def lattice_graph(self, couplers: Array) -> nx.Graph:
        """Return some couplers of a Pegasus or Zephyr machine as the topology library's graph."""
        return working_graph(self.topology, self.shape, self.qubits[couplers])

    def __str__(self) -> str:
        return f"{self.label} ({len(self.qubits)} qubits, {len(self.couplers)} couplers)"


def _shape_of(graph: nx.Graph) -> tuple[int, ...]:
    rows, tile = graph.graph.get("rows"), graph.graph.get("tile")
    if rows is None or graph.graph.get("labels", "int") != "int":
        return ()
    return (int(rows), int(tile)) if graph.graph.get("family") == "zephyr" else (int(rows),)
