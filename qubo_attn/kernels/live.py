"""Live keys and pairs of a row: those that some best selection may hold.

A good selection costs U. Every selection that holds key i costs at least what a minorant says of
it, and where that lies above U, no best selection holds i. The same goes for selections without a
key, and with a pair. (Branch and bound calls it fixing by reduced costs.) Selections of what is
left are *live*, and include every best one. So coefficients of the rest are free to move, as long
as what is proven for the row is proven for the changed row too. Over live selections alone, a
change of coefficients moves energies least.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Array, Bools, Floats
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.relaxation import (
    convex_shift,
    good_selection,
    plain_shift,
    relax,
    sorted_bounds,
)

# After so many rounds hardly a row yields another key.
ROUNDS = 4


class Live(NamedTuple):
    """The live keys and pairs of a row, and a good selection.

    Attributes:
        state: int8, shape (n,): -1 of keys in no best selection, 1 in every one, 0 of open ones.
        pairs: shape (n, n): whether some best selection may hold both keys.
        chosen: a good selection.
        energy: its objective.
    """

    state: Array
    pairs: Bools
    chosen: Array
    energy: float


@kernel
def _minorant(local: Floats, fields: Floats, k: int, steps: int, slopes: Floats) -> float:
    """Return the constant of a minorant that is good at k keys, and fill its slopes."""
    n = len(fields)
    size = np.abs(local).max() if n > 1 else 0.0
    if size <= max(1e-14 * np.abs(fields).max(), 1e-140):
        total = 0.0
        for s in range(n):
            slopes[s] = fields[s]
            for u in range(s):
                total += min(local[s, u], 0.0)
        return total
    x, inverse, other = np.full(n, k / n), np.empty((n, n)), np.empty(n)
    plain = plain_shift(local, inverse)
    shift = convex_shift(local, plain, inverse, np.ones(n))
    constant = relax(local, fields, shift, k, steps, x, slopes)
    shift = convex_shift(local, plain, inverse, x * (1.0 - x) + 0.02)
    second = relax(local, fields, shift, k, steps, x, other)
    if second + np.sort(other)[:k].sum() > constant + np.sort(slopes)[:k].sum():
        constant = second
        slopes[:] = other
    return constant


@kernel
def live_parts(local: Floats, fields: Floats, k: int, steps: int) -> Live:
    """Return the live keys and pairs of a row.

    Args:
        local, fields, k: the row.
        steps: gradient steps of the relaxation.
    """
    n = len(fields)
    chosen = np.zeros(n, np.uint8)
    upper = good_selection(local, fields, k, chosen)
    slack = 1e-11 * (np.abs(fields).sum() + np.abs(local).sum())
    state, pairs = np.zeros(n, np.int8), np.ones((n, n), np.bool_)
    open_keys = np.arange(n)
    rest, inside = fields.copy(), 0.0
    for _ in range(ROUNDS):
        m, left = len(open_keys), k
        for s in range(n):
            left -= state[s] == 1
        if not 0 < left < m:
            for a in range(m):
                state[open_keys[a]] = 1 if left else -1
            break
        couplers, linear = np.empty((m, m)), np.empty(m)
        for a in range(m):
            linear[a] = rest[open_keys[a]]
            for b in range(m):
                couplers[a, b] = local[open_keys[a], open_keys[b]]
        slopes = np.empty(m)
        constant = inside + _minorant(couplers, linear, left, steps, slopes)
        order = np.sort(slopes)
        base = constant + order[:left].sum()
        last, following = order[left - 1], order[left]
        limit = upper + slack
        settled = 0
        for a in range(m):
            if base + max(slopes[a] - last, 0.0) > limit:
                state[open_keys[a]] = -1
                settled += 1
            elif base + max(following - slopes[a], 0.0) > limit:
                state[open_keys[a]] = 1
                settled += 1
            for b in range(a):
                if left == 1:
                    out = True
                else:
                    high, low = max(slopes[a], slopes[b]), min(slopes[a], slopes[b])
                    more = max(high - last, 0.0) + max(low - order[left - 2], 0.0)
                    out = base + more > limit
                if out:
                    pairs[open_keys[a], open_keys[b]] = False
                    pairs[open_keys[b], open_keys[a]] = False
        if settled == 0:
            break
        still_open, c = np.empty(m - settled, np.int64), 0
        for a in range(m):
            s = open_keys[a]
            if state[s] == 0:
                still_open[c] = s
                c += 1
            elif state[s] == 1:
                inside += rest[s]
                for u in range(n):
                    rest[u] += local[s, u]
        open_keys = still_open
    for s in range(n):
        if state[s] == -1:
            pairs[s, :] = False
            pairs[:, s] = False
    return Live(state, pairs, chosen, upper)


@kernel
def change_bound(local: Floats, fields: Floats, k: int, before: Live, after: Live) -> float:
    """Bound how far apart a change D moves the energies of selections live before or after it.

    With z' best after and z best before, ``E(z') <= E(z) + D(z) - D(z')``: the spread of D over
    live selections bounds the rise of the optimum.

    Args:
        local, fields: D, as couplers and fields.
        k: keys a selection has.
        before, after: what is live, see `live_parts`.
    """
    state, pairs, new_state, new_pairs = before.state, before.pairs, after.state, after.pairs
    n, left, m = len(fields), k, 0
    open_keys, linear = np.empty(n, np.int64), np.empty(n)
    for s in range(n):
        if state[s] == 1 and new_state[s] == 1:
            left -= 1
        elif not (state[s] == -1 and new_state[s] == -1):
            open_keys[m] = s
            m += 1
    if not 0 < left < m:
        return 0.0
    couplers = np.zeros((m, m))
    for a in range(m):
        s = open_keys[a]
        linear[a] = fields[s]
        for u in range(n):
            if state[u] == 1 and new_state[u] == 1:
                linear[a] += local[s, u]
        for b in range(m):
            u = open_keys[b]
            if pairs[s, u] or new_pairs[s, u]:
                couplers[a, b] = local[s, u]
    most = -sorted_bounds(-couplers, -linear[:m])[left]
    return float(most - sorted_bounds(couplers, linear[:m])[left])
