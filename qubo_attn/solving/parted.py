"""Branch and bound over all states of bits, whose sums part them.

Constraints that are sums give each state a number, whose digits are the sums. A state's penalty
depends on this number alone, and states of one number are searched together, under a bound of their
own (`qubo_attn.kernels.lowest`). A bound for all numbers says which need no search.
"""

from __future__ import annotations

from math import fsum
from typing import NamedTuple

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Bools, Floats, Longs
from qubo_attn.ir.columns import Constraints, Sense
from qubo_attn.ir.program import Program
from qubo_attn.ir.quadratic import Quadratic

# Codes of states have as many.
MOST_BITS = 64
# Energies are one where they lie no further apart than this share of all coefficients together.
ROUNDING = 1e-12
# Steps towards a bound; numbers beyond which sums do not part the states.
_BOUND_STEPS, _MOST_NUMBERS = 30, 2**14


class Lowest(NamedTuple):
    """The lowest energies of a program of bits.

    Attributes:
        energy: the lowest of all states, constants included.
        second: the second lowest; None where it is not proven, or there is no other.
        state, second_state: float64, shape (n,), a state of each, zeros where there is none. Of
            several optima it is the one that is 1 at the first bit in which they differ.
        optima: how many states have the lowest energy, up to ``rounding``.
        feasible_second: second lowest energy of the states that keep every constraint; None where
            it is not proven, or there is no other.
        rounding: energies that lie no further apart count as one.
        proof: ``"enumeration"``, ``"branch and bound"`` or ``"branch and bound, certificates"``.
    """

    energy: float
    second: float | None
    state: Floats
    second_state: Floats
    optima: int
    feasible_second: float | None
    rounding: float
    proof: str


def energy_of(form: Quadratic, state: Floats) -> float:
    """Return the energy of a state, rounded once: the same on every computer."""
    pairs = form.bias[(state[form.i] > 0) & (state[form.j] > 0)]
    return fsum([form.offset, *form.linear[state > 0].tolist(), *pairs.tolist()])


def rounding_of(form: Quadratic) -> float:
    """Return how far apart energies may lie that are one."""
    return ROUNDING * fsum(np.abs([form.offset, *form.linear, *form.bias]).tolist())


def as_bits(code: int, n: int) -> Floats:
    """Return the state of a code, the first bit the highest of n."""
    return np.array([code >> (n - 1 - v) & 1 for v in range(n)], np.float64)


def as_matrix(form: Quadratic) -> Floats:
    """Return the couplers as a symmetric matrix."""
    pair = np.zeros((len(form.linear), len(form.linear)))
    pair[form.i, form.j] = pair[form.j, form.i] = form.bias
    return pair


def search(program: Program, margin: float, most_steps: int) -> Lowest | None:
    """Return the two lowest energies of all states; see `qubo_attn.solving.lowest`."""
    form, parts = program.total(), _Parts.of(program)
    rounding, kept = rounding_of(form), None
    if parts.need is not None:
        kept = _search(parts, parts.target, parts.need, np.inf, rounding, most_steps)
        kept = kept if kept.finished else None
    met, proof = _search_all(parts, kept, rounding, most_steps), "branch and bound"
    if met is None:
        # All other states break a constraint: certificates put them above the optimum by a margin.
        if kept is None or not margin > 2.0 * rounding:
            return None
        met, proof = kept, "branch and bound, certificates"
        if met.second > met.best + margin - rounding:
            met = met._replace(second=np.inf)
    state = as_bits(met.state, MOST_BITS)[: len(program)]
    second = as_bits(met.second_state, MOST_BITS)[: len(program)]
    feasible_second = None
    if kept is not None and kept.second < np.inf:
        other = as_bits(kept.second_state, MOST_BITS)[: len(program)]
        feasible_second = energy_of(form, other)
    return Lowest(
        energy_of(form, state),
        energy_of(form, second) if met.second < np.inf else None,
        state,
        second,
        met.optima,
        feasible_second,
        rounding,
        proof,
    )


class _Parts(NamedTuple):
    """How sums part the states.

    Attributes:
        weight: int64, of each bit in the number whose digits are the sums.
        target: the number of states that keep all sums.
        penalty: of every number, where a state has it.
        form: what remains of the energy.
        need: int64, the bit without which each one breaks a constraint, -1 for none; None where
            states of the target that need no more than that may break others.
    """

    weight: Longs
    target: int
    penalty: Floats
    form: Quadratic
    need: Longs | None

    @classmethod
    def of(cls, program: Program) -> _Parts:
        """Return the parts of a program."""
        c, n = program.constraints, len(program)
        sums = _sums(c, n)
        rows, rest = c.take(sums), c.take(~sums)
        digits = (np.bincount(rows.row, rows.coef, len(rows)) + 1).astype(np.int64)
        unit = np.cumprod([1, *digits.tolist()])
        weight = np.zeros(n, np.int64)
        weight[rows.var] = unit[rows.row] * rows.coef.astype(np.int64)
        number, penalty = np.arange(unit[-1]), np.zeros(unit[-1])
        for u, d, rhs, a, mu in zip(unit, digits, rows.rhs, rows.weight, rows.slope, strict=False):
            over = number // u % d - rhs
            penalty += a * over**2 + mu * over
        target = int(unit[:-1] @ rows.rhs)
        form = program.replace(constraints=rest).total()
        return cls(weight, target, penalty, form, _need(rest, n))


def _sums(c: Constraints, n: int) -> Bools:
    """Return which constraints are sums of bits of their own; none where there are too many."""
    whole = np.bincount(c.row, (c.coef < 1) | (c.coef != np.rint(c.coef)), len(c)) == 0
    sums = np.asarray(whole & ~c.one_sided & (c.sense == Sense.EQ))
    uses = np.bincount(c.take(sums).var, minlength=n)
    numbers = np.prod(np.bincount(c.row, c.coef, len(c))[sums] + 1.0)
    return sums if uses.max(initial=0) <= 1 and numbers <= _MOST_NUMBERS else np.zeros(len(c), bool)


def _need(c: Constraints, n: int) -> Longs | None:
    """Return the bit that each one needs, where constraints say no more than that."""
    need, opens = np.full(n, -1, np.int64), c.coef < 0
    gate = np.full(len(c), -1, np.int64)
    gate[c.row[opens]] = c.var[opens]
    held = c.var[~opens]
    if not c.one_sided.all() or len(np.unique(held)) < len(held):
        return None
    need[held] = gate[c.row[~opens]]
    return need


def _search_all(
    parts: _Parts, kept: kernels.LowestStates | None, rounding: float, most_steps: int
) -> kernels.LowestStates | None:
    """Return the two lowest energies of all states; None where the search does not end.

    Args:
        parts: of the states.
        kept: those of the states that keep every constraint, where they are known.
        rounding: energies that lie no further apart count as one.
        most_steps: of all searches together.
    """
    free = np.full(len(parts.weight), -1, np.int64)
    none = kernels.LowestStates(np.inf, np.inf, 0, 0, 0, True, 0)
    alone = kept is not None and parts.need is not None and (parts.need < 0).all()
    met = kept if kept is not None and alone else none
    ceiling = np.inf if kept is None else kept.second
    constant, slope = _minorant(parts, parts.target)
    floor = parts.penalty + constant + _least(parts.weight, slope)
    left = most_steps
    for number in np.argsort(floor, kind="stable").tolist():
        limit = min(ceiling, met.second)
        if floor[number] > limit + rounding:
            break
        if not (alone and number == parts.target):
            part = _search(parts, number, free, limit, rounding, left)
            met, left = _merged(met, part, rounding), left - part.steps
        if not met.finished:
            return None
    return met


def _merged(
    one: kernels.LowestStates, other: kernels.LowestStates, rounding: float
) -> kernels.LowestStates:
    """Return the two lowest energies of two sets of states."""
    pairs = [(part.best, part.state, part.optima) for part in (one, other)]
    pairs = sorted(pairs + [(part.second, part.second_state, 0) for part in (one, other)])
    lowest = pairs[0][0]
    best = [pair for pair in pairs if pair[0] <= lowest + rounding]
    second = next((pair for pair in pairs if pair[0] > lowest + rounding), (np.inf, 0, 0))
    return kernels.LowestStates(
        lowest,
        second[0],
        sum(pair[2] for pair in best),
        max(pair[1] for pair in best),
        second[1],
        one.finished and other.finished,
        one.steps + other.steps,
    )


def _minorant(parts: _Parts, number: int) -> tuple[float, Floats]:
    """Return a linear function nowhere above the energy, and close to it at some number."""
    n, form = len(parts.weight), parts.form
    every = np.arange(n, dtype=np.int32)
    ones, nothing = np.ones(n, np.int32), np.zeros(n, np.int32)
    rows = kernels.OptionRows(
        np.array([0, n]), every, every, ones, nothing - 1, nothing, parts.weight,
        np.array([number]), np.ones(1, bool),
    )  # fmt: skip
    low = kernels.bound_rows(rows, form.linear, form.squares(), form.adjacency(), _BOUND_STEPS)
    return float(low.constant[0]), low.slope


def _least(weight: Longs, slope: Floats) -> Floats:
    """Return the least sum of slopes for every number; infinite where no state has it."""
    least = np.full(int(weight.sum()) + 1, np.inf)
    least[0] = 0.0
    for w, s in zip(weight.tolist(), slope.tolist(), strict=True):
        least[w:] = np.minimum(least[w:], s + least[: len(least) - w])
    return least


def _search(
    parts: _Parts, number: int, need: Longs, limit: float, rounding: float, most_steps: int
) -> kernels.LowestStates:
    """Search the states of a number that take no bit without the one it needs."""
    penalty, (constant, slope) = float(parts.penalty[number]), _minorant(parts, number)
    order = _order(slope, need)
    place = np.full(len(order) + 1, -1, np.int64)  # the last entry stands for no need
    place[order] = np.arange(len(order))
    bits = kernels.WeighedBits(
        parts.form.linear[order],
        as_matrix(parts.form)[np.ix_(order, order)],
        parts.weight[order],
        slope[order],
        place[need[order]],
        np.uint64(1) << (MOST_BITS - 1 - order).astype(np.uint64),
    )
    met = kernels.lowest_states(bits, constant, number, limit - penalty, rounding, most_steps)
    return met._replace(best=met.best + penalty, second=met.second + penalty)


def _order(slope: Floats, need: Longs) -> Longs:
    """Return the bits by the least slope of all that need each other, what is needed first."""
    root, depth, least = np.arange(len(need)), np.zeros(len(need), np.int64), slope.copy()
    while (need[root] >= 0).any():
        depth += need[root] >= 0
        root = np.where(need[root] >= 0, need[root], root)
    np.minimum.at(least, root, slope)
    return np.lexsort((slope, depth, root, least[root]))
