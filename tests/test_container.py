"""A container: a user without a home, nothing that can be written to, and no sources."""

from __future__ import annotations

import compileall
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.documents import blocks

# Warnings that users see, one a line, after what the block prints.
RUN = """
import os, sys, warnings, json
if sys.platform != "win32" and os.geteuid() == 0:
    os.setreuid(54321, 0)  # a user that no file knows, and so without a home
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always", UserWarning)
    exec(sys.stdin.read(), {})
import qubo_attn
print(json.dumps([qubo_attn.__file__, [str(warning.message) for warning in told]]))
"""


def printed(block: str, folder: Path, environment: dict[str, str]) -> list[str]:
    result = subprocess.run(
        [sys.executable, "-c", RUN],
        input=block,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


@pytest.mark.skipif(sys.platform == "win32", reason="a user there has a home")
def test_the_readme_runs_without_home_and_sources(tmp_path: Path) -> None:
    site, folder = tmp_path / "site", tmp_path / "run"
    shutil.copytree(
        ROOT / "qubo_attn", site / "qubo_attn", ignore=shutil.ignore_patterns("__pycache__")
    )
    assert compileall.compile_dir(site, quiet=1, legacy=True)
    for source in site.rglob("*.py"):
        source.unlink()
    folder.mkdir()
    (folder / "fixtures").symlink_to(ROOT / "fixtures")
    (block,) = (block.text for block in blocks(ROOT / "README.md") if "qa.compile(" in block.text)
    # Whoever is not root has a home by name: then this one, in which nothing can be written.
    home = {} if os.geteuid() == 0 else {"HOME": os.devnull}
    *told, facts = printed(block, folder, home | {"PYTHONPATH": str(site)})
    file, warnings = json.loads(facts)
    assert file == str(site / "qubo_attn" / "__init__.pyc")
    (warning,) = warnings
    assert warning.startswith("kernels and embeddings cannot be kept ")
    assert sorted(path.name for path in folder.iterdir()) == ["fixtures", "saved"]
    # With a cache of embeddings of its own: another packing would give other reads.
    cache = {"QUBO_ATTN_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
    *expected, _ = printed(block, folder, os.environ | cache)
    assert told == expected
