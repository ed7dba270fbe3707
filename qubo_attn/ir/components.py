"""Independent components: variables joined by couplers or by a constraint."""

from __future__ import annotations

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Longs, own_array, pointers
from qubo_attn.ir.columns import Constraints
from qubo_attn.ir.quadratic import Quadratic, Terms


def components_of(objective: Quadratic, constraints: Constraints) -> Longs:
    """Return the independent component of each variable, numbered from 0.

    Couplers that are worked out late are not worked out for this; see `Couplers.links`.
    """
    c, n = constraints, len(objective.linear)
    if isinstance(objective.couplers, Terms):
        ends = objective.i, objective.j
    else:
        ends = objective.couplers.links
    u, v = np.concatenate([ends[0], c.var[c.ptr[c.row]]]), np.concatenate([ends[1], c.var])
    return own_array(kernels.connected_components(n, u, v))


def places_within(component: Longs) -> Longs:
    """Return the place of each variable among those of its component."""
    order = np.argsort(component, kind="stable")
    place = np.empty(len(component), np.int64)
    place[order] = np.arange(len(component)) - pointers(np.bincount(component))[component[order]]
    return place
