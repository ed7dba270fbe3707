"""A disk cache of packings: content-addressed, atomic, checksummed, checked on every read.

A folder per clique, lattice and search options holds a file per working graph, named by its hash. A
file that does not read, does not match its checksum or does not fit the live graph is a miss. On a
miss, the packing of the nearest other working graph in the folder is repaired, if it is near and if
few copies are lost by it; else the packing is found anew.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import platformdirs

from qubo_attn.common.files import read_file, tidy, write_file
from qubo_attn.embedding.cache_file import SUFFIX, Entry, Origin, family, graph_of, name_of
from qubo_attn.embedding.mending import Repair, mend_packing
from qubo_attn.embedding.packing import Packing
from qubo_attn.embedding.shapes import Shape
from qubo_attn.errors import InputError
from qubo_attn.machine.target import Target

ENVIRONMENT = "QUBO_ATTN_CACHE"
# Tens of thousands of packings.
LIMIT = 1 << 30
# Share of qubits plus share of couplers that may change, all repairs together, before a packing is
# found anew; and the working graphs of nearest counts that are looked at.
NEAR, _LOOKED_AT = 0.05, 8
# A repaired packing keeps this share of the copies, less so much per share of the graph changed: on
# real machines, packings found anew lose three to four copies' shares per share of qubits.
KEPT, _PER_SHARE = 0.9, 4.0
_FILE = re.compile(r"[0-9a-f]{64}-(\d+)-(\d+)" + re.escape(SUFFIX))


@dataclass
class CacheCounts:
    """What the cache did.

    Attributes:
        hits: packings found on disk or in memory.
        misses: packings that were not; repaired: how many of them were repaired, not found anew.
        written: files written; bad: files that could not be used; evicted: files deleted to keep
            within the limit.
        copies_reused, copies_mended, copies_placed: copies of repaired packings that are as they
            were, rerouted, embedded anew.
    """

    hits: int = 0
    misses: int = 0
    written: int = 0
    bad: int = 0
    repaired: int = 0
    evicted: int = 0
    copies_reused: int = 0
    copies_mended: int = 0
    copies_placed: int = 0

    def add(self, repair: Repair) -> None:
        """Count a repaired packing."""
        self.repaired += 1
        self.copies_reused += repair.reused
        self.copies_mended += repair.mended
        self.copies_placed += repair.placed


@dataclass(frozen=True)
class CacheEntry:
    """One file of the cache: its facts as written, and whether it reads."""

    path: Path
    facts: dict[str, Any]
    bytes: int
    readable: bool


@dataclass(frozen=True, eq=False)
class Kept:
    """A packing and how the cache came by it.

    Attributes:
        packing: fits the machine it was asked for.
        how: found in the cache, made from another machine's, or found anew.
        origin: the packing found anew that it descends from.
    """

    packing: Packing
    how: Literal["kept", "repaired", "new"]
    origin: Origin

    def __str__(self) -> str:
        repair = self.origin.repair
        shape = name_of(self.packing.size, self.packing.shape)
        if repair is None:
            return f"{shape}: {len(self.packing)} copies, {self.how}"
        when = "repaired" if self.how == "repaired" else "repaired earlier"
        return (
            f"{shape}: {len(self.packing)} of {repair.before} copies, {when} after changes of the "
            f"machine ({repair.reused} reused, {repair.mended} mended, {repair.placed} embedded "
            f"anew); chains up to {self.packing.longest_chain}, {self.origin.longest_chain} before"
        )


class EmbeddingCache:
    """Packings kept across processes.

    Args:
        folder: where files go. None means the folder named by ``QUBO_ATTN_CACHE`` or, where that is
            not set, the user's cache folder. Many processes may share it, over a network too.
        limit: bytes that the files may take together; those not used for longest go first. 1 GiB by
            default.
        repair: whether a packing of a nearby working graph may be repaired instead of finding one
            anew. Without it, packings repaired earlier are found anew as well.

    Attributes:
        folder: the folder in use.
        counts: what was found, written and rejected since the object was made.

    Raises:
        InputError: the limit is negative.

    Example:
        >>> import tempfile
        >>> from qubo_attn import EmbeddingCache
        >>> cache = EmbeddingCache(tempfile.mkdtemp(), limit=10_000_000)
        >>> list(cache.entries())
        []
    """

    def __init__(
        self,
        folder: str | os.PathLike[str] | None = None,
        *,
        limit: int = LIMIT,
        repair: bool = True,
    ) -> None:
        if limit < 0:
            raise InputError(f"limit must be at least 0 bytes, not {limit}", limit=limit)
        default = os.environ.get(ENVIRONMENT) or platformdirs.user_cache_dir("qubo-attn")
        self.folder = Path(folder if folder is not None else default)
        self.limit, self.repair = limit, repair
        self.counts = CacheCounts()
        self._memory: dict[str, Kept] = {}
        self._writable = True

    def packing(
        self,
        size: int,
        target: Target,
        options: dict[str, int],
        find: Callable[[], Packing],
        shape: Shape | None = None,
    ) -> Kept:
        """Return the packing of a clique or a shape on a target, and how it was come by.

        Args:
            size: nodes of the clique or shape.
            target: the live working graph; what is read is checked against it.
            options: what else the result depends on (rounds, seed).
            find: finds the packing anew.
            shape: what is embedded where it is no clique; it is never repaired.
        """
        name = self._name(size, target, options, shape)
        kept = self._memory.get(name) or self._read(name, target)
        if kept is not None:
            self.counts.hits += 1
            self._memory[name] = kept
            return kept
        self.counts.misses += 1
        kept = self._repaired(size, target, options) if self.repair and shape is None else None
        if kept is None:
            packing = find()
            kept = Kept(packing, "new", Origin(len(packing), packing.longest_chain))
        elif kept.origin.repair is not None:
            self.counts.add(kept.origin.repair)
        self._write(self.folder / name, Entry.of(kept.packing, target, options, kept.origin))
        # Later callers are told that it was kept, not once more that it was made.
        self._memory[name] = Kept(kept.packing, "kept", kept.origin)
        return kept

    def __getstate__(self) -> dict[str, Any]:
        """Return what makes the same cache elsewhere; packings in memory are read again."""
        fresh = {"counts": CacheCounts(), "_memory": {}, "_writable": True}
        return vars(self) | fresh | {"folder": self.folder.absolute()}

    def entries(self) -> Iterator[CacheEntry]:
        """Yield the files of the cache, in order of their names."""
        for path in self._paths():
            try:
                data = path.read_bytes()
                facts = Entry.from_bytes(data).facts
            except FileNotFoundError:  # evicted meanwhile
                continue
            except (ValueError, OSError):
                yield CacheEntry(path, {}, path.stat().st_size if path.exists() else 0, False)
            else:
                yield CacheEntry(path, facts, len(data), True)

    def verify(self, target: Target | None = None) -> Iterator[tuple[Path, str]]:
        """Yield every file and what is wrong with it, nothing where it is good.

        Checksum, name, working graph and every chain are checked.

        Args:
            target: check the entries of this machine alone, against it; None checks all, each
                against the working graph it describes.
        """
        for path in self._paths():
            if target is None or path.name.startswith(target.hash):
                try:
                    data = path.read_bytes()
                except FileNotFoundError:  # evicted meanwhile
                    continue
                except OSError as error:
                    yield path, f"it does not read ({error})"
                    continue
                yield path, problem_of(data, f"{path.parent.name}/{path.name}", target)

    def take(self, name: str, data: bytes) -> bool:
        """Keep a file from elsewhere, unless a good one of that name is there.

        Args:
            name: relative to the folder; data: content, for which `problem_of` finds no problem.

        Returns:
            Whether it was kept.

        Raises:
            OSError: the folder cannot be written to.
        """
        path = self.folder / name
        present = read_file(path)
        if present is not None and not problem_of(present, name):
            return False
        write_file(path, data)
        self.counts.evicted += tidy(self.folder, SUFFIX, self.limit, path)
        return True

    def clear(self) -> int:
        """Delete every file of the cache; return how many there were."""
        paths = list(self._paths())
        for path in paths:
            path.unlink(missing_ok=True)
        self._memory.clear()
        return len(paths)

    def report(self) -> dict[str, object]:
        """Return folder and counts, for reports."""
        return {"folder": str(self.folder)} | asdict(self.counts)

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob(f"*/*{SUFFIX}"))

    def _name(self, size: int, target: Target, options: dict[str, int], shape: Shape | None) -> str:
        folder = family(name_of(size, shape), target.topology, target.shape, options)
        return f"{folder}/{target.hash}-{len(target.qubits)}-{len(target.couplers)}{SUFFIX}"

    def _read(self, name: str, target: Target) -> Kept | None:
        data = read_file(self.folder / name)
        if data is None:
            return None
        try:
            entry = Entry.from_bytes(data)
            packing = entry.packing(target)
            good = entry.name == name and packing.fits(target)
        except Exception:  # any content is possible in a damaged file; all of it means a miss
            good = False
        if not good:
            self.counts.bad += 1
        elif self.repair or entry.origin.repair is None:
            return Kept(packing, "kept", entry.origin)
        return None

    def _repaired(self, size: int, target: Target, options: dict[str, int]) -> Kept | None:
        """Return the packing of the nearest working graph, repaired; None where none serves."""
        graph = graph_of(target)
        near: list[tuple[float, str, Entry]] = []
        folder = family(name_of(size), target.topology, target.shape, options)
        for path in self._candidates(folder, target):
            try:
                entry = Entry.from_bytes(path.read_bytes())
                qubits, couplers = graph.changes(entry.graph)
            except (OSError, ValueError, IndexError):  # gone or damaged
                continue
            share = qubits / len(target.qubits) + couplers / max(len(target.couplers), 1)
            if entry.graph.lost == graph.lost and entry.origin.drift + share <= NEAR:
                near.append((share, path.name, entry))
        if not near:
            return None
        share, _, entry = min(near, key=_by_share)
        origin = entry.origin
        drift = origin.drift + share
        least = max(1, int(origin.copies * (KEPT - _PER_SHARE * drift)))
        packing, repair = mend_packing(
            entry.packing(target),
            target,
            longest=origin.longest_chain,
            rounds=options.get("rounds", 0),
            seed=options.get("seed", 0),
            least=least,
        )
        if packing is None or len(packing) < least or not packing.fits(target):
            return None
        if packing.longest_chain > options.get("longest_chain", packing.longest_chain):
            return None
        return Kept(packing, "repaired", Origin(origin.copies, origin.longest_chain, drift, repair))

    def _candidates(self, folder: str, target: Target) -> list[Path]:
        """Return the files of a folder whose working graphs have the nearest counts."""
        found = []
        for path in (self.folder / folder).glob(f"*{SUFFIX}"):
            match = _FILE.fullmatch(path.name)
            if match and not path.name.startswith(target.hash):
                qubits = abs(int(match[1]) - len(target.qubits))
                couplers = abs(int(match[2]) - len(target.couplers))
                if qubits <= NEAR * len(target.qubits):
                    found.append((qubits, couplers, path.name, path))
        return [path for *_, path in sorted(found)[:_LOOKED_AT]]

    def _write(self, path: Path, entry: Entry) -> None:
        if not self._writable:
            return
        try:
            write_file(path, entry.to_bytes())
            self.counts.evicted += tidy(self.folder, SUFFIX, self.limit, path)
        except OSError as error:
            self._writable = False
            warnings.warn(
                f"embeddings cannot be kept in {self.folder} ({error}); going on without",
                stacklevel=2,
            )
        else:
            self.counts.written += 1


def problem_of(data: bytes, name: str, target: Target | None = None) -> str:
    """Return what is wrong with a file of the cache, or nothing.

    Args:
        data: its content; name: relative to the cache's folder.
        target: the machine, where it is at hand; else the one that the entry describes.
    """
    try:
        entry = Entry.from_bytes(data)
        if entry.name != name:
            return f"it is the content of {entry.name}"
        return entry.problem(target)
    except Exception as error:  # any content is possible in a damaged file
        return str(error)


def _by_share(candidate: tuple[float, str, Entry]) -> tuple[float, str]:
    return candidate[:2]
