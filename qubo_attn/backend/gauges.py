"""Gauges: spin reversals of whole chains, so that errors that favour one direction average out.

A gauge turns some logical spins over: their fields change sign, and so do their couplings to spins
that are not turned. A machine takes couplings down to -2 but only up to +1. So if a coupling would
be out of range with the other sign, both of its spins turn together. A row whose coupling totals
would leave their range is not turned at all. Nothing is rescaled: the samples follow the law they
followed before, once they are turned back.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qubo_attn import kernels
from qubo_attn.backend.model import Physical
from qubo_attn.common.arrays import Array, Longs
from qubo_attn.machine.ranges import ROUNDING, coupling_totals, outside


def draw_gauge(physical: Physical, component: Longs, seed: int) -> Array:
    """Return a direction of each variable, 1 or -1; every other direction is as likely.

    Args:
        physical: a submission's chains and coefficients.
        component: the independent row of each of its variables, from 0.
        seed: seed of the draw.
    """
    count = len(physical.chain_ptr) - 1
    chain_u, chain_v = physical.chain_of[physical.u], physical.chain_of[physical.v]
    limit = physical.target.limits.j
    held = (chain_u != chain_v) & ((physical.j < -limit[1]) | (physical.j > -limit[0]))
    group = kernels.connected_components(count, chain_u[held], chain_v[held])
    generator = np.random.default_rng(seed)
    signs: Array = generator.choice(np.array([1, -1], np.int8), int(group.max(initial=-1)) + 1)
    sign = signs[group]
    sign[np.isin(component, _beyond(turned(physical, sign), component))] = 1
    return sign


def turned(physical: Physical, sign: Array) -> Physical:
    """Return the coefficients in a gauge; the chains stay as they are."""
    of_qubit = np.ones(len(physical.target.qubits))
    of_qubit[physical.chain_qubit] = sign[physical.chain_of[physical.chain_qubit]]
    j = physical.j * of_qubit[physical.u] * of_qubit[physical.v]
    return replace(physical, h=physical.h * of_qubit[physical.qubit], j=j)


def _beyond(physical: Physical, component: Longs) -> Longs:
    """Return the rows whose coefficients leave their ranges."""
    target, limits = physical.target, physical.target.limits
    row = component[np.maximum(physical.chain_of, 0)]
    fields = outside(physical.h, limits.h, ROUNDING)
    rows = [row[physical.qubit[fields]]]
    if limits.total is not None:
        place, total = coupling_totals(target, physical.coupler, physical.j)
        rows.append(row[place[outside(total, limits.total, ROUNDING)] // 2])
    return np.unique(np.concatenate(rows))
