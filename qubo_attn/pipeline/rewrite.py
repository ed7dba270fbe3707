"""The result of a pass: a new program, the way back, and a promise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from qubo_attn.common.brief import folding
from qubo_attn.common.frozen import Portable
from qubo_attn.embedding.placement import Placement
from qubo_attn.formulations.certificates import Certificates
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program


@dataclass(frozen=True, eq=False)
class Rewrite(Portable):
    """A new program, the way back from it, and what the pass promises.

    `qubo_attn.validate` checks the promise. A point that satisfies the new program lifts to one
    that satisfies the old one, with the same energy up to ``error``. A best point of the new
    program lifts to one at most ``bound`` above the optimum of the old one. Where constraints were
    priced, every infeasible point lies above the optimum by ``margin``.

    Attributes:
        program: the program after the pass.
        lift: maps samples of ``program`` to samples of the program before.
        bound: largest rise of the optimum, in energy units; 0 for a lossless pass, None where a
            proof is still to be made: it may take longer than the work of the pass.
        margin: least distance of infeasible points above the optimum, in energy units; negative
            where rounding may have put some below it.
        restricts: whether the pass asks for more than the program did (tying does), so that the
            optimum may rise by what was asked.
        notes: what a reader of the report should know.
        certificates: the proofs of the weights; only a pass that prices sets them.
        placement: where the program sits on a target; only the embed pass sets it.
        error: largest change of a feasible point's energy, in energy units; 0 but for rounding.
        proof: makes the bound where ``bound`` is None; see `prove`.

    Example:
        >>> from qubo_attn import Program, TieVariables
        >>> program = Program.parse('''
        ... x[0,0,0] : -2
        ... x[1,0,0] : -1
        ... ''')
        >>> rewrite = TieVariables(((0, 1),)).apply(program)
        >>> rewrite.program.objective.linear  # one variable for both
        array([-3.])
        >>> rewrite.lift.lift([[1]])  # and back
        array([[1., 1.]])
        >>> rewrite.restricts, rewrite.bound
        (True, 0.0)
    """

    program: Program
    lift: Lift
    bound: float | None = 0.0
    margin: float = 0.0
    restricts: bool = False
    notes: tuple[str, ...] = ()
    certificates: Certificates | None = None
    placement: Placement | None = None
    error: float = 0.0
    proof: Callable[[], float] | None = None

    def prove(self) -> float:
        """Return the bound; where it is still to be proved, the first call proves it."""
        return self._proven if self.bound is None else self.bound

    @cached_property
    def _proven(self) -> float:
        return 0.0 if self.proof is None else float(self.proof())

    def __str__(self) -> str:
        bound = "to be proved" if self.bound is None else f"{self.bound:.6g}"
        lines = (f"bound {bound}, margin {self.margin:.6g}", *self.notes)
        return "\n".join((*lines, str(self.program)))

    def _repr_html_(self) -> str:
        return folding(str(self))


def unchanged(program: Program, *notes: str) -> Rewrite:
    """Return the rewrite that changes nothing."""
    return Rewrite(program, Lift.identity(len(program)), notes=notes)
