"""How kernels are compiled: leaf functions over arrays, cached on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

import numba
import platformdirs
from numba import config

from qubo_attn._version import __version__

F = TypeVar("F", bound=Callable[..., object])


def kernel(function: F) -> F:
    """Compile ``function`` with Numba on first use and keep the machine code on disk.

    The code is kept in the user's cache folder, unless ``NUMBA_CACHE_DIR`` names another: beside
    the sources it would outlive an uninstallation and leave an empty package behind.
    """
    before = config.CACHE_DIR
    if not before:
        config.CACHE_DIR = str(Path(platformdirs.user_cache_dir("qubo-attn")) / f"v{__version__}")
    try:
        return cast(F, numba.njit(cache=True, nogil=True)(function))
    finally:
        config.CACHE_DIR = before
