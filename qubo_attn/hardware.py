"""Coefficients in hardware units: chain strength and scale of each independent component.

Components share a programming but not a single coefficient, so each is scaled to the machine's
ranges on its own; one global factor would sink rows with small scores below the noise of rows with
large ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from qubo_attn import chains, kernels
from qubo_attn.arrays import Floats
from qubo_attn.chains import ChainStrength
from qubo_attn.embedding.placement import Placement, Plan
from qubo_attn.embedding.spread import Spread, spread_of
from qubo_attn.ir import Quadratic
from qubo_attn.scaling import shares

# Sums of couplings round: a component fills its ranges but for this share, and never leaves them.
_HEADROOM = 1e-12


@dataclass(frozen=True, eq=False)
class Coefficients:
    """A placed program in hardware units; all fields and couplings are for spins.

    Attributes:
        scale: program energy per unit of hardware energy, one entry per component.
        h, coupling: logical fields and couplings, divided by their component's scale.
        strength: chain strength of each variable, divided by its component's scale.
        fields, couplings, chains: physical arrays in the order of the plan.
    """

    scale: Floats
    h: Floats
    coupling: Floats
    strength: Floats
    fields: Floats
    couplings: Floats
    chains: Floats


def coefficients(
    form: Quadratic, placement: Placement, plan: Plan, chain_strength: ChainStrength = "auto"
) -> Coefficients:
    """Return the coefficients of ``form`` on the machine, every component filling its ranges.

    Args:
        form: the program as one quadratic form.
        placement, plan: where it sits.
        chain_strength: ``"torque"``: torque compensation, per component; a number: with that
            prefactor in place of the customary one; ``"bound"``: per chain, what is proved to keep
            it whole (`qubo_attn.chains`) and room for the machine's errors; ``"auto"``: torque
            compensation, but no less than that room and no more than that bound.
    """
    component, spread = placement.component, spread_of(placement, plan)
    h = kernels.ising_fields(form.linear, form.i, form.j, form.bias)
    coupling = form.bias / 4.0
    strength, margin = _strengths(placement, plan, h, coupling, chain_strength)
    scale = _scales(plan.fill(h, coupling, strength), placement, spread)
    if margin is not None:
        # Errors come in hardware units whatever the scale; the scale moves little by their margin.
        strength = margin(scale[component])
        scale = _scales(plan.fill(h, coupling, strength), placement, spread)
    each, edge = scale[component], scale[spread.edge]
    h, coupling, strength = h / each, coupling / edge, strength / each
    return Coefficients(scale, h, coupling, strength, *plan.fill(h, coupling, strength))


def _strengths(
    placement: Placement, plan: Plan, h: Floats, coupling: Floats, chosen: ChainStrength
) -> tuple[Floats, Callable[[Floats], Floats] | None]:
    """Return the chain strength of each variable, in program energy.

    And, where that leaves no room for the machine's errors, the strength that does, given the scale
    of each variable.
    """
    prefactor = chains.PREFACTOR if isinstance(chosen, str) else float(chosen)
    component, spread = placement.component, spread_of(placement, plan)
    torque = chains.torque_strengths(coupling, component, spread.edge, prefactor)[component]
    if chosen not in ("bound", "auto"):
        return torque, None
    fields, couplings, _ = plan.fill(h, coupling, torque)
    proved = np.empty(len(h))
    proved[spread.variable] = spread.chain_bounds(fields, couplings)
    proved *= 1.0 + chains.ABOVE

    def margin(scale: Floats) -> Floats:
        room = spread.errors * scale
        held = proved + room
        return held if chosen == "bound" else np.clip(torque, room, held)

    return proved if chosen == "bound" else np.minimum(proved, torque), margin


def _scales(raw: tuple[Floats, Floats, Floats], placement: Placement, spread: Spread) -> Floats:
    """Return the smallest divisor of each component that brings it within every range."""
    fields, couplings, links = raw
    count = int(placement.component.max(initial=-1)) + 1
    scale = shares(
        placement.target,
        spread.owner,
        count,
        np.arange(len(fields)),
        fields,
        spread.ends,
        spread.groups,
        np.concatenate([couplings, links]),
    )
    return np.where(scale > 0, scale * (1.0 + _HEADROOM), 1.0)
