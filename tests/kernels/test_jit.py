"""Machine code on disk: shared by processes, named by the sources, never needed."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from qubo_attn.kernels.order import _next_level, heaviest
from tests.conftest import ROOT

RUN = """
import json, sys, warnings, numpy as np
from qubo_attn.common.files import warn_unkept
from qubo_attn.embedding.cache import EmbeddingCache
from qubo_attn.kernels.components import connected_components as kernel
results = []
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    for dtype in sys.argv[1:]:
        ends = np.array([0, 2], dtype), np.array([1, 2], dtype)
        results.append(kernel(3, *ends).tolist())
    if told:  # the folder of embeddings is not told as well
        warn_unkept("embeddings", EmbeddingCache().folder, OSError())
stats = kernel.stats
told = [str(warning.message) for warning in told]
print(json.dumps([results, sum(stats.cache_hits.values()), stats.cache_path, told]))
"""


class Run(NamedTuple):
    """What a process of its own got: results, how many were kept ones, where, warnings."""

    results: list[list[int]]
    hits: int
    path: str
    told: list[str]


def run(folder: Path, *dtypes: str, root: Path = ROOT) -> Run:

    output = subprocess.run(
        [sys.executable, "-c", RUN, *dtypes],
        cwd=root,
        env=os.environ | {"NUMBA_CACHE_DIR": str(folder), "PYTHONPATH": str(root)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return Run(*json.loads(output))


RIGHT = [0, 0, 1]


def test_a_later_process_finds_the_code_in_any_installation(tmp_path: Path) -> None:
    """This is the test that fails where Numba changes what `KeptCode` builds on."""
    first = run(tmp_path, "int64")
    assert first == ([RIGHT], 0, first.path, [])
    (file,) = tmp_path.rglob("*.nbc")
    assert file.parent == Path(first.path)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(ROOT / "qubo_attn", elsewhere / "qubo_attn")
    assert run(tmp_path, "int64", root=elsewhere) == ([RIGHT], 1, first.path, [])


def test_an_edit_compiles_anew_what_it_can_reach(tmp_path: Path) -> None:
    """Kernels of `rows` call some of `order`; those of `components` call none."""
    shutil.copytree(ROOT / "qubo_attn", tmp_path / "qubo_attn")
    folder = tmp_path / "qubo_attn" / "kernels"
    before = kept_folders(tmp_path)
    for edited in ("order", "components", "_jit"):
        file = folder / f"{edited}.py"
        content = file.read_text()
        file.write_text(f"{content}\n")
        after = kept_folders(tmp_path)
        file.write_text(content)
        changed = {module for module in before if after[module] != before[module]}
        assert changed == {module for module in before if edited in reached(module)}, edited
    assert "rows" in {module for module in before if "order" in reached(module)}


def kept_folders(root: Path) -> dict[str, str]:
    """Return where an installation keeps the kernels of each module."""
    code = f"""
import json
from importlib import import_module
from numba.extending import is_jitted
folders = {{}}
for module in {sorted(IMPORTS)}:
    for kernel in vars(import_module("qubo_attn.kernels." + module)).values():
        if is_jitted(kernel) and kernel.__module__.endswith("." + module):
            folders[module] = kernel.stats.cache_path
print(json.dumps(folders))
"""
    environment = os.environ | {"PYTHONPATH": str(root)}
    command = [sys.executable, "-c", code]
    output = subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True)
    folders: dict[str, str] = json.loads(output.stdout)
    return folders


def reached(module: str) -> set[str]:
    """Return a module of kernels and all that it imports, as their import statements say."""
    found, waiting = {module}, [module]
    while waiting:
        further = IMPORTS[waiting.pop()] - found
        found |= further
        waiting += further
    return found


def imports(file: Path) -> set[str]:
    """Return the modules of kernels that a file imports."""
    parts = [
        node.module.split(".")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module and not node.level
    ]
    return {part[2] for part in parts if part[:2] == ["qubo_attn", "kernels"]}


KERNELS = ROOT / "qubo_attn" / "kernels"
IMPORTS = {file.stem: imports(file) for file in KERNELS.glob("*.py") if file.stem != "__init__"}


def test_processes_that_compile_at_once_do_not_lead_each_other_astray(tmp_path: Path) -> None:
    """Each signature has its file, named alike whoever was first; Numba counts files."""
    for folder, dtypes in (("a", ["int64", "int32"]), ("b", ["int32", "int64"])):
        assert run(tmp_path / folder, *dtypes).results == [RIGHT, RIGHT]
    names = [{file.name for file in (tmp_path / folder).rglob("*.nbc")} for folder in "ab"]
    assert len(names[0]) == 2
    assert names[0] == names[1]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data[:-100] + bytes([data[-100] ^ 1]) + data[-99:],
        lambda data: b"no machine code",
    ],
    ids=["empty", "truncated", "one bit", "text"],
)
def test_a_damaged_file_is_a_miss(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    run(tmp_path, "int64")
    (file,) = tmp_path.rglob("*.nbc")
    file.write_bytes(damage(file.read_bytes()))
    assert run(tmp_path, "int64")[:2] == ([RIGHT], 0)
    assert run(tmp_path, "int64")[:2] == ([RIGHT], 1)  # it was replaced


def test_a_folder_that_takes_nothing_is_told_once(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("a file where a folder should be")
    result = run(blocked, "int64", "int32")
    assert result[:2] == ([RIGHT, RIGHT], 0)
    (warning,) = result.told
    assert warning.startswith(f"kernels cannot be kept in {blocked / 'qubo-attn'} (")


def test_numbers_as_they_stand_take_no_kernel_of_their_own() -> None:
    """`drop_couplers` hands 127 to `_next_level` first, then what that returns."""
    heaviest(np.array([0, 3]), np.array([1, 0, 0], np.int8), np.ones(3), np.array([2]))
    assert not any("Literal" in str(types) for types in _next_level.overloads)  # type: ignore[attr-defined]


def test_inner_kernels_are_none_to_call() -> None:
    """Python has no way into them: that takes a tenth of the time to compile."""
    heaviest(np.array([0, 2]), np.zeros(2, np.int8), np.ones(2), np.ones(1, np.int64))
    for level in (0, 0.0):
        with pytest.raises(TypeError, match="called by kernels alone"):
            _next_level(np.zeros(2, np.int8), 0, 2, level)  # type: ignore[arg-type]


@pytest.mark.skipif(sys.platform == "win32", reason="a user there has a home")
def test_a_user_without_a_home_has_no_folder() -> None:
    code = """
import os
if os.geteuid() == 0:
    os.setreuid(54321, 0)
from qubo_attn.common.files import user_folder
print(user_folder())
"""
    home = {} if os.geteuid() == 0 else {"HOME": "relative"}
    folder = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=home, check=True, capture_output=True, text=True
    ).stdout
    assert folder == f"{os.devnull}/qubo-attn\n"
