from __future__ import annotations

from itertools import product
from pathlib import Path

import dimod
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn.ir.program import Program
from tests.support import enumeration
from tests.support.strategies import programs

ROW = """\
program variables=3 terms=1 constraints=1
offset 0
x[0,0,0] : -4.1
x[0,0,1] : -3
x[0,0,2] : -1.95
x[0,0,0] * x[0,0,1] : 3.2
pick[0,0]: x[0,0,0] + x[0,0,1] + x[0,0,2] == 1 price 1 slope 3
"""


def dense(seed: int, n: int) -> Program:
    """A random form over n bits, no constraints."""
    generator = np.random.default_rng(seed)
    lines = [f"x[0,0,{k}] : {a:.17g}" for k, a in enumerate(generator.normal(size=n))]
    for i in range(n):
        for j in range(i):
            lines.append(f"x[0,0,{j}] * x[0,0,{i}] : {generator.normal():.17g}")
    return Program.parse("\n".join(lines))


def spin_form(program: Program) -> tuple[dict[int, float], dict[tuple[int, int], float]]:
    """Fields and couplings by dimod's change of variables, not ours."""
    form = program.total()
    quadratic = {(int(i), int(j)): b for i, j, b in zip(form.i, form.j, form.bias, strict=True)}
    bqm = dimod.BinaryQuadraticModel(
        dict(enumerate(form.linear)), quadratic, form.offset, dimod.BINARY
    )
    h, j, _ = bqm.to_ising()
    return h, {(min(pair), max(pair)): value for pair, value in j.items()}


def test_golden() -> None:
    rewrite = qa.Quantize(bits=3).apply(Program.parse(ROW))
    # With the price h = (0.75, 1.3, 1.025) and J = (1.3, 0.5, 0.5); the largest, 1.3, is 3 steps,
    # and the rest h = (2, 3, 2), J = (3, 1, 1). The objective takes it up, the price stays.
    assert str(rewrite.program) == (
        "program variables=3 terms=3 constraints=1\n"
        "offset -0.0916667\n"
        "x[0,0,0] : -3.73333\n"
        "x[0,0,1] : -2.86667\n"
        "x[0,0,2] : -2\n"
        "x[0,0,0] * x[0,0,1] : 3.2\n"
        "x[0,0,0] * x[0,0,2] : -0.266667\n"
        "x[0,0,1] * x[0,0,2] : -0.266667\n"
        "pick[0,0]: x[0,0,0] + x[0,0,1] + x[0,0,2] == 1 price 1 slope 3\n"
    )
    h, j = spin_form(rewrite.program)
    assert [h[v] * 3 / 1.3 for v in range(3)] == pytest.approx([2, 3, 2])
    assert [j[e] * 3 / 1.3 for e in ((0, 1), (0, 2), (1, 2))] == pytest.approx([3, 1, 1])
    assert rewrite.notes == (
        "1 of 1 blocks certified unchanged, bound 0",
        "3 bits, steps 0.4333 to 0.4333",
    )


@given(
    programs(heads=3),
    st.sampled_from([0.0, 0.05, 0.5]),
    st.integers(2, 10),
    st.sampled_from([0, 3, 16]),
)
@settings(max_examples=200)
def test_the_promise_holds(program: Program, margin: float, bits: int, exact: int) -> None:
    priced = qa.InsertPenalties(margin=margin).apply(program).program
    rewrite = qa.Quantize(bits=bits, exact=exact).apply(priced)
    rewrite.program.verify()
    qa.validate(priced, rewrite)
    best = enumeration.optimum(priced)
    reached = [
        (enumeration.energy(rewrite.program, p), enumeration.energy(priced, p))
        for p in enumeration.points(priced)
        if enumeration.holds(priced, p)
    ]
    least = min(after for after, _ in reached)
    worst = max(before for after, before in reached if after <= least + 1e-9)
    assert worst <= best + rewrite.prove() + 1e-7
    assert max(abs(after - before) for after, before in reached) <= rewrite.error + 1e-7


@given(programs(heads=2), st.sampled_from([0.0, 0.1, 0.5]), st.integers(3, 8))
@settings(max_examples=100)
def test_prices_that_were_too_low_are_told(program: Program, share: float, bits: int) -> None:
    c = program.constraints
    cheap = {"weight": np.full(len(c), share), "slope": np.zeros(len(c))}
    priced = program.replace(constraints=type(c)(**(c.arrays() | cheap)))
    rewrite = qa.Quantize(bits=bits).apply(priced)
    qa.validate(priced, rewrite)
    points = enumeration.points(priced)
    feasible = [
        enumeration.energy(rewrite.program, p) for p in points if enumeration.holds(priced, p)
    ]
    rest = [
        enumeration.energy(rewrite.program, p) for p in points if not enumeration.holds(priced, p)
    ]
    assert rewrite.margin == pytest.approx(min(rest) - min(feasible), abs=1e-7)


@given(programs(heads=3), st.integers(2, 6))
@settings(max_examples=100)
def test_a_certificate_means_that_ground_states_stay(program: Program, bits: int) -> None:
    priced = qa.InsertPenalties().apply(program).program
    rewrite = qa.Quantize(bits=bits).apply(priced)
    kept, blocks = (int(word) for word in rewrite.notes[0].split()[:3:2])
    if kept == blocks:
        assert rewrite.prove() == 0
        before = enumeration.ground_states(priced)
        assert set(enumeration.ground_states(rewrite.program)) <= set(before)
        assert all(enumeration.holds(program, state) for state in before)
        assert rewrite.margin >= 0


@given(programs(heads=3), st.integers(2, 10))
@settings(max_examples=100)
def test_the_spin_form_is_whole(program: Program, bits: int) -> None:
    rewrite = qa.Quantize(bits=bits).apply(qa.InsertPenalties().apply(program).program)
    problem = qa.integer_ising(rewrite.program, bits)
    limit = 2 ** (bits - 1) - 1
    assert np.abs(problem.coupling).max(initial=0) <= limit
    assert problem.coupling.all()
    h, j = spin_form(rewrite.program)
    whole = problem.matrix
    for v, field in h.items():
        assert field == pytest.approx(problem.scale[v] * whole[v, -1], abs=1e-9)
    for (u, v), coupling in j.items():
        assert coupling == pytest.approx(problem.scale[u] * whole[u, v], abs=1e-9)
    for point in list(product((-1, 1), repeat=len(program) + 1))[:: 2 ** max(len(program) - 6, 0)]:
        bit = problem.bits([point])[0].tolist()
        energy = enumeration.energy(rewrite.program, tuple(bit))
        assert problem.energies([point])[0] == pytest.approx(energy, abs=1e-7)


@given(programs(heads=2), st.integers(2, 9))
@settings(max_examples=50)
def test_a_second_time_changes_nothing(program: Program, bits: int) -> None:
    first = qa.Quantize(bits=bits).apply(qa.InsertPenalties().apply(program).program)
    second = qa.Quantize(bits=bits).apply(first.program)
    assert second.prove() == 0
    assert second.error <= 1e-9 * max(1.0, first.error)
    one, two = first.program.total(), second.program.total()
    np.testing.assert_allclose(one.linear, two.linear, atol=1e-9)


@pytest.mark.parametrize(("most", "bits"), [(37, 8), (997, 12), (3, 12)])
def test_whole_numbers_are_kept_whatever_the_largest(most: int, bits: int) -> None:
    """The step is found, though the largest number is a prime far below what the bits hold."""
    generator = np.random.default_rng(0)
    h, j = generator.integers(-most, most + 1, 5), generator.integers(-most, most + 1, (5, 5))
    j[0, 1] = most
    pairs = [(u, v) for u in range(5) for v in range(u + 1, 5)]
    coupling = {(u, v): 0.3 * int(j[u, v]) for u, v in pairs}
    bqm = dimod.BinaryQuadraticModel(dict(enumerate(0.3 * h)), coupling, 0.0, dimod.SPIN)
    binary = bqm.change_vartype(dimod.BINARY, inplace=False)
    lines = [f"x[0,0,{v}] : {float(binary.linear[v])!r}" for v in range(5)]
    lines += [
        f"x[0,0,{u}] * x[0,0,{v}] : {float(binary.get_quadratic(u, v))!r}"
        for u, v in pairs
        if j[u, v] != 0
    ]
    program = Program.parse("\n".join(lines))
    for exact in (0, 16):
        rewrite = qa.Quantize(bits=bits, exact=exact).apply(program)
        assert rewrite.prove() == 0
        assert rewrite.error < 1e-9
        assert rewrite.notes[0] == "1 of 1 blocks certified unchanged, bound 0"
    matrix = qa.integer_ising(rewrite.program, bits).matrix
    np.testing.assert_array_equal(np.triu(matrix[:5, :5], 1), np.triu(j, 1))
    np.testing.assert_array_equal(matrix[5, :5], h)


def test_every_block_has_its_own_step() -> None:
    program = Program.parse(
        "x[0,0,0] : -4.1\nx[0,0,1] : -3\nx[0,1,0] : -410\nx[0,1,1] : -300\n"
        "x[0,0,0] * x[0,0,1] : 3.2\nx[0,1,0] * x[0,1,1] : 320"
    )
    rewrite = qa.Quantize(bits=4).apply(program)
    scale = qa.integer_ising(rewrite.program, 4).scale
    assert scale[2:] == pytest.approx(100 * scale[:2])
    assert rewrite.notes[0].startswith("2 of 2 blocks certified unchanged")


def test_blocks_too_large_to_enumerate_get_a_bound_that_holds() -> None:
    for seed in range(5):
        program = dense(seed, 12)
        rewrite = qa.Quantize(bits=5, exact=0).apply(program)
        qa.validate(program, rewrite)
        h, j = spin_form(program)
        rounded_h, rounded_j = spin_form(rewrite.program)
        naive = sum(abs(h[v] - rounded_h[v]) for v in h)
        naive += sum(abs(j[e] - rounded_j.get(e, 0.0)) for e in j)
        # The eigenvalues' bound is the tighter one here.
        assert 0 < rewrite.prove() < 2 * naive - 1e-6
        assert 0 < rewrite.error < naive
        exact = qa.Quantize(bits=5).apply(program)
        assert exact.prove() < rewrite.prove()


def test_fields_make_up_for_couplings() -> None:
    """More optima survive than rounding to the nearest at the same steps lets survive."""
    kept = nearest = 0
    for seed in range(40):
        program = dense(seed, 8)
        rewrite = qa.Quantize(bits=3).apply(program)
        kept += rewrite.prove() == 0
        assert np.abs(qa.integer_ising(rewrite.program, 3).coupling).max() <= 3
        plain = qa.Quantize(bits=3, exact=0).apply(program).program
        states = enumeration.ground_states(plain)
        nearest += set(states) <= set(enumeration.ground_states(program))
    assert nearest < 30
    assert kept >= nearest + 8


def test_more_bits_cost_less() -> None:
    program = dense(1, 18)
    bounds = [qa.Quantize(bits=bits).apply(program).prove() for bits in (2, 4, 8, 16)]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[-1] < 1e-3 * bounds[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bits": 1}, "bits must be a whole number from 2 to 16, not 1"),
        ({"bits": 17}, "bits must be a whole number from 2 to 16, not 17"),
        ({"bits": 8.0}, "bits must be a whole number from 2 to 16, not 8.0"),
        ({"bits": True}, "bits must be a whole number from 2 to 16, not True"),
        ({"exact": -1}, "exact must be a whole number from 0 to 20, not -1"),
        ({"exact": 21}, "exact must be a whole number from 0 to 20, not 21"),
    ],
)
def test_bad_options_are_rejected(options: dict[str, object], message: str) -> None:
    with pytest.raises(qa.InputError, match=message):
        qa.Quantize(**options)


def test_what_it_needs() -> None:
    unpriced = Program.parse("x[0,0,0] : 1\npick[0,0]: x[0,0,0] == 1")
    with pytest.raises(qa.PassError, match="quantize needs a program that has every constraint pr"):
        qa.Pipeline((qa.Quantize(),)).run(unpriced)
    with pytest.raises(qa.OrderError, match="put quantize after insert-penalties"):
        qa.Pipeline((qa.Quantize(), qa.InsertPenalties()))
    with pytest.raises(qa.PassError, match="quantize needs a program that has bits only"):
        qa.Pipeline((qa.Quantize(),)).run(Program.parse("w[0,0,0] in 0..3 : 1"))


def test_nothing_to_round() -> None:
    empty = Program.parse("offset 3")
    assert qa.Quantize().apply(empty).program.same(empty)
    zero = Program.parse("x[0,0,0] : 0\nx[0,0,1] : 0")
    rewrite = qa.Quantize().apply(zero)
    assert rewrite.program.same(zero)
    assert rewrite.notes[0] == "2 of 2 blocks certified unchanged, bound 0"


def test_a_compilation_for_a_machine_of_integers(
    minilm: dict[str, np.ndarray], tmp_path: Path
) -> None:
    compiled = qa.compile(
        minilm["scores"],
        12,
        select=qa.ExactlyK(3),
        passes=(qa.InsertPenalties(margin=0.5), qa.Quantize()),
        target="all-to-all",
        verify_each=True,
    )
    compiled.save(tmp_path)
    loaded = qa.load(tmp_path)
    assert loaded.bound == compiled.bound
    assert loaded.stages[-1].rewrite.error == compiled.stages[-1].rewrite.error > 0
    assert loaded.recipe.passes == compiled.recipe.passes
    problem = qa.integer_ising(compiled.program)
    assert np.abs(problem.coupling).max() == 127
    assert compiled.bound < 0.01
    assert "-" not in compiled.stages[-1].rewrite.notes[0]
    exact = qa.compile(minilm["scores"], 12, select=qa.ExactlyK(3), target=None)
    same = compiled.solve("anneal", seed=1).selected == exact.solve("anneal", seed=1).selected
    assert same.all(axis=-1).mean() > 0.9


def test_qama_becomes_integers() -> None:
    query, key, value = np.random.default_rng(0).normal(size=(3, 2, 3, 4))
    program = qa.qama_program(query, key, value, bits=2)
    rewrite = qa.Quantize().apply(program)
    qa.validate(program, rewrite)
    assert rewrite.notes[0] == "1 of 1 blocks certified unchanged, bound 0"
    matrix = qa.integer_ising(rewrite.program).matrix
    assert matrix.shape == (13, 13)
    assert np.abs(matrix).max() <= 127


def test_small_differences_of_large_weights_are_no_noise() -> None:
    """Levels of two keys whose scores differ by 3 in a billion: 8 bits may lose that."""
    compiled = qa.compile(
        [[1e9, 1000000003.0]],
        1,
        objective="sparsemax",
        select=qa.SoftWeights(3, encoding="one-hot"),
        target="all-to-all",
    )
    before = compiled.stages[-2].program
    after = compiled.program
    points = np.array(list(product((0.0, 1.0), repeat=len(after))))
    energies, rounded = before.total().energies(points), after.total().energies(points)
    ground = rounded <= rounded.min() + 1e-3
    assert energies[ground].max() <= energies.min() + compiled.stages[-1].rewrite.bound + 1e-2
