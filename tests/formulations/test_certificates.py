from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn import kernels
from qubo_attn.formulations.certificates import Certificates, certify
from qubo_attn.formulations.proofs import step_costs
from qubo_attn.frontend.attention import Attention
from qubo_attn.frontend.program import build_program
from qubo_attn.kernels.certify import smallest_weight
from tests.support import enumeration
from tests.support.strategies import programs


def least_objectives(program: qa.Program) -> np.ndarray:
    """F(m) of a program of one row, by enumeration."""
    found: dict[int, float] = {}
    for point in enumeration.points(program):
        energy = enumeration.energy(program, point) - program.objective.offset
        found[sum(point)] = min(found.get(sum(point), np.inf), energy)
    return np.array([found[m] for m in range(len(program) + 1)])


@pytest.mark.parametrize("objective", [qa.Selection(alpha=0.3), qa.Redundancy(), qa.Output()])
@pytest.mark.parametrize("k", range(1, 13))
def test_bounds_are_bounds_and_the_optimum_is_kept(objective: object, k: int) -> None:
    """Rows of 12 keys, every count, all objectives, several seeds: enumerated."""
    for seed in range(28):  # 1,008 rows in all
        generator = np.random.default_rng(100 * k + seed)
        attention = Attention.check(
            generator.normal(scale=2, size=(1, 1, 12)),
            1,
            values=generator.normal(size=(1, 12, 3)),
            keys=generator.normal(size=(1, 12, 3)),
        )
        program = build_program(attention, (objective,), (qa.ExactlyK(k),))
        exact = least_objectives_fast(program)
        found = certify(program, np.array([0]), np.zeros(1))
        scale = np.abs(exact).max() + 1e-12
        if found.method[0] == 1:
            assert found.upper[0] >= exact[k] - 1e-9 * scale
            assert (found.lower <= exact + 1e-9 * scale).all()
        assert found.recheck(exact=True) == []
        surplus = np.arange(13) - k
        penalised = exact + found.weight[0] * surplus**2 + found.slope[0] * surplus
        assert penalised.min() >= penalised[k] - 1e-9 * scale


def least_objectives_fast(program: qa.Program) -> np.ndarray:
    n = len(program)
    points = ((np.arange(1 << n)[:, None] >> np.arange(n)) & 1).astype(float)
    energies = program.objective.energies(points) - program.objective.offset
    least = np.full(n + 1, np.inf)
    np.minimum.at(least, points.sum(axis=1).astype(int), energies)
    return least


@given(programs(heads=1, most_keys=5), st.sampled_from([0.0, 0.1, 2.0]))
@settings(max_examples=100)
def test_certified_rows_keep_their_margin(program: qa.Program, margin: float) -> None:
    found = certify(program, np.array([0]), np.array([margin]))
    exact, k = least_objectives(program), int(program.constraints.rhs[0])
    surplus = np.arange(len(exact)) - k
    penalised = exact + found.weight[0] * surplus**2 + found.slope[0] * surplus
    others = np.delete(penalised, k)
    tolerance = 1e-9 * (1 + np.abs(exact).max())
    assert (others >= penalised[k] + margin - tolerance).all()
    assert found.recheck(exact=True) == []


@given(st.integers(1, 8), st.data())
@settings(max_examples=100)
def test_smallest_weight_is_smallest(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    need = np.array(data.draw(st.lists(st.floats(-3, 3), min_size=n + 1, max_size=n + 1)))
    weight, slope, _, _ = smallest_weight(k, need)
    d = np.arange(n + 1) - k

    def serves(weight: float, slope: float) -> bool:
        return bool(np.delete(weight * d * d + slope * d >= need - 1e-9, k).all())

    assert weight >= 0
    assert serves(weight, slope)
    if weight > 1e-3:
        reach = 10 + 20 * abs(slope)
        assert not any(serves(weight - 1e-3, mu) for mu in np.linspace(-reach, reach, 4001))


def test_a_wrong_weight_is_found_out(minilm: dict[str, np.ndarray]) -> None:
    compiled = qa.compile(
        minilm["scores"],
        12,
        select=qa.ExactlyK(4),
        objective="output",
        values=minilm["value"],
        target=None,
    )
    found = compiled.certificates
    assert len(found) == 120
    assert found.recheck(exact=True) == []
    slope = found.slope + 0.5 * (np.arange(120) == 7)
    assert dataclasses.replace(found, slope=slope).recheck() == [found.labels[7]]
    for row in np.argsort(found.weight)[-3:].tolist():
        needed = needed_weight(found, row)
        for factor, wrong in ((1.001, []), (0.999, [found.labels[row]])):
            weight = np.where(np.arange(120) == row, factor * needed, found.weight)
            assert dataclasses.replace(found, weight=weight).recheck() == wrong


def needed_weight(found: Certificates, row: int) -> float:
    """The least weight that keeps a row's margin at its slope, by enumeration of its selections."""
    one = found.rows.take(np.array([row]))
    keys, o = one.var, found.program.objective
    points = ((np.arange(1 << len(keys))[:, None] >> np.arange(len(keys))) & 1).astype(float)
    energies = points @ o.linear[keys]
    place = {int(v): s for s, v in enumerate(keys)}
    for i, j, bias in zip(o.i.tolist(), o.j.tolist(), o.bias.tolist(), strict=True):
        if i in place:
            energies += bias * points[:, place[i]] * points[:, place[j]]
    surplus = points.sum(axis=1) - one.rhs[0]
    kept = surplus == 0
    short = energies[kept].min() + found.margin[row] - energies - found.slope[row] * surplus
    return max(float((short[~kept] / surplus[~kept] ** 2).max()), 1e-9)


def test_coupled_rows_fall_back_to_steps() -> None:
    program = qa.Program.parse(
        "x[0,0,0] : 1\nx[0,0,1] : -2\nx[1,0,0] : 1\nx[1,0,1] : 3\nx[0,0,0] * x[1,0,1] : -4\n"
        "pick[0,0]: x[0,0,0] + x[0,0,1] == 1\npick[1,0]: x[1,0,0] + x[1,0,1] == 1\n"
    )
    rewrite = qa.InsertPenalties().apply(program)
    qa.validate(program, rewrite)
    assert rewrite.certificates is not None
    assert rewrite.certificates.method.tolist() == [0, 0]
    assert rewrite.certificates.recheck(exact=True) == []


def test_the_relaxation_is_never_worse_than_steps(minilm: dict[str, np.ndarray]) -> None:
    options = {"objective": "output", "values": minilm["value"], "target": None}
    passes = [(qa.Sparsify(slots=8), qa.InsertPenalties(relax=relax)) for relax in (True, False)]
    tight, loose = (
        qa.compile(minilm["scores"], 12, select=qa.ExactlyK(3), passes=p, **options).certificates
        for p in passes
    )
    assert (tight.weight <= loose.weight).all()
    assert np.median(tight.weight) < 0.8 * np.median(loose.weight)


def test_no_certificates_is_an_error() -> None:
    compiled = qa.compile(np.zeros((1, 1, 4)), 1, target=None)
    with pytest.raises(qa.PassError, match="left certificates"):
        _ = compiled.certificates


@given(st.integers(0, 10_000))
@settings(max_examples=100)
def test_rows_of_whole_numbers(seed: int) -> None:
    """Weights that add up to T, squares and couplers included: enumerated."""
    generator = np.random.default_rng(seed)
    n = int(generator.integers(1, 4))
    upper = generator.integers(1, 5, n)
    total = int(generator.integers(0, upper.sum() + 1))
    lines = [
        f"w[0,0,{v}] in 0..{u} : {generator.normal():.3f}"
        if u > 1
        else f"w[0,0,{v}] : {generator.normal():.3f}"
        for v, u in enumerate(upper)
    ]
    for u in range(n):
        for v in range(u, n):
            if u != v or upper[u] > 1:
                lines.append(f"w[0,0,{u}] * w[0,0,{v}] : {generator.normal():.3f}")
    row = " + ".join(f"w[0,0,{v}]" for v in range(n))
    program = qa.Program.parse("\n".join([*lines, f"pick[0,0]: {row} == {total}"]))
    rewrite = qa.InsertPenalties(margin=float(generator.choice([0.0, 0.1]))).apply(program)
    qa.validate(program, rewrite)
    assert rewrite.certificates is not None
    assert rewrite.certificates.recheck(exact=True) == []


def test_steps_of_small_and_other_rows_go_to_their_places() -> None:
    """Rows of few bits have a kernel of their own; the costs are those of the general one."""
    scores = np.random.default_rng(5).normal(size=(2, 3, 20))
    attention = Attention.check(scores, 2, values=np.random.default_rng(6).normal(size=(2, 20, 4)))
    for k in (3, 17, 20):
        select = qa.AtMostK(k) if k == 20 else qa.ExactlyK(k)
        program = build_program(attention, (qa.Output(),) * 2, (select, qa.ExactlyK(2)))
        rows, o = program.constraints, program.objective
        upper = program.variables.upper
        general = kernels.step_costs(rows.counted, o.linear, upper, o.squares(), o.adjacency())
        np.testing.assert_allclose(step_costs(program, rows), general, rtol=1e-12)
