"""Rows of exactly k keys as networks and grids, by enumeration."""

from __future__ import annotations

from itertools import combinations, product
from math import comb

import dimod
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn.formulations.cardinality import Cardinality, cheapest
from qubo_attn.formulations.certificates import certify
from qubo_attn.formulations.switches import network_of
from qubo_attn.formulations.walls import grid_of
from qubo_attn.ir.columns import Role
from qubo_attn.ir.program import Program
from tests.support import enumeration
from tests.support.strategies import programs

FORMS = ("dense", "network", "grid")


def row(costs: list[float], k: int, pairs: dict[tuple[int, int], float] | None = None) -> Program:
    lines = [f"x[0,0,{i}] : {cost!r}" for i, cost in enumerate(costs)]
    lines += [f"x[0,0,{i}] * x[0,0,{j}] : {b!r}" for (i, j), b in (pairs or {}).items()]
    total = " + ".join(f"x[0,0,{i}]" for i in range(len(costs)))
    return Program.parse("\n".join([*lines, f"pick[0,0]: {total} == {k}"]))


GRID = """\
program variables=4 terms=0 constraints=4
offset -5
a[0,0,*,0] : 3
a[0,0,*,1] : -2
a[0,0,*,2] : -2
a[0,0,*,3] : 1
wall[0,0,*,0]: a[0,0,*,0] - a[0,0,*,2] <= 0 price 1
wall[0,0,*,1]: a[0,0,*,1] - a[0,0,*,3] <= 0 price 1
wall[0,0,*,2]: -a[0,0,*,0] + a[0,0,*,1] <= 0 price 1
wall[0,0,*,3]: -a[0,0,*,2] + a[0,0,*,3] <= 0 price 1
"""
NETWORK = """\
program variables=6 terms=0 constraints=3
offset 0
x[0,0,0] : -1
x[0,0,1] : -4
x[0,0,2] : -2
x[0,0,3] : -3
a[0,0,*,0] : 0
a[0,0,*,1] : 0
switch[0,0,*,0]: a[0,0,*,0] + a[0,0,*,1] == 1 price 0 slope 3.5
switch[0,0,*,1]: x[0,0,0] + x[0,0,1] - a[0,0,*,0] == 0 price 0 slope 3.5
switch[0,0,*,2]: x[0,0,2] + x[0,0,3] - a[0,0,*,1] == 0 price 0 slope 3.5
"""


@pytest.mark.parametrize(("form", "k", "expected"), [("grid", 2, GRID), ("network", 1, NETWORK)])
def test_golden(form: str, k: int, expected: str) -> None:
    program = row([-1.0, -4.0, -2.0, -3.0], k)
    rewrite = qa.InsertPenalties(margin=0, cardinality=form).apply(program)
    assert str(rewrite.program) == expected
    assert Program.parse(rewrite.program.text(exact=True)).same(rewrite.program)


@given(
    programs(heads=2, most_keys=4), st.sampled_from(FORMS[1:]), st.sampled_from([0.0, 0.05, 0.5])
)
@settings(max_examples=100)
def test_optima_are_kept_whatever_is_coupled(program: Program, form: str, margin: float) -> None:
    rewrite = qa.InsertPenalties(margin=margin, cardinality=form).apply(program)
    if len(rewrite.program) > 12:
        return
    qa.validate(program, rewrite)
    assert rewrite.certificates is not None
    assert rewrite.certificates.recheck(exact=True) == []


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("n", "k"), [(12, 1), (12, 11), (7, 2), (5, 3), (6, 2), (5, 2), (3, 2)])
def test_longer_rows(form: str, n: int, k: int) -> None:
    generator = np.random.default_rng(n * k)
    costs = generator.normal(size=n).round(3).tolist()
    for pairs in ({}, {(0, n - 1): 1.5, (1, 2): -0.75}):
        program = row(costs, k, pairs)
        rewrite = qa.InsertPenalties(cardinality=form).apply(program)
        if len(rewrite.program) > 12:
            continue
        qa.validate(program, rewrite)
        best = enumeration.optimum(program)
        for state in enumeration.ground_states(rewrite.program):
            point = tuple(rewrite.lift.lift([state])[0].astype(int).tolist())
            assert enumeration.holds(program, point)
            assert enumeration.energy(program, point) == pytest.approx(best, abs=1e-8)


def bits(count: int) -> np.ndarray:
    return ((np.arange(1 << count)[:, None] >> np.arange(count)) & 1).astype(float)


@pytest.mark.parametrize(("n", "k"), [(n, k) for n in range(2, 9) for k in range(1, n)])
def test_a_grid_has_one_state_per_selection(n: int, k: int) -> None:
    grid = grid_of(n, k)
    if grid.size > 15:
        return
    points = bits(grid.size)
    keys = np.tile(grid.constant, (len(points), 1))
    for key, bit, sign in zip(grid.key, grid.bit, grid.sign, strict=True):
        keys[:, key] += sign * points[:, bit]
    broken = (points[:, grid.lower] > points[:, grid.upper]).sum(axis=1)
    found = sorted(map(tuple, keys[broken == 0].astype(int).tolist()))
    assert found == sorted(p for p in product((0, 1), repeat=n) if sum(p) == k)
    # What the certificate rests on: units outside 0 and 1, and how far keys go at most.
    outside = np.maximum(keys - 1, 0).sum(axis=1) + np.maximum(-keys, 0).sum(axis=1)
    assert (outside <= broken).all()
    assert (keys.max(axis=0) == grid.most).all()
    assert (keys.min(axis=0) == grid.least).all()


@pytest.mark.parametrize(("n", "k"), [(n, k) for n in range(2, 8) for k in range(1, n)])
def test_a_network_reaches_every_selection_and_no_other(n: int, k: int) -> None:
    network = network_of(n, k)
    if n + network.size > 16:
        return
    points = bits(n + network.size)
    for r, rhs in enumerate(network.rhs):
        entries = slice(network.ptr[r], network.ptr[r + 1])
        sums = points[:, network.var[entries]] @ network.coef[entries]
        points = points[sums == rhs]
    found = {tuple(point[:n].astype(int)) for point in points}
    assert len(found) == comb(n, k)
    assert {sum(selection) for selection in found} == {k}


@pytest.mark.parametrize(("n", "k"), [(9, 1), (7, 2), (7, 3)])
def test_wall_weights_against_the_least_that_serve(
    n: int, k: int, smollm2: dict[str, np.ndarray]
) -> None:
    grid = grid_of(n, k)
    points = bits(grid.size)
    matrix = np.zeros((n, grid.size))
    np.add.at(matrix, (grid.key, grid.bit), grid.sign)
    keys = points @ matrix.T + grid.constant
    broken = (points[:, grid.lower] > points[:, grid.upper]).sum(axis=1)
    ratios = []
    for logits in smollm2["scores"][:, -1, :n].astype(float):
        energies = keys @ -logits
        gap = energies[broken == 0].min() - energies[broken > 0]
        needed = max(float((gap / broken[broken > 0]).max()), 0.0)
        program = row((-logits).tolist(), k)
        found = certify(program, np.array([0]), np.zeros(1), form=np.array([Cardinality.GRID]))
        assert found.weight[0] >= needed - 1e-9
        ratios.append(found.weight[0] / needed)
    assert np.median(ratios) < (1.001 if k == 1 else 1.5)


def test_a_wrong_wall_weight_is_found_out() -> None:
    rewrite = qa.InsertPenalties(cardinality="grid").apply(row([3.0, -1.0, 4.0, -2.0, 0.0], 2))
    found = rewrite.certificates
    assert found.recheck() == []
    found.weight.setflags(write=True)
    found.weight[0] *= 0.9
    assert found.recheck() == ["pick[0,0]"]


@pytest.mark.parametrize("k", [1, 2, 3])
def test_auto_depends_on_structure_alone(k: int) -> None:
    generator = np.random.default_rng(k)
    scores = generator.normal(size=(2, 3, 16))
    mixed = [qa.Head(objective="hard"), qa.Head(objective="selection")]
    grid = cheapest(16, k, "zephyr")[0] is Cardinality.GRID
    for values in (scores, 10 * scores[:, ::-1], np.ones_like(scores)):
        compiled = qa.compile(values, mixed, select=qa.ExactlyK(k), target=None)
        v = compiled.program.variables
        assert (v.role[v.head == 0] == (Role.ANCILLA if grid else Role.SELECT)).all()
        assert (v.role[v.head == 1] == Role.SELECT).all()


@pytest.mark.parametrize(
    ("n", "k", "cold", "warm"),
    [
        (16, 1, Cardinality.GRID, Cardinality.GRID),
        (16, 4, Cardinality.DENSE, Cardinality.DENSE),
        # Half the qubits, but few reads are the optimum.
        (48, 2, Cardinality.GRID, Cardinality.DENSE),
        # An eighth of the qubits, but one read in three breaks a wall.
        (96, 1, Cardinality.GRID, Cardinality.DENSE),
    ],
)
def test_a_warm_machine_decides_by_what_it_returns(
    n: int, k: int, cold: Cardinality, warm: Cardinality
) -> None:
    assert cheapest(n, k, "zephyr")[0] is cold
    form, reason = cheapest(n, k, "zephyr", 0.115)
    assert form is warm
    assert reason.count("reads feasible") == 2
    costs = np.random.default_rng(n).normal(size=n).round(3).tolist()
    for temperature, expected in ((None, cold), (0.115, warm)):
        prices = qa.InsertPenalties(cardinality="auto", temperature=temperature)
        rewrite = prices.apply(row(costs, k))
        size = n if expected is Cardinality.DENSE else k * (n - k)
        assert len(rewrite.program) == size
        assert f"1 row as {expected.name.lower()}, e.g. {k} of {n}: " in " ".join(rewrite.notes)
    forced = qa.InsertPenalties(cardinality="grid", temperature=0.115).apply(row(costs, k))
    assert len(forced.program) == k * (n - k)
    assert " temperatures in 1 row as walls, median " in " ".join(forced.notes)


def test_walls_of_a_warm_machine_hold(minilm: dict[str, np.ndarray]) -> None:
    """Their hills are one field high: what was frozen in between them melts."""
    shares = []
    for margin in (0.05, "auto"):
        prices = qa.InsertPenalties(margin=margin, cardinality="grid", temperature=0.115)
        scores = minilm["scores"][:, :2]
        compiled = qa.compile(
            scores,
            12,
            select=qa.OneHot(),
            objective="hard",
            passes=[prices],
            target="zephyr:12",
        )
        machine = qa.SimulatedMachine(compiled.recipe.target, seed=1)
        result = compiled.solve(machine, num_reads=50, seed=1)
        shares.append(result.reads.feasible[:, :2].mean())
    assert shares[0] < 0.75
    assert shares[1] > 0.98
    assert compiled.certificates.recheck() == []


def test_the_form_of_a_row_does_not_follow_from_the_rows_beside_it() -> None:
    # The only pair term of row 0 is 0 times 1: it has none.
    scores = np.array([[[1.0, 0.0, -np.inf], [1.0, 2.0, 3.0]]])
    for rows in ([0], [0, 1]):
        compiled = qa.compile(scores[:, rows], 1, select=qa.OneHot(), target=None)
        v = compiled.program.variables
        assert (v.role[v.query == 0] == Role.ANCILLA).all()
        assert (v.role[v.query == 1] == Role.SELECT).all()


def test_unknown_forms_are_named() -> None:
    with pytest.raises(qa.InputError, match="unknown cardinality 'sparse'; one of dense, netw"):
        qa.InsertPenalties(cardinality="sparse")


@pytest.mark.parametrize(
    "rows",
    ["pick[0,0]: {} <= 2", "pick[0,0]: {} == 2\nkeep[0,0,1]: x[0,0,1] == 1"],
)
def test_bounds_and_shared_keys_stay_as_they_are(rows: str) -> None:
    text = "x[0,0,0] : 1\nx[0,0,1] : -2\nx[0,0,2] : 2\n"
    program = Program.parse(text + rows.format("x[0,0,0] + x[0,0,1] + x[0,0,2]"))
    expected = qa.InsertPenalties().apply(program).program
    for form in ("auto", *FORMS):
        assert qa.InsertPenalties(cardinality=form).apply(program).program.same(expected)


def test_domain_walls_end_to_end(minilm: dict[str, np.ndarray], cache: qa.EmbeddingCache) -> None:
    scores = minilm["scores"]
    compiled = qa.compile(
        scores, 12, select=qa.OneHot(), objective="hard", target="zephyr:12", cache=cache
    )
    assert len(compiled.program) == 120 * 9
    assert compiled.placement.chain_lengths.max() == 1
    assert [len(part.rows) for part in compiled.submissions] == [120]
    result = compiled.solve("anneal", seed=1)
    assert result.feasible.all()
    assert (result.selected.argmax(-1) == scores.argmax(-1)).mean() > 0.98
    again = compiled.rebind(scores[:, :, ::-1])
    assert again.stages[-1].rewrite.notes == ("placement taken over",)
    assert again.plan is compiled.plan
    assert again.certificates.recheck() == []


def test_broken_walls_are_infeasible_and_repaired() -> None:
    scores = np.array([[[3.0, 1.0, 2.0, 0.0]]])
    compiled = qa.compile(scores, 1, select=qa.OneHot(), objective="hard", target=None)
    (part,) = compiled.submissions
    # One, then zero, then one: two keys at once, and minus one of the key between.
    samples = dimod.SampleSet.from_samples_bqm(
        dict(zip(part.variables.tolist(), (1, 0, 1), strict=True)), part.bqm
    )
    result = compiled.decode([samples])
    assert not result.feasible.any()
    assert result.repaired.all()
    assert result.selected.sum() == 1
    marginals = compiled.decode([samples], decoder="marginals").weights
    assert marginals.min() >= 0


def test_rows_of_several_sizes_share_a_programming(cache: qa.EmbeddingCache) -> None:
    scores = np.random.default_rng(3).normal(size=(2, 9, 9))
    mask = np.tril(np.ones((9, 9), bool))
    compiled = qa.compile(
        scores, 2, select=qa.OneHot(), objective="hard", mask=mask, target="zephyr:3", cache=cache
    )
    assert len(compiled.submissions) == 1
    assert set(compiled.submissions[0].rows) == set(product(range(2), range(1, 9)))
    assert compiled.solve("anneal", seed=0).feasible.all()


def test_selections_of_the_same_size_agree() -> None:
    costs = [0.5, -1.0, 2.0, -0.25, 1.0]
    for k in range(1, 5):
        best = min(combinations(range(5), k), key=lambda keys: sum(costs[i] for i in keys))
        for form in FORMS:
            rewrite = qa.InsertPenalties(cardinality=form).apply(row(costs, k))
            if len(rewrite.program) > 12:
                continue
            states = enumeration.ground_states(rewrite.program)
            chosen = {tuple(np.flatnonzero(rewrite.lift.lift([s])[0])) for s in states}
            assert chosen == {best}
            assert len(states) == 1 or form == "network"
