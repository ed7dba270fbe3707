"""A disk cache of packings: content-addressed, atomic, checksummed, checked on every read.

A file is named by the hash of everything its content depends on. It holds a line with the checksum
of the rest, then an ``npz``. A file that does not read, does not match its checksum or does not fit
the live graph is a miss: the packing is found anew and the file replaced.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import platformdirs

from qubo_attn.embedding.packing import Packing
from qubo_attn.embedding.shapes import Shape
from qubo_attn.target import Target

FORMAT = 2
ENVIRONMENT = "QUBO_ATTN_CACHE"


@dataclass
class CacheCounts:
    """What the cache did: found on disk or in memory, found anew, files written, files unusable."""

    hits: int = 0
    misses: int = 0
    written: int = 0
    bad: int = 0


@dataclass(frozen=True)
class CacheEntry:
    """One file of the cache: its facts as written, and whether it reads."""

    path: Path
    facts: dict[str, object]
    bytes: int
    readable: bool


class EmbeddingCache:
    """Packings kept across processes.

    Args:
        folder: where files go. None means the folder named by ``QUBO_ATTN_CACHE`` or, where that is
            not set, the user's cache folder.

    Attributes:
        folder: the folder in use.
        counts: what was found, written and rejected since the object was made.

    Example:
        >>> import tempfile
        >>> from qubo_attn import EmbeddingCache
        >>> cache = EmbeddingCache(tempfile.mkdtemp())
        >>> list(cache.entries())
        []
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        default = os.environ.get(ENVIRONMENT) or platformdirs.user_cache_dir("qubo-attn")
        self.folder = Path(folder if folder is not None else default)
        self.counts = CacheCounts()
        self._memory: dict[str, Packing] = {}
        self._writable = True

    def packing(
        self,
        size: int,
        target: Target,
        options: dict[str, int],
        find: Callable[[], Packing],
        shape: Shape | None = None,
    ) -> Packing:
        """Return the packing of a clique on a target, found only when no good file holds it.

        Args:
            size: nodes of the clique or shape.
            target: the live working graph; what is read is checked against it.
            options: what else the result depends on (rounds, seed).
            find: makes the packing.
            shape: what is embedded where it is no clique.
        """
        name = f"K{size}" if shape is None else shape.name
        facts = {"format": FORMAT, "shape": name, "target": target.hash, **options}
        key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        packing = self._memory.get(key) or self._read(key, size, target, shape)
        if packing is not None:
            self.counts.hits += 1
        else:
            self.counts.misses += 1
            packing = find()
            self._write(key, packing, facts | {"label": target.label})
        self._memory[key] = packing
        return packing

    def entries(self) -> Iterator[CacheEntry]:
        """Yield the files of the cache, in order of their names."""
        for path in sorted(self.folder.glob("*/*.packing")):
            try:
                data = path.read_bytes()
                facts = json.loads(str(_unpack(data)["facts"]))
            except Exception:  # any content is possible; an entry that does not read is reported
                yield CacheEntry(path, {}, path.stat().st_size if path.exists() else 0, False)
            else:
                yield CacheEntry(path, facts, len(data), True)

    def clear(self) -> int:
        """Delete every file of the cache; return how many there were."""
        paths = list(self.folder.glob("*/*.packing"))
        for path in paths:
            path.unlink(missing_ok=True)
        self._memory.clear()
        return len(paths)

    def report(self) -> dict[str, object]:
        """Return folder and counts, for reports."""
        return {"folder": str(self.folder)} | asdict(self.counts)

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.packing"

    def _read(self, key: str, size: int, target: Target, shape: Shape | None) -> Packing | None:
        try:
            data = self._path(key).read_bytes()
        except OSError:
            return None
        try:
            arrays = _unpack(data)
            packing = Packing(size, arrays["ptr"], arrays["qubit"], shape)
            good = packing.fits(target)
        except Exception:  # any content is possible in a damaged file; all of it means a miss
            good = False
        if good:
            return packing
        self.counts.bad += 1
        return None

    def _write(self, key: str, packing: Packing, facts: dict[str, object]) -> None:
        if not self._writable:
            return
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
            try:
                with os.fdopen(handle, "wb") as stream:
                    stream.write(_pack(packing, facts))
                os.replace(name, path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as error:
            self._writable = False
            warnings.warn(
                f"embeddings cannot be kept in {self.folder} ({error}); going on without",
                stacklevel=2,
            )
        else:
            self.counts.written += 1


def _pack(packing: Packing, facts: dict[str, object]) -> bytes:
    buffer = io.BytesIO()
    text = np.array(json.dumps(facts, sort_keys=True))
    np.savez_compressed(buffer, ptr=packing.ptr, qubit=packing.qubit, facts=text)
    payload = buffer.getvalue()
    return hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload


def _unpack(data: bytes) -> dict[str, np.ndarray]:
    checksum, _, payload = data.partition(b"\n")
    if hashlib.sha256(payload).hexdigest().encode() != checksum:
        raise ValueError("checksum does not match")
    with np.load(io.BytesIO(payload), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}
