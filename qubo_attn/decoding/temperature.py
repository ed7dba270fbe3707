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

from qubo_attn.common.arrays import Floats, Longs
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
        where the samples look random. A machine scales its rows one by one: see
        `row_temperatures` for these.

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
    bits = _checked(program, samples)
    return float(_temperatures(_flip_costs(program, bits), np.zeros(bits.shape[1], np.int64))[0])


def row_temperatures(program: Program, samples: ArrayLike) -> Floats:
    r"""Return the temperature of each independent row; see `effective_temperature`.

    Args:
        program, samples: see `effective_temperature`.

    Returns:
        float64, shape (components,): ``program.components`` numbers them.

    Raises:
        InputError: see `effective_temperature`.

    Example:
        >>> import numpy as np
        >>> from qubo_attn import Program
        >>> from qubo_attn.decoding.temperature import row_temperatures
        >>> program = Program.parse("x[0,0,0] : 1\nx[0,1,0] : 3")
        >>> ones = 1 / (1 + np.exp(2.0))
        >>> column = np.arange(100_000) < ones * 100_000
        >>> row_temperatures(program, np.stack([column, column], axis=1)).round(3)
        array([0.5, 1.5])
    """
    bits = _checked(program, samples)
    return _temperatures(_flip_costs(program, bits), program.components)


def _checked(program: Program, samples: ArrayLike) -> Floats:
    """Return samples as an array of zeros and ones."""
    bits = read_points(samples, len(instance("program", program, Program)))
    if not bits.size:
        raise InputError(
            f"samples have shape {bits.shape}; expected (m, {len(program)}), m at least 1",
            argument="samples",
        )
    if not ((bits == 0) | (bits == 1)).all():
        raise InputError("samples must be zeros and ones", argument="samples")
    return bits


def _temperatures(costs: Floats, owner: Longs) -> Floats:
    """Return the temperature of each owner of columns of flip costs, by Newton's method."""
    count = int(owner.max(initial=-1)) + 1
    scale, stuck = np.zeros(count), np.ones(count, bool)
    np.maximum.at(scale, owner, np.abs(costs).max(axis=0))
    np.logical_and.at(stuck, owner, (costs >= 0).all(axis=0))
    unit = np.where(scale > 0, scale, 1.0)
    costs = costs / unit[owner]
    beta = np.zeros(count)
    for _ in range(_STEPS):
        wrong = 1.0 / (1.0 + np.exp(np.clip(beta[owner] * costs, -700, 700)))
        slope = np.bincount(owner, (costs * wrong).sum(axis=0), count)
        curvature = np.bincount(owner, (costs * costs * wrong * (1.0 - wrong)).sum(axis=0), count)
        # Far from the maximum the curvature vanishes; a step is at most a doubling.
        most = 1.0 + np.abs(beta)
        step = np.clip(slope / np.maximum(curvature, 1e-300), -most, most)
        beta += np.where(stuck | (scale == 0), 0.0, step)
        if (np.abs(step) <= 1e-12 * most)[~stuck & (scale > 0)].all():
            break
    with np.errstate(divide="ignore"):
        warmth = np.where(beta > 0, unit / np.maximum(beta, 1e-300), np.inf)
    return np.where(scale == 0, np.inf, np.where(stuck, 0.0, warmth))


def _flip_costs(program: Program, bits: Floats) -> Floats:
    """Return what flipping each bit of each sample would add to the energy, shape (m, n)."""
    form = program.total()
    ptr, neighbour, value = form.adjacency()
    couplers = sparse.csr_array((value, neighbour, ptr), shape=(len(program), len(program)))
    fields = form.linear + np.asarray((couplers @ bits.T).T)
    return np.asarray((1.0 - 2.0 * bits) * fields)
