"""Files of the embedding cache: a packing, the machine it was made for, and where it came from.

The first line is the SHA-256 of all that follows, and the second holds facts as JSON. The rest is
columns of whole numbers, compressed: chains by the machine's own qubit numbers, and the working
graph. If there is an ideal lattice, the graph is stored as what is missing from it. So every file
can be checked on its own, years later.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qubo_attn.common.arrays import Longs, places_in
from qubo_attn.embedding.component import Component, Shape
from qubo_attn.embedding.mending import Repair
from qubo_attn.embedding.packing import Packing
from qubo_attn.embedding.stored_graph import StoredGraph
from qubo_attn.errors import TargetError
from qubo_attn.machine.target import Target

# 4: columns one after another, which read in a third of the time that an npz takes.
FORMAT = 4
SUFFIX = ".packing"
# A packing of a full chip takes tens of kilobytes, and a few hundred unpacked.
LARGEST = 1 << 26
_UNPACKED = 1 << 27
_NODES = 1 << 14


@dataclass(frozen=True)
class Origin:
    """The packing found anew that a packing descends from, itself where it was not repaired.

    Attributes:
        copies, longest_chain: of that packing.
        drift: share of qubits plus share of couplers that changed since, over all repairs.
        repair: the last repair; None for a packing found anew.
    """

    copies: int
    longest_chain: int
    drift: float = 0.0
    repair: Repair | None = None


@dataclass(frozen=True, eq=False)
class CacheFile:
    """A packing with everything that is kept beside it.

    Attributes:
        numbers: the packing, with qubit numbers in place of positions.
        graph: the working graph it was made for.
        origin: where it came from.
        facts: what the file says about itself, as plain data: the machine's hash (``target``),
            names and counts, options of the search, origin.
    """

    numbers: Packing
    graph: StoredGraph
    origin: Origin
    facts: dict[str, Any]

    @classmethod
    def of(
        cls,
        packing: Packing,
        target: Target,
        graph: StoredGraph,
        options: dict[str, int],
        origin: Origin,
        wanted: str,
    ) -> CacheFile:
        """Return the file of a packing that fits ``target``, whose working graph is ``graph``.

        ``wanted`` is the name of what was asked for.
        """
        repair = origin.repair
        facts = {
            "format": FORMAT,
            "shape": packing.component.name,
            "topology": graph.topology,
            "lattice": list(graph.shape),
            "target": target.hash,
            "label": target.label,
            "graph_id": str(target.properties.get("graph_id", "")),
            "qubits": len(target.qubits),
            "couplers": len(target.couplers),
            "copies": len(packing),
            "options": options,
            "origin": vars(origin) | {"repair": None if repair is None else vars(repair)},
        }
        # Of a packing that is what was asked for, the shape says it.
        facts |= {"wanted": wanted} if wanted != packing.component.name else {}
        return cls(replace(packing, qubit=target.qubits[packing.qubit]), graph, origin, facts)

    @property
    def wanted(self) -> str:
        """Name of what was asked for: a mixture, or the component that is embedded."""
        return str(self.facts.get("wanted", self.facts["shape"]))

    @property
    def name(self) -> str:
        """Where the file belongs, relative to the cache's folder."""
        facts, graph = self.facts, self.graph
        folder = folder_of(self.wanted, graph.topology, graph.shape, facts["options"])
        return f"{folder}/{facts['target']}-{facts['qubits']}-{facts['couplers']}{SUFFIX}"

    def packing(self, target: Target) -> Packing:
        """Return the packing on another state of the machine, -1 where a qubit is gone."""
        return replace(self.numbers, qubit=places_in(target.qubits, self.numbers.qubit))

    def problem(self, target: Target | None = None) -> str:
        """Return what is wrong, or nothing.

        Args:
            target: the machine, where it is at hand; else the one that the file describes.
        """
        try:
            machine = self.graph.target() if target is None else target
        except (TargetError, ValueError, IndexError) as error:
            return f"its working graph does not read: {error}"
        if machine.hash != self.facts["target"]:
            return "its working graph is not the one it is filed under"
        counts = len(machine.qubits), len(machine.couplers)
        if counts != (self.facts["qubits"], self.facts["couplers"]):
            return "its counts of qubits and couplers are wrong"
        return "" if self.packing(machine).fits(machine) else "its chains do not fit the machine"

    def to_bytes(self) -> bytes:
        """Return the content of the file."""
        shape = self.numbers.component.shape
        columns = {} if shape is None else {"i": shape.i, "j": shape.j}
        columns |= {
            "couplers": self.graph.couplers.ravel(),
            "number": self.numbers.qubit,
            "ptr": self.numbers.ptr,
            "qubits": self.graph.qubits,
        }
        facts = self.facts | {
            "lost": self.graph.lost,
            "columns": [[name, len(column)] for name, column in columns.items()],
        }
        packed = zlib.compress(np.concatenate(list(columns.values())).astype("<i8").tobytes())
        body = json.dumps(facts, sort_keys=True).encode() + b"\n" + packed
        return hashlib.sha256(body).hexdigest().encode() + b"\n" + body

    @classmethod
    def from_bytes(cls, data: bytes) -> CacheFile:
        """Read the content of a file.

        Raises:
            ValueError: it is damaged or was written by another version; says which.
        """
        facts, body = _opened(data)
        try:
            return cls._read(facts, _unpacked(dict(facts.pop("columns")), body))
        except Exception as error:  # any content is possible, and all of it means the same
            raise ValueError(f"it does not read ({type(error).__name__}: {error})") from error

    @classmethod
    def _read(cls, facts: dict[str, Any], columns: dict[str, Longs]) -> CacheFile:
        size = int(facts["shape"].split("-")[0][1:])
        if not 1 <= size <= _NODES:
            raise ValueError(f"no component has {size} nodes")
        shape = Shape(size, columns["i"], columns["j"]) if "i" in columns else None
        if shape is not None and not shape.is_well_formed:
            raise ValueError("its shape joins nodes that it does not have")
        numbers = Packing(Component(size, shape), columns["ptr"], columns["number"])
        if facts["shape"] != numbers.component.name:
            raise ValueError("its shape is not the one that it names")
        if not numbers.is_well_formed or facts["copies"] != len(numbers):
            raise ValueError("chains and their pointers do not belong together")
        if not all(isinstance(facts[name], str) for name in ("label", "graph_id", "target")):
            raise ValueError("it does not say whose it is")
        graph = StoredGraph(
            facts["topology"],
            tuple(facts["lattice"]),
            bool(facts.pop("lost")),
            columns["qubits"],
            columns["couplers"].reshape(-1, 2),
        )
        repair = facts["origin"]["repair"]
        repair = None if repair is None else Repair(**repair)
        origin = Origin(**facts["origin"] | {"repair": repair})
        return cls(numbers, graph, origin, facts)


def problem_of(data: bytes, name: str, target: Target | None = None) -> str:
    """Return what is wrong with a file of the cache, or nothing.

    Args:
        data: its content.
        name: relative to the cache's folder.
        target: the machine, where it is at hand; else the one that the file describes.
    """
    try:
        file = CacheFile.from_bytes(data)
        if file.name != name:
            return f"it is the content of {file.name}"
        return file.problem(target)
    except Exception as error:  # any content is possible in a damaged file
        return str(error)


def folder_of(wanted: str, topology: str, lattice: tuple[int, ...], options: dict[str, int]) -> str:
    """Return the folder of all files that may stand in for each other after a repair."""
    facts = {"format": FORMAT, "topology": topology, "lattice": list(map(int, lattice)), **options}
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return f"{wanted}-{digest[:16]}"


def _opened(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the facts of a file, and its columns as they are packed."""
    checksum, _, rest = data.partition(b"\n")
    if hashlib.sha256(rest).hexdigest().encode() != checksum:
        raise ValueError("its checksum does not match: the file is damaged")
    line, _, body = rest.partition(b"\n")
    try:
        facts = json.loads(line)
        version = facts["format"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ValueError("it was written by another version of qubo-attn") from None
    if version != FORMAT:
        raise ValueError(f"it has format {version}, this version of qubo-attn reads {FORMAT}")
    return facts, body


def _unpacked(lengths: dict[str, int], packed: bytes) -> dict[str, Longs]:
    """Return the columns of `CacheFile.to_bytes` by name, in the order in which lengths stand."""
    stated = 8 * sum(lengths.values())
    if min(lengths.values()) < 0 or stated > _UNPACKED:
        raise ValueError("it states columns that no embedding has")
    # One byte more would come out where there are more.
    data = zlib.decompressobj().decompress(packed, stated + 1)
    if len(data) != stated:
        raise ValueError("its columns do not have the lengths that it states")
    numbers = np.frombuffer(data, "<i8").astype(np.int64)
    columns = np.split(numbers, np.cumsum(list(lengths.values()))[:-1])
    return dict(zip(lengths, columns, strict=True))
