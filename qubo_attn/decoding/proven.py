"""What reads of a sampler were worth, and what rounds of `Renormalised` proved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Bools, Floats, Longs
from qubo_attn.common.brief import Brief
from qubo_attn.common.words import plural


class ReadQuality(NamedTuple):
    """What the reads of each row were worth, and what the decoder added to them.

    Energies are the objective of the row, with all rows that a coupling or a tie joins to it,
    penalties and constants excluded; infinite where no read holds the constraints. Rows that the
    local solver solved have no reads: their share is NaN, and their energies here are infinite.

    Attributes:
        feasible: float64, shape (H, Q), share of reads that hold the constraints as sampled; NaN
            of rows without reads.
        sampled: float64, shape (H, Q), least energy of a feasible read: the sampler alone.
        repaired: float64, shape (H, Q), least energy once every read is repaired.
        descended: float64, shape (H, Q), least energy after descent; that of ``repaired`` without.
        number: int64, shape (H, Q), reads of the row, those of all its copies (``replicas`` of
            `qubo_attn.compile`); 0 of rows without reads.
    """

    feasible: Floats
    sampled: Floats
    repaired: Floats
    descended: Floats
    number: Longs

    @property
    def feasible_share(self) -> float:
        """Share of all reads of all rows that are feasible as sampled.

        It is 1 without any row, and NaN where there are rows, and none of them has reads.
        """
        read = self.feasible[~np.isnan(self.feasible)]
        if not read.size:
            return float("nan") if self.feasible.size else 1.0
        return float(read.mean())


@dataclass(frozen=True, eq=False)
class Rounds(Brief):
    """What Dinkelbach's rounds proved, row by row; see `Renormalised`.

    Errors are renormalised ones, relative, behind the output projection where there is one. Rows of
    other objectives, and rows that see no key, are NaN and False.

    Attributes:
        count: rounds that were sampled.
        start: float64, shape (H, Q), error of the selection to be bettered.
        error: float64, shape (H, Q), error of the selection returned; never above ``start`` in a
            row of its own. Tied rows are bettered together.
        better: bool, shape (H, Q): the error is proven smaller than that of the start.
        optimal: bool, shape (H, Q): no selection within the row's slots has a smaller one, proven.
        searched: bool, shape (H, Q): the exact search that proves it gave the selection, not the
            samples; nowhere where rows are sampled or annealed.

    Example:
        >>> import qubo_attn as qa
        >>> compiled = qa.compile(
        ...     [[[0.5, 0.3, 0.0]]],
        ...     1,
        ...     select=qa.OneHot(),
        ...     objective=qa.Renormalised(),
        ...     values=[[[2.0], [0.0], [-2.0]]],
        ...     target=None,
        ... )
        >>> rounds = compiled.solve(seed=1).rounds
        >>> bool(rounds.optimal[0, 0]), bool((rounds.error <= rounds.start).all())
        (True, True)
    """

    count: int
    start: Floats
    error: Floats
    better: Bools
    optimal: Bools
    searched: Bools

    @property
    def states(self) -> np.ndarray:
        """``"optimal"``, ``"better"`` than the start, or ``"not improved"``; shape (H, Q)."""
        improved = np.where(self.better, "better", "not improved")
        states = np.where(self.optimal, "optimal", improved)
        return np.where(np.isnan(self.start), "", states)

    def __str__(self) -> str:
        rows = int(np.isfinite(self.start).sum())
        return (
            f"{plural(self.count, 'round')}: {int(self.better.sum())} of "
            f"{plural(rows, 'row', 'd')} proven better than the start, "
            f"{int(self.optimal.sum())} proven optimal within their slots"
        )
