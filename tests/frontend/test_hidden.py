"""Hidden keys: one rule for every way in which software hides a key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import qubo_attn as qa
from qubo_attn.cli import app
from qubo_attn.frontend.attention import Attention
from qubo_attn.frontend.hidden import floor_of, hidden_keys, read_mask

LOW32 = float(np.finfo(np.float32).min)
LOW16 = float(np.finfo(np.float16).min)
# Two heads, three queries, five keys; keys 3 and 4 of query 0 are the best ones, and to be hidden.
GOOD = np.random.default_rng(0).normal(size=(2, 3, 5))
GOOD[:, 0, 3:] = 7.0, 8.0
SEEN = np.ones((3, 5), bool)
SEEN[0, 3:] = False
WANTED = np.where(SEEN, GOOD, -np.inf)


@pytest.mark.parametrize("low", [-1e4, -1e9, -1e30, LOW32, -np.inf, -9_100.0])
@pytest.mark.parametrize("added", [False, True])
def test_low_logits_hide(low: float, added: bool) -> None:
    scores = np.where(SEEN, GOOD, GOOD + low if added else low)
    for given in (scores, scores.tolist(), torch.tensor(scores)):
        assert np.array_equal(Attention.check(given, 2).logits, WANTED)
    single = torch.tensor(scores).float()
    assert np.array_equal(Attention.check(single, 2).logits, WANTED.astype(np.float32))
    assert np.array_equal(Attention.check(single.bfloat16(), 2).visible[1], SEEN)


def test_the_gap_is_that_to_the_best_key_the_query_sees() -> None:
    scores = np.array([[20_000.0, 0.0, -8_999.0, -9_000.0]])
    mask = [False, True, True, True]
    assert Attention.check(scores, 1).visible[0].tolist() == [[True, False, False, False]]
    assert Attention.check(scores, 1, mask=mask).visible[0].tolist() == [[False, True, True, False]]
    # Rows far from zero are as good as any.
    assert Attention.check(scores - 1e6, 1, mask=mask).visible.sum() == 2


@pytest.mark.parametrize(
    "lowest",
    [
        np.full(4, LOW32, np.float32),
        np.full(4, LOW32),
        np.full(4, LOW16, np.float16),
        np.full(4, LOW16, np.float32),
        np.full(4, LOW16),
        np.full(4, np.finfo(np.float64).min),
        np.full(4, np.iinfo(np.int32).min, np.int32),
        np.full(4, np.iinfo(np.int64).min),
        np.array([LOW32, LOW32 / 2, 0.7 * LOW32, LOW32], np.float32),
        torch.full((4,), torch.finfo(torch.bfloat16).min, dtype=torch.bfloat16),
        torch.full((4,), torch.finfo(torch.bfloat16).min, dtype=torch.float32),
        torch.full((4,), torch.finfo(torch.float16).min, dtype=torch.float16),
        torch.full((4,), torch.finfo(torch.float32).min),
    ],
)
def test_rows_of_lowest_numbers_see_nothing(lowest: Any) -> None:
    attention = Attention.check(lowest[None], 1)
    assert not attention.visible.any()
    assert attention.hidden_by_value == 4
    compiled = qa.compile(lowest[None], 1, select=qa.OneHot(), target=None)
    assert compiled.solve("anneal", seed=1).empty.all()


def test_rows_of_other_low_numbers_are_rows_like_any() -> None:
    for row in (np.full(3, -1e9), np.array([-1e9, -1e9 - 64, -2e9]), np.array([-1e4, -1e4 + 1.0])):
        visible = Attention.check(row[None], 1).visible[0, 0]
        assert visible.tolist() == (row > -1.5e9).tolist()
    small = np.array([[-128, 5, -100]], np.int8)
    assert Attention.check(small, 1).visible.all()


def test_nothing_of_a_float_is_hidden_by_huge_logits() -> None:
    scores = np.array([[1e300, 1e300], [-1e300, -1e300], [1e17, 1e17 - 16]])
    assert not hidden_keys(scores, floor_of(scores)).any()


@pytest.mark.parametrize(
    "mask",
    [
        SEEN,
        SEEN.astype(np.int64),
        SEEN.astype(np.uint8),
        SEEN.tolist(),
        SEEN.astype(int).tolist(),
        np.where(SEEN, 0.0, -np.inf),
        np.where(SEEN, 0.0, -1e4),
        np.where(SEEN, 0.0, -1e9).astype(np.float32),
        np.where(SEEN, 0.0, LOW32).astype(np.float32),
        np.where(SEEN, 0.0, LOW16).astype(np.float16),
        np.where(SEEN, 0, -10_000),
        SEEN.astype(object),
        np.stack([SEEN, SEEN]),
        SEEN[None],
        SEEN[None, None],
        np.where(SEEN, 0.0, LOW32)[None, None],
        np.ma.masked_array(np.ones((3, 5), int), ~SEEN),
        np.ma.masked_array(np.zeros((3, 5)), ~SEEN),
        np.ma.masked_array(np.full((3, 5), True), ~SEEN),
        torch.tensor(SEEN),
        torch.tensor(SEEN).long(),
        torch.where(torch.tensor(SEEN), 0.0, -10_000.0).bfloat16(),
        torch.where(torch.tensor(SEEN), 0.0, -torch.inf).requires_grad_(),
    ],
)
def test_masks_of_every_form(mask: Any, tmp_path: Path) -> None:
    first = qa.compile(GOOD, 2, mask=mask, select=qa.OneHot(), target=None)
    assert np.array_equal(first.attention.logits, WANTED)
    assert first.attention.hidden_by_value == 0
    assert not first.solve("anneal", seed=1).selected[:, 0, 3:].any()
    # Masks of a compilation serve the batches after it, those of a loaded one too.
    first.save(tmp_path)
    plain = qa.compile(GOOD, 2, select=qa.OneHot(), target=None)
    for again in (
        first.rebind(GOOD),
        qa.load(tmp_path).rebind(GOOD),
        plain.rebind(GOOD, mask=mask),
    ):
        assert np.array_equal(again.attention.logits, WANTED)
        assert np.array_equal(again.rebind(GOOD).attention.logits, WANTED)
    (one,) = qa.compile_batch([GOOD], 2, mask=mask, target=None)
    (two,) = qa.compile_batch([{"scores": GOOD, "mask": mask}], 2, target=None)
    for item in (one, two, two.rebind(GOOD)):
        assert np.array_equal(item.attention.logits, WANTED)


def test_masks_of_keys_and_of_queries() -> None:
    key, query = np.array([1, 1, 0, 1, 0]), np.array([[True], [False], [True]])
    seen = Attention.check(GOOD, 2, mask=key).visible
    assert np.array_equal(seen, np.broadcast_to(key == 1, GOOD.shape))
    seen = Attention.check(GOOD, 2, mask=query).visible
    assert np.array_equal(seen, np.broadcast_to(query, GOOD.shape))
    by_head = np.array([[[1]], [[0]]])
    assert np.array_equal(Attention.check(GOOD, 2, mask=by_head).visible[1], np.zeros((3, 5), bool))


def test_other_floats_of_a_mask_are_added() -> None:
    bias = np.array([[0.0, -0.5, 1.5, -np.inf, -2e4]])
    logits = Attention.check(GOOD, 2, mask=bias).logits
    assert np.array_equal(logits, GOOD + np.where(bias < -1e4, -np.inf, bias))
    assert np.array_equal(read_mask(read_mask(bias)), read_mask(bias))


@pytest.mark.parametrize(
    "scores",
    [
        np.ma.masked_array(GOOD, ~np.broadcast_to(SEEN, GOOD.shape)),
        list(np.ma.masked_array(GOOD, ~np.broadcast_to(SEEN, GOOD.shape))),
        np.ma.masked_invalid(np.where(SEEN, GOOD, np.nan)),
    ],
)
def test_what_is_masked_in_scores_is_hidden(scores: Any) -> None:
    first = qa.compile(scores, 2, target=None)
    assert np.array_equal(first.attention.logits, WANTED)
    assert np.array_equal(qa.compile(GOOD, 2, target=None).rebind(scores).attention.logits, WANTED)
    for item in qa.compile_batch([scores, {"scores": scores}], 2, target=None):
        assert np.array_equal(item.attention.logits, WANTED)
    stacked = np.ma.stack([np.ma.stack(list(scores)), np.ma.stack(list(scores))])
    for item in qa.compile_batch(stacked, 2, target=None):
        assert np.array_equal(item.attention.logits, WANTED)


def test_masked_single_numbers() -> None:
    seen = Attention.check([[1.0, np.ma.masked, 2.0]], 1).visible
    assert seen.tolist() == [[[True, False, True]]]


def test_what_stands_under_a_mask_may_be_anything() -> None:
    odd = np.where(SEEN, GOOD, [[np.nan] * 4 + [np.inf]] * 3)
    for mask in (SEEN, np.where(SEEN, 0.0, -1e9), SEEN.astype(int)):
        assert np.array_equal(Attention.check(odd, 2, mask=mask).logits, WANTED)
    with pytest.raises(
        qa.InputError, match=r"scores\[0,0,3\] is nan .*mask keys with -inf or mask="
    ):
        Attention.check(odd, 2)


@pytest.mark.parametrize("name", ["values", "keys"])
@pytest.mark.parametrize("odd", [np.nan, np.inf, np.ma.masked])
def test_vectors_of_keys_that_no_query_sees_may_be_anything(
    name: str, odd: Any, tmp_path: Path
) -> None:
    vectors = np.random.default_rng(1).normal(size=(2, 5, 3))
    zeros, given = vectors.copy(), np.ma.array(vectors.copy())
    zeros[:, 4], given[:, 4, 1] = 0.0, odd
    seen, objective = [1, 1, 1, 1, 0], {"values": "output", "keys": "redundancy"}[name]
    options = {"select": qa.ExactlyK(2), "objective": objective, "target": None}
    one, other = (
        qa.compile(GOOD, 2, mask=seen, **{name: array}, **options) for array in (given, zeros)
    )
    assert str(one.program) == str(other.program)
    assert np.array_equal(getattr(one.attention, name), zeros)
    message = rf"{name}\[0,4,1\] is (nan|inf) \(head 0, key 4\): hide the key from all queries"
    with pytest.raises(qa.InputError, match=message):
        qa.compile(GOOD, 2, **{name: given}, **options)
    one.save(tmp_path)
    for compiled in (one, qa.load(tmp_path)):
        again = compiled.rebind(GOOD)
        assert str(again.program) == str(other.rebind(GOOD).program)
        # A key that is seen now has no vector still.
        with pytest.raises(qa.InputError, match=rf"{name}\[0,4,0\] is nan"):
            compiled.rebind(GOOD, mask=[1, 1, 1, 1, 1])
        whole = compiled.rebind(GOOD, mask=[1, 1, 1, 1, 1], **{name: vectors})
        assert np.array_equal(getattr(whole.attention, name), vectors)


@pytest.mark.parametrize("name", ["required", "forbidden"])
def test_flags_of_every_form(name: str) -> None:
    wanted = np.zeros((2, 3, 5), bool)
    wanted[:, :, 1] = True
    for flags in ([0, 1, 0, 0, 0], wanted[0], wanted.astype(np.int64), wanted.astype(float)):
        compiled = qa.compile(GOOD, 2, select=qa.ExactlyK(2), target=None, **{name: flags})
        selected = compiled.solve("anneal", seed=1).selected
        assert (selected[:, :, 1] == (name == "required")).all()
        assert np.array_equal(getattr(compiled.attention, name), wanted)


def test_a_required_key_must_not_be_hidden() -> None:
    with pytest.raises(qa.InputError, match="key 1 of head 0, query 0 is required, but the query"):
        qa.compile([[1.0, -1e9]], 1, required=[0, 1], select=qa.OneHot(), target=None)


def test_reports_say_how_many_keys_are_hidden_by_their_value(tmp_path: Path) -> None:
    scores = np.where(SEEN, GOOD, -1e9)
    scores[0, 1, 0] = -np.inf
    compiled = qa.compile(scores, 2, mask=[1, 1, 1, 1, 0], target=None)
    compiled.save(tmp_path)
    for each in (compiled, qa.load(tmp_path)):
        report = each.report()
        assert report.hidden_by_value == report.to_dict()["hidden_by_value"] == 2
        assert "hidden: 2 keys by finite logits, such as -1e9" in str(report)
        assert "keys hidden by value" in each.html()
    plain = compiled.rebind(GOOD).report()
    assert plain.hidden_by_value == 0
    assert "hidden" not in str(plain)


@pytest.mark.parametrize("name", ["mask", "attention_mask"])
def test_masks_in_files(name: str, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    key = np.array([1, 1, 0, 1, 0])
    arrays = {"scores": GOOD.astype(np.float32), name: key[None]}
    np.savez(tmp_path / "a.npz", **arrays)
    save_file(arrays, tmp_path / "a.safetensors")
    for file in ("a.npz", "a.safetensors"):
        compiled = qa.compile(heads=2, target=None, **qa.read_attention(tmp_path / file))
        assert np.array_equal(compiled.attention.visible, np.broadcast_to(key == 1, GOOD.shape))


def test_a_file_names_its_mask_once(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", scores=GOOD, mask=SEEN, attention_mask=SEEN)
    with pytest.raises(qa.InputError, match=r"a\.npz holds both mask and attention_mask"):
        qa.read_attention(tmp_path / "a.npz")


def test_the_command_line_hides_what_compile_hides(tmp_path: Path) -> None:
    low = np.where(SEEN, GOOD, -1e9).astype(np.float32)
    file, out = tmp_path / "a.npz", tmp_path / "out"
    np.savez(file, scores=low, attention_mask=np.array([1, 1, 1, 1, 0]))
    command = ["compile", str(file), "--keys", "2", "--target", "none", "--json", "-o", str(out)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["hidden_by_value"] == 2
    visible = qa.load(out).attention.visible
    assert np.array_equal(visible[0], SEEN & np.array([1, 1, 1, 1, 0], bool))
