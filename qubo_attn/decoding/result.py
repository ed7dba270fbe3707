"""Results: attention as sampled, and how far its output lies from exact attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from qubo_attn.common.arrays import Array, Bools, Floats
from qubo_attn.common.brief import Brief, folding
from qubo_attn.common.checks import instance
from qubo_attn.common.words import plural
from qubo_attn.decoding.block_rounds import BlockRounds
from qubo_attn.decoding.edges import Edges
from qubo_attn.decoding.machine_use import MachineUse
from qubo_attn.decoding.optimality import Behind, Optimality, optimality
from qubo_attn.decoding.output_error import heaviest, values_of
from qubo_attn.decoding.output_error import relative_errors as relative_errors
from qubo_attn.decoding.output_error import selection_errors as selection_errors
from qubo_attn.decoding.proven import ReadQuality as ReadQuality
from qubo_attn.decoding.proven import Rounds
from qubo_attn.decoding.stock_kernels import StockKernels
from qubo_attn.errors import DecodeError, InputError
from qubo_attn.frontend.attention import Attention
from qubo_attn.frontend.pattern import Pattern, drawn, is_drawn

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from qubo_attn.compilation.compilation import Compilation
    from qubo_attn.decoding.baselines import Beside

# Rows that a text names, at most.
_NAMED = 5


@dataclass(frozen=True, eq=False)
class AttentionResult(Brief, StockKernels, Edges):
    """Attention as solved here, or as sampled.

    Attributes:
        selected: bool, shape (H, Q, K); of a graph shape (edges,), by head, query and key.
        weights: float64, of that shape; zero rows where a query sees no key. ``edge_weights`` are
            those of a graph in the order of its edges.
        context: float64, shape (H, Q, d), weights times values; None without values.
        feasible: bool, shape (H, Q): the sampled row kept its constraints, before any repair.
        repaired: bool, shape (H, Q): it did not, and was mended greedily.
        capped: bool, shape (H, Q): it sees fewer keys than it was to keep, and keeps all.
        empty: bool, shape (H, Q): it sees no key.
        energies: float64, shape (H, Q): the row's objective, penalties and constants excluded; of a
            coupling across heads each row has half.
        chain_break_fraction: mean share of broken chains over all samples.
        reads: what the sampler alone gave, row by row, and what repair and descent added.
        methods: text, shape (H, Q), how each row was solved: ``"exact"``, ``"swap"`` or
            ``"anneal"`` here (see `LocalSolver`), ``"sampler"`` by reads of a sampler,
            ``"settled"`` where passes left nothing to choose.
        proven: bool, shape (H, Q): the row is at the optimum of the program that was compiled,
            under its constraints; of a row with reads nothing is proven.
        behind: what the result was made of, for `optimality`.
        answered: bool, shape (H, Q): the row's answer has come; rows without one select nothing,
            weigh nothing, and have no energy (NaN).
        machine: problems and machine time; None where the samples came from elsewhere.
        background: float64, shape (H, Q, d): what the weights of a row leave, ``1 - sum w``, has
            this value in the context; None where the weights say all. See `Output`.
        rounds: what the rounds of `Renormalised` proved of each row; None without.
        blocks: what rounds over blocks of large rows did; None where no row was split.
        pattern: the edges of a graph; None where the scores were an array.

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
    reads: ReadQuality
    answered: Bools
    methods: Array
    proven: Bools
    machine: MachineUse | None = None
    behind: Behind | None = field(default=None, repr=False)
    background: Floats | None = None
    rounds: Rounds | None = None
    blocks: BlockRounds | None = None
    pattern: Pattern | None = field(default=None, repr=False)

    @property
    def carried(self) -> Floats | None:
        """What this batch and those before it leave to carried backgrounds, shape (H, d + 1).

        None where nothing is carried. `qubo_attn.compile` and the torch layers take it.
        """
        return None if self.behind is None else self.behind.compiled.carried

    @property
    def feasible_share(self) -> float:
        """Share of rows that are feasible as sampled; 1 where there is no row."""
        return float(self.feasible.mean()) if self.feasible.size else 1.0

    def optimality(self) -> Optimality:
        """Return how far each row is from its proven optimum, and how soon reads reach it.

        Optima are those of the program that was compiled, under its constraints and before
        penalties. Rows that the local solver cannot search are compared with a lower bound.

        Raises:
            DecodeError: the result was not made by `solve` or `decode`.

        Example:
            >>> import qubo_attn as qa
            >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target=None)
            >>> compiled.solve("anneal", seed=1, num_reads=8).optimality().share
            1.0
        """
        if self.behind is None:
            raise DecodeError("only what solve or decode returned knows its program")
        return optimality(self.behind)

    def output_errors(self, attention: Attention) -> Floats:
        """Return ``|context - softmax(s)V| / |softmax(s)V|`` per row, NaN in empty rows.

        Args:
            attention: ``compiled.attention``.

        Raises:
            DecodeError: there are no values.
            InputError: it is no attention.
        """
        if self.context is None:
            raise DecodeError("output errors need values; compile with values=")
        return relative_errors(self.context, instance("attention", attention, Attention))

    def same_as_top_k(self, attention: Attention) -> Bools:
        """Return which rows keep just their heaviest keys, shape (H, Q).

        Such a row gains nothing over sorting its scores. Of equal scores any may be kept.

        Args:
            attention: ``compiled.attention``.

        Raises:
            InputError: it is no attention, or another's.

        Example:
            >>> import qubo_attn as qa
            >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], select=qa.ExactlyK(2), target=None)
            >>> compiled.solve(seed=1).same_as_top_k(compiled.attention)
            array([[ True]])
        """
        self._check_shape(instance("attention", attention, Attention))
        return heaviest(self.selected, attention)

    def layer_errors(self, attention: Attention, *, absolute: bool = False) -> Floats:
        """Return the error of the layer's output per query, behind the output projection.

        Args:
            attention: ``compiled.attention``, with an output projection.
            absolute: the length itself, not its share of the full output's.

        Returns:
            float64, shape (Q,); NaN where no head sees a key.

        Raises:
            DecodeError: there are no values, or no output projection.
            InputError: it is no attention.
        """
        instance("attention", attention, Attention)
        if self.context is None or attention.projection is None:
            raise DecodeError("layer errors need values= and output_projection= of compile")
        values_of(attention)
        exact = attention.outputs(attention.softmax)
        gap, whole = (
            np.linalg.norm(np.einsum("hqd,hde->qe", x, attention.projection), axis=-1)
            for x in (self.context - exact, exact)
        )
        gap = gap if absolute else gap / np.where(whole > 0, whole, 1.0)
        return np.where(attention.sees.any(axis=0), gap, np.nan)

    def beside(
        self, compiled: Compilation, *, decoder: str | None = None, window: int = 32
    ) -> Beside:
        """Return the mean error of this selection and of every baseline, decoded alike.

        Args:
            compiled: what was solved; its counts, ties and budgets hold for the baselines too.
            decoder: ``"renormalise"`` or ``"residual"``; the objective's own when None.
            window: queries of the observation window.

        Raises:
            DecodeError, InputError: there are no values, or no such decoder.

        Example:
            >>> import qubo_attn as qa
            >>> options = {"objective": "renormalised", "values": [[[2.0], [0.0], [-2.0]]]}
            >>> compiled = qa.compile([[[1.0, 0.5, 0.0]]], 1, select=qa.OneHot(), **options)
            >>> round(compiled.solve(seed=1).beside(compiled).error["top-k"], 2)
            2.12
        """
        from qubo_attn.decoding.baselines import beside

        return beside(compiled, self.selected, decoder, window)

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

        selected, weights = (drawn(self.pattern, x) for x in (self.selected, self.weights))
        if attention is None:
            return plot(selected, weights, None, heads, file)
        self._check_shape(instance("attention", attention, Attention))
        given = (
            drawn(self.pattern, attention.softmax),
            drawn(self.pattern, attention.visible),
        )
        return plot(selected, weights, given, heads, file)

    def _check_shape(self, attention: Attention) -> None:
        there, ours = attention.logits.shape, self.selected.shape
        if there != ours:
            raise InputError(
                f"attention has shape {there}, the result {ours}; pass compiled.attention",
                argument="attention",
            )

    def _repr_html_(self) -> str:
        from qubo_attn.pictures.heat import thumbnails

        text = folding(str(self))
        if not is_drawn(self.pattern):
            return text
        columns = self.weights, self.selected
        return text + thumbnails(*(drawn(self.pattern, column) for column in columns))

    def __str__(self) -> str:
        lines = [
            f"{plural(self.feasible.size, 'row', 'd')}, {self.feasible_share:.2%} feasible, "
            f"{int(self.repaired.sum())} repaired",
            *self._odd(),
            f"{self.chain_break_fraction:.2%} of chains broken",
            *self._worth(),
            *self._unmet(),
            *[str(report) for report in (self.rounds, self.blocks) if report is not None],
        ]
        if not self.answered.all():
            lines.insert(1, f"{plural(int((~self.answered).sum()), 'row', 'd')} not answered yet")
        if self.machine is not None:
            lines.append(str(self.machine))
        return "\n".join(lines)

    def _odd(self) -> list[str]:
        """Return how many rows see too few keys, or none."""
        capped, empty = int(self.capped.sum()), int(self.empty.sum())
        few = f"{plural(capped, 'row', 'd')} with too few visible keys, all of which are kept"
        none = f"{plural(empty, 'row', 'd')} without a visible key, with zero weights"
        return [few] * (capped > 0) + [none] * (empty > 0)

    def _worth(self) -> list[str]:
        """Return what the sampler gave, and what was added to it."""
        if not self.answered.any():
            return []
        names = np.unique(self.methods[self.answered]).tolist()
        here = [name for name in ("exact", "swap", "anneal") if name in names]
        lines = []
        if here:
            rows = [f"{int((self.methods == name).sum())} by {name!r}" for name in here]
            proven = int((self.proven & np.isin(self.methods, here)).sum())
            lines = [f"rows solved here: {', '.join(rows)}; {proven} proven optimal"]
        reads = ReadQuality(*(column[self.answered] for column in self.reads))
        if not np.isfinite(reads.feasible).any() or not {"anneal", "sampler"} & {*names}:
            return lines
        # Rows that no read can be brought to have neither.
        close = 1e-9 * np.where(np.isfinite(reads.repaired), np.abs(reads.repaired), 0.0)
        better = int((reads.repaired + close < reads.sampled).sum())
        lower = int((reads.descended + close < reads.repaired).sum())
        lines.append(
            f"{reads.feasible_share:.2%} of reads feasible as sampled; repair of other reads "
            f"bettered {plural(better, 'row', 'd')}, descent {lower} more"
        )
        read = reads.number[reads.number > 0]
        if len(np.unique(read)) > 1:
            lines.append(f"reads of a row: {read.min():,} to {read.max():,}")
        return lines

    def _unmet(self) -> list[str]:
        """Return which rows broke their constraints even once mended."""
        rows = np.argwhere(~self.feasible & ~np.isfinite(self.reads.repaired))
        if not len(rows):
            return []
        names = [f"head {head}, query {query}" for head, query in rows[:_NAMED].tolist()]
        more = f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
        return [
            f"{plural(len(rows), 'row', 'd')} with no read that repair brings to their "
            f"constraints, which may contradict each other: {'; '.join(names)}{more}"
        ]
