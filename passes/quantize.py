"""Quantize: whole coefficients, for machines that take integers.

A coherent Ising machine takes an all-to-all matrix of, say, 8-bit integers between spins and no
fields. This pass rounds the fields and couplings of the program's spin form to whole multiples of a
step, at most ``2^(bits-1) - 1`` of them. Fields count as well, because there they are couplings to
one auxiliary spin (`qubo_attn.integer_ising` returns the integers and adds that spin).

Blocks without a common variable are independent, so each has a step of its own: the one of least
rounding error. Small blocks take the first step that keeps the optimum, which is proved by
enumerating the block's states before and after. The program stays in energy units and its
constraints keep their prices: the objective takes up the rounding of both.

The ``bound`` is how much more than the optimum a best state after rounding may cost, measured
before rounding; energies themselves move by at most the ``error``. Prices have to be sound before:
the ``margin`` is exact for enumerated blocks, elsewhere it is what rounding may take off it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Floats
from qubo_attn.common.checks import whole
from qubo_attn.common.keywords import named_fields
from qubo_attn.formulations.rounding import BlockView, Rounding, candidate_steps
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program
from qubo_attn.ir.quadratic import Quadratic
from qubo_attn.ir.spins import Spins, largest_integer
from qubo_attn.pipeline.pipeline import BINARY, PRICED, Fact
from qubo_attn.pipeline.rewrite import Rewrite, unchanged

# A table of 2^20 energies is 8 MB, and there are several.
MOST_EXACT = 20


@named_fields
@dataclass(frozen=True)
class Quantize:
    """Round every block's coefficients to whole multiples of a step.

    Attributes:
        bits: width of the machine's integers, sign included; 8 on coherent Ising machines.
        exact: largest block, in variables, whose states are enumerated. The default 16 takes about
            a millisecond a step; larger blocks get a bound.

    Example:
        >>> from qubo_attn import Program, Quantize
        >>> program = Program.parse('''
        ... x[0,0,0] : 0.9
        ... x[0,0,1] : -0.35
        ... ''')
        >>> rewrite = Quantize(bits=3).apply(program)
        >>> rewrite.bound
        0.0
        >>> rewrite.notes[0]
        '2 of 2 blocks certified unchanged, bound 0'
    """

    bits: int = 8
    exact: int = 16

    name: ClassVar[str] = "quantize"
    needs: ClassVar[frozenset[Fact]] = frozenset({BINARY, PRICED})
    ensures: ClassVar[frozenset[Fact]] = frozenset()
    breaks: ClassVar[frozenset[Fact]] = frozenset()

    def __post_init__(self) -> None:
        largest_integer(self.bits)
        object.__setattr__(self, "bits", int(self.bits))
        object.__setattr__(self, "exact", whole("exact", self.exact, 0, MOST_EXACT))

    def apply(self, program: Program) -> Rewrite:
        """Return the program with whole coefficients."""
        if not len(program):
            return unchanged(program, "no variables")
        form = program.total()
        view = BlockView(program, form, Spins.of(form, program.components))
        blocks = self._blocks(view)
        step = np.array([block.step for block in blocks])
        bound = sum(block.rise for block in blocks)
        proven = sum(block.unchanged for block in blocks)
        return Rewrite(
            _rounded(program, view, blocks, step),
            Lift.identity(len(program)),
            bound=bound,
            margin=_joint_margin([block.margin for block in blocks]),
            error=sum(block.error for block in blocks),
            notes=(
                f"{proven} of {len(blocks)} blocks certified unchanged, bound {bound:.4g}",
                f"{self.bits} bits, steps {step.min():.4g} to {step.max():.4g}",
            ),
        )

    def _blocks(self, view: BlockView) -> list[Rounding]:
        """Return every block rounded."""
        limit = largest_integer(self.bits)
        steps, errors = candidate_steps(view.spins, limit)
        return [
            view.enumerated(b, steps[b], limit)
            if len(members) <= self.exact
            else view.bounded(b, float(steps[b, 0]), float(errors[b, 0]))
            for b, members in enumerate(view.members)
        ]


def _joint_margin(margins: list[float]) -> float:
    """Return the margin of independent blocks: any of them may be the one that is infeasible.

    Where infeasible states of a block may lie below its best feasible one, all such blocks may.
    """
    below = sum(min(margin, 0.0) for margin in margins)
    least = below if below < 0 else min(margins)
    return least if np.isfinite(least) else 0.0


def _rounded(program: Program, view: BlockView, blocks: list[Rounding], step: Floats) -> Program:
    """Return the program whose total has the rounded fields and couplings and the same mean."""
    spins, n = view.spins, len(program)
    h, coupling = np.zeros(n), np.zeros(len(spins.coupling))
    for b, block in enumerate(blocks):
        h[view.members[b]], coupling[view.terms[b]] = block.h, block.coupling
    i, j = spins.i, spins.j
    pull = np.bincount(i, weights=coupling, minlength=n)
    pull += np.bincount(j, weights=coupling, minlength=n)
    linear = step[spins.block] * (2.0 * (h - pull))
    bias = step[spins.block[i]] * (4.0 * coupling)
    offset = spins.constant - float(linear.sum() / 2.0 + bias.sum() / 4.0)
    prices = _prices(program)
    i, j, bias = kernels.collect_couplers(
        n,
        np.concatenate([i, prices.i]),
        np.concatenate([j, prices.j]),
        np.concatenate([bias, -prices.bias]),
    )
    objective = Quadratic(offset - prices.offset, linear - prices.linear, i, j, bias)
    return program.replace(objective=objective)


def _prices(program: Program) -> Quadratic:
    """Return what the priced constraints add to the objective."""
    return program.replace(objective=Quadratic(0.0, np.zeros(len(program)))).total()
