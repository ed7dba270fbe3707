"""Arrays of ``.safetensors`` files, read strictly and without a package.

The layout, as the format's own repository (github.com/huggingface/safetensors) describes it: eight
bytes with the length N of the header (little-endian), N bytes of JSON that give each array its
``dtype``, ``shape`` and ``data_offsets``, and the data, C-ordered and little-endian. Everything is
checked before it is used: a file whose arrays overlap, leave gaps or lie outside is refused, and
so are names given twice. Only the arrays asked for are read.

The reader is our own as it is short, and as the format's package does not hand ``BF16`` to NumPy.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qubo_attn.common.arrays import Array
from qubo_attn.errors import InputError

# What the format's own reader takes at most.
_LONGEST_HEADER = 100_000_000
# BF16 is the upper half of an F32, which is what it becomes.
_DTYPES = {
    "BOOL": "?",
    "U8": "u1",
    "I8": "i1",
    "U16": "<u2",
    "I16": "<i2",
    "BF16": "<u2",
    "F16": "<f2",
    "U32": "<u4",
    "I32": "<i4",
    "F32": "<f4",
    "U64": "<u8",
    "I64": "<i8",
    "F64": "<f8",
}


@dataclass(frozen=True)
class Entry:
    """Where an array lies.

    Attributes:
        dtype: as the file calls it.
        shape: of the array.
        start, stop: its bytes, counted from the start of the file.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


def entries(file: Path) -> dict[str, Entry]:
    """Return the arrays of a file by name, every one checked.

    Raises:
        InputError: the file is damaged; names it and what is wrong.
        OSError: it cannot be opened.
    """
    with file.open("rb") as stream:
        size = file.stat().st_size
        if size < 8:
            raise _damaged(file, f"{size} bytes are too few for a header")
        length = int.from_bytes(stream.read(8), "little")
        if length > min(_LONGEST_HEADER, size - 8):
            raise _damaged(file, f"its header is said to take {length} of {size} bytes")
        text = stream.read(length)
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise _damaged(file, f"its header does not read ({error})") from None
    if not isinstance(header, dict):
        raise _damaged(file, "its header is no JSON object")
    header.pop("__metadata__", None)
    found = {name: _entry(file, name, facts, 8 + length) for name, facts in header.items()}
    _check_tiling(file, found, 8 + length, size)
    return found


def read_arrays(file: Path, names: Iterable[str]) -> dict[str, Array]:
    """Return some arrays of a file, those of 16-bit brain floats as float32.

    Args:
        file: a ``.safetensors`` file.
        names: arrays to read; those that it lacks are left out.

    Raises:
        InputError: the file is damaged, or an array has a type that NumPy lacks; names it.
        OSError: it cannot be opened.

    Example:
        >>> import json, tempfile
        >>> from pathlib import Path
        >>> facts = {"scores": {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]}}
        >>> header = json.dumps(facts).encode()
        >>> data = len(header).to_bytes(8, "little") + header + np.array([1, 2], "<f4").tobytes()
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "a.safetensors")
        ...     _ = file.write_bytes(data)
        ...     read_arrays(file, ["scores", "value"])
        {'scores': array([[1., 2.]], dtype=float32)}
    """
    known = entries(file)
    arrays = {}
    with file.open("rb") as stream:
        for name in names:
            if name not in known:
                continue
            entry = known[name]
            if entry.dtype not in _DTYPES:
                raise InputError(
                    f"{file}: array {name!r} has type {entry.dtype}, which is not read here; "
                    "save it as F32",
                    file=str(file),
                    array=name,
                )
            stream.seek(entry.start)
            data = np.frombuffer(stream.read(entry.stop - entry.start), _DTYPES[entry.dtype])
            if entry.dtype == "BF16":
                data = (data.astype(np.uint32) << np.uint32(16)).view(np.float32)
            arrays[name] = data.reshape(entry.shape)
    return arrays


def _entry(file: Path, name: str, facts: Any, base: int) -> Entry:
    """Return where one array lies, as far as it can be said without the others."""
    try:
        dtype, shape, (start, stop) = facts["dtype"], facts["shape"], facts["data_offsets"]
        whole = all(type(number) is int and number >= 0 for number in (*shape, start, stop))
    except (KeyError, TypeError, ValueError):
        whole = False
    if not whole or not isinstance(dtype, str):
        raise _damaged(file, f"array {name!r} lacks a dtype, a shape or data_offsets that read")
    if dtype in _DTYPES and stop - start != math.prod(shape) * np.dtype(_DTYPES[dtype]).itemsize:
        raise _damaged(
            file, f"array {name!r} of {dtype} and shape {shape} does not take {stop - start} bytes"
        )
    return Entry(dtype, tuple(shape), base + start, base + stop)


def _check_tiling(file: Path, found: dict[str, Entry], base: int, size: int) -> None:
    """Reject arrays that overlap, leave gaps, or reach beyond the file."""
    reached, last = base, "the header"
    for name, entry in sorted(found.items(), key=lambda item: (item[1].start, item[1].stop)):
        if entry.start != reached or entry.stop < entry.start:
            how = "overlaps" if entry.start < reached else "leaves a gap after"
            raise _damaged(file, f"array {name!r} {how} {last}")
        reached, last = entry.stop, f"array {name!r}"
    if reached != size:
        raise _damaged(file, f"its arrays end at byte {reached}, the file at {size}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object whose names are given once each: what of two holds, nobody says."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name is given twice")
    return made


def _damaged(file: Path, what: str) -> InputError:
    return InputError(f"{file} does not read as .safetensors: {what}", file=str(file))
