from __future__ import annotations

import sys
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

import qubo_attn as qa

pytest.importorskip("matplotlib")
PNG = b"\x89PNG\r\n\x1a\n"


def compiled_on(
    target: object, data: dict[str, np.ndarray], cache: qa.EmbeddingCache
) -> qa.CompiledAttention:
    return qa.compile(data["scores"][:3, :2], 3, select=qa.ExactlyK(2), target=target, cache=cache)


@pytest.mark.parametrize(
    "target", ["zephyr:3", "pegasus:3", nx.complete_graph(12)], ids=["zephyr", "pegasus", "other"]
)
def test_pictures_name_the_heads(
    target: object, minilm: dict[str, np.ndarray], cache: qa.EmbeddingCache, tmp_path: Path
) -> None:
    compiled = compiled_on(target, minilm, cache)
    file = tmp_path / "chip.png"
    figure = compiled.draw(0, file)
    assert file.read_bytes()[:8] == PNG
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    heads = np.unique(compiled.program.variables.head[compiled.submissions[0].variables])
    assert names == ["idle", *(f"head {head}" for head in heads)]
    (axes,) = figure.axes
    assert f"{compiled.submissions[0].qubits} of" in axes.get_title()
    drawn = [len(part.get_offsets()) for part in axes.collections if part.get_label() in names]
    assert sum(drawn[1:]) == compiled.submissions[0].qubits


def test_what_cannot_be_drawn_is_named(
    minilm: dict[str, np.ndarray], cache: qa.EmbeddingCache
) -> None:
    with pytest.raises(qa.InputError, match=r"submission must be .* from 0 to 0, not 99"):
        compiled_on("zephyr:3", minilm, cache).draw(99)
    with pytest.raises(qa.InputError, match="compile for a structured target"):
        compiled_on(None, minilm, cache).draw()


def test_without_matplotlib_the_error_says_what_to_install(
    minilm: dict[str, np.ndarray], cache: qa.EmbeddingCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(
        qa.MissingExtraError, match=r"pip install matplotlib \(extra \[plot\]\)"
    ) as e:
        compiled_on(None, minilm, cache).draw()
    assert e.value.extra == "plot"
