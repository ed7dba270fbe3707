"""The way back: samples to selections, weights and context."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from qubo_attn import kernels
from qubo_attn.backend.unembed import MAJORITY
from qubo_attn.common.arrays import Array, Bools, Bytes, Floats, Longs, segment_ids
from qubo_attn.common.frozen import replaced
from qubo_attn.decoding.decoders import weights_of
from qubo_attn.decoding.repair import repair
from qubo_attn.errors import DecodeError, InputError
from qubo_attn.frontend.attention import Attention
from qubo_attn.frontend.objectives.output import level_weights
from qubo_attn.frontend.select import SoftWeights
from qubo_attn.ir.columns import Role
from qubo_attn.ir.program import Program
from qubo_attn.ir.rows import gate_pairs

if TYPE_CHECKING:
    import dimod
    from matplotlib.figure import Figure

    from qubo_attn.backend.submission import Submission
    from qubo_attn.compilation.compilation import Compilation


@dataclass(frozen=True, eq=False)
class AttentionResult:
    """Attention as sampled.

    Attributes:
        selected: bool, shape (H, Q, K).
        weights: float64, shape (H, Q, K); zero rows where a query sees no key.
        context: float64, shape (H, Q, d), weights times values; None without values.
        feasible: bool, shape (H, Q): the sampled row kept its constraints, before any repair.
        repaired: bool, shape (H, Q): it did not, and was mended greedily.
        capped: bool, shape (H, Q): it sees fewer keys than it was to keep, and keeps all.
        empty: bool, shape (H, Q): it sees no key.
        energies: float64, shape (H, Q): the row's objective, penalties and constants excluded; of a
            coupling across heads each row has half.
        chain_break_fraction: mean share of broken chains over all samples.

    Example:
        >>> import qubo_attn as qa
        >>> compiled = qa.compile([[[2.0, 1.0, 0.5, -1.0]]], 1, select=qa.ExactlyK(2), target=None)
        >>> result = compiled.solve(seed=1)
        >>> result.weights.round(3)
        array([[[0.731, 0.269, 0.   , 0.   ]]])
        >>> result.feasible.all(), result.repaired.any()
        (np.True_, np.False_)
    """

    selected: Bools
    weights: Floats
    context: Floats | None
    feasible: Bools
    repaired: Bools
    capped: Bools
    empty: Bools
    energies: Floats
    chain_break_fraction: float

    def output_errors(self, attention: Attention) -> Floats:
        """Return ``|context - softmax(s)V| / |softmax(s)V|`` per row, NaN in empty rows.

        Args:
            attention: ``compiled.attention``.

        Raises:
            DecodeError: there are no values.
        """
        if self.context is None:
            raise DecodeError("output errors need values; compile with values=")
        return relative_errors(self.context, attention)

    def plot(
        self,
        attention: Attention | None = None,
        *,
        heads: Sequence[int] | None = None,
        file: str | Path | None = None,
    ) -> Figure:
        """Draw what every head selects, kept keys in amber, and above it what was given.

        Args:
            attention: ``compiled.attention``, for the softmax as given; left out when None.
            heads: which to draw; all when None.
            file: where to write the picture, e.g. ``heads.png``; nowhere when None.

        Returns:
            A matplotlib figure.

        Raises:
            MissingExtraError: matplotlib is not installed.
            InputError: there is no such head, or the attention is another's.

        Example:
            >>> import qubo_attn as qa
            >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target=None)
            >>> figure = compiled.solve(seed=1).plot(compiled.attention)
            >>> [axes.get_title() for axes in figure.axes]
            ['head 0, given', 'head 0, selected']
        """
        from qubo_attn.pictures.plots import plot

        if attention is None:
            return plot(self.selected, self.weights, None, heads, file)
        if attention.shape != self.selected.shape:
            raise InputError(
                f"attention has shape {attention.shape}, the result {self.selected.shape}; pass "
                "compiled.attention",
                argument="attention",
            )
        given = attention.softmax, attention.visible
        return plot(self.selected, self.weights, given, heads, file)

    def _repr_html_(self) -> str:
        from qubo_attn.pictures.heat import thumbnails

        return f"<pre>{html.escape(str(self))}</pre>{thumbnails(self.weights, self.selected)}"

    def __str__(self) -> str:
        rows = self.feasible.size
        feasible = self.feasible.mean() if rows else 1.0
        lines = [
            f"{rows} rows, {feasible:.2%} feasible, {int(self.repaired.sum())} repaired",
            f"{int(self.capped.sum())} rows saw fewer keys than they were to keep and keep all",
            f"{int(self.empty.sum())} rows see no key and get zero weights",
            f"{self.chain_break_fraction:.2%} of chains broken",
        ]
        return "\n".join(lines)


def relative_errors(context: Floats, attention: Attention) -> Floats:
    """Return the relative error of ``context``, shape (H, Q, d), per row; NaN in empty rows."""
    exact = attention.softmax @ _values(attention)
    size = np.linalg.norm(exact, axis=-1)
    gap = np.linalg.norm(context - exact, axis=-1)
    seen = attention.visible.any(axis=-1)
    return np.where(seen, gap / np.where(size > 0, size, 1.0), np.nan)


def _values(attention: Attention) -> Floats:
    if attention.values is None:
        raise DecodeError("output errors need values; compile with values=")
    return attention.values


def selection_errors(decoder: str, selected: Bools, attention: Attention) -> Floats:
    """Return the relative output error of a selection, shape (H, Q, K), as a decoder weighs it."""
    weights = weights_of(decoder, attention.softmax, selected, attention.visible)
    return relative_errors(weights @ _values(attention), attention)


def decode(
    compiled: Compilation,
    samplesets: Sequence[dimod.SampleSet],
    decoder: str | None,
    chain_break_method: str = MAJORITY,
) -> AttentionResult:
    """Return the attention behind ``samplesets``; see `CompiledAttention.decode`."""
    submissions = compiled.submissions
    if len(samplesets) != len(submissions):
        raise DecodeError(
            f"{len(samplesets)} sample sets for {len(submissions)} submissions",
            expected=len(submissions),
        )
    bits, broken = best_reads(compiled.program, submissions, samplesets, chain_break_method)
    first = compiled.stages[0].program
    sampled = compiled.lift_to(0).lift(bits)
    attention = compiled.attention
    feasible = feasible_rows(first, sampled[0], attention)
    points = sampled
    if not feasible.all():
        points = _repaired(compiled, bits)
    mended = feasible_rows(first, points[0], attention)
    names = [decoder or objective.decoder for objective in compiled.recipe.objectives]
    mean = None
    if "marginals" in names:
        read = mean_read(compiled.program, submissions, samplesets, chain_break_method)
        mean = np.clip(compiled.lift_to(0).lift(read)[0], 0, first.variables.upper)
    return _result(compiled, points[0], mean, feasible, mended & ~feasible, broken, names)


def _read(
    submission: Submission, sampleset: dimod.SampleSet, method: str
) -> tuple[Array, Floats, Longs]:
    """Return reads as bits, the share of broken chains of each, and how often each occurred."""
    reads = submission.read(sampleset, method)
    if not len(reads.samples):
        reason = (
            f"has no read without a broken chain, of {len(sampleset)}: another "
            "chain_break_method keeps them"
            if len(sampleset)
            else "has no samples"
        )
        raise DecodeError(f"submission {submission.index} {reason}", submission=submission.index)
    return reads.samples, reads.broken, sampleset.record.num_occurrences[reads.kept]


def best_reads(
    program: Program,
    submissions: Sequence[Submission],
    samplesets: Sequence[dimod.SampleSet],
    chain_break_method: str = MAJORITY,
) -> tuple[Bytes, float]:
    """Pick the best read of each independent block: feasible first, then lowest energy.

    Returns:
        One point of ``program``, shape (1, n), and the mean share of broken chains.
    """
    bits = np.zeros((1, len(program)), np.uint8)
    blocks, broken = program.components, []
    for submission, sampleset in zip(submissions, samplesets, strict=True):
        reads, breaks, counts = _read(submission, sampleset, chain_break_method)
        broken.append((float(breaks @ counts), float(counts.sum())))
        names, block = np.unique(blocks[submission.variables], return_inverse=True)
        energies = _block_energies(program, submission, reads, block, len(names))
        spread = np.ptp(energies) + 1.0
        energies += spread * _block_failures(program, submission, reads, block, len(names))
        best = energies.argmin(axis=0)
        bits[0, submission.variables] = reads[best[block], np.arange(reads.shape[1])]
    total = sum(count for _, count in broken)
    return bits, sum(part for part, _ in broken) / total if total else 0.0


def mean_read(
    program: Program,
    submissions: Sequence[Submission],
    samplesets: Sequence[dimod.SampleSet],
    chain_break_method: str = MAJORITY,
) -> Floats:
    """Return the mean of all samples of ``program``, shape (1, n)."""
    mean = np.zeros((1, len(program)))
    for submission, sampleset in zip(submissions, samplesets, strict=True):
        reads, _, counts = _read(submission, sampleset, chain_break_method)
        mean[0, submission.variables] = np.average(reads, axis=0, weights=counts)
    return mean


def _block_energies(
    program: Program, submission: Submission, reads: Array, block: Longs, blocks: int
) -> Floats:
    """Return the program energy of each block in each read, constants excluded."""
    form, variables = program.total(), submission.variables
    place = np.full(len(program), -1, np.int64)
    place[variables] = np.arange(len(variables))
    mine = (place[form.i] >= 0) & (place[form.j] >= 0)
    return kernels.block_energies(
        reads,
        form.linear[variables],
        place[form.i[mine]],
        place[form.j[mine]],
        form.bias[mine],
        block,
        blocks,
    )


def _block_failures(
    program: Program, submission: Submission, reads: Array, block: Longs, blocks: int
) -> Floats:
    """Return the number of constraints each block fails in each read."""
    c = program.constraints
    place = np.full(len(program), -1, np.int64)
    place[submission.variables] = np.arange(len(submission.variables))
    row = segment_ids(c.ptr)
    inside = np.bincount(row, weights=place[c.var] < 0, minlength=len(c)) == 0
    part = c.take(inside)
    if not len(part):
        return np.zeros((len(reads), blocks))
    local = replaced(part, var=place[part.var])
    fails = (
        Program(program.variables.take(submission.variables), program.objective, local).violations(
            reads
        )
        > 1e-9
    )
    owner = block[local.var[local.ptr[:-1]]]
    counts = np.zeros((blocks, len(reads)))
    np.add.at(counts, owner, fails.T.astype(np.float64))
    return counts.T


def feasible_rows(program: Program, point: Floats, attention: Attention) -> Bools:
    """Return for each head and query whether its constraints hold, all within its variables' range.

    A broken wall may lift to a key outside 0 and 1 in a row whose sum is right.
    """
    heads, queries, _ = attention.shape
    c, v = program.constraints, program.variables
    good = np.ones((heads, queries), bool)
    fails = program.violations(point[None])[0] > 1e-9
    good[c.head[fails], c.query[fails]] = False
    outside = (point < -1e-9) | (point > v.upper + 1e-9)
    good[v.head[outside], v.query[outside]] = False
    return good


def _repaired(compiled: Compilation, bits: Bytes) -> Floats:
    """Mend what fails in the program as it was before constraints were priced; lift the result."""
    stage = (
        next(
            (
                index
                for index, stage in enumerate(compiled.stages[1:], 1)
                if stage.program.constraints.priced.any()
            ),
            0,
        )
        - 1
    )
    if stage < 0:
        return compiled.lift_to(0).lift(bits)
    program = compiled.stages[stage].program
    sampled = compiled.lift_to(stage).lift(bits)[0]
    mended = repair(program, np.clip(sampled, 0, program.variables.upper))
    return compiled.lift_between(0, stage).lift(mended[None])


def _result(
    compiled: Compilation,
    point: Floats,
    mean: Floats | None,
    feasible: Bools,
    repaired: Bools,
    broken: float,
    names: list[str],
) -> AttentionResult:
    attention, first = compiled.attention, compiled.stages[0].program
    v = first.variables
    extra = np.zeros(len(v), bool)
    extra[gate_pairs(first)[0]] = True
    chosen = (v.role != Role.ANCILLA) & ~extra
    place = v.head[chosen], v.query[chosen], v.key[chosen]
    levels, means = np.zeros(attention.shape), np.zeros(attention.shape)
    levels[place] = point[chosen]
    if mean is not None:
        means[place] = mean[chosen]
    selected = levels > 0.5
    masses = attention.softmax
    if extra.any():
        above = np.zeros(attention.shape)
        above[v.head[extra], v.query[extra], v.key[extra]] = point[extra]
        masses, levels = _leveled(compiled, above, selected, levels)
    weights = np.zeros(attention.shape)
    for name in dict.fromkeys(names):
        heads = np.array([other == name for other in names])
        weights[heads] = weights_of(
            name,
            masses[heads],
            selected[heads],
            attention.visible[heads],
            (means if name == "marginals" else levels)[heads],
        )
    context = None if attention.values is None else weights @ attention.values
    return AttentionResult(
        selected,
        weights,
        context,
        feasible,
        repaired,
        compiled.capped,
        np.asarray(~attention.visible.any(axis=-1)),
        _row_energies(first, point, attention),
        broken,
    )


def _leveled(
    compiled: Compilation, above: Floats, selected: Bools, levels: Floats
) -> tuple[Floats, Floats]:
    """Return what selected keys weigh, and the levels, where heads have `SoftWeights` of k keys.

    Args:
        above: level of each key above its base, shape (H, Q, K).
        selected, levels: as sampled, same shape.
    """
    masses, levels = compiled.attention.softmax.copy(), levels.copy()
    for head, select in enumerate(compiled.recipe.selects):
        if isinstance(select, SoftWeights) and select.k is not None:
            rows = compiled.attention.rows
            rows = rows.take(rows.head == head)
            base, step = level_weights(rows, select.k, select.levels)
            query = rows.query[segment_ids(rows.ptr)]
            masses[head, query, rows.key] = base + step * above[head, query, rows.key]
            levels[head] = np.where(selected[head], masses[head], 0.0)
    return masses, levels


def _row_energies(program: Program, point: Floats, attention: Attention) -> Floats:
    heads, queries, _ = attention.shape
    v, o = program.variables, program.objective
    row = v.head.astype(np.int64) * queries + v.query
    energies = np.bincount(row, weights=o.linear * point, minlength=heads * queries)
    # A coupler between two rows is shared: half of it is each one's.
    halves = 0.5 * o.bias * point[o.i] * point[o.j]
    for end in (o.i, o.j):
        energies = energies + np.bincount(row[end], weights=halves, minlength=heads * queries)
    return np.asarray(energies.reshape(heads, queries), dtype=np.float64)
