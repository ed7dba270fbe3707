"""Couplers worked out late, against those worked out at once; bounds that wait to be asked for."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn.ir.columns import Constraints
from qubo_attn.ir.quadratic import Quadratic, whole_rows

HEADS: dict[str, dict[str, Any]] = {
    "selection": {"objective": "selection"},
    "redundancy": {"objective": "redundancy"},
    "output": {"objective": "output"},
    "levels": {"objective": "output", "select": qa.SoftWeights(k=2)},
    "levels of one bit": {"objective": "output", "select": qa.SoftWeights(1, k=2)},
}


def heads_of(kind: str) -> list[qa.Head]:
    """Two heads of one kind, or one each of the first and the last two."""
    kinds = ["output", "levels"] if kind == "mixed" else [kind, kind]
    return [qa.Head(**{"select": qa.ExactlyK(2), **HEADS[name]}) for name in kinds]


@pytest.mark.parametrize("objective", [*HEADS, "mixed"])
def test_part_is_that_of_the_whole(objective: str) -> None:
    generator = np.random.default_rng(3)
    scores, vectors = generator.normal(size=(2, 6, 6)), generator.normal(size=(2, 6, 5))
    scores[:, np.triu_indices(6, 1)[0], np.triu_indices(6, 1)[1]] = -np.inf
    made = qa.compile(
        scores,
        heads_of(objective),
        values=vectors,
        keys=vectors,
        passes=(qa.Sparsify(slots=4), qa.InsertPenalties(relax=False)),
        target=None,
    )
    first, second = made.stages[0].program, made.stages[1]
    assert first.objective.is_late
    late = second.program
    copy = pickle.loads(pickle.dumps(made.stages[1].rewrite))
    assert len(first.objective) > 0
    first.verify()
    assert first.objective.coupler_count == len(first.objective)
    written = first.replace(objective=plain(first.objective))
    assert np.array_equal(first.components, written.components)
    again = qa.Sparsify(slots=4).apply(first)
    assert np.array_equal(again.program.objective.bias, late.objective.bias)
    assert np.array_equal(again.program.objective.i, late.objective.i)
    assert np.allclose(again.program.objective.linear, late.objective.linear, rtol=0, atol=1e-13)
    assert again.program.objective.offset == pytest.approx(late.objective.offset, abs=1e-12)
    assert again.prove() == second.rewrite.prove() == copy.prove() >= 0


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 7),
    st.integers(1, 7),
    st.floats(-0.5, 0.5),
    st.booleans(),
)
def test_rows_known_by_their_factors_are_priced_like_any(
    seed: int, keys: int, k: int, alpha: float, whole: bool
) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.normal(1.0, 2.0, size=(2, 3, keys))
    if whole:  # ties and zeros
        scores = np.rint(scores)
    scores[generator.random(scores.shape) < 0.2] = -np.inf
    made = qa.compile(
        scores,
        2,
        select=qa.ExactlyK(k),
        objective=qa.Selection(alpha),
        passes=(qa.InsertPenalties(relax=False),),
        target=None,
    )
    late = made.stages[0].program
    assert late.objective.is_late
    again = qa.InsertPenalties(relax=False).apply(late.replace(objective=plain(late.objective)))
    ours, theirs = made.program, again.program
    assert np.allclose(ours.constraints.weight, theirs.constraints.weight, atol=1e-9)
    assert np.allclose(ours.constraints.slope, theirs.constraints.slope, atol=1e-9)
    points = generator.integers(0, 2, size=(20, len(ours)))
    assert np.allclose(ours.total().energies(points), ours.energies(points), atol=1e-8)
    assert (ours.total().bias != 0).all()
    ours.replace(objective=ours.total(), constraints=type(ours.constraints).none()).verify()


def test_whole_rows_are_told_from_parts_of_rows() -> None:
    made = qa.compile(np.ones((1, 2, 4)), 1, select=qa.ExactlyK(2), passes=(), target=None)
    program = made.program
    rows = program.constraints
    known = whole_rows(program.objective, rows)
    assert known is not None
    assert known[1].tolist() == [0, 1]
    shorter = {"ptr": [0, 3], "var": [4, 5, 7], "coef": [1, 1, 1]}
    part = Constraints(**(rows.take(np.array([1])).arrays() | shorter))
    assert whole_rows(program.objective, part) is None
    assert whole_rows(plain(program.objective), rows) is None


@pytest.mark.parametrize("objective", HEADS)
def test_programs_travel_without_their_couplers(objective: str) -> None:
    generator = np.random.default_rng(4)
    vectors = generator.normal(size=(1, 5, 3))
    made = qa.compile(
        generator.normal(size=(1, 3, 5)),
        heads_of(objective)[:1],
        values=vectors,
        keys=vectors,
        passes=(),
        target=None,
    )
    travelled = pickle.loads(pickle.dumps(made.program))
    assert travelled.objective.is_late
    priced = [
        qa.BinarizeWeights().apply(qa.InsertPenalties(relax=False).apply(program).program)
        for program in (made.program, travelled)
    ]
    assert priced[0].program.total().bias.tobytes() == priced[1].program.total().bias.tobytes()
    assert travelled.same(made.program)


def plain(form: Quadratic) -> Quadratic:
    return Quadratic(form.offset, **form.arrays())
