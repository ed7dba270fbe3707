"""The line that tells what a command is doing."""

from __future__ import annotations

import io
import re

import pytest

from qubo_attn.cli import console, progress, usual
from qubo_attn.common import compiling


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> compiling.Compilations:
    """Compilations of this test alone, told at once."""
    own = compiling.Compilations()
    monkeypatch.setattr(progress, "compilations", own)
    monkeypatch.setattr(progress, "_LOOK", 0.001)
    monkeypatch.setattr(progress, "_SOON", 0.0)
    return own


def wait_for(stream: io.StringIO, text: str) -> None:
    while text not in stream.getvalue():
        pass


def test_a_pipe_gets_plain_lines(
    told: compiling.Compilations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", stream := io.StringIO())
    with progress.shown(), progress.progress("compiling", 2) as step:
        step("sparsify")
        told.begin()
        told.begin()
        told.end()
        wait_for(stream, "\n")
        told.end()
    first, last = stream.getvalue().splitlines()
    assert re.fullmatch(r"compiling kernels, once: \d so far, 0 s", first)
    assert last == "kernels compiled: 2, in 0 s; they are kept"


def test_a_pipe_gets_nothing_where_nothing_is_compiled(
    told: compiling.Compilations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", stream := io.StringIO())
    with progress.shown(), progress.progress("solving", 2) as step:
        step("submission 0")
    assert stream.getvalue() == ""


def test_a_terminal_has_one_line_that_goes(
    told: compiling.Compilations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", stream := Terminal())
    monkeypatch.setattr(usual, "left_to_compile", {"compile": 2}.__getitem__)
    with progress.shown(lambda: "compile"), progress.progress("compiling", 2) as step:
        step("sparsify")
        wait_for(stream, "compiling: sparsify, 1 of 2")
        told.begin()
        wait_for(stream, "compiling kernels, once: 0 of about 2, 0 s")
        told.begin()
        told.end()
        wait_for(stream, "compiling kernels, once: 1 of about 2, 0 s")
        told.begin()
        told.end()
        wait_for(stream, "compiling kernels, once: 2 so far, 0 s")
        told.end()
        step("embed")
        wait_for(stream, "compiling: embed, 2 of 2")
    *_, last = stream.getvalue().split("\r\x1b[K")
    assert last == "kernels compiled: 3, in 0 s; they are kept\n"


def test_a_result_does_not_stand_behind_the_line(
    told: compiling.Compilations, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr("sys.stdout", screen)
    with progress.shown(), progress.progress("trying", 1) as step:
        step("solving")
        wait_for(screen, "trying: solving, 1 of 1")
        console.tell(False, {}, "360 rows")
    before, _, _ = screen.getvalue().partition("360 rows")
    assert before.endswith("trying: solving, 1 of 1\r\x1b[K")
