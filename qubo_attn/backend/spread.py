"""Where couplings meet fields: what a placed program's ranges and chain bounds are worked out on.

Physical fields of all submissions lie side by side, one entry for each qubit in use; a coupling is
told by the two entries it joins. Nothing here depends on a coefficient, so a plan keeps it, and
every later batch finds it ready.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qubo_attn import kernels
from qubo_attn.backend.chain_strength import EXACT, error_margin
from qubo_attn.common.arrays import Array, Floats, Longs, pointers

if TYPE_CHECKING:
    from qubo_attn.embedding.placement import Placement, Plan


@dataclass(frozen=True, eq=False)
class Spread:
    """A plan's fields and couplings by what they touch.

    Attributes:
        owner: component of each field.
        ends: shape (m, 2): the fields that each coupling joins; those between chains come first.
        groups: shape (m, 2): two times the field plus the coupling's group there, 0 or 1.
        variable: variable of each chain, in the order of the fields; ptr: where its fields start.
        link_ptr, u, v: couplings within each chain, and the fields they join.
        edge: component of each logical coupler.
        errors: what errors in its coefficients may add to each variable's chain bound, in hardware
            units; see `qubo_attn.backend.chain_strength.error_margin`.
    """

    owner: Longs
    ends: Array
    groups: Array
    variable: Longs
    ptr: Longs
    link_ptr: Longs
    u: Longs
    v: Longs
    edge: Longs
    errors: Floats

    def chain_bounds(self, fields: Floats, couplings: Floats) -> Floats:
        """Return a strength for each of ``variable`` above which no optimum breaks its chain.

        See `qubo_attn.backend.chain_strength.bounds`.

        Args:
            fields: of all submissions; couplings: those between chains.
        """
        outside = kernels.outside_couplings(self.ends[: len(couplings)], couplings, len(fields))
        return kernels.chain_bounds(self.ptr, fields, outside, self.link_ptr, self.u, self.v, EXACT)


def spread_of(placement: Placement, plan: Plan) -> Spread:
    """Return what a plan keeps for a placement; worked out once."""
    known: tuple[Placement, Spread] | None = plan.__dict__.get("_spread")
    if known is None or known[0] is not placement:
        known = placement, _spread(placement, plan)
        plan.__dict__["_spread"] = known
    return known[1]


def _spread(placement: Placement, plan: Plan) -> Spread:
    target = placement.target
    between = _ends(placement, plan, plan.coupling_coupler, plan.coupling_ptr)
    within = _ends(placement, plan, plan.chain_coupler, plan.chain_ptr)
    ends = np.concatenate([between, within])
    side = target.coupling_groups[np.concatenate([plan.coupling_coupler, plan.chain_coupler])] & 1
    variable = np.concatenate([np.zeros(0, np.int64), *placement.members])
    place = np.empty(len(variable), np.int64)
    place[variable] = np.arange(len(variable))
    chain = place[plan.chain_of]
    order = np.argsort(chain, kind="stable")
    return Spread(
        owner=placement.component[plan.field_of],
        ends=ends,
        groups=2 * ends + side,
        variable=variable,
        ptr=pointers(placement.chain_lengths[variable]),
        link_ptr=pointers(np.bincount(chain, minlength=len(variable))),
        # Contiguous copies: the kernel is compiled for such arrays.
        u=within[order, 0].copy(),
        v=within[order, 1].copy(),
        edge=placement.component[plan.i],
        errors=error_margin(plan, placement.chain_lengths),
    )


def _ends(placement: Placement, plan: Plan, coupler: Longs, ptr: Longs) -> Array:
    """Return the fields that each of some couplings joins; ``ptr`` tells its submission."""
    target = placement.target
    at = np.full(len(target.qubits), -1, np.int64)
    ends = np.empty((len(coupler), 2), np.int64)
    for s in range(placement.submissions):
        fields = slice(plan.field_ptr[s], plan.field_ptr[s + 1])
        at[plan.field_qubit[fields]] = np.arange(fields.start, fields.stop)
        mine = slice(ptr[s], ptr[s + 1])
        ends[mine] = at[target.couplers[coupler[mine]]]
    return ends
