"""Checked attention to the first program: one variable per visible key, constraints per row."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from qubo_attn.common.arrays import Longs, own_array, segment_ids
from qubo_attn.errors import InputError
from qubo_attn.frontend.attention import Attention, Rows
from qubo_attn.frontend.objectives import Objective, Output, SoftObjective
from qubo_attn.frontend.objectives.output import level_weights
from qubo_attn.frontend.required import wishes
from qubo_attn.frontend.select import Budget, Select, SoftWeights
from qubo_attn.ir.columns import Constraints, Kind, Role, Sense, Variables
from qubo_attn.ir.program import Program
from qubo_attn.ir.quadratic import Quadratic

if TYPE_CHECKING:
    from qubo_attn.passes import TieVariables


def build_program(
    attention: Attention,
    objectives: tuple[Objective, ...],
    selects: tuple[Select, ...],
    tie: TieVariables | None = None,
) -> Program:
    """Return the program before any pass.

    Rows that see no key (padding queries) carry no variables and no constraint.

    Args:
        attention: checked input.
        objectives, selects: one per head.
        tie: the tying that will follow; a budget counts what it merges once.

    Raises:
        InputError: an objective and a select that do not go together, or required keys that
            contradict forbidden ones, a count or a budget; names them.
    """
    rows = attention.rows
    _check_pairs(objectives, selects)
    counts = kept_counts(attention, rows, objectives, selects)
    levels = np.array([select.levels for select in selects], np.int64)
    bare = Program(
        _variables(rows, levels, selects),
        _objective(attention, rows, objectives, selects, counts),
        Constraints.concatenate([_picks(rows, selects, counts), _gates(rows, selects)]),
    )
    leader, owner = np.arange(len(bare)), np.arange(len(selects))
    if tie is not None:
        tie = tie.resolved(bare)
        leader, owner = tie.leaders(bare.variables), tie.leading_heads(len(selects))
    budgets = _budgets(bare, selects, leader, owner)
    program = bare.replace(constraints=Constraints.concatenate([bare.constraints, budgets]))
    keeps = wishes(program, attention, leader)
    return program.replace(constraints=Constraints.concatenate([program.constraints, keeps]))


def kept_counts(
    attention: Attention,
    rows: Rows,
    objectives: tuple[Objective, ...],
    selects: tuple[Select, ...],
) -> Longs:
    """Return what each row adds up to: keys to keep or, for soft weights, levels to give out."""
    groups = _groups(objectives, selects)
    if len(groups) == 1 and not isinstance(selects[0], SoftWeights):
        counts = np.empty(len(rows), np.int64)
        counts[:] = selects[0].counts(rows.sizes)
        return counts
    counts = np.zeros(len(rows), np.int64)
    for objective, select, heads in groups:
        mine = np.isin(rows.head, heads)
        if isinstance(select, SoftWeights) and select.scale == "unit" and select.k is None:
            counts[mine] = select.levels
        elif isinstance(select, SoftWeights) and select.k is None:
            part = rows.of_heads(heads)
            wanted = cast(SoftObjective, objective).wanted(attention, part)
            largest = np.zeros(len(part))
            np.maximum.at(largest, segment_ids(part.ptr), wanted)
            whole = np.rint(select.levels / np.maximum(largest, 1e-300))
            counts[mine] = np.clip(whole, 1, select.levels * part.sizes).astype(np.int64)
        else:
            counts[mine] = select.counts(rows.sizes[mine])
    return counts


def leveled_entries(rows: Rows, selects: tuple[Select, ...]) -> Longs:
    """Return the entries of ``rows`` that have a level besides their selection.

    They are those of heads with `SoftWeights` of k keys, in rows that see more than k.
    """
    k = np.array([(isinstance(s, SoftWeights) and s.k) or 0 for s in selects], np.int64)
    if not k.any():
        return np.zeros(0, np.int64)
    mine = (k > 0)[rows.head] & (rows.sizes > k[rows.head])
    return np.flatnonzero(mine[segment_ids(rows.ptr)])


def _groups(
    objectives: tuple[Objective, ...], selects: tuple[Select, ...]
) -> list[tuple[Objective, Select, list[int]]]:
    """Return each pair of objective and select with the heads that ask for it."""
    pairs = list(zip(objectives, selects, strict=True))
    return [
        (*pair, [head for head, other in enumerate(pairs) if other == pair])
        for pair in dict.fromkeys(pairs)
    ]


def _check_pairs(objectives: tuple[Objective, ...], selects: tuple[Select, ...]) -> None:
    for head, (objective, select) in enumerate(zip(objectives, selects, strict=True)):
        soft = isinstance(select, SoftWeights)
        if isinstance(select, SoftWeights) and select.k is not None:
            if not hasattr(objective, "leveled"):
                raise InputError(
                    f"objective {objective.name!r} of head {head} takes no SoftWeights of "
                    f"k = {select.k} keys; 'output' does",
                    head=head,
                )
        elif objective.soft != soft:
            need = "SoftWeights" if objective.soft else "a selection such as ExactlyK"
            hint = " without k" if soft else ""
            raise InputError(
                f"objective {objective.name!r} of head {head} needs select={need}, "
                f"not {type(select).__name__}{hint}",
                head=head,
            )


def _variables(rows: Rows, levels: Longs, selects: tuple[Select, ...]) -> Variables:
    """Return a variable for each entry of ``rows``, then the levels of those that have one."""
    row, n = segment_ids(rows.ptr), len(rows.key)
    soft = np.array([isinstance(select, SoftWeights) for select in selects])
    kept = np.array([getattr(select, "k", None) is not None for select in selects])
    head = rows.head[row]
    extra = leveled_entries(rows, selects)
    if not soft.any():
        return Variables(
            head=own_array(head),
            query=own_array(rows.query[row]),
            key=rows.key,
            bit=own_array(np.full(n, -1, np.int32)),
            upper=own_array(np.ones(n, np.int32)),
            role=own_array(np.full(n, Role.SELECT, np.uint8)),
            mass=rows.mass,
        )
    entry = np.concatenate([np.arange(n), extra])
    weight = np.concatenate([(soft & ~kept)[head], np.ones(len(extra), bool)])
    return Variables(
        head=head[entry],
        query=rows.query[row][entry],
        key=rows.key[entry],
        bit=np.full(len(entry), -1),
        upper=np.where(weight, levels[head[entry]], 1),
        role=np.where(weight, Role.WEIGHT, Role.SELECT),
        mass=np.concatenate([rows.mass, np.full(len(extra), np.nan)]),
    )


def _objective(
    attention: Attention,
    rows: Rows,
    objectives: tuple[Objective, ...],
    selects: tuple[Select, ...],
    counts: Longs,
) -> Quadratic:
    groups = _groups(objectives, selects)
    extra = leveled_entries(rows, selects)
    if len(groups) == 1 and not len(extra):
        form = groups[0][0].coefficients(attention, rows)
        if groups[0][0].soft:
            form = _scaled(form, rows, counts, groups[0][1].levels)
        return form
    n = len(rows.key)
    level = np.full(n, -1, np.int64)
    level[extra] = n + np.arange(len(extra))
    offset, linear = 0.0, np.zeros(n + len(extra))
    parts = []
    for objective, select, heads in groups:
        mine = np.isin(rows.head, heads)
        place = np.flatnonzero(mine[segment_ids(rows.ptr)])
        part = rows.of_heads(heads)
        if isinstance(select, SoftWeights) and select.k is not None:
            weights = level_weights(part, select.k, select.levels)
            form = cast(Output, objective).leveled(attention, part, *weights)
            if select.levels == 1:
                form = _folded(form)
            place = np.concatenate([place, level[place]])
        else:
            form = objective.coefficients(attention, part)
        if objective.soft:
            form = _scaled(form, part, counts[mine], select.levels)
        offset += form.offset
        linear[place[place >= 0]] = form.linear[place >= 0]
        parts.append((place[form.i], place[form.j], form.bias))
    i, j, bias = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    order = np.lexsort((j, i))
    return Quadratic(offset, linear, i[order], j[order], bias[order])


def _scaled(form: Quadratic, rows: Rows, counts: Longs, levels: int) -> Quadratic:
    """Return a form over real weights as one over levels, ``w = level / (sum of levels)``."""
    step = (1.0 / counts)[segment_ids(rows.ptr)]
    linear, i, j = form.linear * step, form.i, form.j
    bias = form.bias * step[i] * step[j]
    scaled = Quadratic(form.offset, linear, i, j, bias)
    return _folded(scaled) if levels == 1 else scaled


def _folded(form: Quadratic) -> Quadratic:
    """Return a form over bits without squares: a bit is its own."""
    square = form.i == form.j
    added = np.bincount(form.i[square], weights=form.bias[square], minlength=len(form.linear))
    return Quadratic(
        form.offset, form.linear + added, form.i[~square], form.j[~square], form.bias[~square]
    )


def _picks(rows: Rows, selects: tuple[Select, ...], counts: Longs) -> Constraints:
    """Return one constraint for each row with a count of its own; bounds that always hold go."""
    sense = np.array([-1 if select.sense is None else select.sense for select in selects])
    mine = sense[rows.head]
    wanted = (mine == Sense.EQ) | ((mine == Sense.LE) & (counts < rows.sizes))
    every = Constraints.over(
        rows.ptr,
        np.arange(len(rows.key)),
        sense=np.maximum(mine, 0),
        rhs=counts,
        kind=Kind.PICK,
        head=rows.head,
        query=rows.query,
    )
    return every if wanted.all() else every.take(wanted)


def _gates(rows: Rows, selects: tuple[Select, ...]) -> Constraints:
    """Return ``x - levels z <= 0`` for each key with a level: zero unless it is selected."""
    extra = leveled_entries(rows, selects)
    if not len(extra):
        return Constraints.none()
    row = segment_ids(rows.ptr)[extra]
    levels = np.array([select.levels for select in selects])[rows.head[row]]
    level = len(rows.key) + np.arange(len(extra))
    return Constraints.over(
        2 * np.arange(len(extra) + 1),
        np.stack([extra, level], axis=1).ravel(),
        np.stack([-levels, np.ones(len(extra))], axis=1).ravel(),
        sense=Sense.LE,
        rhs=0.0,
        kind=Kind.GATE,
        head=rows.head[row],
        query=rows.query[row],
        key=rows.key[extra],
    )


def _budgets(
    program: Program, selects: tuple[Select, ...], leader: Longs, owner: Longs
) -> Constraints:
    """Return one constraint per budget, over the variables that stay apart once tied.

    Args:
        program: so far.
        selects: one per head.
        leader: the first variable of those tied to each; owner: the first head of those tied.
    """
    budgets = [select if isinstance(select, Budget) else None for select in selects]
    if not any(budgets):
        return Constraints.none()
    head = owner[program.variables.head]
    single = leader == np.arange(len(program))
    parts = []
    for budget in dict.fromkeys(filter(None, budgets)):
        owners = sorted({int(owner[h]) for h, other in enumerate(budgets) if other == budget})
        shares = [owners] if budget.over == "all" else [[h] for h in owners]
        for share in shares:
            var = np.flatnonzero(single & np.isin(head, share))
            label = -1 if budget.over == "all" else share[0]
            if len(var):
                parts.append(
                    Constraints.over(
                        np.array([0, len(var)]),
                        var,
                        sense=Sense.EQ,
                        rhs=min(budget.k, len(var)),
                        kind=Kind.BUDGET,
                        head=label,
                        query=-1,
                    )
                )
    return Constraints.concatenate(parts)
