"""Numbers whose sums overflow are named where they come in; others, however large, compile."""

from __future__ import annotations

import numpy as np
import pytest

import qubo_attn as qa
from qubo_attn.frontend.objectives.redundancy import centred_cosine

ROWS = np.random.default_rng(0).uniform(0.5, 1.5, size=(2, 3, 6))
VECTORS = np.random.default_rng(1).uniform(-1.0, 1.0, size=(2, 6, 4))
OBJECTIVES = ["hard", "selection", "redundancy", "boltzmann", "output"]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_scores_whose_products_overflow_are_named(sign: float) -> None:
    scores = np.array([ROWS[0], np.full((3, 6), sign * 1e160)])
    for objective in ("selection", qa.Selection(alpha=1.0)):
        with pytest.raises(qa.InputError, match=r"scores\[1,0,0\] is -?1e\+160: sums of") as caught:
            qa.compile(scores, 2, objective=objective, target=None)
        assert (caught.value.argument, caught.value.head) == ("scores", 1)
    # A head of its own objective is not in the way of another's.
    heads = [qa.Head(), qa.Head(objective="hard")]
    result = qa.compile(scores, heads, select=qa.ExactlyK(2), target=None)
    assert np.isfinite(result.stages[-1].program.objective.linear).all()


@pytest.mark.parametrize("objective", [*OBJECTIVES, "sparsemax", "least_squares"])
def test_scores_whose_sums_overflow_are_named(objective: str) -> None:
    soft = objective in ("sparsemax", "least_squares")
    select = qa.SoftWeights(3) if soft else qa.ExactlyK(2)
    options = {"values": VECTORS, "keys": VECTORS, "select": select, "target": None}
    with pytest.raises(qa.InputError, match=r"scores\[0,0,0\] is 1e\+307") as caught:
        qa.compile(np.full((2, 3, 6), 1e307), 2, objective=objective, **options)
    assert caught.value.argument == "scores"


@pytest.mark.parametrize("objective", ["hard", "boltzmann", qa.Redundancy(strength=0.0)])
@pytest.mark.parametrize("scale", [1e-150, 1e150, 1e250])
def test_large_and_small_scores_select_as_others_do(objective: object, scale: float) -> None:
    scores, keys = np.array([[[3.0, 1.0, 2.0]]]) * scale, [[[1.0], [2.0], [0.0]]]
    how = {"objective": objective, "keys": keys, "select": qa.OneHot(), "target": None}
    result = qa.compile(scores, 1, **how).solve("anneal", seed=1)
    assert result.selected[0, 0].tolist() == [True, False, False]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_values_whose_squares_overflow_are_named(objective: str) -> None:
    values = VECTORS.copy()
    values[1, 2, 3] = -1e160
    options = {"objective": objective, "select": qa.ExactlyK(2), "target": None}
    with pytest.raises(qa.InputError, match=r"values\[1,2,3\] is -1e\+160: squares") as caught:
        qa.compile(ROWS, 2, values=values, keys=VECTORS, **options)
    assert (caught.value.argument, caught.value.head, caught.value.key) == ("values", 1, 2)
    compiled = qa.compile(ROWS, 2, values=VECTORS, keys=VECTORS, **options)
    with pytest.raises(qa.InputError, match=r"values\[1,2,3\] is -1e\+160: squares"):
        compiled.rebind(ROWS, values=values)


def test_values_of_any_size_select_alike() -> None:
    """The error of the output scales with the square of the values, so no selection changes."""
    how = {"objective": "output", "select": qa.ExactlyK(2), "target": None}
    wanted = qa.compile(ROWS, 2, values=VECTORS, **how)
    for scale in (2.0**-480, 2.0**480):
        other = qa.compile(ROWS, 2, values=VECTORS * scale, **how)
        linear = other.stages[0].program.objective.linear
        assert np.array_equal(linear, wanted.stages[0].program.objective.linear * scale**2)


def test_cosines_do_not_depend_on_the_size_of_keys() -> None:
    wanted = centred_cosine(VECTORS)
    assert np.ptp(wanted) > 1.0
    for power in (-1000, -600, 600, 1000):
        assert np.array_equal(centred_cosine(np.ldexp(VECTORS, power)), wanted)
