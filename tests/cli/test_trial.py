"""``qubo-attn try``, and tokens from the file of scores to the page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import qubo_attn as qa
from qubo_attn.cli import app
from qubo_attn.cli.labels import KEPT
from tests.conftest import ROOT
from tests.support.markup import check

FILE = str(ROOT / "fixtures" / "attention" / "minilm_d02_L1_n10.npz")


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, result.output
    return result.output


def test_it_compares_with_top_k_and_writes_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    told = run("try", FILE, "--keys", "2,3", "--target", "zephyr:6", "--report", str(page))
    assert "verdict: keep " in told
    assert f"wrote {page}, on " in told
    assert "heron" in check(page.read_text(encoding="utf-8")).text
    facts = json.loads(run("try", FILE, "--keys", "2,3", "--target", "zephyr:6", "--json"))
    trial = qa.try_out(k=(2, 3), target="zephyr:6", **qa.read_attention(FILE))
    assert facts == trial.to_dict() | {"report": None}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("absent.npz",), 3, "there is no file absent.npz"),
        ((FILE, "--keys", "2,x"), 2, "numbers parted by commas"),
        ((FILE, "--keys", "40"), 3, "a row sees at most 10 keys"),
        ((FILE, "--keys", "0"), 3, "k must be"),
        ((FILE, "--report", "x.pdf"), 3, "name it x.html"),
        ((FILE, "--target", "zephyr"), 6, "zephyr"),
        ((FILE, "--probabilities"), 3, "which is no probability"),
    ],
)
def test_it_says_what_is_wrong(arguments: tuple[str, ...], code: int, message: str) -> None:
    told = run("try", *arguments, code=code)
    assert message in " ".join(told.split())


def test_tokens_of_the_file_label_the_page(tmp_path: Path) -> None:
    out, page = tmp_path / "out", tmp_path / "page.html"
    run("compile", FILE, "--keys", "2", "--target", "none", "-o", str(out))
    run("report", str(out), "-o", str(page))
    assert "heron" in check(page.read_text(encoding="utf-8")).text
    # Another file in the same folder takes its tokens away.
    np.savez(tmp_path / "bare.npz", scores=np.load(FILE)["scores"])
    bare = str(tmp_path / "bare.npz")
    run("compile", bare, "--keys", "2", "--target", "none", "-o", str(out), "--force")
    assert not (out / KEPT).exists()
    run("report", str(out), "-o", str(page))
    assert "heron" not in page.read_text(encoding="utf-8")


def test_tokens_that_do_not_fit_are_left_alone(tmp_path: Path) -> None:
    out, page = tmp_path / "out", tmp_path / "page.html"
    np.savez(tmp_path / "a.npz", scores=np.eye(4), tokens=np.array(["a", "b"]))
    run("compile", str(tmp_path / "a.npz"), "--keys", "2", "--target", "none", "-o", str(out))
    for kept in (None, "[1", '["a"]', "7"):
        if kept is not None:
            (out / KEPT).write_text(kept)
        run("report", str(out), "-o", str(page))
