from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import qubo_attn as qa
from qubo_attn.cli import app
from tests.conftest import ROOT
from tests.support.markup import check

FIXTURES = ROOT / "fixtures" / "attention"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, minilm: dict[str, np.ndarray]) -> str:
    folder = tmp_path_factory.mktemp("compiled") / "out"
    options = {"select": qa.ExactlyK(2), "target": None, "values": minilm["value"][:2]}
    qa.compile(minilm["scores"][:2], 2, **options).save(folder)
    return str(folder)


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["report", *arguments])
    assert "Traceback" not in result.output
    return result.exit_code, result.output


def test_the_command_writes_the_page(folder: str, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    tokens = str(FIXTURES / "minilm_d02_L1_n10.npz")
    code, text = run(folder, "-o", str(out), "--tokens", tokens, "--json")
    facts = json.loads(text)
    assert code == 0
    assert facts["bytes"] == out.stat().st_size
    assert facts["solved"]
    assert facts["feasible"] == 1
    names = {"ours", "top-k, renormalised", "top-k, residual (same decoder)"}
    assert set(facts["errors"]) == names
    read = check(out.read_text(encoding="utf-8"))
    assert "heron" in read.text
    loaded = qa.load(folder)
    with np.load(tokens) as file:
        assert out.read_text(encoding="utf-8") == loaded.html(
            loaded.solve(seed=1), tokens=file["tokens"].tolist()
        )


def test_the_command_without_solving(folder: str, tmp_path: Path) -> None:
    out, words = tmp_path / "report.html", tmp_path / "words.txt"
    words.write_text("\n".join("abcdefghij"))
    code, text = run(folder, "-o", str(out), "--no-solve", "--tokens", str(words))
    assert (code, f"wrote {out}" in text.replace("\n", "")) == (0, True)
    assert "outcome" not in check(out.read_text(encoding="utf-8")).ids


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("absent", "-o", "x.html"), "there is no folder absent"),
        (("FOLDER", "-o", "absent/x.html"), "No such file"),
        (("FOLDER", "-o", "x.html", "--tokens", "absent.npz"), "there is no file absent.npz"),
        (("FOLDER", "-o", "x.html", "--seed", "-1"), "seed must be from 0"),
    ],
)
def test_the_command_says_what_is_wrong(
    arguments: tuple[str, ...],
    message: str,
    folder: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, text = run(*(folder if word == "FOLDER" else word for word in arguments))
    assert code != 0
    assert message in text
