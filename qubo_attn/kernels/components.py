"""Connected components of a graph given by its edges."""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Array, Longs
from qubo_attn.kernels._jit import kernel


@kernel
def connected_components(n: int, u: Array, v: Array) -> Longs:
    """Return for each of ``n`` vertices its component, numbered by the first vertex in it.

    Union by least vertex, paths halved on the way (Tarjan and van Leeuwen, 1984).
    """
    root = np.arange(n)
    for e in range(len(u)):
        a, b = u[e], v[e]
        while root[a] != a:
            root[a] = root[root[a]]
            a = root[a]
        while root[b] != b:
            root[b] = root[root[b]]
            b = root[b]
        if a < b:
            root[b] = a
        else:
            root[a] = b
    label, count = np.empty(n, np.int64), 0
    for a in range(n):  # what a vertex hangs on comes before it
        if root[a] == a:
            label[a] = count
            count += 1
        else:
            label[a] = label[root[a]]
    return label
