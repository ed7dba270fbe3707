"""Kernels for chains: the strength above which the qubits of a chain agree at every optimum."""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Array, Floats, Longs
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.order import longest_row


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
    """
    bounds = np.zeros(len(ptr) - 1)
    longest = longest_row(ptr)
    # Made once for all chains: to ask for memory takes longer than to look at a short chain.
    reached_of, side_of = np.empty(longest, np.bool_), np.empty(longest, np.int64)
    links = np.empty(min(longest, exact) ** 2, np.int64)
    for c in range(len(ptr) - 1):
        start, n = ptr[c], ptr[c + 1] - ptr[c]
        if n < 2:
            continue
        x_all, h_all, h_sum = 0.0, 0.0, 0.0
        for p in range(start, ptr[c + 1]):
            x_all += outside[p]
            h_all += field[p]
            h_sum += abs(field[p])
        # Qubits that hang together, found by spreading from the first.
        reached = reached_of[:n]
        reached[:] = False
        reached[0] = True
        grown = True
        while grown:
            grown = False
            for e in range(link_ptr[c], link_ptr[c + 1]):
                u, v = link_u[e] - start, link_v[e] - start
                if reached[u] != reached[v]:
                    reached[u] = reached[v] = True
                    grown = True
        if not reached.all():
            bounds[c] = np.inf
            continue
        if n > exact:
            bounds[c] = (x_all + h_sum) / 2.0
            continue
        linked = links[: n * n].reshape(n, n)
        linked[:] = 0
        for e in range(link_ptr[c], link_ptr[c + 1]):
            u, v = link_u[e] - start, link_v[e] - start
            linked[u, v] += 1
            linked[v, u] += 1
        # Sides in Gray-code order: one qubit changes sides at a time, the last never does.
        side = side_of[:n]
        side[:] = 0
        x_side, h_side, cut = 0.0, 0.0, 0
        best = 0.0
        for code in range(1, 1 << (n - 1)):
            q = 0
            while (code >> q) & 1 == 0:
                q += 1
            sign = 1 - 2 * side[q]
            side[q] = 1 - side[q]
            for p in range(n):
                if linked[q, p]:
                    cut += linked[q, p] if side[p] != side[q] else -linked[q, p]
            x_side += sign * outside[start + q]
            h_side += sign * field[start + q]
            x_rest, h_rest = x_all - x_side, h_all - h_side
            up = min(x_side - h_side, x_rest + h_rest)
            down = min(x_side + h_side, x_rest - h_rest)
            best = max(best, max(up, down) / cut)
        bounds[c] = best
    return bounds
