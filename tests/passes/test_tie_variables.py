from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

import qubo_attn as qa
from qubo_attn.ir import Program
from tests import oracle
from tests.strategies import programs

TWO_HEADS = """\
program variables=4 terms=2 constraints=2
offset 0
x[0,0,0] mass 0.75 : -2
x[0,0,1] mass 0.25 : -1
x[1,0,0] mass 0.5 : 1
x[1,0,1] mass 0.5 : -4
x[0,0,0] * x[0,0,1] : 1
x[0,0,0] * x[1,0,1] : 3
pick[0,0]: x[0,0,0] + x[0,0,1] == 1
pick[1,0]: x[1,0,0] + x[1,0,1] == 1
"""


def test_golden() -> None:
    rewrite = qa.TieVariables(groups=((0, 1),)).apply(Program.parse(TWO_HEADS))
    assert str(rewrite.program) == (
        "program variables=2 terms=1 constraints=1\n"
        "offset 0\n"
        "x[0,0,0] mass 1.25 : -1\n"
        "x[0,0,1] mass 0.75 : -5\n"
        "x[0,0,0] * x[0,0,1] : 4\n"
        "pick[0,0]: x[0,0,0] + x[0,0,1] == 1\n"
    )
    assert rewrite.notes == ("2 variables and 1 constraints merged",)
    assert rewrite.restricts


@given(programs(heads=3, same_keys=True))
@settings(max_examples=60)
def test_promise(program: Program) -> None:
    rewrite = qa.TieVariables(groups=((0, 1, 2),)).apply(program)
    qa.validate(program, rewrite)
    tied = [
        p
        for p in oracle.points(program)
        if oracle.holds(program, p)
        and len({p[i : i + len(rewrite.program)] for i in range(0, len(p), len(rewrite.program))})
        == 1
    ]
    best = min(oracle.energy(program, p) for p in tied)
    assert oracle.optimum(rewrite.program) == pytest.approx(best, abs=1e-9)


def test_queries_tie_too(smollm2: dict[str, np.ndarray], minilm: dict[str, np.ndarray]) -> None:
    compiled = qa.compile(
        minilm["scores"],
        12,
        select=qa.ExactlyK(3),
        target=None,
        slots=None,
        tie=qa.TieVariables(queries=True),
    )
    assert len(compiled.program) == 12 * 10
    assert len(compiled.program.constraints) == 12
    chosen = compiled.solve(seed=1).selected
    assert (chosen == chosen[:, :1]).all()


def test_grouped_query_attention(smollm2: dict[str, np.ndarray]) -> None:
    tie = qa.TieVariables.from_kv_head(smollm2["kv_head"])
    assert tie.groups == ((0, 1, 2), (3, 4, 5), (6, 7, 8))
    compiled = qa.compile(
        smollm2["scores"],
        9,
        select=qa.ExactlyK(4),
        objective="output",
        values=smollm2["value"],
        target=None,
        tie=tie,
    )
    chosen = compiled.solve(seed=1).selected
    for group in tie.groups:
        assert (chosen[list(group)] == chosen[group[0]]).all()


def test_rows_that_see_different_keys_cannot_be_tied(smollm2: dict[str, np.ndarray]) -> None:
    with pytest.raises(qa.PassError, match=r"pick\[0,0\] and pick\[0,1\] cannot share") as caught:
        qa.compile(smollm2["scores"], 9, target=None, tie=qa.TieVariables(queries=True))
    assert caught.value.rows == ("pick[0,0]", "pick[0,1]")


def test_nothing_to_tie() -> None:
    program = Program.parse(TWO_HEADS)
    rewrite = qa.TieVariables().apply(program)
    assert rewrite.program.same(program)
    assert rewrite.notes == ("nothing to tie",)


def test_a_head_in_two_groups_is_named() -> None:
    with pytest.raises(qa.InputError, match="head 1 stands in two groups"):
        qa.TieVariables(groups=((0, 1), (1, 2)))


def test_contradicting_counts_are_named() -> None:
    program = Program.parse(TWO_HEADS.replace("x[1,0,1] == 1", "x[1,0,1] == 2"))
    with pytest.raises(qa.InfeasibleError, match=r"pick\[0,0\] and pick\[1,0\] contradict"):
        qa.TieVariables(groups=((0, 1),)).apply(program)
