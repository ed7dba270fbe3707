"""Attention probabilities as models return them compile as their logits do."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import qubo_attn as qa
from qubo_attn.frontend.attention import Attention
from tests.conftest import ROOT, shared_files


def softmax(scores: np.ndarray) -> np.ndarray:
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


class Tensor:
    """What a tensor offers: nothing but ``__array__``."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.array.astype(dtype)


def compiled(scores: np.ndarray, values: np.ndarray, objective: str) -> qa.CompiledAttention:
    return qa.compile(
        scores, len(scores), select=qa.ExactlyK(4), objective=objective, values=values, target=None
    )


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("fixture", ["minilm", "smollm2"])
def test_probabilities_in_place_of_logits_are_refused(
    fixture: str, dtype: type, request: pytest.FixtureRequest
) -> None:
    scores = request.getfixturevalue(fixture)["scores"]
    weights = softmax(scores).astype(dtype)
    for given in (weights, weights[:1], weights[0]):
        with pytest.raises(qa.InputError, match=r"from_attentions.*--probabilities") as caught:
            qa.compile(given, target=None)
        assert caught.value.facts["argument"] == "scores"
    masked = np.where(weights > 0, weights, -np.inf)
    with pytest.raises(qa.InputError, match="scores are probabilities"):
        Attention.check(masked)
    again = qa.compile(scores, target=None)
    with pytest.raises(qa.InputError, match="scores are probabilities"):
        again.rebind(weights)


@pytest.mark.parametrize(
    "logits",
    [
        [[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]],  # as good as one-hot, and its order of keys is right
        [[[0.5, 0.6, -0.1]]],
        [[[0.5, 0.5], [0.5, 0.6]]],
        [[[1.5, 1.5]]],
        [[[-np.inf, -np.inf]]],
        np.zeros((2, 3, 4)),
        np.zeros((1, 0, 3)),
        [[[1e308, 1e308]]],
    ],
)
def test_logits_are_not_taken_for_probabilities(logits: Any) -> None:
    Attention.check(logits)


def test_logits_that_look_like_probabilities_may_be_raised() -> None:
    logits = np.array([[[0.5, 0.25, 0.25]]])
    raised = Attention.check(logits + 1)
    np.testing.assert_allclose(raised.softmax, softmax(logits))


@pytest.mark.parametrize("objective", ["output", "hard"])
@pytest.mark.parametrize("fixture", ["minilm", "smollm2"])
def test_ready_probabilities_compile_as_logits(
    fixture: str, objective: str, request: pytest.FixtureRequest
) -> None:
    """Two layers, two sequences; the coefficients agree but for a constant of each row."""
    data = request.getfixturevalue(fixture)
    scores, values = data["scores"].astype(float), data["value"][data["kv_head"]]
    layer = np.stack([softmax(scores), softmax(scores[::-1])])
    ready = qa.from_attentions((np.zeros((1, 1, 2, 2)), layer), layer=1, batch=0)
    assert np.array_equal(ready == -np.inf, scores == -np.inf)
    ours, theirs = (compiled(s, values, objective) for s in (ready, scores))
    np.testing.assert_allclose(ours.attention.softmax, theirs.attention.softmax, atol=1e-12)
    found, wanted = (each.stages[0].program.objective for each in (ours, theirs))
    np.testing.assert_allclose(found.bias, wanted.bias, atol=1e-9)
    gap = found.linear - wanted.linear
    rows = theirs.attention.rows
    row = np.repeat(np.arange(len(rows)), rows.sizes)
    mean = np.bincount(row, gap) / rows.sizes
    np.testing.assert_allclose(gap, mean[row], atol=1e-9)
    assert (objective == "hard") == bool(np.abs(mean).max() > 1e-6)
    one, other = (each.solve("anneal", seed=3) for each in (ours, theirs))
    np.testing.assert_array_equal(one.selected, other.selected)
    np.testing.assert_allclose(one.weights, other.weights, atol=1e-12)


@pytest.mark.data
def test_shared_files_in_single_precision() -> None:
    """The gap to the file's logits is one constant a row, and the selections are the same."""
    files = shared_files("attention/*d0[56]_L[25]_*")
    if not files:
        pytest.skip("the shared data set is absent")
    for file in files:
        with np.load(file) as data:
            scores, values = data["scores"], data["value"][data["kv_head"]]
        ready = qa.from_attentions(softmax(scores.astype(float)).astype(np.float32)[None])
        seen = scores > -np.inf
        np.testing.assert_array_equal(ready > -np.inf, seen)
        gap = np.subtract(scores, ready, out=np.zeros(ready.shape), where=seen)
        mean = gap.sum(-1, keepdims=True) / seen.sum(-1, keepdims=True)
        np.testing.assert_allclose(gap, np.where(seen, mean, 0.0), atol=1e-4)
        one, other = (compiled(s, values, "hard").solve("anneal", seed=3) for s in (ready, scores))
        np.testing.assert_array_equal(one.selected, other.selected)


def test_what_an_array_may_be() -> None:
    layer = softmax(np.random.default_rng(0).normal(size=(2, 3, 4, 5)))
    wanted = np.log(layer)
    for given in ((layer,), [layer], layer, (Tensor(layer),), (layer.tolist(),)):
        np.testing.assert_allclose(qa.from_attentions(given, batch=1), wanted[1])
    np.testing.assert_allclose(qa.from_attentions((layer,), batch=-1), wanted[1])
    np.testing.assert_allclose(qa.from_attentions(layer[0]), wanted[0])
    np.testing.assert_allclose(qa.from_attentions((layer,), batch=None), wanted.reshape(6, 4, 5))
    np.testing.assert_allclose(qa.from_attentions((layer[:1], layer), layer=-2), wanted[0])


def test_rows_that_see_nothing_and_shares_that_vanish() -> None:
    layer = np.array([[[[0.0, 0.0], [1.0, 0.0], [1e-300, 1.0]]]])
    scores = qa.from_attentions((layer,))
    np.testing.assert_array_equal(scores[0, :2], [[-np.inf, -np.inf], [0.0, -np.inf]])
    assert np.isfinite(scores[0, 2]).all()
    result = qa.compile(scores, 1, select=qa.OneHot(), target=None).solve("anneal", seed=0)
    assert result.empty[0].tolist() == [True, False, False]


def test_rows_whose_sinks_were_dropped_add_up_to_less_than_one() -> None:
    layer = np.array([[[[0.2, 0.1, 0.0], [0.02, 0.06, 0.02]]]])
    scores = qa.from_attentions((layer,))
    np.testing.assert_allclose(scores[0, 1], np.log([0.02, 0.06, 0.02]))
    softmax_rows = Attention.check(scores, 1).softmax
    np.testing.assert_allclose(softmax_rows[0], [[2 / 3, 1 / 3, 0.0], [0.2, 0.6, 0.2]])


def test_rows_of_padding_are_nan() -> None:
    layer = np.array([[[[np.nan, np.nan], [1.0, 0.0], [0.5, 0.5]]]])
    for given in (layer, layer.astype(np.float16)):
        scores = qa.from_attentions((given,))
        np.testing.assert_array_equal(scores[0, :2], [[-np.inf, -np.inf], [0.0, -np.inf]])
    part = layer.copy()
    part[0, 0, 0, 1] = 1.0
    with pytest.raises(qa.InputError, match=r"hold nan .*head 0, query 0, key 0; 1 such"):
        qa.from_attentions((part,))


@pytest.mark.parametrize("shape", [(1, 2, 0, 4), (1, 2, 3, 0), (3, 2, 0, 0)])
def test_attention_without_queries_or_keys(shape: tuple[int, ...]) -> None:
    assert qa.from_attentions((np.zeros(shape),)).shape == shape[1:]
    assert qa.from_attentions((np.zeros(shape),), batch=None).shape == (
        shape[0] * shape[1],
        *shape[2:],
    )


def test_what_is_masked_has_no_weight() -> None:
    layer = np.ma.masked_array([[[[0.5, 7.0], [0.25, 0.75]]]], [[[[0, 1], [0, 0]]]])
    scores = qa.from_attentions((layer,))
    np.testing.assert_array_equal(scores[0, 0], [np.log(0.5), -np.inf])
    np.testing.assert_allclose(scores[0, 1], np.log([0.25, 0.75]))


def test_half_precision_rounds_sums() -> None:
    rows = softmax(np.random.default_rng(0).normal(size=(1, 1, 4, 1000))).astype(np.float16)
    assert np.abs(rows.astype(float).sum(-1) - 1).max() > 1e-6
    scores = qa.from_attentions((rows,))
    np.testing.assert_allclose(Attention.check(scores, 1).softmax, rows[0], atol=1e-4)


GOOD = np.full((1, 2, 2, 4), 0.25)


@pytest.mark.parametrize(
    ("attentions", "options", "message"),
    [
        ((GOOD,), {"layer": 1}, "layer must be a whole number from -1 to 0, not 1"),
        ((GOOD,), {"layer": 0.0}, r"layer must be a whole number from -1 to 0, not 0\.0"),
        ((GOOD,), {"batch": 3}, "batch must be a whole number from -1 to 0, not 3"),
        ((GOOD, None), {}, r"attentions of layer -1 are None: load .* attn_implementation='eager'"),
        (((GOOD, GOOD), (GOOD, GOOD)), {}, r"as generate\(\) returns them: .* attentions\[0\]"),
        ((), {}, "attentions hold no layer"),
        ((GOOD[0, 0],), {}, r"attentions of a layer have shape \(2, 4\)"),
        ((2 * GOOD,), {}, "batch 0, head 0, query 0 add up to 2, not 1 .*model.eval"),
        ((np.log(GOOD),), {}, r"hold -1\.38629 \(batch 0, head 0, query 0, key 0; 16 such"),
        ((np.full(GOOD.shape, np.nan),), {}, "attentions hold nan"),
        (([["a"]],), {}, "attentions is not a rectangular array of numbers"),
    ],
)
def test_what_does_not_fit_is_named(attentions: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(qa.InputError, match=message):
        qa.from_attentions(attentions, **options)


def test_the_layer_says_which_extra_it_needs() -> None:
    code = "import sys; sys.modules['torch'] = None\nimport qubo_attn.torch"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert "MissingExtraError" in result.stderr
    assert "pip install torch (extra [torch])" in result.stderr
