"""A folder that many processes write to, on one machine or over the network.

Nobody locks. A file appears whole under its name or not at all: it is written beside it under a
name that no other writer uses, flushed to the disk, and renamed. What killed writers leave behind
is swept away after an hour, and files that were not used for longest go when the folder grows.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import socket
import stat
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import platformdirs

from qubo_attn.common.checks import shown
from qubo_attn.errors import InputError

# Names the folder of embeddings, unless a caller does.
ENVIRONMENT = "QUBO_ATTN_CACHE"
# Hidden, so that no listing of entries sees them; of no other program.
_PART = ".qubo-attn-part"
# An hour: no write takes as long, and clocks of a network folder's users may differ.
_STALE = 3600.0
# Where no file can be: the folder of users without a home.
_NOWHERE = Path(os.devnull, "qubo-attn")
# Folders of which the user was told that nothing can be kept in them.
_TOLD: set[Path] = set()


def reason_of(error: Exception) -> str:
    """Return why something cannot be read or written, in words for a user.

    Example:
        >>> reason_of(FileNotFoundError(2, "No such file")), reason_of(KeyError("qubits"))
        ('No such file', "it lacks 'qubits'")
    """
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, KeyError):
        return f"it lacks {error}"
    return str(error) or type(error).__name__


def unread(file: object, kind: str, error: Exception) -> str:
    """Return a message that a file is not there, or why it does not read as what it should be.

    Example:
        >>> print(unread("a.npz", ".npz", FileNotFoundError(2, "No such file")))
        there is no file a.npz
        >>> print(unread("a.npz", ".npz", ValueError("it is cut off")))
        a.npz does not read as .npz: it is cut off
    """
    if isinstance(error, FileNotFoundError):
        return f"there is no file {file}"
    return f"{file} does not read as {kind}: {reason_of(error)}"


def user_folder() -> Path:
    """Return the user's folder for what is kept between runs.

    A user without a home, as in many containers, has none: then it is a path that no file can have,
    and all that is to be kept there meets an `OSError`.
    """
    try:
        folder = Path(platformdirs.user_cache_dir("qubo-attn"))
    except RuntimeError:  # there is no home
        return _NOWHERE
    # Older versions leave "~/.cache" as it is, which would be a folder called "~" here.
    return folder if folder.is_absolute() else _NOWHERE


def embedding_folder() -> Path:
    """Return the folder of embeddings where a caller names none, ``~`` in it as it stands."""
    return Path(os.environ.get(ENVIRONMENT) or user_folder())


def warn_unkept(what: str, folder: Path, error: Exception, *others: Path) -> None:
    """Warn that a folder keeps nothing; once for each folder in a process.

    Args:
        what: is not kept there.
        folder: is named in the warning.
        error: why.
        *others: folders of which no other warning is due.
    """
    if folder in _TOLD:
        return
    _TOLD.update((folder, *others))
    where = "without a home folder" if folder == _NOWHERE else f"in {folder} ({error})"
    warnings.warn(
        f"{what} cannot be kept {where}; going on without, each process makes them anew; "
        f"NUMBA_CACHE_DIR (kernels) and {ENVIRONMENT} (embeddings) name other folders",
        stacklevel=3,
    )


def path_of(name: str, path: object) -> Path:
    """Return the path of a file or folder, ``~`` and ``~user`` in it put in full.

    Args:
        name: of the argument, for the message.
        path: a text or `os.PathLike`.

    Raises:
        InputError: it is neither, no file can have that name, or there is no such home.

    Example:
        >>> path_of("folder", "/tmp/kept").name
        'kept'
        >>> path_of("folder", 3)
        Traceback (most recent call last):
        qubo_attn.errors.InputError: folder must be a path, not 3
    """
    try:
        text = os.fspath(path)  # type: ignore[call-overload]
    except TypeError:
        text = None
    if not isinstance(text, str) or not text or "\0" in text:
        raise InputError(f"{name} must be a path, not {shown(path)}", argument=name)
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise InputError(f"{name} {shown(text)}: {error}", argument=name) from None


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn errors of the system into one that names the file being written.

    Raises:
        InputError: the file cannot be written; ``file`` is its path.

    Example:
        >>> with writing(Path("/no/such/folder/chip.png")) as _:
        ...     Path("/no/such/folder/chip.png").write_text("")
        Traceback (most recent call last):
        qubo_attn.errors.InputError: /no/such/folder/chip.png cannot be written: \
No such file or directory
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{path} cannot be written: {reason}", file=str(path)) from error


def write_file(path: Path, data: bytes) -> None:
    """Write a file so that others see it whole or not at all.

    Raises:
        OSError: the folder cannot be written to; nothing is left behind.
    """
    write_files({path: data})


def write_files(content: Mapping[Path, bytes]) -> None:
    """Write files of one folder, each so that others see it whole or not at all.

    None is replaced before all are on the disk: it cannot be full any more. Then they are replaced
    one after another, in their order.

    Raises:
        OSError: the folder cannot be written to; nothing is left behind.
    """
    parts: dict[Path, Path] = {}
    try:
        for path, data in content.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            parts[path] = _part(path.parent, data)
        for path, part in parts.items():
            os.replace(part, path)
    except BaseException:
        for part in parts.values():
            part.unlink(missing_ok=True)
        raise
    for folder in {path.parent for path in content}:
        _flush_folder(folder)


@contextlib.contextmanager
def under_way(folder: Path, settle: Callable[[], None]) -> Iterator[None]:
    """Mark a folder while several of its files are replaced; see `is_written`.

    Args:
        folder: made where it is not there.
        settle: makes the files belong together again, whatever has happened. The mark stays where
            it fails, and where the process is killed.

    Raises:
        OSError: the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mark = _part(folder, b"")
    try:
        with contextlib.suppress(OSError):
            _sweep(folder, "", mark.stat().st_mtime - _STALE)
        yield
    finally:
        settle()
        mark.unlink(missing_ok=True)


def is_written(folder: Path) -> bool:
    """Return whether a process is replacing files of a folder, or was killed while it did."""
    return any(folder.glob(f".*{_PART}"))


def _part(folder: Path, data: bytes) -> Path:
    """Write a file under a name that no other writer uses, on to the disk."""
    host = re.sub(r"[^\w-]", "_", socket.gethostname())
    part = folder / f".{host}-{os.getpid()}-{secrets.token_hex(8)}{_PART}"
    # Unlike those of `tempfile`, the file may be read by whomever the folder is shared with.
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return part


def read_bytes(path: Path, most: int | None = None) -> bytes:
    """Return the content of a file.

    Raises:
        OSError: there is none to be read, or it has more than ``most`` bytes.
    """
    with opened(path) as stream:
        if most is not None and os.fstat(stream.fileno()).st_size > most:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
        return stream.read()


def opened(path: Path) -> BinaryIO:
    """Open a file to read it; pipes and devices, which may never end, are no files.

    Raises:
        OSError: there is no file to be read.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        number = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
        raise OSError(number, os.strerror(number), str(path))
    return path.open("rb")


def read_file(path: Path, most: int | None = None) -> bytes | None:
    """Return the content of a file and note its use, or None where there is none to be read.

    Args:
        path: of the file.
        most: bytes that it may have; one that has more is not read. Any number when None.
    """
    try:
        data = read_bytes(path, most)
    except OSError:
        return None
    # The folder may be readable only; then it is someone else's to bound.
    with contextlib.suppress(OSError):
        os.utime(path)
    return data


def tidy(folder: Path, suffix: str, limit: int, written: Path) -> int:
    """Sweep away what killed writers left, and files beyond ``limit`` bytes, oldest use first.

    A process that is reading one of them goes on reading; one that comes later finds none.

    Args:
        folder: the cache's; suffix: of its files; limit: what they may take together.
        written: a file just written: the folder's own clock tells how old the remains are, whatever
            clocks its users have.

    Returns:
        How many files were deleted, remains aside.
    """
    with contextlib.suppress(OSError):
        _sweep(folder, "*/", written.stat().st_mtime - _STALE)
    found = []
    for path in folder.glob(f"*/*{suffix}"):
        with contextlib.suppress(OSError):
            state = path.stat()
            found.append((state.st_mtime_ns, path.name, state.st_size, path))
    total, gone = sum(size for _, _, size, _ in found), 0
    for _, _, size, path in sorted(found):
        if total <= limit:
            break
        with contextlib.suppress(OSError):
            path.unlink()
            gone += 1
        total -= size
    return gone


def _sweep(folder: Path, within: str, before: float) -> None:
    for part in folder.glob(f"{within}.*{_PART}"):
        with contextlib.suppress(OSError):
            if part.stat().st_mtime < before:
                part.unlink()


def _flush_folder(folder: Path) -> None:
    """Put a renaming on the disk, where the system lets a folder be opened."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
