"""Certified weights of rows that add up to exactly k, with what proves them.

`qubo_attn.formulations.proofs` has the proofs. Rows whose keys have levels behind gates are proven
together with their gates (*levels*). The objective is a squared length plus its least value, and a
level behind a shut gate has a length of its own. The triangle inequality says what it can gain; see
`kernels.leveled`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qubo_attn.common.arrays import Array, Bools, Floats, Longs, csr_rows
from qubo_attn.common.frozen import Portable
from qubo_attn.formulations.cardinality import Cardinality
from qubo_attn.formulations.leveled import ROUNDS, by_levels
from qubo_attn.formulations.method import Method as Method
from qubo_attn.formulations.proofs import (
    StepCosts,
    by_relaxation,
    by_steps,
    by_switches,
    by_walls,
    stands_alone,
    step_costs,
)
from qubo_attn.formulations.recheck import Claims, proven
from qubo_attn.ir.columns import Constraints
from qubo_attn.ir.program import Program

STEPS = 24


_PER_ROW = ("index", "weight", "slope", "margin", "method", "upper")


@dataclass(frozen=True, eq=False)
class Certificates(Portable):
    """Weights of rows with what proves them; one entry per row.

    Attributes:
        program: the program before its constraints were priced.
        index: int64, the row's number among the program's constraints.
        weight, slope: A and mu.
        margin: D, in energy units.
        method: int8, see `Method`.
        upper: proven upper bound on F(k), the objective of the row alone; NaN but for the
            relaxation and rows with levels.
        lower: proven lower bounds on F(m) for m = 0 .. n, row after row; zero likewise.
        witness: the selection behind ``upper``, entry after entry; zero likewise.
        steps: gradient steps of the relaxation.
    """

    program: Program
    index: Longs
    weight: Floats
    slope: Floats
    margin: Floats
    method: Array
    upper: Floats
    lower: Floats
    witness: Array
    steps: int

    def __len__(self) -> int:
        return len(self.index)

    @property
    def rows(self) -> Constraints:
        """The rows, in order."""
        return self.program.constraints.take(self.index)

    @property
    def labels(self) -> list[str]:
        """The names of the rows, for example ``pick[0,3]``."""
        return [self.program.constraints.label(int(r)) for r in self.index]

    def raised(self, short: Floats) -> Certificates:
        """Return these with the weight and the margin of each row raised by ``short``."""
        return replace(self, weight=self.weight + short, margin=self.margin + short)

    def take(self, index: Longs | Bools) -> Certificates:
        """Return the certificates at ``index``, an index or boolean array."""
        rows, ptr = np.arange(len(self))[index], self.rows.ptr
        bounds = csr_rows(ptr + np.arange(len(ptr)), rows)[1]
        return replace(
            self,
            **{name: getattr(self, name)[rows] for name in _PER_ROW},
            lower=self.lower[bounds],
            witness=self.witness[csr_rows(ptr, rows)[1]],
        )

    def recheck(self, *, exact: bool = False) -> list[str]:
        """Check every weight again, from the program alone and by other means.

        See `qubo_attn.formulations.recheck`: independent components of up to 16 bits are
        enumerated, of larger ones bounds are worked out anew, and rounding of the coefficients that
        are sampled is counted.

        Args:
            exact: enumerate components of up to 20 bits.

        Returns:
            The labels of rows whose weight is not proven; empty when all are.
        """
        columns = (self.weight, self.slope, self.margin, self.method, self.witness)
        good = proven(Claims(self.program, self.index, *columns), 20 if exact else 16)
        return [label for label, holds in zip(self.labels, good, strict=True) if not holds]


def certify(
    program: Program,
    index: Longs,
    margin: Floats,
    *,
    relax: bool = True,
    steps: int = STEPS,
    form: Array | None = None,
    costs: StepCosts | None = None,
) -> Certificates:
    """Return the smallest proven weights of rows that add up to exactly k.

    Args:
        program: before its constraints are priced.
        index: int64, the rows.
        margin: D of each row, in energy units.
        relax: also try the relaxation, where a row is dense, of bits, and coupled to no other; the
            smaller weight wins.
        steps: gradient steps of the relaxation.
        form: the `Cardinality` of each row; None where all are dense.
        costs: of the rows, see `step_costs`; worked out when None.
    """
    rows = program.constraints.take(index)
    costs = step_costs(program, rows) if costs is None else costs
    form = np.full(len(rows), Cardinality.DENSE) if form is None else form
    weight, slope = by_steps(costs, margin)
    method = np.full(len(rows), Method.STEPS, np.int8)
    upper, lower = np.full(len(rows), np.nan), np.zeros(len(rows.var) + len(rows))
    witness = np.zeros(len(rows.var), np.uint8)
    network, grid = form == Cardinality.NETWORK, form == Cardinality.GRID
    if network.any():
        method[network] = Method.SWITCHES
        weight[network], slope[network] = by_switches(costs.take(network), margin[network])
    if grid.any():
        method[grid] = Method.WALLS
        weight[grid], slope[grid] = by_walls(program, index[grid], costs.take(grid), margin[grid])
    if relax:
        alone = (form == Cardinality.DENSE) & stands_alone(program, rows)
        proof = by_relaxation(program, rows.take(alone), margin[alone], steps)
        upper[alone], witness[alone[rows.row]] = proof.upper, proof.witness
        lower[np.repeat(alone, np.diff(rows.ptr) + 1)] = proof.lower
        better = proof.weight < weight[alone]
        row = np.flatnonzero(alone)[better]
        weight[row], slope[row] = proof.weight[better], proof.slope[better]
        method[row] = Method.RELAXATION
    return Certificates(program, index, weight, slope, margin, method, upper, lower, witness, steps)


def certify_levels(program: Program, index: Longs, share: float) -> Certificates:
    """Return proven weights of exactly-k rows whose keys have levels, and of their gates.

    Args:
        program, index, share: see `by_levels`.
    """
    columns = by_levels(program, index, share)._asdict()
    method = np.full(len(index), Method.LEVELS, np.int8)
    return Certificates(program, index, method=method, steps=ROUNDS, **columns)


def joined(parts: list[Certificates]) -> Certificates:
    """Return the certificates of several parts of one program."""
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in (*_PER_ROW, "lower", "witness")
    }
    return replace(parts[0], **columns)
