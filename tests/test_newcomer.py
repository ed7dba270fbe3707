"""The newcomer's path, literally: every block of the README and of docs/own_pass.md, in order.

A copy of what a clone holds goes to a new folder, a fresh virtual environment installs it from
there, and the blocks run in that folder. What would take minutes and tells nothing more is lent:
the dependencies come from the environment that runs the tests. Machine code of kernels is found in
the user's cache, as their sources are the same.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from qubo_attn.cli.usual import USUAL
from tests.conftest import ROOT
from tests.support.documents import Block, blocks

# Blocks that are not run here: the tests themselves.
SKIPPED = {"tests"}
CLONED = ("README.md", "LICENSE", "CHANGELOG.md", "pyproject.toml", "MANIFEST.in")


class Newcomer:
    """Somebody with a clone, a fresh environment, and the README."""

    def __init__(self, folder: Path) -> None:
        self.clone, self.venv = folder / "qubo-attn", folder / "venv"
        junk = shutil.ignore_patterns("__pycache__", "*.egg-info")
        for name in ("qubo_attn", "passes", "fixtures", "docs"):
            shutil.copytree(ROOT / name, self.clone / name, symlinks=True, ignore=junk)
        for name in CLONED:
            shutil.copy(ROOT / name, self.clone)
        subprocess.run([sys.executable, "-m", "venv", str(self.venv)], check=True)
        self.site = Path(
            sysconfig.get_path("purelib", vars={"base": str(self.venv)}, scheme="venv")
        )
        # A line of a .pth file is a folder to import from; .pth files in that folder are not read,
        # so an editable qubo_attn there stays out of sight.
        (self.site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
        kept = ("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR", "QUBO_ATTN_CACHE", "LANG", "TMPDIR")
        self.env = {name: os.environ[name] for name in kept if name in os.environ}
        self.env |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        path = f"{self.venv / 'bin'}{os.pathsep}{os.environ['PATH']}"
        self.env |= {"PATH": path, "VIRTUAL_ENV": str(self.venv)}

    def follow(self, document: Path) -> str:
        """Do what a document says; return all that was printed."""
        told = []
        for block in blocks(document):
            if block.mark in SKIPPED:
                continue
            if block.file is not None:
                file = self.clone / block.file
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(block.text)
            else:
                told += [self.run(command) for command in _commands(block)]
        return "".join(told)

    def run(self, command: list[str]) -> str:
        """Run one command in the clone; return what it printed."""
        return self.streams(command)[0]

    def streams(self, command: list[str]) -> tuple[str, str]:
        """Run one command in the clone; return standard output and standard error."""
        result = subprocess.run(
            command, cwd=self.clone, env=self.env, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
        return result.stdout, result.stderr


def _commands(block: Block) -> list[list[str]]:
    """Return the commands of a block, one by one, as a shell or Python takes them."""
    if block.language == "python":
        return [["python", "-c", block.text]]
    if block.language != "sh":
        return []
    lines = (line for line in block.text.splitlines() if line.strip())
    return [["bash", "-c", part.strip()] for line in lines for part in line.split("&&")]


@pytest.mark.skipif(sys.platform == "win32", reason="the README's commands are a shell's")
def test_the_path_of_a_newcomer(tmp_path: Path) -> None:
    newcomer = Newcomer(tmp_path)
    told = newcomer.follow(ROOT / "README.md")
    assert "rows: 360 (12 heads, 30 queries, 30 keys), select ExactlyK(k=4)" in told
    assert "less output error than top-k, residual (same decoder)" in told
    assert "later batches per second" in told
    # The section "In a Hugging Face model": both layers, 4 heads of 32 queries, all proven.
    for layer in range(2):
        row = rf"model\.layers\.{layer}\.self_attn +1 +128 +100\.00% +100\.00%"
        assert re.search(row, told), told
    with np.load(newcomer.clone / "selected.npz") as result:
        assert result["selected"].shape == (4, 20, 20)
        assert (result["selected"].sum(axis=2) == 4).all()
    assert "<html" in (newcomer.clone / "report.html").read_text(encoding="utf-8")
    told = newcomer.follow(ROOT / "docs" / "own_pass.md")
    assert "drop-sink{key=0}  [my-passes 1.0]" in told
    assert "pick[0,0]: x[0,0,1] + x[0,0,2] == 1" in told
    facts = json.loads((newcomer.clone / "sink" / "artifact.json").read_text())
    assert facts["passes"][0]["package"] == "my-passes 1.0"
    code = "import qubo_attn; print(qubo_attn.__file__)"
    where = newcomer.run(["python", "-I", "-c", code])
    assert Path(where.strip()).is_relative_to(newcomer.site)


def _usual(command: str) -> list[str]:
    """Return the kernels that a command's usual run compiles, with their modules."""
    return [
        f"{module}.{name}" for module, names in USUAL[command].items() for name in names.split()
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="the README's commands are a shell's")
def test_a_first_run_says_that_it_compiles_and_a_second_compiles_nothing(tmp_path: Path) -> None:
    newcomer = Newcomer(tmp_path)
    kernels = tmp_path / "kernels"
    newcomer.env |= {"NUMBA_CACHE_DIR": str(kernels), "QUBO_ATTN_CACHE": str(tmp_path / "kept")}
    install, *commands = _commands(blocks(ROOT / "README.md")[0])
    newcomer.run(install)
    before: set[Path] = set()
    usual = [Counter(_usual(name)) for name in ("compile", "solve")]
    for command, expected in zip(commands, (usual[0], usual[0] | usual[1]), strict=True):
        _, told = newcomer.streams(command)
        *lines, last = told.splitlines()
        assert {line.split(":")[0] for line in lines} == {"compiling kernels, once"}
        kept = set(kernels.rglob("*.nbc"))
        assert last.startswith(f"kernels compiled: {len(kept - before)}, in ")
        # What the total is made of is what was compiled: see qubo_attn/cli/usual.py.
        names = Counter(f"{p.parent.name[:-17]}.{p.name.rpartition('-')[0]}" for p in kept)
        assert names == expected
        total = int(lines[0].split(" of about ")[1].partition(",")[0])
        # A kernel whose file is being written counts twice.
        assert 0 <= total - len(kept - before) <= 1
        before = kept
    shutil.rmtree(newcomer.clone / "out")
    for command in commands:
        assert newcomer.streams(command)[1] == ""
    assert set(kernels.rglob("*.nbc")) == before
