from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn.common.vocabulary import ENCODINGS
from qubo_attn.formulations.cardinality import Cardinality, embedded_qubits
from qubo_attn.formulations.encodings import PRECISION, coefficients, spread
from qubo_attn.ir.program import Program
from tests.support import enumeration
from tests.support.strategies import programs

WEIGHT = """\
program variables=2 terms=2 constraints=1
offset 0
x[0,0,0] : 1
w[0,0,1] in 0..5 : -2
x[0,0,0] * w[0,0,1] : 1
w[0,0,1] * w[0,0,1] : 0.5
pick[0,0]: x[0,0,0] + w[0,0,1] == 4
"""


def test_golden_binary() -> None:
    rewrite = qa.BinarizeWeights(encoding="binary").apply(Program.parse(WEIGHT))
    assert str(rewrite.program) == (
        "program variables=4 terms=6 constraints=1\n"
        "offset 0\n"
        "x[0,0,0] : 1\n"
        "w[0,0,1,0] : -1.5\n"
        "w[0,0,1,1] : -2\n"
        "w[0,0,1,2] : -2\n"
        "x[0,0,0] * w[0,0,1,0] : 1\n"
        "x[0,0,0] * w[0,0,1,1] : 2\n"
        "x[0,0,0] * w[0,0,1,2] : 2\n"
        "w[0,0,1,0] * w[0,0,1,1] : 2\n"
        "w[0,0,1,0] * w[0,0,1,2] : 2\n"
        "w[0,0,1,1] * w[0,0,1,2] : 4\n"
        "pick[0,0]: x[0,0,0] + w[0,0,1,0] + 2 w[0,0,1,1] + 2 w[0,0,1,2] == 4\n"
    )


def test_golden_domain_wall() -> None:
    text = "w[0,0,1] in 0..3 : -2\npick[0,0]: w[0,0,1] == 2\n"
    rewrite = qa.BinarizeWeights(encoding="domain-wall").apply(Program.parse(text))
    assert str(rewrite.program) == (
        "program variables=3 terms=0 constraints=3\n"
        "offset 0\n"
        "w[0,0,1,0] : -2\n"
        "w[0,0,1,1] : -2\n"
        "w[0,0,1,2] : -2\n"
        "pick[0,0]: w[0,0,1,0] + w[0,0,1,1] + w[0,0,1,2] == 2\n"
        "wall[0,0,1,1]: -w[0,0,1,0] + w[0,0,1,1] <= 0\n"
        "wall[0,0,1,2]: -w[0,0,1,1] + w[0,0,1,2] <= 0\n"
    )


@given(programs(weights=True, heads=1), st.sampled_from(["auto", *ENCODINGS]))
@settings(max_examples=80)
def test_promise(program: Program, encoding: str) -> None:
    rewrite = qa.BinarizeWeights(encoding=encoding).apply(program)
    assert rewrite.program.is_binary
    qa.validate(program, rewrite)


@pytest.mark.parametrize("encoding", ["auto", *ENCODINGS])
@pytest.mark.parametrize("level", [1, 2, 3, 4, 5, 6, 7, 8, 12, 16])
def test_every_level_is_reached_and_no_other(encoding: str, level: int) -> None:
    program = Program.parse(f"w[0,0,0] in 0..{level} : 1\npick[0,0]: w[0,0,0] <= {level}")
    rewrite = qa.BinarizeWeights(encoding=encoding).apply(program)
    points = [
        p for p in enumeration.points(rewrite.program) if enumeration.holds(rewrite.program, p)
    ]
    reached = sorted(rewrite.lift.lift(points)[:, 0].tolist())
    assert sorted(set(reached)) == list(range(level + 1))
    if encoding in ("domain-wall", "one-hot"):
        assert len(reached) == level + 1


def test_unknown_encodings_are_named() -> None:
    with pytest.raises(qa.InputError, match="unknown encoding 'grey'; one of auto, arith"):
        qa.BinarizeWeights(encoding="grey")


@pytest.mark.parametrize("topology", ["zephyr", "pegasus", "all-to-all"])
@pytest.mark.parametrize("level", range(2, 40))
def test_auto_takes_hardly_more_qubits_than_any_other(level: int, topology: str) -> None:
    text = "".join(f"w[0,0,{key}] in 0..{level} : {key}\n" for key in range(6))
    total = " + ".join(f"w[0,0,{key}]" for key in range(6))
    program = Program.parse(f"{text}pick[0,0]: {total} == {2 * level}\n")
    rewrite = qa.BinarizeWeights(topology=topology).apply(program)
    chosen = rewrite.notes[1].split(":")[0]

    def qubits(name: str) -> float:
        bits = 6 * len(coefficients(name, level))
        if topology == "all-to-all":
            return bits
        return embedded_qubits(Cardinality.DENSE, bits, 1, topology)

    for other in ENCODINGS:
        assert qubits(chosen) <= 1.1 * qubits(other)
        if qubits(other) <= 1.1 * min(map(qubits, ENCODINGS)):
            assert spread(chosen, level) <= spread(other, level) or other == "domain-wall"
    assert (f"more than the {PRECISION:g} : 1" in rewrite.notes[1]) == (
        spread(chosen, level) > PRECISION
    )


@given(programs(weights=True, heads=1), st.sampled_from(["domain-wall", "binary", "unary"]))
@settings(max_examples=60)
def test_priced_programs_may_be_encoded(program: Program, encoding: str) -> None:
    priced = qa.InsertPenalties().apply(program).program
    rewrite = qa.BinarizeWeights(encoding=encoding).apply(priced)
    assert rewrite.program.is_unconstrained
    qa.validate(priced, rewrite)


def test_one_hot_comes_before_the_prices() -> None:
    program = Program.parse("w[0,0,0] in 0..3 : 1\nx[0,0,0] : 1\npick[0,0]: x[0,0,0] == 1")
    priced = qa.InsertPenalties().apply(program).program
    with pytest.raises(qa.PassError, match="one-hot weights must be encoded before"):
        qa.BinarizeWeights(encoding="one-hot").apply(priced)


def test_the_note_names_the_encoding_that_auto_chose() -> None:
    rewrite = qa.BinarizeWeights().apply(Program.parse("w[0,0,0] in 0..3 : -2"))
    assert rewrite.notes[0] == "1 kinds of weights in 2 bits, binary"


@pytest.mark.parametrize("encoding", ["domain-wall", "one-hot"])
def test_constraints_follow_the_encoding_that_auto_chose(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = Program.parse(WEIGHT)
    monkeypatch.setattr(
        "qubo_attn.passes.binarize_weights.cheapest",
        lambda upper, *_: (np.full(len(upper), encoding), ()),
    )
    chosen = qa.BinarizeWeights().apply(program)
    assert str(chosen.program) == str(qa.BinarizeWeights(encoding).apply(program).program)
    qa.validate(program, chosen)


def test_gates_of_one_hot_levels_stay_gates() -> None:
    program = Program.parse(
        "x[0,0,0] : 1\nx[0,0,1] : 2\nw[0,0,0] in 0..3 : -2\n"
        "pick[0,0]: x[0,0,0] + x[0,0,1] == 1\n"
        "gate[0,0,0]: -3 x[0,0,0] + w[0,0,0] <= 0"
    )
    rewrite = qa.BinarizeWeights(encoding="one-hot").apply(program)
    rewrite.program.verify()
    qa.validate(program, rewrite)
    c = rewrite.program.constraints
    gate = slice(c.ptr[1], c.ptr[2])
    assert sorted(c.coef[gate].tolist()) == [-6.0, 1.0, 2.0, 3.0]
    priced = qa.InsertPenalties().apply(rewrite.program)
    qa.validate(rewrite.program, priced)
    assert enumeration.optimum(program) == -5
    for point in enumeration.ground_states(priced.program):
        (lifted,) = rewrite.lift.lift(priced.lift.lift([point]))
        assert lifted.tolist() == [1, 0, 3]


def test_bits_of_one_one_hot_number_have_no_products() -> None:
    program = Program.parse("w[0,0,0] in 0..3 : -2\nw[0,0,0] * w[0,0,0] : 0.5")
    rewrite = qa.BinarizeWeights(encoding="one-hot").apply(program)
    assert rewrite.program.objective.linear.tolist() == [0.0, -1.5, -2.0, -1.5]
    assert len(rewrite.program.objective) == 0
    qa.validate(program, rewrite)


def test_walls_are_left_out_where_nothing_is_constrained() -> None:
    """Keys that flags decide leave levels alone behind, and no pass that prices."""
    compiled = qa.compile(
        [[0.5, -0.5, 1.0, -1.0]],
        1,
        select=qa.SoftWeights(3, k=2, encoding="domain-wall"),
        objective="output",
        values=[[[3.0, 2.0], [3.0, 0.0], [-1.0, 1.0], [-1.0, 0.0]]],
        forbidden=[[0, 1, 0, 1]],
        target=None,
    )
    first = compiled.stages[0].program
    best = min(
        enumeration.energy(first, p)
        for p in enumeration.points(first)
        if enumeration.holds(first, p)
    )
    assert not len(compiled.program.constraints)
    for state in enumeration.ground_states(compiled.program):
        point = tuple(compiled.lift_to(0).lift([state])[0].astype(int).tolist())
        assert enumeration.energy(first, point) == pytest.approx(best, abs=1e-12)
    assert compiled.solve("anneal", seed=1).selected[0, 0].tolist() == [True, False, True, False]


def test_walls_of_keys_of_no_worth_have_the_scale_of_their_row() -> None:
    """Three of four keys have values of zero, the other one a tiny one: a wall of 1 drowned it."""
    compiled = qa.compile(
        np.zeros((1, 1, 4)),
        1,
        objective=qa.LeastSquares("output"),
        select=qa.SoftWeights(2, encoding="domain-wall"),
        values=[[[0.0], [0.0], [0.0], [1e-150]]],
        target=None,
    )
    c = compiled.program.constraints
    assert 0 < c.weight.max() < 1e-299
