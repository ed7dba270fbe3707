"""Kernel for weights of a warm machine: margins in units of the temperature, row by row.

A row's coefficients are divided by its scale before they reach the machine, and the scale grows
with the weight, so margin and scale are a fixed point: ``D = unit scale(A(D))``. Where the scale
grows so fast that there is none, or only far away, the margin ends where it is `_MOST` times what
it is without.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Bools, Floats
from qubo_attn.kernels._jit import kernel
from qubo_attn.kernels.blocks import Form
from qubo_attn.kernels.certify import smallest_weight
from qubo_attn.kernels.rows import CountRows, load_row

# A margin within this share of its fixed point is as good as it: the scale is an estimate.
_CLOSE, _ROUNDS = 0.01, 30
# How many times its scale without a margin a row may have with it: the rest is lost to errors.
_MOST = 4.0
# Share of its margin that a tilt of the slope must leave to every count of keys.
_LEFT = 0.25


class Proofs(NamedTuple):
    """What is proven of the rows without any margin.

    Attributes:
        relaxed: which rows have bounds on their objective, count by count.
        weight, slope: of the other rows, by steps.
        upper: bound on F(k); lower: bounds on F(m) for m = 0 .. n, row after row.
    """

    relaxed: Bools
    weight: Floats
    slope: Floats
    upper: Floats
    lower: Floats


class Warmth(NamedTuple):
    """What a machine makes of energies.

    Attributes:
        unit: margin per unit of scale, c T.
        tilt: slope per unit of scale, of each row.
        length: qubits of a chain, of each row.
        top: largest coefficient of the bits of each variable; 1 of a bit.
        field, coupling, chain: largest field, coupling above zero, and coupling below, as numbers
            above zero.
    """

    unit: Floats
    tilt: Floats
    length: Floats
    top: Floats
    field: float
    coupling: float
    chain: float


class WarmWeights(NamedTuple):
    """Weights of rows on a warm machine.

    Attributes:
        weight, slope: A and mu.
        margin: what is proven of every infeasible point with these.
        scale: estimated program energy per hardware unit.
    """

    weight: Floats
    slope: Floats
    margin: Floats
    scale: Floats


class _Row(NamedTuple):
    """A row with what touches it.

    Attributes:
        local: its couplings, shape (n, n); outside: sizes and sums of those of each variable to
            other rows, shape (n, 2).
        fields, square, upper, top: of each variable.
        keep: what the row adds up to.
    """

    local: Floats
    outside: Floats
    fields: Floats
    square: Floats
    upper: Floats
    top: Floats
    keep: int


@kernel
def _row_scale(row: _Row, weight: float, slope: float, length: float, warmth: Warmth) -> float:
    """Return the program energy per hardware unit that a dense row will have, about.

    Fields are shared by the qubits of a chain; a coupling has one coupler at least; chains are as
    strong as torque compensation, or as their bound where that is less. A whole number counts as
    its bit of largest coefficient c: ``A (S - k)^2 + mu (S - k)`` gives that ``c (mu - 2 k A) + A
    c^2`` and, with the bit c' of another variable, ``2 A c c'``.
    """
    n = len(row.fields)
    squares, most_field, most_coupling, most_pull = 0.0, 0.0, 0.0, 0.0
    for a in range(n):
        c = row.top[a]
        rest = c * (row.upper[a] - c) * (weight + row.square[a]) / 2.0
        total, pull = c * row.outside[a, 1] / 4.0 + rest, c * row.outside[a, 0] / 4.0 + abs(rest)
        for b in range(n):
            if a == b:
                continue
            coupling = c * (row.local[a, b] + 2.0 * weight) / 4.0
            total += coupling * row.upper[b]
            pull += abs(coupling) * row.upper[b]
            coupling *= row.top[b]
            squares += coupling * coupling
            most_coupling = max(most_coupling, coupling / warmth.coupling, -coupling / warmth.chain)
        linear = c * (row.fields[a] - 2.0 * row.keep * weight + slope)
        field = (linear + c * c * (weight + row.square[a])) / 2.0 + total
        most_field = max(most_field, abs(field))
        most_pull = max(most_pull, (pull - abs(field)) / 2.0)
    scale = max(most_field / (length * warmth.field), most_coupling)
    if length > 1.0 and n > 1:
        torque = 1.414 * np.sqrt(squares / (n * (n - 1))) * np.sqrt(n - 1.0)
        scale = max(scale, min(torque, most_pull) / warmth.chain)
    return scale


@kernel
def warm_weights(
    rows: CountRows,
    form: Form,
    floor: Floats,
    proofs: Proofs,
    warmth: Warmth,
) -> WarmWeights:
    """Return weights whose margin is a number of temperatures, and what they prove.

    Args:
        rows: dense rows.
        form: the objective.
        floor: least margin of each row, in energy units.
        proofs: what is proven without a margin.
        warmth: the machine.
    """
    ptr, var, keep = rows
    size = len(keep)
    linear, couplers = form.linear, form.couplers
    slot = np.full(len(linear), -1, np.int64)
    weights, slopes = np.zeros(size), np.zeros(size)
    margins, scales = np.zeros(size), np.zeros(size)
    for r in range(size):
        members, k = var[ptr[r] : ptr[r + 1]], keep[r]
        n = len(members)
        for s in range(n):
            slot[members[s]] = s
        local, outside, fields = np.empty((n, n)), np.zeros((n, 2)), np.empty(n)
        square, most, top = np.empty(n), np.empty(n), np.empty(n)
        load_row(members, slot, couplers, local)
        for s in range(n):
            v = members[s]
            fields[s], square[s], most[s] = linear[v], form.square[v], form.upper[v]
            top[s] = warmth.top[v]
            for e in range(couplers.ptr[members[s]], couplers.ptr[members[s] + 1]):
                if slot[couplers.neighbour[e]] < 0:
                    outside[s, 0] += abs(couplers.value[e])
                    outside[s, 1] += couplers.value[e]
        for s in range(n):
            slot[members[s]] = -1
        row = _Row(local, outside, fields, square, most, top, k)
        start, need = ptr[r] + r, np.empty(n + 1)
        margin, weight, slope, scale, bare = floor[r], 0.0, 0.0, 0.0, 0.0
        for _ in range(_ROUNDS):
            if proofs.relaxed[r]:
                for m in range(n + 1):
                    need[m] = proofs.upper[r] - proofs.lower[start + m] + margin
                weight, slope, _, _ = smallest_weight(k, need)
            else:
                weight, slope = max(proofs.weight[r] + margin, 0.0), proofs.slope[r]
            scale = _row_scale(row, weight, slope, warmth.length[r], warmth)
            bare = scale if bare == 0.0 else bare
            wanted = max(warmth.unit[r] * scale, floor[r])
            if scale > _MOST * bare:
                ahead = (_MOST - 1.0) * bare / (scale - bare)
                wanted = min(wanted, floor[r] + ahead * (margin - floor[r]))
            if abs(wanted - margin) <= _CLOSE * wanted:
                break
            margin = (wanted + margin) / 2.0
        tilt = warmth.tilt[r] * scale
        if proofs.relaxed[r]:
            left = margin
            for _ in range(_ROUNDS):
                left = np.inf
                for m in range(n + 1):
                    d = m - k
                    if d != 0:
                        paid = weight * d * d + (slope + tilt) * d
                        left = min(left, paid - proofs.upper[r] + proofs.lower[start + m])
                if left >= _LEFT * margin or tilt == 0.0:
                    break
                tilt = 0.7 * tilt if abs(tilt) > 1e-3 * margin else 0.0
            margin = min(left, margin)
        else:
            # A step towards the count gains the margin, less the tilt that it walks against.
            tilt = min(max(tilt, -(1.0 - _LEFT) * margin), (1.0 - _LEFT) * margin)
            margin -= abs(tilt)
        weights[r], slopes[r], margins[r], scales[r] = weight, slope + tilt, margin, scale
    return WarmWeights(weights, slopes, margins, scales)
