"""Machine code on disk, shared by processes."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np

from qubo_attn.kernels import _jit, components
from tests.conftest import ROOT

COMPILE = """
import sys, numpy as np
from qubo_attn.kernels.components import connected_components
ends = np.array([0, 2]), np.array([1, 2])
if sys.argv[1] == "frozen":
    for end in ends:
        end.setflags(write=False)
print(connected_components(3, *ends).tolist())
"""


def compiled_in(folder: Path, kind: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", COMPILE, kind],
        env=os.environ | {"NUMBA_CACHE_DIR": str(folder), "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def test_processes_name_their_files_apart(tmp_path: Path) -> None:
    for folder, kind in ((tmp_path / "a", "frozen"), (tmp_path / "b", "plain")):
        assert compiled_in(folder, kind) == "[0, 0, 1]\n"
    names = [{path.name for path in folder.rglob("*.nbc")} for folder in sorted(tmp_path.iterdir())]
    assert all(names)
    # Had both shared a folder, no file of one would have taken the place of the other's.
    assert not names[0] & names[1]
    # Numba's own names would have been the same, as both were first.
    assert {name.replace(name.split(".")[-2], "") for name in names[0]} == {
        name.replace(name.split(".")[-2], "") for name in names[1]
    }


def test_the_folder_stands_for_all_sources(tmp_path: Path) -> None:
    folder = _jit._folder()
    assert folder.name.startswith("v")
    cached = components.connected_components._cache._cache_file
    assert Path(cached._cache_path).is_relative_to(folder) or "NUMBA_CACHE_DIR" in os.environ
    assert _jit._OWN in cached._data_name_pattern
    # The index that leads to the files reads as Numba wrote it.
    components.connected_components(1, np.zeros(0, np.int64), np.zeros(0, np.int64))
    with open(cached._index_path, "rb") as file:
        assert isinstance(pickle.load(file), str)
