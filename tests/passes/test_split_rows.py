from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn.formulations.held import Held, SplitPlan, component_energies, effective_costs
from qubo_attn.ir.program import Program
from tests.support import enumeration

ROW = """\
x[0,0,0] mass 0.4 : -4
x[0,0,1] mass 0.3 : -3
x[0,0,2] mass 0.2 : -2
x[0,0,3] mass 0.1 : 5
x[0,0,0] * x[0,0,1] : 2.5
x[0,0,1] * x[0,0,2] : 0.5
pick[0,0]: x[0,0,0] + x[0,0,1] + x[0,0,2] + x[0,0,3] == 2
"""


def random_rows(seed: int, bounded: bool = False, joined: bool = False) -> Program:
    """Return two rows of several keys with random couplers, within rows or anywhere."""
    generator = np.random.default_rng(seed)
    sizes = generator.integers(3, 6, 2)
    names = [f"x[0,{query},{key}]" for query in range(2) for key in range(sizes[query])]
    lines = [
        f"{name} mass {mass:.3f} : {value:.3f}"
        for name, mass, value in zip(
            names, generator.random(len(names)), generator.normal(size=len(names)), strict=True
        )
    ]
    for i, first in enumerate(names):
        for j, second in enumerate(names[:i]):
            if joined or (i < sizes[0]) == (j < sizes[0]):
                lines.append(f"{second} * {first} : {generator.normal():.3f}")
    start = 0
    for query, size in enumerate(sizes.tolist()):
        keep = generator.integers(1, size)
        own = " + ".join(names[start : start + size])
        lines.append(f"pick[0,{query}]: {own} {'<=' if bounded else '=='} {keep}")
        start += size
    return Program.parse("\n".join(lines))


def test_golden_block() -> None:
    program = Program.parse(ROW)
    rewrite = qa.SplitRows(2).apply(program)
    # Keys 0 and 1 are kept; beside the other, key 0 costs -1.5 and key 1 costs -0.5.
    assert str(rewrite.program) == (
        "program variables=2 terms=1 constraints=1\n"
        "offset -4\n"
        "x[0,0,1] mass 0.3 : -0.5\n"
        "x[0,0,2] mass 0.2 : -2\n"
        "x[0,0,1] * x[0,0,2] : 0.5\n"
        "pick[0,0]: x[0,0,1] + x[0,0,2] == 1\n"
    )
    assert rewrite.notes == ("1 row split: 2 of 4 keys stay open",)
    qa.validate(program, rewrite)


def test_keys_that_a_block_had_come_last() -> None:
    program = Program.parse(ROW)
    plan = SplitPlan.of(program, 2)
    start = plan.start(program)
    assert start.point.tolist() == [1, 1, 0, 0]
    assert plan.open(program, start).tolist() == [False, True, True, False]
    later = Held(start.point, np.array([0, 2, 2, 0], np.uint8))
    assert plan.open(program, later).tolist() == [True, False, False, True]


def test_rows_that_fit_stay_as_they_are() -> None:
    program = Program.parse(ROW)
    rewrite = qa.SplitRows(4).apply(program)
    assert rewrite.program is program
    assert rewrite.notes == ("no row has more than 4 variables",)


@given(st.integers(0, 10_000), st.booleans(), st.booleans(), st.integers(4, 8))
def test_blocks_keep_the_promise_of_the_pass(
    seed: int, bounded: bool, joined: bool, block: int
) -> None:
    """Energies of blocks are those of whole rows, and counts hold."""
    program = random_rows(seed, bounded, joined)
    qa.validate(program, qa.SplitRows(block).apply(program))


@given(st.integers(0, 10_000), st.booleans(), st.booleans(), st.integers(2, 7))
def test_blocks_have_the_same_shape_wherever_rows_stand(
    seed: int, bounded: bool, joined: bool, block: int
) -> None:
    program = random_rows(seed, bounded, joined)
    if joined:
        block += 2
    plan, generator = SplitPlan.of(program, block), np.random.default_rng(seed)
    points = np.array(enumeration.points(program), float)
    points = points[program.feasible(points)]
    shapes = set()
    for point in points[generator.permutation(len(points))[:8]]:
        turn = generator.integers(0, 3, len(program)).astype(np.uint8)
        held = Held(np.where(plan.split[plan.component], point, 0.0), turn)
        open_ = plan.open(program, held)
        blocks, lift = plan.narrowed(program, held, open_)
        c = blocks.constraints
        shapes.add((len(blocks), *np.diff(c.ptr).tolist(), *c.rhs.tolist()))
        now = point[open_]
        assert blocks.feasible(now[None]).all()
        assert blocks.energies(now[None]) == pytest.approx(program.energies(lift.lift(now[None])))
    assert len(shapes) == 1


@given(st.integers(0, 10_000), st.booleans())
def test_costs_and_energies_of_components(seed: int, joined: bool) -> None:
    program = random_rows(seed, joined=joined)
    point = np.random.default_rng(seed).integers(0, 2, len(program)).astype(float)
    flipped = np.repeat(point[None], len(program), axis=0)
    np.fill_diagonal(flipped, 1.0)
    without = flipped.copy()
    np.fill_diagonal(without, 0.0)
    expected = program.objective.energies(flipped) - program.objective.energies(without)
    np.testing.assert_allclose(effective_costs(program, point), expected, atol=1e-12)
    whole = program.objective.energies(point[None])[0] - program.objective.offset
    assert component_energies(program, point).sum() == pytest.approx(whole)


def test_rows_of_other_constraints_cannot_be_split() -> None:
    program = Program.parse(
        "x[0,0,0] : 1\nx[0,0,1] : 1\nx[0,0,2] : 1\n"
        "pick[0,0]: x[0,0,0] + 2 x[0,0,1] + x[0,0,2] == 2\n"
    )
    with pytest.raises(qa.PassError, match=r"cannot be split at x\[0,0,0\], which is in no count"):
        qa.SplitRows(2).apply(program)
    joined = random_rows(1, joined=True)
    with pytest.raises(qa.PassError, match="is one of 2 rows that are joined") as caught:
        qa.SplitRows(3).apply(joined)
    assert (caught.value.head, caught.value.query) == (0, 0)


@pytest.mark.parametrize("block", [1, 0, 2.5, "many", None])
def test_blocks_are_whole_numbers_of_two_or_more(block: object) -> None:
    with pytest.raises(qa.InputError, match="block must be a whole number"):
        qa.SplitRows(block)
