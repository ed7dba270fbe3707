"""Coefficients of ``output`` where every row sees every key of its head.

Products of value vectors then belong to the head, not to the row: worked out once, they serve all
its rows.
"""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Floats, Ints, Longs
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.coefficients import add_products, count_pairs


@kernel
def gram_matrices(values: Floats) -> Floats:
    """Return the products of all vectors of each head, shape (H, K, K); values: (H, K, d)."""
    heads, keys, d = values.shape
    gram, turned = np.zeros((heads, keys, keys)), np.empty((d, keys))
    for h in range(heads):
        own = values[h]
        for a in range(keys):
            for f in range(d):
                turned[f, a] = own[a, f]
        for a in range(keys):
            add_products(own[a], turned, 0, gram[h, a])
    return gram


@kernel
def gram_linear(
    ptr: Longs, mass: Floats, key: Ints, head: Ints, gram: Floats
) -> tuple[Floats, Floats]:
    """Return what `output_linear` does, of rows that see all keys of their heads.

    Args:
        ptr, mass, key, head: the rows.
        gram: products of each head's values about their mean, see `gram_matrices`.
    """
    offset, linear = np.empty(len(ptr) - 1), np.empty(len(mass))
    along = np.empty(gram.shape[1])
    for r in range(len(ptr) - 1):
        own, start, stop = gram[head[r]], ptr[r], ptr[r + 1]
        # The row's rest against every vector: r.v_b = sum_a p_a v_a.v_b.
        along[:] = 0.0
        whole = stop - (stop - start) % 4
        for e in range(start, whole, 4):
            p0, p1, p2, p3 = mass[e], mass[e + 1], mass[e + 2], mass[e + 3]
            g0, g1, g2, g3 = own[key[e]], own[key[e + 1]], own[key[e + 2]], own[key[e + 3]]
            for b in range(len(along)):
                along[b] = (((along[b] + p0 * g0[b]) + p1 * g1[b]) + p2 * g2[b]) + p3 * g3[b]
        for e in range(whole, stop):
            for b in range(len(along)):
                along[b] += mass[e] * own[key[e], b]
        square = 0.0
        for e in range(start, stop):
            p, b = mass[e], key[e]
            square += p * along[b]
            linear[e] = p * (p * own[b, b] - 2.0 * along[b])
        # A sum of squares, by another way.
        offset[r] = max(square, 0.0)
    return offset, linear


@kernel
def gram_couplers(
    mass: Floats, key: Ints, head: Ints, gram: Floats, ptr: Longs
) -> tuple[Ints, Ints, Floats]:
    """Return what `output_couplers` does, of rows that see all keys of their heads.

    Args:
        mass, key: of the chosen variables; head: of each row.
        gram: see `gram_linear`.
        ptr: where each row's chosen variables start; ends of couplers are positions among them.
    """
    pairs = count_pairs(ptr)
    i, j, bias = np.empty(pairs, np.int32), np.empty(pairs, np.int32), np.empty(pairs)
    t = 0
    for r in range(len(ptr) - 1):
        stop = ptr[r + 1]
        for a in range(ptr[r], stop):
            twice, products = 2.0 * mass[a], gram[head[r], key[a]]
            for b in range(a + 1, stop):
                i[t], j[t], bias[t] = a, b, twice * mass[b] * products[key[b]]
                t += 1
    return i, j, bias
