"""``qubo-attn instances``: what it writes, prints and refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import qubo_attn as qa
from qubo_attn.cli import app
from tests.conftest import ROOT

FILES = [str(file) for file in sorted((ROOT / "fixtures" / "attention").glob("*.npz"))]


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["instances", *arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_a_shell_lists_files_behind_data(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    text = run(str(folder), "--data", *FILES, "--count", "6", "--sizes", "8,12")
    assert "6 instances of " in text
    assert "optima, all proven: 6 by enumeration" in text
    assert "no licence" in text
    with (folder / "index.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 6
    for row in rows:
        model = qa.read_bqm(folder / f"{row['name']}.bqm")
        best = dict(enumerate(map(int, row["state"])))
        assert model.energy(best) == pytest.approx(float(row["energy"]), abs=1e-9)
    text = run(str(folder), "--data", FILES[0], code=3)
    assert "is there already: --force replaces" in text


def test_json_and_force(tmp_path: Path) -> None:
    folder = str(tmp_path / "made")
    options = ["--sizes", "8,10", "--licence", "Apache-2.0", "--json"]
    one = run(folder, "--data", FILES[0], "--count", "4", *options)
    two = run(folder, "--data", FILES[0], "--count", "4", "--force", *options)
    assert one == two
    facts = json.loads(one)
    assert facts["folder"] == folder
    assert [fields["licence"] for fields in facts["instances"]] == ["Apache-2.0"] * 4
    other = run(folder, "--data", FILES[0], "--count", "4", "--seed", "1", "--force", *options)
    assert other != one


def test_a_folder_stands_for_its_files(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    np.savez(tmp_path / "data" / "a.npz", scores=np.random.default_rng(0).normal(size=(2, 9, 9)))
    run(str(tmp_path / "made"), "--data", str(tmp_path / "data"), "--count", "2", "--sizes", "8,9")
    (source,) = json.loads((tmp_path / "made" / "index.json").read_text())["sources"]
    assert source["file"] == "a.npz"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "name files of attention with --data"),
        (["--data", "absent.npz"], 3, "absent.npz"),
        (["--data", FILES[0], "--count", "0"], 3, "count must be a whole number from 1"),
        (["--data", FILES[0], "--sizes", "8"], 3, "sizes must be two numbers"),
        (["--data", FILES[0], "--sizes", "a,b"], 2, "--sizes takes two numbers"),
        (["--data", FILES[0], "--sizes", "8,99"], 3, "from 2 to 64"),
    ],
)
def test_what_it_refuses(arguments: list[str], code: int, message: str, tmp_path: Path) -> None:
    assert message in " ".join(run(str(tmp_path / "made"), *arguments, code=code).split())
    assert not (tmp_path / "made").exists()
