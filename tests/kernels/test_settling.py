"""Descent of bits without constraints: that of `mend_reads`, and no better neighbour."""

from __future__ import annotations

from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from qubo_attn import kernels
from qubo_attn.common.arrays import pointers


@given(st.integers(0, 10_000))
def test_it_ends_where_nothing_helps(seed: int) -> None:
    generator = np.random.default_rng(seed)
    component = np.sort(generator.integers(0, 3, 9))
    component -= component[0]
    n, linear = len(component), generator.normal(size=len(component))
    pairs = [(a, b) for a, b in product(range(n), repeat=2) if a < b]
    pairs = [(a, b) for a, b in pairs if component[a] == component[b] and generator.random() < 0.7]
    i, j = np.array(pairs, np.int32).reshape(-1, 2).T.copy()
    couplers = kernels.adjacency(n, i, j, bias := generator.normal(size=len(i)))
    sizes = np.bincount(component)
    none = np.zeros(0, np.int64)
    blocks = kernels.Blocks(
        pointers(sizes), np.arange(n), pointers(np.zeros(len(sizes), np.int64)), none
    )
    start = generator.integers(0, 2, n, dtype=np.int32)
    point = start.copy()
    kernels.settle_bits(point, blocks, linear, couplers)

    matrix = np.zeros((n, n))
    matrix[i, j] = bias
    energy = linear @ point + point @ matrix @ point
    for v in range(n):
        for u in range(n):
            near = point.copy()
            near[v] = 1 - near[v]
            if u != v:
                if near[u] == point[v]:
                    continue
                near[u] = 1 - near[u]
            assert linear @ near + near @ matrix @ near >= energy - 1e-9

    reads = kernels.SampledReads(start[:, None], np.arange(n), np.ones(1, np.int64))
    form = kernels.Form(linear, np.zeros(n), np.ones(n, np.int32), couplers)
    open_ = kernels.Limits(
        np.zeros(0), np.zeros(0, bool), pointers(np.zeros(n, np.int64)), none, np.zeros(0)
    )
    gates = kernels.Gates(np.full(n, -1), pointers(np.zeros(n, np.int64)), none)
    mended = kernels.mend_reads(reads, blocks, form, open_, gates, True, True)
    np.testing.assert_array_equal(point, mended.point)
