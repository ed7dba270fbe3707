"""Kernels from reads of qubits to reads of variables: votes, energies, and broken chains mended.

Reads come one to a line, and every read is treated the same. So they are turned into tiles of
`LANES` reads side by side, and every inner loop runs over neighbouring bytes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Array, Floats, Longs
from qubo_attn.kernels._jit import kernel

LANES = 128
# Longer strides make the turned lines push each other out of the first cache.
_STRIP = 32


class Chains(NamedTuple):
    """Chains over the columns of samples.

    Attributes:
        column: int64, column of each chain's qubits, chain after chain.
        ptr: int64, shape (chains + 1,), where each chain starts.
    """

    column: Longs
    ptr: Longs


class SpinModel(NamedTuple):
    """A model over spins; couplings of spin v are ``first[v]:first[v + 1]``.

    Attributes:
        offset: energy of nothing.
        h: float64, shape (n,), fields.
        first: int64, shape (n + 1,), where the couplings of each spin start.
        other: the other spin of each coupling; coupling: float64, its value. Each coupling stands
            once for energies, and with both of its spins for descent.
    """

    offset: float
    h: Floats
    first: Longs
    other: Array
    coupling: Floats


@kernel
def _load_tile(samples: Array, tile: Array) -> None:
    """Fill ``tile[q, r]`` with ``samples[r, q]``, for at most `LANES` reads."""
    whole = len(samples) - len(samples) % _STRIP
    for low in range(0, whole, _STRIP):
        for q in range(samples.shape[1]):
            for r in range(_STRIP):
                tile[q, low + r] = samples[low + r, q]
    for r in range(whole, len(samples)):
        for q in range(samples.shape[1]):
            tile[q, r] = samples[r, q]


@kernel
def _store_tile(tile: Array, samples: Array) -> None:
    """Fill ``samples[r, q]`` with ``tile[q, r]``, for at most `LANES` reads."""
    whole = len(samples) - len(samples) % _STRIP
    for low in range(0, whole, _STRIP):
        for q in range(samples.shape[1]):
            for r in range(_STRIP):
                samples[low + r, q] = tile[q, low + r]
    for r in range(whole, len(samples)):
        for q in range(samples.shape[1]):
            samples[r, q] = tile[q, r]


@kernel
def _vote_tile(qubits: Array, chains: Chains, low: int, votes: Array) -> Longs:
    """Fill ``votes`` with the majority of each chain, ``low`` or 1; return breaks per read."""
    total, broken = np.empty(LANES, np.int16), np.zeros(LANES, np.int64)
    breaks = np.zeros(LANES, np.int16)
    column, ptr = chains.column, chains.ptr
    for c in range(len(ptr) - 1):
        for r in range(LANES):
            total[r] = 0
        for p in range(ptr[c], ptr[c + 1]):
            q = column[p]
            for r in range(LANES):
                total[r] += qubits[q, r]
        length = np.int16(ptr[c + 1] - ptr[c])
        for r in range(LANES):
            breaks[r] += np.int16(total[r] != length) & np.int16(total[r] != -length)
            votes[c, r] = np.int8(1) if total[r] >= 0 else np.int8(low)
        if c % 16384 == 16383:  # before sixteen bits run over
            broken += breaks
            breaks[:] = 0
    return broken + breaks


@kernel
def _energy_tile(spins: Array, model: SpinModel) -> Floats:
    """Return the energy of each read of a tile of spins."""
    energy, field = np.full(LANES, model.offset), np.empty(LANES)
    first, j, coupling = model.first, model.other, model.coupling
    for i in range(len(model.h)):
        for r in range(LANES):
            field[r] = model.h[i]
        for t in range(first[i], first[i + 1]):
            other, value = j[t], coupling[t]
            for r in range(LANES):
                field[r] += value * spins[other, r]
        for r in range(LANES):
            energy[r] += field[r] * spins[i, r]
    return energy


@kernel
def chain_votes(samples: Array, chains: Chains, low: int) -> tuple[Array, Longs]:
    """Read each chain by majority; a tie reads as one.

    Args:
        samples: int8 spins, shape (m, columns).
        chains: the columns of each chain.
        low: what minus one becomes: -1 for spins, 0 for bits.

    Returns:
        int8, shape (m, chains), of ``low`` and 1; and the number of broken chains of each read.
    """
    votes = np.empty((len(samples), len(chains.ptr) - 1), np.int8)
    broken = np.empty(len(samples), np.int64)
    qubits = np.ones((samples.shape[1], LANES), np.int8)
    tile = np.empty((votes.shape[1], LANES), np.int8)
    for start in range(0, len(samples), LANES):
        end = min(start + LANES, len(samples))
        _load_tile(samples[start:end], qubits)
        broken[start:end] = _vote_tile(qubits, chains, low, tile)[: end - start]
        _store_tile(tile, votes[start:end])
    return votes, broken


@kernel
def unembed_majority(
    samples: Array, chains: Chains, model: SpinModel
) -> tuple[Array, Floats, Longs]:
    """Read each chain by majority, as `chain_votes`, and work out energies on the way.

    Args:
        samples, chains: see `chain_votes`.
        model: over the chains; each coupling once.

    Returns:
        int8 spins, shape (m, chains); energies; and the number of broken chains of each read.
    """
    spins = np.empty((len(samples), len(chains.ptr) - 1), np.int8)
    energies, broken = np.empty(len(samples)), np.empty(len(samples), np.int64)
    qubits = np.ones((samples.shape[1], LANES), np.int8)
    tile = np.empty((spins.shape[1], LANES), np.int8)
    for start in range(0, len(samples), LANES):
        end = min(start + LANES, len(samples))
        _load_tile(samples[start:end], qubits)
        broken[start:end] = _vote_tile(qubits, chains, -1, tile)[: end - start]
        energies[start:end] = _energy_tile(tile, model)[: end - start]
        _store_tile(tile, spins[start:end])
    return spins, energies, broken


@kernel
def spin_energies(spins: Array, model: SpinModel) -> Floats:
    """Return the energy of each read of int8 ``spins``, shape (m, n); each coupling once."""
    energies = np.empty(len(spins))
    tile = np.ones((len(model.h), LANES), np.int8)
    for start in range(0, len(spins), LANES):
        end = min(start + LANES, len(spins))
        _load_tile(spins[start:end], tile)
        energies[start:end] = _energy_tile(tile, model)[: end - start]
    return energies


@kernel
def descend_breaks(
    samples: Array, chains: Chains, member: Longs, member_ptr: Longs, model: SpinModel
) -> tuple[Array, Longs]:
    """Read intact chains as they are and set broken ones by steepest descent of the energy.

    Broken chains count nothing at first. The one in the strongest field is set against it, its
    couplings join the fields of the others, and so on; of equal fields the negative one goes first,
    then the lower variable (dwave-system, ``MinimizeEnergy``). A chain's field depends on its own
    component alone, so each component is settled by itself.

    Args:
        samples, chains: see `chain_votes`.
        member, member_ptr: variables of each component of the model.
        model: over the chains; each coupling with both of its spins, neighbours ascending.

    Returns:
        int8 spins, shape (m, chains), and the number of broken chains of each read.
    """
    column, ptr, h = chains.column, chains.ptr, model.h
    first, neighbour, coupling = model.first, model.other, model.coupling
    spins = np.empty((len(samples), len(ptr) - 1), np.int8)
    broken = np.empty(len(samples), np.int64)
    open_, fields = np.empty(len(ptr) - 1, np.int64), np.empty(len(ptr) - 1)
    for m in range(len(samples)):
        count = 0
        for c in range(len(ptr) - 1):
            total = 0
            for p in range(ptr[c], ptr[c + 1]):
                total += samples[m, column[p]]
            length = ptr[c + 1] - ptr[c]
            if total != length and total != -length:
                spins[m, c] = 0
                count += 1
            else:
                spins[m, c] = 1 if total > 0 else -1
        broken[m] = count
        if count == 0:
            continue
        for b in range(len(member_ptr) - 1):
            left = 0
            for p in range(member_ptr[b], member_ptr[b + 1]):
                v = member[p]
                if spins[m, v] == 0:
                    total_field = 0.0
                    for e in range(first[v], first[v + 1]):
                        total_field += spins[m, neighbour[e]] * coupling[e]
                    open_[left], fields[left] = v, h[v] + total_field
                    left += 1
            while left > 0:
                best = 0
                for a in range(1, left):
                    stronger = abs(fields[a]) > abs(fields[best])
                    equal = abs(fields[a]) == abs(fields[best])
                    if stronger or (equal and fields[a] < fields[best]):
                        best = a
                v, value = open_[best], np.int8(-1) if fields[best] > 0 else np.int8(1)
                spins[m, v] = value
                left -= 1
                for a in range(best, left):  # kept in the order of variables
                    open_[a], fields[a] = open_[a + 1], fields[a + 1]
                for a in range(left):
                    low, high = first[v], first[v + 1]
                    while low < high:
                        mid = (low + high) // 2
                        if neighbour[mid] < open_[a]:
                            low = mid + 1
                        else:
                            high = mid
                    if low < first[v + 1] and neighbour[low] == open_[a]:
                        fields[a] += value * coupling[low]
    return spins, broken
