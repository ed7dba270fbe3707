"""Lowest energies of all states: the search beside enumeration, ties, gates and limits."""

from __future__ import annotations

from itertools import product

import dimod
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn import kernels
from qubo_attn.solving import parted
from qubo_attn.solving.lowest import lowest_energies
from qubo_attn.solving.model import program_of
from tests.support.twins import interpreted

SELECTS = (qa.ExactlyK(2), qa.AtMostK(2), qa.OneHot(), qa.SoftWeights(3, k=2), qa.SoftWeights(2))


def rows(seed: int, select: object, heads: int = 1, **options: object) -> qa.CompiledAttention:
    generator = np.random.default_rng(seed)
    leveled = isinstance(select, qa.SoftWeights)
    keys = 4 if leveled else 9 // heads
    soft = leveled and select.k is None
    if soft:
        options["objective"] = "least_squares"
    return qa.compile(
        generator.normal(size=(heads, 1, keys)), heads, select=select,
        values=generator.normal(size=(heads, keys, 3)), target=None, **options,
    )  # fmt: skip


def check(found: parted.Lowest, program: qa.Program) -> None:
    """Compare with the energies of all states, one by one."""
    states = np.array(list(product((1.0, 0.0), repeat=len(program))))
    energies = program.energies(states)
    lowest = energies.min()
    close = pytest.approx(lowest, abs=1e-9)
    assert found.energy == close
    optima = energies <= lowest + 1e-9
    assert found.optima == optima.sum()
    # The states begin with ones: the first optimum is the one that is 1 where two differ.
    assert np.array_equal(found.state, states[optima.argmax()])
    if found.second is not None:
        assert found.second == pytest.approx(energies[~optima].min(), abs=1e-9)
        assert program.energies(found.second_state[None])[0] == pytest.approx(found.second)
    good = energies[program.feasible(states)]
    good = good[good > good.min() + 1e-9]
    if found.feasible_second is not None:
        assert found.feasible_second == pytest.approx(good.min(), abs=1e-9)


@pytest.mark.parametrize("select", SELECTS, ids=str)
def test_rows_beside_all_their_states(select: object) -> None:
    for seed in range(12):
        program = rows(seed, select).program
        for found in (lowest_energies(program), parted.search(program, 0.0, 10**6)):
            assert found.second is not None
            check(found, program)


def test_joined_rows_beside_all_their_states() -> None:
    for seed, coupling in product(range(6), (qa.Diversity(), qa.Agreement())):
        program = rows(seed, qa.ExactlyK(2), heads=2, coupling=coupling).program
        found = parted.search(program, 0.0, 10**6)
        assert found.feasible_second is not None
        check(found, program)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 9))
def test_models_with_ties_beside_all_their_states(seed: int, size: int) -> None:
    generator = np.random.default_rng(seed)
    model = dimod.BinaryQuadraticModel(size, "BINARY")
    for v in range(size):
        model.set_linear(v, int(generator.integers(-2, 3)))
        for u in range(v):
            model.set_quadratic(u, v, int(generator.integers(-2, 3)))
    program = program_of(model)
    for found in (lowest_energies(program), parted.search(program, 0.0, 10**6)):
        check(found, program)
        states = np.array(list(product((1.0, 0.0), repeat=size)))
        assert (found.second is None) == (len(np.unique(program.energies(states))) == 1)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 7))
def test_ties_between_states_of_other_sums(seed: int, size: int) -> None:
    """Small whole prices, so that optima often break a constraint, or tie with some that do."""
    generator = np.random.default_rng(seed)
    bits = [f"x[0,0,{v}]" for v in range(size)]
    lines = [f"{bit} : {generator.integers(-2, 3)}" for bit in bits]
    for v in range(size):
        for u in range(v):
            lines.append(f"{bits[u]} * {bits[v]} : {generator.choice([-1, 1, 2])}")
    for row, part in enumerate((bits[: size // 2 + 1], bits[size // 2 + 1 :])):
        if part:
            a, mu = generator.integers(0, 2), generator.integers(-1, 2)
            lines.append(f"pick[0,{row}]: {' + '.join(part)} == 1 price {a} slope {mu}")
    program = qa.Program.parse("\n".join(lines))
    check(parted.search(program, 0.0, 10**6), program)


def test_certificates_serve_where_a_search_does_not_end() -> None:
    """Within any number of steps, what is said holds; a few are too few for all states."""
    ways: set[str | None] = set()
    for seed in range(8):
        compiled = rows(seed, qa.SoftWeights(3, k=2))
        program, margin = compiled.program, float(compiled.certificates.margin.min())
        states = np.array(list(product((1.0, 0.0), repeat=len(program))))
        energies, good = program.energies(states), program.feasible(states)
        assert energies[~good].min() >= energies.min() + margin - 1e-9
        for steps in (1, 100, 300, 1000, 10**6):
            found = parted.search(program, margin, steps)
            ways.add(found and found.proof)
            if found is not None:
                check(found, program)
            assert found is not None or steps < 10**6
        unsure = parted.search(program, margin * 1e-3, 300)
        assert unsure is None or unsure.second is None or unsure.proof == "branch and bound"
    assert ways == {None, "branch and bound", "branch and bound, certificates"}


def test_larger_programs_and_limits() -> None:
    generator = np.random.default_rng(0)
    model = dimod.BinaryQuadraticModel(generator.normal(size=(40, 40)), "BINARY")
    assert lowest_energies(program_of(model), most_steps=1000) is None
    assert lowest_energies(program_of(dimod.BinaryQuadraticModel(65, "BINARY"))) is None


def test_the_kernel_under_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel, alike = kernels.lowest_states, []

    def both(*arguments: object) -> kernels.LowestStates:
        found = kernel(*arguments)
        alike.append(found == interpreted(kernel)(*arguments))
        return found

    monkeypatch.setattr(kernels, "lowest_states", both)
    parted.search(rows(1, qa.SoftWeights(3, k=2)).program, 0.0, 10**6)
    parted.search(rows(1, qa.ExactlyK(2)).program, 0.0, 10**6)
    assert len(alike) > 2
    assert all(alike)
