"""Change of variables that gives each variable new ones of its own, such as the bits of a level."""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Floats, Ints, Longs
from qubo_attn.kernels._jit import kernel


@kernel
def spread_terms(
    ptr: Ints,
    var: Ints,
    coef: Floats,
    first: Longs,
    i: Ints,
    j: Ints,
    bias: Floats,
    squares: Floats,
) -> tuple[Ints, Ints, Floats]:
    """Return the couplers of a form whose variables become sums of bits of their own.

    Args:
        ptr, var, coef: variable v becomes the sum of ``coef[e] * bit[var[e]]`` over e from
            ``ptr[v]`` to ``ptr[v + 1]``; ``var`` ascends over all of them.
        first: where the terms of each variable start.
        i, j, bias: the terms, sorted; squares too.
        squares: what the squares of bits come to is added to these, one entry per bit: they are
            the bits themselves.

    Returns:
        Sorted couplers of bits.
    """
    count = 0
    for t in range(len(bias)):
        own = ptr[i[t] + 1] - ptr[i[t]]
        if i[t] == j[t]:
            count += own * (own - 1) // 2
        else:
            count += own * (ptr[j[t] + 1] - ptr[j[t]])
    out_i, out_j, out_bias = np.empty(count, np.int32), np.empty(count, np.int32), np.empty(count)
    place = 0
    for v in range(len(ptr) - 1):
        for p in range(ptr[v], ptr[v + 1]):
            for t in range(first[v], first[v + 1]):
                same = j[t] == v
                for q in range(p if same else ptr[j[t]], ptr[j[t] + 1]):
                    value = coef[p] * (bias[t] * coef[q])
                    if p == q:
                        squares[var[p]] += value
                        continue
                    if same:
                        value += coef[q] * (bias[t] * coef[p])
                    out_i[place], out_j[place], out_bias[place] = var[p], var[q], value
                    place += 1
    return out_i, out_j, out_bias
