"""Random attention problems, in plain lists, and the arguments of `qubo_attn.compile` for them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from hypothesis import strategies as st

import qubo_attn as qa
from tests.support import oracle
from tests.support.oracle import Objective, Problem, Select

FAMILIES = (
    "selection",
    "redundancy",
    "output",
    "leveled",
    "hard",
    "boltzmann",
    "sparsemax",
    "weights",
    "outputs",
    "mixed",
)
HARD = ("selection", "redundancy", "output", "hard", "boltzmann")
ENCODINGS = ("binary", "bounded", "arithmetic", "unary", "domain-wall", "one-hot", "one-hot")
HIDDEN = (-math.inf, -1e4, -1e9, oracle.LOWEST["float32"])


@dataclass(frozen=True)
class Case:
    """A problem, how it is compiled, and what else is tried with it.

    Attributes:
        passes: in place of the default ones; None for these.
        encoding: of soft weights, asked for by the selects.
        slots: of the default passes.
        target: machines without a structure, or none.
        softly: heads tied softly, neighbours by the problem's couplings.
        also: ``"save"``, ``"rebind"``, ``"alone"`` or ``"repair"``: what is checked besides.
        seed: of random reads.
    """

    problem: Problem
    passes: tuple[Any, ...] | None = None
    encoding: str = "auto"
    slots: int | str | None = "auto"
    target: str | None = None
    softly: tuple[int, ...] = ()
    also: str = ""
    seed: int = 0


# -- drawing --------------------------------------------------------------------------------------


@st.composite
def cases(draw: st.DrawFn, family: str) -> Case:
    """Draw a problem of a family with all that a call may say."""
    problem = draw(problems(family))
    soft = any(select.name in ("soft", "leveled") for select in problem.selects)
    encoding = draw(st.sampled_from(ENCODINGS)) if soft and draw(st.booleans()) else "auto"
    softly: tuple[int, ...] = ()
    alone = not any(select.name == "budget" for select in problem.selects)
    if family in HARD and len(problem.scores) > 1 and alone and draw(rarely):
        problem, softly = draw(joint(problem))
    passes = draw(orders(problem, encoding, soft, softly)) if draw(st.booleans()) else None
    slots = draw(st.sampled_from(("auto", "auto", None, 2, 3))) if passes is None else "auto"
    target = "all-to-all" if draw(seldom) else None
    also = draw(st.sampled_from(("save", "repair", "rebind", "alone")))
    seed = draw(st.integers(0, 3)) if also == "repair" else 0
    return Case(problem, passes, encoding, slots, target, softly, also, seed)


rarely = st.integers(0, 3).map(lambda n: n == 3)
seldom = st.integers(0, 9).map(lambda n: n == 9)


@st.composite
def problems(draw: st.DrawFn, family: str) -> Problem:
    heads, queries = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    kinds = [family] * heads
    if family == "mixed":
        kinds = draw(st.lists(st.sampled_from(FAMILIES[:-1]), min_size=heads, max_size=heads))
    groups: tuple[tuple[int, ...], ...] = ()
    if family != "mixed" and heads > 1 and draw(rarely):
        groups = draw(st.sampled_from((((0, 1),), (tuple(range(heads)),))))
    tied_queries = family != "mixed" and queries > 1 and draw(rarely)
    options = [draw(options_of(kind)) for kind in kinds]
    if family != "mixed":
        options = [options[0]] * heads
    budget = any(select.name == "budget" for _, select in options)
    wide = any(select.name in ("soft", "leveled") for _, select in options)
    # A budget joins rows, which are enumerated together.
    joined = max(heads * queries if budget else 1, 1)
    most = max(8 // joined, 1) if joined > 1 else 4 if wide else 5
    keys = draw(st.sampled_from((*range(2, most + 1), 1, most)))
    dtype = draw(st.sampled_from(("float64",) * 4 + ("float32", "float16")))
    shape = heads, queries, keys
    scores = [
        [draw(rows(keys, dtype, "leveled" in kinds)) for _ in range(queries)] for _ in range(heads)
    ]
    problem = Problem(
        scores,
        tuple(objective for objective, _ in options),
        tuple(select for _, select in options),
        dtype=dtype,
        groups=groups,
        queries=tied_queries,
    )
    if "boltzmann" in kinds and draw(st.booleans()):
        problem = replace(problem, objectives=draw(coupled(problem.objectives, keys)))
    alike = bool(groups or tied_queries) and draw(st.integers(0, 9)) > 0
    problem = draw(masks(problem, alike))
    needs = {o.name if o.name != "least_squares" else o.of for o in problem.objectives}
    owners = heads
    if heads > 1 and draw(rarely):
        kv_head = draw(st.sampled_from(((0,) * heads, (*range(heads - 1), 0))))
        problem, owners = replace(problem, kv_head=kv_head), max(kv_head) + 1
    for name, wanted in (("values", "output" in needs), ("keys", "redundancy" in needs)):
        if draw(seldom) != wanted:
            vectors = [draw(vectors_of(keys)) for _ in range(owners)]
            problem = replace(problem, **{name: vectors})
    problem = draw(spoiled(problem))
    if draw(rarely):
        problem = replace(problem, required=draw(flags(shape, 5)))
    # What is left of an upper bound is the question where few keys are.
    bounded = any(select.name == "at-most" for select in problem.selects)
    if draw(st.booleans() if bounded else rarely):
        problem = replace(problem, forbidden=draw(flags(shape, 2 if bounded else 5)))
    return problem


@st.composite
def joint(draw: st.DrawFn, problem: Problem) -> tuple[Problem, tuple[int, ...]]:
    """Draw what heads pay each other, or a soft tie of them."""
    heads, _, keys = problem.shape
    slack = problem.selects[0].k if problem.selects[0].name == "at-most" else 0
    # Coupled rows are enumerated together.
    if heads * (keys + slack) > 16:
        return problem, ()
    strength = draw(st.sampled_from((0.5, 1.0, 3.0)))
    if not problem.groups and not problem.queries and draw(st.booleans()):
        tie = oracle.Coupling("differ", strength, tuple(pairwise(range(heads))))
        return replace(problem, couplings=(tie,)), tuple(range(heads))
    followers = {h for group in problem.groups for h in group[1:]}
    leads = [h for h in range(heads) if h not in followers]
    pairs = draw(st.sampled_from((tuple(pairwise(leads)), tuple(combinations(leads, 2)))))
    if not pairs:
        return problem, ()
    sign, unit = draw(st.sampled_from((1, -1))), draw(st.sampled_from(("exchange", "energy")))
    coupling = oracle.Coupling("shared", sign * strength, pairs, unit)
    return replace(problem, couplings=(coupling,)), ()


@st.composite
def options_of(draw: st.DrawFn, family: str) -> tuple[Objective, Select]:
    """Draw an objective and a select that go with each other, most of the time."""
    k = draw(st.integers(1, 3))
    hard = st.sampled_from(
        (
            Select("exactly", k),
            Select("exactly", k),
            Select("one-hot"),
            Select("at-most", k),
            Select("at-most", k),
            Select("free"),
            Select("budget", k),
            Select("budget", k, over="all"),
        )
    )
    levels = draw(st.integers(1, 3))
    scale = draw(st.sampled_from(("row-max", "row-max", "unit")))
    soft = st.just(Select("soft", levels=levels, scale=scale))
    if family == "leveled":
        return Objective("output"), Select("leveled", k, levels)
    if family == "sparsemax":
        return Objective("sparsemax"), draw(soft)
    if family in ("weights", "outputs"):
        of = "weights" if family == "weights" else "output"
        return Objective("least_squares", of=of), draw(soft)
    alpha = draw(st.sampled_from((0.01, 0.01, 0.0, 0.5)))
    strength = draw(st.sampled_from((1.0, 1.0, 0.0, 2.5)))
    select = draw(soft if draw(st.integers(0, 30)) == 30 else hard)
    return Objective(family, alpha=alpha, strength=strength), select


@st.composite
def coupled(draw: st.DrawFn, objectives: tuple[Objective, ...], keys: int) -> tuple[Objective, ...]:
    """Draw couplings of keys for objectives that are sampled."""
    half = draw(_nested((keys, keys), st.integers(-2, 2).map(float)))
    pairs = tuple(tuple(half[min(i, j)][max(i, j)] for j in range(keys)) for i in range(keys))
    return tuple(replace(o, couplings=pairs) if o.name == "boltzmann" else o for o in objectives)


@st.composite
def rows(draw: st.DrawFn, keys: int, dtype: str, decided: bool) -> list[float]:
    """Draw the scores of a row: small, decided, far from zero, tiny or huge."""
    kinds = ("decided",) * 4 if decided else ("plain",)
    kind = draw(st.sampled_from(("plain", "plain", *kinds, "any", "far")))
    base = draw(st.lists(st.integers(-4, 4), min_size=keys, max_size=keys))
    if dtype == "float16" or kind == "plain":
        row = [b / 4 for b in base]
    elif kind == "decided":
        row = [10.0 * b for b in base]
    elif kind == "any":
        power = draw(st.sampled_from((-150, -20, -8, 3, 8, 20, 37)))
        power = 150 if power == 37 and dtype == "float64" else power
        row = [b * 10.0**power for b in base]
    else:
        far = draw(st.sampled_from((1e4, 1e9, 1e17, -1e17)))
        row = [far + b for b in base]
    hide = HIDDEN if dtype != "float16" else (-math.inf, oracle.LOWEST["float16"])
    if kind not in ("plain", "decided") and dtype != "float16":
        hide = (-math.inf,)
    for k in range(keys):
        if draw(st.integers(0, 7)) == 7:
            row[k] = draw(st.sampled_from(hide))
    if draw(st.integers(0, 60)) == 60:
        row[0] = draw(st.sampled_from((math.nan, math.inf)))
    # As the type holds them.
    return [float(x) for x in np.array(row, dtype)]


@st.composite
def masks(draw: st.DrawFn, problem: Problem, alike: bool) -> Problem:
    """Draw a mask of any form; where all rows shall see the same keys, one over keys."""
    heads, queries, keys = problem.shape
    form = draw(st.sampled_from(("none", "none", "bool", "int", "float", "masked")))
    shapes = [(keys,), (1, keys), (1, 1, keys)]
    if not alike:
        shapes += [(queries, keys), (heads, queries, keys), (heads, 1, keys), (1, queries, keys)]
        shapes += [(heads, queries, keys)] * 2
    else:
        # No score hides its key either.
        least = [[[max(s, -4.0) for s in row] for row in head] for head in problem.scores]
        if any(s < -100 for head in problem.scores for row in head for s in row):
            problem = replace(problem, scores=least)
    if form == "none":
        return problem
    shape = draw(st.sampled_from(shapes)) if form != "masked" else (heads, queries, keys)
    seen = st.integers(0, 3).map(lambda n: n < 3)
    entries: st.SearchStrategy[Any] = seen
    if form == "int":
        entries = seen.map(int)
    if form == "float":
        entries = st.sampled_from((0.0,) * 5 + (-0.5, 1.5, *HIDDEN))
    if form == "masked":
        entries = seen.map(lambda s: not s)
        if alike:
            row = draw(st.lists(entries, min_size=keys, max_size=keys))
            return replace(problem, masked=[[row] * queries] * heads)
    array = draw(_nested(shape, entries))
    return replace(problem, **{"masked" if form == "masked" else "mask": array})


@st.composite
def _nested(draw: st.DrawFn, shape: tuple[int, ...], entries: st.SearchStrategy[Any]) -> Any:
    if not shape:
        return draw(entries)
    return [draw(_nested(shape[1:], entries)) for _ in range(shape[0])]


@st.composite
def vectors_of(draw: st.DrawFn, keys: int) -> list[list[float]]:
    """Draw a head's vectors, of one scale."""
    power = draw(st.sampled_from((0, 0, 0, 0, -150, -8, 8, 140)))
    entry = st.integers(-3, 3).map(lambda n: n * 10.0**power)
    size = draw(st.integers(1, 1) if keys > 4 else st.just(2))
    return draw(
        st.lists(st.lists(entry, min_size=size, max_size=size), min_size=keys, max_size=keys)
    )


@st.composite
def spoiled(draw: st.DrawFn, problem: Problem) -> Problem:
    """Put anything where no query sees a key: into its scores and its vectors."""
    if not draw(rarely):
        return problem
    odd = st.sampled_from((math.nan, math.inf, -math.inf, 1e200))
    seen = oracle.logits(problem)
    if problem.masked is not None and problem.dtype == "float64":
        scores = [
            [
                [draw(odd) if problem.masked[h][q][k] else score for k, score in enumerate(row)]
                for q, row in enumerate(head)
            ]
            for h, head in enumerate(problem.scores)
        ]
        problem = replace(problem, scores=scores)
    if problem.values is not None:
        owners = problem.kv_head or tuple(range(problem.shape[0]))
        values = [
            [
                vector
                if any(k in row for (h, _), row in seen.items() if owners[h] == owner)
                else [draw(odd) for _ in vector]
                for k, vector in enumerate(vectors)
            ]
            for owner, vectors in enumerate(problem.values)
        ]
        problem = replace(problem, values=values)
    return problem


@st.composite
def flags(draw: st.DrawFn, shape: tuple[int, int, int], of: int) -> Any:
    """Draw which keys are required or forbidden: one of so many."""
    some = draw(st.sampled_from((shape, shape[1:], shape[2:])))
    return draw(_nested(some, st.integers(0, of - 1).map(lambda n: n == of - 1)))


@st.composite
def orders(
    draw: st.DrawFn, problem: Problem, encoding: str, soft: bool, softly: tuple[int, ...]
) -> tuple[Any, ...]:
    """Draw passes in an order that serves."""
    tie = tie_of(problem, softly)
    steps: list[Any] = [] if tie is None else [tie]
    if problem.required is not None or problem.forbidden is not None or draw(st.booleans()):
        steps.append(qa.Canonicalize())
    slots = draw(st.sampled_from((None, None, 2, 3)))
    nucleus = draw(st.sampled_from((None, None, 0.9)))
    if draw(st.booleans()):
        sizes = draw(st.sampled_from(((), (2, 4))))
        steps.append(qa.Sparsify(slots, draw(st.booleans()), nucleus, sizes))
    steps += [step for step in (qa.DropCouplers(), qa.Compress()) if draw(rarely)]
    # Networks of joint rows take more bits than can be enumerated.
    budget = problem.couplings or any(select.name == "budget" for select in problem.selects)
    forms = ("dense", "grid") if budget else ("dense", "grid", "auto", "network")
    price = qa.InsertPenalties(
        margin=draw(st.sampled_from((0.05, 0.2))),
        at_most=draw(st.sampled_from(("unary", "binary"))),
        relax=draw(st.booleans()),
        cardinality=draw(st.sampled_from(forms)),
    )
    bits = qa.BinarizeWeights(encoding)
    early = encoding == "one-hot" or (soft and draw(rarely))
    if early:
        price = replace(price, cardinality="dense")
    steps += [bits, price] if early else [price, bits]
    if draw(seldom):
        steps.append(qa.Quantize(draw(st.sampled_from((8, 16)))))
    return tuple(steps)


# -- as arguments ---------------------------------------------------------------------------------


def arguments(case: Case) -> dict[str, Any]:
    """Return the arguments of `qubo_attn.compile`."""
    problem = case.problem
    pairs = [
        (objective_of(o), select_of(select, case.encoding))
        for o, select in zip(problem.objectives, problem.selects, strict=True)
    ]
    given: dict[str, Any] = {"scores": np.array(problem.scores, problem.dtype)}
    if problem.masked is not None:
        given["scores"] = np.ma.masked_array(given["scores"], problem.masked)
    if len(set(pairs)) == 1:
        given |= {"heads": len(pairs), "objective": pairs[0][0], "select": pairs[0][1]}
    else:
        given["heads"] = [qa.Head(select, objective) for objective, select in pairs]
    for name in ("mask", "values", "keys", "kv_head", "required", "forbidden"):
        value = getattr(problem, name)
        if value is not None:
            given[name] = np.array(value)
    given |= {"passes": case.passes, "slots": case.slots, "target": case.target}
    if case.passes is None:
        given["tie"] = tie_of(problem, case.softly)
    shared = [c for c in problem.couplings if c.kind == "shared"]
    given["coupling"] = [
        (qa.Diversity if c.strength > 0 else qa.Agreement)(abs(c.strength), c.pairs, c.unit)  # type: ignore[arg-type]
        for c in shared
    ]
    return given


def tie_of(problem: Problem, softly: tuple[int, ...]) -> qa.TieVariables | None:
    if softly:
        return qa.TieVariables((softly,), strength=problem.couplings[0].strength)
    if problem.groups or problem.queries:
        return qa.TieVariables(problem.groups, problem.queries)
    return None


def objective_of(objective: Objective) -> Any:
    name = objective.name
    if name == "selection":
        return qa.Selection(objective.alpha)
    if name == "redundancy":
        return qa.Redundancy(objective.strength)
    if name == "least_squares":
        return qa.LeastSquares(objective.of)  # type: ignore[arg-type]
    return qa.Boltzmann(objective.couplings) if name == "boltzmann" else name


def select_of(select: Select, encoding: str) -> Any:
    if select.name == "soft":
        return qa.SoftWeights(select.levels, None, encoding, select.scale)  # type: ignore[arg-type]
    if select.name == "leveled":
        return qa.SoftWeights(select.levels, select.k, encoding)
    if select.name == "budget":
        return qa.Budget(select.k, select.over)  # type: ignore[arg-type]
    if select.name in ("one-hot", "free"):
        return qa.OneHot() if select.name == "one-hot" else qa.Unconstrained()
    return (qa.ExactlyK if select.name == "exactly" else qa.AtMostK)(select.k)
