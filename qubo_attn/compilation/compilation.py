"""Compilations as data: programs, coefficients and submissions, worked out when first read."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from qubo_attn.backend.coefficients import Coefficients, coefficients
from qubo_attn.backend.precision import Precision, precision, some_rows
from qubo_attn.backend.programmings import Programmings, logical_submission
from qubo_attn.backend.seats import over_seats
from qubo_attn.backend.submissions import Submissions
from qubo_attn.backend.wire import SolverOrder, WireData
from qubo_attn.backend.wiring import Wiring
from qubo_attn.common.arrays import Bools, Floats, Ints, Longs, own_array
from qubo_attn.common.frozen import Portable
from qubo_attn.compilation.backgrounds import backgrounds_of, carried_of
from qubo_attn.compilation.recipe import Recipe
from qubo_attn.compilation.structures import Structures
from qubo_attn.embedding.copies import Copies, Seated
from qubo_attn.embedding.placement import Placement, Plan
from qubo_attn.errors import PassError
from qubo_attn.formulations.certificates import Certificates
from qubo_attn.frontend.attention import Attention
from qubo_attn.ir.columns import Sense
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program
from qubo_attn.ir.quadratic import Quadratic
from qubo_attn.pipeline.pipeline import Stage


@dataclass(frozen=True, eq=False)
class Compilation(Portable):
    """What was compiled, how, and the program after every pass.

    `CompiledAttention` adds what can be done with it.

    Attributes:
        attention: the checked input.
        recipe: how it was compiled; `rebind` repeats it.
        stages: the objective's program and the program after every pass.
        structures: placements and wirings of earlier batches, for later ones; this one's among
            them.
        copies: rows that sit once more where the last submission left room; None without any.
    """

    attention: Attention
    recipe: Recipe
    stages: tuple[Stage, ...]
    structures: Structures = field(default_factory=Structures)
    copies: Copies | None = None

    # -- the program --------------------------------------------------------------------------

    @property
    def program(self) -> Program:
        """The program after the last pass: bits only, constraints priced."""
        return self.stages[-1].program

    @property
    def placement(self) -> Placement | None:
        """Where the program sits on the machine; None without a structured target."""
        return self.stages[-1].rewrite.placement

    def lift_to(self, stage: int) -> Lift:
        """Return the way back from samples of `program` to the program after ``stage``."""
        return self.lift_between(stage, len(self.stages) - 1)

    def lift_between(self, early: int, late: int) -> Lift:
        """Return the way back from the program after stage ``late`` to that after ``early``."""
        lift = Lift.identity(len(self.stages[early].program))
        for stage in self.stages[early + 1 : late + 1]:
            lift = lift.then(stage.lift)
        return lift

    @property
    def bound(self) -> float:
        """How much all lossy passes together can raise the optimum, in energy units.

        Bounds add up. Where a pass moved energies, a later lossy pass works on those, and what was
        moved counts on both sides. Bounds that are still to be proved are proved now.
        """
        total = moved = twice = 0.0
        for stage in self.stages:
            bound = stage.rewrite.prove()
            if bound > 0:
                twice = 2.0 * moved
            total += bound
            moved += stage.rewrite.error
        return total + twice

    @property
    def certificates(self) -> Certificates:
        """The proofs of the penalty weights; `Certificates.recheck` proves them again.

        Raises:
            PassError: no pass left any.
        """
        for stage in self.stages:
            if stage.rewrite.certificates is not None:
                return stage.rewrite.certificates
        raise PassError("no pass of this compilation left certificates")

    @cached_property
    def unpriced(self) -> int:
        """The stage before the first price or encoding: its points are whole levels."""
        for number, stage in enumerate(self.stages[1:]):
            if stage.program.constraints.priced.any() or stage.lift.sources is None:
                return number
        return len(self.stages) - 1

    @cached_property
    def capped(self) -> Bools:
        """Rows that see fewer keys than they were to keep, shape (H, Q)."""
        heads, queries, keys = self.attention.shape
        rows, endless = self.attention.rows, np.array([keys + 2**31])
        wanted = np.zeros(heads, np.int64)
        for head, select in enumerate(self.recipe.selects):
            count = int(select.counts(endless)[0])
            if select.sense == Sense.EQ and count < endless[0]:
                wanted[head] = count
        capped = np.zeros((heads, queries), bool)
        capped[rows.head, rows.query] = rows.sizes < wanted[rows.head]
        return own_array(capped)

    @cached_property
    def backgrounds(self) -> Floats | None:
        """What stands for the keys that rows do not keep, shape (H, Q, d).

        None where that is the mean value of the row's keys in every head; see `Output`.
        """
        return backgrounds_of(self.recipe, self.attention)

    @cached_property
    def carried(self) -> Floats | None:
        """What this batch leaves to carried backgrounds of the next, shape (H, d + 1).

        Sums of values, and their mass, of this batch and all before it; what it was given where no
        background is carried.
        """
        return carried_of(self.recipe, self.attention)

    # -- on the machine -----------------------------------------------------------------------

    @cached_property
    def seated(self) -> Seated:
        """All that sits on the machine: the program, and behind it the variables of copies."""
        own = np.arange(len(self.program), dtype=np.int64)
        if self.placement is None:  # constraints may have no price here
            return Seated(None, self.program.objective, own_array(own))
        form = self.program.total()
        if self.copies is None:
            return Seated(self.placement, form, own_array(own))
        component = self.placement.component
        placed = self.copies.placed(self.placement)
        # That of an earlier batch with the same copies has its wiring.
        earlier = self.structures.placements.get(placed.structure)
        if earlier is not None and earlier.digest == placed.digest:
            placed = earlier
        source = own_array(np.append(own, self.copies.originals(component)))
        return Seated(placed, self.copies.form(form, component), source)

    @cached_property
    def wiring(self) -> Wiring | None:
        """Where coefficients go on the machine; None without a placement."""
        placement, form, _ = self.seated
        return None if placement is None else self.structures.wiring(placement, form)

    @property
    def plan(self) -> Plan | None:
        """Index arrays from logical to physical coefficients; None without a placement."""
        return None if self.wiring is None else self.wiring.plan

    @cached_property
    def coefficients(self) -> Coefficients | None:
        """Coefficients in hardware units; None without a placement."""
        if self.wiring is None:
            return None
        head = self.program.variables.head[self.seated.source]
        return self._coefficients(self.wiring, self.seated.form, head)

    def _coefficients(self, wiring: Wiring, form: Quadratic, head: Ints) -> Coefficients:
        """Return the coefficients of a form on a wiring, given the head of each variable."""
        component = wiring.placement.component
        aims = self.recipe.aims[np.maximum(head, 0)] / wiring.placement.target.temperature
        least = np.zeros(int(component.max(initial=-1)) + 1)
        np.maximum.at(least, component, np.where(head < 0, 0.0, aims))
        return coefficients(form, wiring, self.recipe.chain_strength, least)

    @cached_property
    def submissions(self) -> Submissions:
        """The machine programmings, each ready to submit; none where nothing is left to choose."""
        if not len(self.program):
            return Submissions()
        if self._programmings is None:
            return Submissions((logical_submission(self.program),))
        return Submissions(self._programmings.submissions())

    @cached_property
    def _programmings(self) -> Programmings | None:
        """All programmings of a machine; None without a placement."""
        if self.coefficients is None:
            return None
        _, form, source = self.seated
        return Programmings(self.program, form, self.coefficients, source)

    def wires(self, solver: SolverOrder | object = None) -> tuple[WireData, ...]:
        """Return every submission as a solver's client sends it; see `Submission.wire`.

        One pass from logical coefficients to the arrays sent: no model of any submission is built.
        Where things go is worked out once for a structure and a `SolverOrder`, and serves every
        batch that `rebind` makes, as long as the order stays the same.

        Args:
            solver: what lists qubits and couplers, or a `SolverOrder` made of one; None means the
                target's own order.

        Raises:
            TargetError: a qubit or coupler in use is not among the solver's; names it.

        Example:
            >>> import qubo_attn as qa
            >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target="zephyr:2")
            >>> compiled.wires() == tuple(part.wire() for part in compiled.submissions)
            True
        """
        return () if self._programmings is None else self._programmings.wires(solver)

    def hardware_arrays(self, solver: SolverOrder | object = None) -> tuple[Floats, Floats]:
        """Return the physical h and J of every submission over all qubits and couplers.

        Args:
            solver: see `wires`.

        Returns:
            Fields, shape (submissions, qubits), and couplings, shape (submissions, couplers), in
            hardware units, in the solver's order; zeros where nothing is placed.

        Raises:
            TargetError: a qubit or coupler in use is not among the solver's; names it.
        """
        if self._programmings is None:
            return np.zeros((0, 0)), np.zeros((0, 0))
        return self._programmings.arrays(solver)

    def precision(self, quick: bool = False) -> Precision:
        """Return what a warm machine returns of every row: chances of one read.

        A row of 16 bits takes some milliseconds.

        Args:
            quick: look at some rows where there are many, spread evenly; the chances of the others
                are NaN. Reports do.

        Raises:
            PassError: it was compiled without a structured target.
        """
        if self.placement is None:
            raise PassError("precision is that of a machine; compile for a structured target")
        rows = some_rows(self.placement.component, quick)
        table = self._precision(self.placement, rows)
        if self.copies is None:
            return table
        layers = self.copies.layers(self.placement)
        seats = ((some, layer, rows[np.isin(rows, some)]) for some, layer in layers)
        return over_seats(
            table, ((some, self._precision(layer, looked)) for some, layer, looked in seats)
        )

    def chances_of(self, rows: Longs) -> Floats:
        """Return the chance that a read of some components is their optimum, without copies."""
        assert self.placement is not None
        return self._precision(self.placement, rows).optimum[rows]

    def _precision(self, placement: Placement, rows: Longs) -> Precision:
        """Return what to expect of every component in a placement; chances of some alone."""
        values = self.coefficients
        if values is None or values.wiring.placement is not placement:
            form, head = self.program.total(), self.program.variables.head
            own = placement is self.placement
            wiring = self.structures.wiring(placement, form) if own else Wiring.of(placement, form)
            values = self._coefficients(wiring, form, head)
        open_ = self.stages[self.unpriced].program
        return precision(self.program, values, open_, self.lift_to(self.unpriced), rows)

    def reads_for(self, chance: float) -> Longs:
        """Return how many reads of each submission show the optimum of each of its rows.

        Args:
            chance: wanted for every row on its own, above 0 and below 1.

        Returns:
            int64, one entry per submission: that of its hardest row, see `Precision`.

        Raises:
            PassError: it was compiled without a structured target.
            InputError: the chance is none.
        """
        table = self.precision()
        reads = np.ones(len(self.submissions), np.int64)
        np.maximum.at(reads, table.submission, table.reads_for(chance))
        return reads

    def __getstate__(self) -> dict[str, Any]:
        """Return the fields; hooks stay behind."""
        return super().__getstate__() | {"recipe": self.recipe.without_hooks()}
