"""Three ways to price "exactly k of n keys", and which is the cheapest on a machine.

| name | bits | couplers | states of a selection |
|---|---|---|---|
| ``dense`` | n | n (n - 1) / 2 | 1 |
| ``network`` (`qubo_attn.formulations.switches`) | about n log2 2k | about 3 n log2 k | 1 or more |
| ``grid`` (`qubo_attn.formulations.walls`) | k (n - k) | about 2 k (n - k) | 1 |
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from qubo_attn.common.arrays import Array, Longs
from qubo_attn.common.words import plural
from qubo_attn.formulations.freezing import (
    feasible_square,
    feasible_walls,
    right_valley,
    wall_ratio,
)
from qubo_attn.formulations.switches import network_of
from qubo_attn.ir.program import Program
from qubo_attn.ir.rows import row_classes, row_components


class Cardinality(IntEnum):
    """The form of a row that is priced; its lower-case name is an option of `InsertPenalties`."""

    DENSE = 0
    NETWORK = 1
    GRID = 2


# Measured, see docs/cardinality.md: qubits of one clique of n; of a grid per bit, up to four keys
# and beyond; of a network per variable, which grows with their number.
_SIZES = (1, 4, 8, 16, 24, 32, 48, 64, 96, 128, 160)
_CLIQUES = {
    "pegasus": (1, 4, 12, 40, 77, 135, 264, 436, 912, 1536, 2400),
    "zephyr": (1, 4, 12, 32, 62, 107, 237, 352, 720, 1216, 1840),
}
_PER_BIT, _MANY = {"pegasus": 1.15, "zephyr": 1.1}, 4
_PER_BIT_OF_MANY = {"pegasus": 1.2, "zephyr": 1.15}
_PER_WIRE, _GROWTH = 1.1, 0.002
# The largest grids and networks that minorminer was seen to embed, in a minute or two.
_MOST_VARIABLES = 1300
# Chances of feasible reads that differ by less tie. Grids whose reads are the optimum less often
# than this were seen to miss it in all of a hundred reads, in up to one row of eight.
_TIE, _LEAST_OPTIMUM = 0.05, 0.25


def embedded_qubits(form: Cardinality, n: int, k: int, topology: str) -> int:
    """Return about how many qubits a row takes that has no pair terms.

    Args:
        form: how it is priced; n: its keys; k: how many it keeps.
        topology: ``"pegasus"``; any other counts as Zephyr.

    Example:
        >>> embedded_qubits(Cardinality.GRID, 16, 1, "zephyr")
        15
    """
    family = topology if topology in _CLIQUES else "zephyr"
    if form is Cardinality.DENSE:
        clique = float(np.interp(n, _SIZES, _CLIQUES[family]))
        return round(clique * max(1.0, n / _SIZES[-1]) ** 2)
    if form is Cardinality.NETWORK:
        wires = n + network_of(n, k).size
        return round(wires * (_PER_WIRE + _GROWTH * wires))
    bits = k * (n - k)
    if _is_path(n, k):
        return bits
    return round(bits * ((_PER_BIT if min(k, n - k) <= _MANY else _PER_BIT_OF_MANY)[family]))


def _is_path(n: int, k: int) -> bool:
    """Return whether the grid has one row or one column: then it is a path of qubits."""
    return min(k, n - k) == 1


def cheapest(
    n: int, k: int, topology: str, temperature: float | None = None
) -> tuple[Cardinality, str]:
    """Return the form of a row without pair terms that a machine does best with, and why.

    That is the one of fewest embedded qubits. On a warm machine a grid must also be returned well:
    reads feasible about as often as those of the dense row, or more often, and one in four the
    optimum. Nothing was measured of networks there, so these take no part.

    Args:
        n: its keys, more than it keeps; k: how many it keeps, at least 1.
        topology: as in `embedded_qubits`.
        temperature: of the machine, in units of a field; None where there is none.

    Example:
        >>> cheapest(16, 1, "zephyr")
        (<Cardinality.GRID: 2>, '1 of 16: grid 15 qubits, dense 32, network 35')
        >>> cheapest(16, 4, "zephyr")[0].name
        'DENSE'
        >>> cheapest(96, 1, "zephyr", 0.115)[1]
        '1 of 96: dense 720 qubits, reads feasible 0.87; grid 95, reads feasible 0.68'
    """
    costs = {form: embedded_qubits(form, n, k, topology) for form in Cardinality}
    if k * (n - k) > _MOST_VARIABLES and not _is_path(n, k):
        del costs[Cardinality.GRID]
    if n + network_of(n, k).size > _MOST_VARIABLES:
        del costs[Cardinality.NETWORK]
    if temperature is not None:
        return _warm_choice(n, k, costs, temperature)
    order = sorted(costs, key=lambda form: (costs[form], form))
    text = ", ".join(
        f"{form.name.lower()} {costs[form]}{' qubits' if form is order[0] else ''}"
        for form in order
    )
    return order[0], f"{k} of {n}: {text}"


def _warm_choice(
    n: int, k: int, costs: dict[Cardinality, int], temperature: float
) -> tuple[Cardinality, str]:
    """Return the form that a warm machine does best with, and why; see `cheapest`."""
    dense, grid = Cardinality.DENSE, Cardinality.GRID
    feasible, best = {dense: feasible_square(n, k, temperature)}, dense
    if grid in costs:
        bits, ratio = np.array([k * (n - k)]), np.array([wall_ratio(temperature)])
        feasible[grid] = float(feasible_walls(ratio, bits / k)[0])
        optimum = feasible[grid] * float(right_valley(bits)[0])
        shown = feasible[grid] >= feasible[dense] - _TIE and optimum >= _LEAST_OPTIMUM
        best = grid if shown and costs[grid] < costs[dense] else dense
    order = sorted(feasible, key=lambda form: form is not best)
    text = "; ".join(
        f"{form.name.lower()} {costs[form]}{' qubits' if form is best else ''}, reads feasible "
        f"{feasible[form]:.2f}"
        for form in order
    )
    return best, f"{k} of {n}: {text}"


def choose(
    program: Program, index: Longs, topology: str, temperature: float | None = None
) -> tuple[Array, tuple[str, ...]]:
    """Return the form of each of some rows that a machine does best with, and why.

    Rows with pair terms stay dense, as a square costs no coupler there. Each row is looked at by
    itself: one whose pair terms all are zero has none, whatever rows are beside it.

    Args:
        program: before its constraints are priced.
        index: int64, rows that keep exactly k bits.
        topology, temperature: as in `cheapest`.
    """
    c, o, component = program.constraints, program.objective, program.components
    busy = np.zeros(int(component.max(initial=-1)) + 1, bool)
    busy[component[o.i]], busy[component[o.j]] = True, True
    coupled = busy[row_components(program)[index]]
    form = np.full(len(c), Cardinality.DENSE, np.int8)
    reasons: dict[Cardinality, tuple[int, str]] = {}
    for n, k, rows, _ in row_classes(program, index[~coupled]):
        best, reason = cheapest(n, k, topology, temperature)
        form[rows] = best
        reasons[best] = reasons.get(best, (0, ""))[0] + len(rows), reason
    notes = [
        f"{plural(count, 'row', 'd')} as {best.name.lower()}, e.g. {reason}"
        for best, (count, reason) in sorted(reasons.items())
    ]
    if coupled.any():
        number = int(coupled.sum())
        what = "has pair terms and stays" if number == 1 else "have pair terms and stay"
        notes.append(f"{plural(number, 'row', 'd')} {what} dense")
    return form[index], tuple(notes)
