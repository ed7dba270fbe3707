from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import qubo_attn as qa
from qubo_attn.embedding.component import Component
from qubo_attn.embedding.dealing import fewest_programmings, mixed
from qubo_attn.embedding.mixing import pack_mixture
from qubo_attn.embedding.packing import Packing
from qubo_attn.embedding.parts import Mixture


def causal(heads: int, tokens: int) -> np.ndarray:
    scores = np.random.default_rng(0).normal(size=(heads, tokens, tokens))
    scores[:, ~np.tri(tokens, dtype=bool)] = -np.inf
    return scores


def compiled_on(target: str, cache: Path, scores: np.ndarray, slots: int) -> qa.CompiledAttention:
    select = qa.ExactlyK(2)
    return qa.compile(scores, select=select, slots=slots, target=target, cache=cache)


def test_rows_of_all_lengths_share_programmings(tmp_path: Path) -> None:
    """The bound is 1.7 programmings; one size at a time takes three."""
    scores = causal(12, 30)
    compiled = qa.compile(
        scores, select=qa.ExactlyK(4), slots=16, target="zephyr:12", cache=tmp_path
    )
    component = compiled.placement.component
    sizes = np.bincount(component)
    assert 1.5 < fewest_programmings(sizes, qa.Target.zephyr(12), None) < 1.7
    assert len(compiled.submissions) == 2
    assert [part.diagnose() for part in compiled.submissions] == [[], []]
    again = qa.compile(scores, select=qa.ExactlyK(4), slots=16, target="zephyr:12", cache=tmp_path)
    assert again.placement.digest == compiled.placement.digest


def test_of_many_programmings_the_last_ones_are_mixed(tmp_path: Path) -> None:
    """Rows of eight keys fill programmings of their own; no mixture is searched for these."""
    compiled = compiled_on("zephyr:3", tmp_path, causal(6, 60), 8)
    part, component = compiled.placement.submission, compiled.placement.component
    sizes = np.bincount(component)[component]
    alone = [np.unique(sizes[part == number]).tolist() for number in range(part.max() + 1)]
    full = len(packing_of(8, "zephyr:3"))
    whole = [number for number, kinds in enumerate(alone) if kinds == [8]]
    counts = [len(np.unique(component[part == number])) for number in whole]
    assert counts == [full] * len(whole)
    mixtures = [
        entry for entry in qa.EmbeddingCache(tmp_path).entries() if entry.path.parent.name[0] == "M"
    ]
    assert len(alone) > 12
    assert 1 <= len(mixtures) <= len(alone) - len(whole) <= 2
    assert all(part.diagnose() == [] for part in compiled.submissions)


def test_a_mixture_takes_most_of_a_machine_with_losses() -> None:
    """Tiles as small as any are known of cover 84 % of the qubits that work."""
    target = qa.Target.zephyr(4).with_losses(0.03, 0.005, seed=1)
    counts = {16: 9, 12: 4, 9: 4, 6: 2, 4: 3, 2: 4}
    mixture = Mixture(tuple(map(Component, counts)), tuple(counts.values()))
    sizes = np.repeat(list(counts), list(counts.values()))
    assert 0.83 < fewest_programmings(sizes, target, None) < 0.85
    packing = pack_mixture(mixture, target)
    assert packing.fits(target)
    assert packing.size == sizes.sum()
    assert packing.longest_chain <= 5
    again = pack_mixture(mixture, target)
    np.testing.assert_array_equal(packing.qubit, again.qubit)


def test_samples_of_a_mixture_are_read_back(tmp_path: Path) -> None:
    compiled = compiled_on("zephyr:3", tmp_path, causal(6, 9), 8)
    best = compiled.solve()
    assert {entry.path.parent.name[0] for entry in qa.EmbeddingCache(tmp_path).entries()} >= {"M"}
    result = compiled.solve(qa.SimulatedMachine("zephyr:3"), seed=1, num_reads=20)
    assert result.selected.shape == best.selected.shape
    assert result.feasible.all()


def test_rows_of_one_size_are_dealt_as_before(tmp_path: Path) -> None:
    compiled = compiled_on("zephyr:3", tmp_path, np.zeros((4, 30, 8)), 8)
    names = {entry.path.parent.name[0] for entry in qa.EmbeddingCache(tmp_path).entries()}
    assert names == {"K"}
    assert len(compiled.submissions) == int(np.ceil(120 / len(packing_of(8, "zephyr:3"))))


def packing_of(size: int, target: str) -> Packing:
    return qa.Embed(qa.Target.of(target)).packing(size).packing


def test_of_many_programmings_none_is_searched_that_had_to_hold_more(tmp_path: Path) -> None:
    compiled = compiled_on("zephyr:3", tmp_path, causal(1, 230), 8)
    assert len(compiled.submissions) == 14
    names = {entry.path.parent.name[0] for entry in qa.EmbeddingCache(tmp_path).entries()}
    assert names == {"K"}


def test_nothing_is_mixed_that_cannot_be_fewer() -> None:
    def never(mixture: object) -> None:
        pytest.fail(f"{mixture} was asked for")

    target = qa.Target.zephyr(2)
    sizes = np.repeat([8, 4], [30, 10])
    assert fewest_programmings(sizes, target, None) > 2
    assert mixed(sizes, target, None, 2, never) is None
    assert mixed(np.array([40, 8]), target, None, 3, never) is None
