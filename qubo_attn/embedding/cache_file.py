"""One file of the embedding cache: a packing, the machine it was made for, and where it came from.

The first line is the SHA-256 of all that follows, the second holds facts as JSON, the rest columns
of whole numbers, compressed: chains by the machine's own qubit numbers, and the working graph, as
what is missing of the ideal lattice where there is one. So every entry can be checked on its own,
years later.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from qubo_attn.common.arrays import Array, Longs
from qubo_attn.embedding.mending import Repair
from qubo_attn.embedding.packing import Packing
from qubo_attn.embedding.shapes import Shape
from qubo_attn.errors import TargetError
from qubo_attn.machine.target import Target

# 4: columns one after another, which read in a third of the time that an npz takes.
FORMAT = 4
SUFFIX = ".packing"


@dataclass(frozen=True, eq=False)
class Graph:
    """A working graph in few numbers.

    Attributes:
        topology, shape: of the target.
        lost: whether the columns hold what is missing of the ideal lattice, or what there is.
        qubits: int64, qubit numbers; couplers: int64, shape (couplers, 2), by qubit number, between
            working qubits.
    """

    topology: str
    shape: tuple[int, ...]
    lost: bool
    qubits: Longs
    couplers: Array

    def target(self) -> Target:
        """Return the machine, its ranges and labels aside."""
        if self.lost:
            return Target.ideal(self.topology, self.shape).without(self.qubits, self.couplers)
        couplers = np.searchsorted(self.qubits, self.couplers)
        return Target(self.topology, self.shape, self.qubits, couplers)

    def changes(self, other: Graph) -> tuple[int, int]:
        """Return how many qubits differ, and how many couplers between the other qubits."""
        qubits = np.setxor1d(self.qubits, other.qubits)
        mine, theirs = (
            part[~np.isin(part, qubits).any(axis=1)] for part in (self.couplers, other.couplers)
        )
        return len(qubits), int((~_among(mine, theirs)).sum() + (~_among(theirs, mine)).sum())


@lru_cache(maxsize=8)
def graph_of(target: Target) -> Graph:
    """Return the working graph of a target."""
    shape = tuple(int(s) for s in target.shape)
    if target.is_grid:
        ideal = Target.ideal(target.topology, shape)
        count = len(ideal.qubits)
        works = np.zeros(count, bool)
        place = np.searchsorted(ideal.qubits, target.qubits).clip(max=count - 1)
        works[place] = True
        u, v = ideal.couplers.T
        expected = ideal.couplers[works[u] & works[v]]
        missing = _absent(_codes(expected, count), _codes(place[target.couplers], count))
        known = np.array_equal(ideal.qubits[place], target.qubits)
        if known and len(expected) - len(missing) == len(target.couplers):
            pairs = ideal.qubits[np.stack(np.divmod(missing, count), axis=1)]
            return Graph(target.topology, shape, True, ideal.qubits[~works], pairs)
    ends = target.qubits[target.couplers]
    return Graph(target.topology, shape, False, target.qubits, ends)


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
class Entry:
    """A packing with everything that is kept beside it.

    Attributes:
        size: nodes of the clique or shape; ptr: int64, as in `Packing`; number: int64, qubit
            numbers.
        graph: the working graph it was made for; target: its hash.
        options: what else the packing depends on (rounds, seed).
        origin: where it came from.
        label, graph_id: how the machine calls itself and its working graph; may be empty.
        qubits, couplers: how many the machine has.
        shape: what is embedded where it is no clique.
    """

    size: int
    ptr: Longs
    number: Longs
    graph: Graph
    target: str
    options: dict[str, int]
    origin: Origin
    label: str
    graph_id: str
    qubits: int
    couplers: int
    shape: Shape | None = None

    @classmethod
    def of(cls, packing: Packing, target: Target, options: dict[str, int], origin: Origin) -> Entry:
        """Return the entry of a packing that fits ``target``."""
        return cls(
            packing.size,
            packing.ptr,
            target.qubits[packing.qubit],
            graph_of(target),
            target.hash,
            options,
            origin,
            target.label,
            str(target.properties.get("graph_id", "")),
            len(target.qubits),
            len(target.couplers),
            packing.shape,
        )

    @property
    def name(self) -> str:
        """Where the entry belongs, relative to the cache's folder."""
        what, graph = name_of(self.size, self.shape), self.graph
        folder = family(what, graph.topology, graph.shape, self.options)
        return f"{folder}/{self.target}-{self.qubits}-{self.couplers}{SUFFIX}"

    @property
    def facts(self) -> dict[str, Any]:
        """What the entry says about itself, as plain data."""
        repair = self.origin.repair
        return {
            "format": FORMAT,
            "shape": name_of(self.size, self.shape),
            "topology": self.graph.topology,
            "lattice": list(self.graph.shape),
            "target": self.target,
            "label": self.label,
            "graph_id": self.graph_id,
            "qubits": self.qubits,
            "couplers": self.couplers,
            "copies": (len(self.ptr) - 1) // self.size,
            "options": self.options,
            "origin": {
                "copies": self.origin.copies,
                "longest_chain": self.origin.longest_chain,
                "drift": self.origin.drift,
                "repair": None if repair is None else vars(repair),
            },
        }

    def packing(self, target: Target) -> Packing:
        """Return the packing on another state of the machine, -1 where a qubit is gone."""
        place = np.searchsorted(target.qubits, self.number).clip(max=len(target.qubits) - 1)
        qubit = np.where(target.qubits[place] == self.number, place, -1)
        return Packing(self.size, self.ptr, qubit, self.shape)

    def problem(self, target: Target | None = None) -> str:
        """Return what is wrong, or nothing.

        Args:
            target: the machine, where it is at hand; else the one that the entry describes.
        """
        try:
            machine = self.graph.target() if target is None else target
        except (TargetError, ValueError, IndexError) as error:
            return f"its working graph does not read: {error}"
        if machine.hash != self.target:
            return "its working graph is not the one it is filed under"
        if (len(machine.qubits), len(machine.couplers)) != (self.qubits, self.couplers):
            return "its counts of qubits and couplers are wrong"
        return "" if self.packing(machine).fits(machine) else "its chains do not fit the machine"

    def to_bytes(self) -> bytes:
        """Return the content of the file."""
        columns: dict[str, Longs] = {
            "couplers": self.graph.couplers.ravel(),
            "number": self.number,
            "ptr": self.ptr,
            "qubits": self.graph.qubits,
        }
        if self.shape is not None:
            columns = {"i": self.shape.i, "j": self.shape.j} | columns
        facts = self.facts | {
            "lost": self.graph.lost,
            "columns": [[name, len(column)] for name, column in columns.items()],
        }
        packed = zlib.compress(np.concatenate(list(columns.values())).astype("<i8").tobytes())
        body = json.dumps(facts, sort_keys=True).encode() + b"\n" + packed
        return hashlib.sha256(body).hexdigest().encode() + b"\n" + body

    @classmethod
    def from_bytes(cls, data: bytes) -> Entry:
        """Read the content of a file.

        Raises:
            ValueError: it is damaged or was written by another version; says which.
        """
        facts, body = _opened(data)
        try:
            columns = _unpacked(dict(facts["columns"]), body)
            graph = Graph(
                facts["topology"],
                tuple(facts["lattice"]),
                bool(facts["lost"]),
                columns["qubits"],
                columns["couplers"].reshape(-1, 2),
            )
            origin = dict(facts["origin"])
            repair = origin.pop("repair")
            shape, size = None, int(facts["shape"].split("-")[0][1:])
            if "i" in columns:
                shape = Shape(size, columns["i"], columns["j"])
            if facts["shape"] != name_of(size, shape):
                raise ValueError("its shape is not the one that it names")
            packing = Packing(size, columns["ptr"], columns["number"], shape)
            if not packing.is_well_formed:
                raise ValueError("chains and their pointers do not belong together")
            return cls(
                packing.size,
                packing.ptr,
                packing.qubit,
                graph,
                facts["target"],
                facts["options"],
                Origin(**origin, repair=None if repair is None else Repair(**repair)),
                facts["label"],
                facts["graph_id"],
                facts["qubits"],
                facts["couplers"],
                shape,
            )
        except Exception as error:  # any content is possible, and all of it means the same
            raise ValueError(f"it does not read ({type(error).__name__}: {error})") from error


def name_of(size: int, shape: Shape | None = None) -> str:
    """Return the name of a clique or of another shape."""
    return f"K{size}" if shape is None else shape.name


def family(name: str, topology: str, lattice: tuple[int, ...], options: dict[str, int]) -> str:
    """Return the folder of all entries that may stand in for each other after a repair."""
    facts = {"format": FORMAT, "topology": topology, "lattice": list(map(int, lattice)), **options}
    return f"{name}-{hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]}"


def _opened(data: bytes) -> tuple[dict[str, Any], bytes]:
    checksum, _, rest = data.partition(b"\n")
    if hashlib.sha256(rest).hexdigest().encode() != checksum:
        raise ValueError("its checksum does not match: the file is damaged")
    line, _, body = rest.partition(b"\n")
    try:
        facts = json.loads(line)
        version = facts["format"]
    except (ValueError, TypeError, KeyError):
        raise ValueError("it was written by another version of qubo-attn") from None
    if version != FORMAT:
        raise ValueError(f"it has format {version}, this version of qubo-attn reads {FORMAT}")
    return facts, body


def _absent(codes: Longs, others: Longs) -> Longs:
    """Return the codes that are not among ``others``; both ascending and each code once."""
    if len(codes) == len(others) and np.array_equal(codes, others):
        return codes[:0]
    both = np.concatenate([codes, others])
    both.sort(kind="stable")  # merges two ascending runs
    single = np.ones(len(both) + 1, bool)
    single[1:-1] = both[1:] != both[:-1]
    alone = both[single[1:] & single[:-1]]
    at = np.searchsorted(codes, alone).clip(max=max(len(codes) - 1, 0))
    return alone[codes[at] == alone] if len(codes) else codes


def _unpacked(lengths: dict[str, int], packed: bytes) -> dict[str, Longs]:
    """Return the columns of `Entry.to_bytes` by name, in the order in which lengths state them."""
    numbers = np.frombuffer(zlib.decompress(packed), "<i8").astype(np.int64)
    if min(lengths.values()) < 0 or sum(lengths.values()) != len(numbers):
        raise ValueError("its columns do not have the lengths that it states")
    columns = np.split(numbers, np.cumsum(list(lengths.values()))[:-1])
    return dict(zip(lengths, columns, strict=True))


def _codes(pairs: Array, span: int) -> Longs:
    return np.asarray(pairs[:, 0] * span + pairs[:, 1])


def _among(pairs: Array, others: Array) -> Array:
    """Return which pairs are among ``others``; both with the smaller number first."""
    if not len(pairs) or not len(others):
        return np.zeros(len(pairs), bool)
    span = int(max(pairs.max(), others.max())) + 1
    codes, known = (part[:, 0] * span + part[:, 1] for part in (pairs, others))
    known = np.sort(known, kind="stable")  # quick, as couplers come in order
    return np.asarray(known[np.searchsorted(known, codes).clip(max=len(known) - 1)] == codes)
