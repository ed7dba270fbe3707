"""Odd values on the command line: one line of error, an exit code, no traceback; ``~`` in paths."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from qubo_attn.cli import app

ODD = ("nan", "-1", "10**20", "1" + "0" * 20, "x", "", "\0", "~nobody-here/x", "1e400", "9" * 5000)
OPTIONS = {
    ("compile", "scores.npz", "-o", "made"): (
        "--scores", "--select", "--keys", "--levels", "--objective", "--target", "--slots", "--tie",
        "--passes", "--longest-chain", "--seed",
    ),
    ("solve", "art"): ("--seed", "--reads", "--decoder"),
    ("inspect", "art"): ("--reads", "--stage"),
    ("draw", "art", "-o", "chip.png"): ("--submission",),
    ("report", "art", "-o", "page.html"): ("--seed", "--reads", "--tokens"),
    ("bench", "scores.npz", "--target", "none", "--keys", "2"): ("--repeats", "--reads", "--seed"),
    ("cache", "warm", "--target", "zephyr:1", "--shapes", "K2"): ("--target", "--shapes", "--seed"),
    ("cache", "verify"): ("--target",),
}  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with scores and what was compiled of them."""
    folder = tmp_path_factory.mktemp("home")
    np.savez(folder / "scores.npz", scores=np.random.default_rng(1).normal(size=(2, 2, 6)))
    arguments = ("compile", f"{folder}/scores.npz", "-o", f"{folder}/art", "--select", "one-hot")
    assert CliRunner().invoke(app, [*arguments, "--target", "zephyr:2"]).exit_code == 0
    return folder


@pytest.fixture(autouse=True)
def inside(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    monkeypatch.setenv("HOME", str(home))


@pytest.mark.parametrize(
    ("command", "option"),
    [(command, option) for command, options in OPTIONS.items() for option in options],
    ids=lambda part: part if isinstance(part, str) else part[0],
)
def test_odd_values_are_told_in_one_line(command: tuple[str, ...], option: str) -> None:
    for value in ODD:
        result = CliRunner().invoke(app, [*command, f"{option}={value}"])
        assert isinstance(result.exception, SystemExit), (value, result.exception)
        assert result.exit_code in range(2, 8), (value, result.output[-200:])
        errors = result.stderr.splitlines()
        assert "Traceback" not in result.output
        if result.exit_code != 2:  # the parser of the command line shows how it is used as well
            assert errors[0].startswith("error: ")
            assert all(line.startswith("  ") for line in errors[1:]), errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("solve", "art", "--reads", "0"), "num_reads must be a whole number from 1 to 1000000"),
        (("compile", "scores.npz", "-o", "x", "--keys", "1" + "0" * 20), "k must be a whole"),
        (("draw", "art", "-o", "x.bmpx"), "unknown format 'bmpx'"),
        (("bench", "scores.npz", "--seed", "-1"), "--seed must be a whole number"),
    ],
)
def test_values_are_named(arguments: tuple[str, ...], message: str) -> None:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 3
    assert message in result.stderr


def test_the_home_in_every_path(home: Path) -> None:
    for arguments in (
        ("compile", "~/scores.npz", "-o", "~/out", "--select", "one-hot", "--target", "none"),
        ("solve", "~/art", "-o", "~/solved.npz"),
        ("inspect", "~/art"),
        ("draw", "~/art", "-o", "~/chip.png"),
        ("report", "~/art", "-o", "~/page.html"),
        ("cache", "warm", "--target", "zephyr:1", "--shapes", "K2", "--folder", "~/kept"),
        ("cache", "export", "~/kept.zip", "--folder", "~/kept"),
        ("cache", "import", "~/kept.zip", "--folder", "~/other"),
        ("cache", "ls", "--folder", "~/other"),
    ):
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == 0, (arguments, result.output)
    names = ("out", "solved.npz", "chip.png", "page.html", "kept", "kept.zip", "other")
    assert [name for name in names if not (home / name).exists()] == []
    assert not (home / "~").exists()
