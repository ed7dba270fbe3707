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

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Array, Floats, Longs
from qubo_attn.common.checks import one_of
from qubo_attn.common.vocabulary import ENCODINGS
from qubo_attn.errors import InputError

# An annealer carries coefficients of about 50 : 1; a bit's square enters the energy.
PRECISION = 50.0
# What `auto` chooses from: the others take more bits than unary, and constraints besides.
CANDIDATES = ("binary", "bounded", "arithmetic", "unary")
TOLERANCE = 1.1
_BOUND = 4
# Levels of a weight; and bits, whose number is squared in the couplers of a row.
MOST_LEVELS = 2**16 - 1
MOST_BITS = 1024


def bit_count(encoding: str, level: int) -> int:
    """Return about how many bits a number 0..``level`` takes, never too few."""
    return {
        "binary": level.bit_length(),
        "bounded": level // _BOUND + 3,
        "arithmetic": math.isqrt(2 * level) + 1,
        "unary": level,
        "domain-wall": level,
        "one-hot": level + 1,
    }[encoding]


def coefficients(encoding: str, level: int) -> Floats:
    """Return the coefficients of the bits of a number 0..``level``.

    Args:
        encoding: one of `ENCODINGS`.
        level: largest value, at least 1.

    Raises:
        InputError: the encoding is not known, or takes too many bits.

    Example:
        >>> coefficients("binary", 5), coefficients("arithmetic", 7)
        (array([1., 2., 2.]), array([1., 2., 3., 1.]))
    """
    one_of("encoding", encoding, ENCODINGS)
    if bit_count(encoding, level) > MOST_BITS:
        raise InputError(
            f"encoding {encoding!r} takes more than {MOST_BITS} bits for {level} levels; take "
            "fewer levels or 'binary'",
            argument="encoding",
            levels=level,
        )
    if level == 1:
        return np.ones(1)
    if encoding == "one-hot":
        return np.arange(level + 1, dtype=np.float64)
    if encoding in ("unary", "domain-wall"):
        return np.ones(level)
    count = np.arange(bit_count(encoding, level))
    steps = {
        "binary": 2.0**count,
        "bounded": np.minimum(2.0**count, _BOUND),
        "arithmetic": count + 1.0,
    }[encoding]
    whole = steps[np.cumsum(steps) <= level]
    rest = level - whole.sum()
    return np.append(whole, rest) if rest else whole


def spread(encoding: str, level: int) -> float:
    """Return the ratio of the largest to the smallest energy scale of the bits."""
    used = coefficients(encoding, level)
    used = used[used > 0]
    return float((used.max() / used.min()) ** 2)


class _Cost(NamedTuple):
    """What an encoding costs a block: embedded qubits, dynamic range, and bits of whole numbers."""

    qubits: float
    range: float
    bits: int


def cheapest(
    upper: Array, block: Longs, qubits: Callable[[int], float]
) -> tuple[Array, tuple[str, ...]]:
    """Return the encoding that ``auto`` chooses for the whole numbers of each block, and why.

    Among the encodings that take at most a tenth more embedded qubits than the cheapest, the one of
    the smallest dynamic range wins. The bits of a row meet in one clique. Each block is looked at
    by itself, whatever blocks are beside it.

    Args:
        upper: int32, the largest value of each variable.
        block: int64, the independent block of each variable.
        qubits: how many qubits a clique of so many bits takes on the machine.

    Returns:
        A name for each variable; for bits it does not matter.

    Example:
        >>> names, reasons = cheapest(np.full(4, 3), np.zeros(4, np.int64), float)
        >>> set(names.tolist())
        {'binary'}
        >>> reasons
        ('binary: 8 bits, 8 qubits, range 4 : 1', 'unary would take 12 qubits, range 1 : 1')
    """
    levels, place = np.unique(upper, return_inverse=True)
    table = np.zeros((int(block.max(initial=-1)) + 1, len(levels)), np.int64)
    np.add.at(table, (block, place), 1)
    # Blocks of as many variables of each kind choose the same.
    kinds, kind, many = np.unique(table, axis=0, return_inverse=True, return_counts=True)
    costs = [_costs(levels, count, qubits) for count in kinds]
    reasons: list[str] = []
    names = np.array([_best(options) for options in costs])
    wide = kinds[:, levels > 1].sum(axis=1) > 0
    for name in dict.fromkeys(names[wide].tolist()):
        chosen = np.flatnonzero(wide & (names == name))
        total = {
            other: _Cost(
                sum(costs[n][other].qubits * int(many[n]) for n in chosen),
                max(costs[n][other].range for n in chosen),
                sum(costs[n][other].bits * int(many[n]) for n in chosen),
            )
            for other in CANDIDATES
            if all(other in costs[n] for n in chosen)
        }
        reasons += _reasons(name, total)
    return names[kind.ravel()][block], tuple(reasons)


def _costs(levels: Array, count: Longs, qubits: Callable[[int], float]) -> dict[str, _Cost]:
    """Return what each encoding that fits costs a block of so many variables of each level."""
    levels, count, costs = levels[count > 0].tolist(), count[count > 0], {}
    for name in CANDIDATES:
        if bit_count(name, max(levels)) <= MOST_BITS:
            bits = count * np.array([len(coefficients(name, level)) for level in levels])
            ratio = max(spread(name, level) for level in levels)
            whole = int(bits[np.array(levels) > 1].sum())
            costs[name] = _Cost(qubits(int(bits.sum())), ratio, whole)
    return costs


def _best(costs: dict[str, _Cost]) -> str:
    most = TOLERANCE * min(cost.qubits for cost in costs.values())
    near = [name for name in costs if costs[name].qubits <= most]
    return min(near, key=lambda name: (costs[name].range, costs[name].qubits))


def _reasons(best: str, costs: dict[str, _Cost]) -> list[str]:
    """Return what the chosen encoding takes, and what the others would."""
    taken = costs[best]
    text = f"{best}: {taken.bits} bits, {taken.qubits:.0f} qubits, range {taken.range:g} : 1"
    if taken.range > PRECISION:
        text += f", more than the {PRECISION:g} : 1 that an annealer carries"
    others = [name for name in costs if costs[name][:2] != taken[:2]]
    return [
        text,
        *(
            f"{name} would take {costs[name].qubits:.0f} qubits, range {costs[name].range:g} : 1"
            for name in others
        ),
    ]
