from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn.common.frozen import replaced
from qubo_attn.formulations.tying import find_groups
from qubo_attn.ir.program import Program
from qubo_attn.ir.ties import Ties
from qubo_attn.passes import tie_variables
from tests.support import enumeration
from tests.support.strategies import programs

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
    assert rewrite.notes == ("2 variables and 1 constraint merged",)
    assert rewrite.restricts


@given(programs(heads=3, same_keys=True))
@settings(max_examples=60)
def test_promise(program: Program) -> None:
    rewrite = qa.TieVariables(groups=((0, 1, 2),)).apply(program)
    qa.validate(program, rewrite)
    tied = [
        p
        for p in enumeration.points(program)
        if enumeration.holds(program, p)
        and len({p[i : i + len(rewrite.program)] for i in range(0, len(p), len(rewrite.program))})
        == 1
    ]
    best = min(enumeration.energy(program, p) for p in tied)
    assert enumeration.optimum(rewrite.program) == pytest.approx(best, abs=1e-9)


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
    chosen = compiled.solve("anneal", seed=1).selected
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
    chosen = compiled.solve("anneal", seed=1).selected
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
    with pytest.raises(qa.InputError, match="head 1 stands in two groups of TieVariables"):
        qa.TieVariables(groups=((0, 1), (1, 2)))


def test_contradicting_counts_are_named() -> None:
    program = Program.parse(TWO_HEADS.replace("x[1,0,1] == 1", "x[1,0,1] == 2"))
    with pytest.raises(qa.InfeasibleError, match=r"pick\[0,0\] and pick\[1,0\] contradict"):
        qa.TieVariables(groups=((0, 1),)).apply(program)


def test_what_differs_between_tied_rows_is_named() -> None:
    scores = np.random.default_rng(0).normal(size=(2, 1, 4))
    scores[1, 0, 2] = -np.inf
    tie = qa.TieVariables(groups=((0, 1),))
    with pytest.raises(
        qa.PassError, match="head 0, query 0 key 2, which head 1, query 0"
    ) as caught:
        qa.compile(scores, 2, select=qa.OneHot(), target=None, tie=tie)
    assert (caught.value.head, caught.value.query, caught.value.key) == (1, 0, 2)
    soft = {"select": qa.SoftWeights(3), "objective": "sparsemax"}
    with pytest.raises(
        qa.PassError, match="head 1 gives out soft weights, the other keeps keys or"
    ):
        qa.compile(scores[:, :, :2], [qa.Head(), qa.Head(**soft)], target=None, tie=tie)
    heads = [qa.Head(select=qa.SoftWeights(levels)) for levels in (3, 7)]
    with pytest.raises(qa.PassError, match="cannot be tied: their largest levels are 3 and 7"):
        qa.compile(scores[:, :, :2], heads, objective="sparsemax", target=None, tie=tie)


def masses(program: Program, seed: int) -> Program:
    mass = np.random.default_rng(seed).random(len(program))
    return program.replace(variables=replaced(program.variables, mass=mass))


@given(programs(heads=3, same_keys=True), st.integers(0, 1000), st.sampled_from([0.3, 0.6, 1.0]))
@settings(max_examples=60)
def test_found_groups_keep_their_bound(program: Program, seed: int, overlap: float) -> None:
    """The untied optimum, enumerated, lies below the tied one by the bound at most."""
    program = masses(program, seed)
    rewrite = qa.TieVariables(overlap=overlap, k=2).apply(program)
    qa.validate(program, rewrite)
    rise = enumeration.optimum(rewrite.program) - enumeration.optimum(program)
    assert -1e-9 <= rise <= rewrite.prove() + 1e-9


def test_found_groups_of_real_heads(smollm2: dict[str, np.ndarray]) -> None:
    options = {
        "select": qa.ExactlyK(4),
        "objective": "output",
        "values": smollm2["value"],
        "target": None,
    }
    tie = qa.TieVariables(overlap=0.75, k=4)
    compiled = qa.compile(smollm2["scores"], 9, tie=tie, **options)
    groups = tie.resolved(compiled.stages[0].program.variables).groups
    assert groups
    given = qa.compile(smollm2["scores"], 9, tie=qa.TieVariables(groups), **options)
    assert compiled.program.same(given.program)
    notes = compiled.stages[1].rewrite.notes
    assert len(notes) == len(groups) + 2
    assert notes[0].startswith(f"heads {'+'.join(map(str, groups[0]))} overlap by 0.")
    assert notes[-1].startswith("the optimum rises by ")
    apart = qa.compile(smollm2["scores"], 9, **options).solve("anneal", seed=1).energies.sum()
    rise = compiled.solve("anneal", seed=1).energies.sum() - apart
    assert 0 < rise <= compiled.stages[1].rewrite.prove()
    assert given.stages[1].rewrite.prove() == 0.0


@pytest.mark.parametrize("overlap", [0.5, 1.0])
def test_groups_are_found_once(
    overlap: float, monkeypatch: pytest.MonkeyPatch, smollm2: dict[str, np.ndarray]
) -> None:
    """The front end, couplings and the pass share what was found, be it nothing."""
    calls = []

    def counted(*args: Any, **options: Any) -> Any:
        calls.append(args)
        return find_groups(*args, **options)

    monkeypatch.setattr(tie_variables, "find_groups", counted)
    tie = qa.TieVariables(overlap=overlap, k=4)
    qa.compile(
        smollm2["scores"], 9, select=qa.Budget(9), tie=tie, coupling=qa.Diversity(), target=None
    )
    assert len(calls) == 1


def test_heads_without_keys_to_keep_are_not_grouped() -> None:
    scores = np.random.default_rng(0).normal(size=(2, 1, 4))
    options = {"select": qa.SoftWeights(3), "objective": "sparsemax", "target": None}
    compiled = qa.compile(scores, 2, tie=qa.TieVariables(overlap=0.5), **options)
    assert "nothing to tie" in compiled.stages[1].rewrite.notes


def test_no_groups_no_ties(smollm2: dict[str, np.ndarray]) -> None:
    compiled = qa.compile(
        smollm2["scores"], 9, tie=qa.TieVariables(overlap=1.0, k=8), target=None, slots=None
    )
    assert compiled.stages[1].rewrite.notes == (
        "no heads overlap by 1 in their top 8 keys",
        "nothing to tie",
    )


def test_heads_that_see_different_keys_are_not_grouped() -> None:
    scores = np.tile(np.arange(6.0), (3, 2, 1))
    scores[1, 1, 0] = -np.inf
    program = qa.compile(scores, 3, select=qa.OneHot(), target=None).stages[0].program
    assert qa.TieVariables(overlap=0.5, k=2).resolved(program.variables).groups == ((0, 2),)


def test_found_groups_need_masses() -> None:
    program = Program.parse(TWO_HEADS.replace(" mass 0.75", ""))
    with pytest.raises(qa.PassError, match="overlap needs the softmax mass of every key"):
        qa.TieVariables(overlap=0.5).apply(program)


def test_golden_soft_tie() -> None:
    """Falling back on the other key costs 1 and 5: a disagreement costs the smaller stake."""
    rewrite = qa.TieVariables(groups=((0, 1),), strength=0.5).apply(Program.parse(TWO_HEADS))
    assert str(rewrite.program) == TWO_HEADS.replace("terms=2", "terms=4").replace(
        "mass 0.75 : -2", "mass 0.75 : -1.5"
    ).replace("mass 0.25 : -1", "mass 0.25 : -0.5").replace(
        "mass 0.5 : 1", "mass 0.5 : 1.5"
    ).replace("mass 0.5 : -4", "mass 0.5 : -3.5").replace(
        "x[0,0,0] * x[1,0,1] : 3\n",
        "x[0,0,0] * x[1,0,0] : -1\nx[0,0,0] * x[1,0,1] : 3\nx[0,0,1] * x[1,0,1] : -1\n",
    )
    assert rewrite.notes == ("disagreement of 1 pair of heads priced, 1 in all at most",)
    assert (rewrite.prove(), rewrite.error, rewrite.restricts) == (1.0, 1.0, False)


@given(programs(heads=3, same_keys=True), st.sampled_from([0.0, 0.2, 1.0, 20.0]))
@settings(max_examples=60)
def test_soft_ties_lie_between_none_and_hard_ones(program: Program, strength: float) -> None:
    groups = ((0, 1, 2),)
    rewrite = qa.TieVariables(groups, strength=strength).apply(program)
    qa.validate(program, rewrite)
    soft, free = enumeration.optimum(rewrite.program), enumeration.optimum(program)
    tied = enumeration.optimum(qa.TieVariables(groups).apply(program).program)
    assert free - 1e-9 <= soft <= tied + 1e-9
    for point in enumeration.points(rewrite.program):
        gap = enumeration.energy(rewrite.program, point) - enumeration.energy(program, point)
        assert -1e-9 <= gap <= rewrite.error + 1e-9


def test_soft_ties_of_real_heads(smollm2: dict[str, np.ndarray]) -> None:
    """The dearer disagreement is, the more of a key/value head's query heads agree."""
    shares, losses = [], []
    for strength in (0.0, 0.5, 4.0):
        tie = qa.TieVariables.from_kv_head(smollm2["kv_head"], strength=strength)
        compiled = qa.compile(
            smollm2["scores"],
            9,
            select=qa.ExactlyK(4),
            objective="output",
            values=smollm2["value"],
            target=None,
            tie=tie,
        )
        result = compiled.solve("anneal", seed=1)
        assert result.feasible.all()
        chosen = result.selected
        shares.append((chosen[::3] & chosen[1::3]).sum() + (chosen[1::3] & chosen[2::3]).sum())
        losses.append(result.energies.sum())
    assert shares == sorted(shares)
    assert shares[0] < shares[-1]
    assert losses == sorted(losses)


@pytest.mark.parametrize("strength", [None, 1.0])
@pytest.mark.parametrize("found", [False, True])
def test_groups_and_queries_together(
    strength: float | None, found: bool, smollm2: dict[str, np.ndarray]
) -> None:
    """KV selection of grouped-query heads: hard ties share keys, soft ones may not."""
    grouped = qa.TieVariables.from_kv_head(smollm2["kv_head"], queries=True, strength=strength)
    tie = qa.TieVariables(overlap=0.5, k=6, queries=True, strength=strength) if found else grouped
    compiled = qa.compile(
        smollm2["scores"],
        9,
        select=qa.Budget(6),
        objective="output",
        values=smollm2["value"],
        target=None,
        slots=None,
        tie=tie,
    )
    groups = tie.resolved(compiled.stages[0].program.variables).groups
    assert groups
    alone = 9 - sum(map(len, groups)) + len(groups)
    assert len(compiled.program) == 19 * (9 if strength else alone)
    result = compiled.solve("anneal", seed=1)
    assert result.feasible.all()
    kept = result.selected.any(axis=1)
    assert kept.sum(axis=-1).tolist() == [6] * 9
    seen = smollm2["scores"] > -np.inf
    assert (result.selected == (kept[:, None] & seen)).all()
    if strength is None:
        for group in groups:
            assert (kept[list(group)] == kept[group[0]]).all()
    if found and strength is None:
        assert "not bounded: rows without a count" in compiled.stages[1].rewrite.notes[-1]


def test_budgets_count_keys_that_only_some_tied_heads_see() -> None:
    """With masks that differ the shared keys are those that any head sees."""
    scores = np.random.default_rng(3).normal(size=(2, 2, 4)) + 5
    scores[0, :, 2:], scores[1, :, :1] = -np.inf, -np.inf
    compiled = qa.compile(
        scores,
        2,
        select=qa.Budget(3),
        objective="hard",
        target=None,
        tie=qa.TieVariables(groups=((0, 1),), queries=True),
    )
    first = compiled.stages[0].program
    assert [first.constraints.label(r) for r in range(len(first.constraints))] == ["budget[0,*,*]"]
    assert len(compiled.stages[1].program) == 4
    result = compiled.solve("anneal", seed=1)
    assert result.selected.any(axis=(0, 1)).sum() == 3
    seen = scores > -np.inf
    assert (result.selected == (result.selected.any(axis=(0, 1)) & seen)).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"overlap": 0.0}, "overlap must be a share above 0 up to 1, not 0.0"),
        ({"overlap": 0.5, "groups": ((0, 1),)}, "give groups= or overlap= to TieVariables"),
        ({"overlap": 1.5}, "overlap must be a share above 0 up to 1, not 1.5"),
        ({"groups": ((0, True),)}, "a head of TieVariables must be a whole number of at least 0"),
        ({"overlap": 0.5, "k": 0}, "k must be a whole number of at least 1, not 0"),
        (
            {"groups": ((0, 1),), "strength": -1.0},
            "strength must be a finite number of at least 0, not -1.0",
        ),
    ],
)
def test_bad_options_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(qa.InputError, match=message):
        qa.TieVariables(**options)


def test_soft_weights_cannot_be_tied_softly() -> None:
    scores = np.random.default_rng(0).normal(size=(2, 1, 4))
    with pytest.raises(qa.PassError, match="head 0 gives out soft weights") as caught:
        qa.compile(
            scores,
            2,
            select=qa.SoftWeights(3),
            objective="sparsemax",
            target=None,
            tie=qa.TieVariables(groups=((0, 1),), strength=1.0),
        )
    assert caught.value.head == 0


def test_ties_handed_over_go_to_the_first_pass_of_that_name() -> None:
    ties = Ties(((0, 1),))
    pipeline = qa.Pipeline((qa.TieVariables(), qa.TieVariables()))
    first, second = pipeline.run(Program.parse(TWO_HEADS), {"tie-variables": ties})
    assert first.rewrite.notes == ("2 variables and 1 constraint merged",)
    assert second.rewrite.notes == ("nothing to tie",)
