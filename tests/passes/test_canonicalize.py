from __future__ import annotations

from itertools import product

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
    chosen = compiled.solve("anneal", seed=1).selected
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


def test_bounds_that_always_hold_go() -> None:
    program = Program.parse(
        "x[0,0,0] : 1\nx[0,0,1] : -2\nx[0,0,2] : -3\n"
        "pick[0,0]: x[0,0,0] + x[0,0,1] <= 2\npick[0,1]: x[0,0,1] + x[0,0,2] <= 1\n"
    )
    rewrite = qa.Canonicalize().apply(program)
    assert [rewrite.program.constraints.label(0)] == ["pick[0,1]"]
    assert len(rewrite.program.constraints) == 1
    assert rewrite.notes == ("0 variables decided", "1 bounds always hold")
    qa.validate(program, rewrite)


def test_a_coefficient_beyond_the_room_decides_its_variable() -> None:
    program = Program.parse(
        "x[0,0,0] : -1\nx[0,0,1] : -2\nx[0,0,2] : -3\n"
        "pick[0,0]: 3 x[0,0,0] + x[0,0,1] + x[0,0,2] <= 2\n"
        "pick[0,1]: -2 x[0,0,1] + x[0,0,2] <= -1\n"
    )
    rewrite = qa.Canonicalize().apply(program)
    assert rewrite.lift.constant.tolist() == [0, 1, 0]
    assert len(rewrite.program) == 1
    assert len(rewrite.program.constraints) == 0
    qa.validate(program, rewrite)


SELECTS = {
    "exactly-1": (qa.ExactlyK(1), 1, 1),
    "exactly-2": (qa.ExactlyK(2), 2, 2),
    "one-hot": (qa.OneHot(), 1, 1),
    "at-most-1": (qa.AtMostK(1), 0, 1),
    "at-most-2": (qa.AtMostK(2), 0, 2),
    "at-most-3": (qa.AtMostK(3), 0, 3),
    "unconstrained": (qa.Unconstrained(), 0, 3),
    "budget": (qa.Budget(2), 2, 2),
    "budget of all": (qa.Budget(2, over="all"), 2, 2),
}


@pytest.mark.parametrize("name", SELECTS)
def test_every_required_and_forbidden_key_of_small_rows(name: str) -> None:
    """Each query one of all combinations: the best allowed selection, or an error that names it."""
    select, least, most = SELECTS[name]
    choices = list(product((0, 1), repeat=3))
    logits, wanted = np.array([0.7, -0.4, 1.3]), 0
    for sees, must, may_not in product(choices, repeat=3):
        visible, required, forbidden = (np.array(b, bool) for b in (sees, must, may_not))
        if not visible.any() or (required & (~visible | forbidden)).any():
            continue
        low, high = min(least, visible.sum()), most
        allowed = [
            np.array(z, bool)
            for z in choices
            if low <= sum(z) <= min(high, visible.sum())
            and not (np.array(z, bool) & (forbidden | ~visible)).any()
            and (np.array(z, bool) | ~required).all()
        ]

        def compiled() -> qa.CompiledAttention:
            return qa.compile(
                logits[None],
                1,
                select=select,
                objective="hard",
                mask=visible[None],  # noqa: B023
                required=required[None],  # noqa: B023
                forbidden=forbidden[None],  # noqa: B023
                target=None,
            )

        if not allowed:
            with pytest.raises((qa.InputError, qa.InfeasibleError), match=r"head 0|all heads"):
                compiled()
            continue
        best = min(allowed, key=lambda z: -logits[z].sum())
        chosen = compiled().solve("anneal", seed=1, num_reads=8, num_sweeps=64).selected[0, 0]
        assert chosen.tolist() == best.tolist()
        wanted += 1
    assert wanted > 30


def test_tied_heads_with_a_bound_and_a_count() -> None:
    """The tighter bound rules; a count makes a looser bound superfluous, a tighter one absurd."""
    scores = np.array([[[1.0, 0.9, 0.8]], [[1.0, 0.9, 0.8]]])

    def chosen(first: object, second: object) -> list[bool]:
        compiled = qa.compile(
            scores,
            [qa.Head(select=first), qa.Head(select=second)],
            tie=qa.TieVariables(((0, 1),)),
            objective="hard",
            target=None,
        )
        return list(compiled.solve("anneal", seed=1).selected[1, 0])

    assert chosen(qa.AtMostK(2), qa.AtMostK(1)) == [True, False, False]
    assert chosen(qa.ExactlyK(1), qa.AtMostK(2)) == [True, False, False]
    message = r"pick\[0,0\] and pick\[1,0\] contradict each other.* 2 and at most 1 \(head 0"
    with pytest.raises(qa.InfeasibleError, match=message):
        chosen(qa.ExactlyK(2), qa.AtMostK(1))


@pytest.mark.parametrize("levels", [1, 3])
def test_soft_weights_of_forbidden_keys_go_to_the_others(levels: int) -> None:
    """The largest weight that is left takes all levels, however many keys are forbidden."""
    for keys in (2, 4, 8):
        forbidden = np.zeros((1, keys), bool)
        forbidden[0, 0] = True
        compiled = qa.compile(
            np.zeros((1, keys)),
            1,
            select=qa.SoftWeights(levels),
            objective="sparsemax",
            forbidden=forbidden,
            target=None,
        )
        weights = compiled.solve("anneal", seed=1).weights[0, 0]
        np.testing.assert_allclose(weights, [0.0] + [1 / (keys - 1)] * (keys - 1), atol=1e-12)
