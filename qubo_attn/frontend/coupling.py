"""Couplings of heads: prices, or gains, of keeping the same key in heads of one query.

    diversity   + s u z[h,q,i] z[g,q,i]        for every pair (h, g), query q and key i that
    agreement   - s u z[h,q,i] z[g,q,i]        both heads see

s is the strength and u the unit of the two rows. With ``unit="exchange"`` u measures what is at
stake. For each row, take the mean linear coefficient of its next best k keys minus the mean of its
best k keys; u is the smaller of the two rows' values. So at strength 1 a head that gives way pays
on average about what sharing costs, and the head to which the choice matters more is never pushed
by more than the other one's stakes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import ClassVar, Literal

import numpy as np

from qubo_attn.common.arrays import Floats, Longs
from qubo_attn.common.checks import MOST_UNITS, number, one_of, several, shown, whole
from qubo_attn.common.keywords import named_fields
from qubo_attn.common.words import plural
from qubo_attn.errors import InputError
from qubo_attn.ir.added import with_couplers
from qubo_attn.ir.columns import Role
from qubo_attn.ir.heads import (
    Cells,
    cells,
    exchange_prices,
    greedy_path,
    overlaps,
    row_counts,
    shared_keys,
)
from qubo_attn.ir.program import Program
from qubo_attn.ir.ties import Groups, Ties, head_groups

GRAPHS = ("path", "overlap", "all")


@dataclass(frozen=True)
class Coupling:
    """A price on keys that two heads of one query both keep; use `Diversity` or `Agreement`.

    Attributes:
        strength: price of one shared key in units, at least 0.
        pairs: which heads are coupled. ``"path"``, each head to the next, costs about as many
            qubits as separate heads. ``"overlap"`` is also a path, through the heads whose keys of
            largest mass overlap most. ``"all"`` costs nearly a clique. Or pairs of heads.
        unit: ``"exchange"`` (see the module) or ``"energy"``, energy units.
        groups: heads within which ``pairs`` are formed; all heads in one group when None. Tied
            heads count as one, whose stakes add up.
    """

    strength: float = 1.0
    pairs: Literal["path", "overlap", "all"] | tuple[tuple[int, int], ...] = "path"
    unit: Literal["exchange", "energy"] = "exchange"
    groups: Groups | None = None

    sign: ClassVar[float]

    def __post_init__(self) -> None:
        name = type(self).__name__
        object.__setattr__(self, "strength", number("strength", self.strength, 0, MOST_UNITS))
        one_of("unit", self.unit, ("exchange", "energy"))
        if isinstance(self.pairs, str):
            one_of("pairs", self.pairs, GRAPHS)
        else:
            object.__setattr__(self, "pairs", _pairs(name, self.pairs))
            if self.groups is not None:
                raise InputError(f"give pairs of heads or groups to {name}, not both", pairs=name)
        if self.groups is not None:
            object.__setattr__(self, "groups", head_groups(name, self.groups))
            alone = [group for group in self.groups if len(group) < 2]
            if alone:
                raise InputError(
                    f"{name} has a group of less than two heads: {alone[0]}", group=alone[0]
                )

    @property
    def heads(self) -> tuple[int, ...]:
        """The heads it names; none where it is for all."""
        named = self.groups if isinstance(self.pairs, str) else self.pairs
        return tuple(sorted({head for part in named or () for head in part}))


@named_fields
@dataclass(frozen=True)
class Diversity(Coupling):
    """Heads pay for keeping the same key; see `Coupling` for the options.

    Example:
        >>> import numpy as np, qubo_attn as qa
        >>> scores = np.array([[[2.0, 1.9, 0.0]], [[2.1, 1.5, 0.0]]])
        >>> options = {"select": qa.OneHot(), "objective": "hard", "target": None}
        >>> qa.compile(scores, 2, **options).solve(seed=1).selected[:, 0].argmax(axis=1)
        array([0, 0])
        >>> coupled = qa.compile(scores, 2, coupling=qa.Diversity(2.0), **options)
        >>> coupled.solve(seed=1).selected[:, 0].argmax(axis=1)
        array([1, 0])
    """

    sign: ClassVar[float] = 1.0


@named_fields
@dataclass(frozen=True)
class Agreement(Coupling):
    """Heads gain by keeping the same key; see `Coupling` for the options.

    Unlike a soft tie it also rewards a head for keeping keys at all, where it may.

    Example:
        >>> from qubo_attn import Agreement
        >>> Agreement(0.5, pairs=[(2, 0), (0, 1)]).pairs
        ((0, 2), (0, 1))
    """

    sign: ClassVar[float] = -1.0


def couple(
    program: Program, couplings: Sequence[Coupling], count: int, ties: Ties
) -> tuple[Program, tuple[str, ...]]:
    """Return the program with couplings added to its objective, and a note on each.

    Args:
        program: of the front end, every key of every row still there.
        couplings: what to add.
        count: number of heads.
        ties: of heads; tied heads count as one.

    Raises:
        InputError: pairs of heads that cannot be coupled; names them.
    """
    if not couplings:
        return program, ()
    table, o = cells(program.variables), program.objective
    counts, leader = row_counts(program, table), ties.leading_heads(count)
    price = exchange_prices(table, o.linear, counts)
    stake = np.zeros_like(price)
    np.add.at(stake, leader[: len(price)], price)
    terms, notes = [], []
    for coupling in couplings:
        _check_count(coupling, count)
        pairs = _head_pairs(program, coupling, leader, table, counts)
        _check_roles(program, coupling, pairs)
        rows, u, v = shared_keys(table, [pair for pair in pairs if max(pair) < table.shape[0]])
        unit = np.ones(len(u))
        if coupling.unit == "exchange":
            first, second, query = rows
            unit = np.minimum(stake[first, query], stake[second, query])
        terms.append((u, v, coupling.sign * coupling.strength * unit))
        notes.append(_note(coupling, pairs, len(u)))
    u, v, bias = (np.concatenate(columns) for columns in zip(*terms, strict=True))
    return program.replace(objective=with_couplers(o, (u, v, bias))), tuple(notes)


def _head_pairs(
    program: Program, coupling: Coupling, leader: Longs, table: Cells, counts: Longs
) -> list[tuple[int, int]]:
    """Return the pairs of leading heads that a coupling means."""
    if not isinstance(coupling.pairs, str):
        ends = [tuple(sorted(leader[list(pair)].tolist())) for pair in coupling.pairs]
        for pair, (first, second) in zip(coupling.pairs, ends, strict=True):
            if first == second:
                raise InputError(
                    f"heads {pair[0]} and {pair[1]} are tied and always keep the same keys: drop "
                    f"the pair from {type(coupling).__name__} or untie them",
                    heads=pair,
                )
        return list(dict.fromkeys((first, second) for first, second in ends))
    pairs: list[tuple[int, int]] = []
    groups = coupling.groups if coupling.groups is not None else (range(len(leader)),)
    for group in groups:
        heads = list(dict.fromkeys(leader[list(group)].tolist()))
        if coupling.pairs == "path":
            pairs += pairwise(heads)
        elif coupling.pairs == "all":
            pairs += combinations(heads, 2)
        elif len(heads) > 1:
            likeness = _likeness(program, table, counts, heads)
            pairs += [(heads[first], heads[second]) for first, second in greedy_path(likeness)]
    return pairs


def _likeness(program: Program, table: Cells, counts: Longs, heads: list[int]) -> Floats:
    """Return how far the top keys of heads overlap; 0 for heads beyond the table."""
    inside = [head for head in heads if head < table.shape[0]]
    likeness = np.zeros((len(heads), len(heads)))
    mass = program.variables.mass[table.var]
    likeness[: len(inside), : len(inside)] = overlaps(table, mass, counts, inside)
    return likeness


def _note(coupling: Coupling, pairs: list[tuple[int, int]], couplers: int) -> str:
    shown = " ".join(f"{h}-{g}" for h, g in pairs[:12]) + (" .." if len(pairs) > 12 else "")
    name = type(coupling).__name__.lower()
    return f"{name} {coupling.strength:g} of heads {shown}: {plural(couplers, 'coupler', 'd')}"


def _check_count(coupling: Coupling, count: int) -> None:
    """Reject heads that there are not."""
    name = type(coupling).__name__
    beyond = [head for head in coupling.heads if head >= count]
    if beyond:
        raise InputError(f"{name} names head {beyond[0]}, but there are {count}", head=beyond[0])
    if count < 2:
        raise InputError(f"{name} couples heads, but there is only one", heads=count)


def _check_roles(program: Program, coupling: Coupling, pairs: list[tuple[int, int]]) -> None:
    """Reject heads that give out weights: there is no keeping the same key."""
    v = program.variables
    weights = set(np.unique(v.head[v.role == Role.WEIGHT]).tolist())
    soft = sorted(weights & {head for pair in pairs for head in pair})
    if soft:
        raise InputError(
            f"{type(coupling).__name__} couples head {soft[0]}, which gives out soft weights: only "
            "heads that keep keys or not can be coupled; name the others in pairs= or groups=",
            head=soft[0],
        )


def _pairs(name: str, pairs: object) -> tuple[tuple[int, ...], ...]:
    """Return checked pairs, the lower head first."""
    try:
        checked = [
            tuple(sorted(whole(f"a head of {name}", head) for head in several("a pair", pair)))
            for pair in several("pairs", pairs)
        ]
    except InputError as error:
        raise InputError(
            f"pairs of {name} must be one of {', '.join(GRAPHS)}, or pairs of heads, not "
            f"{shown(pairs)} ({error})",
            argument="pairs",
            pairs=pairs,
        ) from None
    for pair in checked:
        if len(set(pair)) != 2 or len(pair) != 2:
            raise InputError(f"{name} needs pairs of two different heads, not {pair}", pair=pair)
        if checked.count(pair) > 1:
            raise InputError(f"{name} names heads {pair[0]} and {pair[1]} twice", pair=pair)
    return tuple(checked)
