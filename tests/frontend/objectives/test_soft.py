"""Soft weights, sampling, budgets: each against a naive reference."""

from __future__ import annotations

from itertools import product

import dimod
import numpy as np
import pytest
from dwave.samplers import TreeDecompositionSampler
from hypothesis import given, settings
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn.frontend.attention import Attention
from qubo_attn.frontend.objectives import LeastSquares, Sparsemax
from tests.support import enumeration


def simplex(scores: np.ndarray) -> np.ndarray:
    """Sparsemax by bisection on the threshold."""
    low, high = scores.min() - 1, scores.max()
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(scores - middle, 0).sum() > 1 else (low, middle)
    return np.asarray(np.maximum(scores - high, 0))


@given(st.integers(0, 10_000))
@settings(max_examples=30)
def test_exact_sparsemax(seed: int) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.normal(scale=1.5, size=(2, 3, 5))
    attention = Attention.check(scores, 2)
    found = Sparsemax().wanted(attention, attention.rows).reshape(2, 3, 5)
    expected = np.apply_along_axis(simplex, 2, scores)
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("objective", ["sparsemax", "least_squares", LeastSquares(of="output")])
@pytest.mark.parametrize("levels", [1, 2, 3, 4])
def test_soft_weights_are_the_best_of_all_levels(objective: object, levels: int) -> None:
    for seed in range(4):
        generator = np.random.default_rng(seed)
        scores, values = generator.normal(size=(1, 1, 4)), generator.normal(size=(1, 4, 3))
        compiled = qa.compile(
            scores,
            1,
            select=qa.SoftWeights(levels=levels),
            objective=objective,
            values=values,
            target=None,
            verify_each=True,
        )
        first = compiled.stages[0].program
        total = int(first.constraints.rhs[0])
        s, p = scores[0, 0], compiled.attention.softmax[0, 0]

        def energy(
            w: np.ndarray, s: np.ndarray = s, p: np.ndarray = p, v: np.ndarray = values[0]
        ) -> float:
            if objective == "sparsemax":
                return float(0.5 * w @ w - s @ w)
            gap = (w - p) @ v if isinstance(objective, LeastSquares) else w - p
            return float(gap @ gap)

        for point in product(range(levels + 1), repeat=4):
            expected = energy(np.array(point) / total)
            assert first.objective.energies([point])[0] == pytest.approx(expected, abs=1e-9)
        best = min(
            energy(np.array(point) / total)
            for point in product(range(levels + 1), repeat=4)
            if sum(point) == total
        )
        states = enumeration.ground_states(compiled.program)
        lift = compiled.lift_to(0)
        for state in states:
            point = lift.lift([state])[0]
            assert point.sum() == total
            assert energy(point / total) == pytest.approx(best, abs=1e-8)


def test_levels_decode_to_weights(minilm: dict[str, np.ndarray]) -> None:
    compiled = qa.compile(
        minilm["scores"],
        12,
        select=qa.SoftWeights(levels=3),
        objective="sparsemax",
        slots=8,
        target="zephyr:6",
    )
    result = compiled.solve("anneal", seed=1)
    assert result.feasible.mean() > 0.99
    np.testing.assert_allclose(result.weights.sum(axis=-1), 1)
    exact = np.apply_along_axis(simplex, 2, minilm["scores"].astype(float))
    assert np.abs(result.weights - exact).sum(axis=-1).mean() < 0.5
    assert (result.selected == (result.weights > 0)).all()


@pytest.mark.parametrize(
    ("objective", "select", "message"),
    [
        ("sparsemax", qa.ExactlyK(2), "'sparsemax' of head 0 needs select=SoftWeights, not Exactl"),
        ("output", qa.SoftWeights(), "'output' of head 0 needs select=a selection such as"),
    ],
)
def test_objectives_and_selects_must_go_together(
    objective: str, select: object, message: str
) -> None:
    with pytest.raises(qa.InputError, match=message):
        qa.compile(
            np.zeros((1, 1, 3)),
            1,
            objective=objective,
            select=select,
            values=np.zeros((1, 3, 1)),
            target=None,
        )


@given(st.integers(0, 10_000))
@settings(max_examples=20)
def test_boltzmann_energies(seed: int) -> None:
    generator = np.random.default_rng(seed)
    scores, pairs = generator.normal(size=4), generator.normal(size=(4, 4))
    pairs = pairs + pairs.T
    compiled = qa.compile(
        scores[None, None],
        1,
        select=qa.Unconstrained(),
        target=None,
        objective=qa.Boltzmann(couplings=tuple(map(tuple, pairs.tolist()))),
    )
    for z in product((0, 1), repeat=4):
        energy = -sum(scores[i] * z[i] for i in range(4))
        energy -= sum(pairs[i, j] * z[i] * z[j] for i in range(4) for j in range(i))
        assert compiled.program.energies([z])[0] == pytest.approx(energy, abs=1e-9)


@pytest.mark.parametrize(
    ("couplings", "message"),
    [
        (((0.0, 1.0),), r"couplings have shape \(1, 2\); expected \(keys, keys\)"),
        (((0.0, 1.0), (2.0, 0.0)), "couplings must be symmetric"),
        (np.eye(3), r"couplings have shape \(3, 3\); expected \(2, 2\)"),
    ],
)
def test_unfit_couplings_are_named(couplings: tuple[tuple[float, ...], ...], message: str) -> None:
    with pytest.raises(qa.InputError, match=message):
        qa.compile(
            np.zeros((1, 1, 2)),
            1,
            select=qa.Unconstrained(),
            objective=qa.Boltzmann(couplings=couplings),
            target=None,
        )


def boltzmann(compiled: qa.CompiledAttention, beta: float) -> np.ndarray:
    points = np.array(list(product((0, 1), repeat=len(compiled.program))))
    weight = np.exp(-beta * compiled.program.energies(points))
    return np.asarray(weight @ points / weight.sum())


def test_marginals_of_exact_samples_match_enumeration() -> None:
    """Eight keys, pair couplings, exact Boltzmann sampling."""
    generator = np.random.default_rng(5)
    pairs = np.triu(generator.normal(size=(8, 8)), 1)
    compiled = qa.compile(
        generator.normal(size=(1, 1, 8)),
        1,
        select=qa.Unconstrained(),
        target=None,
        objective=qa.Boltzmann(couplings=tuple(map(tuple, (pairs + pairs.T).tolist()))),
    )
    (part,) = compiled.submissions
    sampleset = TreeDecompositionSampler().sample(
        part.bqm, num_reads=10, beta=1.0, marginals=True, seed=1
    )
    exact = boltzmann(compiled, 1.0)
    found = [sampleset.info["variable_marginals"][v] for v in part.bqm.variables]
    np.testing.assert_allclose(found, exact, atol=1e-3)
    many = TreeDecompositionSampler().sample(part.bqm, num_reads=200_000, beta=1.0, seed=1)
    result = compiled.decode([many.aggregate()])
    np.testing.assert_allclose(result.weights[0, 0], exact, atol=5e-3)
    assert qa.effective_temperature(compiled.program, many.record.sample[:20_000]) == pytest.approx(
        1.0, rel=0.03
    )


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_one_hot_sampling_is_softmax(temperature: float) -> None:
    scores = np.random.default_rng(3).normal(size=(1, 1, 8))
    compiled = qa.compile(
        scores,
        1,
        select=qa.OneHot(),
        objective="boltzmann",
        target=None,
        passes=(qa.InsertPenalties(margin=40.0),),
    )
    exact = np.exp(scores[0, 0] / temperature)
    exact /= exact.sum()
    np.testing.assert_allclose(boltzmann(compiled, 1 / temperature), exact, atol=1e-3)
    (part,) = compiled.submissions
    many = TreeDecompositionSampler().sample(
        part.bqm, num_reads=100_000, beta=1 / temperature, seed=1
    )
    found = compiled.decode([many], decoder="marginals").weights[0, 0]
    np.testing.assert_allclose(found, exact, atol=8e-3)


@pytest.mark.parametrize("beta", [0.3, 1.0, 3.0])
def test_effective_temperature_of_exact_samples(beta: float) -> None:
    program = qa.Program.parse(
        "x[0,0,0] : -1\nx[0,0,1] : 0.5\nx[0,0,2] : 0.2\nx[0,0,0] * x[0,0,1] : 1\n"
        "x[0,0,1] * x[0,0,2] : -1.5"
    )
    points = np.array(list(product((0, 1), repeat=3)))
    weight = np.exp(-beta * program.energies(points))
    counts = np.rint(weight / weight.sum() * 100_000).astype(int)
    samples = np.repeat(points, counts, axis=0)
    assert qa.effective_temperature(program, samples) == pytest.approx(1 / beta, rel=1e-3)
    assert qa.effective_temperature(program, points[program.energies(points).argmin()][None]) == 0
    with pytest.raises(qa.InputError, match=r"samples have shape \(0, 3\)"):
        qa.effective_temperature(program, samples[:0])


def test_at_most_k_keeps_what_pays() -> None:
    scores = np.array([[[2.0, -1.0, 1.0, -3.0, 0.5]]])
    for slack in ("unary", "binary"):
        compiled = qa.compile(
            scores,
            1,
            select=qa.AtMostK(4),
            objective="hard",
            target="zephyr:2",
            passes=(qa.Sparsify(slots=16), qa.InsertPenalties(at_most=slack)),
        )
        result = compiled.solve("anneal", seed=1)
        assert result.selected[0, 0].tolist() == [True, False, True, False, True]
        assert not result.capped.any()


def test_unconstrained_keeps_what_pays() -> None:
    scores = np.random.default_rng(0).normal(size=(2, 3, 6))
    result = qa.compile(
        scores, 2, select=qa.Unconstrained(), objective="hard", target="zephyr:2"
    ).solve("anneal", seed=1)
    assert (result.selected == (scores > 0)).all()


@pytest.mark.parametrize("over", ["head", "all"])
def test_key_value_budgets_on_causal_heads(over: str, smollm2: dict[str, np.ndarray]) -> None:
    """One key subset per key/value head, shared by its query heads and by all queries."""
    tie = qa.TieVariables.from_kv_head(smollm2["kv_head"], queries=True)
    compiled = qa.compile(
        smollm2["scores"],
        9,
        select=qa.Budget(6, over=over),
        objective="output",
        values=smollm2["value"],
        tie=tie,
        target=None,
        slots=None,
    )
    assert len(compiled.program) == 3 * 19
    labels = [
        compiled.stages[0].program.constraints.label(r)
        for r in range(len(compiled.stages[0].program.constraints))
    ]
    assert labels == (
        ["budget[*,*,*]"] if over == "all" else [f"budget[{h},*,*]" for h in (0, 3, 6)]
    )
    result = compiled.solve("anneal", seed=1)
    kept = result.selected.any(axis=1)
    for group in tie.groups:
        assert (kept[list(group)] == kept[group[0]]).all()
    totals = kept[[0, 3, 6]].sum(axis=-1)
    assert totals.tolist() == [6, 6, 6] if over == "head" else totals.sum() == 6
    seen = smollm2["scores"] > -np.inf
    assert (result.selected == (kept[:, None] & seen)).all()


def test_budgets_without_ties_count_selections() -> None:
    scores = np.random.default_rng(0).normal(size=(2, 3, 4))
    result = qa.compile(scores, 2, select=qa.Budget(5), objective="hard", target=None).solve(
        "anneal", seed=1
    )
    assert result.selected.sum(axis=(1, 2)).tolist() == [5, 5]
    for head in range(2):
        best = np.sort(scores[head].ravel())[-5:]
        assert np.sort(scores[head][result.selected[head]]) == pytest.approx(best)


@pytest.mark.parametrize("bad", [{"k": 0}, {"k": 2, "over": "query"}])
def test_bad_budgets_are_named(bad: dict[str, object]) -> None:
    with pytest.raises(
        qa.InputError, match=r"k must be a whole number|unknown over 'query'; one of head, all"
    ):
        qa.Budget(**bad)


def test_marginals_count_occurrences() -> None:
    compiled = qa.compile(
        np.zeros((1, 1, 2)), 1, select=qa.Unconstrained(), objective="boltzmann", target=None
    )
    sampleset = dimod.SampleSet.from_samples(
        [[0, 1], [1, 1]], "BINARY", energy=[0, 0], num_occurrences=[3, 1]
    )
    assert compiled.decode([sampleset]).weights[0, 0].tolist() == [0.25, 1.0]
