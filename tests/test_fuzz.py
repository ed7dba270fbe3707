"""Random problems: what is compiled has the optimum that the documentation asks for.

``pytest --fuzz 300`` runs 300 examples of every family, always the same; ``--fuzz-seed`` draws
others. Without ``--fuzz`` a few run.
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import replace

import dimod
import numpy as np
import pytest
from hypothesis import HealthCheck, given, seed, settings

import qubo_attn as qa
from tests.support import oracle, problems
from tests.support.oracle import Block, Choice, Costs, Problem
from tests.support.problems import Case

# As a share of the sizes of all terms: what energies may differ by; what adding them up in double
# precision loses.
CLOSE, EQUAL = 1e-9, 4e-16
TINY = 1e-310
MOST_BITS = 20


@pytest.mark.fuzz
@pytest.mark.parametrize("family", problems.FAMILIES)
def test_ground_states_are_what_the_documentation_asks_for(
    family: str, request: pytest.FixtureRequest
) -> None:
    number = request.config.getoption("--fuzz-seed")
    runs = settings(
        max_examples=request.config.getoption("--fuzz"),
        derandomize=not number,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
        report_multiple_bugs=False,
    )
    run = runs(given(problems.cases(family))(check))
    (seed(number)(run) if number else run)()


def check(case: Case) -> None:
    """Compile a case, and hold it against the oracle."""
    problem, given_ = case.problem, problems.arguments(case)
    reasons = oracle.refusal(problem)
    if reasons:
        with pytest.raises(qa.QuboAttnError) as caught:
            qa.compile(**given_)
        names = [class_.__name__ for class_ in type(caught.value).__mro__]
        assert any(name in names and word in str(caught.value) for name, word in reasons), (
            f"{caught.value!r} is none of {reasons}"
        )
        return
    huge = oracle.overflows(problem)
    try:
        compiled = qa.compile(**given_)
    except qa.InputError:
        if huge:
            return
        raise
    except (qa.InfeasibleError, qa.PassError):
        if oracle.wavers(problem):
            return
        raise
    if huge or oracle.rounds(problem):
        return
    check_optima(case, compiled)
    if compiled.stages[-1].program.constraints.priced.any() and any(
        stage.rewrite.certificates for stage in compiled.stages
    ):
        assert compiled.certificates.recheck(exact=True) == []
    {"save": check_saved, "rebind": check_rebound, "alone": check_alone, "repair": check_repaired}[
        case.also
    ](case, compiled)


# -- ground states --------------------------------------------------------------------------------


def check_optima(case: Case, compiled: qa.CompiledAttention) -> None:
    bound = compiled.bound
    if case.softly:
        # The bound of a soft tie is all that its prices may add; here they belong to the problem.
        rest = [stage.rewrite.prove() for stage in compiled.stages if stage.name != "tie-variables"]
        bound = math.inf if any(rest) else 0.0
    if not promises(compiled):
        return
    for samplesets in ground_states(compiled):
        # Descent would hide a wrong ground state.
        result = compiled.decode(samplesets, descend=False)
        assert result.feasible.all()
        assert not result.repaired.any()
        check_result(case.problem, result, bound)


def promises(compiled: qa.CompiledAttention) -> bool:
    """Return whether integers have enough bits for a promise."""
    last = compiled.stages[-1]
    return last.name != "quantize" or last.rewrite.margin > 0


def ground_states(compiled: qa.CompiledAttention) -> list[list[dimod.SampleSet]]:
    """Return the first, the last and a middle ground state of every component, as samples."""
    picks: list[list[dimod.SampleSet]] = [[], [], []]
    for part in compiled.submissions:
        n = len(part.variables)
        states = [np.zeros(n, np.int8) for _ in picks]
        for members in components(n, part.i, part.j):
            best = least(members, part.linear, (part.i, part.j, part.bias))
            for state, place in zip(states, (0, len(best) // 2, -1), strict=True):
                state[members] = best[place] >> np.arange(len(members)) & 1
        for pick, state in zip(picks, states, strict=True):
            pick.append(samples_of(part, state))
    return picks


def samples_of(part: qa.Submission, bits: np.ndarray) -> dimod.SampleSet:
    sample = {int(v): int(bit) for v, bit in zip(part.variables, bits, strict=True)}
    assert part.vartype == "BINARY"
    return dimod.SampleSet.from_samples([sample], "BINARY", energy=[0.0])


def components(n: int, i: np.ndarray, j: np.ndarray) -> list[np.ndarray]:
    """Return the variables of each connected component."""
    group = list(range(n))

    def root(v: int) -> int:
        while group[v] != v:
            v = group[v]
        return v

    for u, v in zip(i.tolist(), j.tolist(), strict=True):
        group[root(u)] = root(v)
    roots = np.array([root(v) for v in range(n)], int)
    return [np.flatnonzero(roots == r) for r in sorted(set(roots.tolist()))]


def least(
    members: np.ndarray, linear: np.ndarray, couplers: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> np.ndarray:
    """Return the states of least energy of a component, each as a number of its bits."""
    assert len(members) <= MOST_BITS, len(members)
    place = {int(v): at for at, v in enumerate(members)}
    pairs = np.zeros((len(members), len(members)))
    for u, v, bias in zip(*couplers, strict=True):
        if int(u) in place:
            a, b = sorted((place[int(u)], place[int(v)]))
            pairs[a, b] += bias
    energies = _sums(linear[members], pairs)
    lost = EQUAL * _sums(np.abs(linear[members]), np.abs(pairs))
    return np.flatnonzero(energies - lost <= (energies + lost).min())


def _sums(linear: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return the sum of the terms of every state, counted up bit by bit."""
    sums = np.zeros(1)
    for at in range(len(linear)):
        field = np.full(1 << at, linear[at])
        for earlier in range(at):
            field.reshape(-1, 2, 1 << earlier)[:, 1] += pairs[earlier, at]
        sums = np.concatenate([sums, sums + field])
    return sums


def check_result(
    problem: Problem, result: qa.AttentionResult, bound: float = math.inf, *, best: bool = True
) -> None:
    """Check what a result selects and how it weighs it.

    Args:
        best: whether the reads are what is selected, so that means over them are, too.
    """
    seen = oracle.logits(problem)
    assert np.isfinite(result.weights).all()
    for (h, q), row in seen.items():
        hidden = [k for k in range(problem.shape[2]) if k not in row]
        assert not result.selected[h, q, hidden].any()
        assert not result.weights[h, q, hidden].any()
        assert bool(result.empty[h, q]) == (not row)
    chosen: dict[int, Choice] = {}
    some = []
    for alternatives in oracle.blocks(problem):
        matches = [(block, read(block, result)) for block in alternatives]
        good = [(block, choice) for block, choice in matches if choice in block.energies]
        assert good, f"no selection of rows {[row.row for row in alternatives[0].rows]}: {matches}"
        block, choice = good[0]
        for row in block.rows:
            if best or row.objective.decoder != "marginals":
                check_row(problem, row, block.seen(choice, row), block.total, result)
        some.append(block)
        chosen[id(block)] = choice
    for optimum in oracle.optima(problem, some):
        choices = tuple(chosen[id(block)] for block in optimum.blocks)
        if optimum.count is not None:
            assert sum(map(len, choices)) == optimum.count
        energy = optimum.energy(choices)
        rows = [row.row for block in optimum.blocks for row in block.rows]
        assert energy <= optimum.best + CLOSE * optimum.scale + TINY + bound, (
            f"rows {rows} pay {energy!r}, the optimum is {optimum.best!r}"
        )


def check_row(
    problem: Problem, row: Costs, choice: Choice, total: int, result: qa.AttentionResult
) -> None:
    """Check the weights and the energy that a result states for what a row selects."""
    weights, expected = result.weights[row.row], row.decoded(choice, total)
    assert all(abs(weights[k] - w) <= CLOSE for k, w in expected.items()), (row.row, weights)
    counted = row.select.name in ("exactly", "one-hot", "leveled")
    assert bool(result.capped[row.row]) == (counted and len(row.seen) < row.select.count)
    # The constant that is left out is of another form where values are not taken about their mean.
    if not problem.couplings and not (row.objective.soft and row.objective.of == "output"):
        energy = row.energy(choice, total) - row.energy((), total)
        assert abs(result.energies[row.row] - energy) <= CLOSE * row.scale + TINY


def read(block: Block, result: qa.AttentionResult) -> Choice:
    """Return what a result selects for a block: all of its rows must agree."""
    name = block.rows[0].select.name
    if name == "soft":
        choices = {levels(row, result.weights[row.row], block.total) for row in block.rows}
    elif name == "leveled":
        choices = set.intersection(*(about(row, result) for row in block.rows))
    else:
        kept = {k for row in block.rows for k in row.seen if result.selected[(*row.row, k)]}
        choice = tuple((k, 0) for k in sorted(kept))
        for row in block.rows:
            own = {k for k in row.seen if result.selected[(*row.row, k)]}
            assert own == kept & set(row.seen), f"row {row.row} keeps {own} of {kept}"
        return choice
    assert len(choices) >= 1, "tied rows differ"
    return min(choices)


def levels(row: Costs, weights: np.ndarray, total: int) -> Choice:
    """Return the levels behind soft weights."""
    found = [(k, round(float(weights[k]) * total)) for k in sorted(row.seen)]
    return tuple((k, level) for k, level in found if level)


def about(row: Costs, result: qa.AttentionResult) -> set[Choice]:
    """Return the choices of leveled keys that decode to the weights of a result."""
    kept = [k for k in sorted(row.seen) if result.selected[(*row.row, k)]]
    weights = result.weights[row.row]
    found = set()
    tops = row.select.levels if len(row.seen) > row.select.k else 0
    for number in range((tops + 1) ** len(kept)):
        choice = tuple((k, number // (tops + 1) ** at % (tops + 1)) for at, k in enumerate(kept))
        expected = row.decoded(choice, 0)
        if all(abs(weights[k] - w) <= 1e-9 for k, w in expected.items()):
            found.add(choice)
    return found


# -- what else must give the same answer ----------------------------------------------------------


def check_saved(case: Case, compiled: qa.CompiledAttention) -> None:
    with tempfile.TemporaryDirectory() as folder:
        compiled.save(folder + "/artifact")
        same(qa.load(folder + "/artifact"), compiled)


def check_rebound(case: Case, compiled: qa.CompiledAttention) -> None:
    """Compile other scores, and go from these to the case's own."""
    given_ = problems.arguments(case)
    halves = given_["scores"] / 2
    try:
        other = qa.compile(**given_ | {"scores": halves})
    except qa.QuboAttnError:
        return  # a tie of soft weights may fail at other scores
    again = {name: given_[name] for name in ("values", "keys", "mask") if name in given_}
    same(other.rebind(given_["scores"], **again), compiled)


def same(one: qa.CompiledAttention, other: qa.CompiledAttention) -> None:
    """Both make the same models to the last bit, and decode alike."""
    assert len(one.submissions) == len(other.submissions)
    for a, b in zip(one.submissions, other.submissions, strict=True):
        for name in ("variables", "linear", "i", "j", "bias"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
        assert a.offset == b.offset
    states = ground_states(other)[0]
    results = [each.decode(states) for each in (one, other)]
    for name in ("selected", "weights", "feasible", "capped", "empty", "energies"):
        np.testing.assert_array_equal(*(getattr(result, name) for result in results))


def check_alone(case: Case, compiled: qa.CompiledAttention) -> None:
    """Compile every row by itself, where rows have nothing in common."""
    problem = case.problem
    joined = problem.groups or problem.queries or problem.couplings
    if joined or any(select.name == "budget" for select in problem.selects):
        return
    result = compiled.decode(ground_states(compiled)[0], descend=False)
    shape = problem.shape
    for h, q in oracle.logits(problem):
        place = [(h, q, k) for k in range(shape[2])]

        def own(array: object, place: list[tuple[int, int, int]] = place) -> object:
            return None if array is None else [[[oracle.entry(array, shape, at) for at in place]]]

        vectors = {
            name: None if given_ is None else [problem.vectors(given_, h)]
            for name, given_ in (("values", problem.values), ("keys", problem.keys))
        }
        flags = {name: own(getattr(problem, name)) for name in ("required", "forbidden", "masked")}
        alone = Problem(
            [[problem.scores[h][q]]],
            problem.objectives[h : h + 1],
            problem.selects[h : h + 1],
            problem.dtype,
            mask=own(problem.mask),
            **vectors,
            **flags,
        )
        if ("InputError", "probabilities") in oracle.refusal(alone):
            continue  # one row may look like what softmax returns where all do not
        single = qa.compile(**problems.arguments(replace(case, problem=alone)))
        if not promises(single):
            continue
        for states in ground_states(single):
            check_result(alone, single.decode(states, descend=False), bound=single.bound)
        if single.bound == 0 == compiled.bound:
            check_result_of_row(alone, result, (h, q))


def check_result_of_row(alone: Problem, result: qa.AttentionResult, row: oracle.Row) -> None:
    """The row of a whole is as good as the row by itself."""
    h, q = row
    columns = ("selected", "weights", "empty", "capped", "energies")
    part = {name: getattr(result, name)[h : h + 1, q : q + 1] for name in columns}
    check_result(alone, replace(result, **part), bound=0.0)


def check_repaired(case: Case, compiled: qa.CompiledAttention) -> None:
    """Random reads come out feasible, or repaired so that they are."""
    generator = np.random.default_rng(case.seed)
    states = [
        samples_of(part, generator.integers(0, 2, len(part.variables)))
        for part in compiled.submissions
    ]
    result = compiled.decode(states)
    assert (result.feasible | result.repaired | result.empty).all()
    check_result(case.problem, result, best=False)
