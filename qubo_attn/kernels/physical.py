"""From logical to physical arrays: fields, couplings and chains."""

from __future__ import annotations

from qubo_attn.common.arrays import Floats, Longs
from qubo_attn.kernels._jit import kernel


@kernel
def fill_physical(
    field_of: Longs,
    field_parts: Floats,
    coupling_of: Longs,
    coupling_parts: Floats,
    chain_of: Longs,
    h: Floats,
    coupling: Floats,
    strength: Floats,
    h_out: Floats,
    j_out: Floats,
) -> None:
    """Spread logical fields and couplings over a placement.

    Args:
        field_of, field_parts: variable of each used qubit, and its chain length.
        coupling_of, coupling_parts: logical coupler of each physical coupler between chains, and
            how many carry it.
        chain_of: variable of each physical coupler within a chain; they follow the others.
        h, coupling, strength: logical fields, couplings, and chain strength of each variable.
        h_out, j_out: filled; one entry per used qubit and per used coupler.
    """
    for p in range(len(field_of)):
        h_out[p] = h[field_of[p]] / field_parts[p]
    between = len(coupling_of)
    for p in range(between):
        j_out[p] = coupling[coupling_of[p]] / coupling_parts[p]
    for p in range(len(chain_of)):
        j_out[between + p] = -strength[chain_of[p]]


@kernel
def fill_layout(
    field_of: Longs,
    field_parts: Floats,
    field_at: Longs,
    coupling_of: Longs,
    coupling_parts: Floats,
    coupling_at: Longs,
    chain_of: Longs,
    chain_at: Longs,
    h: Floats,
    coupling: Floats,
    strength: Floats,
    h_out: Floats,
    j_out: Floats,
) -> None:
    """Spread logical fields and couplings over whole arrays of qubits and couplers.

    Args:
        field_of, field_parts, coupling_of, coupling_parts, chain_of, h, coupling, strength: see
            `fill_physical`.
        field_at, coupling_at, chain_at: where each entry goes.
        h_out, j_out: filled there; other entries are left as they are.
    """
    # A zero of either sign is written as a plain one, as the sums of a model's dictionaries are.
    for p in range(len(field_of)):
        h_out[field_at[p]] = h[field_of[p]] / field_parts[p] + 0.0
    for p in range(len(coupling_of)):
        j_out[coupling_at[p]] = coupling[coupling_of[p]] / coupling_parts[p] + 0.0
    for p in range(len(chain_of)):
        j_out[chain_at[p]] = 0.0 - strength[chain_of[p]]
