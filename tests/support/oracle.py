"""What a problem asks for, from the documentation alone: dictionaries, loops, every selection.

Nothing here is the package's: not its code, not its arithmetic, not its arrays. A `Problem` holds
plain lists; `blocks` enumerates what its rows may select and what that costs; `refusal` says which
problems are none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import product
from typing import Any

Row = tuple[int, int]  # head, query
Choice = tuple[tuple[int, int], ...]  # key and level of each key that a row keeps, by key

GAP = 9_000.0
LOWEST = {
    "float64": -1.7976931348623157e308,
    "float32": -3.4028234663852886e38,
    "float16": -65504.0,
}
# Coefficients beyond that overflow once they are added up or priced.
LARGEST = 1e298
CLOSE_BY = 1e-9
LOST = 1e-11


@dataclass(frozen=True)
class Objective:
    """What a row minimises."""

    name: str
    alpha: float = 0.01
    strength: float = 1.0
    couplings: tuple[tuple[float, ...], ...] | None = None
    of: str = "weights"

    @property
    def soft(self) -> bool:
        return self.name in ("sparsemax", "least_squares")

    @property
    def decoder(self) -> str:
        names = {"output": "residual", "boltzmann": "marginals"}
        return "levels" if self.soft else names.get(self.name, "renormalise")


@dataclass(frozen=True)
class Select:
    """What a row may select: exactly, at-most, one-hot, free, budget, soft or leveled."""

    name: str
    k: int = 1
    levels: int = 1
    scale: str = "row-max"
    over: str = "head"

    @property
    def count(self) -> int:
        """Keys that a row keeps, or may, where there is such a number."""
        return 1 if self.name == "one-hot" else self.k


@dataclass(frozen=True)
class Coupling:
    """What pairs of heads pay for a key: one that both keep, or one that they differ in.

    Attributes:
        kind: ``"shared"`` or ``"differ"``.
        strength: below 0 where they gain.
        pairs: of heads. unit: ``"exchange"`` or ``"energy"``.
    """

    kind: str
    strength: float
    pairs: tuple[tuple[int, int], ...]
    unit: str = "exchange"


@dataclass(frozen=True)
class Problem:
    """One call; one objective and select a head.

    Attributes:
        scores: H x Q x K numbers, of the type `dtype`.
        mask: None, or nested lists of bools, whole numbers or floats that broadcast to H x Q x K.
        masked: H x Q x K bools, true where a masked array hides, or None.
        values, keys: vectors, H x K x d, or one list for each owner of `kv_head`; None without.
        required, forbidden: bools, like `mask`.
        groups: heads that share one selection; `queries`: all queries of a head do.
        couplings: of heads that do not.
    """

    scores: list[list[list[float]]]
    objectives: tuple[Objective, ...]
    selects: tuple[Select, ...]
    dtype: str = "float64"
    mask: Any = None
    masked: list[list[list[bool]]] | None = None
    values: list[list[list[float]]] | None = None
    keys: list[list[list[float]]] | None = None
    kv_head: tuple[int, ...] | None = None
    required: Any = None
    forbidden: Any = None
    groups: tuple[tuple[int, ...], ...] = ()
    queries: bool = False
    couplings: tuple[Coupling, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        return len(self.scores), len(self.scores[0]), len(self.scores[0][0])

    def vectors(self, of: list[list[list[float]]], head: int) -> list[list[float]]:
        """Return the vectors of a head's keys."""
        return of[head if self.kv_head is None else self.kv_head[head]]


# -- what a query sees ----------------------------------------------------------------------------


def entry(array: Any, shape: tuple[int, int, int], place: tuple[int, int, int]) -> Any:
    """Return the entry of nested lists that broadcast to ``shape``."""
    depth, inner = 0, array
    while isinstance(inner, (list, tuple)):
        depth, inner = depth + 1, inner[0]
    for axis in range(3 - depth, 3):
        array = array[place[axis] if len(array) == shape[axis] else 0]
    return array


def logits(problem: Problem) -> dict[Row, dict[int, float]]:
    """Return the logit of each key that a query sees, by row."""
    heads, queries, keys = problem.shape
    rows = {}
    for h, q in product(range(heads), range(queries)):
        row = {}
        for k in range(keys):
            score = problem.scores[h][q][k]
            if problem.masked is not None and problem.masked[h][q][k]:
                continue
            if problem.mask is not None:
                mask = entry(problem.mask, problem.shape, (h, q, k))
                if isinstance(mask, float):
                    if mask <= -GAP:
                        continue
                    score = score + mask
                elif not mask:
                    continue
            row[k] = score
        rows[h, q] = {k: s for k, s in row.items() if not hides(s, row.values(), problem.dtype)}
    return rows


def hides(score: float, row: Iterable[float], dtype: str) -> bool:
    """Return whether a number in the place of a logit hides its key."""
    if math.isnan(score):
        return False
    if score == -math.inf or score <= LOWEST[dtype] / 2:
        return True
    best = max((s for s in row if not math.isnan(s)), default=-math.inf)
    return best in LOWEST.values() or best - score >= GAP


def softmax(row: dict[int, float]) -> dict[int, float]:
    best = max(row.values())
    weights = {k: math.exp(s - best) for k, s in row.items()}
    total = math.fsum(weights.values())
    return {k: w / total for k, w in weights.items()}


def sparsemax(row: dict[int, float]) -> dict[int, Fraction]:
    """Return the projection of a row on the simplex, in fractions: no rounding."""
    exact = {k: Fraction(s) for k, s in row.items()}
    ordered = sorted(exact.values(), reverse=True)
    for size in range(len(ordered), 0, -1):
        threshold = (sum(ordered[:size]) - 1) / size
        if ordered[size - 1] > threshold:
            return {k: max(s - Fraction(threshold), Fraction(0)) for k, s in exact.items()}
    raise AssertionError("a simplex has a nearest point")


# -- what a selection costs -----------------------------------------------------------------------


@dataclass(frozen=True)
class Costs:
    """The objective of one row.

    Attributes:
        seen: logit of each key that it sees.
        shares: softmax of the row.
        leveled: weight of each key at level 0, and that of a level, for leveled keys.
        scale: sum of the sizes of all terms: what rounding is measured by.
    """

    problem: Problem
    row: Row
    seen: dict[int, float]

    @property
    def objective(self) -> Objective:
        return self.problem.objectives[self.row[0]]

    @property
    def select(self) -> Select:
        return self.problem.selects[self.row[0]]

    @cached_property
    def shares(self) -> dict[int, float]:
        return softmax(self.seen)

    @cached_property
    def stake(self) -> float:
        """Return what it costs, per key, to fall back on the next best keys.

        With the row's count, or half of its keys where that is less or there is none.
        """
        linear = sorted(self.energy(((k, 0),), 0) - self.energy((), 0) for k in self.seen)
        half = len(linear) // 2
        free = self.select.name == "free"
        count = half if free else min(self.select.count, half)
        best, next_ = linear[:count], linear[count : 2 * count]
        return math.fsum([*next_, *(-a for a in best)]) / count if count else 0.0

    def totals(self) -> set[int]:
        """Return what the levels of a row may add up to: two numbers where rounding decides."""
        if self.select.scale == "unit":
            return {self.select.levels}
        exact = self.objective.name == "sparsemax"
        wanted: dict[int, Any] = sparsemax(self.seen) if exact else self.shares
        # What forbidden keys would have had goes to the others in proportion.
        barred = _flagged(self.problem, self.problem.forbidden, (self,))
        open_ = [wanted[k] for k in wanted if k not in barred]
        most, levels = max(open_, default=0), self.select.levels
        # Keys that would get nothing share out the levels of one.
        ratio = float(levels * sum(open_) / most) if most else float(levels)
        near = {round(ratio * (1 - 1e-9)), round(ratio), round(ratio * (1 + 1e-9))}
        return {max(min(total, levels * len(open_)), 1) for total in near}

    @cached_property
    def leveled(self) -> tuple[dict[int, float], dict[int, float]]:
        """Return base and step of each key that has levels about its softmax weight."""
        p, k, top = self.shares, self.select.k, self.select.levels
        if len(p) <= k:
            return p, dict.fromkeys(p, 0.0)
        rest = max(1.0 - math.fsum(sorted(p.values(), reverse=True)[:k]), 0.0)
        step = {i: 2 / (top + 1) * min(rest / k, p[i]) for i in p}
        return {i: p[i] - (3 * top // 7) * step[i] for i in p}, step

    def weights(self, choice: Choice, total: int) -> dict[int, float]:
        """Return what the row's keys weigh in its objective; absent ones weigh nothing."""
        if self.objective.soft:
            return {k: level / total for k, level in choice}
        if self.select.name == "leveled":
            base, step = self.leveled
            return {k: base[k] + level * step[k] for k, level in choice}
        return {k: self.shares[k] for k, _ in choice}

    def decoded(self, choice: Choice, total: int) -> dict[int, float]:
        """Return the attention weights of a choice, by the decoder of the objective."""
        if self.objective.decoder == "marginals":
            return {k: 1.0 if k in dict(choice) else 0.0 for k in self.seen}
        weights = self.weights(choice, total)
        mass = math.fsum(weights.values())
        if self.objective.decoder == "residual":
            rest = (1 - mass) / len(self.seen)
            return {k: weights.get(k, 0.0) + rest for k in self.seen}
        if mass == 0:
            return {k: 1 / len(weights) if k in weights else 0.0 for k in self.seen}
        return {k: weights.get(k, 0.0) / mass for k in self.seen}

    def energy(self, choice: Choice, total: int) -> float:
        """Return what the row pays for a choice."""
        return math.fsum(self._terms(choice, total))

    @cached_property
    def scale(self) -> float:
        """Return the size of all terms that any choice may have."""
        o, everything = self.objective, tuple((k, self.select.levels) for k in self.seen)
        if o.name in ("output", "least_squares") and (o.name == "output" or o.of == "output"):
            raw = self.problem.vectors(self.problem.values or [], self.row[0])
            reach = math.fsum(
                max(1.0 if o.soft else 0.0, 2 * self.shares[k])
                # Taking the mean off loses digits of the vectors as they are.
                * (sum(map(abs, self._vectors[k])) + LOST * sum(map(abs, raw[k])))
                for k in self.seen
            )
            return reach * reach
        if o.name == "least_squares":
            return 1.0
        if o.name == "selection":
            largest = max(map(abs, self.seen.values()))
            return len(self.seen) ** 2 * abs(o.alpha) * (1 + largest * largest) + largest
        return math.fsum(abs(term) for term in self._terms(everything, self.select.levels))

    def _terms(self, choice: Choice, total: int) -> Iterator[float]:
        o, s, kept = self.objective, self.seen, [k for k, _ in choice]
        pairs = [(i, j) for i in kept for j in kept if i < j]
        if o.name == "selection":
            yield from (o.alpha - s[k] for k in kept)
            yield from (2 * o.alpha * s[i] * s[j] for i, j in pairs)
        elif o.name in ("redundancy", "hard", "boltzmann"):
            yield from (-s[k] for k in kept)
            if o.name == "redundancy" and o.strength:
                yield from (o.strength * self._cosines[i, j] for i, j in pairs)
            if o.name == "boltzmann" and o.couplings is not None:
                yield from (-o.couplings[i][j] for i, j in pairs)
        elif o.name == "sparsemax":
            for k, w in self.weights(choice, total).items():
                yield 0.5 * w * w
                yield -s[k] * w
        else:
            weights = self.weights(choice, total)
            gap = {k: self.shares[k] - weights.get(k, 0.0) for k in s}
            if o.name == "least_squares" and o.of == "weights":
                yield from (g * g for g in gap.values())
                return
            vectors = self._vectors
            for column in range(len(vectors[next(iter(s))])):
                error = math.fsum(gap[k] * vectors[k][column] for k in s)
                yield error * error

    @cached_property
    def _vectors(self) -> dict[int, list[float]]:
        """Return the value vectors about their mean over the row's keys.

        The gaps of soft weights add up to 0, so that only differences matter there as well.
        """
        assert self.problem.values is not None
        vectors = self.problem.vectors(self.problem.values, self.row[0])
        return _about_mean(vectors, list(self.seen))

    @cached_property
    def _cosines(self) -> dict[tuple[int, int], float]:
        """Return the cosine of two keys about the mean of all keys of the head."""
        assert self.problem.keys is not None
        vectors = self.problem.vectors(self.problem.keys, self.row[0])
        units = {}
        for k, about in _about_mean(vectors, list(range(len(vectors)))).items():
            length = math.hypot(*about)
            units[k] = [x / length if length else 0.0 for x in about]
        return {
            (i, j): math.fsum(x * y for x, y in zip(units[i], units[j], strict=True))
            for i, j in product(self.seen, repeat=2)
        }


def _about_mean(vectors: list[list[float]], keys: list[int]) -> dict[int, list[float]]:
    """Return vectors about the mean of theirs, in fractions until the end."""
    columns = range(len(vectors[0]))
    mean = [sum(Fraction(vectors[k][c]) for k in keys) / len(keys) for c in columns]
    return {k: [float(Fraction(vectors[k][c]) - mean[c]) for c in columns] for k in keys}


# -- what rows may select -------------------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    """Rows that share one selection.

    Attributes:
        rows: the objective of each.
        keys: what any of them sees.
        total: what levels add up to, for soft weights.
        energies: what each choice of the block costs, all of its rows together.
    """

    rows: tuple[Costs, ...]
    keys: tuple[int, ...]
    total: int
    energies: dict[Choice, float]

    def seen(self, choice: Choice, row: Costs) -> Choice:
        """Return what of the block's choice a row sees."""
        return tuple((k, level) for k, level in choice if k in row.seen)

    @property
    def scale(self) -> float:
        return math.fsum(row.scale for row in self.rows)


def blocks(problem: Problem) -> list[list[Block]]:
    """Return the blocks of a problem; of each, one for every total that rounding allows."""
    rows = logits(problem)
    leader = {h: group[0] for group in map(sorted, problem.groups) for h in group}
    shared: dict[Row, list[Costs]] = {}
    for (h, q), seen in rows.items():
        if seen:
            name = leader.get(h, h), -1 if problem.queries else q
            shared.setdefault(name, []).append(Costs(problem, (h, q), seen))
    return [list(_blocks(problem, tuple(some))) for some in shared.values()]


def _blocks(problem: Problem, rows: tuple[Costs, ...]) -> Iterator[Block]:
    select = rows[0].select
    keys = tuple(sorted({k for row in rows for k in row.seen}))
    totals = {0} if select.name != "soft" else set.intersection(*(row.totals() for row in rows))
    forced = _flagged(problem, problem.required, rows)
    barred = _flagged(problem, problem.forbidden, rows)
    for total in sorted(totals):
        energies = {}
        for choice in _choices(select, keys, total):
            kept = {k for k, _ in choice}
            if select.name == "at-most" and any(
                len(kept & row.seen.keys()) > select.k for row in rows
            ):
                continue
            if forced <= kept and not barred & kept:
                energies[choice] = math.fsum(
                    row.energy(tuple((k, x) for k, x in choice if k in row.seen), total)
                    for row in rows
                )
        yield Block(rows, keys, total, energies)


def _choices(select: Select, keys: tuple[int, ...], total: int) -> Iterator[Choice]:
    """Yield every selection of keys of the right count; upper bounds and flags are left aside."""
    if select.name == "soft":
        for levels in product(range(select.levels + 1), repeat=len(keys)):
            if sum(levels) == total:
                yield tuple((key, x) for key, x in zip(keys, levels, strict=True) if x)
        return
    for bits in product((0, 1), repeat=len(keys)):
        kept = [key for key, bit in zip(keys, bits, strict=True) if bit]
        if select.name in ("exactly", "one-hot", "leveled") and len(kept) != min(
            select.count, len(keys)
        ):
            continue
        tops = select.levels if select.name == "leveled" and len(keys) > select.k else 0
        for levels in product(range(tops + 1), repeat=len(kept)):
            yield tuple(zip(kept, levels, strict=True))


def _flagged(problem: Problem, flags: Any, rows: tuple[Costs, ...]) -> set[int]:
    """Return the keys that a flag of any row names, among those that row sees."""
    if flags is None:
        return set()
    return {k for row in rows for k in row.seen if entry(flags, problem.shape, (*row.row, k))}


@dataclass(frozen=True)
class Price:
    """What two rows pay for keys that both see; see `Coupling`."""

    rows: tuple[Row, Row]
    kind: str
    price: float


def prices(problem: Problem, some: Iterable[Block]) -> list[Price]:
    """Return what rows of different blocks pay, tied heads by the first of them."""
    rows = {row.row: row for block in some for row in block.rows}
    leader = {h: min(group) for group in problem.groups for h in group}
    stake: dict[Row, float] = {}
    for (h, q), row in rows.items():
        place = leader.get(h, h), q
        stake[place] = stake.get(place, 0.0) + (row.stake if problem.couplings else 0.0)
    found = []
    for coupling in problem.couplings:
        pairs = [tuple(sorted(leader.get(h, h) for h in pair)) for pair in coupling.pairs]
        for (a, b), q in product(dict.fromkeys(pairs), range(problem.shape[1])):
            if (a, q) in rows and (b, q) in rows:
                least = min(stake[a, q], stake[b, q]) if coupling.unit == "exchange" else 1.0
                price = coupling.strength * least
                found.append(Price(((a, q), (b, q)), coupling.kind, price))
    return found


@dataclass(frozen=True)
class Optimum:
    """The best that blocks which depend on each other can do.

    Attributes:
        blocks: which. count: how many keys they keep in all, None without a budget.
        prices: what their rows pay each other.
    """

    blocks: tuple[Block, ...]
    count: int | None
    prices: tuple[Price, ...]

    def energy(self, choices: tuple[Choice, ...]) -> float:
        """Return what the blocks pay, one choice each."""
        kept = {
            row.row: {k for k, _ in block.seen(choice, row)}
            for block, choice in zip(self.blocks, choices, strict=True)
            for row in block.rows
        }
        seen = {row.row: row.seen.keys() for block in self.blocks for row in block.rows}
        terms = [b.energies[choice] for b, choice in zip(self.blocks, choices, strict=True)]
        for p in self.prices:
            a, b = p.rows
            joint = kept[a] & kept[b] if p.kind == "shared" else kept[a] ^ kept[b]
            terms.append(p.price * len(joint & seen[a] & seen[b]))
        return math.fsum(terms)

    @cached_property
    def best(self) -> float:
        """The least energy; infinite where nothing serves."""
        if self.count is None:
            choices = product(*(block.energies for block in self.blocks))
            return min(map(self.energy, choices), default=math.inf)
        # Least energy of the blocks so far, by the number of keys they keep.
        best = {0: 0.0}
        for block in self.blocks:
            merged: dict[int, float] = {}
            for (count, energy), (choice, cost) in product(best.items(), block.energies.items()):
                size = count + len(choice)
                merged[size] = min(merged.get(size, math.inf), energy + cost)
            best = merged
        return best.get(self.count, math.inf)

    @property
    def scale(self) -> float:
        keys = max(len(block.keys) for block in self.blocks)
        paid = math.fsum(abs(p.price) * keys for p in self.prices)
        return math.fsum(block.scale for block in self.blocks) + paid


def optima(problem: Problem, some: Iterable[Block]) -> list[Optimum]:
    """Return the optimum of each set of blocks that depend on each other."""
    some = list(some)
    paid = prices(problem, some)
    name: dict[Row, object] = {}
    for number, block in enumerate(some):
        select, head = block.rows[0].select, block.rows[0].row[0]
        own: object = number
        if select.name == "budget":
            leads = [min(group) for group in problem.groups if head in group]
            own = (select, -1 if select.over == "all" else min([head, *leads]))
        name |= {row.row: own for row in block.rows}
    for p in paid:
        old, new = (name[row] for row in p.rows)
        name = {row: new if own == old else own for row, own in name.items()}
    apart: dict[object, list[Block]] = {}
    for block in some:
        apart.setdefault(name[block.rows[0].row], []).append(block)
    return [
        Optimum(tuple(group), _count(group), tuple(p for p in paid if name[p.rows[0]] == own))
        for own, group in apart.items()
    ]


def _count(group: list[Block]) -> int | None:
    select = group[0].rows[0].select
    if select.name != "budget":
        return None
    return min(select.k, sum(len(block.keys) for block in group))


# -- what is no problem ---------------------------------------------------------------------------


def refusal(problem: Problem) -> list[tuple[str, str]]:
    """Return why a problem must be refused: names of errors, and a word of the message."""
    rows = logits(problem)
    reasons = _contradictions(problem, rows)
    if _are_probabilities(problem):
        reasons.append(("InputError", "probabilities"))
    for seen in rows.values():
        if any(math.isnan(s) or s == math.inf for s in seen.values()):
            reasons.append(("InputError", "score"))
    for name, vectors in (("values", problem.values), ("keys", problem.keys)):
        if vectors is not None:
            for (h, _), seen in rows.items():
                if any(not math.isfinite(x) for k in seen for x in problem.vectors(vectors, h)[k]):
                    reasons.append(("InputError", name))
    for o, select in zip(problem.objectives, problem.selects, strict=True):
        if o.soft != (select.name == "soft") or (select.name == "leveled") > (o.name == "output"):
            reasons.append(("InputError", "SoftWeights"))
        if (o.name == "output" or (o.soft and o.of == "output")) and problem.values is None:
            reasons.append(("InputError", "values"))
        if o.name == "redundancy" and problem.keys is None:
            reasons.append(("InputError", "keys"))
    return reasons or _unfit(problem)


def _are_probabilities(problem: Problem) -> bool:
    """Return whether scores, as they are given, look like what softmax returns.

    Every row adds up to 1 within a hundredth, no entry is negative, and some row shares the 1 out.
    """
    scores, shares, sees = problem.scores, False, False
    for h, q in product(range(problem.shape[0]), range(problem.shape[1])):
        row = [
            s
            for k, s in enumerate(scores[h][q])
            if s != -math.inf and not (problem.masked is not None and problem.masked[h][q][k])
        ]
        if not row:
            continue
        sees = True
        if not (all(0 <= s <= 1.01 for s in row) and abs(math.fsum(row) - 1) <= 0.01):
            return False
        shares = shares or sum(0 < s < 1 for s in row) > 1
    return sees and shares


def _contradictions(problem: Problem, rows: dict[Row, dict[int, float]]) -> list[tuple[str, str]]:
    """Return which keys cannot be kept as is required."""
    reasons: list[tuple[str, str]] = []
    for (h, q), seen in rows.items():
        for k in range(problem.shape[2]):
            must, must_not = (
                flags is not None and entry(flags, problem.shape, (h, q, k))
                for flags in (problem.required, problem.forbidden)
            )
            soft = problem.selects[h].name == "soft" and problem.selects[h].levels > 1
            if must and (k not in seen or must_not or soft):
                reasons.append(("InputError", "required"))
    return reasons


def _unfit(problem: Problem) -> list[tuple[str, str]]:
    """Return which ties and counts cannot hold together."""
    reasons: list[tuple[str, str]] = []
    some = blocks(problem)
    for alternatives in some:
        if not alternatives:
            # Tied rows of different totals; the package may see first what is required of them.
            flagged = [("InputError", "required")] if problem.required is not None else []
            return [("InfeasibleError", ""), ("PassError", ""), *flagged]
        shared = alternatives[0].rows
        forced, barred = (
            _flagged(problem, flags, shared) for flags in (problem.required, problem.forbidden)
        )
        if forced & barred:
            reasons.append(("InputError", "required"))
        select = shared[0].select
        counted = {tuple(row.seen) for row in shared if len(row.seen) > select.k}
        if select.name not in ("at-most", "free", "budget"):
            counted = {tuple(row.seen) for row in shared}
        if select.name not in ("free", "budget") and len(counted) > 1:
            reasons.append(("PassError", "see"))
    first = [alternatives[0] for alternatives in some]
    none = any(not block.energies for block in first)
    if none or (not reasons and any(part.best == math.inf for part in optima(problem, first))):
        reasons += [("InfeasibleError", ""), ("InputError", "required")]
    return reasons


def wavers(problem: Problem) -> bool:
    """Return whether rounding decides if the levels of tied rows add up to one number."""
    if not (problem.groups or problem.queries):
        return False
    soft = [select.name == "soft" for select in problem.selects]
    rows = logits(problem)
    return any(
        len(Costs(problem, row, seen).totals()) > 1
        for row, seen in rows.items()
        if seen and soft[row[0]]
    )


def overflows(problem: Problem) -> bool:
    """Return whether coefficients are beyond what float64 can add up and price."""
    rows = [row for some in blocks(problem) for block in some[:1] for row in block.rows]
    return any(not row.scale < LARGEST for row in rows)


def rounds(problem: Problem) -> bool:
    """Return whether rounding decides: a key vector lies next to the mean, in no sure direction."""
    for head, objective in enumerate(problem.objectives):
        if objective.name == "redundancy" and problem.keys is not None:
            vectors = problem.vectors(problem.keys, head)
            about = _about_mean(vectors, list(range(len(vectors))))
            largest = max(math.hypot(*vector) for vector in vectors)
            if any(0 < math.hypot(*vector) < CLOSE_BY * largest for vector in about.values()):
                return True
    return False
