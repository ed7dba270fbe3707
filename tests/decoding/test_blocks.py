"""Rounds over blocks of rows that are larger than the machine."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qubo_attn as qa


def attention(seed: int, heads: int = 1, queries: int = 1, keys: int = 10) -> dict[str, Any]:
    generator = np.random.default_rng(seed)
    return {
        "scores": generator.normal(size=(heads, queries, keys)),
        "values": generator.normal(size=(heads, keys, 3)),
    }


def compiled(seed: int = 1, k: int = 4, decompose: Any = 6, **options: Any) -> qa.CompiledAttention:
    sizes = {name: options.pop(name) for name in ("heads", "queries", "keys") if name in options}
    defaults = {"select": qa.ExactlyK(k), "objective": "output", "target": None}
    given = attention(seed, **sizes) | defaults | {"decompose": decompose}
    return qa.compile(**(given | options))


def best_energy(seed: int, k: int, keys: int, **sizes: int) -> float:
    """Return the least objective of the first row, by enumeration; rows are not split."""
    program = compiled(seed, k, None, keys=keys, slots=None, **sizes).stages[0].program
    kept = np.array(list(combinations(range(keys), k)))
    points = np.zeros((len(kept), len(program)))
    np.put_along_axis(points, kept, 1.0, axis=1)
    return float(program.objective.energies(points).min() - program.objective.offset)


@given(st.integers(0, 1000), st.integers(1, 6))
def test_blocks_as_large_as_the_row_give_its_optimum(seed: int, k: int) -> None:
    """They leave nothing to split: the first round is all there is."""
    options = {"heads": 1, "queries": 2, "keys": 7}
    result = compiled(seed, k, 7, **options).solve(seed=1)
    alone = compiled(seed, k, None, slots=None, **options).solve("exact")
    np.testing.assert_allclose(result.energies, alone.energies)
    assert result.energies[0, 0] == pytest.approx(best_energy(seed, k, **options))
    assert result.proven.all()


@given(st.integers(0, 1000), st.integers(2, 6), st.sampled_from([4, 6, 8]))
@settings(max_examples=25)
def test_rounds_end_at_points_that_no_block_betters(seed: int, k: int, block: int) -> None:
    result = compiled(seed, k, block).solve(seed=1)
    assert result.blocks is not None
    assert result.selected.sum() == k
    best = best_energy(seed, k, 10)
    assert result.energies.sum() >= best - 1e-9
    if result.blocks.stop == "optimal":
        assert result.energies.sum() == pytest.approx(best)
    assert result.blocks.totals[-1] == pytest.approx(result.energies.sum())


@given(
    st.integers(0, 1000),
    st.sampled_from(["output", "renormalised", "selection"]),
    st.sampled_from([qa.ExactlyK(4), qa.AtMostK(4)]),
    st.booleans(),
)
@settings(max_examples=20, deadline=None)
def test_energies_never_rise_and_counts_hold(
    seed: int, objective: str, select: Any, tied: bool
) -> None:
    tie = qa.TieVariables(((0, 1),)) if tied else None
    options = {"heads": 3, "queries": 2, "objective": objective, "select": select, "tie": tie}
    model = compiled(seed, decompose=4, **options)
    for sampler, more in ((None, {}), ("anneal", {"num_reads": 3, "num_sweeps": 8})):
        result = model.solve(sampler, seed=3, **more)
        assert result.blocks is not None
        energies = result.blocks.energies
        assert (np.diff(energies, axis=0) <= 0).all()
        count = result.selected.sum(axis=-1)
        assert (count <= 4).all()
        if isinstance(select, qa.ExactlyK):
            assert (count == 4).all()
        if tied:
            assert (result.selected[0] == result.selected[1]).all()


@pytest.mark.parametrize("objective", ["output", "renormalised"])
def test_the_same_seed_gives_the_same_bytes(objective: str) -> None:
    first, second = (
        compiled(3, objective=objective, heads=2, queries=2).solve("anneal", seed=5, num_reads=4)
        for _ in range(2)
    )
    assert first.blocks is not None
    assert second.blocks is not None
    assert first.blocks.energies.tobytes() == second.blocks.energies.tobytes()
    assert first.weights.tobytes() == second.weights.tobytes()


def test_energies_of_the_result_are_those_of_the_program() -> None:
    model = compiled(2, heads=2, queries=3)
    result = model.solve(seed=1)
    whole = compiled(2, decompose=None, slots=None, heads=2, queries=3)
    v, program = whole.stages[0].program.variables, whole.stages[0].program
    point = result.selected[v.head, v.query, v.key].astype(float)
    expected = program.objective.energies(point[None])[0] - program.objective.offset
    assert result.energies.sum() == pytest.approx(expected)


def test_energies_of_renormalised_are_squared_relative_errors() -> None:
    tie = qa.TieVariables(((0, 1),), queries=True)
    model = compiled(2, objective="renormalised", heads=2, queries=3, tie=tie)
    result = model.solve(seed=1)
    assert result.blocks is not None
    errors = result.output_errors(model.attention)
    assert result.blocks.totals[-1] == pytest.approx((errors**2).sum())


def test_rounds_of_renormalised_better_the_heaviest_keys() -> None:
    model = compiled(4, 3, 6, objective="renormalised", keys=12, queries=4)
    heaviest = qa.baseline("top-k", model)
    weights = np.where(heaviest, model.attention.softmax, 0.0)
    values = model.attention.values
    assert values is not None
    output = weights / weights.sum(axis=-1, keepdims=True) @ values
    exact = model.attention.softmax @ values
    start = np.linalg.norm(output - exact, axis=-1) / np.linalg.norm(exact, axis=-1)
    error = model.solve(seed=1).output_errors(model.attention)
    assert (error <= start + 1e-12).all()
    assert error.mean() < 0.8 * start.mean()


def test_every_round_takes_the_placement_over(tmp_path: Path) -> None:
    cache = qa.EmbeddingCache(tmp_path)
    machine = qa.SimulatedMachine("zephyr:3", seed=1)
    model = compiled(5, heads=2, keys=14, target=machine, cache=cache)
    searched = cache.counts.misses
    shown: list[qa.BlockRound] = []
    result = model.solve(machine, seed=1, num_reads=10, after=shown.append)
    blocks = result.blocks
    assert blocks is not None
    assert (searched, cache.counts.misses, blocks.searches) == (1, 1, 0)
    assert blocks.reused == blocks.count == len(shown) > 1
    assert [step.energy for step in shown] == blocks.totals[1:].tolist()
    assert result.machine is not None
    assert result.machine.programmings == blocks.count
    assert str(shown[0]).startswith("round 1: energy ")
    assert set(result.methods.ravel()) == {"sampler"}
    # Another compilation of that shape finds the embedding in the cache.
    compiled(6, heads=2, keys=14, target=machine, cache=qa.EmbeddingCache(tmp_path))
    assert len(list(tmp_path.rglob("*.qac*"))) <= 1


def test_a_job_for_each_round() -> None:
    machine = qa.SimulatedMachine("zephyr:3", seed=1)
    model = compiled(5, heads=2, keys=14, target=machine)
    search = qa.BlockSearch(model)
    while search.round is not None:
        assert isinstance(search.round, qa.CompiledAttention)
        search.take(search.round.submit(machine, reads=10, seed=2).result())
    result = search.result()
    assert result.blocks is not None
    assert (np.diff(result.blocks.energies, axis=0) <= 0).all()
    assert result.selected.sum(axis=-1).tolist() == [[4], [4]]
    with pytest.raises(qa.InputError, match=r"must be that of BlockSearch\.round"):
        search.take(result)


def test_rounds_may_be_few() -> None:
    result = compiled(7, keys=30, k=10).solve(seed=1, rounds=1)
    assert result.blocks is not None
    assert (result.blocks.count, result.blocks.stop) == (1, "rounds")
    assert "1 round over blocks" in str(result)


@given(st.integers(0, 1000), st.sampled_from(["output", "renormalised"]), st.booleans())
@settings(max_examples=15, deadline=None)
def test_restarts_never_end_higher(seed: int, objective: str, bounded: bool) -> None:
    select = qa.AtMostK(4) if bounded else qa.ExactlyK(4)
    options = {"objective": objective, "select": select, "heads": 2, "queries": 2}
    split = compiled(seed, 4, 4, **options)
    once, again = split.solve(seed=3), split.solve(seed=3, restarts=4)
    assert once.blocks is not None
    assert again.blocks is not None
    energies = again.blocks.energies
    assert (energies[-1] <= once.blocks.energies[-1] + 1e-9).all()
    assert (np.diff(energies[1:], axis=0) <= 0).all()
    counts = again.selected.sum(axis=-1)
    assert (counts <= 4).all()
    assert bounded or (counts == 4).all()
    # The result is the best selection, not the latest.
    if objective == "output":
        np.testing.assert_allclose(again.energies.sum(), energies[-1].sum(), atol=1e-9)
    else:
        error = again.output_errors(split.attention)
        np.testing.assert_allclose((error**2).sum(), energies[-1].sum(), atol=1e-9)
    assert split.solve(seed=3, restarts=4).weights.tobytes() == again.weights.tobytes()


def test_restarts_leave_local_optima() -> None:
    """With blocks of two keys each round is one exchange, and many points are local optima."""
    optimal = np.zeros(2, int)
    for seed in range(12):
        split = compiled(seed, 5, 2, keys=10)
        runs = split.solve(seed=1), split.solve(seed=1, restarts=20)
        gaps = np.array([run.energies.sum() for run in runs]) - best_energy(seed, 5, 10)
        assert gaps[1] >= -1e-9
        optimal += gaps < 1e-9
    assert optimal[0] < optimal[1] > 8


def test_restarts_are_of_rows_that_are_split() -> None:
    with pytest.raises(qa.InputError, match="restarts are of rows that are split"):
        compiled(decompose=None).solve(seed=1, restarts=1)
    for wrong in (-1, 1.5, "two"):
        with pytest.raises(qa.InputError, match="restarts must be"):
            compiled().solve(seed=1, restarts=wrong)
        with pytest.raises(qa.InputError, match="restarts must be"):
            qa.BlockSearch(compiled(), restarts=wrong)


def test_split_rows_are_saved_and_bound_again(tmp_path: Path) -> None:
    model = compiled(8, heads=2)
    model.save(tmp_path / "out")
    loaded = qa.load(tmp_path / "out")
    expected = model.solve(seed=1)
    assert np.array_equal(loaded.solve(seed=1).selected, expected.selected)
    other = attention(9, heads=2)
    again = model.rebind(other["scores"], values=other["values"]).solve(seed=1)
    assert np.array_equal(again.selected, compiled(9, heads=2).solve(seed=1).selected)


def test_what_cannot_be_split_says_so() -> None:
    with pytest.raises(qa.InputError, match="no row was split"):
        qa.BlockSearch(compiled(decompose=None))
    with pytest.raises(qa.InputError, match="marginals"):
        compiled().solve("anneal", decoder="marginals")
    with pytest.raises(qa.PassError, match="cannot be split"):
        compiled(select=qa.SoftWeights(), objective="sparsemax", keys=20)
    coupled = {"coupling": qa.Diversity(0.5), "objective": "renormalised", "heads": 2}
    with pytest.raises(qa.InputError, match="couplings of heads and renormalised"):
        compiled(**coupled)
    heads = [qa.Head(objective="output"), qa.Head(objective="renormalised")]
    with pytest.raises(qa.InputError, match="renormalised in some heads only"):
        qa.compile(**attention(1, heads=2), heads=heads, decompose=4, target=None)
    with pytest.raises(qa.InputError, match="boltzmann"):
        compiled(objective=qa.Boltzmann())


def test_a_row_that_is_too_large_names_the_way_out() -> None:
    scores = np.random.default_rng(1).normal(size=(1, 1, 60))
    options = {"keys": np.ones((1, 60, 2)), "objective": "redundancy", "slots": None}
    with pytest.raises(qa.EmbeddingError, match=r"solve it in blocks \(decompose=\d+\)") as caught:
        qa.compile(scores, select=qa.ExactlyK(20), target="zephyr:1", **options)
    fits = qa.compile(
        scores, select=qa.ExactlyK(20), target="zephyr:1", decompose=caught.value.fits, **options
    )
    assert fits.placement is not None
    auto = qa.compile(
        scores, select=qa.ExactlyK(20), target="zephyr:1", decompose="auto", **options
    )
    assert auto.placement is not None


@pytest.mark.parametrize("decompose", [1, 0, 2.5, True, "many"])
def test_decompose_is_a_number_or_auto(decompose: object) -> None:
    with pytest.raises(qa.InputError, match="decompose"):
        compiled(decompose=decompose)
