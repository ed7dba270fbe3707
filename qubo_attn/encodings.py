"""Encodings of whole numbers 0..L by bits, all affine: ``x = sum_b c_b y_b``.

| name | coefficients | bits | constraint |
|---|---|---|---|
| ``binary`` | 1, 2, 4, .., rest | about log2 L | none |
| ``bounded`` | 1, 2, .., b, b, .., rest (Karimi and Ronagh, QIP 18:94) | about L / b | none |
| ``arithmetic`` | 1, 2, 3, .., rest | about sqrt(2 L) | none |
| ``unary`` | 1, 1, .., 1 | L | none |
| ``domain-wall`` | 1, 1, .., 1 in falling order (Chancellor, arXiv 1903.05068) | L | walls |
| ``one-hot`` | 0, 1, 2, .., L | L + 1 | exactly one |

The last coefficient is the rest, so that the bits reach 0..L and nothing else.
"""

from __future__ import annotations

import numpy as np

from qubo_attn.arrays import Floats
from qubo_attn.errors import InputError

ENCODINGS = ("arithmetic", "binary", "bounded", "domain-wall", "one-hot", "unary")

# An annealer carries coefficients of about 50 : 1; a bit's square enters the energy.
PRECISION = 50.0
_BOUND = 4


def coefficients(encoding: str, level: int) -> Floats:
    """Return the coefficients of the bits of a number 0..``level``.

    Args:
        encoding: one of `ENCODINGS`.
        level: largest value, at least 1.

    Raises:
        InputError: the encoding is not known.

    Example:
        >>> coefficients("binary", 5), coefficients("arithmetic", 7)
        (array([1., 2., 2.]), array([1., 2., 3., 1.]))
    """
    if encoding not in ENCODINGS:
        raise InputError(
            f"unknown encoding {encoding!r}; one of auto, {', '.join(ENCODINGS)}",
            encoding=encoding,
        )
    if level == 1:
        return np.ones(1)
    if encoding == "one-hot":
        return np.arange(level + 1, dtype=np.float64)
    if encoding in ("unary", "domain-wall"):
        return np.ones(level)
    steps = {
        "binary": 2.0 ** np.arange(level.bit_length()),
        "bounded": np.minimum(2.0 ** np.arange(level), _BOUND),
        "arithmetic": np.arange(1.0, level + 1),
    }[encoding]
    whole = steps[np.cumsum(steps) <= level]
    rest = level - whole.sum()
    return np.append(whole, rest) if rest else whole


def spread(encoding: str, level: int) -> float:
    """Return the ratio of the largest to the smallest energy scale of the bits."""
    used = coefficients(encoding, level)
    used = used[used > 0]
    return float((used.max() / used.min()) ** 2)


def cheapest(level: int) -> tuple[str, str]:
    """Return the encoding of 0..``level`` that `auto` chooses, and why.

    All bits of a row meet in one clique, so qubits grow with the number of bits: the fewest bits
    win among the encodings whose coefficients stay within an annealer's precision.

    Args:
        level: largest value, at least 1.

    Example:
        >>> cheapest(3)[0], cheapest(15)[0]
        ('binary', 'bounded')
    """
    candidates = ("binary", "bounded", "arithmetic", "unary")
    fine = [name for name in candidates if spread(name, level) <= PRECISION]
    best = min(fine, key=lambda name: (len(coefficients(name, level)), spread(name, level)))
    bits = len(coefficients(best, level))
    return best, f"{best}: {bits} bits for 0..{level}, range {spread(best, level):g} : 1"
