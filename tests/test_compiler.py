"""The compiler end to end."""

from __future__ import annotations

from collections.abc import Callable

import dimod
import numpy as np
import pytest
from dwave.system import FixedEmbeddingComposite
from dwave.system.testing import MockDWaveSampler

import qubo_attn as qa
from qubo_attn.decoding.decoders import weights_of
from qubo_attn.decoding.result import relative_errors
from tests.support.greedy import top_k

CAUSAL = np.array(
    [
        [
            [1.0, -np.inf, -np.inf, -np.inf],
            [0.5, 2.0, -np.inf, -np.inf],
            [3.0, 1.0, 0.25, -np.inf],
            [1.0, 0.0, 2.0, -1.0],
        ],
    ]
)


def test_golden_of_every_stage(golden: Callable[[str, str], None]) -> None:
    """Two causal heads, tied; the first key is required, so every pass has something to do."""
    heads = np.concatenate([CAUSAL, CAUSAL * 0.5])
    compiled = qa.compile(
        heads,
        2,
        select=qa.ExactlyK(2),
        slots=2,
        tie=qa.TieVariables(groups=((0, 1),)),
        required=np.tile([True, False, False, False], (4, 1)),
        target="zephyr:1",
        verify_each=True,
    )
    text = "".join(f"// after {stage.spec}\n{stage.text}\n" for stage in compiled.stages[:-1])
    golden("causal.txt", text)
    assert compiled.stages[-1].name == "embed"
    assert compiled.stages[-1].program.same(compiled.stages[-2].program)


def test_two_arguments_are_enough(minilm: dict[str, np.ndarray]) -> None:
    compiled = qa.compile(minilm["scores"], 12)
    assert [stage.name for stage in compiled.stages] == [
        "selection",
        "sparsify",
        "insert-penalties",
        "binarize-weights",
        "embed",
    ]
    result = compiled.solve("anneal", seed=1)
    assert result.selected.sum(axis=-1).tolist() == [[8] * 10] * 12
    assert result.feasible.all()
    np.testing.assert_allclose(result.weights.sum(axis=-1), 1)
    assert result.context is None


def test_result_shapes_and_the_residual_decoder(minilm: dict[str, np.ndarray]) -> None:
    compiled = qa.compile(
        minilm["scores"], 12, select=qa.ExactlyK(3), objective="output", values=minilm["value"]
    )
    result = compiled.solve("anneal", seed=1)
    assert result.selected.shape == result.weights.shape == (12, 10, 10)
    assert result.context is not None
    assert result.context.shape == minilm["value"].shape
    attention = compiled.attention
    mean = attention.values.mean(axis=1, keepdims=True)
    kept = np.where(result.selected, attention.softmax, 0.0)
    expected = mean + kept @ (attention.values - mean)
    np.testing.assert_allclose(result.context, expected, atol=1e-12)
    assert np.nanmean(result.output_errors(attention)) < 0.2
    top = top_k(attention.softmax, attention.visible, np.full((12, 10), 3))
    weights = weights_of("residual", attention, top)
    fair = relative_errors(weights @ attention.values, attention)
    assert np.nanmean(result.output_errors(attention)) < np.nanmean(fair)


def test_values_choose_the_objective(minilm: dict[str, np.ndarray]) -> None:
    scores, options = minilm["scores"], {"select": qa.ExactlyK(3), "target": None}
    for values, name in ((None, "selection"), (minilm["value"], "output")):
        compiled = qa.compile(scores, values=values, **options)
        explicit = qa.compile(scores, 12, values=values, objective=name, **options)
        assert compiled.report().objectives == (name,)
        assert f"objective: {name}" in str(compiled.report())
        assert compiled.program.same(explicit.program)
    heads = [qa.Head(objective="hard")] + [qa.Head()] * 11
    mixed = qa.compile(scores, heads, values=minilm["value"], **options)
    assert mixed.report().objectives == ("hard", "output")
    stream = qa.compile_batch([{"scores": scores, "values": minilm["value"]}], 12, **options)
    assert next(stream).report().objectives == ("output",)


def test_scores_show_the_number_of_heads(minilm: dict[str, np.ndarray]) -> None:
    assert qa.compile(minilm["scores"], target=None).attention.shape == (12, 10, 10)
    assert qa.compile(minilm["scores"][0], target=None).attention.shape == (1, 10, 10)
    with pytest.raises(qa.InputError, match=r"expected \(heads, queries, keys\)"):
        qa.compile(minilm["scores"][0, 0], target=None)


def test_rows_that_equal_top_k_are_known(minilm: dict[str, np.ndarray]) -> None:
    options = {"select": qa.ExactlyK(3), "values": minilm["value"], "target": None}
    hard = qa.compile(minilm["scores"], objective="hard", **options)
    result = hard.solve(seed=1)
    assert result.same_as_top_k(hard.attention).all()
    assert "Every row keeps just its heaviest keys" in hard.html(result)
    ours = qa.compile(minilm["scores"], **options)
    result, attention = ours.solve(seed=1), ours.attention
    top = top_k(attention.softmax, attention.visible, np.full((12, 10), 3))
    expected = (top == result.selected).all(axis=-1)
    assert np.array_equal(result.same_as_top_k(attention), expected)
    assert 0 < expected.sum() < expected.size
    assert f"{expected.sum()} of 120 rows keep just" in ours.html(result)
    with pytest.raises(qa.InputError, match=r"pass compiled\.attention"):
        result.same_as_top_k(qa.compile(np.zeros((1, 2, 3)), target=None).attention)


def test_the_energy_of_a_row_is_its_squared_error(minilm: dict[str, np.ndarray]) -> None:
    compiled = qa.compile(
        minilm["scores"],
        12,
        select=qa.ExactlyK(3),
        objective="output",
        values=minilm["value"],
        target=None,
    )
    result, attention = compiled.solve("anneal", seed=2), compiled.attention
    exact = attention.softmax @ attention.values
    error = ((result.context - exact) ** 2).sum(axis=-1)
    mean = attention.values.mean(axis=1, keepdims=True)
    nothing = ((exact - mean) ** 2).sum(axis=-1)
    np.testing.assert_allclose(result.energies, error - nothing, atol=1e-9)


def test_short_rows_are_capped_and_said_so(smollm2: dict[str, np.ndarray]) -> None:
    compiled = qa.compile(smollm2["scores"], 9, select=qa.ExactlyK(4), target=None)
    result = compiled.solve("anneal", seed=1)
    sizes = np.arange(1, 20)
    assert (result.selected.sum(axis=-1) == np.minimum(sizes, 4)).all()
    assert (result.capped == (sizes < 4)).all()
    assert "27 rows with too few visible keys" in str(result)
    assert not result.selected[~(smollm2["scores"] > -np.inf)].any()
    assert compiled.report().rows == {"all": 171, "empty": 0, "capped": 27, "submitted": 135}


def test_padding_rows_come_back_as_zeros() -> None:
    scores = np.random.default_rng(1).normal(size=(2, 3, 6))
    mask = np.ones((3, 6), bool)
    mask[1] = False
    compiled = qa.compile(
        scores,
        2,
        select=qa.ExactlyK(2),
        objective="output",
        values=np.random.default_rng(2).normal(size=(2, 6, 3)),
        mask=mask,
        target="zephyr:2",
    )
    result = compiled.solve("anneal", seed=1)
    assert (result.weights[:, 1] == 0).all()
    assert (result.context[:, 1] == 0).all()
    assert result.empty.tolist() == [[False, True, False]] * 2
    assert np.isnan(result.output_errors(compiled.attention)[:, 1]).all()
    assert compiled.report().rows["empty"] == 2
    assert "2 rows without a visible key" in str(result)


@pytest.mark.parametrize("shape", [(1, 0, 4), (2, 3, 0), (1, 1, 1), (2, 2, 2)])
def test_nothing_to_choose(shape: tuple[int, int, int]) -> None:
    compiled = qa.compile(np.zeros(shape), shape[0], target="zephyr:2")
    assert compiled.submissions == ()
    result = compiled.solve("anneal", seed=1)
    assert result.selected.shape == shape
    assert result.selected.all()
    assert result.feasible.all()
    assert ", 0 with a choice left" in str(compiled.report())


def test_all_keys_masked_everywhere() -> None:
    result = qa.compile(np.full((1, 2, 3), -np.inf), 1).solve("anneal", seed=1)
    assert result.empty.all()
    assert not result.weights.any()


def test_one_hot_and_the_single_head_form() -> None:
    scores = np.random.default_rng(4).normal(size=(6, 7)) * 3
    result = qa.compile(scores, 1, select=qa.OneHot(), target="pegasus:2").solve("anneal", seed=1)
    assert (result.selected.sum(axis=-1) == 1).all()
    assert (result.selected[0].argmax(axis=-1) == scores.argmax(axis=-1)).mean() == 1


def test_heads_of_their_own() -> None:
    scores = np.random.default_rng(4).normal(size=(3, 4, 9))
    heads = [qa.Head(select=qa.ExactlyK(2)), qa.Head(select=qa.OneHot()), qa.Head()]
    compiled = qa.compile(scores, heads, select=qa.ExactlyK(5), target=None)
    counts = compiled.solve("anneal", seed=1).selected.sum(axis=-1)
    assert counts.tolist() == [[2] * 4, [1] * 4, [5] * 4]


def test_heads_tied_by_name() -> None:
    scores = np.random.default_rng(4).normal(size=(3, 4, 9))
    heads = [qa.Head(tie="a"), qa.Head(), qa.Head(tie="a")]
    compiled = qa.compile(scores, heads, select=qa.ExactlyK(3), target=None)
    chosen = compiled.solve("anneal", seed=1).selected
    assert (chosen[0] == chosen[2]).all()
    assert len(compiled.program) == 2 * 4 * 9


@pytest.mark.parametrize("topology", ["zephyr", "pegasus"])
def test_submissions_run_on_a_mock_machine(topology: str, smollm2: dict[str, np.ndarray]) -> None:
    """Through FixedEmbeddingComposite, and as embedded models straight to the sampler."""
    size = 4
    compiled = qa.compile(smollm2["scores"], 9, target=f"{topology}:{size}")
    mock = MockDWaveSampler(
        topology_type=topology,
        topology_shape=[size, 4] if topology == "zephyr" else [size],
        parameter_warnings=False,
    )
    samplesets = [
        FixedEmbeddingComposite(mock, part.embedding).sample(part.bqm, num_reads=20)
        for part in compiled.submissions
    ]
    result = compiled.decode(samplesets)
    assert result.selected.sum() == np.minimum(np.arange(1, 20), 8).sum() * 9
    direct = compiled.solve(mock, seed=1, num_reads=20)
    assert direct.selected.sum() == result.selected.sum()
    assert 0 <= direct.chain_break_fraction <= 1


def test_repair_mends_what_a_bad_sampler_breaks(minilm: dict[str, np.ndarray]) -> None:
    compiled = qa.compile(minilm["scores"], 12, select=qa.ExactlyK(3), target="zephyr:3")
    samplesets = [
        dimod.SampleSet.from_samples_bqm(
            (np.ones((2, len(part.variables)), np.int8), part.variables.tolist()), part.bqm
        )
        for part in compiled.submissions
    ]
    result = compiled.decode(samplesets)
    assert not result.feasible.any()
    assert result.repaired.all()
    assert (result.selected.sum(axis=-1) == 3).all()
    assert "0.00% feasible, 120 repaired" in str(result)


def test_repair_of_tied_rows(minilm: dict[str, np.ndarray]) -> None:
    compiled = qa.compile(
        minilm["scores"],
        12,
        select=qa.ExactlyK(3),
        target=None,
        tie=qa.TieVariables(groups=((0, 1, 2),)),
    )
    (part,) = compiled.submissions
    zeros = (np.zeros((1, len(part.variables)), np.int8), part.variables.tolist())
    result = compiled.decode([dimod.SampleSet.from_samples_bqm(zeros, part.bqm)])
    assert result.repaired.all()
    assert (result.selected[0] == result.selected[2]).all()


def test_every_row_takes_its_own_best_read() -> None:
    scores = np.random.default_rng(7).normal(size=(1, 2, 5))
    compiled = qa.compile(scores, 1, select=qa.OneHot(), target=None)
    (part,) = compiled.submissions
    best = compiled.solve("anneal", seed=1).selected[0]
    good, bad = best.copy(), best.copy()
    good[1], bad[0] = False, True  # one read serves row 0, the other row 1
    reads = np.stack([good.ravel(), bad.ravel()]).astype(np.int8)
    result = compiled.decode(
        [dimod.SampleSet.from_samples_bqm((reads, part.variables.tolist()), part.bqm)]
    )
    assert result.feasible.all()
    assert (result.selected[0] == best).all()


def test_samples_of_other_problems_are_rejected(minilm: dict[str, np.ndarray]) -> None:
    compiled = qa.compile(minilm["scores"], 12, target="zephyr:3")
    with pytest.raises(qa.DecodeError, match=r"1 sample set for \d+ submissions"):
        compiled.decode([dimod.SampleSet.from_samples([{0: 1}], "SPIN", 0)])
    foreign = [dimod.SampleSet.from_samples([{"a": 1}], "SPIN", 0)] * len(compiled.submissions)
    with pytest.raises(qa.DecodeError, match="neither its variables nor qubit"):
        compiled.decode(foreign)


def test_sample_sets_are_left_alone(minilm: dict[str, np.ndarray]) -> None:
    compiled = qa.compile(minilm["scores"], 12, target="zephyr:6")
    part = compiled.submissions[0]
    assert part.physical is not None
    labels = [int(q) for q in compiled.recipe.target.qubits[part.physical.qubit]]
    spins = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (5, len(labels)))
    sampleset = dimod.SampleSet.from_samples_bqm((spins, labels), part.embedded_bqm)
    before = sampleset.copy()
    logical = part.unembed(sampleset)
    assert sampleset == before
    assert set(logical.variables) == set(part.bqm.variables)
    for read in range(5):
        row = dict(zip(labels, spins[read].tolist(), strict=True))
        for v, chain in list(part.embedding.items())[:40]:
            vote = sum(row[q] for q in chain)
            assert dict(zip(logical.variables, logical.record.sample[read], strict=True))[v] == (
                1 if vote >= 0 else -1
            )


def test_rebind_equals_a_fresh_compile(minilm: dict[str, np.ndarray]) -> None:
    options = {"select": qa.ExactlyK(3), "objective": "output", "target": "zephyr:4"}
    first = qa.compile(minilm["scores"], 12, values=minilm["value"], **options)
    scores, values = minilm["scores"][::-1] + 0.1, minilm["value"][::-1] * 2
    again = first.rebind(scores, values=values)
    fresh = qa.compile(scores, 12, values=values, **options)
    assert again.stages[-1].rewrite.notes == ("placement taken over",)
    assert again.plan is first.plan
    assert again.program.same(fresh.program)
    for a, b in zip(again.submissions, fresh.submissions, strict=True):
        assert a.bqm == b.bqm
        assert a.embedding == b.embedding
        assert a.embedded_bqm == b.embedded_bqm
    x, y = again.solve("anneal", seed=3), fresh.solve("anneal", seed=3)
    assert np.array_equal(x.weights, y.weights)


def test_rebind_with_another_mask_embeds_anew() -> None:
    scores = np.random.default_rng(3).normal(size=(1, 4, 9))
    first = qa.compile(scores, 1, select=qa.ExactlyK(2), target="zephyr:2")
    shorter = scores.copy()
    shorter[0, 2, 4:] = -np.inf
    again = first.rebind(shorter)
    fresh = qa.compile(shorter, 1, select=qa.ExactlyK(2), target="zephyr:2")
    assert again.stages[-1].rewrite.notes != ("placement taken over",)
    assert [p.embedding for p in again.submissions] == [p.embedding for p in fresh.submissions]


def test_same_seed_same_bytes(minilm: dict[str, np.ndarray]) -> None:
    a, b = (qa.compile(minilm["scores"], 12).solve("anneal", seed=9) for _ in range(2))
    assert np.array_equal(a.selected, b.selected)


def test_all_to_all_needs_no_embedding() -> None:
    scores = np.random.default_rng(3).normal(size=(1, 4, 12))
    compiled = qa.compile(scores, 1, select=qa.ExactlyK(2), target="all-to-all")
    (part,) = compiled.submissions
    assert part.embedding == {}
    assert part.vartype == "BINARY"
    assert len(part.rows) == 4
    assert compiled.solve("anneal", seed=1).feasible.all()
    with pytest.raises(qa.DecodeError, match="without a structured target"):
        _ = part.embedded_bqm


def test_hooks_see_every_pass() -> None:
    seen: list[str] = []
    qa.compile(
        np.zeros((1, 1, 9)),
        1,
        target=None,
        before=[lambda p, _: seen.append(p.name)],
        after=[lambda stage: seen.append(stage.name.upper())],
    )
    assert seen == [
        "sparsify",
        "SPARSIFY",
        "insert-penalties",
        "INSERT-PENALTIES",
        "binarize-weights",
        "BINARIZE-WEIGHTS",
    ]


def test_the_slot_bound_is_reported_and_holds() -> None:
    scores = np.random.default_rng(3).normal(size=(1, 3, 12)) * 2
    values = np.random.default_rng(4).normal(size=(1, 12, 4))
    options = {"select": qa.ExactlyK(2), "objective": "output", "values": values, "target": None}
    few = qa.compile(scores, 1, slots=4, **options)
    every = qa.compile(scores, 1, slots=None, **options)
    gap = few.solve("anneal", seed=1).energies.sum() - every.solve("anneal", seed=1).energies.sum()
    assert -1e-9 <= gap <= few.bound + 1e-9
    assert every.bound == 0
