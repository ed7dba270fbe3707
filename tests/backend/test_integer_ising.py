"""Integer export, and the kernels behind it against their NumPy twins."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn import kernels
from qubo_attn.ir.program import Program

SEEDS = st.integers(0, 10_000)
TWO_BLOCKS = """
x[0,0,0] : -6
x[0,0,1] : 2
x[0,1,0] : 0.5
x[0,1,1] : 1
x[0,0,0] * x[0,0,1] : 4
x[0,1,0] * x[0,1,1] : -3
"""


@given(SEEDS, st.integers(0, 8))
def test_table_is_every_energy(seed: int, n: int) -> None:
    generator = np.random.default_rng(seed)
    i, j = np.triu_indices(n, 1)
    keep = generator.random(len(i)) < 0.6
    i, j = i[keep], j[keep]
    linear, bias = generator.normal(size=n), generator.normal(size=len(i))
    table = kernels.binary_table(linear, i, j, bias)
    points = np.arange(2**n)[:, None] >> np.arange(n) & 1
    np.testing.assert_allclose(
        table, points @ linear + (points[:, i] * points[:, j]) @ bias, atol=1e-12
    )


@given(SEEDS, st.integers(1, 127))
def test_common_step_of_multiples(seed: int, most: int) -> None:
    generator = np.random.default_rng(seed)
    block = np.sort(generator.integers(0, 3, 12))
    number = generator.integers(-most, most + 1, 12)
    unit = np.array([0.37, 1e-6, 123.456])
    largest = np.zeros(3)
    np.maximum.at(largest, block, np.abs(number * unit[block]))
    step = kernels.common_steps(number * unit[block], block, largest, 1e-3 / 127)
    expected = unit * [np.gcd.reduce(number[block == b]) for b in range(3)]
    np.testing.assert_allclose(step, expected, rtol=1e-9)


@given(SEEDS)
def test_rounding_errors(seed: int) -> None:
    generator = np.random.default_rng(seed)
    block, value = generator.integers(0, 3, 20), generator.normal(size=20)
    largest = np.zeros(4)
    np.maximum.at(largest, block, np.abs(value))
    divisors = generator.integers(1, 100, (4, 5)).astype(float)
    errors = kernels.rounding_errors(value, block, largest, divisors)
    for b, c in product(range(4), range(5)):
        mine, step = value[block == b], largest[b] / divisors[b, c]
        expected = np.abs(mine - np.round(mine / step) * step).sum() if len(mine) else 0.0
        assert errors[b, c] == pytest.approx(expected, abs=1e-12)


@given(SEEDS)
def test_comparison_of_tables(seed: int) -> None:
    generator = np.random.default_rng(seed)
    before = generator.integers(-4, 5, 32) + 0.25 * generator.random(32)
    after = generator.integers(-3, 4, 32).astype(float)
    feasible = generator.random(32) < generator.choice([0.1, 0.5, 1.0])
    feasible[generator.integers(32)] = True
    rise, ground, margin, error = kernels.compare_tables(before, after, 2.0, 0.7, feasible)
    kept, rounded = before[feasible], after[feasible]
    assert rise == kept[rounded == rounded.min()].max() - kept.min()
    assert ground == before[after == after.min()].max() - before.min()
    assert margin == pytest.approx(
        0.7 * (after[~feasible].min() - rounded.min()) if not feasible.all() else np.inf
    )
    assert error == pytest.approx(np.abs(kept - 0.7 * (rounded + 2.0)).max())


def test_fields_are_couplings_to_the_last_spin() -> None:
    problem = qa.integer_ising(Program.parse(TWO_BLOCKS))
    # h = (-3 + 1, 1 + 1) and J = 1; h = (0.25 - 0.75, 0.5 - 0.75) and J = -0.75, step 0.25.
    assert problem.matrix.tolist() == [
        [0, 1, 0, 0, -2],
        [1, 0, 0, 0, 2],
        [0, 0, 0, -3, -2],
        [0, 0, -3, 0, -1],
        [-2, 2, -2, -1, 0],
    ]
    assert problem.scale.tolist() == [1, 1, 0.25, 0.25]
    assert problem.auxiliary == 4


def test_a_read_is_relative_to_the_auxiliary_spin() -> None:
    program = Program.parse(TWO_BLOCKS)
    problem = qa.integer_ising(program)
    spins = np.array(list(product((-1, 1), repeat=5)))
    np.testing.assert_array_equal(problem.bits(spins), problem.bits(-spins))
    np.testing.assert_allclose(problem.energies(spins), program.energies(problem.bits(spins)))
    assert problem.bits([[1, -1, -1, 1, -1]]).tolist() == [[0, 1, 1, 0]]


def test_some_blocks_alone() -> None:
    program = Program.parse(TWO_BLOCKS)
    part = qa.integer_ising(program, variables=[3, 2])
    assert part.variables.tolist() == [2, 3]
    assert part.matrix.tolist() == [[0, -3, -2], [-3, 0, -1], [-2, -1, 0]]
    # Alone, its energies are its own part of the program's.
    assert part.energies([[1, 1, 1]])[0] == pytest.approx(program.energies([[0, 0, 1, 1]])[0])
    with pytest.raises(qa.InputError, match=r"only a part of the block of x\[0,0,0\]"):
        qa.integer_ising(program, variables=[1, 2, 3])
    with pytest.raises(qa.InputError, match="variables name 2 to 9; the program has 4"):
        qa.integer_ising(program, variables=[2, 9])


def test_what_is_not_whole_is_named() -> None:
    text = TWO_BLOCKS.replace("x[0,1,1] : 1", "x[0,1,1] : 0.9123456")
    with pytest.raises(qa.InputError, match=r"block of x\[0,1,0\] has no step .* run quantize"):
        qa.integer_ising(Program.parse(text))
    with pytest.raises(qa.InputError, match=r"block of x\[0,1,0\] has no step .* between -1 and 1"):
        qa.integer_ising(Program.parse(TWO_BLOCKS.replace(": 4", ": 0").replace(" 2", " 6")), 2)
    with pytest.raises(qa.InputError, match="bits must be a whole number from 2 to 16, not 32"):
        qa.integer_ising(Program.parse(TWO_BLOCKS), 32)
    with pytest.raises(qa.VerifyError, match="constraint-left"):
        qa.integer_ising(Program.parse("x[0,0,0] : 1\npick[0,0]: x[0,0,0] == 1"))


@pytest.mark.parametrize(
    ("spins", "message"),
    [
        ([[1, 1, 1, 1]], r"spins have shape \(1, 4\); expected \(reads, 5\)"),
        ([[0, 1, 1, 1, 1]], "values other than -1 and 1"),
    ],
)
def test_foreign_reads_are_rejected(spins: list[list[int]], message: str) -> None:
    problem = qa.integer_ising(Program.parse(TWO_BLOCKS))
    with pytest.raises(qa.DecodeError, match=message):
        problem.bits(spins)
