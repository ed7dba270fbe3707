"""Programmings: a program cut into submissions, as models, as arrays and as wire data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qubo_attn.backend.coefficients import Coefficients
from qubo_attn.backend.model import Physical, chain_offset
from qubo_attn.backend.submission import Submission
from qubo_attn.backend.wire import SolverOrder, WireData, wire_data
from qubo_attn.common.arrays import Floats, Longs, csr_rows
from qubo_attn.ir.columns import Kind, Role
from qubo_attn.ir.program import Program
from qubo_attn.ir.quadratic import Quadratic


def logical_submission(program: Program) -> Submission:
    """Return the whole program, bits only, as one model, and constraints without a price."""
    n, c = len(program), program.constraints
    priced = program.replace(constraints=c.take(c.priced))
    form = priced.total()
    return Submission(
        0,
        np.arange(n),
        np.arange(n),
        _rows_of(program, np.arange(n)),
        form.linear,
        form.i,
        form.j,
        form.bias,
        form.offset,
        "BINARY",
        np.ones(n),
        constraints=None if program.is_unconstrained else c.take(~c.priced),
    )


@dataclass(frozen=True, eq=False)
class Programmings:
    """A placed program in hardware units.

    Attributes:
        program: bits only, constraints priced.
        form: the program as one quadratic form, copies of rows behind it.
        values: its coefficients, and where they go.
        source: int64, the program's variable that each variable of the form is, or is a copy of.
    """

    program: Program
    form: Quadratic
    values: Coefficients
    source: Longs

    def submissions(self) -> Iterator[Submission]:
        """Yield the submissions, in order."""
        return map(self._submission, range(self.values.wiring.placement.submissions))

    def wires(self, solver: SolverOrder | object) -> tuple[WireData, ...]:
        """Return every submission as a solver's client sends it."""
        values, wiring = self.values, self.values.wiring
        layout = wiring.layout(solver, wire=True)
        h, j = layout.place(*values.physical)
        return tuple(
            wire_data(
                h[layout.h_ptr[s] : layout.h_ptr[s + 1]],
                j[layout.j_ptr[s] : layout.j_ptr[s + 1]],
                self.constants[s] + chain_offset(values.strength[members], wiring.links[members]),
            )
            for s, members in enumerate(wiring.placement.members)
        )

    def arrays(self, solver: SolverOrder | object) -> tuple[Floats, Floats]:
        """Return fields and couplings of every submission over all qubits and couplers."""
        layout = self.values.wiring.layout(solver, wire=False)
        h, j = layout.place(*self.values.physical)
        rows = self.values.wiring.placement.submissions
        return (
            h.reshape(rows, len(layout.order.qubit)),
            j.reshape(rows, len(layout.order.ends)),
        )

    @cached_property
    def constants(self) -> list[float]:
        """The constant of each submission's model for spins."""
        wiring, coupling = self.values.wiring, self.values.coupling
        plan, linear = wiring.plan, self.form.linear
        # Spins: a x = a (1 + s) / 2, b x y = b (1 + s)(1 + t) / 4; the constants follow the scale.
        half = linear / 2.0 / self.values.scale[wiring.placement.component]
        return [
            float(
                half[members].sum()
                + coupling[plan.logical[plan.logical_ptr[s] : plan.logical_ptr[s + 1]]].sum()
            )
            for s, members in enumerate(wiring.placement.members)
        ]

    def _submission(self, s: int) -> Submission:
        values, placement, plan = self.values, self.values.wiring.placement, self.values.wiring.plan
        form, members = self.form, placement.members[s]
        place = np.full(len(form.linear), -1, np.int64)
        place[members] = np.arange(len(members))
        couplers = plan.logical[plan.logical_ptr[s] : plan.logical_ptr[s + 1]]
        return Submission(
            s,
            members,
            self.source[members],
            _rows_of(self.program, members[members < len(self.program)]),
            values.h[members],
            place[form.i[couplers]],
            place[form.j[couplers]],
            values.coupling[couplers],
            self.constants[s],
            "SPIN",
            values.scale[placement.component[members]],
            self._physical(s, members),
        )

    def _physical(self, s: int, members: Longs) -> Physical:
        placement, plan = self.values.wiring.placement, self.values.wiring.plan
        ptr, entries = csr_rows(placement.chain_ptr, members)
        fields = slice(plan.field_ptr[s], plan.field_ptr[s + 1])
        between = slice(plan.coupling_ptr[s], plan.coupling_ptr[s + 1])
        within = slice(plan.chain_ptr[s], plan.chain_ptr[s + 1])
        couplers = np.concatenate([plan.coupling_coupler[between], plan.chain_coupler[within]])
        ends = placement.target.couplers[couplers]
        h, j = self.values.physical
        j_between, j_within = np.split(j, [len(plan.coupling_of)])
        return Physical(
            placement.target,
            ptr,
            placement.chain_qubit[entries],
            self.values.strength[members],
            plan.field_qubit[fields],
            h[fields],
            ends[:, 0],
            ends[:, 1],
            np.concatenate([j_between[between], j_within[within]]),
        )


def _rows_of(program: Program, members: Longs) -> tuple[tuple[int, int], ...]:
    """Return head and query of the rows that some variables make up."""
    c, v = program.constraints, program.variables
    inside = np.zeros(len(v), bool)
    inside[members] = True
    picks = inside[c.var[c.ptr[:-1]]] & (c.kind == Kind.PICK)
    # A row in another shape than a sum is known by its ancillas.
    ancillas = np.flatnonzero(inside & (v.role == Role.ANCILLA) & (v.query >= 0))
    head = np.concatenate([c.head[picks], v.head[ancillas]])
    query = np.concatenate([c.query[picks], v.query[ancillas]])
    return tuple(dict.fromkeys(zip(head.tolist(), query.tolist(), strict=True)))
