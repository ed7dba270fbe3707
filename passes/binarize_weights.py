"""Binarize weights: integers 0..L become bits by an encoding.

Every encoding is affine, ``x = sum_b c_b y_b``:

* ``binary``: L' = 2^(B-1) - 1 by powers of two and one coefficient L - L', so that the bits reach
  0..L exactly; about log2 L bits, some levels by two patterns.
* ``domain-wall`` (Chancellor, arXiv 1903.05068): L bits of coefficient one in falling order
  ``y_1 >= y_2 >= .. >= y_L``, imposed as walls ``y_{b+1} - y_b <= 0``; one pattern per level and
  couplers between neighbours only.

Substituting an affine map changes no energy, and the bits reach every level, so nothing is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import sparse

from qubo_attn.arrays import Floats, Longs, pointers, segment_ids
from qubo_attn.errors import InputError
from qubo_attn.ir import Constraints, Kind, Program, Sense, Variables
from qubo_attn.lift import Lift
from qubo_attn.pipeline import BINARY, UNPRICED, Fact
from qubo_attn.rewrite import Rewrite, substitute, unchanged

ENCODINGS = ("binary", "domain-wall")


@dataclass(frozen=True)
class BinarizeWeights:
    """Encode every variable whose largest value exceeds one.

    Attributes:
        encoding: ``"binary"`` (the default: fewest bits, so the smallest cliques) or
            ``"domain-wall"`` (one pattern per level, every coefficient of one size).
    """

    encoding: str = "binary"

    name: ClassVar[str] = "binarize-weights"
    needs: ClassVar[frozenset[Fact]] = frozenset({UNPRICED})
    ensures: ClassVar[frozenset[Fact]] = frozenset({BINARY})
    breaks: ClassVar[frozenset[Fact]] = frozenset()

    def __post_init__(self) -> None:
        if self.encoding not in ENCODINGS:
            raise InputError(
                f"unknown encoding {self.encoding!r}; one of {', '.join(ENCODINGS)}",
                encoding=self.encoding,
            )

    def apply(self, program: Program) -> Rewrite:
        """Return the program over bits."""
        upper = program.variables.upper
        if program.is_binary:
            return unchanged(program, "already binary")
        coefficients = [self._coefficients(int(level)) for level in upper]
        counts = np.array([len(c) for c in coefficients])
        source = np.repeat(np.arange(len(program)), counts)
        place = np.arange(len(source)) - np.repeat(pointers(counts)[:-1], counts)
        variables = _bits(program.variables, source, np.where(counts[source] > 1, place, -1))
        matrix = sparse.csr_array(
            (np.concatenate(coefficients), np.arange(len(source)), pointers(counts)),
            shape=(len(program), len(source)),
        )
        lift = Lift(matrix, np.zeros(len(program)))
        encoded = substitute(program, lift, variables)
        if self.encoding == "domain-wall":
            walls = _walls(variables, pointers(counts))
            merged = Constraints.concatenate([encoded.constraints, walls])
            encoded = encoded.replace(constraints=merged)
        note = f"{(upper > 1).sum()} weights in {(counts[upper > 1]).sum()} bits, {self.encoding}"
        return Rewrite(encoded, lift, notes=(note,))

    def _coefficients(self, level: int) -> Floats:
        if self.encoding == "domain-wall" or level == 1:
            return np.ones(level)
        powers = 2.0 ** np.arange(level.bit_length() - 1)
        return np.append(powers, level - powers.sum())


def _bits(variables: Variables, source: Longs, place: Longs) -> Variables:
    """Return the table of bits; a bit keeps the head, query, key and role of its weight."""
    columns = variables.take(source).arrays()
    columns["bit"] = np.where(place >= 0, place, columns["bit"])
    columns["upper"] = np.ones(len(source))
    columns["mass"] = np.where(place >= 0, np.nan, columns["mass"])
    return Variables(**columns)


def _walls(variables: Variables, ptr: Longs) -> Constraints:
    """Return ``y_{b+1} - y_b <= 0`` for neighbouring bits of one weight."""
    later = np.flatnonzero(np.diff(segment_ids(ptr), prepend=-1) == 0)
    rows = len(later)
    full = np.ones(rows)
    return Constraints(
        ptr=2 * np.arange(rows + 1),
        var=np.stack([later - 1, later], axis=1).ravel(),
        coef=np.stack([-full, full], axis=1).ravel(),
        sense=np.full(rows, Sense.LE),
        rhs=np.zeros(rows),
        kind=np.full(rows, Kind.WALL),
        head=variables.head[later],
        query=variables.query[later],
        key=variables.key[later],
        bit=variables.bit[later],
        weight=np.full(rows, np.nan),
        slope=np.zeros(rows),
    )
