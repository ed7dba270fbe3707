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
        ({"mask": np.ones((3, 5))}, "mask has dtype float64; expected bool or whole numbers"),
        ({"mask": [[0, 1, 2, 1, 0]]}, "mask holds whole numbers from 0 to 2; expected 1 for a key"),
        ({"mask": [0.0, np.nan, 0, 0, 0]}, r"mask\[1\] is nan: a mask of floats holds 0"),
        ({"mask": True}, r"mask has shape \(\); expected \(3, 5\), \(2, 3, 5\) or \(5,\)"),
        ({"mask": np.zeros((2, 1, 3, 5))}, r"mask has shape \(2, 1, 3, 5\)"),
        ({"required": [[0, 2, 0, 0, 0]]}, "required of dtype int64 holds more than bools"),
        ({"forbidden": np.zeros(4, bool)}, r"forbidden has shape \(4,\)"),
        ({"mask": [[True], [True, False]]}, "mask is not a rectangular array"),
        ({"kv_head": [[0], [0, 1]]}, "kv_head is not a rectangular array"),
        ({"kv_head": [0]}, "kv_head must hold one whole number >= 0 for each of 2 heads"),
        ({"kv_head": [0, -1]}, "kv_head must hold one whole number >= 0"),
        (
            {"kv_head": [0, 2], "values": np.zeros((2, 5, 1))},
            "2 key/value heads, but kv_head",
        ),
        ({"kv_head": [0.0, 1.0]}, "kv_head must hold one whole number >= 0"),
        ({"kv_head": np.ma.masked_equal([0, 1], 1)}, "kv_head is masked in 1 places"),
        ({"objective": "entropy"}, "unknown objective 'entropy'; one of boltzmann, hard, layer"),
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
        compiled.solve("anneal", seed=1, decoder="softmax")


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


@pytest.mark.parametrize("hidden", ["none", "later", "whole rows"])
def test_the_softmax_is_a_table_of_the_masses_of_rows(hidden: str) -> None:
    scores = np.random.default_rng(2).normal(size=(2, 4, 4))
    if hidden != "none":
        scores[:, ~np.tri(4, dtype=bool)] = -np.inf
    if hidden == "whole rows":
        scores[1, 2:] = -np.inf
    attention = Attention.check(scores)
    weights = np.exp(scores)
    total = weights.sum(axis=-1, keepdims=True)
    wanted = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    np.testing.assert_allclose(attention.softmax, wanted, rtol=1e-14)
    np.testing.assert_array_equal(attention.softmax[attention.visible], attention.rows.mass)
    assert not attention.softmax.flags.writeable


@pytest.mark.parametrize("objective", ["output", "renormalised"])
def test_compiling_keeps_no_table_that_is_made_again_when_read(objective: str) -> None:
    generator = np.random.default_rng(3)
    scores = generator.normal(size=(4, 6, 40))
    scores[:, 0, 1:] = -np.inf
    compiled = qa.compile(
        scores,
        values=generator.normal(size=(4, 40, 3)),
        objective=objective,
        tie=qa.TieVariables(((0, 1), (2, 3))),
        target=None,
    )
    first, tied = compiled.stages[0], compiled.stages[1]
    assert "softmax" not in vars(compiled.attention)
    assert "row" not in vars(first.program.constraints)
    # The constants of lifts that fix nothing are shared.
    assert tied.rewrite.lift.constant is first.rewrite.lift.constant


def test_the_caller_keeps_its_arrays() -> None:
    scores = GOOD.copy()
    required = GOOD > 1
    attention = Attention.check(scores, 2, required=required)
    scores[:], required[:] = 0, False
    assert (attention.logits == GOOD).all()
    assert (attention.required == (GOOD > 1)).all()


@pytest.mark.parametrize(
    ("kv_head", "heads", "wanted"),
    [
        ([1, 0], 2, [1, 0]),
        ([1, 1], 2, [1, 1]),
        ([0, 0], 2, [0, 0]),
        ([0, 0], 1, [0, 0]),
        ([2, 0], 3, [2, 0]),
        ((np.uint8(1), np.uint8(0)), 2, [1, 0]),
    ],
)
def test_key_value_heads_are_obeyed(kv_head: object, heads: int, wanted: list[int]) -> None:
    values, keys = np.random.default_rng(1).normal(size=(2, heads, 5, 3))
    first = qa.compile(GOOD, 2, values=values, keys=keys, kv_head=kv_head, target=None)
    assert np.array_equal(first.attention.values, values[wanted])
    assert np.array_equal(first.attention.keys, keys[wanted])
    # Vectors that were kept are spread out already; new ones are not.
    for again in (first.rebind(GOOD + 1), first.rebind(GOOD + 1, values=values)):
        assert np.array_equal(again.attention.values, values[wanted])
        assert np.array_equal(again.attention.keys, keys[wanted])
    (item,) = qa.compile_batch(
        [{"scores": GOOD, "values": values}], 2, kv_head=kv_head, target=None
    )
    assert np.array_equal(item.attention.values, values[wanted])


def test_vectors_that_were_spread_out_before_stay() -> None:
    values = np.random.default_rng(1).normal(size=(2, 5, 3))
    scores = np.concatenate([GOOD, GOOD])
    spread = np.repeat(values, 2, axis=0)
    for given in (values, spread):
        attention = Attention.check(scores, 4, values=given, kv_head=[0, 0, 1, 1])
        assert np.array_equal(attention.values, spread)


def test_key_value_heads_are_spread_out() -> None:
    values = np.arange(10.0).reshape(1, 5, 2)
    attention = Attention.check(GOOD, 2, values=values, kv_head=[0, 0])
    assert attention.values is not None
    assert (attention.values == values).all()
    assert attention.values.shape == (2, 5, 2)
