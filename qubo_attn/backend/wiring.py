"""Wirings: where coefficients go on the machine, worked out once for every batch of a structure."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from qubo_attn import kernels
from qubo_attn.backend.chain_strength import EXACT, error_margin
from qubo_attn.backend.wire import InUse, Layout, SolverOrder, layout_of
from qubo_attn.common.arrays import (
    Array,
    Floats,
    Longs,
    own_array,
    pointers,
    read_only,
    same_array,
    segment_ids,
)
from qubo_attn.embedding.placement import Placement, Plan
from qubo_attn.ir.quadratic import Quadratic
from qubo_attn.machine.background import ROUNDS
from qubo_attn.machine.ranges import shares


class _Links(NamedTuple):
    """Couplings within chains; chains come submission after submission, as fields do.

    Attributes:
        variable: the variable of each chain; ptr: where the fields of each chain start.
        link_ptr: where the couplings of each chain start; u, v: the fields that they join.
    """

    variable: Longs
    ptr: Longs
    link_ptr: Longs
    u: Longs
    v: Longs


@dataclass(frozen=True, eq=False)
class Wiring:
    """The way from a program's coefficients to those of a machine.

    Nothing here depends on the value of a coefficient. A compilation hands its wiring on to the
    next batch, which then finds everything ready.

    Physical fields of all submissions lie side by side, one for each qubit in use; so do physical
    couplings, first all those between chains, then all those within.

    Attributes:
        placement: the chains.
        plan: which logical coefficient each physical one is a share of.
        layouts: the layout used last, for arrays (False) and for wire data (True).
    """

    placement: Placement
    plan: Plan
    layouts: dict[bool, Layout] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def of(cls, placement: Placement, form: Quadratic, earlier: Wiring | None = None) -> Wiring:
        """Return the wiring of a placed program.

        Args:
            placement: where the program sits.
            form: the program as one quadratic form.
            earlier: the wiring of an earlier batch; returned where placement and couplers are the
                same.

        Raises:
            EmbeddingError: a coupler of the form has no coupler on the machine.
        """
        if (
            earlier is not None
            and earlier.placement is placement
            and same_array(earlier.plan.i, form.i)
            and same_array(earlier.plan.j, form.j)
        ):
            return earlier
        return cls(placement, placement.plan(form))

    # -- what touches what --------------------------------------------------------------------

    @cached_property
    def edge(self) -> Longs:
        """Component of each logical coupler."""
        return own_array(self.placement.component[self.plan.i])

    @cached_property
    def sizes(self) -> tuple[Longs, Longs]:
        """Variables and couplers of each component."""
        variables = np.bincount(self.placement.component)
        couplers = np.bincount(self.edge, minlength=len(variables))
        return own_array(variables), own_array(couplers)

    @cached_property
    def links(self) -> Longs:
        """Couplings within the chain of each variable."""
        links = np.bincount(self.plan.chain_of, minlength=len(self.placement.component))
        return own_array(links)

    @cached_property
    def error_margin(self) -> Floats:
        """What errors in coefficients may add to the bound of each variable's chain.

        In hardware units; see `qubo_attn.backend.chain_strength.error_margin`.
        """
        plan, lengths = self.plan, self.placement.chain_lengths
        couplings = np.bincount(plan.i[plan.coupling_of], minlength=len(lengths))
        couplings += np.bincount(plan.j[plan.coupling_of], minlength=len(lengths))
        return own_array(error_margin(lengths, couplings))

    @cached_property
    def _owner(self) -> Longs:
        """Component of each field."""
        return self.placement.component[self.plan.field_of]

    @cached_property
    def _coupler(self) -> Longs:
        """The machine's coupler of each coupling."""
        return np.concatenate([self.plan.coupling_coupler, self.plan.chain_coupler])

    @cached_property
    def _ends(self) -> Array:
        """The fields that each coupling joins, shape (couplings, 2)."""
        target, plan = self.placement.target, self.plan
        place = np.full(len(target.qubits), -1, np.int64)
        ends: Array = target.couplers[self._coupler]
        between = len(plan.coupling_of)
        for s in range(self.placement.submissions):
            fields = slice(plan.field_ptr[s], plan.field_ptr[s + 1])
            place[plan.field_qubit[fields]] = np.arange(fields.start, fields.stop)
            for start, ptr in ((0, plan.coupling_ptr), (between, plan.chain_ptr)):
                part = slice(start + ptr[s], start + ptr[s + 1])
                ends[part] = place[ends[part]]
        return ends

    @cached_property
    def _groups(self) -> Array:
        """Two times each of `_ends`, plus the coupling's group there, 0 or 1."""
        side: Array = self.placement.target.coupling_groups[self._coupler] & 1
        return 2 * self._ends + side

    @cached_property
    def _chains(self) -> _Links:
        plan, placement = self.plan, self.placement
        variable = np.concatenate([np.zeros(0, np.int64), *placement.members])
        place = np.empty(len(variable), np.int64)
        place[variable] = np.arange(len(variable))
        chain = place[plan.chain_of]
        within = self._ends[len(plan.coupling_of) :][np.argsort(chain, kind="stable")]
        return _Links(
            variable,
            own_array(pointers(placement.chain_lengths[variable])),
            pointers(np.bincount(chain, minlength=len(variable))),
            # Contiguous copies: the kernel is compiled for such arrays.
            within[:, 0].copy(),
            within[:, 1].copy(),
        )

    # -- from values --------------------------------------------------------------------------

    def chain_bounds(self, fields: Floats, couplings: Floats) -> Floats:
        """Return a strength for each variable above which no optimum breaks its chain.

        See `qubo_attn.backend.chain_strength.bounds`.

        Args:
            fields, couplings: float64, physical, of all submissions.
        """
        between, chains = len(self.plan.coupling_of), self._chains
        outside = kernels.outside_couplings(self._ends[:between], couplings[:between], len(fields))
        bounds = np.empty(len(chains.variable))
        bounds[chains.variable] = kernels.chain_bounds(
            read_only(chains.ptr), fields, outside, chains.link_ptr, chains.u, chains.v, EXACT
        )
        return bounds

    def leaks(self, fields: Floats, couplings: Floats) -> tuple[Floats, Floats]:
        """Return what the background susceptibility adds to the field of each variable.

        A qubit gets ``chi J h`` over each of its couplings, h the field at the other end, those
        within chains included; a chain adds up what its qubits get.

        Args:
            fields, couplings: float64, physical, of all submissions, in hardware units.

        Returns:
            What it would add, and what is left of that once programmed fields make up for it
            within their range (`qubo_attn.machine.background`).
        """
        (u, v), target = self._ends.T, self.placement.target
        low, high = target.limits.h

        def leaked(sent: Floats) -> Floats:
            total = np.bincount(u, couplings * sent[v], len(sent))
            total += np.bincount(v, couplings * sent[u], len(sent))
            return np.asarray(target.susceptibility * total)

        sent, count = fields, len(self.placement.component)
        for _ in range(ROUNDS):
            sent = np.clip(fields - leaked(sent), low, high)
        before, after = leaked(fields), sent + leaked(sent) - fields
        of = self.plan.field_of
        sums = (np.bincount(of, part, count) for part in (before, after))
        return np.asarray(next(sums), np.float64), np.asarray(next(sums), np.float64)

    def range_shares(self, fields: Floats, couplings: Floats) -> Floats:
        """Return the largest share of any range that each component's coefficients use.

        Args:
            fields, couplings: float64, physical, of all submissions.
        """
        return shares(
            self.placement.target,
            self._owner,
            len(self.sizes[0]),
            np.arange(len(fields)),
            fields,
            self._ends,
            self._groups,
            couplings,
        )

    # -- in a solver's order ------------------------------------------------------------------

    @cached_property
    def _order(self) -> SolverOrder:
        return SolverOrder.of(self.placement.target)

    def layout(self, solver: SolverOrder | object, *, wire: bool) -> Layout:
        """Return the places of all coefficients in a solver's order; the last one is kept.

        Args:
            solver: what lists qubits and couplers; None means the target's own order.
            wire: see `qubo_attn.backend.wire.layout_of`.

        Raises:
            TargetError: a qubit or coupler in use is not among the solver's; names it.
        """
        target, plan = self.placement.target, self.plan
        order = self._order if solver is None else SolverOrder.of(target, solver)
        latest = self.layouts.get(wire)
        if latest is None or latest.order is not order:
            owner = np.concatenate([segment_ids(plan.coupling_ptr), segment_ids(plan.chain_ptr)])
            in_use = InUse(plan.field_qubit, segment_ids(plan.field_ptr), self._coupler, owner)
            latest = layout_of(order, in_use, self.placement.submissions, wire=wire)
            self.layouts[wire] = latest
        return latest
