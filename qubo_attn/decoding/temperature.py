"""Effective temperature of a sampler, from its samples.

Maximum pseudo-likelihood: given all other bits, a bit of a Boltzmann sample at inverse temperature
beta has its value with probability ``1 / (1 + exp(-beta D))``, D the energy its flip would cost.
The sum of their logarithms over all bits and samples is concave in beta (Besag 1975), so Newton's
method finds its maximum.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from qubo_attn.common.arrays import Floats
from qubo_attn.common.checks import instance
from qubo_attn.errors import InputError
from qubo_attn.ir.points import read_points
from qubo_attn.ir.program import Program

_STEPS = 100


def effective_temperature(program: Program, samples: ArrayLike) -> float:
    """Return the temperature at which ``program`` explains ``samples`` best.

    Args:
        program: binary; its priced constraints count.
        samples: zeros and ones, shape (m, n).

    Returns:
        The temperature, in energy units; 0 where no sample ever leaves a local optimum, infinity
        where the samples look random.

    Raises:
        InputError: there are no samples, they are not zeros and ones, or do not fit the program.

    Example:
        >>> import numpy as np
        >>> from qubo_attn import Program
        >>> program = Program.parse("x[0,0,0] : 1")
        >>> ones = 1 / (1 + np.exp(2.0))      # one bit at temperature 1/2
        >>> samples = (np.arange(100_000) < ones * 100_000)[:, None]
        >>> round(effective_temperature(program, samples), 3)
        0.5
    """
    bits = read_points(samples, len(instance("program", program, Program)))
    if not bits.size:
        raise InputError(
            f"samples have shape {bits.shape}; expected (m, {len(program)}), m at least 1",
            argument="samples",
        )
    if not ((bits == 0) | (bits == 1)).all():
        raise InputError("samples must be zeros and ones", argument="samples")
    costs = _flip_costs(program, bits).ravel()
    scale = float(np.abs(costs).max())
    if scale == 0:
        return float("inf")
    costs = costs / scale
    if (costs >= 0).all():
        return 0.0
    beta = 0.0
    for _ in range(_STEPS):
        wrong = 1.0 / (1.0 + np.exp(np.clip(beta * costs, -700, 700)))
        slope = float((costs * wrong).sum())
        curvature = float((costs * costs * wrong * (1.0 - wrong)).sum())
        step = slope / max(curvature, 1e-300)
        # Far from the maximum the curvature vanishes; a step is at most a doubling.
        step = float(np.clip(step, -1.0 - abs(beta), 1.0 + abs(beta)))
        beta += step
        if abs(step) <= 1e-12 * (1.0 + abs(beta)):
            break
    return scale / beta if beta > 0 else float("inf")


def _flip_costs(program: Program, bits: Floats) -> Floats:
    """Return what flipping each bit of each sample would add to the energy, shape (m, n)."""
    form = program.total()
    ptr, neighbour, value = form.adjacency()
    couplers = sparse.csr_array((value, neighbour, ptr), shape=(len(program), len(program)))
    fields = form.linear + np.asarray((couplers @ bits.T).T)
    return np.asarray((1.0 - 2.0 * bits) * fields)
