"""Terms of ``output`` where kept keys have levels: ``|sum (p_i - b_i z_i - s_i x_i) u_i|^2``.

u_i is the value of key i about a centre: the mean of its row's keys, or one of the row's own.
Selections z come first, row after row, then the levels x of the entries that have one. Fields are
worked out for all entries, couplers between some variables alone: nearly all of a row's keys go
before anything is priced.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Floats, Ints, Longs
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.coefficients import add_products, dot


class LeveledEntries(NamedTuple):
    """Entries of rows, and what a kept one weighs.

    Attributes:
        ptr: where each row's entries start; not from 0 for some rows of all.
        mass: softmax of each entry.
        base, step: weight of each entry at level 0, and of each level.
        key: of each entry; head: of each row.
        values: shape (H, K, d).
        centre: of each row, shape (rows, d); without any row, the mean value of each row's keys.
    """

    ptr: Longs
    mass: Floats
    base: Floats
    step: Floats
    key: Ints
    head: Ints
    values: Floats
    centre: Floats


class ChosenEntries(NamedTuple):
    """Entries between whose variables couplers are wanted.

    Attributes:
        ptr: where those of each row start; entry: which they are.
        selection, level: the number that each one's selection, and level, has; -1 for none.
    """

    ptr: Longs
    entry: Longs
    selection: Longs
    level: Longs


class LeveledTerms(NamedTuple):
    """Couplers from selections on, and couplers between levels, both sorted."""

    i: Ints
    j: Ints
    bias: Floats
    level_i: Ints
    level_j: Ints
    level_bias: Floats


@kernel
def _centre(key: Ints, values: Floats, centre: Floats, r: int) -> Floats:
    """Return the centre of row r: its own, or the mean of the ``values``, (K, d), of its keys."""
    mean = np.zeros(values.shape[1])
    if len(centre) > 0:
        for f in range(len(mean)):
            mean[f] = centre[r, f]
        return mean
    for a in range(len(key)):
        vector = values[key[a]]
        for f in range(len(mean)):
            mean[f] += vector[f]
    for f in range(len(mean)):
        mean[f] /= max(len(key), 1)
    return mean


@kernel
def leveled_fields(entries: LeveledEntries) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the offset of each row, and of each entry the field of its selection and its level.

    And the coefficient of the square of its level.
    """
    ptr, mass, base, step, key, head, values, centre = entries
    rows, n, d = len(ptr) - 1, ptr[-1] - ptr[0], values.shape[2]
    offset, selection, level, square = np.empty(rows), np.empty(n), np.empty(n), np.empty(n)
    u = np.empty(d)
    for r in range(rows):
        vectors = values[head[r]]
        mean, goal = _centre(key[ptr[r] : ptr[r + 1]], vectors, centre, r), np.zeros(d)
        for e in range(ptr[r], ptr[r + 1]):
            vector, p = vectors[key[e]], mass[e]
            for f in range(d):
                goal[f] += p * (vector[f] - mean[f])
        offset[r] = dot(goal, goal)
        for e in range(ptr[r], ptr[r + 1]):
            vector = vectors[key[e]]
            for f in range(d):
                u[f] = vector[f] - mean[f]
            size, along, place = dot(u, u), dot(u, goal), e - ptr[0]
            selection[place] = base[e] * base[e] * size - 2.0 * base[e] * along
            level[place] = -2.0 * step[e] * along
            square[place] = step[e] * step[e] * size
    return offset, selection, level, square


@kernel
def leveled_couplers(entries: LeveledEntries, chosen: ChosenEntries, squares: bool) -> LeveledTerms:
    """Return the couplers between chosen variables; there may be zeros among them.

    Args:
        entries: all entries of the rows.
        chosen: some of them.
        squares: whether squares of levels are couplers, at ``i = j``; of bits, they are fields.
    """
    ptr, _, base, step, key, head, values, centre = entries
    count, level_count, most = 0, 0, 0
    for r in range(len(ptr) - 1):
        z, x = 0, 0
        for c in range(chosen.ptr[r], chosen.ptr[r + 1]):
            z += chosen.selection[c] >= 0
            x += chosen.level[c] >= 0
        count += z * (z - 1) // 2 + z * x
        level_count += x * (x - 1) // 2 + (x if squares else 0)
        most = max(most, chosen.ptr[r + 1] - chosen.ptr[r])
    i, j, bias = np.empty(count, np.int32), np.empty(count, np.int32), np.empty(count)
    level_i, level_j = np.empty(level_count, np.int32), np.empty(level_count, np.int32)
    level_bias = np.empty(level_count)
    t, late, d = 0, 0, values.shape[2]
    u, turned, gram = np.empty((most, d)), np.empty((d, most)), np.empty((most, most))
    for r in range(len(ptr) - 1):
        start, n = chosen.ptr[r], chosen.ptr[r + 1] - chosen.ptr[r]
        if n == 0:
            continue
        mean = _centre(key[ptr[r] : ptr[r + 1]], values[head[r]], centre, r)
        for a in range(n):
            vector = values[head[r], key[chosen.entry[start + a]]]
            for f in range(d):
                u[a, f] = vector[f] - mean[f]
                turned[f, a] = u[a, f]
        for a in range(n):
            low = a // 8 * 8
            products = gram[a, low:n]
            products[:] = 0.0
            add_products(u[a], turned, low, products)
            for b in range(a):
                gram[a, b] = gram[b, a]
        for a in range(n):
            own, e = chosen.selection[start + a], chosen.entry[start + a]
            if own >= 0:
                twice = 2.0 * base[e]
                for b in range(a + 1, n):
                    other = chosen.selection[start + b]
                    if other >= 0:
                        i[t], j[t] = own, other
                        bias[t] = twice * base[chosen.entry[start + b]] * gram[a, b]
                        t += 1
                for b in range(n):
                    other = chosen.level[start + b]
                    if other >= 0:
                        i[t], j[t] = own, other
                        bias[t] = twice * step[chosen.entry[start + b]] * gram[a, b]
                        t += 1
            own = chosen.level[start + a]
            if own >= 0:
                for b in range(a if squares else a + 1, n):
                    other = chosen.level[start + b]
                    if other >= 0:
                        factor = 1.0 if a == b else 2.0
                        level_i[late], level_j[late] = own, other
                        level_bias[late] = (
                            factor * step[e] * step[chosen.entry[start + b]] * gram[a, b]
                        )
                        late += 1
    return LeveledTerms(i, j, bias, level_i, level_j, level_bias)
