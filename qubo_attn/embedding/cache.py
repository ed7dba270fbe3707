"""A disk cache of packings: content-addressed, atomic, checksummed, checked on every read.

A folder per clique, lattice and search options holds a file per working graph, named by its hash. A
file that does not read, does not match its checksum or does not fit the live graph is a miss. On a
miss, the packing of the nearest other working graph in the folder is repaired, if it is near and if
few copies are lost by it; else the packing is found anew. That of an ideal lattice is never a
repaired one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from qubo_attn.common.checks import flag, whole
from qubo_attn.common.files import (
    ENVIRONMENT,
    embedding_folder,
    path_of,
    read_bytes,
    read_file,
    tidy,
    warn_unkept,
    write_file,
    writing,
)
from qubo_attn.common.keywords import named_fields
from qubo_attn.common.words import plural
from qubo_attn.embedding.cache_file import (
    LARGEST,
    SUFFIX,
    CacheFile,
    Origin,
    folder_of,
    problem_of,
)
from qubo_attn.embedding.component import Component
from qubo_attn.embedding.mending import Repair
from qubo_attn.embedding.nearest import repaired
from qubo_attn.embedding.packing import Packing
from qubo_attn.embedding.parts import Mixture
from qubo_attn.embedding.stored_graph import StoredGraph
from qubo_attn.machine.target import Target

# Tens of thousands of packings.
LIMIT = 1 << 30


@dataclass
class CacheCounts:
    """What the cache did.

    Attributes:
        hits: packings found on disk or in memory.
        misses: packings that were not.
        written: files written.
        bad: files that could not be used.
        repaired: misses that were repaired, not found anew.
        evicted: files deleted to keep within the limit.
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
class CachedPacking:
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
        packing, repair = self.packing, self.origin.repair
        name = packing.component.name
        if repair is None:
            return f"{name}: {plural(len(packing), 'copy')}, {self.how}"
        when = "repaired" if self.how == "repaired" else "repaired earlier"
        return (
            f"{name}: {len(packing)} of {repair.before} copies, {when} after changes of the "
            f"machine ({repair.reused} reused, {repair.mended} mended, {repair.placed} embedded "
            f"anew); chains up to {packing.longest_chain}, {self.origin.longest_chain} before"
        )


@named_fields
class EmbeddingCache:
    """Packings kept across processes.

    Args:
        folder: where files go; ``~`` is the home. None means the folder named by
            ``QUBO_ATTN_CACHE`` or, where that is not set, the user's cache folder. Many processes
            may share it, over a network too.
        limit: bytes that the files may take together; those not used for longest go first. 1 GiB by
            default.
        repair: whether a packing of a nearby working graph may be repaired instead of finding one
            anew. Without it, packings repaired earlier are found anew as well.

    Attributes:
        folder: the folder in use.
        counts: what was found, written and rejected since the object was made.

    Raises:
        InputError: an argument does not fit; names it.

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
        named = (ENVIRONMENT, embedding_folder()) if folder is None else ("cache", folder)
        self.folder = path_of(*named)
        self.limit, self.repair = whole("limit", limit, most=None), flag("repair", repair)
        self.counts = CacheCounts()
        self._memory: dict[str, CachedPacking] = {}
        self._writable = True

    def packing(
        self,
        wanted: Component | Mixture,
        target: Target,
        options: dict[str, int],
        find: Callable[[], Packing],
    ) -> CachedPacking:
        """Return the packing of a component on a target, and how the cache came by it.

        Args:
            wanted: what is embedded. A packing of a mixture is one copy of what was found to fit,
                side by side.
            target: the live working graph; what is read is checked against it.
            options: what else the result depends on (rounds, seed).
            find: finds the packing anew.
        """
        name = self._name(wanted.name, target, options)
        cached = self._memory.get(name) or self._read(name, target)
        if cached is not None:
            self.counts.hits += 1
            self._memory[name] = cached
            return cached
        self.counts.misses += 1
        graph, path, mended = StoredGraph.of(target), self.folder / name, None
        # What broke copies elsewhere is no reason to do without them on a machine that is whole.
        if self.repair and not target.is_ideal:
            mended = repaired(path.parent, target, graph, options)
        if mended is not None:
            cached = CachedPacking(mended[0], "repaired", mended[1])
        else:
            packing = find()
            cached = CachedPacking(packing, "new", Origin(len(packing), packing.longest_chain))
        if cached.origin.repair is not None:
            self.counts.add(cached.origin.repair)
        self._write(
            path, CacheFile.of(cached.packing, target, graph, options, cached.origin, wanted.name)
        )
        # Later callers are told that it was kept, not once more that it was made.
        self._memory[name] = replace(cached, how="kept")
        return cached

    def __getstate__(self) -> dict[str, Any]:
        """Return what makes the same cache elsewhere; packings in memory are read again."""
        fresh = {"counts": CacheCounts(), "_memory": {}, "_writable": True}
        return vars(self) | fresh | {"folder": self.folder.absolute()}

    def entries(self) -> Iterator[CacheEntry]:
        """Yield the files of the cache, in order of their names."""
        for path, data, _ in self._contents():
            try:
                facts, readable = CacheFile.from_bytes(data).facts, True
            except ValueError:
                facts, readable = {}, False
            yield CacheEntry(path, facts, len(data), readable)

    def verify(self, target: Target | None = None) -> Iterator[tuple[Path, str]]:
        """Yield every file and what is wrong with it, nothing where it is good.

        Checksum, name, working graph and every chain are checked.

        Args:
            target: check the files of this machine alone, against it; None checks all, each against
                the working graph it describes.
        """
        for path, data, problem in self._contents():
            if target is None or path.name.startswith(target.hash):
                name = f"{path.parent.name}/{path.name}"
                yield path, problem or problem_of(data, name, target)

    def take(self, name: str, data: bytes) -> bool:
        """Keep a file from elsewhere, unless a good one of that name is there.

        Args:
            name: relative to the folder.
            data: content, for which `problem_of` finds no problem.

        Returns:
            Whether it was kept.

        Raises:
            InputError: the file cannot be written; names it.
        """
        path = self.folder / name
        present = read_file(path, LARGEST)
        if present is not None and not problem_of(present, name):
            return False
        with writing(path):
            write_file(path, data)
        self.counts.evicted += tidy(self.folder, SUFFIX, self.limit, path)
        return True

    def clear(self) -> int:
        """Delete every file of the cache; return how many there were.

        Raises:
            InputError: a file cannot be deleted; names it.
        """
        paths = self._paths()
        for path in paths:
            with writing(path):
                path.unlink(missing_ok=True)
        self._memory.clear()
        return len(paths)

    def report(self) -> dict[str, object]:
        """Return folder and counts, for reports."""
        return {"folder": str(self.folder)} | asdict(self.counts)

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob(f"*/*{SUFFIX}"))

    def _contents(self) -> Iterator[tuple[Path, bytes, str]]:
        """Yield path and content of each file, and why it does not read where it does not."""
        for path in self._paths():
            data, problem = b"", ""
            try:
                data = read_bytes(path, LARGEST)
            except FileNotFoundError:  # evicted meanwhile
                continue
            except OSError as error:
                problem = f"it does not read ({error})"
            yield path, data, problem

    def _name(self, wanted: str, target: Target, options: dict[str, int]) -> str:
        folder = folder_of(wanted, target.topology, target.shape, options)
        return f"{folder}/{target.hash}-{len(target.qubits)}-{len(target.couplers)}{SUFFIX}"

    def _read(self, name: str, target: Target) -> CachedPacking | None:
        data = read_file(self.folder / name, LARGEST)
        if data is None:
            return None
        try:
            file = CacheFile.from_bytes(data)
            packing = file.packing(target)
            good = file.name == name and packing.fits(target)
        except Exception:  # any content is possible in a damaged file; all of it means a miss
            good = False
        if not good:
            self.counts.bad += 1
        elif self.repair or file.origin.repair is None:
            return CachedPacking(packing, "kept", file.origin)
        return None

    def _write(self, path: Path, file: CacheFile) -> None:
        if not self._writable:
            return
        try:
            write_file(path, file.to_bytes())
            self.counts.evicted += tidy(self.folder, SUFFIX, self.limit, path)
        except OSError as error:
            self._writable = False
            warn_unkept("embeddings", self.folder, error)
        else:
            self.counts.written += 1
