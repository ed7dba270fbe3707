from __future__ import annotations

import numpy as np
import pytest

import qubo_attn as qa
from qubo_attn.decoding.mended import mend
from qubo_attn.decoding.reads import PartReads
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program
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
