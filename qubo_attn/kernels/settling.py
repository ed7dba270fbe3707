"""Descent of bits under no constraint: the best step or exchange, while one helps."""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Floats, Ints
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.blocks import Blocks
from qubo_attn.kernels.rows import Adjacency

# Steps of a descent, for each bit of a block, that are enough for any.
_STEPS = 8


@kernel
def settle_bits(point: Ints, blocks: Blocks, linear: Floats, couplers: Adjacency) -> None:
    """Take the best change of a bit, or exchange of a one for a zero, while one lowers the energy.

    Args:
        point: value of each bit, changed in place.
        blocks: what is independent; constraints are not looked at.
        linear, couplers: the objective.
    """
    first, neighbour, value = couplers
    field, cross = np.empty(len(linear)), np.zeros(len(linear))
    for b in range(len(blocks.ptr) - 1):
        start, stop, size = blocks.ptr[b], blocks.ptr[b + 1], 0.0
        for t in range(start, stop):
            v = blocks.var[t]
            field[v] = linear[v]
            size += abs(linear[v])
            for e in range(first[v], first[v + 1]):
                size += abs(value[e])
                field[v] += point[neighbour[e]] * value[e]
        # Rounding may not make it go round in circles.
        for _ in range(_STEPS * (stop - start)):
            least, up, down = -1e-12 * size - 1e-300, -1, -1
            for t in range(start, stop):
                u = blocks.var[t]
                if point[u] != 0:
                    if -field[u] < least:
                        least, up, down = -field[u], -1, u
                    continue
                if field[u] < least:
                    least, up, down = field[u], u, -1
                for e in range(first[u], first[u + 1]):
                    cross[neighbour[e]] = value[e]
                for s in range(start, stop):
                    v = blocks.var[s]
                    if point[v] != 0 and field[u] - field[v] - cross[v] < least:
                        least, up, down = field[u] - field[v] - cross[v], u, v
                for e in range(first[u], first[u + 1]):
                    cross[neighbour[e]] = 0.0
            if up < 0 and down < 0:
                break
            for v in (down, up):
                if v >= 0:
                    step = 1 - 2 * point[v]
                    point[v] += step
                    for e in range(first[v], first[v + 1]):
                        field[neighbour[e]] += step * value[e]
