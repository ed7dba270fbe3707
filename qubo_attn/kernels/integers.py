"""Integer coefficients: common steps, rounding errors, and all energies of a small form."""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Bools, Floats, Ints, Longs
from qubo_attn.kernels._jit import kernel


@kernel
def common_steps(value: Floats, block: Longs, largest: Floats, smallest: float) -> Floats:
    """Return per block a number of which all its values are whole multiples, if there is one.

    Euclid's algorithm with centred remainders. A remainder below ``smallest`` times the block's
    largest value counts as zero, so the caller has to check the multiples; 0 where all values are.

    Args:
        value, block: values and their blocks.
        largest: largest absolute value of each block.
        smallest: share of the largest value below which a remainder is rounding noise.
    """
    step = np.zeros(len(largest))
    for t in range(len(value)):
        noise = smallest * largest[block[t]]
        a, b = step[block[t]], abs(value[t])
        while b > noise:
            a, b = b, abs(a - b * np.rint(a / b))
        step[block[t]] = a
    return step


@kernel
def rounding_errors(value: Floats, block: Longs, largest: Floats, divisors: Floats) -> Floats:
    """Return the sum of absolute rounding errors of each block, for several steps.

    Args:
        value, block: values and their blocks.
        largest: largest absolute value of each block.
        divisors: shape (blocks, candidates); the steps tried are ``largest / divisor``.

    Returns:
        Shape (blocks, candidates).
    """
    errors = np.zeros(divisors.shape)
    for t in range(len(value)):
        b = block[t]
        if largest[b] == 0.0:
            continue
        for c in range(divisors.shape[1]):
            step = largest[b] / divisors[b, c]
            errors[b, c] += abs(value[t] - step * np.rint(value[t] / step))
    return errors


@kernel
def binary_table(linear: Floats, i: Ints | Longs, j: Ints | Longs, bias: Floats) -> Floats:
    """Return a form's value at all ``2^n`` points; bit v of the index is variable v.

    Point ``2^v + r`` with ``r < 2^v`` adds to point r the field that r puts on variable v, and the
    fields are tabled the same way: about four operations a point, whatever n.

    Args:
        linear: n biases.
        i, j, bias: couplers, each pair once in either order.
    """
    n = len(linear)
    dense = np.zeros((n, n))
    for t in range(len(bias)):
        dense[i[t], j[t]] += bias[t]
        dense[j[t], i[t]] += bias[t]
    table = np.zeros(1 << n)
    field = np.zeros(max(1 << n >> 1, 1))
    for v in range(n):
        field[0] = linear[v]
        for u in range(v):
            half = 1 << u
            for r in range(half):
                field[half + r] = field[r] + dense[u, v]
        size = 1 << v
        for r in range(size):
            table[size + r] = table[r] + field[r]
    return table


@kernel
def compare_tables(
    before: Floats, after: Floats, shift: float, step: float, feasible: Bools
) -> tuple[float, float, float, float]:
    """Compare all energies of a block before and after rounding.

    Args:
        before: energies of all points.
        after: the same in steps less ``shift``: whole numbers, so that ties are exact.
        shift: whole number to add to ``after``.
        step: energy per unit of ``after``.
        feasible: which points are feasible; at least one is.

    Returns:
        How far the energies before of the points that are best after rise above the optimum, at
        worst: among feasible points; among all points. How far the lowest infeasible point lies
        above the best feasible one after rounding; inf without any. The largest change of a
        feasible energy.
    """
    low, low_all = np.inf, np.inf
    best, best_all, rest = np.inf, np.inf, np.inf
    worst, worst_all, error = -np.inf, -np.inf, 0.0
    for p in range(len(before)):
        energy, steps = before[p], after[p]
        low_all = min(low_all, energy)
        if steps < best_all:
            best_all, worst_all = steps, energy
        elif steps == best_all:
            worst_all = max(worst_all, energy)
        if not feasible[p]:
            rest = min(rest, steps)
            continue
        low = min(low, energy)
        error = max(error, abs(energy - step * (steps + shift)))
        if steps < best:
            best, worst = steps, energy
        elif steps == best:
            worst = max(worst, energy)
    return worst - low, worst_all - low_all, step * (rest - best), error
