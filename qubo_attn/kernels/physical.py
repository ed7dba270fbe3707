"""Between logical and physical arrays: fields, couplings, votes and energies of blocks."""

from __future__ import annotations

import numpy as np

from qubo_attn.arrays import Array, Floats, Longs
from qubo_attn.kernels._jit import kernel


@kernel
def fill_physical(
    field_of: Longs,
    field_share: Floats,
    coupling_of: Longs,
    coupling_share: Floats,
    chain_of: Longs,
    h: Floats,
    coupling: Floats,
    strength: Floats,
    h_out: Floats,
    j_out: Floats,
) -> None:
    """Spread logical fields and couplings over a placement.

    Args:
        field_of, field_share: variable of each used qubit, and one over its chain length.
        coupling_of, coupling_share: logical coupler of each physical coupler between chains, and
            one over how many carry it.
        chain_of: variable of each physical coupler within a chain; they follow the others.
        h, coupling, strength: logical fields, couplings, and chain strength of each variable.
        h_out, j_out: filled; one entry per used qubit and per used coupler.
    """
    for p in range(len(field_of)):
        h_out[p] = h[field_of[p]] * field_share[p]
    between = len(coupling_of)
    for p in range(between):
        j_out[p] = coupling[coupling_of[p]] * coupling_share[p]
    for p in range(len(chain_of)):
        j_out[between + p] = -strength[chain_of[p]]


@kernel
def chain_votes(samples: Array, qubit: Longs, ptr: Longs, bits: Array, broken: Array) -> None:
    """Read each chain by majority; a tie reads as one.

    Args:
        samples: int8 spins, shape (m, columns).
        qubit: column of each chain's qubits, chain after chain; ptr: where each chain starts.
        bits: filled with 0 and 1, shape (m, chains).
        broken: filled with the number of broken chains of each sample, shape (m,).
    """
    for m in range(samples.shape[0]):
        count = 0
        for c in range(len(ptr) - 1):
            total = 0
            length = ptr[c + 1] - ptr[c]
            for p in range(ptr[c], ptr[c + 1]):
                total += samples[m, qubit[p]]
            if total != length and total != -length:
                count += 1
            bits[m, c] = 1 if total >= 0 else 0
        broken[m] = count


@kernel
def block_energies(
    bits: Array,
    linear: Floats,
    i: Array,
    j: Array,
    bias: Floats,
    block: Longs,
    blocks: int,
) -> Floats:
    """Return the energy of each independent block in each sample, shape (m, blocks)."""
    energies = np.zeros((bits.shape[0], blocks))
    for m in range(bits.shape[0]):
        for v in range(len(linear)):
            if bits[m, v]:
                energies[m, block[v]] += linear[v]
        for t in range(len(bias)):
            if bits[m, i[t]] and bits[m, j[t]]:
                energies[m, block[i[t]]] += bias[t]
    return energies
