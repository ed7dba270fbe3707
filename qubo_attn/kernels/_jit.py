"""How kernels are compiled: leaf functions over arrays, whose machine code is kept on disk."""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba import config
from numba.core import compiler, serialize
from numba.core.types.misc import unliteral
from numba.extending import is_jitted

from qubo_attn.common.compiling import compilations
from qubo_attn.common.files import (
    embedding_folder,
    read_file,
    user_folder,
    warn_unkept,
    write_file,
)

F = TypeVar("F", bound=Callable[..., object])


def kernel(function: F) -> F:
    """Compile ``function`` with Numba on first use and keep the machine code on disk.

    The code is kept in the user's cache folder, unless ``NUMBA_CACHE_DIR`` names another: beside
    the sources it would outlive an uninstallation and leave an empty package behind. Many processes
    may share it. Where nothing can be written, every process compiles for itself and warns once.

    Kernels whose names begin with an underscore are called by kernels alone; from Python they are a
    TypeError.
    """
    # Around each one Numba compiles a function for Python to call, and one for C.
    inner = function.__name__.startswith("_")
    compiled = numba.njit(nogil=True, no_cfunc_wrapper=True, no_cpython_wrapper=inner)(function)
    if is_jitted(compiled):  # NUMBA_DISABLE_JIT leaves the function as it is
        compiled._cache = KeptCode(function)
        template = compiled.get_call_template
        # A number that a kernel hands to another as it stands is no reason to compile it once more.
        compiled.get_call_template = lambda types, names: template([*map(unliteral, types)], names)
        if inner:
            compiled._insert, compiled._compile_for_args = _ignore, _refuse
    return cast(F, compiled)


def _refuse(*_: object, **__: object) -> None:
    raise TypeError("a kernel whose name begins with an underscore is called by kernels alone")


def _ignore(*_: object, **__: object) -> None:
    """Keep code that Python cannot call from where it looks for what it can."""


class KeptCode:
    """The machine code of one kernel on disk, a file for each signature: a cache as Numba asks it.

    The folder is named by the content of the kernel's module and of the modules that it imports: an
    upgrade compiles what changed, and all installations of a version share it.

    Numba's own needs the sources, fails without a folder to write to, runs damaged files, and lets
    two processes that compile at once lead each other astray (numba issue 4807). A file here
    starts with the checksum of the rest; one that is damaged counts as missing and is replaced.

    This class and `kernel` alone use what Numba does not document: ``Dispatcher._cache``,
    ``_insert``, ``_compile_for_args`` and ``get_call_template``, ``CompileResult._reduce`` and
    ``_rebuild``, ``serialize.dumps`` and ``codegen.magic_tuple``. Where those of `KeptCode` are
    gone, nothing is kept and `warn_unkept` says so.
    """

    def __init__(self, function: Callable[..., object]) -> None:
        self._module, self._name = function.__module__.rpartition(".")[2], function.__qualname__
        self._code = function.__code__.co_code

    @property
    def cache_path(self) -> str:
        """The folder, as ``Dispatcher.stats`` reports it."""
        return str(self._folder())

    def load_overload(self, signature: object, target: Any) -> Any:
        """Return the compiled kernel for a signature, or None: then it is compiled."""
        kept = self._load(signature, target)
        if kept is None:
            compilations.begin()
        return kept

    def _load(self, signature: object, target: Any) -> Any:
        try:
            target.refresh()
            data = read_file(self._path(signature, target.codegen()))
            if data is None or data[:32] != hashlib.sha256(data[32:]).digest():
                return None
            return compiler.CompileResult._rebuild(target, *pickle.loads(data[32:]))
        except Exception:  # whatever keeps code from being read, the kernel is compiled instead
            return None

    def save_overload(self, signature: object, compiled: Any) -> None:
        """Keep the compiled kernel for a signature; warn where that fails."""
        compilations.end()
        try:
            body = serialize.dumps(compiled._reduce())
            path = self._path(signature, compiled.library.codegen)
            write_file(path, hashlib.sha256(body).digest() + body)
        except Exception as error:  # whatever keeps code from being kept, the kernel is compiled
            folder, other = _root(), embedding_folder()
            what = "kernels and embeddings" if folder == other else "kernels"
            warn_unkept(what, folder, error, other)

    def flush(self) -> None:
        """Do nothing: ``Dispatcher.recompile`` writes all files anew."""

    def _path(self, signature: object, codegen: Any) -> Path:
        """Return the file for a signature on this processor, with these versions."""
        versions = sys.implementation.cache_tag, numba.__version__
        facts = self._code, repr(signature), codegen.magic_tuple(), versions
        digest = hashlib.sha256(repr(facts).encode()).hexdigest()
        return self._folder() / f"{self._name}-{digest[:24]}.nbc"

    def _folder(self) -> Path:
        return _root() / "kernels" / _folder_of(self._module)


def _root() -> Path:
    return Path(config.CACHE_DIR, "qubo-attn") if config.CACHE_DIR else user_folder()


@cache
def _contents() -> dict[str, bytes]:
    """Return what the file of each module of kernels holds, wherever it is installed.

    Installations without sources have what was compiled from them.
    """
    contents: dict[str, bytes] = {}
    for file in files(__package__).iterdir():
        stem, suffix = os.path.splitext(file.name)
        if suffix == ".py" or (suffix == ".pyc" and stem not in contents):
            contents[stem] = file.read_bytes()
    return contents


@cache
def _folder_of(module: str) -> str:
    """Return the folder's name for kernels of a module: it stands for all that they are made of.

    Kernels of other modules that a kernel calls, and constants of theirs, are compiled into its
    code. A module that another one names counts as imported by it.
    """
    contents = _contents()
    used, waiting = {module, "_jit"}, [module]
    while waiting:
        content = contents[waiting.pop()]
        named = {stem for stem in contents if f"{__package__}.{stem}".encode() in content} - used
        used |= named
        waiting += named
    digest = hashlib.sha256()
    for stem in sorted(used):
        digest.update(f"{stem} {len(contents[stem])} ".encode() + contents[stem])
    return f"{module}-{digest.hexdigest()[:16]}"
