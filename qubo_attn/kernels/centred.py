"""Forms of vectors about a centre of each row's own: `renormalised`, and `output` with backgrounds.

With u_i = v_i - c, c the centre of the row, the form of a row is

    scale ( sum_ij z_i z_j p_i p_j (u_i.u_j - shift) - 2 sum_i z_i p_i u_i.goal )

The variables of row r are ``ptr[r]:ptr[r + 1]``; couplers come sorted, every pair of a row once.
"""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Bools, Floats, Ints, Longs
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.coefficients import add_products, count_pairs


@kernel
def row_outputs(ptr: Longs, mass: Floats, key: Ints, head: Ints, values: Floats) -> Floats:
    """Return ``sum_i p_i v_i`` of each row, shape (rows, d); values: (H, K, d)."""
    d = values.shape[2]
    outputs = np.zeros((len(ptr) - 1, d))
    for r in range(len(outputs)):
        total = outputs[r]
        for a in range(ptr[r], ptr[r + 1]):
            p, vector = mass[a], values[head[r], key[a]]
            for f in range(d):
                total[f] += p * vector[f]
    return outputs


@kernel
def kept_errors(
    ptr: Longs, mass: Floats, key: Ints, head: Ints, values: Floats, centre: Floats, kept: Bools
) -> tuple[Floats, Floats]:
    """Return ``|o(z) - c|^2`` of each row, o(z) its kept values renormalised, and their mass.

    Kept keys that have no mass at all weigh the same, as the decoder weighs them. A row that keeps
    no key has an infinite error.
    """
    rows, d = len(ptr) - 1, values.shape[2]
    square, held = np.full(rows, np.inf), np.zeros(rows)
    total = np.empty(d)
    for r in range(rows):
        count = 0
        for a in range(ptr[r], ptr[r + 1]):
            if kept[a]:
                count += 1
                held[r] += mass[a]
        if count == 0:
            continue
        total[:] = 0.0
        for a in range(ptr[r], ptr[r + 1]):
            if kept[a]:
                weight = mass[a] / held[r] if held[r] > 0.0 else 1.0 / count
                vector = values[head[r], key[a]]
                for f in range(d):
                    total[f] += weight * (vector[f] - centre[r, f])
        square[r] = 0.0
        for f in range(d):
            square[r] += total[f] * total[f]
    return square, held


@kernel
def centred_linear(
    ptr: Longs,
    mass: Floats,
    key: Ints,
    head: Ints,
    values: Floats,
    centre: Floats,
    goal: Floats,
    shift: Floats,
    scale: Floats,
) -> Floats:
    """Return ``scale p_i (p_i (|u_i|^2 - shift) - 2 u_i.goal)``, one entry per variable.

    Args:
        ptr, mass, key, head: the rows; values: shape (H, K, d).
        centre, goal: of each row, shape (rows, d).
        shift, scale: of each row.
    """
    linear = np.empty(len(mass))
    d = values.shape[2]
    for r in range(len(ptr) - 1):
        for a in range(ptr[r], ptr[r + 1]):
            p, vector = mass[a], values[head[r], key[a]]
            size, along = 0.0, 0.0
            for f in range(d):
                u = vector[f] - centre[r, f]
                size += u * u
                along += u * goal[r, f]
            linear[a] = scale[r] * p * (p * (size - shift[r]) - 2.0 * along)
    return linear


@kernel
def centred_couplers(
    ptr: Longs,
    mass: Floats,
    key: Ints,
    head: Ints,
    values: Floats,
    centre: Floats,
    shift: Floats,
    scale: Floats,
) -> tuple[Ints, Ints, Floats]:
    """Return ``2 scale p_i p_j (u_i.u_j - shift)``: i, j, bias.

    Args:
        ptr, mass, key, head: the rows, or those of their variables that are wanted.
        values, centre, shift, scale: see `centred_linear`.
    """
    pairs = count_pairs(ptr)
    i, j, bias = np.empty(pairs, np.int32), np.empty(pairs, np.int32), np.empty(pairs)
    d = values.shape[2]
    t = 0
    for r in range(len(ptr) - 1):
        start, n = ptr[r], ptr[r + 1] - ptr[r]
        u, turned = np.empty((n, d)), np.empty((d, n))
        for a in range(n):
            vector = values[head[r], key[start + a]]
            for f in range(d):
                u[a, f] = vector[f] - centre[r, f]
                turned[f, a] = u[a, f]
        products = np.empty(n)
        for a in range(n):
            low = (a + 1) // 8 * 8
            later = products[low:]
            later[:] = 0.0
            add_products(u[a], turned, low, later)
            twice = 2.0 * scale[r] * mass[start + a]
            for b in range(a + 1, n):
                i[t], j[t] = start + a, start + b
                bias[t] = twice * mass[start + b] * (products[b] - shift[r])
                t += 1
    return i, j, bias


@kernel
def layer_couplers(
    ptr: Longs,
    variable: Longs,
    mass: Floats,
    key: Ints,
    head: Ints,
    values: Floats,
    centre: Floats,
    row: Longs,
) -> tuple[Ints, Ints, Floats]:
    """Return ``2 w_i.w_j`` of all pairs of a group, w_i = p_i (v_i - c): i, j, bias, sorted.

    Args:
        ptr, variable: the variables of group g are ``variable[ptr[g]:ptr[g + 1]]``, ascending.
        mass, key, head: of each variable; values: shape (H, K, e), in the space of the layer.
        centre, row: centres of rows, shape (rows, e), and the row of each variable.
    """
    pairs = count_pairs(ptr)
    i, j, bias = np.empty(pairs, np.int32), np.empty(pairs, np.int32), np.empty(pairs)
    # Pairs are sorted by their first variable, whatever its group.
    start = np.zeros(len(variable) + 1, np.int64)
    for g in range(len(ptr) - 1):
        for a in range(ptr[g], ptr[g + 1]):
            start[variable[a] + 1] = ptr[g + 1] - a - 1
    for a in range(len(variable)):
        start[a + 1] += start[a]
    d = values.shape[2]
    for g in range(len(ptr) - 1):
        n = ptr[g + 1] - ptr[g]
        w, turned = np.empty((n, d)), np.empty((d, n))
        for a in range(n):
            x = variable[ptr[g] + a]
            vector, middle = values[head[x], key[x]], centre[row[x]]
            for f in range(d):
                w[a, f] = mass[x] * (vector[f] - middle[f])
                turned[f, a] = w[a, f]
        products = np.empty(n)
        for a in range(n):
            products[:] = 0.0
            add_products(w[a], turned, a, products[a:])
            x = variable[ptr[g] + a]
            t = start[x]
            for b in range(a + 1, n):
                i[t], j[t], bias[t] = x, variable[ptr[g] + b], 2.0 * products[b]
                t += 1
    return i, j, bias
