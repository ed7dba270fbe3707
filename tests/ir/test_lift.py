from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

import qubo_attn as qa
from qubo_attn.ir.columns import Sense
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program
from qubo_attn.ir.substitute import substitute
from tests.support import enumeration
from tests.support.strategies import programs


def random_lift(seed: int, before: int, after: int) -> Lift:
    generator = np.random.default_rng(seed)
    dense = generator.integers(-2, 3, (before, after)).astype(float)
    return Lift.of_matrix(sparse.csr_array(dense), generator.integers(-1, 2, before))


@given(st.integers(0, 1000))
def test_composition_is_application_in_turn(seed: int) -> None:
    first, second = random_lift(seed, 4, 3), random_lift(seed + 1, 3, 5)
    samples = np.random.default_rng(seed).integers(0, 2, (6, 5))
    np.testing.assert_array_equal(
        first.then(second).lift(samples), first.lift(second.lift(samples))
    )


def test_identity_and_select() -> None:
    samples = np.array([[1, 0, 1], [0, 0, 1]])
    np.testing.assert_array_equal(Lift.identity(3).lift(samples), samples)
    fixed = Lift.select([1, -1, 0, 1], 3, [0, 1, 0, 0])
    np.testing.assert_array_equal(fixed.lift(samples), [[0, 1, 1, 0], [0, 1, 0, 0]])
    assert fixed.sources is not None
    assert fixed.sources.tolist() == [1, -1, 0, 1]
    assert random_lift(1, 4, 3).sources is None


def test_arrays_round_trip() -> None:
    lift = random_lift(7, 5, 4)
    assert Lift.from_arrays(lift.arrays()).same(lift)


@given(programs(weights=True), st.data())
def test_substitution_keeps_energies(program: Program, data: st.DataObject) -> None:
    """Renumber, tie and fix at random; whatever is feasible after lifts to the same energy."""
    n = len(program)
    source = data.draw(st.lists(st.integers(-1, n - 1), min_size=n, max_size=n))
    kept = sorted({s for s in source if s >= 0})
    renumbered = [kept.index(s) if s >= 0 else -1 for s in source]
    constant = [
        data.draw(st.integers(0, int(u))) if s < 0 else 0
        for s, u in zip(source, program.variables.upper, strict=True)
    ]
    lift = Lift.select(renumbered, len(kept), constant)
    try:
        after = substitute(program, lift, program.variables.take(np.array(kept, dtype=np.int64)))
    except qa.InfeasibleError:
        return
    points = enumeration.points(after)[:100]
    lifted = lift.lift(points)
    np.testing.assert_allclose(
        after.objective.energies(points), program.objective.energies(lifted), atol=1e-9
    )
    assert after.feasible(points).tolist() == program.feasible(lifted).tolist()


def test_equal_constraints_are_merged_and_contradictions_named() -> None:
    text = "x[0,0,0] : 1\nx[1,0,0] : 1\npick[0,0]: x[0,0,0] == 1\npick[1,0]: x[1,0,0] == {}\n"
    lift = Lift.select([0, 0], 1)
    program = Program.parse(text.format(1))
    tied = substitute(program, lift, program.variables.take(np.array([0])))
    assert len(tied.constraints) == 1
    program = Program.parse(text.format(0))
    with pytest.raises(qa.InfeasibleError, match=r"pick\[0,0\] and pick\[1,0\] contradict"):
        substitute(program, lift, program.variables.take(np.array([0])))


@given(
    st.lists(
        st.sampled_from(
            [((0, 1), "==", 1), ((0, 1), "<=", 1), ((0, 1), "<=", 2), ((0, 2), "==", 1)]
        ),
        min_size=1,
        max_size=7,
    )
)
def test_of_constraints_that_repeat_each_other_one_stays(
    said: list[tuple[tuple[int, int], str, int]],
) -> None:
    """Rows that are tied repeat each other; what is left says all that they did."""
    rows = range(len(said))
    lines = [f"x[0,{row},{key}] : 1" for row in rows for key in range(3)]
    for row, (keys, sense, rhs) in enumerate(said):
        sums = " + ".join(f"x[0,{row},{key}]" for key in keys)
        lines.append(f"pick[0,{row}]: {sums} {sense} {rhs}")
    program = Program.parse("\n".join(lines))
    lift = Lift.select(np.tile([0, 1, 2], len(said)), 3)
    c = substitute(program, lift, program.variables.take(np.arange(3))).constraints
    left = [
        (
            tuple(c.var[c.ptr[r] : c.ptr[r + 1]].tolist()),
            "==" if c.sense[r] == Sense.EQ else "<=",
            rhs,
        )
        for r, rhs in enumerate(c.rhs.tolist())
    ]
    expected = {line for line in said if line[0] == (0, 2)}
    bounds = sorted({line for line in said if line[0] == (0, 1)}, key=lambda line: line[1:])
    # An equality says all that bounds do, and sorts last; else the least bound stays.
    expected |= set(bounds[-1:] if ((0, 1), "==", 1) in said else bounds[:1])
    assert len(left) == len(expected)
    assert set(left) == expected


def test_a_constraint_without_variables_must_hold() -> None:
    program = Program.parse("x[0,0,0] : 1\npick[0,0]: x[0,0,0] == 1")
    with pytest.raises(qa.InfeasibleError, match=r"pick\[0,0\] cannot hold"):
        substitute(program, Lift.select([-1], 0, [0]), program.variables.take(np.array([], int)))
    done = substitute(program, Lift.select([-1], 0, [1]), program.variables.take(np.array([], int)))
    assert len(done.constraints) == 0
    assert done.objective.offset == 1
