"""What rounds over blocks did: energies round by round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Bools, Floats, Longs
from qubo_attn.common.brief import Brief
from qubo_attn.common.words import plural


class BlockRound(NamedTuple):
    """One round over blocks, as progress shows it.

    Attributes:
        number: of the round, from 1.
        energy: true energy of all rows after it.
        accepted: components that took what it gave.
        left: components that are not done.

    Example:
        >>> import qubo_attn as qa
        >>> print(qa.BlockRound(3, -57.8587, 3, 2))
        round 3: energy -57.8587, 3 blocks accepted, 2 not done
    """

    number: int
    energy: float
    accepted: int
    left: int

    def __str__(self) -> str:
        return (
            f"round {self.number}: energy {self.energy:.6g}, "
            f"{plural(self.accepted, 'block')} accepted, {self.left} not done"
        )


@dataclass(frozen=True, eq=False)
class BlockRounds(Brief):
    """What rounds over blocks of large rows did; see docs/larger.md.

    Energies are true ones: objectives of whole rows, constants and penalties excluded, or, of
    `Renormalised`, squared relative errors of rows added up. Components are rows, or what ties and
    couplings join of them.

    Attributes:
        energies: float64, shape (rounds + 1, components), before the first round and after each;
            no column ever rises. Components that were not split have no energy before the first.
        accepted: bool, shape (rounds, components): the component took what the round gave.
        bound: float64, shape (components,), a lower bound on the energy; -inf where none is known.
        stop: why the rounds ended: ``"optimal"``, ``"no block improves"``, or ``"rounds"``.
        reused: rounds whose placement was the one that was compiled: no embedding was looked for.
        searches: embeddings that were searched for in all rounds; 0 after the compilation's own.

    Example:
        >>> import qubo_attn as qa
        >>> compiled = qa.compile(
        ...     [[[2.0, 1.9, 0.5, 0.4, 0.3, 0.2]]],
        ...     select=qa.ExactlyK(2),
        ...     objective=qa.Redundancy(),
        ...     keys=[[[1.0], [1.0], [0.5], [0.1], [0.0], [0.0]]],
        ...     target=None,
        ...     decompose=2,
        ... )
        >>> blocks = compiled.solve(seed=1).blocks
        >>> bool((blocks.energies[1:] <= blocks.energies[:-1]).all()), blocks.stop
        (True, 'optimal')
    """

    energies: Floats
    accepted: Bools
    bound: Floats
    stop: str
    reused: int
    searches: int

    @property
    def count(self) -> int:
        """Rounds that were solved or sampled."""
        return len(self.accepted)

    @property
    def totals(self) -> Floats:
        """Energy of all components together, float64, shape (rounds + 1,)."""
        return np.asarray(self.energies.sum(axis=1))

    @property
    def last_better(self) -> Longs:
        """The latest round that bettered each component, int64, from 1; 0 where none did."""
        numbers = np.arange(1, self.count + 1)[:, None]
        return np.asarray(np.where(self.accepted, numbers, 0).max(axis=0, initial=0), np.int64)

    def __str__(self) -> str:
        first, last = self.totals[[0, -1]]
        return (
            f"{plural(self.count, 'round')} over blocks of "
            f"{plural(self.energies.shape[1], 'component')}: energy {first:.6g} to {last:.6g}; "
            f"ended by: {self.stop}; {plural(self.searches, 'embedding')} searched, "
            f"{plural(self.reused, 'placement')} taken over"
        )
