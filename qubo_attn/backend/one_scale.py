"""Components of a model at one scale, for samplers that heat and cool all of it together.

A sampler's temperatures suit couplings of one size. Rows a million million times apart, such as
those of heads with small and with large values, leave each of them a few sweeps of hundreds. They
share no coupler, so each may be multiplied by a number of its own: its best states stay.
"""

from __future__ import annotations

import numpy as np

from qubo_attn import kernels
from qubo_attn.backend.model import Vectors

# In powers of two: within them the customary range of temperatures serves.
FAR = 40


def at_one_scale(vectors: Vectors) -> Vectors:
    """Return a model whose components all have a largest coefficient from 1/2 to 1.

    Multiplied by powers of two, coefficients keep their digits. A model whose components are no
    more than ``2**FAR`` apart is returned as it is.

    Args:
        vectors: the model.

    Example:
        >>> import numpy as np
        >>> nothing = np.zeros(0, int), np.zeros(0, int), np.zeros(0)
        >>> at_one_scale(Vectors(np.array([3e-200, 5.0]), nothing, 0.0, np.arange(2), "BINARY"))[0]
        array([0.57408789, 0.625     ])
    """
    linear, (i, j, bias) = vectors.linear, vectors.quadratic
    component = kernels.connected_components(len(linear), i.astype(np.int32), j.astype(np.int32))
    largest = np.zeros(int(component.max(initial=-1)) + 1)
    np.maximum.at(largest, component, np.abs(linear))
    np.maximum.at(largest, component[i], np.abs(bias))
    power = np.frexp(largest)[1]
    there = power[largest > 0]
    if not len(there) or there.max() - there.min() <= FAR:
        return vectors
    linear, bias = np.ldexp(linear, -power[component]), np.ldexp(bias, -power[component[i]])
    return vectors._replace(linear=linear, quadratic=(i, j, bias))
