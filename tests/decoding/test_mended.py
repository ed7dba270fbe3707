from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import qubo_attn as qa
from qubo_attn.decoding.mended import mend
from qubo_attn.decoding.reads import PartReads
from qubo_attn.ir.columns import Constraints, Kind, Sense
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program
from qubo_attn.pipeline.pipeline import UNPRICED, WHOLE_ROWS
from qubo_attn.pipeline.rewrite import Rewrite
from tests.support import greedy

COUNT = """
x[0,0,0] : -2
x[0,0,1] : -1.5
x[0,0,2] : 0.25
x[0,0,3] : 1
x[0,0,0] * x[0,0,1] : 1.75
x[0,0,1] * x[0,0,2] : -0.5
x[0,0,2] * x[0,0,3] : -2.25
"""
PROGRAMS = {
    "count": COUNT + "pick[0,0]: x[0,0,0] + x[0,0,1] + x[0,0,2] + x[0,0,3] == 2\n",
    "at most": COUNT + "pick[0,0]: x[0,0,0] + x[0,0,1] + x[0,0,2] + x[0,0,3] <= 2\n",
    "weighted": COUNT + "pick[0,0]: 2 x[0,0,0] + x[0,0,1] + 3 x[0,0,2] + x[0,0,3] == 4\n",
    "two rows": COUNT
    + "pick[0,0]: x[0,0,0] + x[0,0,1] == 1\npick[0,1]: x[0,0,2] + x[0,0,3] <= 1\n",
    "budget": COUNT
    + "pick[0,0]: x[0,0,0] + x[0,0,1] <= 1\n"
    + "budget[0,0]: x[0,0,0] + x[0,0,1] + x[0,0,2] + x[0,0,3] == 3\n",
    "required": COUNT
    + "pick[0,0]: x[0,0,0] + x[0,0,1] + x[0,0,2] + x[0,0,3] == 2\nkeep[0,0,3]: x[0,0,3] == 1\n",
}


def parts_of(program: Program, reads: np.ndarray) -> list[PartReads]:
    counts, none = np.ones(len(reads), np.int64), np.zeros(len(reads))
    return [PartReads(np.arange(len(program)), reads.astype(np.int8), counts, none)]


def compared(program: Program, reads: np.ndarray) -> None:
    lift = Lift.identity(len(program))
    mended = mend(program, lift, parts_of(program, reads), every=True, descends=False)
    assert (np.array(mended.feasible) == mended.feasible[0]).all()
    feasible, sampled, least = greedy.best_of(program, reads)
    assert mended.feasible[0] == pytest.approx(feasible)
    assert mended.sampled[0] == pytest.approx(sampled)
    assert mended.mended[0] == pytest.approx(least)
    point = [int(v) for v in mended.point[0]]
    assert greedy.violation(program, point) < 1e-9
    assert greedy.objective(program, point) == pytest.approx(least)


@pytest.mark.parametrize("name", ["count", "at most", "weighted", "budget", "required"])
def test_every_read_repaired_equals_the_slow_reference(name: str) -> None:
    program = Program.parse(PROGRAMS[name])
    generator = np.random.default_rng(3)
    for _ in range(20):
        compared(program, generator.integers(0, 2, (5, len(program))))


VALUES = np.array([[[1.0, 0.5], [-0.25, 1.0], [0.75, -1.0], [0.5, 0.5], [-0.5, 0.25]]])
ROW = np.array([[[2.0, 1.5, 0.5, -1.0, 0.25]]])
OUTPUT = {"objective": "output", "values": VALUES}
SOFT = {"objective": "least_squares"}
KINDS: dict[str, dict[str, object]] = {
    "at most, unary slack": {**OUTPUT, "select": qa.AtMostK(2)},
    "at most, binary slack": {
        **OUTPUT,
        "select": qa.AtMostK(3),
        "passes": (qa.InsertPenalties(at_most="binary"), qa.BinarizeWeights()),
    },
    "walls": {
        "select": qa.ExactlyK(2),
        "passes": (qa.InsertPenalties(cardinality="grid"), qa.BinarizeWeights()),
    },
    "switches": {
        "select": qa.ExactlyK(2),
        "passes": (qa.InsertPenalties(cardinality="network"), qa.BinarizeWeights()),
    },
    "levels": {**SOFT, "select": qa.SoftWeights(5, encoding="unary")},
    "levels as walls": {**SOFT, "select": qa.SoftWeights(5, encoding="domain-wall")},
    "levels behind gates": {**OUTPUT, "select": qa.SoftWeights(3, k=2)},
    "budget": {"scores": ROW[0, 0][None, None] * [[[1.0], [0.5]]], "select": qa.Budget(2)},
    "ties": {
        "scores": np.concatenate([ROW, ROW[:, :, ::-1]]),
        "select": qa.ExactlyK(2),
        "tie": qa.TieVariables.from_kv_head([0, 0]),
    },
    "required and forbidden": {
        "select": qa.ExactlyK(3),
        "required": np.array([[False, False, False, True, False]]),
        "forbidden": np.array([[True, False, False, False, False]]),
    },
}


@pytest.mark.parametrize("name", list(KINDS))
def test_reads_of_every_kind_of_row_equal_the_slow_reference(name: str) -> None:
    """Coin flips of what is sampled: slack, switches, walls and all encodings."""
    options = {"scores": ROW, **KINDS[name]}
    scores = np.asarray(options.pop("scores"))
    compiled = qa.compile(scores, len(scores), target=None, **options)  # type: ignore[arg-type]
    program = compiled.stages[compiled.unpriced].program
    assert program.components.max() == 0
    lift, generator = compiled.lift_to(compiled.unpriced), np.random.default_rng(11)
    for _ in range(10):
        bits = generator.integers(0, 2, (6, len(compiled.program)))
        mended = mend(program, lift, parts_of(compiled.program, bits), every=True, descends=False)
        feasible, sampled, least = greedy.best_of(program, np.rint(lift.lift(bits)).astype(int))
        assert mended.feasible[0] == pytest.approx(feasible)
        assert mended.sampled[0] == pytest.approx(sampled)
        assert mended.mended[0] == pytest.approx(least)


def test_levels_and_gates_equal_the_slow_reference() -> None:
    """Whole numbers behind gates: a key that is dropped takes its level along."""
    compiled = qa.compile(
        np.array([[[2.0, 1.5, 0.5, -1.0]]]),
        1,
        select=qa.SoftWeights(4, k=2),
        objective="output",
        values=np.array([[[1.0, 0.5], [-0.25, 1.0], [0.75, -1.0], [0.5, 0.5]]]),
        target=None,
    )
    program = compiled.stages[compiled.unpriced].program
    assert program.constraints.gated
    generator = np.random.default_rng(5)
    for _ in range(20):
        reads = generator.integers(0, program.variables.upper + 1, (4, len(program)))
        compared(program, reads)


def test_both_ways_to_mend_counts_agree() -> None:
    """The quick kernel of plain rows, and the one of any block."""
    program = Program.parse(PROGRAMS["count"])
    wide = Program.parse(PROGRAMS["count"] + "keep[0,0,3]: x[0,0,3] <= 1\n")
    reads = np.random.default_rng(1).integers(0, 2, (30, 4))
    lift = Lift.identity(4)
    for descends in (False, True):
        quick = mend(program, lift, parts_of(program, reads), every=True, descends=descends)
        again = mend(wide, lift, parts_of(wide, reads), every=True, descends=descends)
        assert np.array_equal(quick.point, again.point)
        assert quick.mended == pytest.approx(again.mended)


@pytest.mark.parametrize("size", [9, 70])
@pytest.mark.parametrize("sense", ["==", "<="])
def test_equal_reads_are_mended_once_and_counted_each_time(size: int, sense: str) -> None:
    """Rows of few bits, whose reads fit one number, and of many; both kernels."""
    generator = np.random.default_rng(size)
    names = [f"x[0,0,{key}]" for key in range(size)]
    lines = [
        f"{name} : {cost}" for name, cost in zip(names, generator.normal(size=size), strict=True)
    ]
    pairs = zip(names[:-1], names[1:], generator.normal(size=size - 1), strict=True)
    lines += [f"{one} * {other} : {cost}" for one, other, cost in pairs]
    lines.append(f"pick[0,0]: {' + '.join(names)} {sense} 4")
    program = Program.parse("\n".join(lines))
    wide = Program.parse("\n".join([*lines, f"keep[0,0,0]: {names[0]} <= 1"]))
    reads = generator.integers(0, 2, (12, size)) * generator.integers(0, 2, (12, size))
    reads = reads[generator.integers(0, 12, 40)]
    lift = Lift.identity(size)
    for every in (True, False):
        quick = mend(program, lift, parts_of(program, reads), every=every, descends=True)
        again = mend(wide, lift, parts_of(wide, reads), every=every, descends=True)
        assert np.array_equal(quick.point, again.point)
        assert np.array_equal(quick.raw, again.raw)
        for one, other in zip(quick[2:], again[2:], strict=True):
            assert one == pytest.approx(other)
    greedy_figures = greedy.best_of(program, reads)
    assert (quick.feasible[0], quick.sampled[0], quick.mended[0]) == pytest.approx(greedy_figures)


@dataclass(frozen=True)
class PairUp:
    """Three pairs of a row's keys shall add up to one each: no pass sees that none can."""

    name = "pair-up"
    needs, ensures, breaks = frozenset({UNPRICED}), frozenset(), frozenset({WHOLE_ROWS})

    def apply(self, program: Program) -> Rewrite:
        row = np.flatnonzero(program.variables.query == 1)[:3]
        pairs = Constraints.over(
            np.arange(0, 7, 2),
            row[[0, 1, 1, 2, 0, 2]],
            sense=Sense.EQ,
            rhs=1,
            kind=Kind.BUDGET,
            head=np.arange(3),
            query=1,
        )
        return Rewrite(program.replace(constraints=pairs), Lift.identity(len(program)))


def test_rows_that_contradict_themselves_are_named() -> None:
    scores = np.random.default_rng(0).normal(size=(1, 2, 4))
    compiled = qa.compile(
        scores,
        1,
        select=qa.ExactlyK(2),
        passes=(PairUp(), qa.InsertPenalties()),  # type: ignore[arg-type]
        target=None,
    )
    result = compiled.solve("anneal", num_reads=50, seed=1)
    worth = result.reads
    assert worth.feasible[0].tolist() == [1.0, 0.0]
    assert np.isinf([worth.sampled[0, 1], worth.repaired[0, 1], worth.descended[0, 1]]).all()
    assert not result.feasible[0, 1]
    assert not result.repaired[0, 1]
    assert str(result).splitlines()[-1] == (
        "1 row with no read that repair brings to their constraints, which may contradict each "
        "other: head 0, query 1"
    )


def test_descent_ends_where_no_exchange_helps(minilm: dict[str, np.ndarray]) -> None:
    compiled = qa.compile(
        minilm["scores"],
        12,
        select=qa.ExactlyK(3),
        objective="output",
        values=minilm["value"],
        target=None,
    )
    program = compiled.stages[compiled.unpriced].program
    reads = np.random.default_rng(2).integers(0, 2, (4, len(program)))
    lift = Lift.identity(len(program))
    plain = mend(program, lift, parts_of(program, reads), every=True, descends=False)
    lower = mend(program, lift, parts_of(program, reads), every=True, descends=True)
    assert (lower.descended <= plain.mended + 1e-12).all()
    assert (lower.descended < plain.mended - 1e-9).any()
    assert lower.mended == pytest.approx(plain.mended)
    point = lower.point[0]
    energy = program.objective.energies(point[None])[0]
    c = program.constraints
    for row in range(0, len(c), 7):
        var = c.var[c.ptr[row] : c.ptr[row + 1]]
        for up in var[point[var] == 0]:
            for down in var[point[var] == 1]:
                other = point.copy()
                other[up], other[down] = 1, 0
                assert program.objective.energies(other[None])[0] >= energy - 1e-9


def test_repairs_are_told_apart() -> None:
    """Three ways to decode the same reads, and what each read was worth."""
    import dimod

    scores = [[[3.0, 1.0, 0.5, -1.0]]]
    compiled = qa.compile(scores, 1, select=qa.ExactlyK(2), target=None)
    # One feasible read that is poor, and one that keeps too many keys and is better once repaired.
    reads = dimod.SampleSet.from_samples([[0, 1, 1, 0], [1, 1, 1, 0]], "BINARY", [0.0, 0.0])
    decoded = {
        name: compiled.decode([reads], repair=name, descend=False)
        for name in ("every", "best", "none")
    }
    assert decoded["every"].selected[0, 0].tolist() == [True, True, False, False]
    assert decoded["best"].selected[0, 0].tolist() == [False, True, True, False]
    assert decoded["none"].selected[0, 0].tolist() == [False, True, True, False]
    worth = decoded["every"].reads
    assert worth.feasible[0, 0] == 0.5
    assert worth.repaired[0, 0] < worth.sampled[0, 0]
    assert decoded["every"].feasible.all()
    assert not decoded["every"].repaired.any()
    alone = dimod.SampleSet.from_samples([[1, 1, 1, 0]], "BINARY", [0.0])
    unmended = compiled.decode([alone], repair="none")
    assert unmended.selected[0, 0].sum() == 3
    assert not unmended.feasible.any()
    assert not unmended.repaired.any()
    mended = compiled.decode([alone], repair="best", descend=False)
    assert mended.repaired.all()
    assert mended.selected[0, 0].tolist() == [True, True, False, False]
    assert np.isinf(mended.reads.sampled[0, 0])
    with pytest.raises(qa.InputError, match="unknown repair 'most'; one of every, best, none"):
        compiled.decode([alone], repair="most")
