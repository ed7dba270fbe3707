from __future__ import annotations

import html
import re
import shutil
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import qubo_attn as qa
from qubo_attn.decoding.decoders import weights_of
from qubo_attn.pipeline.pipeline import Fact
from qubo_attn.pipeline.rewrite import Rewrite, unchanged
from qubo_attn.report.page.outcome import compared
from tests.conftest import ROOT
from tests.support.greedy import top_k
from tests.support.markup import Reader, check, decoded

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # as if offline
    "--enable-logging=stderr",
    "--v=0",
)
WIDTHS, HEIGHT = (1280, 420), 2400
FIXTURES = ROOT / "fixtures" / "attention"


def same_run(page: str) -> str:
    """Return a page without what differs from run to run."""
    return re.sub(r'<span class="varies">[^<]*</span>', "", page)


@pytest.fixture(scope="module")
def market() -> dict[str, np.ndarray]:
    """12 heads x 30 x 30 of MiniLM."""
    with np.load(FIXTURES / "minilm_d08_L1_n30.npz") as file:
        return {name: file[name] for name in ("scores", "value", "tokens")}


@pytest.fixture(scope="module")
def compiled(market: dict[str, np.ndarray], cache: qa.EmbeddingCache) -> qa.CompiledAttention:
    return qa.compile(
        market["scores"],
        12,
        select=qa.ExactlyK(3),
        slots=8,
        objective="output",
        values=market["value"],
        target="zephyr:4",
        cache=cache,
    )


@pytest.fixture(scope="module")
def result(compiled: qa.CompiledAttention) -> qa.AttentionResult:
    return compiled.solve("anneal", seed=1, num_reads=8)


@pytest.fixture(scope="module")
def page(
    compiled: qa.CompiledAttention, result: qa.AttentionResult, market: dict[str, np.ndarray]
) -> str:
    return compiled.html(result, tokens=market["tokens"].tolist())


# -- the page in a browser ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def seen(page: str, tmp_path_factory: pytest.TempPathFactory) -> dict[object, tuple[str, str]]:
    """What a browser writes, and complains of, at both widths; and a page that measures itself.

    The browsers run side by side: most of their time goes into starting.
    """
    if CHROMIUM is None:
        pytest.skip("no chromium is installed: apt-get install -y chromium")
    folder = tmp_path_factory.mktemp("browser")
    # A browser's window is not as narrow as that, but a frame in it is; the page runs no script,
    # so what is around the frame measures it.
    measure = (
        "const d=this.contentDocument;document.title=[d.documentElement.scrollWidth,"
        "d.documentElement.clientWidth,"
        "[...d.querySelectorAll('.panel')].filter(p=>p.offsetHeight).length]"
    )
    copy = (
        f'<title></title><iframe style="width:{min(WIDTHS)}px;height:{HEIGHT}px;border:0" '
        f'onload="{measure}" srcdoc="{html.escape(page)}"></iframe>'
    )
    runs = {}
    for name, text, what in (
        *((width, page, f"--screenshot={folder / f'{width}.png'}") for width in WIDTHS),
        ("measured", copy, "--dump-dom"),
    ):
        file = folder / f"{name}.html"
        file.write_text(text, encoding="utf-8")
        size = name if isinstance(name, int) else max(WIDTHS)
        profile = f"--user-data-dir={folder / f'profile-{name}'}"
        command = [CHROMIUM, *FLAGS, profile, f"--window-size={size},{HEIGHT}", what, file.as_uri()]
        pipe = subprocess.PIPE
        runs[name] = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)
    answers = {name: run.communicate(timeout=120) for name, run in runs.items()}
    assert all(run.returncode == 0 for run in runs.values())
    for width in WIDTHS:
        answers[f"{width}.png"] = str(folder / f"{width}.png"), ""
    return answers


@pytest.mark.parametrize("width", WIDTHS)
def test_a_browser_shows_it_without_a_complaint(
    seen: dict[object, tuple[str, str]], width: int
) -> None:
    assert "CONSOLE" not in seen[width][1]
    data = Path(seen[f"{width}.png"][0]).read_bytes()
    assert struct.unpack(">II", data[16:24]) == (width, HEIGHT)
    assert len(data) > 50_000  # an empty picture of this size takes a tenth of that


def test_nothing_sticks_out_of_a_narrow_page(seen: dict[object, tuple[str, str]]) -> None:
    title = re.search(r"<title>([\d,]+)</title>", seen["measured"][0])
    assert title is not None
    wide, inner, panels = map(int, title[1].split(","))
    assert inner == min(WIDTHS)
    assert wide <= inner
    assert panels == 1  # of the head that is chosen


# -- what it holds ------------------------------------------------------------------------------


def test_the_page_stands_alone_and_is_small(page: str) -> None:
    read = check(page)
    assert len(page.encode()) < 3_000_000
    for name in (
        "attention", "row", "outcome", "proven", "pipeline", "chip", "chains", "precision", "time",
    ):  # fmt: skip
        assert name in read.ids
    assert "job" not in read.ids
    assert "default-src 'none'" in page
    for stage in ("output", "sparsify", "insert-penalties", "binarize-weights", "embed"):
        assert stage in read.text
    assert "“" in read.text  # the example row is called by its token


def test_the_same_compilation_gives_the_same_bytes(
    compiled: qa.CompiledAttention,
    result: qa.AttentionResult,
    page: str,
    market: dict[str, np.ndarray],
) -> None:
    again = compiled.rebind(market["scores"], values=market["value"])
    second = again.html(
        again.solve("anneal", seed=1, num_reads=8), tokens=market["tokens"].tolist()
    )
    # A placement that is taken over says so in its notes; nothing else may differ.
    gone = r"<ul class=\"notes\"><li>[^<]*(submissions|taken over)</li></ul>"
    assert re.sub(gone, "", same_run(second)) == re.sub(gone, "", same_run(page))


def test_its_numbers_are_those_of_the_result(
    compiled: qa.CompiledAttention, result: qa.AttentionResult, page: str
) -> None:
    attention = compiled.attention
    ours, plain, fair = compared(compiled.attention, result)
    assert fair.name == "top-k, residual (same decoder)"
    best = np.argsort(-attention.softmax, axis=-1, kind="stable")[..., :3]
    for rival, decoder in ((plain, "renormalise"), (fair, "residual")):
        for h, q in ((0, 0), (3, 7), (11, 29)):
            keys = best[h, q]
            assert set(np.flatnonzero(rival.kept[h, q])) == set(keys)
            p, v = attention.softmax[h, q], attention.values[h]
            exact = p @ v
            kept = p[keys] @ v[keys]
            if decoder == "renormalise":
                found = kept / p[keys].sum()
            else:
                found = kept + (1 - p[keys].sum()) * v.mean(axis=0)
            error = np.linalg.norm(found - exact) / np.linalg.norm(exact)
            assert rival.errors[h, q] == pytest.approx(error)
    assert f"{np.mean(ours.errors):.1%}" in Reader(page).text
    assert f"{np.mean(fair.errors):.1%}" in Reader(page).text


def test_optima_of_sampled_rows_are_searched_for_the_page(
    result: qa.AttentionResult, page: str
) -> None:
    found, text = result.optimality(), Reader(page).text
    assert f"{int((found.gap[found.proven] == 0).sum())} of them are at their optimum" in text
    assert f"optimum in {np.median(found.success):.1%} of cases" in text
    assert f"{np.ceil(np.median(found.reads_to_solution())):.0f} reads one is it" in text


def test_rows_that_were_solved_here_come_with_their_proof(compiled: qa.CompiledAttention) -> None:
    text = Reader(compiled.html(compiled.solve())).text
    assert "360 of 360 rows came with such a proof" in text
    assert "searched here from end to end" in text


def test_chances_on_the_page_are_those_of_precision(
    compiled: qa.CompiledAttention, page: str
) -> None:
    precision, text = compiled.precision(), Reader(page).text
    for column in (precision.feasible, precision.optimum):
        for rank in (50, 10):
            assert f"{np.percentile(column, rank, method='nearest'):.2g}" in text
    assert f"{np.percentile(precision.reads_for(0.99), 90, method='nearest'):,}" in text


def test_a_job_has_a_section(minilm: dict[str, np.ndarray], cache: qa.EmbeddingCache) -> None:
    machine = qa.SimulatedMachine("zephyr:2", seed=1)
    small = qa.compile(
        minilm["scores"][:2, :3], select=qa.ExactlyK(2), slots=4, target=machine, cache=cache
    )
    result = small.solve(machine, num_reads=20)
    read = check(small.html(result))
    assert "job" in read.ids
    assert f"SimulatedMachine answered {result.machine.programmings} call" in read.text
    assert f"{1000 * result.machine.access:,.1f} ms" in read.text
    for name in (*result.machine.ids, *result.machine.graph_ids):
        assert name in read.text


def test_maps_hold_the_attention(
    compiled: qa.CompiledAttention, result: qa.AttentionResult, page: str
) -> None:
    for head in (0, 7):
        softmax = compiled.attention.softmax[head]
        given = re.search(rf'<image id="g{head}" href="([^"]*)"', page)
        chosen = re.search(rf'<image id="s{head}" href="([^"]*)"', page)
        left = re.search(rf'<image id="c{head}" href="([^"]*)"', page)
        opacity = decoded(given[1])[..., 3] / 255.0
        assert np.abs(opacity**2 - softmax).max() < 0.01
        amber = decoded(chosen[1])[..., 0] > 200
        assert np.array_equal(amber, result.selected[head])
        grey = decoded(left[1])[..., 0] == 128
        assert (grey.sum(axis=-1) == 30 - 8).all()


# -- every kind of compilation ------------------------------------------------------------------


@dataclass(frozen=True)
class Loud:
    """Changes <b>nothing</b> & says so."""

    name: ClassVar[str] = "loud"
    needs: ClassVar[frozenset[Fact]] = frozenset()
    ensures: ClassVar[frozenset[Fact]] = frozenset()
    breaks: ClassVar[frozenset[Fact]] = frozenset()

    def apply(self, program: qa.Program) -> Rewrite:
        return unchanged(program, "left <i>alone</i>")


def cases() -> dict[str, dict[str, object]]:
    tie = qa.TieVariables.from_kv_head([0, 0, 1])
    return {
        "no machine": {"target": None},
        "all to all": {"target": "all-to-all"},
        "values": {"target": "zephyr:2", "objective": "output", "values": True},
        "soft": {
            "target": None,
            "objective": "output",
            "values": True,
            "select": qa.SoftWeights(3, k=2),
        },
        "levels": {"target": None, "objective": "sparsemax", "select": qa.SoftWeights(3)},
        "tied heads": {"target": "zephyr:2", "tie": tie},
        "tied queries": {"target": None, "tie": qa.TieVariables(queries=True)},
        "one hot": {"target": "pegasus:3", "select": qa.OneHot()},
        "budget": {"target": None, "select": qa.Budget(4)},
        "free": {"target": None, "select": qa.Unconstrained()},
        "all kept": {"target": "zephyr:2", "select": qa.ExactlyK(9)},
        "own pass": {"target": None, "passes": (Loud(), qa.InsertPenalties())},
    }


@pytest.mark.parametrize("name", cases())
def test_every_kind_of_compilation_has_a_page(
    name: str, minilm: dict[str, np.ndarray], cache: qa.EmbeddingCache
) -> None:
    options = {"select": qa.ExactlyK(2), "cache": cache} | cases()[name]
    scores = minilm["scores"][:3, :5, :9].copy()
    if options.pop("values", False):
        options["values"] = minilm["value"][:3, :9]
    scores[:, 3] = scores[:, 3] if name == "tied queries" else -np.inf
    compiled = qa.compile(scores, 3, **options)
    for result in (None, compiled.solve("anneal", seed=1, num_reads=4)):
        read = check(compiled.html(result))
        assert ("outcome" in read.ids) == (result is not None)
        assert ("chip" in read.ids) == (
            compiled.placement is not None and len(compiled.program) > 0
        )
    if name == "own pass":
        assert "Changes <b>nothing</b> & says so." in read.text
        assert "left <i>alone</i>" in read.text


@pytest.mark.parametrize("shape", [(1, 1, 4), (1, 6, 1), (2, 1, 40), (1, 12, 3)])
def test_odd_shapes(shape: tuple[int, int, int]) -> None:
    scores = np.random.default_rng(0).normal(size=shape)
    compiled = qa.compile(scores, shape[0], select=qa.ExactlyK(2), target=None)
    check(compiled.html(compiled.solve("anneal", seed=1, num_reads=2)))
    blind = qa.compile(np.full(shape, -np.inf), shape[0], select=qa.ExactlyK(2), target=None)
    assert "sees any key" in check(blind.html(blind.solve("anneal", seed=1))).text


def test_couplers_that_nobody_wrote_stay_unwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = np.random.default_rng(0).normal(size=(2, 3, 12))
    compiled = qa.compile(scores, 2, select=qa.ExactlyK(2), slots=6, target=None)
    assert compiled.stages[0].program.objective.is_late
    monkeypatch.setattr(sys.modules["qubo_attn.report.page.example_row"], "_MOST", 100)
    text = check(compiled.html()).text
    assert compiled.stages[0].program.objective.is_late
    assert "not written out" in text
    assert "terms=66" in text  # those of the example row are
    monkeypatch.undo()
    assert "not written out" not in check(compiled.html()).text


def test_what_the_user_wrote_is_text_and_no_markup(cache: qa.EmbeddingCache) -> None:
    nasty = "<script>alert('&')</script>"
    graph = qa.Target.zephyr(1).graph()
    target = qa.Target.from_graph(graph)
    target = qa.Target(
        target.topology, target.shape, target.qubits, target.couplers, target.properties, nasty
    )
    compiled = qa.compile(
        np.random.default_rng(0).normal(size=(1, 3, 3)),
        1,
        select=qa.OneHot(),
        target=target,
        cache=cache,
    )
    read = check(compiled.html(tokens=[nasty, '"', "Ġword"]))
    assert nasty in read.text
    assert "word" in read.text
    assert "Ġ" not in read.text
    with pytest.raises(qa.InputError, match="tokens names 2 keys, but there are 3"):
        compiled.html(tokens="ab")


def test_programs_of_any_pipeline_have_a_page(cache: qa.EmbeddingCache) -> None:
    query, key, value = np.random.default_rng(0).normal(size=(3, 2, 3, 4))
    program = qa.qama_program(query, key, value, bits=2)
    embed = qa.Embed(qa.Target.zephyr(2), cache)
    stages = qa.Pipeline((qa.Quantize(bits=8), embed)).run(program)
    read = check(qa.stages_page(stages, "QAMA <1>"))
    assert {"pipeline", "chip", "chains"} <= set(read.ids)
    assert "QAMA <1>" in read.text
    with pytest.raises(qa.InputError, match="no stages"):
        qa.stages_page([])


def test_top_k_keeps_as_many_keys_as_the_row(
    compiled: qa.CompiledAttention, result: qa.AttentionResult
) -> None:
    attention = compiled.attention
    chosen = top_k(attention.softmax, attention.visible, result.selected.sum(axis=-1))
    again = weights_of("residual", attention, chosen)
    assert again.sum(axis=-1) == pytest.approx(1.0)
    assert (compared(compiled.attention, result)[1].kept.sum(-1) == result.selected.sum(-1)).all()
