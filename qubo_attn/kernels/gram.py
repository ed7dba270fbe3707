"""Couplers of ``output`` where every row sees every key of its head.

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
def gram_couplers(
    mass: Floats, key: Ints, head: Ints, gram: Floats, ptr: Longs
) -> tuple[Ints, Ints, Floats]:
    """Return what `output_couplers` does, to the last bit, of rows that see all keys of a head.

    Args:
        mass, key: of the chosen variables; head: of each row.
        gram: products of each head's values about their mean, see `gram_matrices`.
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
