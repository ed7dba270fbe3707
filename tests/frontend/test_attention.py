"""Each bad input gets a typed error that names the culprit."""

from __future__ import annotations

import numpy as np
import pytest

import qubo_attn as qa
from qubo_attn.frontend.attention import Attention

GOOD = np.random.default_rng(0).normal(size=(2, 3, 5))


def changed(where: tuple[int, ...], value: float) -> np.ndarray:
    scores = GOOD.copy()
    scores[where] = value
    return scores


@pytest.mark.parametrize(
    ("scores", "heads", "message"),
    [
        (changed((1, 2, 3), np.nan), 2, r"scores\[1,2,3\] is nan \(head 1, query 2, key 3; 1 such"),
        (changed((0, 1, 4), np.inf), 2, r"scores\[0,1,4\] is inf .*mask keys with -inf or mask="),
        ([[[1.0, 2.0], [1.0]]], 1, "scores is not a rectangular array of numbers"),
        ([[["a", "b"]]], 1, "scores is not a rectangular array of numbers"),
        (GOOD[0], 2, r"scores have shape \(3, 5\); expected \(heads, queries, keys\)"),
        (GOOD[None], 2, r"scores have shape \(1, 2, 3, 5\)"),
        (GOOD, 3, "scores hold 2 heads, but heads says 3"),
        (GOOD, [qa.Head()], "scores hold 2 heads, but heads says 1"),
        (GOOD, 0, "heads must be a whole number of at least 1, not 0"),
        (GOOD, [], r"heads must be a whole number, or a sequence of qubo_attn.Head, not \[\]"),
        (GOOD, True, "heads must be a whole number of at least 1, not True"),
        (GOOD, "2", "heads must be a whole number of at least 1, not '2'"),
        (GOOD, 2.0, "heads must be a whole number"),
    ],
)
def test_scores_and_heads(scores: object, heads: object, message: str) -> None:
    with pytest.raises(qa.InputError, match=message):
        qa.compile(scores, heads, target=None)


@pytest.mark.parametrize("k", [0, -1, 1.5, True, "4", None])
def test_k(k: object) -> None:
    with pytest.raises(qa.InputError, match="k must be a whole number of at least 1"):
        qa.ExactlyK(k)


def test_numpy_whole_numbers_are_fine() -> None:
    assert qa.ExactlyK(np.int64(3)).k == 3
    assert Attention.check(GOOD, np.int32(2)).shape == (2, 3, 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"values": np.zeros((2, 4, 3))}, r"values have shape \(2, 4, 3\); expected \(2, 5, d\)"),
        ({"values": np.zeros((2, 5))}, r"values have shape \(2, 5\)"),
        ({"values": np.full((2, 5, 1), np.nan)}, r"values\[0,0,0\] is nan \(head 0, key 0\)"),
        ({"keys": np.zeros((3, 5, 3))}, r"keys have shape \(3, 5, 3\)"),
        ({"mask": np.ones((3, 4), bool)}, r"mask has shape \(3, 4\); expected \(3, 5\)"),
        ({"mask": np.ones((3, 5))}, "mask has dtype float64; expected bool"),
        ({"mask": [[True], [True, False]]}, "mask is not a rectangular array"),
        ({"kv_head": [[0], [0, 1]]}, "kv_head is not a rectangular array"),
        ({"kv_head": [0]}, "kv_head must hold one whole number >= 0 for each of 2 heads"),
        ({"kv_head": [0, -1]}, "kv_head must hold one whole number >= 0"),
        ({"objective": "entropy"}, "unknown objective 'entropy'; one of boltzmann, hard, least"),
        ({"target": "kite:3"}, "unknown target 'kite:3'"),
        ({"select": 4}, "select must say how many keys a row keeps, e.g. qubo_attn.ExactlyK"),
        ({"slots": 0}, "slots must be a whole number of at least 1, not 0"),
    ],
)
def test_options(options: dict[str, object], message: str) -> None:
    with pytest.raises((qa.InputError, qa.TargetError), match=message):
        qa.compile(GOOD, 2, **({"target": None} | options))


def test_tie_is_said_once() -> None:
    heads = [qa.Head(tie="a"), qa.Head(tie="a")]
    with pytest.raises(qa.InputError, match="give tie= or Head"):
        qa.compile(GOOD, heads, tie=qa.TieVariables(queries=True), target=None)


def test_unknown_decoders_are_named() -> None:
    compiled = qa.compile(GOOD, 2, target=None)
    with pytest.raises(qa.InputError, match="unknown decoder 'softmax'; one of levels, marginals"):
        compiled.solve(seed=1, decoder="softmax")


def test_errors_keep_their_facts() -> None:
    with pytest.raises(qa.InputError) as caught:
        Attention.check(changed((1, 2, 3), np.nan), 2)
    assert (caught.value.head, caught.value.query, caught.value.key) == (1, 2, 3)
    with pytest.raises(AttributeError):
        _ = caught.value.colour


def test_anything_array_like_is_read() -> None:
    class Tensor:
        def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
            return GOOD.astype(np.float32)

    assert Attention.check(Tensor(), 2).logits.dtype == np.float64
    assert Attention.check(GOOD[0].tolist(), 1).shape == (1, 3, 5)


def test_the_caller_keeps_its_arrays() -> None:
    scores = GOOD.copy()
    required = GOOD > 1
    attention = Attention.check(scores, 2, required=required)
    scores[:], required[:] = 0, False
    assert (attention.logits == GOOD).all()
    assert (attention.required == (GOOD > 1)).all()


def test_key_value_heads_are_spread_out() -> None:
    values = np.arange(10.0).reshape(1, 5, 2)
    attention = Attention.check(GOOD, 2, values=values, kv_head=[0, 0])
    assert attention.values is not None
    assert (attention.values == values).all()
    assert attention.values.shape == (2, 5, 2)
