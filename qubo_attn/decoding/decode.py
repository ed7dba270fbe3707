"""The way back: samples to selections, weights and context."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from qubo_attn.backend.unembed import MAJORITY
from qubo_attn.common.arrays import Array, Bools, Bytes, Floats
from qubo_attn.common.checks import flag, one_of
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.decoding.decoders import (
    check_decoder,
    context_of,
    entry_weights,
    residual_background,
)
from qubo_attn.decoding.mended import REPAIRS, Mended, mend
from qubo_attn.decoding.optimality import Behind
from qubo_attn.decoding.reads import PartReads, broken_share, mean_read, read_parts
from qubo_attn.decoding.result import AttentionResult, ReadQuality
from qubo_attn.frontend.attention import Attention
from qubo_attn.frontend.objectives.output import level_weights
from qubo_attn.frontend.select import SoftWeights
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program
from qubo_attn.ir.rows import gate_pairs
from qubo_attn.solving.solution import Way

if TYPE_CHECKING:
    import dimod


def decode(
    compiled: Compilation,
    samplesets: Iterable[dimod.SampleSet],
    decoder: str | None,
    chain_break_method: str = MAJORITY,
    repair: str = REPAIRS[0],
    descend: bool = True,
    *,
    ordered: bool = False,
) -> AttentionResult:
    """Return the attention behind ``samplesets``; see `CompiledAttention.decode`, `read_parts`."""
    check_decoding(decoder, repair, descend)
    read = read_parts(compiled.submissions, samplesets, chain_break_method, ordered=ordered)
    return decoded(compiled, best_reads(compiled, list(read), repair, descend), decoder)


class Ways(NamedTuple):
    """How the blocks of a program were solved, see `qubo_attn.solving.solution.Solution`."""

    way: Bytes
    proven: Bools


class Best(NamedTuple):
    """The best point of a compilation, and the reads behind it.

    Attributes:
        point: of the program before prices and encodings.
        ways: how each block of it came about.
        parts: all reads; None where nothing was sampled.
    """

    point: Mended
    ways: Ways
    parts: Sequence[PartReads] | None


def best_reads(
    compiled: Compilation,
    parts: Sequence[PartReads],
    repair: str,
    descend: bool,
    way: Way = Way.SAMPLER,
) -> Best:
    """Return the best of the reads of every block; see `decode`."""
    number = compiled.unpriced
    best = mend(
        compiled.stages[number].program,
        compiled.lift_to(number),
        parts,
        every=repair == "every",
        descends=descend and repair != "none",
    )
    point = best.raw if repair == "none" else best.point
    blocks = len(best.feasible)
    ways = Ways(np.full(blocks, way, np.uint8), np.zeros(blocks, bool))
    return Best(best._replace(point=point), ways, parts)


def decoded(compiled: Compilation, best: Best, decoder: str | None) -> AttentionResult:
    """Return the attention behind a best point."""
    if best.parts is None:
        return attention_of(compiled, best.point, best.ways, decoder)
    # Marginals are means over all reads; the other decoders look at the best ones alone.
    mean = mean_read(compiled.program, best.parts) if needs_reads(compiled, decoder) else None
    result = attention_of(compiled, best.point, best.ways, decoder, mean)
    behind, broken = Behind(compiled, best.point.point, best.parts), broken_share(best.parts)
    return dataclasses.replace(result, chain_break_fraction=broken, behind=behind)


def needs_reads(compiled: Compilation, decoder: str | None) -> bool:
    """Return whether weights are means over reads, which a single point has none of."""
    names = [decoder or objective.decoder for objective in compiled.recipe.objectives]
    return "marginals" in names


def attention_of(
    compiled: Compilation,
    best: Mended,
    ways: Ways,
    decoder: str | None,
    mean: Floats | None = None,
) -> AttentionResult:
    """Return the attention behind a point of the program before prices and encodings.

    Args:
        compiled: what was solved.
        best: the point; and the reads behind it, as sampled.
        ways: how each block of it came about.
        decoder: see `CompiledAttention.decode`.
        mean: of all reads of the last program, for ``"marginals"``.
    """
    attention, first = compiled.attention, compiled.stages[0].program
    back = compiled.lift_between(0, compiled.unpriced)
    quality = _by_row(compiled, best, back)
    point = back.lift(best.point)[0]
    holds = feasible_rows(first, point[None], attention)[0]
    # A block of several rows may have no read that holds all of them, and still hold some.
    feasible = np.isfinite(quality.sampled)
    if best.raw is best.point:
        feasible = feasible | holds
    else:
        feasible = feasible | feasible_rows(first, back.lift(best.raw), attention)[0]
    decoders = [decoder or objective.decoder for objective in compiled.recipe.objectives]
    means = point
    if mean is not None:
        means = np.clip(compiled.lift_to(0).lift(mean)[0], 0, first.variables.upper)
    selected, weights = _weights(compiled, point, means, decoders)
    way, proven = _ways_by_row(compiled, ways, back)
    background = residual_background(compiled.backgrounds, decoders)
    return AttentionResult(
        selected=selected,
        weights=weights,
        context=None if attention.values is None else context_of(attention, weights, background),
        feasible=feasible,
        repaired=holds & ~feasible,
        capped=compiled.capped.copy(),
        empty=~attention.sees,
        energies=row_energies(first, point, attention),
        chain_break_fraction=0.0,
        reads=quality,
        answered=np.ones(attention.shape[:2], bool),
        methods=Way.names(way),
        proven=proven,
        background=background,
        behind=Behind(compiled, best.point, ()),
        pattern=attention.pattern,
    )


class Decoding(NamedTuple):
    """How reads become attention: the fields are arguments of `CompiledAttention.solve`."""

    decoder: str | None
    repair: str
    descend: bool


def check_decoding(decoder: str | None, repair: str, descend: bool) -> None:
    """Check how to decode, before anything is sampled.

    Raises:
        InputError: an argument is none that `decode` takes; names it.
    """
    if decoder is not None:
        check_decoder(decoder)
    one_of("repair", repair, REPAIRS)
    flag("descend", descend)


def _by_row(compiled: Compilation, best: Mended, back: Lift) -> ReadQuality:
    """Return what reads were worth, by row of the attention: that of the row's first block."""
    first, shape = compiled.stages[0].program, compiled.attention.shape[:2]
    component = compiled.stages[compiled.unpriced].program.components
    held = np.flatnonzero(np.diff(back.indptr))[::-1]
    row = first.variables.head[held], first.variables.query[held]
    inside = (row[0] >= 0) & (row[1] >= 0)
    block = component[back.indices[back.indptr[held[inside]]]]
    place = row[0][inside], row[1][inside]

    def spread(figures: Array, rest: float) -> Floats:
        columns = np.full(shape, rest)
        columns[place] = figures[block]
        return columns

    # Rows that the passes settled leave nothing to sample: any read is feasible.
    unread = len(best.feasible) > 0 and bool(np.isnan(best.feasible).all())
    return ReadQuality(
        spread(best.feasible, np.nan if unread else 1.0),
        spread(best.sampled, 0.0),
        spread(best.mended, 0.0),
        spread(best.descended, 0.0),
        spread(best.number, 0).astype(np.int64),
    )


def _ways_by_row(compiled: Compilation, ways: Ways, back: Lift) -> tuple[Bytes, Bools]:
    """Return how the rows of the attention were solved: a row of several blocks, by the last way.

    A row is proven where all of its blocks are.
    """
    first, shape = compiled.stages[0].program, compiled.attention.shape[:2]
    component = compiled.stages[compiled.unpriced].program.components
    held = np.diff(back.indptr) > 0
    entry = back.indices[back.indptr[:-1][held]]
    head, query = first.variables.head[held], first.variables.query[held]
    way, proven = np.full(shape, Way.SETTLED, np.uint8), np.ones(shape, bool)
    block, inside = component[entry], (head >= 0) & (query >= 0)
    place = head[inside], query[inside]
    np.maximum.at(way, place, ways.way[block[inside]])
    np.logical_and.at(proven, place, ways.proven[block[inside]])
    return way, proven


def feasible_rows(program: Program, points: Floats, attention: Attention) -> Bools:
    """Return where a row's constraints hold, all its variables within their ranges.

    A broken wall may lift to a key outside 0 and 1 in a row whose sum is right.

    Args:
        program: before any pass.
        points: shape (m, n).
        attention: what was compiled.

    Returns:
        Shape (m, H, Q).
    """
    c, v = program.constraints, program.variables
    feasible = np.ones((len(points), *attention.shape[:2]), bool)
    point, row = np.nonzero(program.violations(points) > 1e-9)
    feasible[point, c.head[row], c.query[row]] = False
    point, variable = np.nonzero((points < -1e-9) | (points > v.upper + 1e-9))
    feasible[point, v.head[variable], v.query[variable]] = False
    return feasible


def _weights(
    compiled: Compilation, point: Floats, mean: Floats, decoders: Sequence[str]
) -> tuple[Bools, Floats]:
    """Return selected keys and their weights, tables or columns of the attention.

    Args:
        compiled: what was sampled.
        point: of the program before any pass.
        mean: of all reads, over the same variables, for ``"marginals"``.
        decoders: one per head.
    """
    attention, rows = compiled.attention, compiled.attention.rows
    # The first variables are the selections, or weights, of the visible keys, in their order.
    count = len(rows.key)
    levels = point[:count]
    selected, masses = levels > 0.5, rows.mass
    level, gate = gate_pairs(compiled.stages[0].program)
    if len(level):
        above = np.zeros(count)
        above[gate] = point[level]
        masses, levels = _leveled(compiled, above, selected, levels)
    background = compiled.backgrounds is not None
    weights: Floats | None = None
    for name in dict.fromkeys(decoders):
        sampled = mean[:count] if name == "marginals" else levels
        part = entry_weights(name, rows, masses, selected, sampled, background=background)
        heads = np.array([other == name for other in decoders])
        own = np.repeat(heads[rows.head], rows.sizes)
        weights = part if weights is None else np.where(own, part, weights)
    assert weights is not None
    return attention.table(selected), attention.table(weights)


def _leveled(
    compiled: Compilation, above: Floats, selected: Bools, levels: Floats
) -> tuple[Floats, Floats]:
    """Return what selected keys weigh, and the levels, where heads have `SoftWeights` of k keys.

    Args:
        above: level of each visible key above its base.
        selected, levels: as sampled, one entry per visible key.
    """
    rows, selects = compiled.attention.rows, compiled.recipe.selects
    masses, levels = rows.mass.copy(), levels.copy()
    for select in dict.fromkeys(selects):
        if isinstance(select, SoftWeights) and select.k is not None:
            heads = np.array([other == select for other in selects])
            own = np.repeat(heads[rows.head], rows.sizes)
            base, step = level_weights(rows.take(heads[rows.head]), select.k, select.levels)
            masses[own] = base + step * above[own]
            levels[own] = np.where(selected[own], masses[own], 0.0)
    return masses, levels


def row_energies(program: Program, point: Floats, attention: Attention) -> Floats:
    """Return the objective of each row at a point, constants excluded, shape (H, Q)."""
    heads, queries, _ = attention.shape
    v, o = program.variables, program.objective
    row = v.head.astype(np.int64) * queries + v.query
    energies = np.bincount(row, weights=o.linear * point, minlength=heads * queries)
    # Couplers of what is not zero count alone: late ones are worked out between those only. A
    # coupler between two rows is shared: half of it is each one's.
    there = np.flatnonzero(point)
    terms, value, owner = o.among(there), point[there], row[there]
    halves = 0.5 * terms.bias * value[terms.i] * value[terms.j]
    for end in (terms.i, terms.j):
        energies = energies + np.bincount(owner[end], weights=halves, minlength=heads * queries)
    return np.asarray(energies.reshape(heads, queries), dtype=np.float64)
