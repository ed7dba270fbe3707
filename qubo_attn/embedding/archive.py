"""Archives of the cache: one file, to carry it to another machine.

An archive is a zip of the cache's files under their names. Files that come in are checked by name,
by checksum, and chain by chain.
"""

from __future__ import annotations

import contextlib
import io
import re
import zipfile
from pathlib import Path

from qubo_attn.common.files import path_of, read_bytes, unread, write_file, writing
from qubo_attn.embedding.cache import EmbeddingCache
from qubo_attn.embedding.cache_file import LARGEST, SUFFIX, problem_of
from qubo_attn.errors import InputError

# No other name is written to, whatever an archive says.
_NAME = re.compile(
    r"(K\d{1,9}|[SM]\d{1,9}-[0-9a-f]{32})-[0-9a-f]{16}/[0-9a-f]{64}-\d{1,9}-\d{1,9}"
    + re.escape(SUFFIX)
)


def export_cache(cache: EmbeddingCache, file: Path) -> tuple[int, dict[str, str]]:
    """Write the good files of a cache to an archive; equal caches give equal bytes.

    Returns:
        How many were written, and of each bad file what is wrong.

    Raises:
        InputError: the archive cannot be written; names it.
    """
    file = path_of("file", file)
    buffer, written, bad = io.BytesIO(), 0, {}
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, problem in cache.verify():
            name = f"{path.parent.name}/{path.name}"
            if problem:
                bad[name] = problem
            else:
                with contextlib.suppress(FileNotFoundError):  # evicted meanwhile
                    # Without a time of its own: the bytes depend on the content alone.
                    archive.writestr(zipfile.ZipInfo(name), read_bytes(path, LARGEST))
                    written += 1
    with writing(file):
        write_file(file, buffer.getvalue())
    return written, bad


def import_cache(cache: EmbeddingCache, file: Path) -> tuple[int, int, dict[str, str]]:
    """Add the good files of an archive to a cache; good ones that it holds stay as they are.

    Returns:
        How many were added, how many were there already, and of each bad file what is wrong.

    Raises:
        InputError: the file is not a zip archive, or cannot be read, or the cache not be written;
            names the file.
    """
    file, added, present, bad = path_of("file", file), 0, 0, {}
    try:
        archive = zipfile.ZipFile(file)
    except OSError as error:
        raise InputError(unread(file, "an archive", error), file=str(file)) from error
    except Exception as error:  # any content is possible, and all of it means the same
        raise InputError(f"{file} is not a zip archive: {error}", file=str(file)) from error
    with archive:
        for info in archive.infolist():
            try:
                data, problem = _checked(archive, info)
            except Exception as error:
                data, problem = b"", f"it does not unpack: {error}"
            if problem:
                bad[info.filename] = problem
            elif cache.take(info.filename, data):
                added += 1
            else:
                present += 1
    return added, present, bad


def _checked(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> tuple[bytes, str]:
    """Return the content of a file in an archive, and what is wrong with it."""
    if not _NAME.fullmatch(info.filename):
        return b"", "it is not named like a file of the cache"
    if info.file_size > LARGEST:
        return b"", f"it has {info.file_size} bytes, which no embedding takes"
    data = archive.read(info)
    return data, problem_of(data, info.filename)
