"""Artifacts whose checksums are right and whose content is not."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qubo_attn as qa
from tests.support.artifacts import parts_of, rewrite_array, rewrite_facts

Facts = dict[str, Any]


@pytest.fixture(scope="module")
def made(cache: qa.EmbeddingCache) -> qa.CompiledAttention:
    generator = np.random.default_rng(0)
    return qa.compile(
        generator.normal(size=(2, 3, 6)),
        2,
        select=qa.ExactlyK(2),
        objective="output",
        values=generator.normal(size=(2, 6, 3)),
        mask=np.tri(3, 6, 3, dtype=bool),
        target="zephyr:2",
        cache=cache,
    )


@pytest.fixture
def folder(made: qa.CompiledAttention, tmp_path: Path) -> Path:
    made.save(tmp_path / "artifact")
    return tmp_path / "artifact"


def test_an_index_far_out_names_its_array(folder: Path) -> None:
    """With the checksum as it was, and with one that is right."""

    def far(indices: np.ndarray) -> np.ndarray:
        return np.where(np.arange(len(indices)) == 1, 10**8, indices).astype(indices.dtype)

    rewrite_array(folder, "lift1/indices", far, checksums=False)
    with pytest.raises(qa.InputError, match="checksum of array lift1/indices does not") as caught:
        qa.load(folder)
    assert (caught.value.file, caught.value.array) == (str(folder / "arrays.npz"), "lift1/indices")
    rewrite_array(folder, "lift1/indices", lambda indices: indices)
    with pytest.raises(qa.InputError, match="array lift1/indices holds 100000000") as caught:
        qa.load(folder)
    assert (caught.value.file, caught.value.array) == (str(folder / "arrays.npz"), "lift1/indices")


@pytest.mark.parametrize(
    ("array", "change", "reason"),
    [
        ("stage0/c.ptr", lambda ptr: ptr[::-1].copy(), "points outside its entries"),
        ("stage0/c.ptr", lambda ptr: ptr + 1, "points outside its entries"),
        ("stage0/o.linear", lambda a: a * np.nan, "holds NaN"),
        ("stage0/o.linear", lambda a: a + np.inf, "holds inf"),
        ("stage0/o.linear", lambda a: a.astype(np.float32), "holds float32, not float64"),
        ("stage0/o.linear", lambda a: a.astype(">f8"), "holds >f8, not float64"),
        ("stage0/o.linear", lambda a: a[:-1], "which does not fit the others"),
        ("stage0/o.linear", lambda a: a[None], "has 2 axes, not 1"),
        ("stage0/v.upper", lambda a: a * 10**9, "beyond 1 to 65536"),
        ("stage0/v.key", lambda a: a - 1, "leaves a variable without"),
        ("stage0/o.i", lambda a: a[::-1].copy(), "term-order"),
        ("certificates2/steps", lambda a: a * 10**9, "beyond 0 to 10000"),
        ("attention/logits", lambda a: -a, "holds inf"),
        ("recipe/mask", lambda a: a[:, :-1], "does not fit"),
        ("target/qubits", lambda a: a * 10**6, "lies beyond zephyr"),
        ("target/couplers", lambda a: a[::-1].copy(), "are sorted"),
        ("placement/chain_qubit", lambda a: a * 0, "holds no chains in submission 0"),
        ("placement/chain_qubit", lambda a: np.sort(a), "holds no chains|no coupler of"),
        ("placement/component", lambda a: a * 0, "other components than the program has"),
        ("placement/submission", lambda a: np.arange(len(a)), "holds no chains|parts a component"),
    ],
)
def test_columns_are_checked_whatever_their_checksum(
    folder: Path, array: str, change: Callable[[np.ndarray], np.ndarray], reason: str
) -> None:
    rewrite_array(folder, array, change)
    with pytest.raises(qa.QuboAttnError, match=reason):
        qa.load(folder).solve("anneal", seed=1, num_reads=1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda facts: facts | {"format": 3, "version": "0.1.0"}, "format 3 .*compile again"),
        (lambda facts: facts | {"format": 6, "version": "9.9"}, "format 6 .*this version reads 5"),
        (lambda facts: facts | {"format": "5"}, "format '5'"),
        (lambda facts: facts | {"more": 1}, "more is no part of an artifact"),
        (lambda facts: {k: v for k, v in facts.items() if k != "embed"}, "embed must be a record"),
        (lambda facts: facts | {"stages": facts["stages"][:-1]}, "has 4 stages of 4 passes"),
        (lambda facts: facts | {"stages": {}}, "stages must be a list"),
        (lambda facts: facts | {"selects": facts["selects"][:1]}, "one select and objective"),
        (lambda facts: facts | {"chain_strength": -1}, "chain_strength must be"),
        (lambda facts: facts | {"chain_strength": [1]}, "chain_strength must be"),
        (lambda facts: facts | {"placement": None}, "array group placement is no part"),
        (lambda facts: facts | {"target": None}, "placement, and no machine"),
        (lambda facts: _in(facts, "stages", 0, bound="0"), r"stages\[0\].bound must be a number"),
        (lambda facts: _in(facts, "stages", 0, notes=[1]), r"stages\[0\].notes must be a text"),
        (lambda facts: _in(facts, "passes", 0, name=1), r"passes\[0\].name must be a text"),
        (lambda facts: _in(facts, "selects", 0, options={"k": -1}), "k must be a whole number"),
        (lambda facts: _in(facts, "selects", 0, options={"l": 1}), "unexpected keyword|no option"),
        (lambda facts: _put(facts, "target", shape=[10**6, 4]), "zephyr"),
        (lambda facts: _put(facts, "target", shape=["2"]), "shape must be a wholes"),
        (lambda facts: _put(facts, "target", topology="chimera"), "'chimera' is not known"),
        (lambda facts: _put(facts, "target", properties={"h_range": 1}), "h_range"),
        (lambda facts: _put(facts, "target", names=["a"]), "not one for each qubit"),
        (lambda facts: _put(facts, "embed", rounds=2**70), "embed.rounds must be a whole"),
    ],
)
def test_facts_are_checked_whatever_their_checksum(
    folder: Path, change: Callable[[Facts], Facts], reason: str
) -> None:
    rewrite_facts(folder, change)
    with pytest.raises(qa.InputError, match=reason) as caught:
        qa.load(folder)
    assert str(folder) in str(caught.value)


def _in(facts: Facts, group: str, index: int, **entries: object) -> Facts:
    facts[group][index] |= entries
    return facts


def _put(facts: Facts, group: str, **entries: object) -> Facts:
    facts[group] |= entries
    return facts


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 10**5, '{"format": 5}', "\xff"])
def test_facts_that_do_not_read_are_named(folder: Path, text: str) -> None:
    (folder / "artifact.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(qa.InputError, match=r"artifact.json") as caught:
        qa.load(folder)
    assert caught.value.file == str(folder / "artifact.json")


def test_a_changed_fact_is_damage(folder: Path) -> None:
    facts, _ = parts_of(folder)
    facts["stages"][0]["bound"] = 1.0
    (folder / "artifact.json").write_text(json.dumps(facts))
    with pytest.raises(qa.InputError, match=r"artifact.json is damaged: its checksum"):
        qa.load(folder)


@pytest.mark.parametrize("array", ["stage0/c.ptr", "attention/logits", "placement/chain_ptr"])
def test_an_array_that_is_gone_is_named(folder: Path, array: str) -> None:
    _, arrays = parts_of(folder)
    del arrays[array]
    np.savez(folder / "arrays.npz", **arrays)
    with pytest.raises(qa.InputError, match=f"checksum of array {array} does not match"):
        qa.load(folder)
    rewrite_facts(folder, lambda facts: facts)
    with pytest.raises(qa.InputError, match=f"array {array} is absent"):
        qa.load(folder)


def test_an_array_too_many_is_named(folder: Path) -> None:
    _, arrays = parts_of(folder)
    np.savez(folder / "arrays.npz", **arrays, extra=np.zeros(3))
    with pytest.raises(qa.InputError, match="checksum of array extra does not match"):
        qa.load(folder)
    rewrite_facts(folder, lambda facts: facts)
    with pytest.raises(qa.InputError, match="array group extra is no part of an artifact"):
        qa.load(folder)


@pytest.mark.parametrize("part", ["artifact.json", "arrays.npz"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_file_is_named(folder: Path, part: str, kind: str) -> None:
    (folder / part).unlink()
    if kind == "pipe":
        os.mkfifo(folder / part)
    elif kind == "device":
        (folder / part).symlink_to("/dev/zero")
    else:
        (folder / part).mkdir()
    with pytest.raises(qa.InputError, match=f"{part}.*(Invalid argument|Is a directory)"):
        qa.load(folder)
