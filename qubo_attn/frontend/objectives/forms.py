"""From kernel output to a quadratic form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qubo_attn.common.arrays import own_array
from qubo_attn.ir.quadratic import Quadratic

if TYPE_CHECKING:
    from qubo_attn.common.arrays import Floats, Ints


def quadratic(offset: float, linear: Floats, i: Ints, j: Ints, bias: Floats) -> Quadratic:
    """Return the form without structural zeros; the arrays are the caller's to give away."""
    if not bias.all():
        keep = bias != 0
        i, j, bias = i[keep], j[keep], bias[keep]
    return Quadratic(float(offset), *(own_array(a) for a in (linear, i, j, bias)))
