"""Packings that ship: checked on their machines, as dense as a search, and what `Embed` takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import qubo_attn as qa
from qubo_attn.embedding import shipped
from qubo_attn.embedding.cliques import pack_cliques
from qubo_attn.embedding.shipped import shipped_packing
from qubo_attn.embedding.templates import clique_sizes

MACHINES = ("zephyr:12", "zephyr:6", "zephyr:4", "pegasus:16")


@pytest.mark.parametrize("name", MACHINES)
def test_every_usual_size_ships_and_fits(name: str) -> None:
    target = qa.Target.of(name)
    assert target is not None
    for size in (n for n in clique_sizes(target.topology) if 4 <= n <= 32):
        packing = shipped_packing(size, target)
        assert packing is not None, size
        assert packing.size == size
        assert packing.fits(target)


@pytest.mark.parametrize("size", [5, 16])
def test_a_search_finds_about_as_many(size: int) -> None:
    target = qa.Target.zephyr(4)
    packing, found = shipped_packing(size, target), pack_cliques(size, target)
    assert packing is not None
    assert abs(len(packing) - len(found)) <= 1
    assert packing.longest_chain == found.longest_chain


def test_none_ships_for_other_machines() -> None:
    assert shipped_packing(8, qa.Target.zephyr(5)) is None
    assert shipped_packing(8, qa.Target.zephyr(4, missing_qubits=0.02, seed=1)) is None
    assert shipped_packing(3, qa.Target.zephyr(4)) is None


def test_one_that_does_not_fit_is_as_good_as_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    target = qa.Target.zephyr(4)
    packing = shipped_packing(8, target)
    assert packing is not None
    numbers = shipped.packed(packing)
    numbers[-1] += 1
    np.savez(tmp_path / "packings.npz", **{shipped.name_of(8, target): numbers})
    monkeypatch.setattr(shipped.resources, "files", lambda package: tmp_path)
    assert shipped_packing(8, target) is None


def test_embed_searches_where_options_are_not_the_usual(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    searched = []

    def pack(size: int, target: qa.Target, **options: int) -> object:
        searched.append(options)
        return pack_cliques(size, target, **options)

    monkeypatch.setattr(shipped, "pack_cliques", pack)
    target, cache = qa.Target.zephyr(4), qa.EmbeddingCache(tmp_path)
    kept = qa.Embed(target, cache).packing(8)
    assert (kept.how, len(searched)) == ("new", 0)
    assert [entry.readable for entry in cache.entries()] == [True]
    assert qa.Embed(target, qa.EmbeddingCache(tmp_path)).packing(8).how == "kept"
    qa.Embed(target, cache, seed=1).packing(8)
    qa.Embed(target, cache, longest_chain=2).packing(8)
    assert [options.get("longest_chain") for options in searched] == [None, 2]


def test_an_ideal_lattice_is_not_repaired_from_a_broken_one(tmp_path: Path) -> None:
    broken = qa.Target.zephyr(4, missing_qubits=0.02, seed=1)
    cache = qa.EmbeddingCache(tmp_path)
    few = qa.Embed(broken, cache).packing(8)
    many = qa.Embed(qa.Target.zephyr(4), cache).packing(8)
    assert many.how == "new"
    assert len(many.packing) > len(few.packing)
