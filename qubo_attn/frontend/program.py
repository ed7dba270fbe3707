"""Programs of checked attention: one variable per visible key, constraints per row."""

from __future__ import annotations

from typing import NamedTuple, cast

import numpy as np

from qubo_attn.common.arrays import Bools, Longs, numbers_to, own_array, segment_ids
from qubo_attn.errors import InputError
from qubo_attn.frontend.attention import Attention, Rows
from qubo_attn.frontend.objectives import Objective, Output, SoftObjective
from qubo_attn.frontend.select import Budget, Select, SoftWeights
from qubo_attn.frontend.sizes import check_scores
from qubo_attn.frontend.start import needs_start, with_start
from qubo_attn.ir.columns import Constraints, Kind, Role, Sense, Variables
from qubo_attn.ir.joined import joined
from qubo_attn.ir.program import Program
from qubo_attn.ir.quadratic import Quadratic
from qubo_attn.ir.ties import Ties


def build_program(
    attention: Attention,
    objectives: tuple[Objective, ...],
    selects: tuple[Select, ...],
    ties: Ties | None = None,
) -> Program:
    """Return the program of the rows, each by itself.

    Rows that see no key (padding queries) carry no variables and no constraint. What rows share
    comes after: `add_budgets`, `add_required`, `couple`.

    Args:
        attention: checked input.
        objectives, selects: one per head.
        ties: of heads and queries, if any: tied rows start from one selection, where an objective
            starts from any.

    Raises:
        InputError: an objective and a select that do not go together; names them.
    """
    _check_pairs(objectives, selects)
    rows = attention.rows
    leveled = _leveled_entries(rows, selects)
    if needs_start(objectives):
        rows = with_start(attention, objectives, selects, ties or Ties())
    groups = _groups(rows, objectives, selects)
    counts = np.empty(len(rows), np.int64)
    for group in groups:
        check_scores(attention, group.rows)
        counts[group.row_mask] = _counts(attention, group)
    form = _objective(attention, groups, counts, leveled)
    # No field is minus zero: what later passes add would change its sign bit in some rows only.
    form = Quadratic(form.offset, own_array(form.linear + 0.0), couplers=form.couplers)
    return Program(
        _variables(rows, selects, leveled),
        form,
        Constraints.concatenate([_picks(rows, selects, counts), _gates(rows, selects, leveled)]),
    )


def row_variables(attention: Attention, selects: tuple[Select, ...]) -> Variables:
    """Return the variables of `build_program`, whatever the objectives are."""
    return _variables(attention.rows, selects, _leveled_entries(attention.rows, selects))


def add_budgets(program: Program, selects: tuple[Select, ...], ties: Ties) -> Program:
    """Return the program with one constraint per budget, in which merged variables count once.

    Args:
        program: of the rows.
        selects: one per head.
        ties: of heads and queries; a budget counts what they merge once.
    """
    budgets = [select if isinstance(select, Budget) else None for select in selects]
    if not any(budgets):
        return program
    lead_head = ties.leading_heads(len(selects))
    first = np.flatnonzero(ties.leaders(program.variables) == numbers_to(len(program) + 1)[:-1])
    head = lead_head[program.variables.head[first]]
    parts = [program.constraints]
    for budget in dict.fromkeys(filter(None, budgets)):
        heads = sorted({int(lead_head[h]) for h, other in enumerate(budgets) if other == budget})
        for sharers in [heads] if budget.over == "all" else [[h] for h in heads]:
            var = first[np.isin(head, sharers)]
            if not len(var):
                continue
            constraint = Constraints.over(
                np.array([0, len(var)]),
                var,
                sense=Sense.EQ,
                rhs=min(budget.k, len(var)),
                kind=Kind.BUDGET,
                head=-1 if budget.over == "all" else sharers[0],
                query=-1,
            )
            parts.append(constraint)
    return program.replace(constraints=Constraints.concatenate(parts))


class _Group(NamedTuple):
    """Heads that ask for the same.

    Attributes:
        objective, select: what they ask for.
        row_mask: which rows are theirs, bool, one entry per row of the attention.
        rows: these rows.
    """

    objective: Objective
    select: Select
    row_mask: Bools
    rows: Rows


def _groups(
    rows: Rows, objectives: tuple[Objective, ...], selects: tuple[Select, ...]
) -> list[_Group]:
    """Return the groups in the order of their first heads."""
    pairs = list(zip(objectives, selects, strict=True))
    kinds = list(dict.fromkeys(pairs))
    if len(kinds) == 1:
        return [_Group(*kinds[0], np.ones(len(rows), bool), rows)]
    kind = np.array([kinds.index(pair) for pair in pairs])[rows.head]
    return [_Group(*pair, kind == n, rows.take(kind == n)) for n, pair in enumerate(kinds)]


def _check_pairs(objectives: tuple[Objective, ...], selects: tuple[Select, ...]) -> None:
    for head, (objective, select) in enumerate(zip(objectives, selects, strict=True)):
        if _leveled_keys(select):
            if not hasattr(objective, "leveled"):
                raise InputError(
                    f"objective {objective.name!r} of head {head} takes no SoftWeights of "
                    f"k = {_leveled_keys(select)} keys; 'output' does",
                    head=head,
                )
            continue
        soft = isinstance(select, SoftWeights)
        if objective.soft != soft:
            need = "SoftWeights" if objective.soft else "a selection such as ExactlyK"
            hint = " without k" if soft else ""
            raise InputError(
                f"objective {objective.name!r} of head {head} needs select={need}, "
                f"not {type(select).__name__}{hint}",
                head=head,
            )


def _leveled_keys(select: Select) -> int:
    """Return k of `SoftWeights` of k keys, whose keys have levels; 0 of any other select."""
    return (isinstance(select, SoftWeights) and select.k) or 0


def _leveled_entries(rows: Rows, selects: tuple[Select, ...]) -> Longs:
    """Return the entries of ``rows`` that have a level besides their selection.

    They are those of heads with `SoftWeights` of k keys, in rows that see more than k.
    """
    k = np.array([_leveled_keys(select) for select in selects], np.int64)
    if not k.any():
        return np.zeros(0, np.int64)
    row_has_levels = (k > 0)[rows.head] & (rows.sizes > k[rows.head])
    return np.flatnonzero(row_has_levels[segment_ids(rows.ptr)])


def _counts(attention: Attention, group: _Group) -> Longs:
    """Return the sum of each row: keys to keep or, for soft weights, levels to give out."""
    rows, select = group.rows, group.select
    if not isinstance(select, SoftWeights) or select.k is not None:
        return select.counts(rows.sizes)
    if select.scale == "unit":
        return np.full(len(rows), select.levels)
    row = segment_ids(rows.ptr)
    wanted = cast(SoftObjective, group.objective).wanted(attention, rows)
    room = select.levels * rows.sizes
    if attention.forbidden is not None:
        # What forbidden keys would have had goes to the others in proportion.
        # Rows are in the order of all rows: those of these heads are left.
        heads = np.zeros(attention.shape[0], bool)
        heads[rows.head] = True
        every = attention.rows
        own = np.repeat(heads[every.head], every.sizes)
        open_ = ~attention.entries(attention.forbidden)[own]
        wanted = np.where(open_, wanted, 0.0)
        total = np.bincount(row, weights=wanted, minlength=len(rows))
        wanted = wanted / np.where(total > 0, total, 1.0)[row]
        room = select.levels * np.bincount(row[open_], minlength=len(rows))
    largest = np.zeros(len(rows))
    np.maximum.at(largest, row, wanted)
    # Keys that would get nothing share out the levels of one.
    largest = np.where(largest > 0, largest, 1.0)
    levels = np.rint(select.levels / largest)
    return np.maximum(np.minimum(levels, room), 1).astype(np.int64)


def _variables(rows: Rows, selects: tuple[Select, ...], leveled: Longs) -> Variables:
    """Return a variable for each entry of ``rows``, then the levels of those that have one."""
    row = segment_ids(rows.ptr)
    head, query, key, mass = rows.head[row], rows.query[row], rows.key, rows.mass
    # Of a head's entries: weights on levels, or selections, whose levels come after them.
    soft = np.array([isinstance(select, SoftWeights) and select.k is None for select in selects])
    levels = np.array([select.levels for select in selects], np.int32)
    upper = np.where(soft, levels, np.int32(1))[head]
    role = np.where(soft, np.uint8(Role.WEIGHT), np.uint8(Role.SELECT))[head]
    if len(leveled):
        upper = np.concatenate([upper, levels[head[leveled]]])
        role = np.concatenate([role, np.full(len(leveled), Role.WEIGHT, np.uint8)])
        mass = np.concatenate([mass, np.full(len(leveled), np.nan)])
        head, query, key = (
            np.concatenate([column, column[leveled]]) for column in (head, query, key)
        )
    bit = np.full(len(head), -1, np.int32)
    columns = (head, query, key, bit, upper, role, mass)
    return Variables(*(own_array(column) for column in columns))


def _objective(
    attention: Attention, groups: list[_Group], counts: Longs, leveled: Longs
) -> Quadratic:
    """Return the forms of all groups as one, over the variables of all rows."""
    if len(groups) == 1:
        return _form(attention, groups[0], counts, leveled)
    row = segment_ids(attention.rows.ptr)
    forms, places = [], []
    for group in groups:
        own = group.row_mask[row]
        levels = own[leveled]
        mine = (np.cumsum(own) - 1)[leveled[levels]]
        forms.append(_form(attention, group, counts[group.row_mask], mine))
        places.append(np.concatenate([np.flatnonzero(own), len(row) + np.flatnonzero(levels)]))
    return joined(tuple(forms), tuple(places), len(row) + len(leveled))


def _form(attention: Attention, group: _Group, counts: Longs, leveled: Longs) -> Quadratic:
    """Return the form of a group over its entries and the levels of those that have one."""
    objective, select, _, rows = group
    k = _leveled_keys(select)
    # What a head asks for decides, not whether any of its rows sees enough keys for levels.
    if k:
        return cast(Output, objective).leveled(attention, rows, leveled, k, select.levels)
    form = objective.coefficients(attention, rows)
    if not objective.soft:
        return form
    # From real weights to levels: w = level / (sum of levels).
    step = (1.0 / counts)[segment_ids(rows.ptr)]
    bias = form.bias * step[form.i] * step[form.j]
    form = Quadratic(form.offset, form.linear * step, form.i, form.j, bias)
    if select.levels > 1:
        return form
    # The square of a bit is the bit.
    square = form.i == form.j
    added = np.bincount(form.i[square], weights=form.bias[square], minlength=len(form.linear))
    return Quadratic(
        form.offset, form.linear + added, form.i[~square], form.j[~square], form.bias[~square]
    )


def _picks(rows: Rows, selects: tuple[Select, ...], counts: Longs) -> Constraints:
    """Return one constraint for each row with a count; bounds that always hold are left out."""
    senses = [-1 if select.sense is None else select.sense for select in selects]
    sense = np.array(senses)[rows.head]
    picks = Constraints.over(
        rows.ptr,
        numbers_to(len(rows.key) + 1)[:-1],
        sense=np.maximum(sense, 0),
        rhs=counts,
        kind=Kind.PICK,
        head=rows.head,
        query=rows.query,
    )
    return picks.take((sense == Sense.EQ) | ((sense == Sense.LE) & (counts < rows.sizes)))


def _gates(rows: Rows, selects: tuple[Select, ...], leveled: Longs) -> Constraints:
    """Return ``x - levels z <= 0`` for each key with a level: zero unless it is selected."""
    if not len(leveled):
        return Constraints.none()
    row, count = segment_ids(rows.ptr)[leveled], len(leveled)
    levels = np.array([select.levels for select in selects])[rows.head[row]]
    level = len(rows.key) + np.arange(count)
    return Constraints.over(
        2 * np.arange(count + 1),
        np.stack([leveled, level], axis=1).ravel(),
        np.stack([-levels, np.ones(count)], axis=1).ravel(),
        sense=Sense.LE,
        rhs=0.0,
        kind=Kind.GATE,
        head=rows.head[row],
        query=rows.query[row],
        key=rows.key[leveled],
    )
