"""Coefficients in hardware units: chain strength and scale of each independent component.

Components share a programming but not a single coefficient, so each is scaled to the machine's
ranges on its own; one global factor would sink rows with small scores below the noise of rows with
large ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qubo_attn import kernels
from qubo_attn.arrays import Array, Floats, Longs
from qubo_attn.embedding.placement import Placement, Plan
from qubo_attn.ir import Quadratic

# Torque compensation (dwave-system, uniform_torque_compensation) with its customary prefactor.
_PREFACTOR = 1.414


@dataclass(frozen=True, eq=False)
class Coefficients:
    """A placed program in hardware units; all fields and couplings are for spins.

    Attributes:
        scale: program energy per unit of hardware energy, one entry per component.
        h, coupling: logical fields and couplings, divided by their component's scale.
        strength: chain strength of each variable's component, divided by its scale.
        fields, couplings, chains: physical arrays in the order of the plan.
    """

    scale: Floats
    h: Floats
    coupling: Floats
    strength: Floats
    fields: Floats
    couplings: Floats
    chains: Floats


def coefficients(form: Quadratic, placement: Placement, plan: Plan) -> Coefficients:
    """Return the coefficients of ``form`` on the machine, every component filling its ranges."""
    component = placement.component
    h = kernels.ising_fields(form.linear, form.i, form.j, form.bias)
    coupling = form.bias / 4.0
    strength = chain_strengths(form, coupling, component)
    raw = plan.fill(h, coupling, strength[component])
    scale = _scales(raw, plan, placement)
    each = scale[component]
    edge = scale[component[form.i]]
    physical = plan.fill(h / each, coupling / edge, (strength / scale)[component])
    return Coefficients(scale, h / each, coupling / edge, (strength / scale)[component], *physical)


def chain_strengths(form: Quadratic, coupling: Floats, component: Longs) -> Floats:
    """Return one chain strength per component, in program energy.

    Uniform torque compensation, for spins and component by component:
    ``1.414 rms(J) sqrt(mean degree)``; a component without couplers gets 1.
    """
    sizes = np.bincount(component)
    edges = np.bincount(component[form.i], minlength=len(sizes))
    squares = np.bincount(component[form.i], weights=coupling**2, minlength=len(sizes))
    rms = np.sqrt(squares / np.maximum(edges, 1))
    strength = _PREFACTOR * rms * np.sqrt(2.0 * edges / np.maximum(sizes, 1))
    return np.where(strength > 0, strength, 1.0)


def _scales(raw: tuple[Floats, Floats, Floats], plan: Plan, placement: Placement) -> Floats:
    """Return the smallest divisor of each component that brings it within every range."""
    fields, couplings, chains = raw
    target, component = placement.target, placement.component
    owners = [component[plan.field_of], _component_of(plan, placement), component[plan.chain_of]]
    properties = target.properties
    h_low, h_high = properties["h_range"]
    j_low, j_high = properties.get("extended_j_range", properties["j_range"])
    count = int(component.max(initial=-1)) + 1
    scale = np.zeros(count)
    for values, owner, (low, high) in (
        (fields, owners[0], (h_low, h_high)),
        (couplings, owners[1], (j_low, j_high)),
        (chains, owners[2], (j_low, j_high)),
    ):
        np.maximum.at(scale, owner, np.maximum(values / high, values / low))
    for low, high, totals, owner in _coupling_totals(couplings, chains, plan, placement):
        np.maximum.at(scale, owner, np.maximum(totals / high, totals / low))
    return np.where(scale > 0, scale, 1.0)


def _component_of(plan: Plan, placement: Placement) -> Longs:
    """Return the component of each coupling between chains, read off its logical coupler."""
    return np.asarray(placement.component[plan.i[plan.coupling_of]])


def _coupling_totals(
    couplings: Floats, chains: Floats, plan: Plan, placement: Placement
) -> list[tuple[float, float, Floats, Longs]]:
    """Return the signed coupling total of each qubit where the machine limits one.

    A machine that limits groups of a qubit's couplers (Advantage2) is held to the group limit by
    the whole qubit on each side of zero: a bound on every group, never less.
    """
    properties = placement.target.properties
    grouped = "per_group_coupling_range" in properties
    limit = properties.get("per_group_coupling_range", properties.get("per_qubit_coupling_range"))
    if limit is None:
        return []
    between, within = plan.ends(placement.target.couplers)
    qubits = len(placement.target.qubits)
    totals: list[tuple[Array, Array]] = []
    owners = []
    for s in range(placement.submissions):
        b = slice(plan.coupling_ptr[s], plan.coupling_ptr[s + 1])
        c = slice(plan.chain_ptr[s], plan.chain_ptr[s + 1])
        ends = np.concatenate([between[b], within[c]])
        values = np.concatenate([couplings[b], chains[c]])
        low, high = (np.minimum(values, 0), np.maximum(values, 0)) if grouped else (values, values)
        entries = slice(plan.field_ptr[s], plan.field_ptr[s + 1])
        used = plan.field_qubit[entries]
        totals.append((_per_qubit(ends, low, qubits)[used], _per_qubit(ends, high, qubits)[used]))
        owners.append(placement.component[plan.field_of[entries]])
    if not owners:
        return []
    owner = np.concatenate(owners)
    lows, highs = (np.concatenate(parts) for parts in zip(*totals, strict=True))
    return [
        (limit[0], limit[1], np.minimum(lows, 0), owner),
        (limit[0], limit[1], np.maximum(highs, 0), owner),
    ]


def _per_qubit(ends: Array, values: Floats, qubits: int) -> Floats:
    totals = np.bincount(ends.ravel(), weights=np.repeat(values, 2), minlength=qubits)
    return np.asarray(totals, dtype=np.float64)
