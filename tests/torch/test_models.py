"""Annealed attention in models of transformers, random weights in the shapes of well-known ones."""

from __future__ import annotations

import inspect
import subprocess
import sys
import warnings
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what transformers imports warns of its own matters
    transformers = pytest.importorskip("transformers", minversion="4.53")

from torch import nn  # noqa: E402

import qubo_attn as qa  # noqa: E402
from qubo_attn.torch import (  # noqa: E402
    AnnealedAttention,
    Annealing,
    register,
    replace_attention,
    use_annealed_attention,
)
from tests.support.small_models import KINDS, PADDING, WORDS, inputs_of, model_of  # noqa: E402

# Of transformers, on its own deprecations.
pytestmark = pytest.mark.filterwarnings("ignore")

ALL = qa.ExactlyK(1000)
FEW = qa.ExactlyK(2)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """The matrices are tiny: threads only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.no_grad():
        yield
    torch.set_num_threads(threads)


def cache_of(model: Any, output: Any) -> dict[str, Any]:
    """Return the cache of an output as the next call takes it."""
    takes = inspect.signature(model.forward).parameters
    return {"cache" if "cache" in takes else "past_key_values": output.past_key_values}


def logits(model: Any, given: dict[str, Any]) -> Any:
    """Return the logits of what is no padding."""
    out = model(**given).logits
    mask = given.get("attention_mask")
    return out if mask is None or mask.dim() != 2 else out[mask.bool()]


# -- the model's own logits ------------------------------------------------------------------------


@pytest.mark.parametrize("padding", PADDING)
@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
@pytest.mark.parametrize("kind", KINDS)
def test_with_all_keys_kept_logits_are_the_models_own(
    kind: str, implementation: str, padding: str
) -> None:
    if kind == "vit" and padding != "none":
        return  # an image has none
    model, given = model_of(kind, implementation), inputs_of(kind, padding)
    own = logits(model, given)
    with use_annealed_attention(model, ALL):
        torch.testing.assert_close(logits(model, given), own, rtol=0, atol=1e-4)
    with use_annealed_attention(model, FEW):
        assert (logits(model, given) - own).abs().max() > 1e-2
    assert torch.equal(logits(model, given), own)


@pytest.mark.parametrize(("dtype", "share"), [(torch.bfloat16, 0.03), (torch.float16, 0.004)])
@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_is_that_of_the_models_own(kind: str, dtype: Any, share: float) -> None:
    model, given = model_of(kind).to(dtype), inputs_of(kind, "left" if kind != "vit" else "none")
    given = {k: v.to(dtype) if v.is_floating_point() else v for k, v in given.items()}
    own = logits(model, given)
    with use_annealed_attention(model, ALL):
        ours = logits(model, given)
    assert ours.dtype == dtype
    # Eight or eleven bits of mantissa, two layers.
    assert (ours - own).abs().max() <= share * own.abs().max()
    with use_annealed_attention(model, FEW):
        few = logits(model, given)
    assert few.dtype == dtype
    assert few.isfinite().all()


@pytest.mark.parametrize("padding", PADDING)
def test_generation_with_all_keys_kept_gives_the_same_tokens(padding: str) -> None:
    model, given = model_of("llama"), inputs_of("llama", padding)
    # No end of text: every sequence goes on to the last token.
    how = {"max_new_tokens": 6, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    own = model.generate(**given, **how)
    for cached in (True, False):
        with use_annealed_attention(model, ALL) as annealed:
            assert torch.equal(model.generate(**given, **how, use_cache=cached), own)
        assert annealed.report().layers[0].calls == 6


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_a_static_cache_serves(implementation: str) -> None:
    model, given = model_of("llama", implementation), inputs_of("llama")
    how = {"max_new_tokens": 4, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    own = model.generate(**given, **how)
    with use_annealed_attention(model, ALL):
        found = model.generate(**given, **how, cache_implementation="static", disable_compile=True)
    assert torch.equal(found, own)


# -- causality -------------------------------------------------------------------------------------


def square(form: str) -> dict[str, Any]:
    """Return a causal mask that is handed to the model as it is."""
    seen = torch.ones(7, 7, dtype=torch.bool).tril().expand(2, 1, 7, 7)
    floats = torch.zeros(2, 1, 7, 7).masked_fill(~seen, torch.finfo(torch.float32).min)
    return {"attention_mask": seen if form == "bool" else floats}


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize(
    ("implementation", "form"),
    [
        ("eager", "none"),
        ("eager", "left"),
        ("eager", "right"),
        ("eager", "float"),
        ("sdpa", "none"),
        ("sdpa", "left"),
        ("sdpa", "right"),
        ("sdpa", "bool"),
        ("sdpa", "float"),
    ],
)
def test_the_last_token_changes_no_earlier_logit(
    implementation: str, form: str, cached: bool
) -> None:
    """Masks come as None (sdpa without padding), as bools (sdpa with it) and as floats (eager)."""
    model = model_of("llama", implementation)
    given = inputs_of("llama", form if form in PADDING else "none")
    given |= square(form) if form in ("bool", "float") else {}
    other = given | {"input_ids": given["input_ids"].clone()}
    other["input_ids"][:, -1] = (other["input_ids"][:, -1] + 1) % 32

    def run(given: dict[str, Any]) -> Any:
        if not cached:
            return model(**given).logits
        # Four tokens, then three more beside the cache.
        mask = given.get("attention_mask")
        begun, rest = ({}, {}) if mask is None else ({"attention_mask": mask[:, :4]}, given)
        if mask is not None and mask.dim() == 4:
            begun, rest = (
                {"attention_mask": mask[..., :4, :4]},
                {"attention_mask": mask[..., 4:, :]},
            )
        first = model(given["input_ids"][:, :4], use_cache=True, **begun)
        rest = {name: rest[name] for name in rest if name == "attention_mask"}
        rest |= cache_of(model, first)
        last = model(given["input_ids"][:, 4:], **rest)
        return torch.cat([first.logits, last.logits], 1)

    with use_annealed_attention(model, FEW):
        one, two = run(given), run(other)
    assert torch.equal(one[:, :-1], two[:, :-1])
    if form != "right":
        assert (one[:, -1] - two[:, -1]).abs().max() > 1e-2


def test_a_cache_changes_nothing() -> None:
    model, given = model_of("llama", "sdpa"), inputs_of("llama", "left")
    tokens, mask = given["input_ids"], given["attention_mask"]
    place = (mask.cumsum(-1) - 1).clamp(min=0)
    with use_annealed_attention(model, FEW):
        whole = model(**given, position_ids=place).logits
        first = model(tokens[:, :4], attention_mask=mask[:, :4], position_ids=place[:, :4])
        last = model(
            tokens[:, 4:],
            attention_mask=mask,
            position_ids=place[:, 4:],
            **cache_of(model, first),
        )
    torch.testing.assert_close(last.logits, whole[:, 4:], rtol=0, atol=1e-4)


def test_padding_changes_no_logit() -> None:
    for kind, side in product(KINDS, ("left", "right")):
        if kind == "vit":
            continue  # an image has none
        model, given = model_of(kind, "sdpa"), inputs_of(kind, side)
        other = given | {"input_ids": given["input_ids"].clone()}
        other["input_ids"][given["attention_mask"] == 0] = 3
        with use_annealed_attention(model, FEW):
            assert torch.equal(logits(model, given), logits(model, other))


# -- putting back ----------------------------------------------------------------------------------


def test_two_uses_one_in_another_end_one_by_one() -> None:
    model, given = model_of("llama"), inputs_of("llama")
    own = logits(model, given)
    with use_annealed_attention(model, FEW):
        few = logits(model, given)
        with use_annealed_attention(model, qa.ExactlyK(1), layers=[0]) as inner:
            one = logits(model, given)
        assert torch.equal(logits(model, given), few)
        assert list(inner.layers) == ["model.layers.0.self_attn"]
    assert not torch.equal(one, few)
    assert torch.equal(logits(model, given), own)


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (2, 0, 1), (1, 2, 0)])
def test_uses_end_in_any_order(order: tuple[int, ...]) -> None:
    model, given = model_of("llama"), inputs_of("llama")
    own, found = logits(model, given), {}
    for k in (1, 2, 3):
        with use_annealed_attention(model, qa.ExactlyK(k)):
            found[k] = logits(model, given)
    uses = [use_annealed_attention(model, qa.ExactlyK(k)) for k in (1, 2, 3)]
    left = [1, 2, 3]
    for number in order:
        uses[number].restore()
        uses[number].restore()  # a second time does nothing
        left.remove(number + 1)
        assert torch.equal(logits(model, given), found[left[-1]] if left else own)


def test_an_exception_inside_puts_the_model_back() -> None:
    model, given = model_of("llama"), inputs_of("llama")
    own = logits(model, given)
    with pytest.raises(RuntimeError, match="mine"), use_annealed_attention(model, FEW):
        raise RuntimeError("mine")
    assert torch.equal(logits(model, given), own)
    # One of the attention itself: this objective takes one sequence at a time.
    with pytest.raises(qa.InputError), use_annealed_attention(model, FEW, objective="layer"):
        model(**given)
    assert torch.equal(logits(model, given), own)
    with pytest.raises(qa.InputError, match="did you mean 'objective'"):
        use_annealed_attention(model, FEW, objectiv="hard")
    assert torch.equal(logits(model, given), own)


def test_two_models_at_once_do_not_meet() -> None:
    first, second = model_of("llama"), model_of("llama", seed=5)
    given = inputs_of("llama")
    alone = []
    for model, select in ((first, FEW), (second, qa.ExactlyK(3))):
        with use_annealed_attention(model, select):
            alone.append(logits(model, given))
    one = use_annealed_attention(first, FEW)
    with use_annealed_attention(second, qa.ExactlyK(3)) as two:
        together = [logits(first, given), logits(second, given)]
        one.restore()
        assert torch.equal(logits(second, given), alone[1])
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))
    assert one.report().rows == 2 * 2 * 4 * 7
    assert two.report().rows == 2 * one.report().rows


def test_a_restored_model_is_not_entered_again() -> None:
    annealed = use_annealed_attention(model_of("llama"), FEW)
    annealed.restore()
    with pytest.raises(qa.InputError, match="was restored"), annealed:
        pass


# -- which layers, and what they did ---------------------------------------------------------------


def test_layers_that_are_not_named_keep_their_own_implementation() -> None:
    model, given = model_of("llama", "sdpa"), inputs_of("llama")
    own = model(**given, output_hidden_states=True).hidden_states
    for layers in ([-1], [1], ["model.layers.1.*"], ["model.layers.1.self_attn"]):
        with use_annealed_attention(model, FEW, layers=layers) as annealed:
            found = model(**given, output_hidden_states=True).hidden_states
        assert list(annealed.layers) == ["model.layers.1.self_attn"]
        assert torch.equal(found[1], own[1])  # not only near it: the same function
        assert not torch.equal(found[2], own[2])


def test_layers_may_have_options_of_their_own() -> None:
    model, given = model_of("llama"), inputs_of("llama")
    layers = {0: qa.ExactlyK(1), "*.1.*": {"select": qa.ExactlyK(4), "decoder": "renormalise"}}
    with use_annealed_attention(model, FEW, layers=layers, keep_results=True) as annealed:
        model(**given)
    first, second = annealed.results.values()
    assert first.selected.sum(-1).max() == 1
    assert second.selected.sum(-1).max() == 4
    np.testing.assert_allclose(second.weights.sum(-1), 1)


def test_layers_with_the_same_options_share_what_was_compiled() -> None:
    model, given = model_of("llama"), inputs_of("llama")
    how = {"target": "zephyr:2", "sampler": None, "sampler_options": {"num_reads": 2}}
    with use_annealed_attention(model, FEW, **how) as annealed:
        model(**given)
    one, two = annealed.layers.values()
    assert one.annealing is two.annealing
    assert len(one.annealing.structures) == 1


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (["model.layers.0.self_atn"], "did you mean 'model.layers.0.self_attn'"),
        ([2], "a layer must be a whole number from 0 to 1"),
        ([-3], "a layer must be"),
        ([], "names no layer"),
        ("model", "must be numbers or names"),
        ({0: {"selct": FEW}}, "did you mean 'select'"),
    ],
)
def test_layers_that_are_none_are_named(layers: Any, message: str) -> None:
    with pytest.raises(qa.InputError, match=message):
        use_annealed_attention(model_of("llama"), FEW, layers=layers)


def test_the_report_is_about_every_layer() -> None:
    model, given = model_of("llama", "sdpa"), inputs_of("llama", "left")
    with use_annealed_attention(model, FEW) as annealed:
        assert annealed.report().layers[0][:5] == ("model.layers.0.self_attn", 0, 0, 0, 0)
        model(**given)
        model(**given)
    report = annealed.report()
    assert [layer.layer for layer in report.layers] == [
        "model.layers.0.self_attn",
        "model.layers.1.self_attn",
    ]
    for layer in report.layers:
        # Twelve tokens that are no padding, four heads, two calls; padding is no row.
        assert layer[1:5] == (2, 96, 96, 96)
        assert 0 < layer.error < 1
        assert layer.seconds > 0
    assert report.rows == 192
    assert min(layer.error for layer in report.layers) <= report.error
    assert str(report).count("\n") == 2
    assert annealed.results == {}


def test_errors_of_the_report_are_those_of_the_output() -> None:
    model, given = model_of("llama", num_hidden_layers=1), inputs_of("llama")
    outputs = []
    hook = model.model.layers[0].self_attn.o_proj.register_forward_pre_hook(
        lambda _, given: outputs.append(given[0].unflatten(-1, (4, -1)))
    )
    model(**given)
    with use_annealed_attention(model, FEW) as annealed:
        model(**given)
    hook.remove()
    exact, ours = outputs
    error = (ours - exact).norm(dim=-1) / exact.norm(dim=-1)
    assert annealed.report().error == pytest.approx(float(error.mean()), abs=1e-5)


def test_attentions_come_out() -> None:
    for kind in KINDS:
        model, given = model_of(kind), inputs_of(kind)
        own = model(**given, output_attentions=True).attentions
        with use_annealed_attention(model, ALL):
            found = model(**given, output_attentions=True).attentions
        assert len(found) == 2
        torch.testing.assert_close(torch.stack(found), torch.stack(own), rtol=0, atol=1e-5)


# -- how -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "how",
    [
        {"objective": "renormalised"},
        {"objective": qa.Output(background="carried")},
        {"objective": "hard", "decoder": "renormalise"},
        {"select": qa.SoftWeights(3, k=2)},
        {"tie": "kv-head"},
        {"tie": qa.TieVariables(((0, 1, 2, 3),))},
        {"project": True},
        {"heads": [qa.Head(qa.ExactlyK(k)) for k in (1, 2, 3, 4)]},
        {"sampler": None, "sampler_options": {"num_reads": 4, "num_sweeps": 64}},
        {"sampler": qa.LocalSolver("swap", seed=1)},
        {"sampler": qa.SimulatedMachine("zephyr:3", seed=1), "target": "zephyr:3"},
    ],
    ids=lambda how: next(iter(how)),
)
def test_options_serve_models(how: dict[str, Any]) -> None:
    model, given = model_of("llama", num_hidden_layers=1), inputs_of("llama", "left")
    with use_annealed_attention(model, **({"select": FEW} | how), keep_results=True) as annealed:
        found = logits(model, given)
    assert torch.isfinite(found).all()
    (result,) = annealed.results.values()
    selected = result.selected.reshape(2, 4, 7, 7)
    if "tie" in how:
        partner = selected[:, [1, 0, 3, 2]]
        assert (selected == partner).all()
        assert not (selected[:, :2] == selected[:, 2:]).all() or how["tie"] != "kv-head"
    if "heads" in how:
        assert selected.sum(-1).max(axis=(0, 2)).tolist() == [1, 2, 3, 4]


def test_the_objective_layer_takes_the_models_output_projection() -> None:
    for kind in KINDS:
        model = model_of(kind, num_hidden_layers=1)
        given = {name: tensor[:1] for name, tensor in inputs_of(kind).items()}
        errors = []
        for objective in ("output", "layer"):
            captured: list[Any] = []
            with use_annealed_attention(
                model, qa.ExactlyK(1), objective=objective, project=True
            ) as annealed:
                (layer,) = annealed.layers.values()
                layer.note = lambda *call, to=captured: to.append(call[0])
                model(**given)
            attention = captured[0].behind.compiled.attention
            errors.append(captured[0].layer_errors(attention, absolute=True))
        assert (errors[1] <= errors[0] + 1e-9).all()
        assert (errors[1] < errors[0] - 1e-6).any()


def test_training_goes_through() -> None:
    model, given = model_of("llama").train(), inputs_of("llama")
    with torch.enable_grad(), use_annealed_attention(model, ALL, backward="exact"):
        model(**given, labels=given["input_ids"]).loss.backward()
        ours = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    with torch.enable_grad():
        model(**given, labels=given["input_ids"]).loss.backward()
    for gradient, parameter in zip(ours, model.parameters(), strict=True):
        torch.testing.assert_close(gradient, parameter.grad, rtol=1e-3, atol=1e-3)


def test_a_compiled_model_runs() -> None:
    model, given = model_of("llama", num_hidden_layers=1), inputs_of("llama")
    with use_annealed_attention(model, FEW):
        plain = logits(model, given)
        compiled = torch.compile(model, backend="eager")
        torch.testing.assert_close(compiled(**given).logits, plain)
    torch._dynamo.reset()


# -- by name ---------------------------------------------------------------------------------------


def test_a_registered_name_is_an_implementation() -> None:
    register("annealed-all", ALL)
    how = register("annealed-few", FEW, objective="hard")
    assert how.sampler == qa.LocalSolver("auto", steps=20_000, sweeps=16)
    for kind in KINDS:
        given = inputs_of(kind, "none" if kind == "vit" else "left")
        own = logits(model_of(kind), given)
        found = logits(model_of(kind, "annealed-all"), given)
        torch.testing.assert_close(found, own, rtol=0, atol=1e-4)
    model = model_of("llama")
    model.set_attn_implementation("annealed-few")
    given = inputs_of("llama")
    one = logits(model, given)
    given["input_ids"][:, -1] = 3
    assert torch.equal(logits(model, given)[:, :-1], one[:, :-1])


# -- torch's own attention -------------------------------------------------------------------------


def encoder() -> Any:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    return nn.TransformerEncoder(layer, 2).eval()


def test_multihead_attention_is_annealed_for_a_while() -> None:
    model, x = encoder(), torch.randn(2, 5, 8)
    own, nested = model(x), model.use_nested_tensor
    with use_annealed_attention(model, ALL) as annealed:
        assert isinstance(model.layers[0].self_attn, AnnealedAttention)
        torch.testing.assert_close(model(x), own)
        with use_annealed_attention(model, qa.ExactlyK(1), layers=["layers.1.*"]) as inner:
            assert not torch.allclose(model(x), own, atol=1e-3)
        torch.testing.assert_close(model(x), own)
    assert [layer[:4] for layer in annealed.report().layers] == [
        ("layers.0.self_attn", 3, 60, 60),
        ("layers.1.self_attn", 2, 40, 40),
    ]
    assert inner.report().rows == 20
    assert type(model.layers[0].self_attn) is nn.MultiheadAttention
    assert model.use_nested_tensor == nested
    assert torch.equal(model(x), own)


def test_older_releases_of_transformers_are_told_which_one_serves_bert(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if int(transformers.__version__.split(".")[0]) >= 5:
        # What such a release holds is not to be had here; its number decides what is said.
        monkeypatch.setattr("transformers.__version__", "4.57.6")
        model = nn.Linear(2, 2)
    else:
        model = transformers.BertModel(transformers.BertConfig(**WORDS))
    with pytest.raises(qa.InputError, match=r"transformers 4\..* since 5\.0: pip install"):
        use_annealed_attention(model, FEW)


def test_models_without_attention_are_told_what_serves() -> None:
    with pytest.raises(qa.InputError, match=r"holds no torch.nn.MultiheadAttention, and no att"):
        use_annealed_attention(nn.Linear(2, 2), FEW)
    with pytest.raises(qa.InputError, match=r"AnnealedAttention\.from_attention"):
        use_annealed_attention(nn.MultiheadAttention(4, 2), FEW)
    with pytest.raises(qa.InputError, match="use_annealed_attention"):
        replace_attention(model_of("llama"), select=FEW)


def test_the_layer_loads_no_transformers_and_no_compiler() -> None:
    code = (
        "import sys, qubo_attn.torch\n"
        "print([n for n in ('transformers', 'torch._dynamo', 'kvpress') if n in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"


@pytest.mark.parametrize("name", ["s_aux", "head_mask"])
def test_what_cannot_be_honoured_is_refused(name: str) -> None:
    model = model_of("llama")
    with use_annealed_attention(model, FEW):
        module = model.model.layers[0].self_attn
        function = transformers.AttentionInterface._global_mapping[
            module.config._attn_implementation
        ]
        x = torch.zeros(1, 4, 3, 4)
        with pytest.raises(qa.InputError, match=name):
            function(module, x, x, x, None, **{name: torch.zeros(4)})


def test_options_are_those_of_annealing() -> None:
    assert Annealing(tie="kv").tie == "kv"
    for options, message in (
        ({"tie": "kv_head"}, "tie"),
        ({"tie": qa.TieVariables(overlap=0.5)}, "overlap"),
        ({"tie": "kv", "forward": "soft"}, "tie= takes forward='hard'"),
        ({"sampler": "auto", "sampler_options": {"num_reads": 3}}, "num_reads is an option of"),
        ({"sampler": "auto", "forward": "soft"}, "does not draw"),
        ({"sampler": "best"}, "best"),
        ({"tie": "kv", "heads": [qa.Head(tie=1), qa.Head(tie=1)]}, "not both"),
    ):
        with pytest.raises(qa.InputError, match=message):
            Annealing(**options)


def test_layers_share_what_was_compiled_where_options_are_equal() -> None:
    """Not where they only look so: two machines with as many qubits and couplers."""
    import networkx as nx

    layer = torch.nn.TransformerEncoderLayer(8, 2, batch_first=True)
    model = torch.nn.TransformerEncoder(layer, 4).eval()
    path, star = (qa.Target.from_graph(g) for g in (nx.path_graph(9), nx.star_graph(8)))
    assert repr(path) == repr(star)
    layers = {0: {"target": path}, 1: {"target": star}, 2: qa.ExactlyK(2), 3: qa.ExactlyK(2)}
    with use_annealed_attention(model, layers=layers) as annealed:
        first, second, third, fourth = (layer.annealing for layer in annealed.layers.values())
    assert first.target is path
    assert second.target is star
    assert third is fourth
