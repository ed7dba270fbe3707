"""``capture``: what a model's layers hand to softmax, as arrays that compile."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what transformers imports warns of its own matters
    transformers = pytest.importorskip("transformers", minversion="4.53")

import qubo_attn as qa  # noqa: E402
from qubo_attn.cli import app  # noqa: E402
from qubo_attn.torch import use_annealed_attention  # noqa: E402
from qubo_attn.torch.interface import output_projection  # noqa: E402
from tests.support.small_models import KINDS, PADDING, inputs_of, model_of  # noqa: E402

# Of transformers, on its own deprecations.
pytestmark = pytest.mark.filterwarnings("ignore")

WORDS = ["[UNK]", *(f"w{n}" for n in range(1, 32))]


def contexts(model: Any, given: dict[str, Any], name: str, item: int) -> list[np.ndarray]:
    """Return what a layer's heads returned in each call, shape (queries, heads * d)."""
    parent, _, _ = name.rpartition(".")
    linear = output_projection(name, model.get_submodule(name), model.get_submodule(parent))
    met: list[np.ndarray] = []
    hook = linear.register_forward_pre_hook(lambda _, args: met.append(args[0][item].numpy()))
    with torch.no_grad():
        model(**given)
    hook.remove()
    return met


def context_of(captured: qa.CapturedAttention) -> np.ndarray:
    """Return softmax of the scores times the values, shape (queries, heads * d)."""
    scores, values = captured.scores, captured.values
    owners = np.arange(len(scores)) if captured.kv_head is None else captured.kv_head
    seen = np.isfinite(scores).any(-1, keepdims=True)
    weights = np.exp(scores - np.where(seen, scores.max(-1, keepdims=True), 0.0))
    weights /= np.where(seen, weights.sum(-1, keepdims=True), 1.0)
    return np.concatenate(list(weights @ values[owners]), axis=-1)


def tokenizer_of() -> Any:
    tokenizers = pytest.importorskip("tokenizers")
    words = tokenizers.models.WordLevel({word: n for n, word in enumerate(WORDS)}, "[UNK]")
    tokenizer = tokenizers.Tokenizer(words)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer)


@pytest.mark.parametrize("padding", PADDING)
@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
@pytest.mark.parametrize("kind", KINDS)
def test_softmax_of_scores_times_values_is_the_models_own(
    kind: str, implementation: str, padding: str
) -> None:
    if kind == "vit" and padding != "none":
        return  # an image has none
    model, given = model_of(kind, implementation), inputs_of(kind, padding)
    item = 0 if padding != "none" else 1
    real = given["attention_mask"][item].bool().numpy() if padding != "none" else slice(None)
    for name in qa.capture(model, given, call=0):
        own = contexts(model, given, name, item)
        for call, context in enumerate(own):
            captured = qa.capture(model, given, name, item=item, call=call)
            assert captured.layer == name
            np.testing.assert_allclose(context_of(captured)[real], context[real], atol=2e-6)
            if padding != "none":
                assert (captured.scores[:, ~real] == -np.inf).all()
                assert (captured.scores[:, :, ~real] == -np.inf).all()
        # One layer of ALBERT is called twice.
        assert len(own) == (2 if kind == "albert" else 1)


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_and_annealed_models(kind: str) -> None:
    model, given = model_of(kind, "sdpa").to(torch.bfloat16), inputs_of(kind)
    given = {k: v.to(torch.bfloat16) if v.is_floating_point() else v for k, v in given.items()}
    wide, narrow = (
        next(iter(qa.capture(m, g, call=0).values()))
        for m, g in (
            (model_of(kind, "sdpa"), inputs_of(kind)),
            (model, given),
        )
    )
    assert narrow.scores.dtype == np.float32
    seen = np.isfinite(wide.scores)
    assert (np.isfinite(narrow.scores) == seen).all()
    np.testing.assert_allclose(narrow.scores[seen], wide.scores[seen], atol=0.15)
    with use_annealed_attention(model_of(kind, "sdpa"), qa.ExactlyK(2)) as annealed:
        inside = next(iter(qa.capture(annealed.model, inputs_of(kind), call=0).values()))
    # The first layer sees what it sees without annealing.
    np.testing.assert_array_equal(inside.scores, wide.scores)


@pytest.mark.parametrize("kind", KINDS)
def test_the_model_is_as_it_was(kind: str) -> None:
    model, given = model_of(kind, "sdpa"), inputs_of(kind)
    with torch.no_grad():
        own = model(**given).logits
    model.train()
    part = next(module for module in model.modules() if isinstance(module, torch.nn.LayerNorm)
                or type(module).__name__ == "LlamaRMSNorm")  # fmt: skip
    part.eval()
    training = [module.training for module in model.modules()]
    configs = [getattr(module, "config", None) for module in model.modules()]
    state = torch.get_rng_state()
    qa.capture(model, given, call=0)

    def stop(*_: Any) -> None:
        raise RuntimeError("stopped")

    hook = model.register_forward_hook(stop)
    with pytest.raises(RuntimeError, match="stopped"):
        qa.capture(model, given, call=0)
    hook.remove()
    assert [module.training for module in model.modules()] == training
    for module, config in zip(model.modules(), configs, strict=True):
        assert getattr(module, "config", None) is config
    assert torch.equal(torch.get_rng_state(), state)
    with torch.no_grad():
        assert torch.equal(model.eval()(**given).logits, own)


def test_layers_are_named_as_in_use_annealed_attention() -> None:
    model, given = model_of("llama"), inputs_of("llama")
    names = ["model.layers.0.self_attn", "model.layers.1.self_attn"]
    assert list(qa.capture(model, given)) == names
    assert list(qa.capture(model, given, layer=[-1])) == names[1:]
    assert list(qa.capture(model, given, layer=["*.1.*"])) == names[1:]
    for layer in (1, -1, names[1], "*.1.*"):
        captured = qa.capture(model, given, layer)
        assert captured.layer == names[1]
    assert captured.scores.shape == (4, 7, 7)
    assert captured.values.shape == captured.keys.shape == (2, 7, 4)
    assert captured.kv_head.tolist() == [0, 0, 1, 1]
    assert not captured.values.flags.writeable
    tensor = qa.capture(model, given["input_ids"], -1)
    np.testing.assert_array_equal(tensor.scores, captured.scores)


def test_errors_name_the_layer_and_what_to_do() -> None:
    model, given = model_of("llama"), inputs_of("llama")
    for arguments, message in (
        ({"layer": 2}, "a layer must be a whole number from 0 to 1"),
        ({"layer": "modle.layers.1.self_attn"}, "did you mean 'model.layers.1.self_attn'"),
        ({"layer": "*"}, "is 2 layers .* give a list"),
        ({"layer": []}, "names no layer"),
        ({"item": 2}, "item must be a whole number from 0 to 1, not 2"),
        ({"call": 1}, "call must be a whole number from 0 to 0, not 1"),
        ({"inputs": "a text"}, "give tokenizer="),
        ({"inputs": 3}, "inputs must be tensors by name"),
        ({"model": 3}, "model must be a Module"),
        ({"model": torch.nn.Linear(2, 2)}, "holds no torch.nn.MultiheadAttention"),
        ({"layers": 2}, "did you mean 'layer'"),
    ):
        with pytest.raises(qa.InputError, match=message):
            qa.capture(**{"model": model, "inputs": given, **arguments})
    torchs = torch.nn.TransformerEncoderLayer(8, 2, batch_first=True)
    with pytest.raises(qa.InputError, match="layer self_attn is torch's MultiheadAttention"):
        qa.capture(torchs, torch.zeros(1, 3, 8))
    if "albert" in KINDS:
        with pytest.raises(qa.InputError, match=r"was called 2 times: say which by call=0"):
            qa.capture(model_of("albert"), inputs_of("albert"), 0)


def test_a_layer_that_is_not_called_is_named() -> None:
    model = model_of("llama")
    model.extra = transformers.models.llama.modeling_llama.LlamaAttention(model.config, 0)
    assert len(qa.capture(model, inputs_of("llama"), [0, 1])) == 2
    with pytest.raises(qa.InputError, match="layer extra was not called"):
        qa.capture(model, inputs_of("llama"))


def test_a_file_of_it_compiles_to_the_same(tmp_path: Path) -> None:
    model, tokenizer = model_of("llama", "sdpa"), tokenizer_of()
    captured = qa.capture(model, "w3 w1 w4 w1 w5 w9 w2 w6", -1, tokenizer=tokenizer)
    assert captured.tokens == ("w3", "w1", "w4", "w1", "w5", "w9", "w2", "w6")
    file = tmp_path / "layer.npz"
    np.savez(file, **captured.arrays, tokens=captured.tokens)
    read = qa.read_attention(file)
    assert set(read) == {"scores", "values", "keys", "kv_head"}
    options = {"select": qa.ExactlyK(3), "target": None}
    ours, theirs = (qa.compile(**given, **options) for given in (captured.arrays, read))
    assert ours.program.digest() == theirs.program.digest()
    assert ours.attention.shape == (4, 8, 8)
    out = tmp_path / "out"
    command = ["compile", str(file), "--keys", "3", "--target", "none", "-o", str(out)]
    told = CliRunner().invoke(app, command)
    assert told.exit_code == 0, told.output
    assert qa.load(out).program.digest() == ours.program.digest()
    assert "w5" in (out / "tokens.json").read_text()


def test_it_can_be_named_where_torch_is_missing() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import qubo_attn as qa; qa.capture; qa.CapturedAttention\n"
        "try:\n    qa.capture(None, {})\n"
        "except qa.MissingExtraError as error:\n    print(error)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "needs torch" in told.stdout
