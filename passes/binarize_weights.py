"""Binarize weights: whole numbers 0..L become bits by an encoding.

Every encoding of `qubo_attn.formulations.encodings` is affine, and substituting an affine map
changes no energy; its bits reach every level and no other, so nothing is lost.

A domain wall adds ``y_{b+1} - y_b <= 0`` between neighbouring bits. Sorting a weight's bits changes
neither its level nor, as the bits are alike, any energy: in a program whose constraints are priced
already, walls of any positive weight are therefore sound. Where nothing is constrained nobody would
price them, and they are left out. One-hot patterns with several bits leave the range of the weight,
so one-hot must come before the pricing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qubo_attn.common.arrays import Array, Bools, Longs, pointers
from qubo_attn.common.checks import one_of
from qubo_attn.common.frozen import replaced
from qubo_attn.common.keywords import named_fields
from qubo_attn.common.vocabulary import ENCODINGS, TOPOLOGIES
from qubo_attn.errors import PassError
from qubo_attn.formulations.cardinality import Cardinality, embedded_qubits
from qubo_attn.formulations.encodings import cheapest, coefficients
from qubo_attn.ir.columns import Constraints, Kind, Sense, Variables
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program
from qubo_attn.ir.quadratic import Quadratic
from qubo_attn.ir.substitute import substitute
from qubo_attn.pipeline.pipeline import BINARY, Fact
from qubo_attn.pipeline.rewrite import Rewrite, unchanged


@named_fields
@dataclass(frozen=True)
class BinarizeWeights:
    """Encode every variable whose largest value exceeds one.

    Attributes:
        encoding: ``"auto"`` (for each independent row the fewest embedded qubits and, where they
            hardly differ, the smallest dynamic range, see
            `qubo_attn.formulations.encodings.cheapest`), ``"binary"``, ``"bounded"``,
            ``"arithmetic"``, ``"unary"``, ``"domain-wall"`` or ``"one-hot"``.
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
        one_of("encoding", self.encoding, ("auto", *ENCODINGS))
        one_of("topology", self.topology, TOPOLOGIES)

    def apply(self, program: Program) -> Rewrite:
        """Return the program over bits.

        Raises:
            PassError: one-hot weights in a program whose constraints are priced.
        """
        if program.is_binary:
            return unchanged(program, "already binary")
        from scipy import sparse

        encoding, reasons = self._chosen(program)
        priced = len(program.constraints) > 0 and program.is_unconstrained
        if (encoding == "one-hot").any() and priced:
            raise PassError(
                "one-hot weights must be encoded before insert-penalties: their bits need a price "
                "themselves; put binarize-weights{encoding=one-hot} before it"
            )
        upper = program.variables.upper
        kinds, kind = _kinds(encoding, upper)
        table = [np.asarray(coefficients(*each), np.float64) for each in kinds]
        sizes = np.array([len(part) for part in table])
        counts = sizes[kind]
        ptr = pointers(counts)
        source = np.repeat(np.arange(len(program)), counts)
        bit = np.arange(len(source)) - ptr[source]
        wide = upper[source] > 1
        place = np.where(wide, bit, -1)
        variables = _bits(program.variables, source, place)
        data = np.concatenate(table)[pointers(sizes)[kind[source]] + bit]
        matrix = sparse.csr_array(
            (data, np.arange(len(source)), ptr), shape=(len(program), len(source))
        )
        matrix.eliminate_zeros()
        lift = Lift.of_matrix(matrix, np.zeros(len(program)))
        encoded = substitute(program, lift, variables)
        if (encoding == "one-hot").any():
            encoded = encoded.replace(
                objective=_without_pairs(encoded.objective, source, encoding == "one-hot"),
                constraints=_wide_gates(encoded.constraints),
            )
        for name, rule in (("domain-wall", _walls), ("one-hot", _choices)):
            ruled = (upper > 1) & (encoding == name)
            needless = name == "domain-wall" and not len(program.constraints)
            if ruled.any() and not needless:
                added = rule(variables, np.flatnonzero(ruled[source]), pointers(counts[ruled]))
                if priced:
                    added = _priced(added, encoded)
                merged = Constraints.concatenate([encoded.constraints, added])
                encoded = encoded.replace(constraints=merged)
        names = " and ".join(dict.fromkeys(encoding[upper > 1].tolist()))
        levels = len(np.unique(upper[upper > 1]))
        note = f"{levels} kinds of weights in {wide.sum()} bits, {names}"
        return Rewrite(encoded, lift, notes=(note, *reasons))

    def _chosen(self, program: Program) -> tuple[Array, tuple[str, ...]]:
        """Return the encoding of each variable, and why where it is chosen here."""
        if self.encoding != "auto":
            return np.full(len(program), self.encoding), ()

        def qubits(bits: int) -> float:
            if self.topology == "all-to-all":
                return bits
            return embedded_qubits(Cardinality.DENSE, bits, 1, self.topology)

        return cheapest(program.variables.upper, program.components, qubits)


def _kinds(encoding: Array, upper: Array) -> tuple[list[tuple[str, int]], Longs]:
    """Return the pairs of an encoding and a largest value, and which one each variable has."""
    kinds: list[tuple[str, int]] = []
    kind, rest = np.zeros(len(upper), np.int64), np.ones(len(upper), bool)
    while rest.any():
        first = int(rest.argmax())
        same = (encoding == encoding[first]) & (upper == upper[first])
        kind[same] = len(kinds)
        kinds.append((str(encoding[first]), int(upper[first])))
        rest &= ~same
    return kinds, kind


def _bits(variables: Variables, source: Longs, place: Longs) -> Variables:
    """Return the table of bits; a bit keeps the head, query, key and role of its weight."""
    copies, is_new = variables.take(source), place >= 0
    bit, mass = np.where(is_new, place, copies.bit), np.where(is_new, np.nan, copies.mass)
    return replaced(copies, bit=bit, upper=np.ones(len(source)), mass=mass)


def _walls(variables: Variables, bits: Longs, ptr: Longs) -> Constraints:
    """Return ``y_{b+1} - y_b <= 0`` for neighbouring bits of one weight."""
    later = np.delete(bits, ptr[:-1])
    pairs = np.stack([later - 1, later], axis=1)
    coef = np.tile([-1.0, 1.0], len(later))
    return Constraints.over(
        2 * np.arange(len(later) + 1),
        pairs.ravel(),
        coef,
        sense=Sense.LE,
        rhs=0.0,
        kind=Kind.WALL,
        **_label_of(variables, later),
    )


def _choices(variables: Variables, bits: Longs, ptr: Longs) -> Constraints:
    """Return ``sum_b y_b = 1`` for the bits of one weight."""
    label = _label_of(variables, bits[ptr[:-1]])
    return Constraints.over(ptr, bits, sense=Sense.EQ, rhs=1.0, kind=Kind.LEVEL, **label)


def _without_pairs(form: Quadratic, source: Longs, one_hot: Bools) -> Quadratic:
    """Return a form without the products of bits of one one-hot number: one of them is zero."""
    pair = one_hot[source[form.i]] & (source[form.i] == source[form.j]) & (form.i != form.j)
    return Quadratic(form.offset, form.linear, form.i[~pair], form.j[~pair], form.bias[~pair])


def _wide_gates(constraints: Constraints) -> Constraints:
    """Return constraints whose gates, where open, hold back none of the bits of a level.

    Several of them are ruled out by their own constraint; a gate prices those of a shut one.
    """
    c = constraints
    opener = (c.kind[c.row] == Kind.GATE) & (c.coef < 0)
    reach = np.bincount(c.row, weights=np.maximum(c.coef, 0), minlength=len(c))
    return replaced(c, coef=np.where(opener, -reach[c.row], c.coef))


def _label_of(variables: Variables, bits: Longs) -> dict[str, Array]:
    """Return the parts of the labels of bits: those of their constraints."""
    return {name: getattr(variables, name)[bits] for name in ("head", "query", "key", "bit")}


def _priced(walls: Constraints, program: Program) -> Constraints:
    """Price walls like the largest coefficient of their bits: no wider a range than without."""
    o = program.objective
    size = np.abs(o.linear)
    np.maximum.at(size, o.i, np.abs(o.bias))
    np.maximum.at(size, o.j, np.abs(o.bias))
    ends = walls.var.reshape(-1, 2)
    weight = size[ends].max(axis=1)
    if not weight.all():
        # Bits of no worth are priced like the rest of what they are sampled with.
        component = program.components
        largest = np.zeros(int(component.max()) + 1)
        np.maximum.at(largest, component, size)
        weight = np.where(weight > 0, weight, largest[component[ends[:, 0]]])
    weight = np.where(weight > 0, weight, 1.0)
    return replaced(walls, weight=weight)
