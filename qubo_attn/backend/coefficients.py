"""Coefficients in hardware units: chain strength and scale of each independent component.

Components share a programming but not a single coefficient, so each is scaled to the machine's
ranges on its own. With one global factor, rows with small scores would vanish in the noise beside
rows with large ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qubo_attn import kernels
from qubo_attn.backend.chain_strength import ABOVE, PREFACTOR, ChainStrength, torque_strengths
from qubo_attn.backend.wiring import Wiring
from qubo_attn.common.arrays import Floats, own_array
from qubo_attn.common.frozen import Sealed
from qubo_attn.ir.quadratic import Quadratic

# Sums of couplings round: a component fills its ranges but for this share, and never leaves them.
_HEADROOM = 1e-12
# Chains of less than so many temperatures break by heat, and freeze no sooner where they are a
# temperature stronger. Measured on the simulated machine.
_WARM, _MORE = 4.0, 1.0


@dataclass(frozen=True, eq=False)
class Coefficients(Sealed):
    """A placed program in hardware units; all fields and couplings are for spins.

    Attributes:
        scale: float64, shape (components,), program energy per unit of hardware energy.
        h: float64, shape (variables,), logical fields, divided by their component's scale.
        coupling: float64, shape (couplers,), logical couplings, divided likewise.
        strength: float64, shape (variables,), chain strengths, divided likewise.
        wiring: where they go.
    """

    scale: Floats
    h: Floats
    coupling: Floats
    strength: Floats
    wiring: Wiring

    @cached_property
    def physical(self) -> tuple[Floats, Floats]:
        """Fields and couplings of the machine, in the order of the wiring."""
        fields, couplings = self.wiring.plan.fill(self.h, self.coupling, self.strength)
        return own_array(fields), own_array(couplings)


def coefficients(
    form: Quadratic,
    wiring: Wiring,
    chain_strength: ChainStrength = "auto",
    least: Floats | None = None,
) -> Coefficients:
    """Return the coefficients of ``form`` on the machine, every component filling its ranges.

    Args:
        form: the program as one quadratic form.
        wiring: where it sits.
        chain_strength: ``"torque"``: torque compensation, per component. A number: the same with
            that prefactor in place of the customary one. ``"bound"``: per chain, what is proved to
            keep it whole (`qubo_attn.backend.chain_strength`), plus a reserve for the machine's
            errors and, for weak chains, its heat. ``"auto"``: torque compensation, but at least
            that reserve and at most the bound plus the reserve.
        least: least program energy per hardware unit of each component. Those that would fill their
            ranges with less leave room, and their chains take it all.
    """
    component = wiring.placement.component
    h = kernels.ising_fields(form.linear, form.i, form.j, form.bias)
    coupling = form.bias / 4.0
    prefactor = PREFACTOR if isinstance(chain_strength, str) else float(chain_strength)
    strength = torque_strengths(coupling, wiring.edge, *wiring.sizes, prefactor)[component]
    fields, couplings = wiring.plan.fill(h, coupling, strength)
    if chain_strength in ("bound", "auto"):
        torque = strength if chain_strength == "auto" else None
        strength = _proved_strengths(wiring, fields, couplings, torque)
    scale = _scales(wiring, fields, couplings, strength)
    if least is not None and least.any():
        most = -wiring.placement.target.limits.j[0] * least[component] / (1.0 + _HEADROOM)
        strength = np.where((scale < least)[component], np.maximum(strength, most), strength)
        # Chains may fill the range of a qubit's couplings: the scale is worked out with them.
        scale = np.maximum(_scales(wiring, fields, couplings, strength), least)
    by_variable = scale[component]
    return Coefficients(
        scale, h / by_variable, coupling / scale[wiring.edge], strength / by_variable, wiring
    )


def _proved_strengths(
    wiring: Wiring, fields: Floats, couplings: Floats, torque: Floats | None
) -> Floats:
    """Return the bound of each chain and a margin, or torque within these limits.

    The margin is for errors; weak chains get up to a temperature more against heat.
    """
    bound = (1.0 + ABOVE) * wiring.chain_bounds(fields, couplings)
    # Errors come in hardware units whatever the scale; the scale moves little by their margin.
    rough = bound if torque is None else np.minimum(bound, torque)
    scale = _scales(wiring, fields, couplings, rough)
    by_variable = scale[wiring.placement.component]
    margin = wiring.error_margin * by_variable
    heat = wiring.placement.target.temperature * by_variable
    most = bound + margin
    most = most + np.clip(_WARM * heat - most, 0.0, _MORE * heat)
    return most if torque is None else np.clip(torque, margin, most)


def _scales(wiring: Wiring, fields: Floats, couplings: Floats, strength: Floats) -> Floats:
    """Return the smallest divisor of each component that brings it within every range.

    Args:
        wiring: where the coefficients go.
        fields, couplings: physical; those within chains follow ``strength`` instead.
        strength: chain strength of each variable.
    """
    plan = wiring.plan
    between = couplings[: len(plan.coupling_of)]
    scale = wiring.range_shares(fields, np.concatenate([between, -strength[plan.chain_of]]))
    return np.where(scale > 0, scale * (1.0 + _HEADROOM), 1.0)
