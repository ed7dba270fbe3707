"""How kernels are compiled: leaf functions over arrays, cached on disk."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import platformdirs
from numba import config

from qubo_attn._version import __version__

F = TypeVar("F", bound=Callable[..., object])
# Tells the files of this process from those of others that compile at the same time.
_OWN = uuid.uuid4().hex[:12]


def kernel(function: F) -> F:
    """Compile ``function`` with Numba on first use and keep the machine code on disk.

    The code is kept in the user's cache folder, unless ``NUMBA_CACHE_DIR`` names another: beside
    the sources it would outlive an uninstallation and leave an empty package behind. Many processes
    may share it.
    """
    before = config.CACHE_DIR
    if not before:
        config.CACHE_DIR = str(_folder())
    try:
        compiled = numba.njit(cache=True, nogil=True)(function)
    finally:
        config.CACHE_DIR = before
    _name_files(compiled)
    return cast(F, compiled)


@cache
def _folder() -> Path:
    """Return the folder of the machine code of these sources.

    Numba keeps a kernel's code as long as its own file does not change, but kernels of other files
    that it calls are compiled into it: the folder stands for the sources of all.
    """
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    name = f"v{__version__}-{digest.hexdigest()[:12]}"
    return Path(platformdirs.user_cache_dir("qubo-attn")) / name


def _name_files(compiled: Any) -> None:
    """Give the files that this process will write names that no other process chooses.

    Numba counts the files of a kernel from one. Two processes that compile it for different types
    at the same time choose the same number, and the index of the one then leads to the code of the
    other (numba issue 4807): wrong results, or a crash.
    """
    files = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    pattern = getattr(files, "_data_name_pattern", None)
    if files is not None and isinstance(pattern, str):
        files._data_name_pattern = pattern.replace("{number:d}", f"{_OWN}-{{number:d}}")
