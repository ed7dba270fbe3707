"""Files that instances are drawn from, and where they come from."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from qubo_attn.common.arrays import Longs
from qubo_attn.common.checks import several
from qubo_attn.common.files import path_of
from qubo_attn.errors import InputError
from qubo_attn.frontend.attention import Attention
from qubo_attn.frontend.files import read_attention

# What a file says of itself, by the names of arrays of one entry.
_STATED = ("model", "layer", "source", "licence", "license")
_PROJECTION = "output_projection"


@dataclass(frozen=True, eq=False)
class Source:
    """A file of attention.

    Attributes:
        file: its name, without folders.
        sha256: of its bytes.
        stated: what it says of itself: ``model``, ``layer``, ``source``, ``licence``.
        attention: scores and vectors, checked; vectors of each query head.
        owner: int64, key/value head of each head.
    """

    file: str
    sha256: str
    stated: dict[str, str | int | None]
    attention: Attention
    owner: Longs

    @cached_property
    def longest(self) -> int:
        """How many keys the longest row sees."""
        return int(self.attention.counts.max(initial=0))

    def arrays(self, heads: Longs, queries: Longs) -> dict[str, Any]:
        """Return some rows, by the names of `qubo_attn.compile`."""
        a = self.attention
        arrays = {"scores": a.logits[np.ix_(heads, queries)], _PROJECTION: a.projection}
        arrays |= {name: a.as_given(name) for name in ("values", "keys")}
        return {
            name: array if name == "scores" else array[heads]
            for name, array in arrays.items()
            if array is not None
        }

    def holds(self, needs: Sequence[str]) -> bool:
        """Return whether it holds all of some arrays."""
        a = self.attention
        held = {"values": a.values, "keys": a.keys, _PROJECTION: a.projection}
        return all(held[name] is not None for name in needs)


def read_sources(files: object, licence: str | None) -> list[Source]:
    """Read files of attention.

    Args:
        files: a path or several; a folder stands for its ``.npz`` and ``.safetensors`` files.
        licence: of all of them; what a file states when None.

    Raises:
        InputError: there are none, or one does not read or holds no table of scores; names it.
    """
    given = (files,) if isinstance(files, (str, os.PathLike)) else several("files", files)
    paths: list[Path] = []
    for name in given:
        path = path_of("files", name)
        if path.is_dir():
            inside = [file for kind in ("npz", "safetensors") for file in path.glob(f"*.{kind}")]
            if not inside:
                raise InputError(f"{path} holds no .npz or .safetensors file", file=str(path))
            paths += sorted(inside)
        else:
            paths.append(path)
    if not paths:
        raise InputError("files names no file of attention", argument="files")
    return [_read(path, licence) for path in dict.fromkeys(paths)]


def _read(path: Path, licence: str | None) -> Source:
    arrays = read_attention(path)
    held = _stated(path)
    if _PROJECTION in held:
        arrays = read_attention(path, output_projection=_PROJECTION)
    owner = arrays.pop("kv_head", None)
    try:
        attention = Attention.check(kv_head=owner, **arrays)
    except InputError as error:
        raise InputError(f"{path}: {error}", file=str(path), **_but_file(error)) from error
    if attention.pattern is not None:
        raise InputError(
            f"{path} holds scores of a graph's edges; instances are drawn from tables of scores",
            file=str(path),
        )
    stated = {name: held.get(name) for name in ("model", "layer", "source")}
    of_file = held.get("licence", held.get("license"))
    stated["licence"] = of_file if licence is None else licence
    groups = np.arange(attention.shape[0]) if owner is None else np.asarray(owner, np.int64)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Source(path.name, digest, stated, attention, groups)


def _but_file(error: InputError) -> dict[str, Any]:
    return {name: fact for name, fact in error.facts.items() if name != "file"}


def _stated(path: Path) -> dict[str, Any]:
    """Return what an archive says of itself, and which of the arrays looked for it holds."""
    if path.suffix != ".npz":
        return {}
    with np.load(path, allow_pickle=False) as archive:
        held = {name: archive[name] for name in _STATED if name in archive}
        stated = {name: array.item() for name, array in held.items() if array.size == 1}
        return stated | ({_PROJECTION: True} if _PROJECTION in archive else {})
