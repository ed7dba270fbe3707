from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn.common.frozen import replaced
from qubo_attn.ir.columns import Sense
from qubo_attn.ir.program import Program
from tests.support import enumeration
from tests.support.strategies import programs

ROW = """\
program variables=3 terms=1 constraints=1
offset 0
x[0,0,0] : -4
x[0,0,1] : -3
x[0,0,2] : -2
x[0,0,0] * x[0,0,1] : 3
pick[0,0]: x[0,0,0] + x[0,0,1] + x[0,0,2] == 1
"""


def test_golden() -> None:
    rewrite = qa.InsertPenalties(margin=0).apply(Program.parse(ROW))
    # Adding key 0 to none gains at least 4 (up = -4); of two or three chosen, taking the second
    # cheapest away costs at most 3 (down): A = (up + down) / 2 < 0, so the linear part alone does.
    assert str(rewrite.program) == ROW.replace("== 1", "== 1 price 0 slope 3.5")


@given(programs(heads=3), st.sampled_from([0.0, 0.05, 0.5]))
@settings(max_examples=150)
def test_ground_states_are_constrained_optima(program: Program, margin: float) -> None:
    rewrite = qa.InsertPenalties(margin=margin).apply(program)
    assert rewrite.program.is_unconstrained
    qa.validate(program, rewrite)
    best = enumeration.optimum(program)
    states = enumeration.ground_states(rewrite.program)
    assert any(
        enumeration.holds(program, s)
        and enumeration.energy(program, s) == pytest.approx(best, abs=1e-8)
        for s in states
    )
    if margin > 0:
        assert all(enumeration.holds(program, state) for state in states)


@given(programs(weights=True), st.sampled_from(["binary", "domain-wall"]))
@settings(max_examples=60)
def test_encoded_weights_and_walls(program: Program, encoding: str) -> None:
    encoded = qa.BinarizeWeights(encoding=encoding).apply(program).program
    rewrite = qa.InsertPenalties().apply(encoded)
    qa.validate(encoded, rewrite)
    assert all(enumeration.holds(encoded, s) for s in enumeration.ground_states(rewrite.program))


def test_weights_are_per_row_not_global() -> None:
    text = ROW.replace("constraints=1", "constraints=2") + (
        "x[0,1,0] : -400\nx[0,1,1] : -300\nx[0,1,0] * x[0,1,1] : -700\n"
        "pick[0,1]: x[0,1,0] + x[0,1,1] == 1\n"
    )
    priced = qa.InsertPenalties().apply(Program.parse(text)).program.constraints
    assert priced.weight[0] < 5 < priced.weight[1]


def test_never_above_verma_and_lewis(minilm: dict[str, np.ndarray]) -> None:
    compiled = qa.compile(
        minilm["scores"],
        12,
        select=qa.ExactlyK(4),
        objective="output",
        values=minilm["value"],
        target=None,
        passes=(qa.Sparsify(slots=16), qa.InsertPenalties(margin=0)),
    )
    program, c = compiled.program, compiled.program.constraints
    o = program.objective
    n = len(program)
    gain = o.linear.copy()
    loss = -o.linear
    for ends in (o.i, o.j):
        gain += np.bincount(ends, weights=np.maximum(o.bias, 0), minlength=n)
        loss -= np.bincount(ends, weights=np.minimum(o.bias, 0), minlength=n)
    known = np.maximum.reduceat(np.maximum(gain, loss)[c.var], c.ptr[:-1])
    assert (c.weight <= known + 1e-12).all()
    assert np.median(c.weight / known) < 0.6


def test_a_row_without_objective_still_has_a_price() -> None:
    program = Program.parse("x[0,0,0] : 0\nx[0,0,1] : 0\npick[0,0]: x[0,0,0] + x[0,0,1] == 1")
    rewrite = qa.InsertPenalties().apply(program)
    assert rewrite.margin > 0
    qa.validate(program, rewrite)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("2 x[0,0,0] + x[0,0,1] <= 1", r"pick\[0,0\] is an inequality that needs slack bits"),
        ("0.5 x[0,0,0] + x[0,0,1] == 1", r"pick\[0,0\] has coefficients that are not whole"),
    ],
)
def test_what_it_cannot_price_is_named(row: str, message: str) -> None:
    program = Program.parse(f"x[0,0,0] : 1\nx[0,0,1] : 1\npick[0,0]: {row}")
    with pytest.raises(qa.PassError, match=message):
        qa.InsertPenalties().apply(program)


@pytest.mark.parametrize("margin", [-1.0, float("nan"), float("inf")])
def test_bad_margins_are_rejected(margin: float) -> None:
    with pytest.raises(qa.InputError, match="margin must be a finite number of at least 0"):
        qa.InsertPenalties(margin=margin)


def at_most(program: Program) -> Program:
    """The same rows, bounding instead of fixing their counts."""
    c = program.constraints
    return program.replace(constraints=replaced(c, sense=np.full(len(c), Sense.LE)))


@given(programs(heads=2, most_keys=4), st.sampled_from(["unary", "binary"]))
@settings(max_examples=100)
def test_slack_keeps_upper_bounds(program: Program, slack: str) -> None:
    bounded = at_most(program)
    rewrite = qa.InsertPenalties(at_most=slack).apply(bounded)
    qa.validate(bounded, rewrite)
    best = enumeration.optimum(bounded)
    lift = rewrite.lift
    for state in enumeration.ground_states(rewrite.program):
        point = tuple(lift.lift([state])[0].astype(int).tolist())
        assert enumeration.holds(bounded, point)
        assert enumeration.energy(bounded, point) == pytest.approx(best, abs=1e-8)


@given(programs(heads=1, most_keys=4))
@settings(max_examples=40)
def test_unbalanced_states_its_shift(program: Program) -> None:
    bounded = at_most(program)
    rewrite = qa.InsertPenalties(at_most="unbalanced").apply(bounded)
    assert len(rewrite.program) == len(bounded)
    qa.validate(bounded, rewrite)


def test_golden_slack() -> None:
    program = Program.parse(
        "x[0,0,0] : -4\nx[0,0,1] : 3\nx[0,0,2] : 2\npick[0,0]: x[0,0,0] + x[0,0,1] + x[0,0,2] <= 2"
    )
    rewrite = qa.InsertPenalties(margin=0, at_most="binary").apply(program)
    assert str(rewrite.program).splitlines()[-2:] == [
        "a[0,0,*,1] : 0",
        "pick[0,0]: x[0,0,0] + x[0,0,1] + x[0,0,2] + a[0,0,*,0] + a[0,0,*,1] == 2 price 0",
    ]
    assert rewrite.lift.n_after == 5


def test_a_bound_that_is_always_reached_is_an_equality() -> None:
    program = Program.parse(
        "x[0,0,0] : -4\nx[0,0,1] : -3\nx[0,0,2] : -2\n"
        "pick[0,0]: x[0,0,0] + x[0,0,1] + x[0,0,2] <= 2"
    )
    rewrite = qa.InsertPenalties().apply(program)
    assert len(rewrite.program) == 3
    qa.validate(program, rewrite)


def test_unknown_slack_is_named() -> None:
    with pytest.raises(qa.InputError, match="unknown at_most 'soft'; one of unary, binary, unba"):
        qa.InsertPenalties(at_most="soft")


@pytest.mark.parametrize("rhs", ["== 3", "== -1", "<= -1"])
def test_rows_that_cannot_hold_are_named(rhs: str) -> None:
    program = qa.Program.parse(f"x[0,4,0] : -1\nx[0,4,1] : 1\npick[0,4]: x[0,4,0] + x[0,4,1] {rhs}")
    with pytest.raises(qa.InfeasibleError, match=r"pick\[0,4\] cannot hold.* reach 0 to 2"):
        qa.InsertPenalties().apply(program)
