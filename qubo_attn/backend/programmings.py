"""What goes out: a program cut into machine programmings, as models, as arrays and as wire data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qubo_attn.backend.coefficients import Coefficients
from qubo_attn.backend.submission import Physical, Submission
from qubo_attn.backend.wire import SolverOrder, WireData, layout_of, wire_data
from qubo_attn.common.arrays import Floats, Longs, csr_rows
from qubo_attn.embedding.placement import Placement, Plan
from qubo_attn.ir.columns import Kind, Role
from qubo_attn.ir.program import Program


def logical_submission(program: Program) -> Submission:
    """Return the whole program, bits only and constraints priced, as one model over bits."""
    n, form = len(program), program.total()
    return Submission(
        0,
        np.arange(n),
        _rows_of(program, np.arange(n)),
        form.linear,
        form.i,
        form.j,
        form.bias,
        form.offset,
        "BINARY",
        np.ones(n),
    )


@dataclass(frozen=True, eq=False)
class Outgoing:
    """A placed program in hardware units.

    Attributes:
        program: bits only, constraints priced.
        placement, plan: where it sits.
        values: its coefficients.
    """

    program: Program
    placement: Placement
    plan: Plan
    values: Coefficients

    def submissions(self) -> Iterator[Submission]:
        """Yield the submissions, in order."""
        return map(self._submission, range(self.placement.submissions))

    def wires(self, solver: SolverOrder | object) -> tuple[WireData, ...]:
        """Return every submission as a solver's client sends it."""
        plan, values = self.plan, self.values
        layout = layout_of(plan, SolverOrder.of(self.placement.target, solver), True)
        fields, couplings = layout.fill(values.h, values.coupling, values.strength)
        return tuple(
            wire_data(
                fields[layout.h_ptr[s] : layout.h_ptr[s + 1]],
                couplings[layout.j_ptr[s] : layout.j_ptr[s + 1]],
                self.constants[s] + plan.chain_offset(values.strength[members], members),
            )
            for s, members in enumerate(self.placement.members)
        )

    def arrays(self, solver: SolverOrder | object) -> tuple[Floats, Floats]:
        """Return fields and couplings of every submission over all qubits and couplers."""
        order = SolverOrder.of(self.placement.target, solver)
        layout = layout_of(self.plan, order, False)
        fields, couplings = layout.fill(self.values.h, self.values.coupling, self.values.strength)
        rows = self.placement.submissions
        return fields.reshape(rows, len(order.qubit)), couplings.reshape(rows, len(order.ends))

    @cached_property
    def constants(self) -> list[float]:
        """The constant of each submission's model for spins."""
        plan, form = self.plan, self.program.total()
        scale = self.values.scale[self.placement.component]
        # Spins: a x = a (1 + s) / 2, b x y = b (1 + s)(1 + t) / 4; the constants follow the scale.
        linear, bias = form.linear / 2.0 / scale, form.bias / 4.0 / scale[form.i]
        return [
            float(
                linear[members].sum()
                + bias[plan.logical[plan.logical_ptr[s] : plan.logical_ptr[s + 1]]].sum()
            )
            for s, members in enumerate(self.placement.members)
        ]

    def _submission(self, s: int) -> Submission:
        placement, plan, values = self.placement, self.plan, self.values
        form, members = self.program.total(), placement.members[s]
        place = np.full(len(self.program), -1, np.int64)
        place[members] = np.arange(len(members))
        mine = plan.logical[plan.logical_ptr[s] : plan.logical_ptr[s + 1]]
        return Submission(
            s,
            members,
            _rows_of(self.program, members),
            values.h[members],
            place[form.i[mine]],
            place[form.j[mine]],
            values.coupling[mine],
            self.constants[s],
            "SPIN",
            values.scale[placement.component[members]],
            self._physical(s, members),
        )

    def _physical(self, s: int, members: Longs) -> Physical:
        placement, plan, values = self.placement, self.plan, self.values
        ptr, entries = csr_rows(placement.chain_ptr, members)
        fields = slice(plan.field_ptr[s], plan.field_ptr[s + 1])
        between = slice(plan.coupling_ptr[s], plan.coupling_ptr[s + 1])
        within = slice(plan.chain_ptr[s], plan.chain_ptr[s + 1])
        couplers = placement.target.couplers
        ends = np.concatenate(
            [couplers[plan.coupling_coupler[between]], couplers[plan.chain_coupler[within]]]
        )
        return Physical(
            placement.target,
            ptr,
            placement.chain_qubit[entries],
            values.strength[members],
            plan.field_qubit[fields],
            values.fields[fields],
            ends[:, 0],
            ends[:, 1],
            np.concatenate([values.couplings[between], values.chains[within]]),
            plan,
        )


def _rows_of(program: Program, members: Longs) -> tuple[tuple[int, int], ...]:
    """Return head and query of the rows that some variables make up."""
    c, v = program.constraints, program.variables
    inside = np.zeros(len(v), bool)
    inside[members] = True
    mine = inside[c.var[c.ptr[:-1]]] & (c.kind == Kind.PICK)
    # A row in another shape than a sum is known by its ancillas.
    own = np.flatnonzero(inside & (v.role == Role.ANCILLA) & (v.query >= 0))
    head = np.concatenate([c.head[mine], v.head[own]])
    query = np.concatenate([c.query[mine], v.query[own]])
    return tuple(dict.fromkeys(zip(head.tolist(), query.tolist(), strict=True)))
