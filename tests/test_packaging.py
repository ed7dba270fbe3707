"""What ships, and that the checkout's parts agree with each other."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import zipfile
from importlib import import_module
from pathlib import Path

import pytest

import qubo_attn as qa
from tests.conftest import ROOT

SOURCES = sorted([*(ROOT / "passes").glob("*.py"), *(ROOT / "qubo_attn").rglob("*.py")])


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
    )
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_one_package_with_every_pass(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"qubo_attn"}
    for file in (ROOT / "passes").glob("*.py"):
        assert f"qubo_attn/passes/{file.name}" in names
    for file in (ROOT / "qubo_attn").rglob("*.py"):
        assert str(file.relative_to(ROOT)) in names
    assert "qubo_attn/py.typed" in names
    assert "qubo_attn/embedding/templates.npz" in names
    assert "qubo_attn/embedding/packings.npz" in names


def test_the_wheel_works_elsewhere(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = (
        "import numpy as np, qubo_attn as qa\n"
        "c = qa.compile(np.arange(12.0).reshape(1, 1, 12), 1, select=qa.ExactlyK(2), target=None)\n"
        "print(qa.__file__, c.solve(seed=1).selected.sum())\n"
    )
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
        # The kernels are the same files as here; to compile them once more takes most of a minute.
        env={"PYTHONPATH": str(tmp_path), "HOME": str(tmp_path), "NUMBA_DISABLE_JIT": "1"},
    )
    file, chosen = result.stdout.split()
    assert Path(file).is_relative_to(tmp_path)
    assert chosen == "2"


def test_the_wheel_installs_with_command_and_extras(wheel: Path, tmp_path: Path) -> None:
    """As the README says; what it depends on is here already."""
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "-I"]
    subprocess.run([*pip, "--prefix", str(tmp_path), f"{wheel}[plot]"], check=True)
    (command,) = [
        path for path in tmp_path.rglob("qubo-attn*") if path.parent.name != "site-packages"
    ]
    assert command.stem == "qubo-attn"
    (facts,) = tmp_path.rglob("METADATA")
    text = facts.read_text(encoding="utf-8")
    assert f"\nVersion: {qa.__version__}\n" in text
    for extra in ("plot", "safetensors", "torch", "transformers", "distributed", "docs", "dev"):
        assert f"\nProvides-Extra: {extra}\n" in text


def test_import_is_quiet_and_light() -> None:
    code = (
        "import sys, qubo_attn\n"
        "heavy = {'dwave.system', 'dwave.graphs', 'matplotlib', 'torch', 'numba', 'dimod'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert result.stdout.strip() == "[]"


def test_public_names() -> None:
    assert sorted(qa.__all__) == dir(qa)
    assert len(set(qa.__all__)) == len(qa.__all__)
    for name in qa.__all__:
        assert getattr(qa, name) is not None
    with pytest.raises(AttributeError, match="attribute nothing"):
        _ = qa.nothing


def test_file_class_and_name_of_a_pass_agree() -> None:
    for file in (ROOT / "passes").glob("[a-z]*.py"):
        module = import_module(f"qubo_attn.passes.{file.stem}")
        pass_ = getattr(module, "".join(part.title() for part in file.stem.split("_")))
        assert pass_.name == file.stem.replace("_", "-")
        assert (ROOT / "tests" / "passes" / f"test_{file.stem}.py").exists() or (
            file.stem == "embed"
        )


def test_passes_import_no_other_pass() -> None:
    for file in (ROOT / "passes").glob("[a-z]*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert not (node.module or "").startswith("qubo_attn.passes"), file


def test_tests_stand_in_the_folders_of_what_they_test() -> None:
    tests, package = ROOT / "tests", ROOT / "qubo_attn"
    files = list(tests.rglob("test_*.py"))
    folders = {file.parent.relative_to(tests) for file in files}
    assert [str(folder) for folder in folders if not (package / folder).is_dir()] == []
    assert list((tests / "support").glob("test_*.py")) == []


def test_the_folder_is_no_package_of_its_own() -> None:
    result = subprocess.run(
        [sys.executable, "-c", "import passes"], capture_output=True, text=True, cwd=ROOT
    )
    assert "import qubo_attn.passes" in result.stderr


def test_one_module_imports_the_topology_library() -> None:
    pattern = re.compile(r"^\s*(import|from) (dwave\.graphs|dwave_networkx)", re.MULTILINE)
    found = [file.name for file in SOURCES if pattern.search(file.read_text())]
    assert found == ["topology.py"]


def test_the_newest_release_is_the_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", text, re.MULTILINE)
    assert released[0] == qa.__version__
    assert text.index("## [Unreleased]") < text.index(f"## [{released[0]}]")


def test_the_citation_names_this_version() -> None:
    text = (ROOT / "CITATION.cff").read_text()
    assert re.findall(r"^version: (.+)$", text, re.MULTILINE) == [qa.__version__]


def test_documents_link_to_what_there_is() -> None:
    for document in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\(([\w./-]+)\)", document.read_text()):
            assert (document.parent / link).exists(), f"{document.name}: {link}"
