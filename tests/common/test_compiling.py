"""Word of kernels being compiled."""

from __future__ import annotations

import logging

import pytest

from qubo_attn.common.compiling import Compilations


def test_one_line_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    compilations = Compilations()
    with caplog.at_level(logging.WARNING, "qubo_attn"):
        for _ in range(2):
            compilations.begin()
            compilations.begin()
            compilations.end()
            compilations.end()
    assert [record.name for record in caplog.records] == ["qubo_attn"]
    assert caplog.records[0].getMessage().startswith("compiling kernels, once")
    assert (compilations.finished, compilations.under_way) == (4, 0)
    spent = compilations.seconds
    assert spent == compilations.seconds


def test_who_watches_is_told_nothing_more(caplog: pytest.LogCaptureFixture) -> None:
    compilations = Compilations()
    with compilations.watching():
        compilations.begin()
        assert compilations.under_way == 1
    assert not compilations.watched
    assert not caplog.records
