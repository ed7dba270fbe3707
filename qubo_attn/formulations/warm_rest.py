"""Margins in units of temperature for constraints that are no dense counts: levels, bounds, others.

Their proofs hold with any margin D on top of a weight: a point that breaks a constraint pays at
least one unit of its price more than what is proven to be enough. So here D is found from outside,
as the fixed point of ``D = c T scale(weight + D)``, where c is 4 for levels, else 2. The scale is
that of the whole connected component, for which all of its constraints get the same D. Nothing
tilts these rows. Where the scale grows as fast as any margin, D is at most four times what the
scale without it asks for: there a machine of that temperature returns infeasible reads, whatever
the prices.

The scale is estimated from the priced form. A whole number counts as its bit of largest
coefficient, and a component has chains like those of a clique with as many couplers a variable.
"""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Floats, Longs
from qubo_attn.common.frozen import replaced
from qubo_attn.formulations.warm import PLAIN, RANGES, TEMPERATURES, chain_lengths, margin_note
from qubo_attn.ir.program import Program
from qubo_attn.ir.quadratic import Quadratic
from qubo_attn.ir.rows import row_components

_ROUNDS, _CLOSE, _MOST = 8, 0.01, 4.0
# Temperatures of rows with levels: each of their many gates can fail by itself. Twice those of a
# count make half as many reads again feasible, or more, and the optimum as often.
OF_LEVELS = 4.0


def short_of_warmth(
    program: Program,
    index: Longs,
    prices: tuple[Floats, Floats, Floats],
    topology: str,
    temperature: float | None,
    aim: float = 0.0,
    what: tuple[str, ...] = ("constraint",),
    temperatures: float = TEMPERATURES,
) -> tuple[Floats, str]:
    """Return what the margin of each constraint lacks of a number of temperatures, and a note.

    Args:
        program: before its constraints are priced.
        index: int64, all constraints of some components.
        prices: weight, slope and margin of each; the weight holds the margin.
        topology: of the machine.
        temperature: of the machine, in units of a field; None where there is none.
        aim: temperature that reads shall have at least, in units of the objective.
        what: what the note calls one of the constraints, and what follows that.
        temperatures: how many.
    """
    if temperature is None:
        return np.zeros(len(index)), ""
    weight, slope, margin = prices
    plain, component = _of_bits(program, index), row_components(program)[index]
    more, least, most = np.zeros(len(index)), temperatures * aim, np.full(len(index), np.inf)
    for _ in range(_ROUNDS):
        priced = replaced(plain.constraints, weight=weight + more, slope=slope)
        scale = _scales(plain.replace(constraints=priced), program.components, topology)
        wanted = temperatures * temperature * scale[component]
        most = np.minimum(most, _MOST * wanted)
        wanted = np.maximum(np.minimum(wanted, most), least)
        lacks = np.maximum(wanted - margin, 0.0)
        if (np.abs(lacks - more) <= _CLOSE * wanted).all():
            break
        more = lacks
    return more, margin_note(margin + more, temperature * scale[component], *what)


def _of_bits(program: Program, index: Longs) -> Program:
    """Return some constraints over bits: each whole number as its bit of largest coefficient."""
    o, v, c = program.objective, program.variables, program.constraints.take(index)
    top = np.maximum((v.upper + 1) // 2, 1).astype(np.float64)
    pair = o.i != o.j
    linear = o.linear * top + o.squares() * top * top
    i, j = o.i[pair], o.j[pair]
    objective = Quadratic(o.offset, linear, i, j, o.bias[pair] * top[i] * top[j])
    bits = replaced(v, upper=np.ones_like(v.upper))
    return program.replace(
        variables=bits, objective=objective, constraints=replaced(c, coef=c.coef * top[c.var])
    )


def _scales(program: Program, component: Longs, topology: str) -> Floats:
    """Return about how much program energy a hardware unit of each component has."""
    form, ranges = program.total(), RANGES.get(topology, PLAIN)
    n, count = len(component), int(component.max(initial=-1)) + 1
    coupling, edge = form.bias / 4.0, component[form.i]
    field, pull = form.linear / 2.0, np.zeros(n)
    for ends in (form.i, form.j):
        field = field + np.bincount(ends, coupling, n)
        pull += np.bincount(ends, np.abs(coupling), n)
    variables, couplers = np.bincount(component), np.bincount(edge, minlength=count)
    degree = 2.0 * couplers / np.maximum(variables, 1)
    length = chain_lengths(np.rint(degree).astype(np.int64) + 1, topology)
    scale = np.zeros(count)
    np.maximum.at(scale, component, np.abs(field) / (length[component] * ranges.field))
    share = np.maximum(coupling / ranges.coupling, -coupling / ranges.chain)
    np.maximum.at(scale, edge, share)
    # Relative to the largest of each component, so that no square overflows.
    largest = np.zeros(count)
    np.maximum.at(largest, edge, np.abs(coupling))
    share = coupling / np.where(largest > 0, largest, 1.0)[edge]
    squares = np.bincount(edge, share * share, count)
    torque = 1.414 * largest * np.sqrt(squares / np.maximum(couplers, 1) * degree)
    most = np.zeros(count)
    np.maximum.at(most, component, (pull - np.abs(field)) / 2.0)
    chain = np.where(length > 1.0, np.minimum(torque, most), 0.0)
    return np.maximum(scale, chain / ranges.chain)
