"""Kernels for chains: the strength above which the qubits of a chain agree at every optimum."""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Array, Floats, Longs
from qubo_attn.kernels._jit import kernel


@kernel
def outside_couplings(ends: Array, coupling: Floats, size: int) -> Floats:
    """Return the sum of the absolute couplings at each of ``size`` places; ends: shape (m, 2)."""
    sums = np.zeros(size)
    for e in range(len(coupling)):
        strength = abs(coupling[e])
        sums[ends[e, 0]] += strength
        sums[ends[e, 1]] += strength
    return sums


@kernel
def _is_connected(n: int, start: int, first: int, last: int, link_u: Longs, link_v: Longs) -> bool:
    """Return whether links ``first`` to ``last`` join the ``n`` qubits from ``start`` on."""
    reached = np.zeros(n, np.bool_)
    reached[0] = True
    count, before = 1, 0
    while before < count < n:
        before = count
        for e in range(first, last):
            u, v = link_u[e] - start, link_v[e] - start
            if reached[u] != reached[v]:
                reached[u] = reached[v] = True
                count += 1
    return count == n


@kernel
def chain_bounds(
    ptr: Longs,
    field: Floats,
    outside: Floats,
    link_ptr: Longs,
    link_u: Longs,
    link_v: Longs,
    exact: int,
) -> Floats:
    """Return a strength for each chain above which no optimum breaks it.

    The proof is in `qubo_attn.backend.chain_strength`.

    Args:
        ptr: where each chain's qubits start; field: their fields; outside: the sum of each qubit's
            absolute couplings to other chains.
        link_ptr: where each chain's couplings start; link_u, link_v: their qubits, counted like
            ``field``.
        exact: chains of at most so many qubits have all their cuts tried (at most 24); longer ones
            get an upper bound.

    Returns:
        0 for chains of one qubit, infinity for chains that do not hang together.
    """
    bounds = np.zeros(len(ptr) - 1)
    for c in range(len(ptr) - 1):
        start, n = ptr[c], ptr[c + 1] - ptr[c]
        if n < 2:
            continue
        x_all, h_all, h_sum = 0.0, 0.0, 0.0
        for p in range(start, ptr[c + 1]):
            x_all += outside[p]
            h_all += field[p]
            h_sum += abs(field[p])
        first, last = link_ptr[c], link_ptr[c + 1]
        if n > exact:
            connected = _is_connected(n, start, first, last, link_u, link_v)
            bounds[c] = (x_all + h_sum) / 2.0 if connected else np.inf
            continue
        # Sides in Gray-code order: one qubit changes sides at a time, the last never does.
        x_side, h_side, best = 0.0, 0.0, 0.0
        for code in range(1, 1 << (n - 1)):
            side = code ^ (code >> 1)
            q = 0
            while (code >> q) & 1 == 0:
                q += 1
            sign = 1 if (side >> q) & 1 else -1
            x_side += sign * outside[start + q]
            h_side += sign * field[start + q]
            cut = 0
            for e in range(first, last):
                cut += ((side >> (link_u[e] - start)) ^ (side >> (link_v[e] - start))) & 1
            if cut == 0:
                best = np.inf
                break
            x_rest, h_rest = x_all - x_side, h_all - h_side
            up = min(x_side - h_side, x_rest + h_rest)
            down = min(x_side + h_side, x_rest - h_rest)
            best = max(best, max(up, down) / cut)
        bounds[c] = best
    return bounds
