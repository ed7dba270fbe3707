"""What a warm machine returns of a row, as walls and as a dense square: laws for the choice.

Keys of a grid move step by step, and the costs of those they pass are hills. While a machine cools,
keys stop in the valleys where they are, and walls that are broken stay so: such a read is
infeasible far above any equilibrium, whatever the temperature. What counts is how strong walls
are beside the highest hill: with R the weight over the least that is proven, and L = n - k,

    P(feasible) = exp(-(L / 17) exp(-10 sqrt(max(R - 1.25, 0) / L)))
    P(optimum) = P(feasible) exp(-(k L / 31)^0.7).

On the simulated machine this holds to 0.03 (root mean square; 0.11 at worst) over the means of 43
cases: 8 to 96 keys, k = 1 to 8, R = 1.06 to 16, temperatures of 0.05 to 0.4. Dense rows whose
margins are in temperatures, of T in units of a field, follow

    P(feasible) = exp(-0.013 n min(k, n - k) T)

to 0.08 up to T = 0.2. Both were fitted to rows without pair terms, see docs/cardinality.md.
"""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Array, Floats

# Highest hill of a grid: in units of a field, or in temperatures where that is more.
_HILL, _WARM_HILL = 1.0, 5.0
# Places that walls order by themselves; strength of walls that does nothing, and how it helps.
_PLACES, _FREE, _HELP = 17.0, 1.25, 10.0
_VALLEY, _POWER = 31.0, 0.7
_DENSE = 0.013


def wall_ratio(temperature: float, chain: float = 2.0) -> float:
    """Return how many times the least proven weight walls shall have.

    Walls are couplings of a quarter of their weight, at the end of the range of chains: a weight of
    four times that range. So this is what makes the highest hill as high as it shall be.

    Args:
        temperature: of the machine, in units of a field.
        chain: largest coupling below zero, as a number above zero.

    Example:
        >>> wall_ratio(0.115), wall_ratio(0.4)
        (8.0, 4.0)
    """
    return max(4.0 * chain / max(_HILL, _WARM_HILL * temperature), 1.0)


def feasible_walls(ratio: Floats, places: Floats) -> Floats:
    """Return the chance that a read of a grid breaks no wall.

    Args:
        ratio: weight over the least proven one.
        places: n - k.

    Example:
        >>> feasible_walls(np.array([1.06, 8.0]), np.array([15.0, 15.0])).round(2)
        array([0.41, 1.  ])
    """
    strong = np.sqrt(np.maximum(ratio - _FREE, 0.0) / places)
    chance: Array = np.exp(-places / _PLACES * np.exp(-_HELP * strong))
    return chance


def right_valley(bits: Floats) -> Floats:
    """Return the chance that a feasible read of a grid of some bits is its optimum."""
    chance: Array = np.exp(-((bits / _VALLEY) ** _POWER))
    return chance


def feasible_square(n: int, k: int, temperature: float) -> float:
    """Return the chance that a read of a dense row keeps k of n keys.

    Example:
        >>> round(feasible_square(16, 1, 0.115), 2)
        0.98
    """
    return float(np.exp(-_DENSE * n * min(k, n - k) * temperature))
