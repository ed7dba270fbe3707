"""Attention from files: ``.npy``, ``.npz`` and ``.safetensors``."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from qubo_attn.common.arrays import Array
from qubo_attn.common.checks import nearest, shown
from qubo_attn.common.files import path_of, unread
from qubo_attn.common.keywords import named
from qubo_attn.errors import InputError, MissingExtraError
from qubo_attn.frontend.graph import AttentionGraph

# Names of arrays in files, and what `qubo_attn.compile` calls those with other names there.
_NAMES = (
    "values",
    "value",
    "keys",
    "key",
    "mask",
    "attention_mask",
    "kv_head",
    "required",
    "forbidden",
)
# A graph in compressed rows: these two, and what SciPy's `save_npz` writes beside them.
_GRAPH = ("indptr", "indices", "shape", "format")
# How NumPy's files begin: arrays, archives, archives of nothing.
_STARTS = (b"\x93NUMPY", b"PK\x03\x04", b"PK\x05\x06")
_ALIASES = {"value": "values", "key": "keys", "attention_mask": "mask"}


@named
def read_attention(
    file: str | os.PathLike[str], scores: str = "scores", *, output_projection: str | None = None
) -> dict[str, Any]:
    """Read scores, and what belongs to them, from a file.

    A ``.npy`` file holds scores alone. A ``.npz`` or ``.safetensors`` file holds ``scores`` and,
    where they are known, ``value`` or ``values``, ``key`` or ``keys``, ``mask`` or
    ``attention_mask``, ``kv_head``, ``required`` and ``forbidden``; other arrays are not read.
    With ``indptr`` and ``indices`` as well, the scores are those of a graph's edges in compressed
    rows, see `AttentionGraph.from_rows`; ``shape`` holds the numbers of queries and keys. In files
    of SciPy's ``save_npz`` the scores are called ``data``.
    Nothing is unpickled. ``BF16`` arrays become float32.

    Args:
        file: path of the file.
        scores: name of the array of scores in it.
        output_projection: name of the array of W_O in it; none is read when None.

    Returns:
        Arrays, or a graph and arrays, by the names that `qubo_attn.compile` gives its arguments.

    Raises:
        InputError: the file does not read, holds no such array, or holds one under two names;
            names the file and what it holds.
        MissingExtraError: a ``.safetensors`` file needs the package safetensors.

    Example:
        >>> import tempfile, numpy as np, qubo_attn as qa
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "layer.npz")
        ...     np.savez(file, scores=np.eye(10), value=np.ones((1, 10, 4)))
        ...     compiled = qa.compile(heads=1, target=None, **qa.read_attention(file))
        >>> compiled.attention.values.shape
        (1, 10, 4)
    """
    path = path_of("file", file)
    wanted = {"scores": scores}
    if output_projection is not None:
        wanted["output_projection"] = output_projection
    for argument, name in wanted.items():
        if not isinstance(name, str):
            raise InputError(
                f"{argument} must be the name of an array, not {shown(name)}", argument=argument
            )
    asked = (*wanted.values(), *_NAMES, *_GRAPH)
    names, arrays = (_tensors if path.suffix == ".safetensors" else _archive)(path, asked)
    for name in wanted.values():
        if name not in arrays and names:
            raise InputError(
                f"{path} holds no array named {name} (found {', '.join(names)})"
                f"{nearest(name, names)}",
                file=str(path),
                found=names,
            )
        if name not in arrays:
            raise InputError(f"{path} holds no array", file=str(path), found=())
    for alias, name in _ALIASES.items():
        if alias in arrays and name in arrays:
            raise InputError(
                f"{path} holds both {name} and {alias}, which are two names of one array; leave "
                "one out",
                file=str(path),
                array=alias,
            )
    read = {_ALIASES.get(name, name): arrays[name] for name in _NAMES if name in arrays}
    read |= {argument: arrays[name] for argument, name in wanted.items()}
    return read | {"scores": _graph(path, arrays, read)} if "indptr" in arrays else read


def _graph(path: Path, arrays: dict[str, Array], read: dict[str, Array]) -> AttentionGraph:
    """Return scores as those of a graph in compressed rows."""
    if "indices" not in arrays:
        raise InputError(f"{path} holds indptr, but no indices", file=str(path), array="indices")
    kind = arrays.get("format", np.array("csr")).item()
    if kind not in ("csr", b"csr"):
        raise InputError(
            f"{path} holds a sparse array of format {kind!r}; save its tocsr()", file=str(path)
        )
    keys = None
    if "shape" in arrays and arrays["shape"].shape == (2,):
        keys = int(arrays["shape"][1])
    elif "values" in read and read["values"].ndim > 1:
        keys = read["values"].shape[-2]
    rows = arrays["indptr"], arrays["indices"], read["scores"]
    return AttentionGraph.from_rows(*rows, keys=keys)


def _archive(path: Path, asked: tuple[str, ...]) -> tuple[tuple[str, ...], dict[str, Array]]:
    """Return the names of all arrays in a NumPy file, and those asked for."""
    try:
        # Opened here, as NumPy leaves a file open whose end is missing.
        with path.open("rb") as stream:
            if not stream.read(6).startswith(_STARTS):
                raise ValueError("it begins in another way")
            stream.seek(0)
            loaded = np.load(stream, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return asked[:1], {asked[0]: loaded}
            names = tuple(loaded.files)
            return names, {name: loaded[name] for name in asked if name in names}
    except (OSError, EOFError, ValueError, BadZipFile, zlib.error, MemoryError) as error:
        raise _unreadable(path, ".npy or .npz", error) from None


def _tensors(path: Path, asked: tuple[str, ...]) -> tuple[tuple[str, ...], dict[str, Array]]:
    """Return the names of all arrays in a ``.safetensors`` file, and those asked for."""
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise MissingExtraError(
            "reading .safetensors files needs safetensors: pip install safetensors "
            "(extra [safetensors])",
            extra="safetensors",
        ) from error
    try:
        with safe_open(path, framework="np") as file:
            names = tuple(file.keys())
            arrays = {name: _tensor(path, file, name) for name in asked if name in names}
    except (OSError, SafetensorError) as error:
        raise _unreadable(path, ".safetensors", error) from None
    return names, arrays


def _tensor(path: Path, file: Any, name: str) -> Array:
    """Return an array of an open ``.safetensors`` file."""
    from safetensors import deserialize

    dtype = file.get_slice(name).get_dtype()
    if dtype == "BF16":
        # NumPy has no such type: its numbers are the upper halves of float32.
        content = dict(deserialize(path.read_bytes()))[name]  # type: ignore[no-untyped-call]
        halves = np.frombuffer(content["data"], "<u2").astype(np.uint32)
        return (halves << 16).view(np.float32).reshape(content["shape"])
    try:
        array: Array = file.get_tensor(name)
        return array
    except (AttributeError, TypeError):
        raise InputError(
            f"{path}: array {name!r} has type {dtype}, which NumPy lacks; save it as F32",
            file=str(path),
            array=name,
        ) from None


def _unreadable(path: Path, kind: str, error: Exception) -> InputError:
    return InputError(unread(path, kind, error), file=str(path))
