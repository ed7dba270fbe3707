"""The two lowest energies of a program of bits, over all states, and how many states are optima.

Penalties are ordinary energy here: states that break constraints count as any others do. Programs
of up to 20 bits are enumerated, larger ones searched (`qubo_attn.solving.parted`).
"""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Bools, Floats
from qubo_attn.ir.columns import Constraints, Sense
from qubo_attn.ir.program import Program
from qubo_attn.ir.quadratic import Quadratic
from qubo_attn.solving.parted import MOST_BITS, Lowest, as_bits, as_matrix, energy_of, rounding_of
from qubo_attn.solving.parted import search as search_parts

# Bits of programs that are enumerated.
MOST_ENUMERATED = 20
# Branches of each search: as many as take some tenths of a second.
STEPS = 20_000_000


def lowest_energies(
    program: Program, *, margin: float = 0.0, most_steps: int = STEPS
) -> Lowest | None:
    """Return the two lowest energies of all states; None where the optimum is not proven.

    Args:
        program: bits only, every constraint priced.
        margin: how far above the optimum certificates put all states that break a constraint; 0
            where nothing is certified. It serves only where a search of all states does not end.
        most_steps: branches after which a search ends unfinished.

    Example:
        >>> from qubo_attn import Program
        >>> program = Program.parse('''
        ... x[0,0,0] : -2
        ... x[0,0,1] : -1
        ... pick[0,0]: x[0,0,0] + x[0,0,1] == 1 price 2 slope 1
        ... ''')
        >>> lowest = lowest_energies(program)
        >>> lowest.energy, lowest.second, lowest.optima, lowest.state
        (-2.0, -1.0, 1, array([1., 0.]))
    """
    if len(program) <= MOST_ENUMERATED:
        return _enumerated(program)
    return search_parts(program, margin, most_steps) if len(program) <= MOST_BITS else None


def _enumerated(program: Program) -> Lowest:
    form, n = program.total(), len(program)
    energy, rounding = _energies(form), rounding_of(form)
    optima = np.flatnonzero(energy <= energy.min() + rounding)
    above = np.where(energy > energy.min() + rounding, energy, np.inf)
    state, second = (as_bits(int(code), n) for code in (optima[-1], above.argmin()))
    good = np.where(_feasible(program.constraints, n), energy, np.inf)
    good[good <= good.min() + rounding] = np.inf
    return Lowest(
        energy_of(form, state),
        energy_of(form, second) if above.min() < np.inf else None,
        state,
        second,
        len(optima),
        energy_of(form, as_bits(int(good.argmin()), n)) if good.min() < np.inf else None,
        rounding,
        "enumeration",
    )


def _energies(form: Quadratic) -> Floats:
    """Return the energy of every state; the first bit is the highest of its code."""
    pair, energy = as_matrix(form), np.array([form.offset])
    for v in range(len(form.linear) - 1, -1, -1):
        energy = np.concatenate([energy, energy + form.linear[v] + _sums(pair[v, v + 1 :])])
    return energy


def _feasible(c: Constraints, n: int) -> Bools:
    """Return which states keep every constraint."""
    good = np.ones(2**n, bool)
    for row, rhs, sense in zip(c.matrix(n).toarray(), c.rhs, c.sense, strict=True):
        over = _sums(row) - rhs
        good &= np.abs(over) <= 1e-9 if sense == Sense.EQ else over <= 1e-9
    return good


def _sums(values: Floats) -> Floats:
    """Return the sum of the values of every state."""
    total = np.zeros(1)
    for value in values[::-1]:
        total = np.concatenate([total, total + value])
    return total
