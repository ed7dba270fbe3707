"""Lost mass: what the keys that passes dropped can cost, row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qubo_attn.common.arrays import Floats
from qubo_attn.common.frozen import Sealed

if TYPE_CHECKING:
    from qubo_attn.compilation.compilation import Compilation


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
    attention, first = compiled.attention, compiled.stages[0].program
    lift = compiled.lift_to(0)
    dropped = (np.diff(lift.indptr) == 0) & (lift.constant == 0)
    heads, queries, _ = attention.shape
    v = first.variables
    mass = np.zeros((heads, queries))
    place = v.head[dropped], v.query[dropped]
    np.add.at(mass, place, attention.softmax[(*place, v.key[dropped])])
    if attention.values is None:
        return Losses(mass, None)
    visible = attention.visible.astype(np.float64)
    count = np.maximum(visible.sum(axis=-1, keepdims=True), 1.0)
    mean = visible @ attention.values / count
    reach = np.zeros((heads, queries))
    for h in range(heads):
        # |v - vbar|^2 for every query and key, without an array of (Q, K, d).
        values = attention.values[h]
        square = (values**2).sum(-1) - 2.0 * mean[h] @ values.T + (mean[h] ** 2).sum(-1)[:, None]
        square = np.maximum(np.where(visible[h] > 0, square, 0.0), 0.0)
        reach[h] = np.sqrt(square).max(axis=-1, initial=0.0)
    return Losses(mass, 2.0 * mass * reach)
