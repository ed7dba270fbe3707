"""Drop couplers: fewer pairs in rows that keep exactly k bits, by proof or within a budget.

* By proof: a good selection costs U, and a tangent of the row's convex relaxation says what every
  selection costs at least that holds a pair of keys. Above U, no best selection holds both, and
  their coupler may go. A key that no best selection holds, or every one, turns its couplers into
  fields. The changed row gets the same treatment: its best selections must be among those that
  could be best before, over which nothing changed. So every best selection after is one before.
* ``budget`` (lossy): then the weakest couplers, as many as keep the rise of the optimum within the
  budget. A coupler of keys i and j becomes fields around a good selection c,
  ``z_i z_j -> z_i c_j + c_i z_j - c_i c_j``: wrong only where both keys differ from c. With D the
  change of the energies, the rise is at most ``max D - min D`` over selections that could be best,
  which sorting bounds.

Variables and constraints stay, so placements do. A penalty with A > 0 puts a coupler on every pair
of its row again. So the pass gains something if the linear penalty is enough, if a row's shape has
no square, and in the strength of chains. The selection that is best stays so; energies of others
change, by at most ``error``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from qubo_attn import kernels
from qubo_attn.common.checks import share
from qubo_attn.common.keywords import named_fields
from qubo_attn.formulations.couplers import change_rows
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program
from qubo_attn.pipeline.pipeline import OWN_ENERGIES, UNPRICED, Fact
from qubo_attn.pipeline.rewrite import Rewrite


@named_fields
@dataclass(frozen=True)
class DropCouplers:
    """Drop couplers of rows that keep exactly k keys.

    Attributes:
        budget: how much a row's optimum may rise, as a share of what a random selection costs above
            a good one; 0 drops by proof alone.

    Example:
        >>> from qubo_attn import DropCouplers, Program
        >>> program = Program.parse('''
        ... x[0,0,0] : -4
        ... x[0,0,1] : -3
        ... x[0,0,2] : 2
        ... x[0,0,3] : 3
        ... x[0,0,2] * x[0,0,3] : -1
        ... pick[0,0]: x[0,0,0] + x[0,0,1] + x[0,0,2] + x[0,0,3] == 2
        ... ''')
        >>> rewrite = DropCouplers().apply(program)
        >>> len(rewrite.program.objective), rewrite.bound
        (0, 0.0)
    """

    budget: float = 0.0

    name: ClassVar[str] = "drop-couplers"
    needs: ClassVar[frozenset[Fact]] = frozenset({UNPRICED})
    ensures: ClassVar[frozenset[Fact]] = frozenset()
    breaks: ClassVar[frozenset[Fact]] = frozenset({OWN_ENERGIES})

    def __post_init__(self) -> None:
        object.__setattr__(self, "budget", share("budget", self.budget))

    def apply(self, program: Program) -> Rewrite:
        """Return the program with fewer couplers."""
        changed, rows = change_rows(program, kernels.drop_couplers, self.budget)
        before, after = len(program.objective), len(changed.objective)
        bound = float(rows.bound.sum())
        notes = (
            f"{before - after} of {before} couplers dropped, {rows.tally.sum()} of them by proof",
            f"the optimum rises by at most {bound:.4g}",
        )
        error, lift = float(rows.error.sum()), Lift.identity(len(program))
        return Rewrite(changed, lift, bound=bound, error=error, notes=notes)
