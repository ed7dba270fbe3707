from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn.common.frozen import replaced
from qubo_attn.ir.program import Program
from tests.support import enumeration
from tests.support.strategies import programs

ROW = """\
program variables=4 terms=1 constraints=1
offset 0
x[0,0,0] mass 0.4 : -4
x[0,0,1] mass 0.3 : -3
x[0,0,2] mass 0.2 : -2
x[0,0,3] mass 0.1 : 5
x[0,0,0] * x[0,0,1] : 2.5
pick[0,0]: x[0,0,0] + x[0,0,1] + x[0,0,2] + x[0,0,3] == 2
"""


def test_golden_slots() -> None:
    program = Program.parse(ROW)
    rewrite = qa.Sparsify(slots=3).apply(program)
    assert str(rewrite.program) == (
        "program variables=3 terms=1 constraints=1\n"
        "offset 0\n"
        "x[0,0,0] mass 0.4 : -4\n"
        "x[0,0,1] mass 0.3 : -3\n"
        "x[0,0,2] mass 0.2 : -2\n"
        "x[0,0,0] * x[0,0,1] : 2.5\n"
        "pick[0,0]: x[0,0,0] + x[0,0,1] + x[0,0,2] == 2\n"
    )
    # Key 3 costs at most -3 - 5 (or -2 - 5) to exchange for one of the two cheapest: a gain.
    assert rewrite.prove() == 0
    qa.validate(program, rewrite)


def test_golden_dominance() -> None:
    program = Program.parse(ROW)
    rewrite = qa.Sparsify(dominance=True).apply(program)
    # {0, 2} has -6; {1, 2} has -5 and {0, 1} has -4.5: every key is decided.
    assert str(rewrite.program) == "program variables=0 terms=0 constraints=0\noffset -6\n"
    assert rewrite.lift.constant.tolist() == [1, 0, 1, 0]
    qa.validate(program, rewrite)
    assert enumeration.optimum(rewrite.program) == enumeration.optimum(program)


@given(programs(weights=True), st.booleans())
@settings(max_examples=80)
def test_dominance_is_lossless(program: Program, dominance: bool) -> None:
    rewrite = qa.Sparsify(dominance=dominance).apply(program)
    qa.validate(program, rewrite)
    assert rewrite.prove() == 0


@given(programs(most_keys=5), st.integers(1, 4), st.booleans())
@settings(max_examples=120)
def test_slots_keep_their_bound(program: Program, slots: int, dominance: bool) -> None:
    rewrite = qa.Sparsify(slots=slots, dominance=dominance).apply(program)
    qa.validate(program, rewrite)
    sizes = np.diff(rewrite.program.constraints.ptr)
    assert (sizes <= np.maximum(slots, rewrite.program.constraints.rhs)).all()


@given(programs(most_keys=5), st.floats(0.05, 1.0), st.integers(0, 1000))
@settings(max_examples=80)
def test_nucleus_keeps_its_bound_and_its_mass(program: Program, nucleus: float, seed: int) -> None:
    mass = np.random.default_rng(seed).random(len(program))
    program = program.replace(variables=replaced(program.variables, mass=mass))
    rewrite = qa.Sparsify(nucleus=nucleus, sizes=()).apply(program)
    qa.validate(program, rewrite)
    source, c = rewrite.lift.sources, program.constraints
    assert source is not None
    for r in range(len(c)):
        row = c.var[c.ptr[r] : c.ptr[r + 1]]
        kept = (source[row] >= 0) | (rewrite.lift.constant[row] == 1)
        if c.rhs[r] > 0:
            assert mass[row[kept]].sum() >= nucleus * mass[row].sum() - 1e-9
            fewer = np.sort(mass[row[kept]])[1:].sum()
            assert fewer < nucleus * mass[row].sum() + 1e-9 or kept.sum() <= c.rhs[r]


def test_nucleus_rounds_up_to_few_sizes(smollm2: dict[str, np.ndarray]) -> None:
    options = {"select": qa.ExactlyK(2), "objective": "hard", "target": None}

    def sizes(scores: np.ndarray, pass_: qa.Sparsify) -> np.ndarray:
        program = qa.compile(scores, 9, passes=(pass_,), **options).program
        return np.diff(program.constraints.ptr)

    exact = sizes(smollm2["scores"], qa.Sparsify(nucleus=0.95, sizes=()))
    rounded = sizes(smollm2["scores"], qa.Sparsify(nucleus=0.95, sizes=(3, 6, 12)))
    own = sizes(smollm2["scores"], qa.Sparsify())
    assert len(np.unique(exact)) > 3
    goal = np.array([3, 6, 12, 99])[np.searchsorted([3, 6, 12], exact)]
    assert np.array_equal(rounded, np.minimum(np.where(goal == 99, exact, goal), own))
    assert (sizes(smollm2["scores"], qa.Sparsify(slots=5, nucleus=0.99)) <= 5).all()


@pytest.mark.parametrize("wrong", [(0, 4), (4, 4), (8, 4), (2.5,)])
def test_sizes_ascend(wrong: tuple[int, ...]) -> None:
    with pytest.raises(qa.InputError, match=r"sizes must ascend|sizes must be a whole number"):
        qa.Sparsify(nucleus=0.9, sizes=wrong)


def test_losses_bound_the_output(smollm2: dict[str, np.ndarray]) -> None:
    values = smollm2["value"][smollm2["kv_head"]]
    compiled = qa.compile(
        smollm2["scores"],
        9,
        select=qa.ExactlyK(2),
        objective="hard",
        values=values,
        target=None,
        passes=(qa.Sparsify(nucleus=0.8, sizes=()),),
    )
    losses, attention = compiled.losses, compiled.attention
    left = np.zeros(attention.shape, bool)
    v = compiled.program.variables
    left[v.head, v.query, v.key] = True
    left |= (attention.visible.sum(axis=-1) <= 2)[..., None]  # all are taken, none is lost
    softmax = np.exp(smollm2["scores"] - smollm2["scores"].max(axis=-1, keepdims=True))
    softmax /= softmax.sum(axis=-1, keepdims=True)
    lost = np.where(left, 0.0, softmax).sum(axis=-1)
    assert losses.mass == pytest.approx(lost, abs=1e-6)
    assert 0 < losses.mass.max() <= 0.2
    pruned = np.where(left, softmax, 0.0)
    pruned /= pruned.sum(axis=-1, keepdims=True)
    error = np.linalg.norm((pruned - softmax) @ values, axis=-1)
    assert (error <= losses.output + 1e-6).all()
    assert error.max() > 0.02 * losses.output.max()
    worst = f"{losses.mass.max():.3g}"
    assert f"lost softmax mass: {worst} at most in a row" in compiled.stages[1].rewrite.notes[1]
    assert str(losses).startswith(f"lost softmax mass {worst} at most in a row, output error")


@pytest.mark.parametrize("share", [0.0, 1.5, -1.0])
def test_nucleus_is_a_share(share: float) -> None:
    with pytest.raises(qa.InputError, match="nucleus must be a share above 0 up to 1"):
        qa.Sparsify(nucleus=share)


def test_the_bound_is_not_vacuous() -> None:
    text = ROW.replace("x[0,0,3] mass 0.1 : 5", "x[0,0,3] mass 0.1 : -9")
    program = Program.parse(text)
    rewrite = qa.Sparsify(slots=3).apply(program)
    rise = enumeration.optimum(rewrite.program) - enumeration.optimum(program)
    assert 0 < rise <= rewrite.prove() < 100


@pytest.mark.parametrize("select", [qa.ExactlyK(2), qa.SoftWeights(k=2)])
def test_a_proof_by_parts_is_that_of_the_whole(
    select: qa.ExactlyK | qa.SoftWeights, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(5)
    scores = np.where(np.tri(9, dtype=bool), generator.normal(size=(2, 9, 9)), -np.inf)
    values = generator.normal(size=(2, 9, 4))
    found = []
    for most in (10**9, 100):
        monkeypatch.setattr("qubo_attn.passes.sparsify._AT_ONCE", most)
        compiled = qa.compile(
            scores, 2, select=select, objective="output", values=values, slots=4, target=None
        )
        assert compiled.stages[0].program.objective.is_late
        found.append(compiled.stages[1].rewrite.prove())
    assert found[0] > 0
    assert found[1] == pytest.approx(found[0], rel=1e-12)


def test_rows_without_a_choice_are_fixed() -> None:
    program = Program.parse(ROW.replace("== 2", "== 4"))
    rewrite = qa.Sparsify().apply(program)
    assert len(rewrite.program) == 0
    assert rewrite.program.objective.offset == -4 - 3 - 2 + 5 + 2.5
    assert rewrite.lift.lift(np.zeros((1, 0))).tolist() == [[1, 1, 1, 1]]


def test_ties_go_to_the_lower_key_and_equal_scores_are_fine() -> None:
    program = Program.parse(
        "\n".join(f"x[0,0,{k}] mass 0.25 : 0" for k in range(4))
        + "\npick[0,0]: x[0,0,0] + x[0,0,1] + x[0,0,2] + x[0,0,3] == 1"
    )
    rewrite = qa.Sparsify(slots=2).apply(program)
    assert rewrite.program.labels == ["x[0,0,0]", "x[0,0,1]"]
    assert len(qa.Sparsify(dominance=True).apply(program).program) == 4


def test_slots_below_one_are_rejected() -> None:
    with pytest.raises(qa.InputError, match="slots must be a whole number of at least 1, not 0"):
        qa.Sparsify(slots=0)


def test_programs_without_rows_pass_unchanged() -> None:
    program = Program.parse("x[0,0,0] : 1")
    assert qa.Sparsify(slots=1).apply(program).program.same(program)
