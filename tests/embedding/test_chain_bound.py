"""Packings whose chains keep to a bound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn.embedding.cliques import pack_cliques
from qubo_attn.embedding.component import Shape
from qubo_attn.embedding.shapes import pack_shape

TARGETS = {
    "zephyr": qa.Target.zephyr(3, missing_qubits=0.03, missing_couplers=0.005, seed=2),
    "pegasus": qa.Target.pegasus(4, missing_qubits=0.03, seed=2),
}


def ring(size: int) -> Shape:
    i, j = np.arange(size - 1), np.arange(1, size)
    i, j = np.r_[0, 0, i[1:]], np.r_[1, size - 1, j[1:]]
    return Shape(size, i, j)


@settings(max_examples=20)
@given(
    name=st.sampled_from(sorted(TARGETS)),
    size=st.sampled_from([4, 8, 12, 16, 26]),
    bound=st.integers(1, 8),
)
def test_no_chain_is_longer(name: str, size: int, bound: int) -> None:
    target = TARGETS[name]
    try:
        found = pack_cliques(size, target, rounds=20, longest_chain=bound)
    except qa.EmbeddingError as error:
        shortest = error.facts["shortest"] if "shortest" in error.facts else bound + 1
        assert shortest > bound
        return
    assert found.fits(target)
    assert found.longest_chain <= bound


def test_copies_are_mended_within_the_bound() -> None:
    """Those with longer chains are not made first and thrown away afterwards."""
    target = qa.Target.zephyr(4).with_losses(0.03, 0.005, seed=1)
    anyhow = pack_cliques(16, target)
    assert anyhow.longest_chain > 4
    assert len(pack_cliques(16, target, longest_chain=4)) >= len(anyhow) - 1


def test_the_shortest_that_would_do_is_named_and_does() -> None:
    target = TARGETS["zephyr"]
    with pytest.raises(qa.EmbeddingError, match=r"allow longest_chain=\d") as caught:
        pack_cliques(16, target, longest_chain=1)
    shortest = caught.value.facts["shortest"]
    assert caught.value.facts["longest_chain"] == 1
    assert len(pack_cliques(16, target, longest_chain=shortest)) >= 1


def test_shapes_keep_to_it() -> None:
    target = TARGETS["zephyr"]
    found = pack_shape(ring(12), target, longest_chain=1)
    assert found.longest_chain == 1
    assert found.fits(target)


def test_it_is_part_of_the_key_and_of_the_artifact(tmp_path: Path) -> None:
    scores = np.random.default_rng(1).normal(size=(1, 3, 12))
    options = {"target": TARGETS["zephyr"], "cache": tmp_path / "kept", "slots": 12}
    free = qa.compile(scores, 1, select=qa.ExactlyK(3), objective="selection", **options)
    bound = int(free.placement.chain_lengths.max())
    short = qa.compile(scores, 1, select=qa.ExactlyK(3), longest_chain=bound, **options)
    assert short.placement.chain_lengths.max() <= bound
    assert len(list((tmp_path / "kept").glob("*"))) == 2
    short.save(tmp_path / "artifact")
    assert qa.load(tmp_path / "artifact").recipe.embed.longest_chain == bound
    with pytest.raises(qa.InputError, match="longest_chain must be a whole number of at least 1"):
        qa.compile(scores, 1, longest_chain=0, **options)


def test_a_repair_keeps_to_it(tmp_path: Path) -> None:
    target, cache = TARGETS["zephyr"], qa.EmbeddingCache(tmp_path)
    first = qa.Embed(target, cache, rounds=20, longest_chain=3).packing(16)
    gone = target.qubits[first.packing.qubit[::40]]
    after = qa.Embed(target.without(gone, []), cache, rounds=20, longest_chain=3).packing(16)
    assert after.packing.longest_chain <= 3
