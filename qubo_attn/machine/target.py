"""Machines to compile for: working graph, ranges, topology, hash."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from qubo_attn.common.arrays import Array, Longs, own_array, places_in, pointers
from qubo_attn.common.checks import nearest, shown
from qubo_attn.common.frozen import Portable
from qubo_attn.common.words import plural
from qubo_attn.errors import TargetError
from qubo_attn.kernels.graph import WorkingGraph
from qubo_attn.machine.limits import Limits
from qubo_attn.machine.losses import draw_losses
from qubo_attn.machine.native import Native, unstructured
from qubo_attn.machine.readers import (
    coupler_ends,
    ideal,
    qubit_numbers,
    read_graph,
    read_json,
    read_sampler,
)
from qubo_attn.machine.sampler import machine_behind
from qubo_attn.machine.timing import Timing
from qubo_attn.machine.topology import GRIDS, check_graph, coupling_groups, ideal_graph
from qubo_attn.machine.warmth import Warm
from qubo_attn.machine.writers import Written

if TYPE_CHECKING:
    import dimod
    import networkx as nx


@dataclass(frozen=True, eq=False)
class Target(Warm, Native, Written, Portable):
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

    def __post_init__(self) -> None:
        check_graph(self.topology, self.shape, self.qubits, self.couplers)

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
            missing_qubits, missing_couplers, seed: see `with_losses`.

        Raises:
            TargetError: there is no such lattice, or a share is not between 0 and 1.
        """
        target = cls(*ideal("zephyr", (m, 4)))
        return target.with_losses(missing_qubits, missing_couplers, seed)

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
            missing_qubits, missing_couplers, seed: see `with_losses`.

        Raises:
            TargetError: there is no such lattice, or a share is not between 0 and 1.
        """
        target = cls(*ideal("pegasus", (m,)))
        return target.with_losses(missing_qubits, missing_couplers, seed)

    @classmethod
    def all_to_all(cls, bits: int | None = None, *, native: Iterable[str] = ()) -> Target:
        """Return a machine without a topology, such as a coherent Ising machine.

        Args:
            bits: precision of its integer coefficients; None for 8, or for floats where the machine
                takes constraints.
            native: constraints that it takes as they are: ``"linear"``, ``"one-hot"`` or both.

        Raises:
            InputError: ``bits`` is no whole number of at least 1; there is no such constraint.
        """
        return cls(*unstructured(bits, native))

    @classmethod
    def from_graph(
        cls, graph: nx.Graph, *, properties: Mapping[str, Any] | None = None, label: str = ""
    ) -> Target:
        """Return a machine with the given working graph.

        A graph made by the topology library keeps its family as long as the lattice has all its
        qubits and couplers, by their numbers; any other is ``"other"``.

        Raises:
            TargetError: the graph is empty, directed, or has self-loops.
        """
        return cls(*read_graph(graph, properties or {}, label))

    @classmethod
    def from_json(cls, file: str | Path) -> Target:
        """Read a working graph: topology, what is missing from the ideal graph, ranges.

        The file holds ``topology: {type, shape}``, ``missing_qubits``, ``missing_couplers`` and,
        optionally, ``properties`` and ``solver``; `to_json` writes one.

        Raises:
            TargetError: names the file and what does not read.
        """
        machine, qubits, couplers = read_json(file)
        target = cls(*machine)
        return target.without(qubits, couplers) if len(qubits) + len(couplers) else target

    @classmethod
    def from_sampler(cls, sampler: dimod.Structured) -> Target:
        """Return the machine behind a structured sampler, for example a ``DWaveSampler``.

        A composite that does not embed models itself stands for the machine that it sits on. Its
        family is kept as `from_graph` keeps a graph's.

        Raises:
            TargetError: it lists no qubits, or a coupler of qubits that it does not list.
        """
        return cls(*read_sampler(machine_behind(sampler) or sampler))

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
        if (machine := machine_behind(target)) is not None:
            return cls.from_sampler(machine)
        embeds = ", or None where the sampler embeds" if hasattr(target, "sample") else ""
        raise TargetError(
            f"cannot compile for {type(target).__name__}: pass a Target, a name such as "
            f"'zephyr:12', a JSON file, a networkx graph or a sampler with a structure{embeds}",
            target=shown(target),
        )

    @classmethod
    def _named(cls, name: str) -> Target:
        if name == "all-to-all":
            return cls.all_to_all()
        family, _, size = name.partition(":")
        # Eighteen digits tell that a lattice is too large.
        if family in GRIDS and size.isdecimal() and (m := int(size[:18])) >= 1:
            return cls.zephyr(m) if family == "zephyr" else cls.pegasus(m)
        if Path(name).suffix == ".json" or os.path.exists(os.path.expanduser(name)):
            return cls.from_json(name)
        if family in GRIDS:
            raise TargetError(
                f"{family} needs a size of at least 1, as in {family}:12", target=name
            )
        raise TargetError(
            f"unknown target {name!r}: expected zephyr:M, pegasus:M, all-to-all or a JSON file"
            f"{nearest(family, [*GRIDS, 'all-to-all'])}",
            target=name,
        )

    # -- variations ---------------------------------------------------------------------------

    def with_losses(self, qubits: float, couplers: float, seed: int = 0) -> Target:
        """Return the machine with a random share of its qubits and couplers missing.

        Args:
            qubits, couplers: share of each, from 0 to below 1.
            seed: seed of the draw.

        Raises:
            TargetError: a share is not between 0 and 1.
        """
        lost, pairs = draw_losses(self.qubits, self.couplers, qubits, couplers, seed)
        if qubits == couplers == 0:
            return self
        less = f"{plural(len(lost), 'qubit', 'd')} and {plural(len(pairs), 'coupler', 'd')}"
        label = f"{self.label}, {less} missing"
        return replace(self.without(lost, pairs), label=label)

    def without(self, qubits: ArrayLike, couplers: ArrayLike) -> Target:
        """Return the machine without some more qubits and couplers, both by qubit number.

        Raises:
            TargetError: no qubit is left, or the lists hold what is no number.
        """
        live = ~np.isin(self.qubits, qubit_numbers("qubits", qubits))
        if not live.any():
            raise TargetError(f"{self.label}: no working qubit is left")
        names = None if self.names is None else tuple(compress(self.names, live))
        place, inside = np.cumsum(live) - 1, live[self.couplers].all(axis=1)
        columns = own_array(self.qubits[live]), own_array(place[self.couplers[inside]])
        rest = replace(self, qubits=columns[0], couplers=columns[1], names=names)
        pairs = coupler_ends("couplers", couplers)
        dead = rest.coupler_numbers(*places_in(rest.qubits, pairs).T)
        alive = np.delete(rest.couplers, dead[dead >= 0], axis=0)
        return replace(rest, couplers=own_array(alive))

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
    def adjacency(self) -> WorkingGraph:
        """Neighbours of each qubit, by position in `qubits`."""
        count = len(self.couplers)
        ends = np.concatenate([self.couplers, self.couplers[:, ::-1]])
        order = np.lexsort((ends[:, 1], ends[:, 0]))
        ptr = pointers(np.bincount(ends[:, 0], minlength=len(self.qubits)))
        number = np.tile(np.arange(count), 2)[order]
        return WorkingGraph(ptr, own_array(ends[order, 1].copy()), own_array(number))

    @cached_property
    def limits(self) -> Limits:
        """Ranges of fields, couplings and totals; reads and run time of one call.

        Raises:
            TargetError: a property of the machine does not read; names it.
        """
        return Limits.of(self.properties)

    @cached_property
    def timing(self) -> Timing | None:
        """How long the machine takes; None for a graph without a timing model."""
        return Timing.of(self.topology, self.properties, self.label)

    @cached_property
    def coupling_groups(self) -> Longs:
        """The group of each coupler at either qubit (`topology.coupling_groups`)."""
        family = self.topology if self.limits.per == "group" else "other"
        return own_array(coupling_groups(family, self.shape, self.qubits, self.couplers))

    def coupler_numbers(self, u: Longs, v: Longs) -> Longs:
        """Return where `couplers` holds pairs of qubit positions; -1 where none joins them."""
        size = len(self.qubits)
        codes = self.couplers[:, 0] * size + self.couplers[:, 1]
        return places_in(codes, np.minimum(u, v) * size + np.maximum(u, v))

    def qubit_name(self, position: int) -> Hashable:
        """Return the machine's own label of the qubit at ``position`` in `qubits`."""
        return int(self.qubits[position]) if self.names is None else self.names[position]

    def graph(self) -> nx.Graph:
        """Return the working graph with the machine's own labels."""
        import networkx as nx

        graph = nx.Graph(family=self.topology)
        graph.add_nodes_from(self.qubit_name(p) for p in range(len(self.qubits)))
        graph.add_edges_from(
            (self.qubit_name(u), self.qubit_name(v)) for u, v in self.couplers.tolist()
        )
        return graph

    def __str__(self) -> str:
        return f"{self.label} ({len(self.qubits)} qubits, {len(self.couplers)} couplers)"
