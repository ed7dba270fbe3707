"""``calibrate``: the cheapest settings that keep an error, the plan they make, and its use."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qubo_attn as qa
from qubo_attn.frontend.plan import LayerPlan, Setting
from tests.conftest import ROOT

MINILM = ROOT / "fixtures" / "attention" / "minilm_d02_L1_n10.npz"
# Of transformers, on its own deprecations.
pytestmark = pytest.mark.filterwarnings("ignore")


def layer_of(seed: int = 0, heads: int = 3, sharp: float = 3.0) -> qa.CapturedAttention:
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(heads, 8, 12)) * np.linspace(0.5, sharp, heads)[:, None, None]
    values = rng.normal(size=(heads, 12, 4))
    return qa.CapturedAttention("attn", scores, values, values)


def errors_of(layer: qa.CapturedAttention, head: int, setting: Setting) -> float:
    """Return the mean error of a head by itself, over all selections, without the solver."""
    scores, values = layer.scores[head], layer.values[head]
    errors = []
    for row in scores:
        p = np.exp(row - row.max())
        p /= p.sum()
        exact, mean = p @ values, values.mean(0)
        best = min(
            np.linalg.norm(mean + p[list(kept)] @ (values[list(kept)] - mean) - exact)
            for kept in itertools.combinations(range(len(p)), setting.k)
        )
        errors.append(best / np.linalg.norm(exact))
    return float(np.mean(errors))


def test_each_head_takes_the_first_setting_that_keeps_the_error() -> None:
    """As enumerated: all keys are slots, so optima are those over all selections."""
    layer, budget, ks = layer_of(), 0.15, (1, 2, 4, 6)
    plan = qa.calibrate([layer], error=budget, k=ks, levels=(None,), queries=None)
    (planned,) = plan.layers
    chosen = []
    for head in range(3):
        errors = {k: errors_of(layer, head, Setting(k)) for k in ks}
        first = next(k for k in ks if errors[k] <= budget)
        chosen.append(first)
        assert planned.heads[head] == Setting(first)
        assert planned.errors[head] == pytest.approx(errors[first], abs=1e-9)
    assert len(set(chosen)) > 1
    assert plan["attn"] is planned
    # What compile takes gives the same errors, all heads together.
    compiled = qa.compile(**layer.arrays, **planned.options, target=None)
    errors = compiled.solve().output_errors(compiled.attention).mean(axis=1)
    np.testing.assert_allclose(errors, planned.errors, atol=1e-9)


def test_a_layer_as_a_whole_has_one_setting() -> None:
    layer, ks = layer_of(), (1, 2, 4, 6)
    for budget in (0.1, 0.3):
        plan = qa.calibrate([layer], error=budget, per="layer", k=ks, levels=(None,), queries=None)
        means = {k: np.mean([errors_of(layer, h, Setting(k)) for h in range(3)]) for k in ks}
        first = next(k for k in ks if means[k] <= budget)
        assert plan.layers[0].heads == (Setting(first),) * 3
        assert plan.layers[0].error == pytest.approx(means[first], abs=1e-9)
        assert plan.layers[0].options["select"] == qa.ExactlyK(first)


def test_settings_are_tried_in_the_order_that_the_docs_say() -> None:
    from qubo_attn.models.calibrate import _settings

    order = _settings((4, 2), (3, None), (None, 8), ("mean", "carried"))
    assert order[:4] == (
        Setting(2, None, 8), Setting(2, None, 8, "carried"),
        Setting(2, None, 16), Setting(2, None, 16, "carried"),
    )  # fmt: skip
    assert [s.levels for s in order[:8]] == [None] * 4 + [3] * 4
    assert [s.k for s in order] == [2] * 8 + [4] * 8
    plan = qa.calibrate([layer_of()], error=0.05, k=(2, 4), levels=(None, 3), queries=None)
    # With levels, fewer keys do.
    assert {s.levels for one in (*plan.layers, *plan.left) for s in one.heads} >= {3}


def test_a_layer_that_no_setting_serves_is_named_and_left() -> None:
    plan = qa.calibrate([layer_of()], error=0.01, k=(1, 2), levels=(None,))
    assert plan.layers == ()
    (left,) = plan.left
    assert max(left.errors) > 0.01
    assert {setting.k for setting in left.heads} == {2}
    assert "left on its own attention: attn (head" in str(plan)
    assert plan.options == {}


def test_a_plan_is_kept_as_json(tmp_path: Path) -> None:
    layers = [layer_of(), qa.CapturedAttention("other", *list(layer_of(1).arrays.values()))]
    plan = qa.calibrate(layers, error=0.15, backgrounds=("mean", "carried"), target="zephyr:3")
    assert plan == qa.calibrate(
        layers, error=0.15, backgrounds=("mean", "carried"), target="zephyr:3"
    )
    plan.save(tmp_path / "plan.json")
    first = (tmp_path / "plan.json").read_bytes()
    read = qa.Plan.load(tmp_path / "plan.json")
    assert read == plan
    read.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == first
    content = json.loads(first)
    for change, message in (
        ({"format": "x"}, "its format is 'x'"),
        ({"layers": [{}]}, "lacks 'heads'"),
        ({"error": -1}, "error must be"),
        ({"per": "row"}, "unknown per"),
    ):
        (tmp_path / "bad.json").write_text(json.dumps(content | change))
        with pytest.raises(qa.InputError, match=f"bad.json does not read as a plan: .*{message}"):
            qa.Plan.load(tmp_path / "bad.json")


def test_programmings_and_machine_time_are_those_of_a_compilation() -> None:
    layer = layer_of()
    plan = qa.calibrate([layer, layer], error=0.15, levels=(None,), target="zephyr:3", reads=500)
    (planned,) = plan.layers
    compiled = qa.compile(**layer.arrays, **planned.options, target="zephyr:3")
    calls = compiled.schedule(500)
    # Two texts of one layer.
    assert plan.programmings == planned.programmings == 2 * len(calls.calls)
    assert plan.microseconds == pytest.approx(2 * calls.microseconds)
    assert f"{plan.programmings} programmings of 500 reads" in str(plan)
    assert all(len(line) <= 50 for line in plan.text(50).splitlines())


def test_files_are_layers(tmp_path: Path) -> None:
    plan = qa.calibrate(MINILM, error=0.2)
    assert [one.layer for one in plan.layers] == ["minilm_d02_L1_n10"]
    np.savez(tmp_path / "bare.npz", scores=np.eye(10))
    for source, message in (
        (tmp_path / "bare.npz", "layer bare has no values"),
        ([], "source is empty"),
        ([3], "source must be a model"),
        (tmp_path / "none.npz", "none.npz"),
    ):
        with pytest.raises(qa.InputError, match=message):
            qa.calibrate(source)
    for options, message in (
        ({"inputs": "a text"}, "inputs= is for models"),
        ({"k": ()}, "k is empty"),
        ({"k": (0,)}, "k must be"),
        ({"levels": (0,)}, "levels must be"),
        ({"backgrounds": ("grey",)}, "unknown background"),
        ({"eror": 0.1}, "did you mean 'error'"),
    ):
        with pytest.raises(qa.InputError, match=message):
            qa.calibrate(MINILM, **options)


def test_only_queries_that_see_a_key_are_measured() -> None:
    layer = layer_of()
    scores = layer.scores.copy()
    scores[:, :5] = -np.inf
    padded = qa.CapturedAttention("attn", scores, layer.values, layer.keys)
    alone = qa.CapturedAttention("attn", layer.scores[:, 5:], layer.values, layer.keys)
    plans = [qa.calibrate([one], error=0.15, queries=2).layers for one in (padded, alone)]
    assert plans[0] == plans[1]


# -- models ----------------------------------------------------------------------------------------


def small(kind: str) -> tuple[Any, Any]:
    """Return a model and the function that makes its inputs of a seed."""
    pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("transformers", minversion="4.53")
        from tests.support.small_models import KINDS, inputs_of, model_of
    if kind not in KINDS:
        pytest.skip("its attention goes through the interface since transformers 5")
    return model_of(kind, "sdpa"), lambda seed: inputs_of(kind, seed=seed)


def test_a_plan_of_one_text_keeps_about_its_error_on_another(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    model, given = small("llama")
    texts = [{"input_ids": given(seed)["input_ids"].reshape(1, -1)} for seed in (1, 2, 3)]
    plan = qa.calibrate(model, texts[:2], error=0.1, k=(1, 2, 4, 8), queries=None)
    assert [one.layer for one in plan.layers] == [
        "model.layers.0.self_attn", "model.layers.1.self_attn",
    ]  # fmt: skip
    assert all(max(one.errors) <= 0.1 for one in plan.layers)
    plan.save(tmp_path / "plan.json")
    from qubo_attn.torch import use_annealed_attention

    for given_plan in (plan, tmp_path / "plan.json"):
        with (
            torch.no_grad(),
            use_annealed_attention(model, plan=given_plan, keep_results=True) as annealed,
        ):
            model(**texts[2])
        report = annealed.report()
        assert [one.layer for one in report.layers] == [one.layer for one in plan.layers]
        assert all(layer.error <= 1.3 * 0.1 for layer in report.layers)
        # Each head keeps as many keys as the plan says.
        for name, result in annealed.results.items():
            most = [setting.k for setting in plan[name].heads]
            kept = result.selected.sum(-1).max(-1).tolist()
            assert kept == most
    with torch.no_grad():
        first = use_annealed_attention(model, plan=plan)
        model(**texts[0])
        first.restore()
    # On the text itself, the first layer has the error of the plan.
    ours = qa.calibrate(model, texts[0], error=0.1, k=(1, 2, 4, 8), queries=None, layers=[0])
    with torch.no_grad(), use_annealed_attention(model, plan=ours) as annealed:
        model(**texts[0])
    assert annealed.report().layers[0].error == pytest.approx(ours.layers[0].error, abs=1e-6)


def test_layers_that_are_called_several_times_have_one_plan() -> None:
    model, given = small("albert")
    (planned,) = qa.calibrate(model, given(1), error=0.3, k=(1, 2, 4), queries=None).layers
    calls = [qa.capture(model, given(1), 0, call=call) for call in (0, 1)]
    errors = []
    for call in calls:
        compiled = qa.compile(**call.arrays, **planned.options, target=None)
        errors.append(compiled.solve().output_errors(compiled.attention).mean(axis=1))
    np.testing.assert_allclose(planned.errors, np.mean(errors, axis=0), atol=1e-6)


def test_what_a_plan_says_is_not_said_again() -> None:
    model, _ = small("llama")
    from qubo_attn.torch import use_annealed_attention

    setting = LayerPlan("model.layers.0.self_attn", (Setting(2),), (0.1,))
    plan = qa.Plan(0.1, "head", (setting,), ())
    for options, message in (
        ({"layers": [0]}, "give plan= or layers="),
        ({"select": qa.ExactlyK(2)}, "give plan= or select="),
        ({"objective": "hard"}, "give plan= or objective="),
        ({"plan": qa.Plan(0.1, "head", (), ())}, "the plan has no layer"),
        ({"plan": 3}, "plan must be a qubo_attn.Plan"),
        ({"plan": qa.Plan(0.1, "head", (LayerPlan("x", (Setting(2),), (0.1,)),), ())}, "layer 'x'"),
    ):
        with pytest.raises(qa.InputError, match=message):
            use_annealed_attention(model, **({"plan": plan} | options))
    with pytest.raises(qa.InputError, match="a model needs inputs="):
        qa.calibrate(model)


def test_calibrating_files_loads_no_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        f"import qubo_attn as qa; print(qa.calibrate({str(MINILM)!r}, error=0.3).left)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "()\n"
