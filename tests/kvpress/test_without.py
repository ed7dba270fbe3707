"""Without kvpress, importing the press says what to install."""

from __future__ import annotations

import sys
from importlib import import_module

import pytest

import qubo_attn as qa


def test_without_kvpress_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("qubo_attn.kvpress")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "kvpress", None)
    with pytest.raises(qa.MissingExtraError, match=r"pip install kvpress$") as error:
        import_module("qubo_attn.kvpress")
    assert error.value.facts["extra"] == "kvpress"
