"""Repair: whatever the bits of a read say, whole levels come out that keep the row's count."""

from __future__ import annotations

from typing import Any

import dimod
import numpy as np
import pytest

import qubo_attn as qa
from qubo_attn.common.vocabulary import ENCODINGS
from qubo_attn.pipeline.promises import every_point
from tests.support import enumeration

KINDS: dict[str, Any] = {
    "sparsemax": lambda levels, encoding: {
        "objective": qa.Sparsemax(),
        "select": qa.SoftWeights(levels, encoding=encoding),
    },
    "unit": lambda levels, encoding: {
        "objective": qa.Sparsemax(),
        "select": qa.SoftWeights(levels, encoding=encoding, scale="unit"),
    },
    "weights": lambda levels, encoding: {
        "objective": qa.LeastSquares(),
        "select": qa.SoftWeights(levels, encoding=encoding),
    },
    "output": lambda levels, encoding: {
        "objective": qa.LeastSquares(of="output"),
        "select": qa.SoftWeights(levels, encoding=encoding),
    },
    "levels": lambda levels, encoding: {
        "objective": qa.Output(),
        "select": qa.SoftWeights(levels, k=2, encoding=encoding),
    },
}
ORDERS = {
    "default": None,
    "encoded-first": "sparsify,binarize-weights{{encoding={}}},insert-penalties",
}


def compiled_rows(kind: str, levels: int, encoding: str, seed: int, **options: Any) -> Any:
    generator = np.random.default_rng(seed)
    scores = 2.0 * generator.normal(size=(2, 3, 6))
    scores[generator.random(scores.shape) < 0.2] = -np.inf
    values = generator.normal(size=(2, 6, 3))
    what = KINDS[kind](levels, encoding)
    return qa.compile(scores, 2, values=values, target=None, **what, **options)


def read(compiled: qa.CompiledAttention, bits: np.ndarray) -> list[dimod.SampleSet]:
    return [
        dimod.SampleSet.from_samples_bqm((bits[:, part.variables], list(part.variables)), part.bqm)
        for part in compiled.submissions
    ]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("encoding", ["auto", *ENCODINGS])
@pytest.mark.parametrize("kind", KINDS)
def test_every_read_becomes_a_feasible_one(kind: str, encoding: str, order: str) -> None:
    passes = ORDERS[order]
    for seed, levels in enumerate((1, 2, 3, 5)):
        compiled = compiled_rows(
            kind, levels, encoding, seed, passes=passes and passes.format(encoding)
        )
        n, generator = len(compiled.program), np.random.default_rng(seed)
        drawn = generator.integers(0, 2, size=(8, n))
        for bits in (*drawn, np.zeros(n, int), np.ones(n, int)):
            result = compiled.decode(read(compiled, bits[None]))
            assert (result.feasible | result.repaired | result.empty).all()
            if kind == "levels":
                kept = np.minimum(compiled.attention.visible.sum(axis=-1), 2)
                np.testing.assert_array_equal(result.selected.sum(axis=-1), kept)
            else:
                sums = result.weights.sum(axis=-1)
                np.testing.assert_allclose(sums, ~result.empty, atol=1e-12)


@pytest.mark.parametrize("encoding", ["auto", *ENCODINGS])
@pytest.mark.parametrize("kind", KINDS)
def test_the_ground_states_of_every_encoding_are_the_best_levels(kind: str, encoding: str) -> None:
    for seed in range(4):
        generator = np.random.default_rng(seed)
        compiled = qa.compile(
            2.0 * generator.normal(size=(1, 1, 3)),
            1,
            values=generator.normal(size=(1, 3, 3)),
            target=None,
            **KINDS[kind](3, encoding),
        )
        first, points = compiled.stages[0].program, every_point(compiled.program)
        energies = compiled.program.total().energies(points)
        near = energies <= energies.min() + 1e-13 * np.abs(energies).max()
        best = enumeration.optimum(first)
        for point in compiled.lift_to(0).lift(points[near]):
            assert (point == np.rint(point)).all()
            assert enumeration.holds(first, tuple(point))
            assert enumeration.energy(first, tuple(point)) == pytest.approx(best, abs=1e-9)


def test_one_hot_weights_have_the_order_that_serves() -> None:
    soft = qa.SoftWeights(3, encoding="one-hot")
    compiled = qa.compile([[1.0, 0.5, 0.2]], 1, select=soft, objective="sparsemax", target=None)
    names = [stage.name for stage in compiled.stages]
    assert names.index("binarize-weights") < names.index("insert-penalties")
    np.testing.assert_array_equal(compiled.solve("anneal", seed=1).weights[0, 0], [0.75, 0.25, 0.0])
    with pytest.raises(qa.PassError, match=r"put binarize-weights\{encoding=one-hot\} before it"):
        qa.compile(
            [[1.0, 0.5, 0.2]],
            1,
            select=soft,
            objective="sparsemax",
            passes="insert-penalties,binarize-weights{encoding=one-hot}",
            target=None,
        )
