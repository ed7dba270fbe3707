"""Binarize weights: whole numbers 0..L become bits by an encoding.

Every encoding of `qubo_attn.formulations.encodings` is affine, and substituting an affine map
changes no energy; its bits reach every level and no other, so nothing is lost.

A domain wall adds ``y_{b+1} - y_b <= 0`` between neighbouring bits. Sorting a weight's bits changes
neither its level nor, as the bits are alike, any energy: in a program whose constraints are priced
already, walls of any positive weight are therefore sound. One-hot patterns with several bits leave
the range of the weight, so one-hot must come before the pricing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qubo_attn.common.arrays import Floats, Longs, pointers, segment_ids
from qubo_attn.common.frozen import replaced
from qubo_attn.errors import PassError
from qubo_attn.formulations.cardinality import Cardinality, embedded_qubits
from qubo_attn.formulations.encodings import cheapest, coefficients
from qubo_attn.ir.columns import Constraints, Kind, Sense, Variables
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program
from qubo_attn.pipeline.pipeline import BINARY, Fact
from qubo_attn.pipeline.rewrite import Rewrite, substitute, unchanged


@dataclass(frozen=True)
class BinarizeWeights:
    """Encode every variable whose largest value exceeds one.

    Attributes:
        encoding: ``"auto"`` (fewest embedded qubits and, where they hardly differ, the smallest
            dynamic range, see `qubo_attn.formulations.encodings.cheapest`), ``"binary"``,
            ``"bounded"``, ``"arithmetic"``, ``"unary"``, ``"domain-wall"`` or ``"one-hot"``.
        topology: of the machine that ``"auto"`` counts qubits on: ``"zephyr"``, ``"pegasus"``, or
            ``"all-to-all"``, where every bit is one.

    Example:
        >>> from qubo_attn import BinarizeWeights, Program
        >>> program = Program.parse("w[0,0,0] in 0..3 : -2")
        >>> rewrite = BinarizeWeights("binary").apply(program)
        >>> print(rewrite.program)
        program variables=2 terms=0 constraints=0
        offset 0
        w[0,0,0,0] : -2
        w[0,0,0,1] : -4
        <BLANKLINE>
        >>> rewrite.lift.lift([[1, 1]])
        array([[3.]])
    """

    encoding: str = "auto"
    topology: str = "zephyr"

    name: ClassVar[str] = "binarize-weights"
    needs: ClassVar[frozenset[Fact]] = frozenset()
    ensures: ClassVar[frozenset[Fact]] = frozenset({BINARY})
    breaks: ClassVar[frozenset[Fact]] = frozenset()

    def __post_init__(self) -> None:
        if self.encoding != "auto":
            coefficients(self.encoding, 2)

    def apply(self, program: Program) -> Rewrite:
        """Return the program over bits.

        Raises:
            PassError: one-hot weights in a program whose constraints are priced.
        """
        upper = program.variables.upper
        if program.is_binary:
            return unchanged(program, "already binary")
        from scipy import sparse

        priced = len(program.constraints) > 0 and program.is_unconstrained
        if self.encoding == "one-hot" and priced:
            raise PassError("one-hot weights must be encoded before insert-penalties")
        levels = np.unique(upper[upper > 1]).tolist()
        encoding, reasons = self._chosen(program)
        table = {1: np.ones(1)} | {level: coefficients(encoding, level) for level in levels}
        parts = [table[level] for level in upper.tolist()]
        counts = np.array([len(part) for part in parts])
        source = np.repeat(np.arange(len(program)), counts)
        place = np.arange(len(source)) - np.repeat(pointers(counts)[:-1], counts)
        wide = upper[source] > 1
        variables = _bits(program.variables, source, np.where(wide, place, -1))
        matrix = sparse.csr_array(
            (np.concatenate(parts), np.arange(len(source)), pointers(counts)),
            shape=(len(program), len(source)),
        )
        matrix.eliminate_zeros()
        lift = Lift.of_matrix(matrix, np.zeros(len(program)))
        encoded = substitute(program, lift, variables)
        if self.encoding in ("domain-wall", "one-hot"):
            ptr = pointers(counts[upper > 1])
            bits = np.flatnonzero(wide)
            added = (
                _walls(variables, bits, ptr)
                if self.encoding == "domain-wall"
                else (_choices(variables, bits, ptr))
            )
            if priced:
                added = _priced(added, encoded)
            merged = Constraints.concatenate([encoded.constraints, added])
            encoded = encoded.replace(constraints=merged)
        note = f"{len(levels)} kinds of weights in {wide.sum()} bits, {self.encoding}"
        return Rewrite(encoded, lift, notes=(note, *reasons))

    def _chosen(self, program: Program) -> tuple[str, tuple[str, ...]]:
        """Return the encoding, and why where it is chosen here."""
        if self.encoding != "auto":
            return self.encoding, ()

        def qubits(bits: int) -> float:
            if self.topology == "all-to-all":
                return bits
            return embedded_qubits(Cardinality.DENSE, bits, 1, self.topology)

        return cheapest(program.variables.upper, program.components, qubits)


def _bits(variables: Variables, source: Longs, place: Longs) -> Variables:
    """Return the table of bits; a bit keeps the head, query, key and role of its weight."""
    columns = variables.take(source).arrays()
    columns["bit"] = np.where(place >= 0, place, columns["bit"])
    columns["upper"] = np.ones(len(source))
    columns["mass"] = np.where(place >= 0, np.nan, columns["mass"])
    return Variables(**columns)


def _walls(variables: Variables, bits: Longs, ptr: Longs) -> Constraints:
    """Return ``y_{b+1} - y_b <= 0`` for neighbouring bits of one weight."""
    later = bits[np.flatnonzero(np.diff(segment_ids(ptr), prepend=-1) == 0)]
    rows = len(later)
    one = np.ones(rows)
    return _constraints(
        variables,
        later,
        2 * np.arange(rows + 1),
        np.stack([later - 1, later], axis=1).ravel(),
        np.stack([-one, one], axis=1).ravel(),
        Sense.LE,
        0.0,
        Kind.WALL,
    )


def _choices(variables: Variables, bits: Longs, ptr: Longs) -> Constraints:
    """Return ``sum_b y_b = 1`` for the bits of one weight."""
    first = bits[ptr[:-1]]
    return _constraints(variables, first, ptr, bits, np.ones(len(bits)), Sense.EQ, 1.0, Kind.LEVEL)


def _constraints(
    variables: Variables,
    named: Longs,
    ptr: Longs,
    var: Longs,
    coef: Floats,
    sense: Sense,
    rhs: float,
    kind: Kind,
) -> Constraints:
    """Return constraints that carry the label of one of their bits each."""
    rows = len(named)
    return Constraints(
        ptr=ptr,
        var=var,
        coef=coef,
        sense=np.full(rows, sense),
        rhs=np.full(rows, rhs),
        kind=np.full(rows, kind),
        head=variables.head[named],
        query=variables.query[named],
        key=variables.key[named],
        bit=variables.bit[named],
        weight=np.full(rows, np.nan),
        slope=np.zeros(rows),
    )


def _priced(walls: Constraints, program: Program) -> Constraints:
    """Price walls like the largest coefficient of their bits: no wider a range than without."""
    o = program.objective
    size = np.abs(o.linear)
    np.maximum.at(size, o.i, np.abs(o.bias))
    np.maximum.at(size, o.j, np.abs(o.bias))
    weight = size[walls.var.reshape(-1, 2)].max(axis=1)
    weight = np.where(weight > 0, weight, 1.0)
    return replaced(walls, weight=weight)
