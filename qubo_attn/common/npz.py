"""Archives of arrays that may come from anywhere: read within bounds, and no object is made.

An archive is a zip of ``.npy`` files, as `numpy.savez_compressed` writes it. What its directory and
the headers of its arrays state is checked before anything is unpacked.
"""

from __future__ import annotations

import io
import math
import os
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from qubo_attn.common.arrays import Array
from qubo_attn.common.files import opened
from qubo_attn.errors import InputError

# Arrays may take so many bytes together, or so many times those of their file where that is more.
ROOM = 1 << 26
RATIO = 64

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_HEADER = 256  # bytes that a header takes which `packed` wrote, at most
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1


def packed(arrays: Mapping[str, Array]) -> bytes:
    """Return an archive that `unpacked` reads; equal arrays give equal bytes."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]  # its type knows one option
    if sum(array.nbytes + _HEADER for array in arrays.values()) > _room(buffer.tell()):
        # No reader could tell what packs so well from a bomb: it is not packed.
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def unpacked(file: Path, only: Iterable[str] | None = None) -> dict[str, Array]:
    """Return the arrays of an archive by name, read-only.

    They take `ROOM` bytes at most, or `RATIO` times the size of the file where that is more.

    Args:
        file: the archive.
        only: names of arrays, where the others are not needed; all when None.

    Raises:
        InputError: it is no such archive; ``file`` and, as the case is, ``array`` say where.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "some.npz"
        ...     count = file.write_bytes(packed({"a/b": np.arange(3)}))
        ...     unpacked(file)
        {'a/b': array([0, 1, 2])}
    """
    arrays: dict[str, Array] = {}
    name = ""
    try:
        with opened(file) as stream, zipfile.ZipFile(stream) as archive:
            members, room = archive.infolist(), _room(os.fstat(stream.fileno()).st_size)
            stated = sum(member.file_size for member in members)
            if stated > room:
                raise ValueError(f"it states {stated} bytes of arrays, of {room} that it may hold")
            for member in members:
                name = member.filename.removesuffix(".npy")
                if name == member.filename or name in arrays:
                    raise ValueError("it is no array, or there twice")
                if only is None or name in only:
                    arrays[name] = _array(archive, member)
    except Exception as error:  # any content is possible, and all of it means the same
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        where = f"{file}: array {name}" if name else f"{file}"
        raise InputError(
            f"{where} does not read ({reason})", file=str(file), array=name or None
        ) from error
    return arrays


def _room(size: int) -> int:
    return max(ROOM, RATIO * size)


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array:
    if member.compress_type not in _PACKINGS or member.flag_bits & _ENCRYPTED:
        raise ValueError("it is packed in a way that is not read here")
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        if version not in _HEADERS:
            raise ValueError(f"it has version {version} of the format")
        shape, by_columns, dtype = _HEADERS[version](stream)
        if dtype.kind not in "biuf" or by_columns or any(count < 0 for count in shape):
            raise ValueError("it is no array of numbers, row after row")
        size = math.prod(shape) * dtype.itemsize
        if size != member.file_size - stream.tell():
            raise ValueError(f"shape {shape} and {dtype} take {size} bytes; it has others")
        data = stream.read()
    if len(data) != size:
        raise ValueError("it ends too early")
    return np.frombuffer(data, dtype).reshape(shape)
