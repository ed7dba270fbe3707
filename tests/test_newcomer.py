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
import selectors
import shutil
import subprocess
import sys
import sysconfig
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qubo_attn.cli.usual import USUAL
from tests.conftest import ROOT
from tests.support.documents import Block, blocks

# Blocks that are not run here: the tests themselves, and the environment, which is made here.
SKIPPED = {"tests", "environment"}
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

    def follow(self, document: Path) -> list[Told]:
        """Do what a document says; return what each command printed."""
        told: list[Told] = []
        for block in blocks(document):
            if block.mark in SKIPPED:
                continue
            if block.file is not None:
                file = self.clone / block.file
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(block.text)
            elif block.language == "output":
                assert block.text == told[-1].out
            else:
                told += [self.told(command) for command in _commands(block)]
        return told

    def run(self, command: list[str]) -> str:
        """Run one command in the clone; return what it printed."""
        return self.told(command).out

    def told(self, command: list[str]) -> Told:
        """Run one command in the clone; return what it printed, and when."""
        told = Told()
        pipe = subprocess.PIPE
        with subprocess.Popen(
            command, cwd=self.clone, env=self.env, stdout=pipe, stderr=pipe, bufsize=0
        ) as process:
            told.listen(process)
        assert process.returncode == 0, f"{command}\n{told.out}\n{told.err}"
        return told


class Told:
    """What a command printed, and how much processor time it had used before each line.

    Processor time, as a busy computer makes every pause longer.

    Attributes:
        out, err: what went to standard output and standard error.
        times: seconds of processor time at each of its lines, and in the end.
    """

    def __init__(self) -> None:
        self.out = self.err = ""
        self.times: list[float] = [0.0]

    def listen(self, process: subprocess.Popen[bytes]) -> None:
        """Read both streams to their ends."""
        content: dict[Any, bytes] = {process.stdout: b"", process.stderr: b""}
        with selectors.DefaultSelector() as selector:
            for stream in content:
                selector.register(stream, selectors.EVENT_READ)
            while selector.get_map():
                for key, _ in selector.select():
                    part = os.read(key.fd, 65536)
                    content[key.fileobj] += part
                    if not part:
                        selector.unregister(key.fileobj)
                    self.times.append(max(_processor_time(process.pid), self.times[-1]))
        self.out, self.err = (text.decode() for text in content.values())

    @property
    def longest_pause(self) -> float:
        """Most seconds of processor time between two lines."""
        return float(np.diff(self.times).max())


def _processor_time(process: int) -> float:
    """Return the seconds that a process and its finished children used; 0 once it is gone."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _commands(block: Block) -> list[list[str]]:
    """Return the commands of a block, one by one, as a shell or Python takes them."""
    if block.language == "python":
        return [["python", "-c", block.text]]
    if block.language != "sh":
        return []
    lines = (line for line in block.text.splitlines() if line.strip())
    return [["bash", "-c", f"exec {part.strip()}"] for line in lines for part in line.split("&&")]


def _printed(told: list[Told]) -> str:
    return "".join(each.out for each in told)


def test_ten_lines_are_ten() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.partition("## The API in ten lines")[2]
    (block, *_) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert len([line for line in block.splitlines() if line]) == 10


@pytest.mark.skipif(sys.platform == "win32", reason="the README's commands are a shell's")
def test_the_path_of_a_newcomer(tmp_path: Path) -> None:
    newcomer = Newcomer(tmp_path)
    told = _printed(newcomer.follow(ROOT / "README.md"))
    assert "360 rows (12 heads, 30 queries, 30 keys)" in told
    assert "rows: 360 (12 heads, 30 queries, 30 keys), select ExactlyK(k=4)" in told
    assert told.count("less output error than top-k, residual (same decoder)") == 2
    assert "later batches per second" in told
    # The section "In a Hugging Face model": both layers, 4 heads of 32 queries, all proven.
    for layer in range(2):
        row = rf"model\.layers\.{layer}\.self_attn +1 +128 +100\.00% +100\.00%"
        assert re.search(row, told), told
    with np.load(newcomer.clone / "mine.npz") as result:
        assert result["selected"].shape == (4, 20, 20)
        assert (result["selected"].sum(axis=2) == 4).all()
    assert "<html" in (newcomer.clone / "report.html").read_text(encoding="utf-8")
    told = _printed(newcomer.follow(ROOT / "docs" / "own_pass.md"))
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


@pytest.fixture
def cold(tmp_path: Path) -> Newcomer:
    """Somebody for whom nothing is compiled or embedded yet."""
    newcomer = Newcomer(tmp_path)
    newcomer.env |= {
        "NUMBA_CACHE_DIR": str(tmp_path / "kernels"), "QUBO_ATTN_CACHE": str(tmp_path / "kept")
    }  # fmt: skip
    newcomer.run(["pip", "install", "."])
    return newcomer


def _kernels(newcomer: Newcomer) -> Counter[str]:
    """Return the kernels that are kept, with their modules."""
    kept = Path(newcomer.env["NUMBA_CACHE_DIR"]).rglob("*.nbc")
    return Counter(f"{p.parent.name[:-17]}.{p.name.rpartition('-')[0]}" for p in kept)


@pytest.mark.skipif(sys.platform != "linux", reason="processor time is read from /proc")
def test_from_nothing_to_an_open_report(cold: Newcomer) -> None:
    """The README's commands up to the page: no long silence, and kernels are compiled once."""
    commands = [each for block in blocks(ROOT / "README.md") for each in _commands(block)]
    commands = [each for each in commands if each[0] == "bash" and "qubo-attn " in each[2]]
    end = next(place for place, each in enumerate(commands) if "qubo-attn report" in each[2])
    told = [cold.told(each) for each in commands[: end + 1]]
    assert "<html" in (cold.clone / "report.html").read_text(encoding="utf-8")
    first, *later = told
    assert _kernels(cold) == Counter(_usual("try"))
    assert first.err.splitlines()[-1].startswith("kernels compiled: ")
    assert [each.err for each in later] == [""] * len(later)
    assert max(each.longest_pause for each in told) < 3.0
    assert sum(each.times[-1] for each in told) < 120.0


@pytest.mark.skipif(sys.platform == "win32", reason="the README's commands are a shell's")
def test_a_first_run_says_that_it_compiles_and_a_second_compiles_nothing(cold: Newcomer) -> None:
    file = "fixtures/attention/minilm_d08_L1_n30.npz"
    commands = [
        ["qubo-attn", "compile", file, "--keys", "4", "-o", "out"], ["qubo-attn", "solve", "out"],
    ]  # fmt: skip
    before = 0
    usual = [Counter(_usual(name)) for name in ("compile", "solve")]
    for command, expected in zip(commands, (usual[0], usual[0] | usual[1]), strict=True):
        *lines, last = cold.told(command).err.splitlines()
        told = [line.split(":")[0] for line in lines]
        assert told[0] == "compiling kernels, once"
        # On a busy computer a step that follows the kernels may be told as well.
        assert set(told) <= {"compiling kernels, once", "compiling", "solving"}
        # What the total is made of is what was compiled: see qubo_attn/cli/usual.py.
        names = _kernels(cold)
        assert names == expected
        new = names.total() - before
        assert last.startswith(f"kernels compiled: {new}, in ")
        total = int(lines[0].split(" of about ")[1].partition(",")[0])
        # A kernel whose file is being written counts twice.
        assert 0 <= total - new <= 1
        before = names.total()
    shutil.rmtree(cold.clone / "out")
    for command in commands:
        assert cold.told(command).err == ""
    assert _kernels(cold).total() == before
