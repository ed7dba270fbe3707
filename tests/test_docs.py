"""The documentation: every example on its pages runs, every public name has one that runs."""

from __future__ import annotations

import ast
import contextlib
import doctest
import importlib
import inspect
import io
import re
import shlex
import sys
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

import qubo_attn as qa
from tests.conftest import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(path.name for path in DOCS.glob("*.md"))
# Blocks marked ``python no-run``, by page: each needs a machine.
NOT_RUN = {"solver_options.md": 1, "submit_qpu.md": 1}
# Pages that another test follows block by block, as they install a package of their own.
ELSEWHERE = {"own_pass.md": "test_newcomer.py"}
# Packages that the examples of a page need and qubo-attn does not.
NEEDS = {"kvpress.md": "kvpress", "models.md": "transformers", "torch.md": "torch"}

FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
CHECKER = doctest.OutputChecker()
LENIENT = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    info: str
    text: str
    line: int

    @cached_property
    def language(self) -> str:
        return (self.info.split() or [""])[0]

    @property
    def runs(self) -> bool:
        return self.language == "python" and "no-run" not in self.info


def blocks_of(page: str) -> list[Block]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return [
        Block(match["info"], match["text"], text.count("\n", 0, match.start()) + 1)
        for match in FENCE.finditer(text)
    ]


def run_python(block: Block, page: str, module: ModuleType) -> str:
    """Run a block in the page's module; return what it printed."""
    # Blank lines before it give tracebacks the page's own line numbers.
    code = compile("\n" * block.line + block.text, page, "exec", dont_inherit=True)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, module.__dict__)
    return printed.getvalue()


def run_shell(block: Block) -> str:
    """Run the commands of qubo-attn in a shell block; return what they printed."""
    from qubo_attn.cli import app

    printed = ""
    for line in block.text.replace("\\\n", " ").splitlines():
        for command in line.split("&&"):
            words = shlex.split(command, comments=True)
            if words[:1] == ["qubo-attn"]:
                result = CliRunner().invoke(app, words[1:])
                assert result.exit_code == 0, f"{command}: {result.output}"
                printed += result.output
    return printed


@pytest.mark.parametrize("page", [page for page in PAGES if page not in ELSEWHERE])
def test_every_block_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, in one namespace; an ``output`` block is what the block before it prints."""
    if page in NEEDS:
        pytest.importorskip(NEEDS[page])
    # As in a checkout, but what the page writes goes elsewhere.
    (tmp_path / "fixtures").symlink_to(ROOT / "fixtures")
    monkeypatch.chdir(tmp_path)
    # What one page leaves in the cache would change what another prints.
    monkeypatch.setenv("QUBO_ATTN_CACHE", str(tmp_path / "cache"))
    module = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", module)
    printed = None
    for block in blocks_of(page):
        if block.runs:
            printed = run_python(block, page, module)
        elif block.language == "sh":
            printed = run_shell(block)
        elif block.language == "output":
            assert printed is not None, f"{page}:{block.line} follows no block that runs"
            same = CHECKER.check_output(block.text, printed, LENIENT)
            assert same, f"{page}:{block.line} should read\n{printed}"


def test_blocks_that_do_not_run_are_known() -> None:
    counts = {page: sum("no-run" in block.info for block in blocks_of(page)) for page in PAGES}
    assert {page: count for page, count in counts.items() if count} == NOT_RUN


def test_messages_of_troubleshooting_are_those_of_the_code() -> None:
    """What the page quotes as a message stands in the code, but for names and numbers."""
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    quoted = re.findall(r"^\| (`[^|]*)\|", page, re.MULTILINE)
    parts = [
        part.strip(" :")
        for text in re.findall(r"`([^`]*)`", " ".join(quoted))
        for part in re.split(r"\.\.\.|\([^)]*\)|'[^']*'|[\d.]+(?= )|\w*\[[\d,]*\]|^\w+Error:", text)
        if len(part.split()) > 2
    ]
    code = "\n".join(
        f.read_text(encoding="utf-8") for f in SOURCES if ROOT / "tests" not in f.parents
    )
    code = re.sub(r'"\s+f?"', "", code)
    assert len(parts) > 15
    # The first word may be a name that the code puts in.
    unknown = [part for part in parts if part.split(" ", 1)[1] not in code]
    assert unknown == []


def public() -> list[str]:
    return [name for name in qa.__all__ if name != "__version__"]


@pytest.mark.parametrize("name", public())
def test_public_name_has_an_example_that_runs(name: str) -> None:
    value = getattr(qa, name)
    # Doctests are collected where a name lives, so there they have to be.
    assert value.__module__.split(".")[0] == "qubo_attn"
    tests = doctest.DocTestFinder(recurse=False).find(value, name, module=False)
    assert tests, f"{name} has no docstring"
    assert any(test.examples for test in tests), f"{name} has no example in its docstring"


@pytest.mark.parametrize("name", [name for name in public() if inspect.isclass(getattr(qa, name))])
def test_public_members_have_docstrings(name: str) -> None:
    for base in getattr(qa, name).__mro__:
        if not base.__module__.startswith("qubo_attn"):
            continue
        for member, value in vars(base).items():
            function = getattr(value, "__func__", value)
            is_member = inspect.isroutine(function) or isinstance(
                function, (property, cached_property)
            )
            if is_member and not member.startswith("_"):
                assert function.__doc__, f"{name}.{member} has no docstring"


def test_reference_has_every_public_name_once() -> None:
    names: dict[str, list[str]] = {}
    for page in sorted((DOCS / "reference").glob("*.rst")):
        text = page.read_text(encoding="utf-8")
        module = re.findall(r"^\.\. currentmodule:: ([\w.]+)$", text, re.MULTILINE)
        listed = re.findall(r"^\.\. auto(?:class|function|exception):: (\w+)$", text, re.MULTILINE)
        names.setdefault(module[0] if module else "qubo_attn", []).extend(listed)
    of_torch = names.pop("qubo_attn.torch")
    assert names.pop("qubo_attn.kvpress") == ["AnnealedPress"]
    assert names.keys() == {"qubo_attn"}
    assert sorted(names["qubo_attn"]) == public(), "docs/reference lists qubo_attn.__all__"
    torch_layers = pytest.importorskip("qubo_attn.torch")
    assert sorted(of_torch) == sorted(torch_layers.__all__), "and that of qubo_attn.torch"


# Texts that name modules and files of the project: pages, and the docstrings of sources.
PROSE = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "fixtures/README.md")),
    *sorted(DOCS.rglob("*.md")),
    *sorted(DOCS.rglob("*.rst")),
]
SOURCES = sorted(
    file
    for folder in ("passes", "qubo_attn", "examples", "benchmarks", "tests")
    for file in (ROOT / folder).rglob("*.py")
    if not file.is_relative_to(ROOT / "qubo_attn" / "passes")  # the link to passes/
)
NAME = re.compile(r"(?<![\w./-])(?:qubo_attn|qa)(?:\.[A-Za-z_]\w*)+")
FILE = re.compile(
    r"(?<![\w./-])(?:qubo_attn|passes|tests|docs|fixtures|examples|benchmarks)/[\w.*/-]*[\w*/]"
)


def prose_of(file: Path) -> str:
    """Return the text of a page, or all docstrings of a source file."""
    text = file.read_text(encoding="utf-8")
    if file.suffix != ".py":
        return text
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, documented)]
    return "\n".join(ast.get_docstring(node, clean=False) or "" for node in nodes)


def exists(name: str) -> bool:
    """Return whether a dotted name is a module of the package, or an attribute behind one."""
    first, *rest = name.split(".")
    value: object = qa
    path = "qubo_attn" if first == "qa" else first
    for part in rest:
        path = f"{path}.{part}"
        if hasattr(value, part):
            value = getattr(value, part)
            continue
        try:
            value = importlib.import_module(path)
        except ModuleNotFoundError as error:
            # A module that needs a package that is not installed is there all the same.
            return not (error.name or "").startswith("qubo_attn")
        except qa.MissingExtraError:
            return True
    return True


def missing_in(file: Path) -> list[str]:
    """Return the modules, public names and files that a text names and that do not exist."""
    text = prose_of(file)
    names = [name for name in sorted(set(NAME.findall(text))) if not exists(name)]
    return names + [name for name in sorted(set(FILE.findall(text))) if not any(ROOT.glob(name))]


@pytest.mark.parametrize("page", PROSE, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_exists(page: Path) -> None:
    assert missing_in(page) == []


def test_what_docstrings_name_exists() -> None:
    missing = {str(file.relative_to(ROOT)): missing_in(file) for file in SOURCES}
    assert {file: names for file, names in missing.items() if names} == {}


def test_the_picture_of_the_layers_follows_the_contract() -> None:
    """Labels of one height are one layer, as ``|`` joins them in the contract."""
    picture = (DOCS / "layers.svg").read_text(encoding="utf-8")
    drawn: dict[str, list[str]] = {}
    for height, name in re.findall(r'class="layer" x="[\d.]+" y="(\d+)"[^>]*>(\w+)', picture):
        drawn.setdefault(height, []).append(name)
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = settings["tool"]["importlinter"]["contracts"][0]
    assert [" | ".join(names) for names in drawn.values()] == contract["layers"]
