"""Margins for a warm machine: how far infeasible points must lie, in units of its temperature.

A machine at temperature T returns a point with weight ``exp(-E / (T scale))``, scale the program
energy per hardware unit of its row. So what a margin D is worth is ``D / (T scale)``, and the scale
grows with the weight that D makes: both are found together, as the fixed point of
``D = TEMPERATURES T' scale``. T' is the machine's T and, in narrow rows, `MORE`: errors of
coefficients, and chains that freeze before the machine is as cold as it gets, act like heat that no
T tells of. There are more selections of k + 1 keys than of k - 1 where 2 k < n, so the slope is
tilted by ``(T' scale / 2) ln(C(n, k + 1) / C(n, k - 1))`` against them, as far as the proof leaves
a quarter of the margin. No margin makes the scale more than four times what it is without.

Walls are made so strong that their hills are low for the machine (`formulations.freezing`).

The scale is that of the row's largest coefficient in the machine's ranges, with chains as long as
those of a clique of its size. The real placement is a little better or worse.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Array, Floats, Longs
from qubo_attn.common.words import plural
from qubo_attn.formulations.cardinality import Cardinality, embedded_qubits
from qubo_attn.formulations.certificates import Certificates, Method
from qubo_attn.formulations.freezing import wall_ratio
from qubo_attn.formulations.proofs import StepCosts, by_steps
from qubo_attn.ir.blocks import form_of

# Temperatures between good selections and infeasible points; measured by benchmarks/warm.py.
TEMPERATURES = 2.0
# What errors and early freezing add to the temperature, in units of a field, in rows of at most so
# many bits; measured likewise. Wider rows lose more by a larger scale than by infeasible reads.
MORE, NARROW = 0.03, 16
# The same for walls and switches, whose couplings have range to spare.
_OF_SHAPES = 4.0
# Program energy per hardware unit of a shape's prices, per unit of weight: walls have couplings of
# a quarter of it on the side of chains, switches of half of it on the other.
_SHARES = {Method.WALLS: 0.125, Method.SWITCHES: 0.5}


# Margin for which bounds are tightened before the temperature's is known, as a share of the largest
# cost of a step: about what machines of today ask for.
_ASKED = 0.1


class Ranges(NamedTuple):
    """Largest coefficients that a machine takes, as numbers above zero.

    Attributes:
        field: field; coupling: coupling above zero; chain: coupling below zero.
    """

    field: float
    coupling: float
    chain: float


RANGES = {"zephyr": Ranges(6.0, 1.0, 2.0), "pegasus": Ranges(4.0, 1.0, 2.0)}
PLAIN = Ranges(1.0, 1.0, 1.0)


def asked_margin(margin: Floats, scale: Floats, form: Array) -> Floats:
    """Return the margin for which bounds are tightened: that of dense rows is found from them.

    Args:
        margin: least margin of each row.
        scale: largest cost of a corrective step of each row.
        form: the `Cardinality` of each row.
    """
    dense = form == Cardinality.DENSE
    return np.asarray(np.where(dense, np.maximum(margin, _ASKED * scale), margin))


def warmed(
    proof: Certificates, costs: StepCosts, topology: str, temperature: float, aim: float = 0.0
) -> tuple[Certificates, str]:
    """Return certificates whose margins are in units of temperature, and what these are.

    Args:
        proof: certificates of rows, with a margin that counts rounding; no margin falls below it.
        costs: of the same rows.
        topology: of the machine.
        temperature: of the machine, in units of a field.
        aim: temperature that reads shall have at least, in units of the objective.
    """
    proof, notes = _shapes(proof, topology, temperature, aim)
    dense = np.isin(proof.method, (Method.STEPS, Method.RELAXATION))
    if not dense.any():
        return proof, notes
    part = proof.take(np.flatnonzero(dense))
    weights = _dense(part, costs.take(np.flatnonzero(dense)), topology, temperature, aim)
    columns = {name: getattr(proof, name).copy() for name in ("weight", "slope", "margin")}
    for name, column in columns.items():
        column[dense] = getattr(weights, name)
    note = margin_note(weights.margin, temperature * weights.scale, "dense row")
    return replace(proof, **columns), "; ".join(filter(None, (note, notes)))


def margin_note(margin: Floats, heat: Floats, what: str, more: str = "") -> str:
    """Return what a stage says of margins, both in units of energy.

    Args:
        margin: of some constraints.
        heat: temperature of each.
        what: one of them.
        more: what these are besides.
    """
    margins = np.divide(margin, heat, out=np.zeros(len(margin)), where=heat > 0)
    return (
        f"margins of {margins.min():.2g} to {margins.max():.2g} temperatures in "
        f"{plural(len(margins), what, 'd')}{more}, median "
        f"{np.median(margins):.2g}, by the scale to expect"
    )


def _dense(
    proof: Certificates, costs: StepCosts, topology: str, temperature: float, aim: float
) -> kernels.WarmWeights:
    """Return weights of dense rows."""
    program, rows = proof.program, proof.rows
    upper = program.variables.upper
    top = np.maximum((upper + 1) // 2, 1).astype(np.float64)
    # An encoding takes about one bit for every doubling.
    bits = np.bincount(rows.row, np.ceil(np.log2(upper[rows.var] + 1.0)), len(rows))
    wide = np.bincount(rows.row, upper[rows.var] > 1, len(rows)) > 0
    keep = rows.counted.keep
    steps = by_steps(costs, np.zeros(len(rows)))
    proofs = kernels.Proofs(proof.method == Method.RELAXATION, *steps, proof.upper, proof.lower)
    heat = temperature + np.where(wide | (bits > NARROW), 0.0, MORE)
    warmth = kernels.Warmth(
        TEMPERATURES * heat,
        np.where(wide, 0.0, heat * _tilts(np.diff(rows.ptr), keep)),
        chain_lengths(bits.astype(np.int64), topology),
        top,
        *RANGES.get(topology, PLAIN),
    )
    form = form_of(program.objective, upper)
    floor = np.maximum(proof.margin, TEMPERATURES * aim)
    return kernels.WarmWeights(*kernels.warm_weights(rows.counted, form, floor, proofs, warmth))


def _shapes(
    proof: Certificates, topology: str, temperature: float, aim: float
) -> tuple[Certificates, str]:
    """Return certificates with the margins of walls and switches, and what these are."""
    notes: list[str] = []
    weight, margin = proof.weight.copy(), proof.margin.copy()
    chain = RANGES.get(topology, PLAIN).chain
    for method, share in _SHARES.items():
        mine = proof.method == method
        unit = _OF_SHAPES * temperature * share * (2.0 / chain if method == Method.WALLS else 1.0)
        # Weight and margin grow alike: D = unit (W + D), W the weight without a margin.
        wanted = unit * (weight[mine] - margin[mine]) / (1.0 - min(unit, 0.5))
        if method == Method.WALLS:
            low = (wall_ratio(temperature, chain) - 1.0) * (weight[mine] - margin[mine])
            wanted = np.maximum(wanted, low)
        more = np.maximum(np.maximum(wanted, _OF_SHAPES * aim) - margin[mine], 0.0)
        weight[mine] += more
        margin[mine] += more
        if mine.any():
            heat = unit / _OF_SHAPES * weight[mine]
            notes.append(margin_note(margin[mine], heat, "row", f" as {method.name.lower()}"))
    return replace(proof, weight=weight, margin=margin), "; ".join(notes)


def _tilts(size: Longs, keep: Longs) -> Floats:
    """Return ``ln(C(n, k + 1) / C(n, k - 1)) / 2`` of each row; 0 where there is none of these."""
    n, k = size.astype(np.float64), keep.astype(np.float64)
    inside = (keep > 0) & (keep < size)
    ratio = np.where(inside, (n - k) * (n - k + 1) / np.maximum(k * (k + 1), 1), 1.0)
    return np.asarray(np.log(np.maximum(ratio, 1e-300)) / 2.0)


def chain_lengths(bits: Longs, topology: str) -> Floats:
    """Return how many qubits a chain of each row has, in the mean."""
    sizes, place = np.unique(bits, return_inverse=True)
    qubits: Array = np.array(
        [embedded_qubits(Cardinality.DENSE, int(n), 1, topology) for n in sizes], np.float64
    )
    return np.asarray((qubits / np.maximum(sizes, 1))[place])
