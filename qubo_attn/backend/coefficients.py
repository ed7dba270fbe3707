"""Coefficients in hardware units: chain strength and scale of each independent component.

Components share a programming but not a single coefficient, so each is scaled to the machine's
ranges on its own; one global factor would sink rows with small scores below the noise of rows with
large ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qubo_attn import kernels
from qubo_attn.backend import chain_strength as chains
from qubo_attn.backend.chain_strength import ChainStrength
from qubo_attn.backend.spread import Spread, spread_of
from qubo_attn.common.arrays import Floats
from qubo_attn.embedding.placement import Placement, Plan
from qubo_attn.ir.quadratic import Quadratic
from qubo_attn.machine.ranges import shares

# Sums of couplings round: a component fills its ranges but for this share, and never leaves them.
_HEADROOM = 1e-12


@dataclass(frozen=True, eq=False)
class Coefficients:
    """A placed program in hardware units; all fields and couplings are for spins.

    Attributes:
        scale: program energy per unit of hardware energy, one entry per component.
        h, coupling: logical fields and couplings, divided by their component's scale.
        strength: chain strength of each variable, divided by its component's scale.
        plan: where they go.
    """

    scale: Floats
    h: Floats
    coupling: Floats
    strength: Floats
    plan: Plan

    @cached_property
    def _physical(self) -> tuple[Floats, Floats]:
        return self.plan.fill(self.h, self.coupling, self.strength)

    @property
    def fields(self) -> Floats:
        """Physical fields, in the order of the plan."""
        return self._physical[0]

    @property
    def couplings(self) -> Floats:
        """Physical couplings between chains, in the order of the plan."""
        return self._physical[1][: len(self.plan.coupling_of)]

    @property
    def chains(self) -> Floats:
        """Physical couplings within chains, in the order of the plan."""
        return self._physical[1][len(self.plan.coupling_of) :]


def coefficients(
    form: Quadratic, placement: Placement, plan: Plan, chain_strength: ChainStrength = "auto"
) -> Coefficients:
    """Return the coefficients of ``form`` on the machine, every component filling its ranges.

    Args:
        form: the program as one quadratic form.
        placement, plan: where it sits.
        chain_strength: ``"torque"``: torque compensation, per component; a number: with that
            prefactor in place of the customary one; ``"bound"``: per chain, what is proved to keep
            it whole (`qubo_attn.backend.chain_strength`) and room for the machine's errors;
            ``"auto"``: torque compensation, but no less than that room and no more than that bound.
    """
    component, spread = placement.component, spread_of(placement, plan)
    h = kernels.ising_fields(form.linear, form.i, form.j, form.bias)
    coupling = form.bias / 4.0
    prefactor = chains.PREFACTOR if isinstance(chain_strength, str) else float(chain_strength)
    strength = chains.torque_strengths(coupling, component, spread.edge, prefactor)[component]
    fields, couplings = plan.fill(h, coupling, strength)
    between = len(plan.coupling_of)

    def scaled(strength: Floats) -> Floats:
        """Return the scale of each component with these chain strengths; the rest stays."""
        couplings[between:] = -strength[plan.chain_of]
        return _scales(fields, couplings, placement, spread)

    if chain_strength in ("bound", "auto"):
        proved = np.empty(len(h))
        proved[spread.variable] = spread.chain_bounds(fields, couplings[:between])
        proved *= 1.0 + chains.ABOVE
        # Errors come in hardware units whatever the scale; the scale moves little by their margin.
        first = proved if chain_strength == "bound" else np.minimum(proved, strength)
        room = spread.errors * scaled(first)[component]
        held = proved + room
        strength = held if chain_strength == "bound" else np.clip(strength, room, held)
    scale = scaled(strength)
    each, edge = scale[component], scale[spread.edge]
    return Coefficients(scale, h / each, coupling / edge, strength / each, plan)


def _scales(fields: Floats, couplings: Floats, placement: Placement, spread: Spread) -> Floats:
    """Return the smallest divisor of each component that brings it within every range."""
    scale = shares(
        placement.target,
        spread.owner,
        int(placement.component.max(initial=-1)) + 1,
        np.arange(len(fields)),
        fields,
        spread.ends,
        spread.groups,
        couplings,
    )
    return np.where(scale > 0, scale * (1.0 + _HEADROOM), 1.0)
