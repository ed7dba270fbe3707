"""Dinkelbach's rounds of `Renormalised`: each starts from the best selection so far.

A round is a rebind: the same structure with another t. A row takes the result of a round if its
error is smaller than before, which is the same as ``F_t < 0``. Rows that a tie or a coupling joins
take it together, if the sum of their squared relative errors is smaller. Whoever sampled, a row is
never worse than its start.

A row is proven optimal within its slots where ``F_t`` is nowhere negative at the t of what it
keeps: an exact search says so (`qubo_attn.decoding.optimal`). Where rows are solved here, what that
search meets is taken.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Bools, Floats, Longs
from qubo_attn.common.checks import whole
from qubo_attn.compilation.backgrounds import started_rows
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.compilation.lower import lower
from qubo_attn.decoding.decode import Decoding, row_energies
from qubo_attn.decoding.decoders import context_of, weights_of
from qubo_attn.decoding.optimal import searched
from qubo_attn.decoding.proven import Rounds
from qubo_attn.decoding.result import AttentionResult, ReadQuality
from qubo_attn.decoding.sampling import Sampling
from qubo_attn.decoding.solve import local_solver, solve
from qubo_attn.frontend.attention import Attention
from qubo_attn.frontend.objectives.renormalised import MOST_ROUNDS, Renormalised, kept_keys
from qubo_attn.ir.rows import gate_pairs

# Errors that differ by less are equal: what rounding makes of two sums of one selection.
_ROUNDING = 1e-12


class Errors(NamedTuple):
    """Squared renormalised errors of selections, shape (H, Q).

    Attributes:
        square: ``|o(z) - o|^2``; infinite where nothing is kept.
        size: ``|o|^2``, or 1 where that is zero.
    """

    square: Floats
    size: Floats

    @property
    def relative(self) -> Floats:
        """The relative error; that of an output of zero where nothing is kept."""
        return np.sqrt(np.where(np.isfinite(self.square), self.square / self.size, 1.0))


def errors_of(attention: Attention, selected: Bools) -> Errors:
    """Return the renormalised errors of a selection, as the objective has them, shape (H, Q)."""
    values, rows = attention.measured, attention.rows
    assert values is not None
    columns = rows.ptr, rows.mass, rows.key, rows.head, values
    output = kernels.row_outputs(*columns)
    kept = attention.entries(selected)
    square, _ = kernels.kept_errors(*columns, output, kept)
    size = np.einsum("rd,rd->r", output, output)
    size = np.where(size > 1e-300, size, 1.0)
    table = np.full((2, *attention.shape[:2]), np.nan)
    table[:, rows.head, rows.query] = square, size
    return Errors(*table)


def in_rounds(
    compiled: Compilation,
    way: Sampling,
    how: Decoding,
    rounds: int | None,
) -> AttentionResult:
    """Return the best of several rounds, or what is solved where no head is `Renormalised`.

    Args:
        compiled: what is solved.
        way, how: how it is solved; see `qubo_attn.decoding.solve.solve`.
        rounds: most rounds; as many as the objectives say when None.
    """

    def solved(step: Compilation, number: int) -> AttentionResult:
        return solve(step, way.later(number, step), how)

    asked = [o.rounds for o in compiled.recipe.objectives if isinstance(o, Renormalised)]
    most = None if rounds is None else whole("rounds", rounds, 1, MOST_ROUNDS)
    result = solved(compiled, 0)
    if not asked:
        return result
    attention, group = compiled.attention, joined_rows(compiled)
    heads = np.array([isinstance(o, Renormalised) for o in compiled.recipe.objectives])[:, None]
    best = _start(compiled)
    now = start = errors_of(attention, best)
    found, count, better = result, 1, np.zeros(attention.shape[:2], bool)
    while True:
        accepted = heads & _accepted(now, errors_of(attention, found.selected), group)
        accepted &= found.feasible | found.repaired
        if found is not result:
            result = _merged(attention, result, found, accepted)
        best = np.where(attention.spread(accepted), found.selected, best)
        now, better = errors_of(attention, best), better | accepted
        if count == (most or max(asked)) or not accepted.any():
            break
        found, count = solved(restarted(compiled, best), count), count + 1
    proof = searched(compiled, best, np.broadcast_to(heads, better.shape), group)
    met = attention.sums(proof.best != best) > 0
    optimal = proof.optimal
    solver = local_solver(way.sampler)
    if solver is not None and solver.method != "anneal":
        # The search is part of solving here; what is sampled gets no help by it.
        best = proof.best
        now = errors_of(attention, best)
    else:
        optimal, met = optimal & ~met, np.zeros_like(met)
    better = (better | met) & (now.square < start.square)
    before, after = (np.where(heads, errors.relative, np.nan) for errors in (start, now))
    report = Rounds(count, before, after, better, optimal, met)
    asks = attention.spread(np.broadcast_to(heads, better.shape))
    selected = np.where(asks, best, result.selected)
    return _with_selection(compiled, result, selected, how.decoder or Renormalised.decoder, report)


def _start(compiled: Compilation) -> Bools:
    """Return the selection that each row starts from, a table or column."""
    rows = started_rows(compiled.recipe, compiled.attention)
    assert rows.start is not None
    return np.array(compiled.attention.table(rows.start))


def restarted(compiled: Compilation, best: Bools) -> Compilation:
    """Return the compilation with the error of another selection to be bettered."""
    recipe, kept = compiled.recipe, kept_keys(compiled.attention, best)
    # Once for all heads of an objective: the keys of a start are checked one by one.
    again = {
        o: dataclasses.replace(o, start=kept) if isinstance(o, Renormalised) else o
        for o in dict.fromkeys(recipe.objectives)
    }
    objectives = tuple(again[o] for o in recipe.objectives)
    recipe = dataclasses.replace(recipe, objectives=objectives)
    return lower(recipe, compiled.attention, compiled.structures)


def joined_rows(compiled: Compilation) -> Longs:
    """Return a number for each row, alike for rows that a tie or coupling joins, shape (H, Q)."""
    first, number = compiled.stages[0].program, compiled.unpriced
    component = compiled.stages[number].program.components
    lift = compiled.lift_between(0, number)
    held = np.flatnonzero(np.diff(lift.indptr))[::-1]
    heads, queries, _ = compiled.attention.shape
    # Rows of which nothing is left to choose are joined to none.
    group = len(first) + np.arange(heads * queries).reshape(heads, queries)
    row = first.variables.head[held], first.variables.query[held]
    group[row] = component[lift.indices[lift.indptr[held]]]
    return group


def _accepted(now: Errors, new: Errors, group: Longs) -> Bools:
    """Return which rows take the new selection, shape (H, Q)."""
    _, where = np.unique(group.ravel(), return_inverse=True)
    sums = []
    for errors in (now, new):
        relative = np.nan_to_num(errors.square / errors.size, nan=0.0, posinf=1e300)
        sums.append(np.bincount(where, relative.ravel()))
    falls = sums[1] < sums[0] * (1.0 - _ROUNDING)
    return np.asarray(falls[where].reshape(group.shape) & ~np.isnan(now.square))


def _merged(
    attention: Attention, result: AttentionResult, found: AttentionResult, rows: Bools
) -> AttentionResult:
    """Return a result with some rows of another."""
    reads = zip(found.reads, result.reads, strict=True)
    entries = attention.spread(rows)
    return dataclasses.replace(
        result,
        selected=np.where(entries, found.selected, result.selected),
        weights=np.where(entries, found.weights, result.weights),
        feasible=np.where(rows, found.feasible, result.feasible),
        repaired=np.where(rows, found.repaired, result.repaired),
        reads=ReadQuality(*(np.where(rows, new, old) for new, old in reads)),
        methods=np.where(rows, found.methods, result.methods),
        proven=np.where(rows, found.proven, result.proven),
    )


def _with_selection(
    compiled: Compilation, result: AttentionResult, selected: Bools, decoder: str, report: Rounds
) -> AttentionResult:
    """Return a result with a selection in the place of what was sampled."""
    attention, program = compiled.attention, compiled.stages[0].program
    weights, others = result.weights, attention.spread(np.isnan(report.start))
    if decoder in ("renormalise", "residual"):
        bare = result.background is not None
        weights = weights_of(decoder, attention, selected, background=bare)
        weights = np.where(others, result.weights, weights)
    # The first variables are those of the visible keys; what is behind a gate counts as open.
    point, (level, gate) = np.zeros(len(program)), gate_pairs(program)
    point[: len(attention.rows.key)] = attention.entries(selected)
    point[level] = point[gate]
    energies = row_energies(program, point, attention)
    return dataclasses.replace(
        result,
        selected=selected,
        weights=weights,
        context=context_of(attention, weights, result.background),
        energies=np.where(np.isnan(report.start), result.energies, energies),
        rounds=report,
        methods=np.where(report.searched, "exact", result.methods),
        proven=np.where(np.isnan(report.start), result.proven, report.optimal),
    )
