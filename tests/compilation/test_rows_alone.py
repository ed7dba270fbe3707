"""A row compiled alone and beside rows of any scale: the same bytes, and the same attention."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import dimod
import numpy as np
import pytest

import qubo_attn as qa
from qubo_attn.ir.program import Program
from qubo_attn.pipeline.promises import every_point

Array = np.ndarray

SELECTS = (qa.ExactlyK(2), qa.ExactlyK(4), qa.AtMostK(2), qa.OneHot(), qa.Unconstrained())
SOFT_SELECTS = (qa.SoftWeights(3), qa.SoftWeights(1), qa.SoftWeights(4, scale="unit"))
OBJECTIVES = (qa.Hard(), qa.Boltzmann(), qa.Selection(), qa.Redundancy(), qa.Output())
SOFT = (qa.LeastSquares(), qa.LeastSquares(of="output"), qa.Sparsemax())
PAIRS: list[tuple[Any, Any]] = [
    *((objective, select) for objective in OBJECTIVES for select in SELECTS),
    *((objective, select) for objective in SOFT for select in SOFT_SELECTS),
    (qa.Output(), qa.SoftWeights(3, k=2)),
]

LOSSY = "sparsify{nucleus=0.9, dominance=True},drop-couplers,compress,insert-penalties"
PIPELINES: list[dict[str, Any]] = [
    {},
    {"slots": None},
    {"passes": f"{LOSSY},binarize-weights"},
    {"passes": "insert-penalties{cardinality=grid},binarize-weights"},
]


class Call(NamedTuple):
    """What is compiled: scores of shape (H, Q, K), vectors of shape (H, K, d)."""

    scores: Array
    values: Array
    keys: Array

    @classmethod
    def drawn(cls, seed: int) -> Call:
        """Draw rows of scales from 1e-150 to 1e150, some of equal logits, some with hidden keys.

        Keys far below a row's largest logit are hidden, so large logits are equal; of values and
        key vectors every size is told apart.
        """
        generator = np.random.default_rng(seed)
        heads, queries, keys = 2, 3, (5, 9, 20)[seed % 3]
        powers = (-150, -80, -10, 0, 0, 3, 80, 150)
        power = generator.choice(powers, size=(heads, queries, 1))
        scores = generator.normal(size=(heads, queries, keys))
        scores = np.where(power > 3, np.abs(scores).max(axis=-1, keepdims=True), scores)
        scores = scores * 10.0**power
        scores[0, 0] = 0.0
        if seed % 2:
            scores[generator.random(scores.shape) < 0.3] = -np.inf
        sizes = 10.0 ** generator.choice(powers, size=(2, heads, 1, 1))
        return cls(scores, *(generator.normal(size=(2, heads, keys, 3)) * sizes))

    def compiled(self, heads: int | list[qa.Head], **options: Any) -> qa.CompiledAttention:
        return qa.compile(
            self.scores, heads, values=self.values, keys=self.keys, target=None, **options
        )

    def row(self, head: int, query: int) -> Call:
        own = slice(head, head + 1)
        return Call(self.scores[own, query : query + 1], self.values[own], self.keys[own])


def columns(program: Program, head: int, query: int) -> dict[str, Any]:
    """Return everything about one row, whose variables are numbered from 0."""
    v, o, c = program.variables, program.objective, program.constraints
    index = np.flatnonzero((v.head == head) & (v.query == query))
    place = np.full(len(v), -1)
    place[index] = np.arange(len(index))
    inside = (place[o.i] >= 0) & (place[o.j] >= 0)
    found: dict[str, Any] = {
        name: getattr(v, name)[index].tobytes() for name in ("key", "bit", "upper", "role", "mass")
    }
    found["linear"] = o.linear[index].tobytes()
    found["couplers"] = [place[o.i[inside]].tolist(), place[o.j[inside]].tolist()]
    found["bias"] = o.bias[inside].tobytes()
    rows = np.flatnonzero(place[c.var[c.ptr[:-1]]] >= 0)
    for r in rows.tolist():
        entries = slice(c.ptr[r], c.ptr[r + 1])
        numbers = (c.coef[entries], c.rhs[[r]], c.weight[[r]], c.slope[[r]])
        text = (int(c.kind[r]), int(c.key[r]), int(c.bit[r]), int(c.sense[r]))
        found[f"{text}"] = (
            place[c.var[entries]].tolist(),
            [column.tobytes() for column in numbers],
        )
    return found


def same_rows(together: qa.CompiledAttention, alone: list[list[qa.CompiledAttention]]) -> None:
    for head, rows in enumerate(alone):
        for query, row in enumerate(rows):
            specs = [[stage.spec for stage in made.stages[1:]] for made in (together, row)]
            assert specs[0] == specs[1]
            for ours, theirs in zip(together.stages, row.stages, strict=True):
                assert columns(ours.program, head, query) == columns(theirs.program, 0, 0), (
                    head,
                    query,
                    ours.spec,
                )


@pytest.mark.parametrize("options", PIPELINES, ids=["default", "all-keys", "lossy", "grid"])
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair[0].name}-{pair[1]}")
def test_every_coefficient_and_price_is_the_row_s_own(
    pair: tuple[Any, Any], options: dict[str, Any]
) -> None:
    kind = dict(zip(("objective", "select"), pair, strict=True)) | options
    for seed in (0, 1, 2):
        call = Call.drawn(seed)
        alone = [[call.row(h, q).compiled(1, **kind) for q in range(3)] for h in range(2)]
        same_rows(call.compiled(2, **kind), alone)


@pytest.mark.parametrize("seed", range(30))
def test_heads_do_not_feel_what_other_heads_ask_for(seed: int) -> None:
    generator = np.random.default_rng(seed)
    encoding = ("auto", "binary", "unary", "domain-wall")[seed % 4]
    call = Call.drawn(seed)
    heads = []
    for number in generator.integers(len(PAIRS), size=2):
        objective, select = PAIRS[number]
        if isinstance(select, qa.SoftWeights):
            select = replace(select, encoding=encoding)
        heads.append(qa.Head(objective=objective, select=select))
    # The encoding of a call is that of its soft heads, as is its number of slots.
    soft = any(isinstance(head.select, qa.SoftWeights) for head in heads)
    passes = ("sparsify{slots=6}", "insert-penalties{cardinality=auto}", "binarize-weights")
    options = {"passes": (*passes[:2], f"{passes[2]}{{encoding={encoding if soft else 'auto'}}}")}
    alone = [[call.row(h, q).compiled([heads[h]], **options) for q in range(3)] for h in range(2)]
    same_rows(call.compiled(heads, **options), alone)


def reads_of(compiled: qa.CompiledAttention, bits: Array) -> list[dimod.SampleSet]:
    """Return sample sets in which every variable of the program has its column of ``bits``."""
    return [
        dimod.SampleSet.from_samples_bqm((bits[:, part.variables], list(part.variables)), part.bqm)
        for part in compiled.submissions
    ]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair[0].name}-{pair[1]}")
def test_reads_are_chosen_and_mended_row_by_row(pair: tuple[Any, Any]) -> None:
    kind = dict(zip(("objective", "select"), pair, strict=True))
    for seed in (0, 1, 2, 3):
        call = Call.drawn(seed)
        together = call.compiled(2, **kind)
        bits = np.random.default_rng(seed).integers(0, 2, size=(5, len(together.program)))
        result = together.decode(reads_of(together, bits))
        v = together.program.variables
        for head, query in np.ndindex(2, 3):
            row = call.row(head, query).compiled(1, **kind)
            own = bits[:, (v.head == head) & (v.query == query)]
            alone = row.decode(reads_of(row, own))
            for name in ("selected", "weights", "feasible", "repaired", "energies"):
                ours, theirs = getattr(result, name)[head, query], getattr(alone, name)[0, 0]
                assert ours.tobytes() == theirs.tobytes(), (name, head, query)


@pytest.mark.parametrize("scales", [(1e-8, 1.0, 1e8), (1e-120, 1.0, 1e120)])
@pytest.mark.parametrize("select", [qa.ExactlyK(2), qa.SoftWeights(3, k=2)], ids=str)
def test_the_local_sampler_finds_the_best_of_every_scale(
    scales: tuple[float, ...], select: Any
) -> None:
    generator = np.random.default_rng(3)
    scores = generator.normal(size=(3, 3, 5))
    values = generator.normal(size=(3, 5, 3)) * np.array(scales)[:, None, None]
    found = qa.compile(
        scores, 3, values=values, select=select, objective="output", target=None
    ).solve("anneal", seed=1)
    for head, query in np.ndindex(3, 3):
        own = slice(head, head + 1)
        row = qa.compile(
            scores[own, query : query + 1],
            1,
            values=values[own],
            select=select,
            objective="output",
            passes=(),
            target=None,
        ).program
        points = every_point(row)
        least = row.energies(points[row.feasible(points)]).min()
        assert found.energies[head, query] + row.objective.offset == pytest.approx(least, rel=1e-9)


def test_a_row_of_large_numbers_takes_no_digits_from_the_next() -> None:
    # Sparsemax of the second row is (3/4, 1/4, 0): four levels in all give its largest three.
    for first in ([1e17, 1e17, 1e17], [0.0, -8000.0, -8999.0], [-1e150, -1e150, -1e150]):
        compiled = qa.compile(
            [[first, [1.0, 0.5, 0.2]]],
            1,
            select=qa.SoftWeights(3),
            objective="sparsemax",
            target=None,
        )
        assert compiled.stages[0].program.constraints.rhs[1] == 4
        weights = compiled.solve("anneal", seed=1).weights[0, 1]
        np.testing.assert_array_equal(weights, [0.75, 0.25, 0.0])


def test_the_nucleus_of_a_row_is_its_own() -> None:
    # Without a mass of their own, keys are ranked by their gain, which has any scale.
    large = "".join(f"x[0,0,{key}] : -1e17\n" for key in range(3))
    small = "x[0,1,0] : -0.6\nx[0,1,1] : -0.3\nx[0,1,2] : -0.1\n"
    picks = [f"pick[0,{q}]: x[0,{q},0] + x[0,{q},1] + x[0,{q},2] == 1\n" for q in range(2)]
    nucleus = qa.Sparsify(nucleus=0.8, sizes=())
    both = nucleus.apply(Program.parse(large + small + "".join(picks))).program
    alone = nucleus.apply(Program.parse(small + picks[1])).program
    assert len(alone) == 2
    assert (both.variables.query == 1).sum() == 2


def test_rows_too_short_for_levels_are_weighed_alike_beside_longer_ones() -> None:
    generator = np.random.default_rng(21)
    for seed in range(20):
        scores, values = generator.normal(size=(1, 2, 6)), generator.normal(size=(1, 6, 3))
        scores[0, 0, 2:] = -np.inf
        call = Call(scores, values, values)
        what = {"objective": "output", "select": qa.SoftWeights(3, k=2), "passes": ()}
        together, alone = call.compiled(1, **what), call.row(0, 0).compiled(1, **what)
        assert columns(together.program, 0, 0) == columns(alone.program, 0, 0), seed


def test_values_of_keys_that_a_row_does_not_see_take_no_digits_from_it() -> None:
    """A causal row of values of one size, before a key whose values are far larger."""
    scores = np.array([[[0.5, 0.25, -np.inf], [0.5, 0.25, 0.0]]])
    values = np.array([[[1.0, 0.5], [-0.25, 1.0], [1e8, -1e8]]])
    options = {"select": qa.OneHot(), "objective": "output", "target": None}
    together = qa.compile(scores, 1, values=values, **options)
    alone = qa.compile(scores[:, :1], 1, values=values, **options)
    short = qa.compile(scores[:, :1, :2], 1, values=values[:, :2], **options)
    program, first = together.stages[0].program, alone.stages[0].program
    assert np.array_equal(program.objective.linear[:2], first.objective.linear)
    assert program.objective.bias[0] == first.objective.bias[0]
    plain = short.stages[0].program.objective
    assert program.objective.linear[:2] == pytest.approx(plain.linear, rel=1e-14)
    assert program.objective.bias[0] == pytest.approx(plain.bias[0], rel=1e-14)
