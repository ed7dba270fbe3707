from __future__ import annotations

import dataclasses
from itertools import permutations
from typing import ClassVar

import numpy as np
import pytest

import qubo_attn as qa
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program
from qubo_attn.ir.substitute import substitute
from qubo_attn.pipeline.pipeline import Fact, Pass, Stage, spec
from qubo_attn.pipeline.rewrite import Rewrite

PROGRAM = Program.parse(
    "x[0,0,0] : -2\nx[0,0,1] : -1\nx[0,0,2] : 0\npick[0,0]: x[0,0,0] + x[0,0,1] + x[0,0,2] == 1\n"
)
FOUR = (qa.TieVariables(), qa.Sparsify(), qa.BinarizeWeights(), qa.InsertPenalties())


def works(order: tuple[Pass, ...]) -> bool:
    try:
        qa.Pipeline(order)
    except qa.OrderError:
        return False
    return True


def test_legal_orders_are_exactly_these() -> None:
    legal = {tuple(p.name for p in order) for order in permutations(FOUR) if works(order)}
    tie, sparsify, binarize, price = (p.name for p in FOUR)
    assert legal == {
        (tie, sparsify, binarize, price),
        (tie, binarize, sparsify, price),
        (binarize, tie, sparsify, price),
        (tie, sparsify, price, binarize),
    }


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        (
            (qa.Sparsify(), qa.TieVariables()),
            "tie-variables needs a program that still has every key of every row, and sparsify "
            "before it takes that away: put tie-variables before sparsify",
        ),
        (
            (qa.InsertPenalties(), qa.TieVariables()),
            "tie-variables needs a program that has no priced constraint, and insert-penalties "
            "before it takes that away: put tie-variables before insert-penalties",
        ),
        (
            (qa.InsertPenalties(), qa.DropCouplers()),
            "drop-couplers needs a program that has no priced constraint, and insert-penalties "
            "before it takes that away: put drop-couplers before insert-penalties",
        ),
        (
            (qa.Embed(qa.Target.zephyr(1)), qa.BinarizeWeights()),
            "embed needs a program that has bits only, which binarize-weights after it ensures: "
            "put embed after binarize-weights",
        ),
        (
            (qa.Embed(qa.Target.zephyr(1)), qa.InsertPenalties()),
            "embed needs a program that has every constraint priced, which insert-penalties after "
            "it ensures: put embed after insert-penalties",
        ),
    ],
)
def test_illegal_orders_say_what_to_move(order: tuple[Pass, ...], reason: str) -> None:
    with pytest.raises(qa.OrderError) as caught:
        qa.Pipeline(order)
    assert str(caught.value) == reason


def test_needs_are_read_off_the_program() -> None:
    with pytest.raises(qa.PassError, match="embed needs a program that has every constraint pri"):
        qa.Pipeline((qa.Embed(qa.Target.zephyr(1)),)).run(PROGRAM)
    integer = Program.parse("w[0,0,0] in 0..3 : 1")
    with pytest.raises(qa.PassError, match="embed needs a program that has bits only"):
        qa.Pipeline((qa.InsertPenalties(), qa.Embed(qa.Target.zephyr(1)))).run(integer)


def test_stages_are_snapshots_and_hooks_see_them() -> None:
    seen: list[str] = []
    stages = qa.Pipeline(
        (qa.Sparsify(slots=2), qa.InsertPenalties()),
        before=(lambda pass_, program: seen.append(f"before {pass_.name} {len(program)}"),),
        after=(lambda stage: seen.append(f"after {stage.name} {len(stage.program)}"),),
        verify_each=True,
    ).run(PROGRAM)
    assert seen == [
        "before sparsify 3",
        "after sparsify 2",
        "before insert-penalties 2",
        "after insert-penalties 2",
    ]
    assert [s.spec for s in stages] == ["sparsify{slots=2}", "insert-penalties"]
    assert stages[0].counts == {"variables": 2, "couplers": 0, "constraints": 1, "priced": 0}
    assert stages[1].counts["priced"] == 1
    assert "pick[0,0]: x[0,0,0] + x[0,0,1] == 1 price" in stages[1].text
    assert all(stage.seconds >= 0 for stage in stages)


@dataclasses.dataclass(frozen=True)
class Liar:
    """Breaks whichever promise it is told to."""

    what: str

    name: ClassVar[str] = "liar"
    needs: ClassVar[frozenset[Fact]] = frozenset()
    ensures: ClassVar[frozenset[Fact]] = frozenset()
    breaks: ClassVar[frozenset[Fact]] = frozenset()

    def apply(self, program: Program) -> Rewrite:
        c, o, n = program.constraints, program.objective, len(program)
        lift = Lift.identity(n)
        if self.what == "energy":
            worse = type(o)(o.offset + 1, o.linear, o.i, o.j, o.bias)
            return Rewrite(program.replace(objective=worse), lift)
        if self.what == "feasible":
            return Rewrite(program.replace(constraints=c.none()), lift)
        if self.what == "optimum":
            fixed = Lift.select([-1, 0, 1], 2)
            smaller = substitute(
                program,
                fixed,
                program.variables.take(np.array([1, 2])),
            )
            return Rewrite(smaller, fixed)
        if self.what == "margin":
            price = {"weight": [0.0], "slope": [0.0]}
            return Rewrite(program.replace(constraints=type(c)(**(c.arrays() | price))), lift)
        return Rewrite(program, Lift.identity(n + 1))


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("energy", "energy changes by 1 at"),
        ("feasible", "a feasible point lifts to an infeasible one"),
        ("optimum", "the optimum moves from -2 to -1, bound 0"),
        ("margin", "an infeasible point lies at -3, optimum -2"),
        ("shape", "lift has shape"),
    ],
)
def test_every_broken_promise_is_caught(what: str, message: str) -> None:
    with pytest.raises(qa.PromiseError, match=message):
        qa.validate(PROGRAM, Liar(what).apply(PROGRAM))
    with pytest.raises(qa.PromiseError) as caught:
        qa.Pipeline((Liar(what),), verify_each=True).run(PROGRAM)
    assert caught.value.__notes__ == [f"in pass liar{{what={what}}}"]


def test_large_rewrites_are_sampled() -> None:
    text = "".join(f"x[0,0,{k}] : {-k}\n" for k in range(40))
    row = " + ".join(f"x[0,0,{k}]" for k in range(40))
    program = Program.parse(f"{text}pick[0,0]: {row} == 7")
    qa.validate(program, qa.Sparsify(slots=30).apply(program))
    with pytest.raises(qa.PromiseError, match="energy changes by 1"):
        qa.validate(program, Liar("energy").apply(program))


def test_more_points_than_a_float_counts() -> None:
    program = Program.parse("".join(f"x[0,{q},0] : 1\n" for q in range(1200)))
    qa.validate(program, qa.InsertPenalties().apply(program), samples=8)
    with pytest.raises(qa.PromiseError, match="energy changes by 1"):
        qa.validate(program, Liar("energy").apply(program), samples=8)


def test_a_stated_error_is_allowed_and_no_more() -> None:
    rewrite = Liar("energy").apply(PROGRAM)
    qa.validate(PROGRAM, dataclasses.replace(rewrite, error=1.0))
    with pytest.raises(qa.PromiseError, match="energy changes by 1"):
        qa.validate(PROGRAM, dataclasses.replace(rewrite, error=0.9))


def test_the_bound_is_measured_before_the_pass() -> None:
    """Energies may move by 3, but the best point after lifts to one 1 above the optimum."""
    o = PROGRAM.objective
    swapped = type(o)(o.offset, o.linear[[1, 0, 2]], o.i, o.j, o.bias)
    rewrite = Rewrite(PROGRAM.replace(objective=swapped), Lift.identity(3), error=3.0)
    qa.validate(PROGRAM, dataclasses.replace(rewrite, bound=1.0))
    with pytest.raises(qa.PromiseError, match=r"the optimum moves from -2 to -1, bound 0\.9"):
        qa.validate(PROGRAM, dataclasses.replace(rewrite, bound=0.9))


def test_specs_name_only_what_differs() -> None:
    assert spec(qa.Sparsify()) == "sparsify"
    assert spec(qa.Sparsify(slots=4, dominance=True)) == "sparsify{slots=4, dominance=True}"


def test_stage_is_a_pass_free_record() -> None:
    stage = Stage("x", "x", Rewrite(PROGRAM, Lift.identity(3)), 0.0)
    assert stage.program is PROGRAM
