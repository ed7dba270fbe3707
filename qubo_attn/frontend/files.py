"""Attention from files: ``.npy``, ``.npz`` and ``.safetensors``."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from qubo_attn.common.arrays import Array
from qubo_attn.common.checks import nearest
from qubo_attn.errors import InputError
from qubo_attn.frontend import safetensors

# Arguments of `compile`, by the names they go by in files.
_ARGUMENTS = {
    "values": "values",
    "value": "values",
    "keys": "keys",
    "key": "keys",
    "mask": "mask",
    "kv_head": "kv_head",
    "required": "required",
    "forbidden": "forbidden",
}


def read_attention(file: str | os.PathLike[str], scores: str = "scores") -> dict[str, Array]:
    """Read scores, and what belongs to them, from a file.

    A ``.npy`` file holds scores alone. A ``.npz`` or ``.safetensors`` file holds ``scores`` and,
    where they are known, ``value`` or ``values``, ``key`` or ``keys``, ``mask``, ``kv_head``,
    ``required`` and ``forbidden``; other arrays are passed over. Nothing is unpickled.

    Args:
        file: its path.
        scores: what the array of scores is called in it.

    Returns:
        Arrays by the names that `qubo_attn.compile` gives its arguments.

    Raises:
        InputError: the file does not read, or holds no such array; names the file and what it
            holds.

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
    path = Path(file)
    kind = ".safetensors" if path.suffix == ".safetensors" else ".npy or .npz"
    try:
        held, arrays = _read(path, (scores, *_ARGUMENTS))
    except InputError:
        raise
    except (OSError, EOFError, ValueError, BadZipFile, zlib.error, MemoryError) as error:
        raise InputError(f"{path} does not read as {kind}: {error}", file=str(path)) from None
    if scores not in arrays and held:
        found = ", ".join(held)
        raise InputError(
            f"{path} holds no array named {scores} (found {found}){nearest(scores, held)}",
            file=str(path),
            found=held,
        )
    if scores not in arrays:
        raise InputError(f"{path} holds no array", file=str(path), found=())
    read = {_ARGUMENTS[name]: arrays[name] for name in _ARGUMENTS if name in arrays}
    return {**read, "scores": arrays[scores]}


def _read(path: Path, names: tuple[str, ...]) -> tuple[tuple[str, ...], dict[str, Array]]:
    """Return the names of all arrays in a file, and those asked for."""
    if path.suffix == ".safetensors":
        return tuple(safetensors.entries(path)), safetensors.read_arrays(path, names)
    # Opened here, as NumPy leaves a file open whose end is missing.
    with path.open("rb") as stream:
        loaded = np.load(stream, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return names[:1], {names[0]: loaded}
        held = tuple(loaded.files)
        return held, {name: loaded[name] for name in names if name in held}
