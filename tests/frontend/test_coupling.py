"""Couplings across heads, against a reference that loops over heads, queries and keys."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn.frontend.coupling import Coupling
from qubo_attn.frontend.select import Select
from qubo_attn.ir.heads import cells, overlaps
from qubo_attn.ir.program import Program
from tests.support import enumeration


def naive_prices(program: Program) -> dict[tuple[int, int], float]:
    """Mean of the next best k linear coefficients less the mean of the best k, row by row."""
    v, c = program.variables, program.constraints
    rows: dict[tuple[int, int], list[float]] = {}
    for n in range(len(program)):
        row = int(v.head[n]), int(v.query[n])
        rows.setdefault(row, []).append(float(program.objective.linear[n]))
    picks = {(int(c.head[r]), int(c.query[r])): int(c.rhs[r]) for r in range(len(c))}
    prices = {}
    for row, linear in rows.items():
        k = min(picks.get(row, len(linear)), len(linear) // 2)
        linear.sort()
        prices[row] = (sum(linear[k : 2 * k]) - sum(linear[:k])) / k if k else 0.0
    return prices


def naive_energy(
    program: Program, pairs: list[tuple[int, int]], factor: float, unit: str, point: tuple[int, ...]
) -> float:
    v = program.variables
    kept = {
        (int(h), int(q), int(k)): x
        for h, q, k, x in zip(v.head, v.query, v.key, point, strict=True)
    }
    prices = naive_prices(program)
    total = 0.0
    for (h, q, k), x in kept.items():
        for g in range(12):
            if (h, g) in pairs and (g, q, k) in kept:
                price = min(prices[h, q], prices[g, q]) if unit == "exchange" else 1.0
                total += factor * price * x * kept[g, q, k]
    return total


PATH, ALL = [(0, 1), (1, 2)], list(combinations(range(3), 2))


@pytest.mark.parametrize("objective", ["selection", "output"])
@pytest.mark.parametrize(
    ("coupling", "pairs", "factor"),
    [
        (qa.Diversity(0.7), PATH, 0.7),
        (qa.Agreement(1.5, unit="energy"), PATH, -1.5),
        (qa.Diversity(2.0, pairs="all"), ALL, 2.0),
        (qa.Agreement(0.3, pairs=[(2, 0)]), [(0, 2)], -0.3),
        (qa.Diversity(1.0, groups=[(1, 2)]), [(1, 2)], 1.0),
        (qa.Diversity(0.0), PATH, 0.0),
    ],
    ids=str,
)
def test_energies(
    coupling: Coupling, pairs: list[tuple[int, int]], factor: float, objective: str
) -> None:
    generator = np.random.default_rng(5)
    scores = generator.normal(scale=2, size=(3, 1, 4))
    scores[1, 0, 2] = -np.inf
    options = {
        "select": qa.ExactlyK(2),
        "objective": objective,
        "values": generator.normal(size=(3, 4, 2)),
        "target": None,
    }
    bare = qa.compile(scores, 3, **options).stages[0].program
    coupled = qa.compile(scores, 3, coupling=coupling, **options).stages[0].program
    coupled.verify()
    for point in enumeration.points(bare):
        added = naive_energy(bare, pairs, factor, coupling.unit, point)
        expected = enumeration.energy(bare, point) + added
        assert enumeration.energy(coupled, point) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    "select", [qa.OneHot(), qa.ExactlyK(2), qa.AtMostK(1), qa.Unconstrained()], ids=str
)
@given(data=st.data())
@settings(max_examples=8)
def test_ground_states_lift_to_optima(select: Select, data: st.DataObject) -> None:
    """Whatever passes do with coupled rows, the optimum stays."""
    generator = np.random.default_rng(data.draw(st.integers(0, 100_000), label="seed"))
    strength = data.draw(st.sampled_from([0.1, 1.0, 5.0]), label="strength")
    kind = data.draw(st.sampled_from([qa.Diversity, qa.Agreement]), label="kind")
    pairs = data.draw(st.sampled_from(["path", "overlap", "all"]), label="pairs")
    scores = generator.normal(scale=2, size=(3, 1, 3))
    scores[:, 0, 1:][generator.random((3, 2)) < 0.2] = -np.inf
    compiled = qa.compile(
        scores,
        3,
        select=select,
        objective="output",
        values=generator.normal(size=(3, 3, 2)),
        coupling=kind(strength, pairs=pairs),
        passes=(qa.Sparsify(dominance=True), qa.InsertPenalties()),
        target=None,
        verify_each=True,
    )
    first, lift = compiled.stages[0].program, compiled.lift_to(0)
    best = enumeration.optimum(first)
    for state in enumeration.ground_states(compiled.program):
        point = tuple(lift.lift([state])[0].astype(int).tolist())
        assert enumeration.holds(first, point)
        assert enumeration.energy(first, point) == pytest.approx(best, abs=1e-7)


@given(st.integers(0, 100_000), st.sampled_from([qa.Diversity(2.0), qa.Agreement(2.0)]))
@settings(max_examples=25)
def test_slots_keep_their_bound_when_rows_are_coupled(seed: int, coupling: Coupling) -> None:
    generator = np.random.default_rng(seed)
    qa.compile(
        generator.normal(scale=2, size=(3, 1, 4)),
        3,
        select=qa.ExactlyK(2),
        objective="output",
        values=generator.normal(size=(3, 4, 2)),
        coupling=coupling,
        passes=(qa.Sparsify(slots=3),),
        target=None,
        verify_each=True,
    )


def share(selected: np.ndarray, pairs: list[tuple[int, int]]) -> float:
    return float(np.mean([(selected[h] & selected[g]).sum() for h, g in pairs]))


def test_real_heads_part_or_agree(smollm2: dict[str, np.ndarray]) -> None:
    options = {"objective": "output", "values": smollm2["value"], "target": None}
    pairs = [(h, h + 1) for h in range(8)]

    def solved(coupling: Coupling | None) -> tuple[float, qa.AttentionResult]:
        compiled = qa.compile(
            smollm2["scores"], 9, select=qa.ExactlyK(3), coupling=coupling, **options
        )
        result = compiled.solve("anneal", seed=1, num_reads=20)
        np.testing.assert_allclose(result.energies, naive_row_energies(compiled, result), atol=1e-8)
        assert result.feasible.all()
        return share(result.selected, pairs), result

    apart, bare, together = (solved(c)[0] for c in (qa.Diversity(1.0), None, qa.Agreement(1.0)))
    assert apart < 0.6 * bare
    assert together > 1.2 * bare


def naive_row_energies(compiled: qa.CompiledAttention, result: qa.AttentionResult) -> np.ndarray:
    """Each row's linear terms, couplers, and half of the couplers it shares with another row."""
    first = compiled.stages[0].program
    v, o = first.variables, first.objective
    rows = [(int(h), int(q)) for h, q in zip(v.head, v.query, strict=True)]
    point = result.selected[v.head, v.query, v.key].astype(float).tolist()
    energies = np.zeros(result.energies.shape)
    for row, a, x in zip(rows, o.linear.tolist(), point, strict=True):
        energies[row] += a * x
    for i, j, b in zip(o.i.tolist(), o.j.tolist(), o.bias.tolist(), strict=True):
        energies[rows[i]] += b * point[i] * point[j] / 2
        energies[rows[j]] += b * point[i] * point[j] / 2
    return energies


def test_overlap_is_a_path_through_the_most_alike(minilm: dict[str, np.ndarray]) -> None:
    compiled = qa.compile(
        minilm["scores"],
        12,
        select=qa.ExactlyK(3),
        coupling=qa.Diversity(pairs="overlap"),
        target=None,
    )
    o, v = compiled.stages[0].program.objective, compiled.stages[0].program.variables
    across = v.head[o.i] != v.head[o.j]
    ends = np.unique(np.stack([v.head[o.i[across]], v.head[o.j[across]]]), axis=1)
    assert ends.shape[1] == 11
    table = cells(v)
    likeness = overlaps(table, v.mass[table.var], np.full((12, 10), 3), range(12))
    best = max(combinations(range(12), 2), key=lambda pair: likeness[pair])
    assert list(best) in ends.T.tolist()
    assert likeness[ends[0], ends[1]].mean() > likeness[np.arange(11), np.arange(1, 12)].mean()
    assert np.bincount(ends.ravel(), minlength=12).max() == 2
    assert (v.query[o.i[across]] == v.query[o.j[across]]).all()
    assert (v.key[o.i[across]] == v.key[o.j[across]]).all()
    assert compiled.report().stages[0]["notes"][0].startswith("diversity 1 of heads ")


def test_again_saved_and_placed(tmp_path: Path, smollm2: dict[str, np.ndarray]) -> None:
    """Heads coupled by name share a component; later batches take its placement over."""
    heads = [qa.Head(couple=h // 3) for h in range(6)]
    options = {
        "select": qa.ExactlyK(2),
        "objective": "output",
        "slots": 4,
        "coupling": [qa.Diversity(0.5), qa.Agreement(0.1, unit="energy", pairs="all")],
        "target": "zephyr:3",
    }
    scores, values = smollm2["scores"][:6, 8:], smollm2["value"][:6]
    compiled = qa.compile(scores, heads, values=values, **options)
    assert {entry.groups for entry in compiled.recipe.couplings} == {((0, 1, 2), (3, 4, 5))}
    assert compiled.certificates.recheck() == []
    assert compiled.placement is not None
    assert np.bincount(compiled.placement.component).tolist() == [12] * 22
    assert compiled.solve("anneal", seed=1).feasible.all()
    compiled.save(tmp_path)
    loaded = qa.load(tmp_path)
    assert loaded.recipe.couplings == compiled.recipe.couplings
    again = compiled.rebind(scores * 0.7, values=values[::-1])
    assert again.stages[-1].rewrite.notes == ("placement taken over",)
    fresh = qa.compile(scores * 0.7, heads, values=values[::-1], **options)
    assert again.program.same(fresh.program)
    assert loaded.rebind(scores * 0.7, values=values[::-1]).program.same(fresh.program)


def test_tied_heads_count_as_one(smollm2: dict[str, np.ndarray]) -> None:
    """The couplers of a group carry the stakes of all its heads; nothing else is coupled."""
    options = {"select": qa.ExactlyK(3), "target": None}
    tie = qa.TieVariables.from_kv_head(smollm2["kv_head"])
    compiled = qa.compile(smollm2["scores"], 9, tie=tie, coupling=qa.Diversity(0.5), **options)
    tied, v = compiled.stages[1].program, compiled.stages[1].program.variables
    o = tied.objective
    across = v.head[o.i] != v.head[o.j]
    assert set(zip(v.head[o.i[across]], v.head[o.j[across]], strict=True)) == {(0, 3), (3, 6)}
    bare = qa.compile(smollm2["scores"], 9, **options).stages[0].program
    prices = naive_prices(bare)
    for i, j, bias in zip(o.i[across], o.j[across], o.bias[across], strict=True):
        q = int(v.query[i])
        stakes = [sum(prices[g, q] for g in range(h, h + 3)) for h in (v.head[i], v.head[j])]
        assert bias == pytest.approx(0.5 * min(stakes), abs=1e-9)


def test_budgets_may_be_coupled(smollm2: dict[str, np.ndarray]) -> None:
    tie = qa.TieVariables.from_kv_head(smollm2["kv_head"], queries=True)
    options = {"select": qa.Budget(4), "objective": "output", "target": None, "tie": tie}
    kept = []
    for coupling in (None, qa.Diversity(2.0)):
        compiled = qa.compile(
            smollm2["scores"], 9, values=smollm2["value"], coupling=coupling, **options
        )
        result = compiled.solve("anneal", seed=1)
        assert result.feasible.all()
        kept.append(share(result.selected.any(axis=1)[::3], [(0, 1), (1, 2)]))
    assert kept[1] < kept[0]


GOOD = np.random.default_rng(0).normal(size=(3, 2, 5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strength": -1.0}, "strength must be a finite number of at least 0, not -1.0"),
        ({"strength": np.nan}, "strength must be a finite number of at least 0, not nan"),
        ({"strength": "much"}, "strength must be a finite number of at least 0, not 'much'"),
        ({"unit": "joule"}, "unknown unit 'joule'; one of exchange, energy"),
        ({"pairs": "ring"}, "unknown pairs 'ring'; one of path, overlap, all"),
        ({"pairs": 3}, "pairs of Diversity must be one of path, overlap, all, or pairs of heads"),
        ({"pairs": [(0, 0)]}, r"needs pairs of two different heads, not \(0, 0\)"),
        ({"pairs": [(0, 1, 2)]}, "needs pairs of two different heads"),
        ({"pairs": [(0, 1), (1, 0)]}, "names heads 0 and 1 twice"),
        ({"pairs": [(0, -1)]}, "a head of Diversity must be a whole number of at least 0, not -1"),
        ({"pairs": [(0, 3)]}, "Diversity names head 3, but there are 3"),
        ({"pairs": [(0, 1)], "groups": [(0, 1)]}, "give pairs of heads or groups to Diversity"),
        ({"groups": [(0, 1), (1, 2)]}, "head 1 stands in two groups of Diversity"),
        ({"groups": [(0,)]}, "has a group of less than two heads"),
        ({"groups": [(1, 4)]}, "Diversity names head 4, but there are 3"),
    ],
)
def test_bad_couplings_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(qa.InputError, match=message):
        qa.compile(GOOD, 3, coupling=qa.Diversity(**options), target=None)


def test_couplings_that_do_not_fit_the_heads() -> None:
    def fails(
        message: str, heads: object = 3, scores: np.ndarray = GOOD, **options: object
    ) -> None:
        with pytest.raises(qa.InputError, match=message):
            qa.compile(scores, heads, target=None, **options)

    fails("coupling must be qubo_attn.Diversity or Agreement, not 0.5", coupling=[0.5])
    fails("couples heads, but there is only one", 1, GOOD[:1], coupling=qa.Agreement())
    soft = [qa.Head(), qa.Head(select=qa.SoftWeights(3), objective="sparsemax"), qa.Head()]
    fails("Diversity couples head 1, which gives out soft weights", soft, coupling=qa.Diversity())
    named = [qa.Head(couple="a"), qa.Head(couple="a"), qa.Head()]
    fails("Head.couple=. needs coupling=", named)
    fails(
        "give heads to Agreement or Head.couple=., not both",
        named,
        coupling=qa.Agreement(pairs=[(0, 1)]),
    )
    fails(
        "group of less than two heads", [qa.Head(couple="a"), *soft[::2]], coupling=qa.Diversity()
    )
    tie = qa.TieVariables(groups=((0, 2),))
    fails("heads 0 and 2 are tied", coupling=qa.Diversity(pairs=[(0, 2)]), tie=tie)


def test_heads_that_may_be_coupled_beside_soft_ones() -> None:
    heads = [qa.Head(), qa.Head(select=qa.SoftWeights(3), objective="sparsemax"), qa.Head()]
    coupled = qa.compile(GOOD, heads, coupling=qa.Diversity(pairs=[(0, 2)]), target=None)
    assert "diversity 1 of heads 0-2: 10 couplers" in str(coupled.report())


def test_heads_that_see_nothing_or_nothing_in_common() -> None:
    scores = GOOD.copy()
    scores[2] = -np.inf
    scores[0, :, :2], scores[1, :, 2:] = -np.inf, -np.inf
    for coupling in (qa.Diversity(), qa.Diversity(pairs="overlap"), qa.Agreement(pairs="all")):
        coupled = qa.compile(scores, 3, select=qa.OneHot(), coupling=coupling, target=None)
        bare = qa.compile(scores, 3, select=qa.OneHot(), target=None)
        assert coupled.program.same(bare.program)
    empty = np.full((3, 2, 5), -np.inf)
    assert qa.compile(empty, 3, coupling=qa.Diversity(), target=None).solve().empty.all()
