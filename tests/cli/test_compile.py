from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import qubo_attn as qa
from qubo_attn.cli import app
from tests.conftest import ROOT

FILE = str(ROOT / "fixtures" / "attention" / "smollm2-causal_d06_L14_n19.npz")


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = str(tmp_path_factory.mktemp("compiled") / "out")
    text = run("compile", FILE, "--keys", "4", "--objective", "output", "-o", folder)
    assert text.splitlines()[:2] == [
        "rows: 171 (9 heads, 19 queries, 19 keys), select ExactlyK(k=4); 27 see too few keys and "
        "keep all of them",
        "objective: output",
    ]
    assert text.splitlines()[-1].startswith(f"verdict: ready in {folder}")
    assert len(text.splitlines()) == 7
    return folder


def test_solve_compares_with_top_k(compiled: str, tmp_path: Path) -> None:
    out = tmp_path / "result.npz"
    facts = json.loads(run("solve", compiled, "--json", "-o", str(out)))
    assert facts["feasible"] == 1
    assert facts["rows"] == 171
    assert facts["error_ours"] <= facts["error_top-k residual"] < facts["error_top-k renormalise"]
    with np.load(out) as result:
        assert result["selected"].shape == (9, 19, 19)
        assert result["context"].shape == (9, 19, 64)
    text = run("solve", compiled, "--reads", "4")
    assert "mean relative output error: ours" in text
    assert "less output error than top-k, residual (same decoder)" in text.splitlines()[-1]
    assert "repair of other reads" not in text
    assert "repair of other reads" in run("solve", compiled, "--reads", "4", "-v")


def test_values_choose_the_objective(tmp_path: Path) -> None:
    out, options = str(tmp_path / "out"), ("--keys", "4", "--target", "none")
    facts = json.loads(run("compile", FILE, *options, "-o", out, "--json"))
    assert facts["objectives"] == ["output"]
    plain = ("--objective", "hard")
    assert "--force replaces" in run("compile", FILE, *options, *plain, "-o", out, code=3)
    run("compile", FILE, *options, *plain, "-o", out, "--force")
    facts = json.loads(run("solve", out, "--json"))
    assert facts["same_as_top_k"] == facts["seeing"] == 171
    assert "verdict: the selection equals top-k in every row\n" in run("solve", out)


def test_backgrounds_and_output_projections(tmp_path: Path) -> None:
    file, out = str(tmp_path / "layer.npz"), str(tmp_path / "out")
    generator = np.random.default_rng(4)
    with np.load(FILE) as held:
        arrays = {name: held[name] for name in ("scores", "value", "kv_head")}
    np.savez(file, output_projection=generator.normal(size=(64, 9 * 64)), **arrays)
    options = ("--keys", "3", "--target", "none", "-o", out, "--force", "--json")
    facts = json.loads(run("compile", file, *options, "--background", "carried"))
    assert facts["objectives"] == ["output"]
    facts = json.loads(run("solve", out, "--json"))
    assert facts["error_ours"] < facts["error_top-k residual"]
    page = tmp_path / "page.html"
    run("report", out, "-o", str(page))
    assert "top-k, residual (same decoder)" in page.read_text()
    run("compile", file, *options, "--output-projection", "output_projection")
    assert qa.load(out).attention.projection is not None
    facts = json.loads(run("compile", file, *options, "--objective", "layer", "--slots", "4"))
    assert facts["objectives"] == ["layer"]
    facts = json.loads(run("compile", file, *options, "--objective", "renormalised"))
    assert facts["objectives"] == ["renormalised"]
    text = run("compile", file, *options, "--objective", "hard", "--background", "auto", code=2)
    assert "--background goes with" in text.replace("\n", " ")
    text = run("compile", FILE, *options, "--objective", "layer", code=3)
    assert "no array named output_projection" in text.replace("\n", " ")


def test_probabilities(tmp_path: Path) -> None:
    file, out = tmp_path / "p.npz", str(tmp_path / "out")
    with np.load(FILE) as held:
        weights = np.exp(held["scores"] - held["scores"].max(axis=-1, keepdims=True))
    np.savez(file, scores=weights / weights.sum(axis=-1, keepdims=True))
    options = (str(file), "--keys", "4", "--target", "none", "-o", out)
    assert "--probabilities" in run("compile", *options, code=3)
    facts = json.loads(run("compile", *options, "--probabilities", "--json"))
    assert facts["rows"]["capped"] == 27
    text = run("solve", out)
    assert "equals top-k in every row; give values" in text


def test_levels_make_kept_keys_soft(compiled: str, tmp_path: Path) -> None:
    hard = json.loads(run("solve", compiled, "--json"))
    folder = str(tmp_path / "soft")
    options = ("--keys", "4", "--levels", "3", "--objective", "output", "--target", "none")
    run("compile", FILE, *options, "-o", folder)
    assert json.loads(run("solve", folder, "--json"))["error_ours"] < hard["error_ours"]


def test_inspect(compiled: str) -> None:
    facts = json.loads(run("inspect", compiled, "--json"))
    assert [stage["name"] for stage in facts["stages"]][-1] == "embed"
    assert sum(facts["chains"].values()) == facts["stages"][-1]["variables"]
    text = run("inspect", compiled)
    assert "longest chain" in text
    assert "zephyr 12 (4800 qubits, 45864 couplers)" in text


def test_machine_time_is_told(compiled: str) -> None:
    facts = json.loads(run("inspect", compiled, "--reads", "20000", "--json"))
    assert facts["machine"]["calls"] == 3 * len(facts["submissions"])
    assert "auto-scale" in run("inspect", compiled)
    assert "machine time: " in run("solve", compiled, "--reads", "4")
    assert "reads must be a whole number" in run("inspect", compiled, "--reads", "0", code=3)


def test_draw(compiled: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    out = tmp_path / "chip.png"
    assert f"wrote {out}" in run("draw", compiled, "-o", str(out))
    assert out.stat().st_size > 10_000
    assert json.loads(run("draw", compiled, "-o", str(out), "--json"))["file"] == str(out)
    text = run("draw", compiled, "-o", str(out), "--submission", "9", code=3)
    assert "not 9" in text


def test_cache(compiled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = json.loads(run("cache", "ls", "--json"))
    assert any(entry["shape"] == "K16" for entry in entries)
    assert "K16 on zephyr 12" in run("cache", "ls")
    monkeypatch.setenv("QUBO_ATTN_CACHE", str(tmp_path))
    assert "0 embeddings" in run("cache", "ls")
    assert "0 embeddings deleted" in run("cache", "clear")


def test_cache_commands(tmp_path: Path) -> None:
    a, b, file = str(tmp_path / "a"), str(tmp_path / "b"), str(tmp_path / "cache.zip")
    warm = ("cache", "warm", "--target", "zephyr:2", "--folder", a)
    facts = json.loads(run(*warm, "--shapes", "K4,8", "--json"))
    assert [(fact["shape"], fact["how"]) for fact in facts] == [("K4", "new"), ("K8", "new")]
    assert "copies, kept" in run(*warm, "--shapes", "K8", "--anew")
    assert "2 embeddings checked, 0 bad" in run("cache", "verify", "--folder", a)
    assert json.loads(run("cache", "export", file, "--folder", a, "--json"))["written"] == 2
    facts = json.loads(run("cache", "import", file, "--folder", b, "--json"))
    assert (facts["imported"], facts["known"], facts["bad"]) == (2, 0, {})
    assert "0 imported, 2 known before" in run("cache", "import", file, "--folder", b)
    (bad, _) = sorted((tmp_path / "b").glob("*/*.packing"))
    bad.write_bytes(b"damaged")
    facts = json.loads(run("cache", "verify", "--folder", b, "--json", code=11))
    assert list(facts["bad"]) == [str(bad)]
    assert f"{bad.parent.name}/{bad.name}" in run("cache", "export", file, "--folder", b)
    assert "damaged" in run("cache", "ls", "--folder", b)
    found = run("cache", "verify", "--folder", b, "--target", "zephyr:3")
    assert "0 embeddings checked" in found
    assert json.loads(run("cache", "clear", "--folder", b, "--json"))["deleted"] == 2


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (("warm", "--target", "zephyr:2", "--shapes", "K4,Q8"), "not 'Q8'", 3),
        (("warm", "--target", "all-to-all", "--shapes", "K4"), "has no working graph", 6),
        (("warm", "--target", "zephyr:1", "--shapes", "K40"), "would fit", 5),
        (("import", FILE + ".absent"), "there is no file", 3),
        (("import", __file__), "is not a zip archive", 3),
    ],
)
def test_cache_errors(arguments: tuple[str, ...], message: str, code: int, tmp_path: Path) -> None:
    text = run("cache", *arguments, "--folder", str(tmp_path), code=code)
    assert message in text
    assert "Traceback" not in text


def test_bare_scores(tmp_path: Path) -> None:
    file = tmp_path / "scores.npy"
    np.save(file, np.random.default_rng(0).normal(size=(2, 3, 10)))
    out = str(tmp_path / "out")
    facts = json.loads(run("compile", str(file), "-o", out, "--target", "none", "--json"))
    assert facts["target"] is None
    assert "error_ours" not in json.loads(run("solve", out, "--json"))


@pytest.mark.parametrize("tie", ["kv-head", "none"])
def test_tying(tie: str, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    facts = json.loads(run("compile", FILE, "--tie", tie, "-o", out, "--target", "none", "--json"))
    names = [stage["name"] for stage in facts["stages"]]
    assert ("tie-variables" in names) == (tie == "kv-head")


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (("absent.npz",), "there is no file absent.npz", 3),
        ((FILE, "--keys", "0"), "k must be a whole number of at least 1, not 0", 3),
        ((FILE, "--objective", "best"), "unknown objective 'best'", 3),
        ((FILE, "--objective", "ouput"), "; did you mean 'output'?", 3),
        ((FILE, "--scores", "score"), "did you mean 'scores'?", 3),
        ((FILE, "--select", "atmost"), "; did you mean 'at-most'?", 3),
        ((FILE, "--chain-strength", "torqe"), "; did you mean 'torque'?", 3),
        ((FILE, "--target", "moon"), "unknown target 'moon'", 6),
        ((FILE, "--target", "zephyr"), "zephyr needs a size of at least 1, as in zephyr:12", 6),
        ((FILE, "--keys", "40"), "no row has a choice to make: a row sees at most 19 keys", 3),
        ((FILE, "--target", "absent.json"), "there is no file absent.json", 6),
        ((FILE, "--objective", "layer"), "no array named output_projection", 3),
        ((FILE, "--target", "zephr:12"), "; did you mean 'zephyr'?", 6),
        ((FILE, "--tie", "all"), "unknown --tie 'all'; one of none, kv-head, kv", 3),
        ((FILE, "--tie", "kv"), "cannot share one selection", 7),
        ((FILE, "--slots", "0"), "slots must be a whole number", 3),
        ((FILE, "--passes", "sparsfy"), "unknown pass 'sparsfy'; did you mean 'sparsify'?", 7),
        ((FILE, "--passes", "sparsify{slot=4}"), "no option 'slot'; did you mean 'slots'?", 7),
        ((FILE, "--passes", "default, sparsify"), "put sparsify before insert-penalties", 7),
        ((FILE, "--passes", "default, embed"), "embed is not named: a target brings it", 7),
        ((FILE, "--slots", "few"), "--slots", 2),
        ((FILE, "--target", "zephyr:1", "--keys", "18"), "would fit", 5),
        ((FILE, "--select", "one-hot", "--keys", "2"), "takes no --keys", 2),
        ((FILE, "--select", "exactly", "--levels", "2"), "--levels goes with", 2),
        ((FILE, "--passes", "sparsify", "--slots", "4"), "--slots shapes the default", 2),
        ((FILE, "--passes", "sparsify", "--tie", "kv"), "--tie shapes the default", 2),
        ((FILE, "--kys", "2"), "--kys", 2),
    ],
)
def test_errors_are_one_line_and_a_code(
    arguments: tuple[str, ...], message: str, code: int, tmp_path: Path
) -> None:
    text = run("compile", *arguments, "-o", str(tmp_path / "out"), code=code)
    assert f"error: {message}" in text or message in text
    assert "Traceback" not in text


def test_files_without_scores_are_named(tmp_path: Path) -> None:
    file = tmp_path / "odd.npz"
    np.savez(file, weights=np.zeros(3))
    text = run("compile", str(file), "-o", str(tmp_path / "out"), code=3)
    assert "holds no array named scores (found weights)" in text


def test_rows_larger_than_the_machine_are_solved_in_rounds(tmp_path: Path) -> None:
    file, out = str(tmp_path / "cache.npz"), str(tmp_path / "out")
    generator = np.random.default_rng(1)
    scores, value = generator.normal(size=(2, 2, 50)), generator.normal(size=(2, 50, 4))
    np.savez(file, scores=scores, value=value, kv_head=[0, 0])
    options = ("--keys", "9", "--tie", "kv", "--target", "zephyr:2", "-o", out)
    text = run("compile", file, *options, "--slots", "50", code=5)
    assert "decompose=" in text
    facts = json.loads(run("compile", file, *options, "--decompose", "auto", "--json"))
    assert {"split-rows"} < {stage["name"] for stage in facts["stages"]}
    run("compile", file, *options, "--decompose", "12", "--force")
    facts = json.loads(run("solve", out, "--json"))["blocks"]
    assert facts["searches"] == 0
    assert facts["stop"] in ("optimal", "no block improves")
    assert facts["energies"] == sorted(facts["energies"], reverse=True)
    assert "ended by: no block improves" in run("solve", out, "--restarts", "1")
    text = run("solve", out, "--rounds", "2")
    assert "blocks: 2 rounds over blocks of 1 component: " in text
    assert "ended by: rounds" in text
    text = run("compile", file, *options, "--force", "--decompose", "some", code=3)
    assert "a number of keys, at least 2, or 'auto', not 'some'" in text.replace("\n", " ")
    options = ("--decompose", "8", "--passes", "sparsify", "-o", out, "--force")
    text = run("compile", file, *options, code=2)
    assert "--decompose shapes the default passes" in text.replace("\n", " ")
