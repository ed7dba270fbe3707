"""How kernels are compiled: leaf functions over arrays, cached on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])


def kernel(function: F) -> F:
    """Compile ``function`` with Numba on first use and keep the machine code on disk."""
    return cast(F, numba.njit(cache=True, nogil=True)(function))
