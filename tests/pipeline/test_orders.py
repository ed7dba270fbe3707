"""Every objective, every select, every legal order: ground states lift to constrained optima."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn.frontend.select import Select
from qubo_attn.pipeline.pipeline import Pass
from tests.support import enumeration

PASSES: dict[str, Pass] = {
    "tie": qa.TieVariables(groups=((0, 1),)),
    "sparsify": qa.Sparsify(dominance=True),
    "binarize": qa.BinarizeWeights(),
    "price": qa.InsertPenalties(),
}
LIGHT: dict[str, Pass] = {"drop": qa.DropCouplers(), "compress": qa.Compress()}
# Other shapes of a row: same promise, other variables.
SHAPES: dict[str, Pass] = {
    form: qa.InsertPenalties(cardinality=form) for form in ("grid", "network")
}
ALL = PASSES | LIGHT | SHAPES


def legal_orders(names: Iterable[str], sizes: Iterable[int]) -> list[tuple[str, ...]]:
    found = []
    for size in sizes:
        for order in permutations(names, size):
            if "price" not in order:
                continue
            try:
                qa.Pipeline(tuple(ALL[name] for name in order))
            except qa.OrderError:
                continue
            found.append(order)
    return found


@pytest.mark.parametrize("order", legal_orders(PASSES, range(1, 5)), ids="-".join)
@pytest.mark.parametrize("objective", ["selection", "redundancy", "output", "hard", "boltzmann"])
@pytest.mark.parametrize(
    "select",
    [qa.OneHot(), qa.ExactlyK(2), qa.ExactlyK(4), qa.AtMostK(2), qa.Unconstrained()],
    ids=str,
)
@given(data=st.data())
@settings(max_examples=4)
def test_ground_states_lift_to_optima(
    objective: str, select: Select, order: tuple[str, ...], data: st.DataObject
) -> None:
    check_order(objective, select, order, data)


@pytest.mark.parametrize("order", legal_orders(ALL, [6]), ids="-".join)
@pytest.mark.parametrize("objective", ["redundancy", "output"])
@given(data=st.data())
@settings(max_examples=4)
def test_lighter_rows_have_the_same_optima(
    objective: str, order: tuple[str, ...], data: st.DataObject
) -> None:
    check_order(objective, qa.ExactlyK(2), order, data)


@pytest.mark.parametrize("form", SHAPES)
@pytest.mark.parametrize("objective", ["hard", "output"])
@pytest.mark.parametrize("order", legal_orders(PASSES, [1, 4]), ids="-".join)
@given(data=st.data())
@settings(max_examples=3)
def test_grids_and_networks_have_the_same_optima(
    order: tuple[str, ...], objective: str, form: str, data: st.DataObject
) -> None:
    swapped = tuple(form if name == "price" else name for name in order)
    check_order(objective, qa.ExactlyK(2), swapped, data)


def check_order(
    objective: str, select: Select, order: tuple[str, ...], data: st.DataObject
) -> None:
    generator = np.random.default_rng(data.draw(st.integers(0, 100_000), label="seed"))
    keys = data.draw(st.integers(1, 4), label="keys")
    scores = generator.normal(scale=2, size=(2, 1, keys))
    scores[:, 0, 1:][generator.random((2, keys - 1)) < 0.2 * ("tie" not in order)] = -np.inf
    compiled = qa.compile(
        scores,
        2,
        select=select,
        objective=objective,
        values=generator.normal(size=(2, keys, 3)),
        keys=generator.normal(size=(2, keys, 3)),
        passes=[ALL[name] for name in order],
        target=None,
        verify_each=True,
    )
    first, last = compiled.stages[0].program, compiled.program
    tied = "tie" in order
    best = min(
        enumeration.energy(first, p)
        for p in enumeration.points(first)
        if enumeration.holds(first, p) and (not tied or p[: len(p) // 2] == p[len(p) // 2 :])
    )
    lift = compiled.lift_to(0)
    for state in enumeration.ground_states(last):
        point = tuple(lift.lift([state])[0].astype(int).tolist())
        assert enumeration.holds(first, point)
        assert enumeration.energy(first, point) == pytest.approx(best, abs=1e-7)
