"""A press that chooses jointly: counts, required keys, the optimum, machines, generation."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
kvpress = pytest.importorskip("kvpress", reason="kvpress asks for transformers below 5.3")

import transformers  # noqa: E402

import qubo_attn as qa  # noqa: E402
from qubo_attn.kvpress import AnnealedPress  # noqa: E402

# Of transformers, on its own deprecations.
pytestmark = pytest.mark.filterwarnings("ignore")

LAYERS, HEADS, OWNERS, TOKENS, WINDOW = 3, 4, 2, 20, 6
SMALL = {"sink": 1, "latest": 2, "window": WINDOW}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.no_grad():
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def model() -> Any:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=32,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=OWNERS,
        max_position_embeddings=64,
        initializer_range=0.4,
        attn_implementation="eager",
    )
    return transformers.LlamaForCausalLM(config).eval()


def tokens(batch: int = 1, length: int = TOKENS) -> Any:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(1, 32, (batch, length), generator=generator)


def cached(model: Any, press: Any = None, **given: Any) -> Any:
    """Return the cache of a prefill."""
    cache, given = transformers.DynamicCache(), {"input_ids": tokens()} | given
    if press is None:
        return model(past_key_values=cache, **given).past_key_values
    with press(model):
        return model(past_key_values=cache, **given).past_key_values


def kept_keys(whole: Any, part: Any) -> Any:
    """Return which keys of a layer stay, bool, shape (batch, key/value heads, keys)."""
    same = (whole.keys[:, :, :, None] == part.keys[:, :, None]).all(-1)
    return same.any(-1).numpy()


def scorer(ratio: float = 0.5) -> Any:
    return kvpress.SnapKVPress(ratio, window_size=4, kernel_size=1)


@pytest.mark.parametrize("ratio", [0.0, 0.25, 0.5, 0.8])
@pytest.mark.parametrize("objective", ["output", "renormalised"])
def test_it_keeps_as_many_keys_as_the_scorer_and_the_required_ones(
    model: Any, objective: str, ratio: float
) -> None:
    given = {"input_ids": tokens(2)}
    whole, usual = cached(model, **given), cached(model, scorer(ratio), **given)
    press = AnnealedPress(scorer(ratio), objective=objective, block=6, **SMALL)
    ours = cached(model, press, **given)
    for every, theirs, layer in zip(whole.layers, usual.layers, ours.layers, strict=True):
        assert layer.keys.shape == theirs.keys.shape
        kept = kept_keys(every, layer)
        assert (kept.sum(-1) == theirs.keys.shape[2]).all()
        assert kept[..., [0, -2, -1]].all()
        # Keys and values stay together, in their order.
        index = torch.from_numpy(np.nonzero(kept)[2]).reshape(2, OWNERS, -1, 1)
        for name in ("keys", "values"):
            tensor = getattr(every, name)
            cut = tensor.gather(2, index.expand(-1, -1, -1, tensor.shape[-1]))
            assert torch.equal(getattr(layer, name), cut)


def test_with_all_candidates_in_the_block_the_choice_is_the_joint_optimum(model: Any) -> None:
    given, count = {"input_ids": tokens(length=12)}, 6
    output = model(**given, output_attentions=True)
    whole = cached(model, **given)
    press = AnnealedPress(scorer(), block=12, **SMALL)
    ours = cached(model, press, **given)
    for weights, every, layer in zip(output.attentions, whole.layers, ours.layers, strict=True):
        kept = kept_keys(every, layer)[0]
        for owner in range(OWNERS):
            group = slice(owner * HEADS // OWNERS, (owner + 1) * HEADS // OWNERS)
            p = weights[0, group, -WINDOW:].double().numpy()
            v = every.values[0, owner].double().numpy()
            seen = np.tri(12, dtype=bool)[-WINDOW:]
            mean = (seen @ v) / seen.sum(axis=1)[:, None]
            terms = p[..., None] * (v - mean[:, None])

            def error(keys: Any, terms: Any = terms) -> float:
                dropped = np.setdiff1d(np.arange(12), keys)
                return float((terms[:, :, dropped].sum(axis=2) ** 2).sum())

            free = range(1, 10)
            choices = [[0, *some, 10, 11] for some in combinations(free, count - 3)]
            errors = [error(keys) for keys in choices]
            chosen = np.flatnonzero(kept[owner])
            assert error(chosen) == pytest.approx(min(errors), rel=1e-4)
            assert error(chosen) < np.median(errors)


def test_heads_and_queries_of_a_key_value_head_share_their_keys(model: Any) -> None:
    press = AnnealedPress(scorer(), **SMALL)
    layer = cached(model, press).layers[-1]
    assert press.result is not None
    selected = press.result.selected
    assert selected.shape == (HEADS, WINDOW, TOKENS)
    kept = kept_keys(cached(model).layers[-1], layer)[0]
    seen = np.tri(TOKENS, dtype=bool)[-WINDOW:]
    for head in range(HEADS):
        np.testing.assert_array_equal(selected[head], kept[head * OWNERS // HEADS] & seen)
    assert press.result.feasible.all()


def test_renormalised_errors_of_the_window_are_never_above_the_scorers(model: Any) -> None:
    press = AnnealedPress(scorer(0.6), objective="renormalised", **SMALL)
    cached(model, press)
    assert press.result is not None
    assert press.result.rounds is not None
    before, after = press.result.rounds.start, press.result.rounds.error
    assert (after**2).sum() <= (before**2).sum() + 1e-12


def test_a_machine_serves_all_layers_with_one_embedding(model: Any) -> None:
    machine = qa.SimulatedMachine("zephyr:3", seed=1)
    chosen = []
    for _ in range(2):
        press = AnnealedPress(
            scorer(),
            block=6,
            target=machine,
            sampler=machine,
            sampler_options={"num_reads": 8},
            seed=5,
            **SMALL,
        )
        chosen.append(cached(model, press).layers)
        assert len(press.structures) == 1
        assert press.result is not None
        assert press.result.reads.feasible.any()
    for one, same in zip(*chosen, strict=True):
        assert one.keys.shape[2] == TOKENS // 2
        assert torch.equal(one.keys, same.keys)


def test_generation_goes_on_with_the_compressed_cache(model: Any) -> None:
    how = {"max_new_tokens": 5, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    given = tokens()
    own = model.generate(given, **how)
    with AnnealedPress(scorer(0.0), **SMALL)(model):
        assert torch.equal(model.generate(given, **how), own)
    press = AnnealedPress(scorer(), **SMALL)
    cache = transformers.DynamicCache()
    with press(model):
        said = model.generate(given, past_key_values=cache, **how)
    assert said.shape == (1, TOKENS + 5)
    # The last token that is said is not in the cache.
    assert {layer.keys.shape[2] for layer in cache.layers} == {TOKENS // 2 + 4}


def test_padding_is_kept_last(model: Any) -> None:
    mask = torch.ones(2, TOKENS, dtype=torch.long)
    mask[0, :4], mask[1, :14] = 0, 0
    given = {"input_ids": tokens(2), "attention_mask": mask}
    whole, ours = cached(model, **given), cached(model, AnnealedPress(scorer(), **SMALL), **given)
    for every, layer in zip(whole.layers, ours.layers, strict=True):
        kept = kept_keys(every, layer)
        assert (kept.sum(-1) == TOKENS // 2).all()
        assert not kept[0, :, :4].any()
        assert kept[0][:, [4, -2, -1]].all()
        # Six tokens and ten places: all of them stay.
        assert kept[1, :, 14:].all()


def test_the_ratio_is_the_scorers(model: Any) -> None:
    press = AnnealedPress(scorer(), **SMALL)
    press.compression_ratio = 0.75
    assert press.scorer.compression_ratio == press.compression_ratio == 0.75
    assert cached(model, press).layers[0].keys.shape[2] == TOKENS // 4


def test_mistakes_are_named(model: Any) -> None:
    with pytest.raises(qa.InputError, match="key/value head 0 has 12 that must stay"):
        cached(model, AnnealedPress(scorer()))
    with pytest.raises(qa.InputError, match="scorer must be a ScorerPress"):
        AnnealedPress(0.5)
    with pytest.raises(qa.InputError, match="did you mean 'window'"):
        AnnealedPress(scorer(), windows=3)
    for name, value in {"block": 0, "sink": -1, "objective": "none", "seed": -1}.items():
        with pytest.raises(qa.InputError, match=name):
            AnnealedPress(scorer(), **{name: value})
