from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn.ir.program import Program
from tests.support.strategies import programs

KEEPS = """\
x[0,0,0] : -1
x[0,0,1] : 2
x[0,0,2] : 0
x[0,0,0] * x[0,0,1] : 3
keep[0,0,1]: x[0,0,1] == 1
keep[0,0,2]: x[0,0,2] == {}
pick[0,0]: x[0,0,0] + x[0,0,1] + x[0,0,2] == {}
"""


def test_golden() -> None:
    rewrite = qa.Canonicalize().apply(Program.parse(KEEPS.format(0, 2)))
    assert str(rewrite.program) == "program variables=0 terms=0 constraints=0\noffset 4\n"
    assert rewrite.lift.constant.tolist() == [1, 1, 0]
    assert rewrite.notes == ("3 variables decided",)


@given(programs(weights=True), st.data())
@settings(max_examples=60)
def test_promise(program: Program, data: st.DataObject) -> None:
    text = program.text(exact=True)
    for v in range(len(program)):
        if data.draw(st.integers(0, 3)) == 0:
            value = data.draw(st.integers(0, int(program.variables.upper[v])))
            inside = program.label(v).split("[")[1]
            kind = "keep" if program.label(v)[0] == "x" else "wall"
            text += f"{kind}[{inside}: {program.label(v)} == {value}\n"
    fixed = Program.parse(text)
    try:
        rewrite = qa.Canonicalize().apply(fixed)
    except qa.InfeasibleError:
        return
    qa.validate(fixed, rewrite)


@pytest.mark.parametrize(
    ("keep", "total", "label"), [(1, 1, "pick"), (0, 3, "pick"), (2, 2, "keep")]
)
def test_what_cannot_hold_is_named(keep: int, total: int, label: str) -> None:
    with pytest.raises(qa.InfeasibleError, match=rf"{label}\[.*cannot hold"):
        qa.Canonicalize().apply(Program.parse(KEEPS.format(keep, total)))


def test_required_and_forbidden_keys() -> None:
    scores = np.random.default_rng(0).normal(size=(2, 3, 6))
    required, forbidden = np.zeros((3, 6), bool), np.zeros((2, 3, 6), bool)
    required[:, 0] = True
    forbidden[1, :, 5] = True
    compiled = qa.compile(
        scores, 2, select=qa.ExactlyK(3), required=required, forbidden=forbidden, target=None
    )
    chosen = compiled.solve(seed=1).selected
    assert chosen[:, :, 0].all()
    assert not chosen[1, :, 5].any()
    assert (chosen.sum(axis=-1) == 3).all()


@pytest.mark.parametrize(
    ("required", "forbidden", "k", "message"),
    [
        ([[1, 1, 0]], [[0, 1, 0]], 2, "key 1 of head 0, query 0 is both required and forbidden"),
        ([[1, 1, 1]], None, 2, "head 0, query 0 may keep 2 keys, but 3 are required"),
        ([[0, 0, 1]], None, 2, "key 2 of head 0, query 0 is required, but the query does not see"),
        ([[1, 1]], None, 2, r"required has shape \(1, 2\)"),
    ],
)
def test_contradictory_wishes_are_named(
    required: list[list[int]], forbidden: list[list[int]] | None, k: int, message: str
) -> None:
    scores = np.array([[[1.0, 2.0, -np.inf if "see" in message else 3.0]]])
    with pytest.raises(qa.InputError, match=message):
        qa.compile(
            scores,
            1,
            select=qa.ExactlyK(k),
            target=None,
            required=np.array(required, bool),
            forbidden=None if forbidden is None else np.array(forbidden, bool),
        )


def test_too_many_forbidden_keys_cannot_hold() -> None:
    with pytest.raises(qa.InfeasibleError, match=r"pick\[0,0\] cannot hold"):
        qa.compile(
            np.zeros((1, 1, 3)),
            1,
            select=qa.ExactlyK(2),
            target=None,
            forbidden=np.array([[True, True, False]]),
        )
