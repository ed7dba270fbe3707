from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

import qubo_attn as qa
from tests.support.markup import Reader

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def compiled(minilm: dict[str, np.ndarray], cache: qa.EmbeddingCache) -> qa.CompiledAttention:
    return qa.compile(
        minilm["scores"][:3, :4], 3, select=qa.ExactlyK(2), target="zephyr:2", cache=cache
    )


def test_things_show_themselves_in_a_notebook(compiled: qa.CompiledAttention) -> None:
    result = compiled.solve("anneal", seed=1, num_reads=2)
    things = (
        compiled,
        compiled.program,
        compiled.report(),
        compiled.stages[1],
        compiled.stages[1].rewrite,
        result,
    )
    for thing in things:
        html = thing._repr_html_()
        assert len(html) < 40_000
        read = Reader(html)
        assert "<script" not in html
        assert all(link.startswith("data:") for link in read.links)
        assert read.text.strip()
    text = Reader(compiled._repr_html_()).text
    assert "3 heads × 4 queries × 10 keys" in text
    assert "zephyr 2" in text
    assert len(Reader(result._repr_html_()).links) == 3
    assert "variables=120" in Reader(compiled.program._repr_html_()).text
    part, table = compiled.submissions[0], compiled.submissions._repr_html_()
    for number in (len(part.rows), len(part.variables), part.qubits, part.longest_chain):
        assert re.search(rf">{number:,}</td>", table)
    logical = qa.compile(compiled.attention.logits, select=qa.OneHot(), target=None)
    assert "–" in logical.submissions._repr_html_()


def test_every_object_is_one_line_and_has_a_view(compiled: qa.CompiledAttention) -> None:
    """However large: no array is spelled out."""
    machine = qa.SimulatedMachine("zephyr:2", seed=1)
    result, job = compiled.solve(seed=1), compiled.submit(machine, reads=10)
    quick = qa.LocalSolver().solve(compiled.stages[0].program)
    shown = (
        compiled,
        compiled.stages[2],
        compiled.stages[2].rewrite,
        compiled.stages[2].lift,
        compiled.program,
        compiled.submissions,
        compiled.submissions[0],
        compiled.certificates,
        compiled.placement,
        compiled.recipe,
        compiled.attention,
        compiled.recipe.target,
        compiled.losses,
        compiled.report(),
        compiled.schedule(),
        compiled.precision(),
        result,
        result.optimality(),
        quick,
        job,
    )
    for thing in shown:
        assert len(repr(thing)) <= 300, repr(thing)
        assert "\n" not in repr(thing)
        assert "array(" not in repr(thing)
        assert Reader(thing._repr_html_()).text.strip()
    assert repr(compiled.submissions) == "Submissions of 3"
    assert repr(compiled).startswith(
        "CompiledAttention(attention=Attention(logits=float64[3, 4, 10]"
    )
    values = qa.compile(compiled.attention.logits, values=np.ones((3, 10, 2)), target=None)
    assert len(repr(values.solve(seed=1).beside(values))) <= 300


def test_pictures_show_themselves(compiled: qa.CompiledAttention) -> None:
    pytest.importorskip("matplotlib")
    result = compiled.solve(seed=1)
    for figure in (compiled.draw(), result.plot()):
        assert figure._repr_png_()[:8] == PNG
    (axes, *_) = result.plot().axes
    assert all(float(tick).is_integer() for tick in axes.get_xticks())


def test_an_empty_result_shows_itself() -> None:
    compiled = qa.compile(np.zeros((1, 0, 3)), 1, target=None)
    assert "0 rows" in Reader(compiled.solve()._repr_html_()).text


def test_couplers_that_nobody_wrote_stay_unwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["qubo_attn.report.page.example_row"], "_MOST", 100)
    scores = np.random.default_rng(0).normal(size=(2, 3, 12))
    compiled = qa.compile(scores, 2, select=qa.ExactlyK(2), slots=6, target=None)
    first = compiled.stages[0].program
    assert "stage" in Reader(compiled._repr_html_()).text
    assert first.objective.is_late


def test_labels_are_escaped() -> None:
    program = qa.Program.parse("x[0,0,0] : 1\n")
    stages = qa.Pipeline((qa.Canonicalize(),)).run(program)
    html = stages[0]._repr_html_()
    assert Reader(html).text.startswith("canonicalize")


def test_plots_show_given_and_selected(compiled: qa.CompiledAttention, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    result, file = compiled.solve("anneal", seed=1, num_reads=2), tmp_path / "heads.png"
    figure = result.plot(compiled.attention, heads=[2, 0], file=file)
    assert file.read_bytes()[:8] == PNG
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["head 2, given", "head 0, given", "head 2, selected", "head 0, selected"]
    (image,) = figure.axes[3].get_images()
    amber = np.asarray(image.get_array())[..., 0] > 200
    assert np.array_equal(amber, result.selected[0])
    assert len(result.plot().axes) == 3
    with pytest.raises(qa.InputError, match="head must be a whole number from 0 to 2, not 3"):
        result.plot(heads=[3])
    other = qa.compile(np.zeros((1, 2, 3)), 1, target=None)
    with pytest.raises(qa.InputError, match=r"pass compiled\.attention"):
        result.plot(other.attention)


def test_without_matplotlib_the_error_says_what_to_install(
    compiled: qa.CompiledAttention, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(qa.MissingExtraError, match=r"pip install matplotlib \(extra \[plot\]\)"):
        compiled.solve("anneal", seed=1, num_reads=2).plot()
