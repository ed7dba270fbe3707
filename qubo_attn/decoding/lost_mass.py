"""Lost mass: what the keys that passes dropped can cost, row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qubo_attn.common.arrays import Floats
from qubo_attn.common.frozen import Sealed
from qubo_attn.common.ragged import largest, sums
from qubo_attn.frontend.attention import Attention, Rows

if TYPE_CHECKING:
    from qubo_attn.compilation.compilation import Compilation

# Numbers in vectors of keys that are looked at together.
_AT_ONCE = 1 << 22


@dataclass(frozen=True, eq=False)
class Losses(Sealed):
    """Softmax mass that no selection can hold any more, and what it can cost.

    Attributes:
        mass: float64, shape (H, Q): softmax mass of the keys that passes fixed at zero.
        output: float64, shape (H, Q): how far attention over the other keys, renormalised, can lie
            from attention over all, ``2 mass max |v - vbar|`` with vbar the mean value of the row's
            keys; None without values.
    """

    mass: Floats
    output: Floats | None

    def __str__(self) -> str:
        text = f"lost softmax mass {self.mass.max(initial=0.0):.3g} at most in a row"
        if self.output is None:
            return text
        return f"{text}, output error {self.output.max(initial=0.0):.3g} at most"


def losses_of(compiled: Compilation) -> Losses:
    """Return what ``compiled`` lost; see `CompiledAttention.losses`."""
    attention = compiled.attention
    lift = compiled.lift_to(0)
    dropped = (np.diff(lift.indptr) == 0) & (lift.constant == 0)
    heads, queries, _ = attention.shape
    rows, mass = attention.rows, np.zeros((heads, queries))
    # The first variables are those of the visible keys, in their order.
    lost = np.where(dropped[: len(rows.key)], rows.mass, 0.0)
    mass[rows.head, rows.query] = sums(rows.ptr, lost)
    if attention.values is None:
        return Losses(mass, None)
    reach = np.zeros((heads, queries))
    gap = distances(rows, attention.values, mean_values(attention))
    reach[rows.head, rows.query] = largest(rows.ptr, gap)
    return Losses(mass, 2.0 * mass * reach)


def mean_values(attention: Attention) -> Floats:
    """Return the mean value of the keys that each row sees, shape (rows, d)."""
    rows = attention.rows
    equal = attention.table(np.repeat(1.0 / rows.sizes, rows.sizes))
    return attention.outputs(equal)[rows.head, rows.query]


def distances(rows: Rows, values: Floats, centre: Floats) -> Floats:
    """Return ``|v - c|`` of every visible key, one entry each.

    Args:
        rows: the visible keys.
        values: shape (H, K, d).
        centre: of each row, shape (rows, d).
    """
    lengths, size = np.empty(len(rows.key)), (values**2).sum(axis=-1)
    for head, vectors in enumerate(values):
        own = np.flatnonzero(rows.head == head)
        entries = int(rows.sizes[own].sum())
        # A few rows at a time: a product of all keys is a table, and a vector each is large too.
        for some in np.array_split(own, 1 + entries * vectors.shape[1] // _AT_ONCE):
            if not len(some):
                continue
            part = slice(int(rows.ptr[some[0]]), int(rows.ptr[some[-1] + 1]))
            key, row = rows.key[part], np.repeat(np.arange(len(some)), rows.sizes[some])
            middle = centre[some]
            if len(key) * 8 > len(some) * len(vectors):
                product = (middle @ vectors.T)[row, key]
            else:
                product = np.einsum("ed,ed->e", middle[row], vectors[key])
            square = size[head, key] - 2.0 * product + (middle**2).sum(axis=-1)[row]
            lengths[part] = np.sqrt(np.maximum(square, 0.0))
    return lengths
