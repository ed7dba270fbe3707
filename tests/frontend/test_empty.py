"""Attention without queries, without keys, or with every key hidden goes the whole way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import qubo_attn as qa
from qubo_attn.cli import app

LOW = float(np.finfo(np.float32).min)
SCORES = {
    "no query": np.zeros((2, 0, 4)),
    "no key": np.zeros((2, 3, 0)),
    "neither": np.zeros((2, 0, 0)),
    "all hidden": np.full((2, 3, 4), -np.inf),
    "all at the lowest number": np.full((2, 3, 4), LOW, np.float32),
}
WAYS: list[dict[str, Any]] = [
    {"select": qa.ExactlyK(2)},
    {"select": qa.ExactlyK(2), "target": "zephyr:2"},
    {"select": qa.OneHot(), "objective": "hard", "target": "all-to-all"},
    {"select": qa.AtMostK(2), "objective": "output", "tie": qa.TieVariables(overlap=0.5, k=2)},
    {"select": qa.ExactlyK(2), "tie": qa.TieVariables(queries=True), "target": "zephyr:2"},
    {"select": qa.Budget(3), "objective": "redundancy", "tie": qa.TieVariables(((0, 1),))},
    {"select": qa.SoftWeights(3, k=2), "objective": "output", "target": "zephyr:2"},
    {"select": qa.SoftWeights(3), "objective": "sparsemax"},
    {"select": qa.SoftWeights(3), "objective": qa.LeastSquares(of="output")},
    {"select": qa.ExactlyK(2), "coupling": qa.Diversity(0.5, pairs="overlap")},
    {
        "select": qa.ExactlyK(2),
        "passes": [
            qa.Canonicalize(),
            qa.DropCouplers(budget=0.1),
            qa.Compress(budget=0.1),
            qa.Sparsify(nucleus=0.9),
            "insert-penalties{cardinality=grid}",
            qa.BinarizeWeights(),
            qa.Quantize(bits=8),
        ],
    },
]


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("way", WAYS)
def test_every_verb_of_attention_with_nothing_to_choose(
    name: str, way: dict[str, Any], tmp_path: Path
) -> None:
    scores = SCORES[name]
    heads, queries, keys = scores.shape
    vectors = np.ones((heads, keys, 3))
    options = {"target": None, "values": vectors, "keys": vectors} | way
    compiled = qa.compile(scores, heads, **options)
    compiled.save(tmp_path)
    compiled.write_html(tmp_path / "page.html")
    others = (compiled.rebind(scores), qa.load(tmp_path))
    for each in (compiled, *others, *qa.compile_batch([scores] * 2, heads, **options)):
        assert len(each.submissions) == 0
        assert each.losses.mass.shape == (heads, queries)
        rows = each.report(prove=True).rows
        assert rows["all"] == rows["empty"] == heads * queries
        assert not each.schedule(10).calls
        result = each.solve("anneal", seed=1)
        assert result.selected.shape == result.weights.shape == scores.shape
        assert not result.weights.any()
        assert result.empty.all()
        assert result.context is not None
        assert np.array_equal(result.context, np.zeros((heads, queries, 3)))
        assert result.feasible_share == 1.0
        assert np.isnan(result.output_errors(each.attention)).all()
    assert str(compiled).startswith("stage")
    assert "<svg" in compiled.html(result)
    assert compiled._repr_html_()
    assert result._repr_html_()
    assert len(result.plot(compiled.attention).axes) == 2 * heads
    if way.get("target") == "zephyr:2":
        title = compiled.draw().axes[0].get_title()
        assert title == "Nothing on zephyr 2: no row has a choice to make"
        with pytest.raises(qa.InputError, match="submission must be a whole number from 0 to 0"):
            compiled.draw(1)


def test_a_batch_may_have_choices_after_one_that_had_none() -> None:
    compiled = qa.compile(np.full((1, 2, 3), -np.inf), 1, select=qa.OneHot(), target="zephyr:2")
    scores = np.array([[[1.0, 3.0, 2.0], [-1e9, -1e9, 0.0]]])
    selected = compiled.rebind(scores).solve("anneal", seed=1).selected
    assert selected.tolist() == [[[False, True, False], [False, False, True]]]


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("target", ["none", "zephyr:2"])
def test_the_command_line_with_nothing_to_choose(
    name: str, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    scores = SCORES[name]
    np.savez("a.npz", scores=scores, value=np.ones((2, scores.shape[2], 3)))
    how = f"a.npz --keys 2 --target {target}"
    commands = [
        f"compile {how} -o out",
        "inspect out",
        "solve out",
        "report out -o page.html",
        f"bench {how} --repeats 1 --reads 3",
    ]
    if target != "none":
        commands.append("draw out -o chip.png")
    for command in commands:
        result = CliRunner().invoke(app, command.split())
        assert result.exit_code == 0, (command, result.output, result.exception)
        assert "nan" not in result.output


def test_no_heads_are_named() -> None:
    with pytest.raises(qa.InputError, match="heads must be a whole number of at least 1, not 0"):
        qa.compile(np.zeros((0, 2, 3)), 0, target=None)
    with pytest.raises(qa.InputError, match="scores hold 0 heads, but heads says 1"):
        qa.compile(np.zeros((0, 2, 3)), 1, target=None)
