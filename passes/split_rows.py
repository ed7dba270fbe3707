"""Split rows: leave a block of each large row to choose from, and hold its other keys.

A row that is larger than the machine is solved in rounds: this pass is one of them. Components of
more than ``block`` variables keep that many, those whose exchange promises most
(`qubo_attn.formulations.held`); all their other keys are held at a point, the keys of largest
softmax mass unless another is known. The energies of what is left are those of whole rows, and
every count holds. Blocks of different components have no coupler in common, so they are sampled
side by side.

What is left cannot be better than the best choice of the block, so the optimum may rise: by no more
than the range of the objective of what was split. `CompiledAttention.solve` goes on from round to
round, each with another block, so that what it returns is a choice of all keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from qubo_attn.common.arrays import Bools
from qubo_attn.common.checks import whole
from qubo_attn.common.keywords import named_fields
from qubo_attn.common.words import plural
from qubo_attn.formulations.held import Held, SplitPlan
from qubo_attn.formulations.others import component_ranges
from qubo_attn.ir.program import Program
from qubo_attn.pipeline.pipeline import UNPRICED, WHOLE_ROWS, Fact
from qubo_attn.pipeline.rewrite import Rewrite, unchanged


@named_fields
@dataclass(frozen=True)
class SplitRows:
    """Leave a block of each large row open, and hold the other keys.

    Attributes:
        block: most variables of a component that stay, at least 2.

    Raises:
        InputError: the block is no whole number of at least 2.

    Example:
        Of four keys two are kept; key 0 of the kept ones costs most beside the other, and key 2
        is the best of the rest:

        >>> from qubo_attn import Program, SplitRows
        >>> program = Program.parse('''
        ... x[0,0,0] mass 0.4 : -2
        ... x[0,0,1] mass 0.3 : -3
        ... x[0,0,2] mass 0.2 : -2.5
        ... x[0,0,3] mass 0.1 : -1
        ... pick[0,0]: x[0,0,0] + x[0,0,1] + x[0,0,2] + x[0,0,3] == 2
        ... ''')
        >>> print(SplitRows(2).apply(program).program)
        program variables=2 terms=0 constraints=1
        offset -3
        x[0,0,0] mass 0.4 : -2
        x[0,0,2] mass 0.2 : -2.5
        pick[0,0]: x[0,0,0] + x[0,0,2] == 1
        <BLANKLINE>
    """

    block: int

    name: ClassVar[str] = "split-rows"
    needs: ClassVar[frozenset[Fact]] = frozenset({UNPRICED})
    ensures: ClassVar[frozenset[Fact]] = frozenset()
    breaks: ClassVar[frozenset[Fact]] = frozenset({WHOLE_ROWS})

    def __post_init__(self) -> None:
        object.__setattr__(self, "block", whole("block", self.block, least=2))

    def apply(self, program: Program, held: Held | None = None) -> Rewrite:
        """Return the program of the blocks.

        Args:
            program: before its constraints are priced.
            held: where the rows stand; at the keys of largest mass when None.

        Raises:
            PassError: a component is too large, and more than counts of bits; names it.
        """
        plan = SplitPlan.of(program, self.block)
        if not plan.split.any():
            return unchanged(program, f"no row has more than {self.block} variables")
        held = plan.start(program) if held is None else held
        open_ = plan.open(program, held)
        blocks, lift = plan.narrowed(program, held, open_)
        note = (
            f"{plural(len(plan.rows), 'row')} split: {plan.take.sum()} of "
            f"{plan.split[plan.component].sum()} keys stay open"
        )
        proof = partial(_range, program, plan.split)
        return Rewrite(blocks, lift, bound=None, proof=proof, notes=(note,))


def _range(program: Program, split: Bools) -> float:
    """Return how far two points can lie apart in the components that were split."""
    return float(np.sum(component_ranges(program)[split]))
