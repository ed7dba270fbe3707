"""Prices that float64 can carry: ground states of priced programs against the true objective."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest

import qubo_attn as qa
from qubo_attn.formulations.carried import MOST_LOST

GAPS = (0, -1, -5, -20, -36, -37, -40, -100, -370, -700, -745, -1000)


def points_of(uppers: np.ndarray) -> np.ndarray:
    return np.array(list(product(*(range(int(u) + 1) for u in uppers))), dtype=np.longdouble)


def ground_states(program: qa.Program) -> np.ndarray:
    """All points of least energy of what is sampled, by its own float64 coefficients."""
    form, points = program.total(), points_of(program.variables.upper)
    energies = points @ form.linear.astype(np.longdouble)
    for i, j, bias in zip(form.i, form.j, form.bias, strict=True):
        energies += np.longdouble(bias) * points[:, i] * points[:, j]
    states: np.ndarray = points[energies == energies.min()].astype(float)
    return states


def soft_errors(
    logits: np.ndarray, values: np.ndarray, k: int, levels: int
) -> dict[tuple[int, ...], float]:
    """Least squared error of the output for each selection of k keys, over all their levels."""
    mass = np.exp(logits.astype(np.longdouble))
    mass /= mass.sum()
    n, centred = len(logits), values - values.mean(axis=0)
    heavy = np.sort(mass)[::-1][:k].sum()
    step = np.longdouble(2) / (levels + 1) * np.minimum((1 - heavy) / k, mass)
    base = mass - (3 * levels // 7) * step
    errors: dict[tuple[int, ...], float] = {}
    for chosen in combinations(range(n), k):
        for level in product(range(levels + 1), repeat=k):
            weight = np.zeros(n, np.longdouble)
            for i, x in zip(chosen, level, strict=True):
                weight[i] = base[i] + step[i] * x
            error = (mass - weight) @ centred
            errors[chosen] = min(errors.get(chosen, np.inf), float(error @ error))
    return errors


def test_a_key_with_all_the_mass_is_selected() -> None:
    compiled = qa.compile(
        [[0.0, -40]],
        1,
        select=qa.SoftWeights(3, k=1),
        objective="output",
        values=[[[1.0, 1], [-1, 0]]],
        target=None,
    )
    for seed in range(4):
        result = compiled.solve("anneal", seed=seed)
        assert result.selected[0, 0].tolist() == [True, False]
        assert result.weights[0, 0].tolist() == [1.0, 0.0]
        np.testing.assert_allclose(result.context[0, 0], [1, 1], atol=1e-12)
        assert result.energies[0, 0] == pytest.approx(-1.25)
    # Twice the largest difference of energies, not a power of ten beyond them.
    assert compiled.program.constraints.weight.max(initial=0.0) < 2.5
    assert 0 <= compiled.bound < 1e-15


@pytest.mark.parametrize("gap", GAPS)
@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("levels", [1, 3])
def test_leveled_rows_at_every_gap(gap: float, k: int, levels: int) -> None:
    generator = np.random.default_rng(levels)
    for keys, equal in ((2, False), (3, False), (3, True)):
        if keys <= k:
            continue
        logits = np.array([0.0, gap, gap if equal else gap / 3])[:keys]
        for values in (np.array([[1.0, 1], [-1, 0], [0.3, 2]]), generator.normal(size=(3, 2))):
            compiled = qa.compile(
                logits[None],
                1,
                select=qa.SoftWeights(levels, k=k),
                objective="output",
                values=values[None, :keys],
                target=None,
            )
            errors = soft_errors(logits, values[:keys], k, levels)
            span = max(errors.values())
            lifted = compiled.lift_to(0).lift(ground_states(compiled.program))
            assert compiled.stages[0].program.feasible(lifted).all()
            for point in lifted:
                chosen = tuple(np.flatnonzero(point[:keys]).tolist())
                assert errors[chosen] <= min(errors.values()) + 1e-9 * span + compiled.bound
            weight = compiled.program.constraints.weight
            assert (
                weight.max(initial=0.0)
                <= 1e4 * np.abs(compiled.stages[0].program.objective.linear).sum()
            )


SELECTS = (qa.ExactlyK(1), qa.ExactlyK(2), qa.AtMostK(1), qa.AtMostK(2), qa.OneHot())


@pytest.mark.parametrize("scale", [1e-150, 1e-20, 1.0, 1e20, 1e75, 1e150])
@pytest.mark.parametrize("objective", ["hard", "selection", "redundancy", "output"])
def test_counts_at_every_scale(scale: float, objective: str) -> None:
    """Each row is priced at its own scale; a ground state is a best feasible point."""
    generator = np.random.default_rng(7)
    for gap, select in product((-1.0, -40.0), SELECTS):
        sized = scale if objective in ("hard", "selection") else 1.0
        logits = sized * np.array([[0, gap, gap / 3, gap]])
        values = generator.normal(size=(1, 4, 2)) * (scale if objective == "output" else 1.0)
        options = {"values": values, "keys": generator.normal(size=(1, 4, 2)), "target": None}
        for at_most, cardinality in product(("unary", "binary"), ("dense", "network", "grid")):
            compiled = qa.compile(
                logits,
                1,
                select=select,
                objective=objective,
                passes=(qa.InsertPenalties(at_most=at_most, cardinality=cardinality),),
                **options,
            )
            first = compiled.stages[0].program
            points = points_of(first.variables.upper).astype(float)
            points = points[first.feasible(points)]
            energies = first.energies(points)
            lifted = compiled.lift_to(0).lift(ground_states(compiled.program))
            assert first.feasible(lifted).all()
            reached = first.energies(lifted)
            assert (reached <= energies.min() + 1e-9 * np.ptp(energies)).all()


def test_steps_that_cost_nothing_get_a_margin_of_the_rows_own_scale() -> None:
    """The cheapest two of these keys cost the same, so steps of either direction cost nothing."""
    for scale in (1e-20, 1.0, 1e20):
        text = "\n".join(f"x[0,0,{i}] : {scale * cost!r}" for i, cost in enumerate((0, 0, 5, 7)))
        row = " + ".join(f"x[0,0,{i}]" for i in range(4))
        program = qa.Program.parse(f"{text}\npick[0,0]: {row} == 1")
        priced = qa.InsertPenalties().apply(program)
        assert priced.program.constraints.weight[0] == pytest.approx(scale * 0.05 * 3, rel=1e-6)


def test_a_margin_below_rounding_is_raised() -> None:
    program = qa.Program.parse(
        "x[0,0,0] : -1.25\nx[0,0,1] : 1e-17\nx[0,0,2] : 1e-17\nx[0,0,1] * x[0,0,2] : 1e-17\n"
        "pick[0,0]: x[0,0,0] + x[0,0,1] + x[0,0,2] == 2"
    )
    rewrite = qa.InsertPenalties().apply(program)
    assert rewrite.margin > 1.25 * np.finfo(float).eps
    assert rewrite.certificates is not None
    assert rewrite.certificates.margin[0] == rewrite.margin
    total, points = rewrite.program.total(), points_of(np.ones(3))
    energies = total.energies(points.astype(float))
    kept = points.sum(axis=1) == 2
    assert energies[kept].min() < energies[~kept].min()


def test_a_weight_that_drowns_the_objective_is_refused() -> None:
    with pytest.raises(
        qa.PassError, match=r"pick\[0,0\] \(head 0, query 0\): at weight 2.5e\+14"
    ) as e:
        qa.compile(
            [[0.0, -1.0]],
            1,
            select=qa.OneHot(),
            objective="hard",
            passes=(qa.InsertPenalties(margin=5e14),),
            target=None,
        )
    assert (e.value.head, e.value.query) == (0, 0)
    assert MOST_LOST == 1e-6


@pytest.mark.parametrize("tiny", [1e-150, 1e-20, 1e-9])
@pytest.mark.parametrize("at_most", ["unary", "binary"])
@pytest.mark.parametrize("select", [qa.ExactlyK(1), qa.AtMostK(1)])
def test_a_tiny_row_joined_to_a_large_one_is_feasible(
    tiny: float, at_most: str, select: qa.ExactlyK | qa.AtMostK
) -> None:
    """Both rows are sampled as one sum, whose rounding is far above the tiny row's own margin."""
    compiled = qa.compile(
        np.array([[[0, 0, 0, 0.25]], [[0, -tiny, -tiny, -tiny]]]),
        2,
        select=select,
        objective="hard",
        passes=(
            qa.TieVariables(((0, 1),), strength=0.5),
            qa.InsertPenalties(at_most=at_most),
        ),
        target=None,
    )
    total = compiled.program.total()
    points = points_of(compiled.program.variables.upper).astype(float)
    energies = points @ total.linear
    size = np.abs(points) @ np.abs(total.linear)
    for i, j, bias in zip(total.i, total.j, total.bias, strict=True):
        energies += bias * points[:, i] * points[:, j]
        size += abs(bias) * points[:, i] * points[:, j]
    # Whatever rounding may take for the least.
    best = points[energies - energies.min() <= 4e-16 * (size + size[energies.argmin()])]
    assert compiled.stages[0].program.feasible(compiled.lift_to(0).lift(best)).all()
    assert compiled.certificates.recheck(exact=True) == []


def test_walls_of_a_row_that_joins_scales_have_a_margin_above_rounding() -> None:
    compiled = qa.compile(
        np.array([[[0.0], [0]], [[0.0], [0.25]], [[-1e20], [0]]]),
        3,
        select=qa.Budget(1, "all"),
        objective="hard",
        passes=(qa.InsertPenalties(cardinality="grid"),),
        target=None,
    )
    assert compiled.certificates.margin[0] > 8 * np.finfo(float).eps * 1e20
    assert compiled.certificates.recheck(exact=True) == []


def test_a_tiny_row_joined_to_variables_without_a_constraint_is_feasible() -> None:
    """The second row sees two keys and may keep two, so nothing constrains it."""
    compiled = qa.compile(
        np.array([[[0.0, 0.0, 1e-150]], [[0.0, 0.0, 0.25]]]),
        2,
        mask=[[[True, True, True]], [[True, False, True]]],
        select=qa.AtMostK(2),
        objective="hard",
        tie=qa.TieVariables(((0, 1),), strength=0.5),
        target=None,
    )
    assert compiled.certificates.margin[0] > 0.25 * np.finfo(float).eps
