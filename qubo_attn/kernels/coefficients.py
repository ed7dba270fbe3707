"""Kernels for coefficients of the objectives, one row of keys after another.

The variables of row r are ``ptr[r]:ptr[r + 1]``; couplers come sorted, every pair of a row once.
"""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Floats, Ints, Longs
from qubo_attn.kernels._jit import kernel


@kernel
def count_pairs(ptr: Longs) -> int:
    """Return the number of pairs within all rows."""
    total = 0
    for r in range(len(ptr) - 1):
        n = ptr[r + 1] - ptr[r]
        total += n * (n - 1) // 2
    return total


@kernel
def selection_into(
    ptr: Longs, logit: Floats, alpha: float, square: Floats, i: Ints, j: Ints, bias: Floats
) -> int:
    """Write ``2 alpha s_i s_j``, plus ``square`` of the row, over arrays of every pair's size.

    Returns:
        How many of the values are zero.
    """
    t, zeros = 0, 0
    for r in range(len(ptr) - 1):
        for a in range(ptr[r], ptr[r + 1]):
            scale, added = 2.0 * alpha * logit[a], square[r]
            count = ptr[r + 1] - a - 1
            # One loop for each array: each is a plain stream of stores.
            i[t : t + count] = a
            ends, values = j[t : t + count], bias[t : t + count]
            later = logit[a + 1 : ptr[r + 1]]
            for b in range(count):
                ends[b] = np.int32(a + 1 + b)
            for b in range(count):
                values[b] = scale * later[b] + added
                zeros += values[b] == 0.0
            t += count
    return zeros


@kernel
def selection_couplers(ptr: Longs, logit: Floats, alpha: float) -> tuple[Ints, Ints, Floats]:
    """Return ``2 alpha s_i s_j``: i, j, bias."""
    pairs = count_pairs(ptr)
    i, j, bias = np.empty(pairs, np.int32), np.empty(pairs, np.int32), np.empty(pairs)
    selection_into(ptr, logit, alpha, np.zeros(len(ptr) - 1), i, j, bias)
    return i, j, bias


@kernel
def redundancy_couplers(
    ptr: Longs, key: Ints, head: Ints, cosine: Floats, strength: float
) -> tuple[Ints, Ints, Floats]:
    """Return ``strength c_ij``: i, j, bias; cosine has shape (H, K, K)."""
    pairs = count_pairs(ptr)
    i, j, bias = np.empty(pairs, np.int32), np.empty(pairs, np.int32), np.empty(pairs)
    t = 0
    for r in range(len(ptr) - 1):
        for a in range(ptr[r], ptr[r + 1]):
            for b in range(a + 1, ptr[r + 1]):
                i[t], j[t] = a, b
                bias[t] = strength * cosine[head[r], key[a], key[b]]
                t += 1
    return i, j, bias


@kernel
def _centre(start: int, stop: int, key: Ints, values: Floats, mean: Floats) -> bool:
    """Fill in the mean of the ``values``, shape (K, d), of a row's keys; not of a row of all.

    The values are those about their own mean, so that of all of them is zero.

    Returns:
        Whether the row has all keys.
    """
    if stop - start == len(values):
        return True
    for f in range(len(mean)):
        mean[f] = 0.0
    for a in range(start, stop):
        vector = values[key[a]]
        for f in range(len(mean)):
            mean[f] += vector[f]
    for f in range(len(mean)):
        mean[f] /= max(stop - start, 1)
    return False


@kernel
def dot(a: Floats, b: Floats) -> float:
    """Return ``a.b``: four sums side by side, each in the order of its features."""
    s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
    whole = len(a) - len(a) % 4
    for f in range(0, whole, 4):
        s0 += a[f] * b[f]
        s1 += a[f + 1] * b[f + 1]
        s2 += a[f + 2] * b[f + 2]
        s3 += a[f + 3] * b[f + 3]
    for f in range(whole, len(a)):
        s0 += a[f] * b[f]
    return (s0 + s1) + (s2 + s3)


@kernel
def output_linear(
    ptr: Longs, mass: Floats, key: Ints, head: Ints, values: Floats, centred: Floats
) -> tuple[Floats, Floats]:
    """Return ``|r|^2`` and ``|w_i|^2 - 2 w_i.r`` with w_i = p_i (v_i - vbar), r = sum_i w_i.

    They are each row's offset and linear part of ``|sum_i (1 - z_i) w_i|^2``, whose couplers are
    those of `output_couplers`.

    Args:
        ptr, mass, key, head: the rows.
        values: shape (H, K, d); centred: about the mean of each head's. A row that does not see all
            keys takes its own mean off ``values``: keys of other rows take no digits from it.
    """
    offset, linear = np.empty(len(ptr) - 1), np.empty(len(mass))
    heads, keys, d = values.shape
    length = np.empty((heads, keys))
    for h in range(heads):
        for a in range(keys):
            length[h, a] = dot(centred[h, a], centred[h, a])
    u, rest, centre = np.empty(d), np.empty(d), np.empty(d)
    for r in range(len(ptr) - 1):
        whole = _centre(ptr[r], ptr[r + 1], key, values[head[r]], centre)
        vectors = centred[head[r]] if whole else values[head[r]]
        for f in range(d):
            rest[f] = 0.0
        for a in range(ptr[r], ptr[r + 1]):
            p, vector = mass[a], vectors[key[a]]
            if whole:
                for f in range(d):
                    rest[f] += p * vector[f]
            else:
                for f in range(d):
                    rest[f] += p * (vector[f] - centre[f])
        offset[r] = dot(rest, rest)
        for a in range(ptr[r], ptr[r + 1]):
            p, vector = mass[a], vectors[key[a]]
            if whole:
                size, along = length[head[r], key[a]], dot(vector, rest)
            else:
                for f in range(d):
                    u[f] = vector[f] - centre[f]
                size, along = dot(u, u), dot(u, rest)
            linear[a] = p * (p * size - 2.0 * along)
    return offset, linear


@kernel
def add_products(factors: Floats, turned: Floats, low: int, sums: Floats) -> None:
    """Add a vector's products with the columns of ``turned`` from ``low`` on.

    Side by side; each still adds its features in their order.
    """
    d = len(factors)
    for f in range(0, d - 3, 4):
        c0, c1, c2, c3 = factors[f], factors[f + 1], factors[f + 2], factors[f + 3]
        u0, u1, u2, u3 = (
            turned[f, low:],
            turned[f + 1, low:],
            turned[f + 2, low:],
            turned[f + 3, low:],
        )
        for b in range(len(sums)):
            sums[b] = (((sums[b] + c0 * u0[b]) + c1 * u1[b]) + c2 * u2[b]) + c3 * u3[b]
    for f in range(d - d % 4, d):
        for b in range(len(sums)):
            sums[b] += factors[f] * turned[f, low + b]


@kernel
def output_couplers(
    ptr: Longs,
    mass: Floats,
    key: Ints,
    head: Ints,
    values: Floats,
    centred: Floats,
    chosen_ptr: Longs,
    chosen: Longs,
) -> tuple[Ints, Ints, Floats]:
    """Return ``2 w_i.w_j`` between chosen variables, see `output_linear`: i, j, bias.

    Of rows that see all keys, it is 2 p_i p_j times the product of the values, in this order: the
    same to the last bit as `gram_couplers`, whether the rows beside it allow that or not.

    Args:
        ptr, mass, key, head, values, centred: the rows, see `output_linear`.
        chosen_ptr, chosen: the variables wanted, row after row; ends are positions among them.
    """
    pairs = count_pairs(chosen_ptr)
    i, j, bias = np.empty(pairs, np.int32), np.empty(pairs, np.int32), np.empty(pairs)
    d = values.shape[2]
    centre = np.empty(d)
    t = 0
    for r in range(len(ptr) - 1):
        start, n = chosen_ptr[r], chosen_ptr[r + 1] - chosen_ptr[r]
        if n < 2:
            continue
        whole = _centre(ptr[r], ptr[r + 1], key, values[head[r]], centre)
        w = np.empty((n, d))
        # Turned, so that the products of one key with all later ones add up side by side.
        turned = np.empty((d, n))
        for a in range(n):
            e = chosen[start + a]
            p, about, vector = mass[e], centred[head[r], key[e]], values[head[r], key[e]]
            row = w[a]
            for f in range(d):
                row[f] = about[f] if whole else p * (vector[f] - centre[f])
            for f in range(d):
                turned[f, a] = row[f]
        products = np.empty(n)
        for a in range(n):
            low = (a + 1) // 8 * 8
            later = products[low:]
            for b in range(len(later)):
                later[b] = 0.0
            add_products(w[a], turned, low, later)
            twice = 2.0 * mass[chosen[start + a]] if whole else 2.0
            for b in range(a + 1, n):
                factor = twice * mass[chosen[start + b]] if whole else twice
                i[t], j[t], bias[t] = start + a, start + b, factor * products[b]
                t += 1
    return i, j, bias


@kernel
def distance_coefficients(
    ptr: Longs, mass: Floats, key: Ints, head: Ints, values: Floats
) -> tuple[float, Floats, Ints, Ints, Floats]:
    """Return ``|sum_i (w_i - p_i) v_i|^2`` over real weights: offset, linear, i, j, bias.

    Squares come with the couplers, at ``i = j``. ``values`` has shape (H, K, d).
    """
    terms = count_pairs(ptr) + ptr[-1]
    i, j, bias = np.empty(terms, np.int32), np.empty(terms, np.int32), np.empty(terms)
    linear = np.empty(len(mass))
    d = values.shape[2]
    offset = 0.0
    t = 0
    for r in range(len(ptr) - 1):
        goal = np.zeros(d)
        for a in range(ptr[r], ptr[r + 1]):
            goal += mass[a] * values[head[r], key[a]]
        offset += (goal * goal).sum()
        for a in range(ptr[r], ptr[r + 1]):
            vector = values[head[r], key[a]]
            linear[a] = -2.0 * (vector * goal).sum()
            for b in range(a, ptr[r + 1]):
                product = (vector * values[head[r], key[b]]).sum()
                i[t], j[t] = a, b
                bias[t] = product if a == b else 2.0 * product
                t += 1
    return offset, linear, i, j, bias
