from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

import qubo_attn as qa
from qubo_attn.ir.program import Program
from qubo_attn.ir.quadratic import Quadratic
from qubo_attn.ir.verify import diagnose
from tests.support import enumeration
from tests.support.strategies import programs

SMALL = """\
program variables=4 terms=2 constraints=2
offset 1.5
x[0,0,0] mass 0.25 : -2
x[0,0,1] : 1
w[0,0,2] in 0..3 : -1
a[*,*,*,0] : 0
x[0,0,0] * x[0,0,1] : 4
w[0,0,2] * w[0,0,2] : 0.5
pick[0,0]: x[0,0,0] + x[0,0,1] - 2 w[0,0,2] == 1
wall[0,0,2,1]: -x[0,0,1] + a[*,*,*,0] <= 0 price 2.5
"""


def test_text_round_trip() -> None:
    program = Program.parse(SMALL)
    assert str(program) == SMALL
    assert program.label(3) == "a[*,*,*,0]"
    assert program.constraints.label(1) == "wall[0,0,2,1]"


@given(programs(weights=True))
def test_exact_text_reads_back_bit_for_bit(program: Program) -> None:
    assert Program.parse(program.text(exact=True)).same(program)


@given(programs(weights=True))
def test_energies_and_feasibility_match_enumeration(program: Program) -> None:
    points = enumeration.points(program)[:200]
    np.testing.assert_allclose(
        program.energies(points), [enumeration.energy(program, p) for p in points], atol=1e-9
    )
    assert program.feasible(points).tolist() == [enumeration.holds(program, p) for p in points]


def test_priced_implication_is_a_product() -> None:
    program = Program.parse(SMALL)
    points = enumeration.points(program)
    np.testing.assert_allclose(
        program.energies(points), [enumeration.energy(program, p) for p in points]
    )


def test_columns_are_frozen_and_caller_arrays_are_not() -> None:
    linear = np.array([1.0, 2.0])
    none = np.zeros(0)
    form = Quadratic(0.0, linear, none, none, none)
    linear[0] = 9.0
    assert form.linear[0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        form.linear[0] = 3.0


def test_long_programs_print_bounded() -> None:
    program = Program.parse("\n".join(f"x[0,0,{k}] : 1" for k in range(30)))
    lines = program.text(limit=10).splitlines()
    assert lines[-1] == "// ... 20 more"
    assert len(lines) == 13


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x[0,0,0] = 3", "line 1, column 1: expected an offset, a variable, a term or"),
        ("\n  x[0,0] : 3", "line 2, column 3: a label has 3 to 4 parts here, not 2"),
        ("z[0,0,0] : 3", "unknown kind of variable 'z'; one of x, w, a"),
        ("x[0,0,0] : 1\nx[0,0,0] : 1", "line 2, column 1: x[0,0,0] is named twice"),
        ("x[0,0,0] : 1\nx[0,0,0] * x[0,0,1] : 1", "column 12: x[0,0,1] is not declared above"),
        ("x[0,0,0] : 1\npick[0,0]: x[0,0,0] x[0,0,0] == 1", "expected a sign and a variable"),
        ("offset many", "column 8: 'many' is not a number"),
        ("x[0,0,0] : 1\nsum[0,0]: x[0,0,0] == 1", "unknown kind of constraint 'sum'"),
    ],
)
def test_parse_errors_name_line_and_column(text: str, message: str) -> None:
    with pytest.raises(qa.ParseError) as caught:
        Program.parse(text)
    assert message in str(caught.value)
    assert caught.value.line >= 1


def broken(**changes: object) -> Program:
    program = Program.parse(SMALL)
    groups = {"v": program.variables, "o": program.objective, "c": program.constraints}
    for name, value in changes.items():
        group, column = name.split("_")
        part = groups[group]
        arrays = part.arrays() | {column: np.asarray(value)}
        if group == "o":
            arrays["offset"] = program.objective.offset
        groups[group] = type(part)(**arrays)
    return Program(groups["v"], groups["o"], groups["c"])


@pytest.mark.parametrize(
    ("changes", "code", "where"),
    [
        ({"v_head": [0, 0]}, "shape", "variables.head"),
        ({"c_ptr": [0, 4, 4]}, "row-pointer", "constraints.ptr"),
        ({"v_role": [0, 0, 1, 9]}, "role", "variable 3"),
        ({"v_upper": [1, 0, 3, 1]}, "upper", "x[0,0,1]"),
        ({"o_linear": [1, np.nan, 0, 0]}, "finite-linear", "x[0,0,1]"),
        ({"v_key": [0, 0, 2, -1]}, "label-twice", "x[0,0,0]"),
        ({"o_j": [9, 2]}, "term-range", "term 0"),
        ({"o_i": [3, 2], "o_j": [1, 2]}, "term-order", "a[*,*,*,0] * x[0,0,1]"),
        ({"o_i": [2, 0], "o_j": [2, 1]}, "term-sorted", "x[0,0,0] * x[0,0,1]"),
        ({"o_bias": [0, 1]}, "term-zero", "x[0,0,0] * x[0,0,1]"),
        ({"o_bias": [np.inf, 1]}, "finite-term", "x[0,0,0] * x[0,0,1]"),
        ({"v_upper": [1, 1, 1, 1]}, "bit-squared", "w[0,0,2] * w[0,0,2]"),
        ({"c_ptr": [0, 0, 5]}, "row-empty", "pick[0,0]"),
        ({"c_var": [0, 1, 9, 1, 3]}, "row-range", "pick[0,0]"),
        ({"c_var": [1, 0, 2, 1, 3]}, "row-sorted", "pick[0,0]"),
        ({"c_coef": [1, 0, -2, -1, 1]}, "row-zero", "pick[0,0]"),
        ({"c_rhs": [np.inf, 0]}, "finite-row", "pick[0,0]"),
        ({"c_sense": [7, 1]}, "sense", "pick[0,0]"),
        ({"c_weight": [np.nan, -1]}, "price", "wall[0,0,2,1]"),
        ({"c_kind": [0, 0], "c_key": [-1, -1], "c_bit": [-1, -1]}, "label-twice", "pick[0,0]"),
    ],
)
def test_verify_names_what_is_malformed(changes: dict[str, object], code: str, where: str) -> None:
    program = broken(**changes)
    found = [
        (d.code, d.where)
        for d in diagnose(program.variables, program.objective, program.constraints)
    ]
    assert (code, where) in found
    with pytest.raises(qa.VerifyError) as caught:
        program.verify()
    assert caught.value.code == found[0][0]


@given(programs(weights=True))
def test_generated_programs_verify(program: Program) -> None:
    program.verify()


@given(programs())
def test_total_is_the_energy(program: Program) -> None:
    priced = qa.InsertPenalties().apply(program).program
    form, points = priced.total(), enumeration.points(priced)
    np.testing.assert_allclose(form.energies(points), priced.energies(points), atol=1e-8)
    assert (form.bias != 0).all()
    keys = form.i.astype(int) * len(priced) + form.j
    assert (np.diff(keys) > 0).all()


def test_total_names_a_constraint_that_is_left() -> None:
    program = Program.parse("x[0,0,0] : 1\npick[0,0]: x[0,0,0] == 1")
    with pytest.raises(qa.VerifyError, match=r"constraint-left at pick\[0,0\]"):
        program.total()


def test_total_of_rows_that_share_a_variable() -> None:
    program = Program.parse(
        "x[0,0,0] : 1\nx[0,0,1] : 2\nx[0,1,1] : 0\nx[0,0,0] * x[0,0,1] : 0.5\n"
        "pick[0,0]: x[0,0,0] + x[0,0,1] == 1 price 2 slope 0.5\n"
        "pick[0,1]: x[0,0,1] + x[0,1,1] == 1 price 3\n"
    )
    points = enumeration.points(program)
    np.testing.assert_allclose(
        program.total().energies(points), [enumeration.energy(program, p) for p in points]
    )
