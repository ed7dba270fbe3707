"""Precision: what a warm machine returns of every row, and what its errors do to it.

Reads are taken to follow Boltzmann's law of the logical model at the machine's temperature, all
chains whole: exact for blocks of up to `EXACT` bits; for others from one good state and all states
one step from it (one bit changed, or a one exchanged for a zero). Errors of coefficients are not in
these chances; they stand beside the temperature.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qubo_attn import kernels
from qubo_attn.backend.coefficients import Coefficients
from qubo_attn.common.arrays import Array, Floats, Ints, Longs, segment_ids
from qubo_attn.common.checks import share
from qubo_attn.errors import InputError
from qubo_attn.ir.blocks import blocks_of, form_of, limits
from qubo_attn.ir.columns import Sense
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program

EXACT = 10
# A row of which a smaller share of reads is feasible drowns in the machine's warmth.
DROWNS = 0.05
# States that the search for a good one starts from.
_STARTS = 8


@dataclass(frozen=True, eq=False)
class Precision:
    """What to expect of every independent row; made by `CompiledAttention.precision`.

    Attributes:
        submission: int64, the submission that carries each row.
        head, query: int64, of the row (of the first one where a group is tied); -1 where a problem
            belongs to no single one.
        feasible: float64, chance that a read of the row holds its constraints.
        optimum: float64, chance that a read of the row is its optimum.
        temperature: float64, the machine's temperature in units of the row's objective.
        error: float64, standard deviation of what errors do to a key's coefficient, likewise.

    Example:
        >>> import numpy as np, qubo_attn as qa
        >>> scores = np.random.default_rng(0).normal(size=(2, 3, 8))
        >>> compiled = qa.compile(scores, 2, select=qa.ExactlyK(2), target="zephyr:2")
        >>> precision = compiled.precision()
        >>> len(precision.optimum), bool((precision.optimum <= precision.feasible).all())
        (6, True)
    """

    submission: Longs
    head: Longs
    query: Longs
    feasible: Floats
    optimum: Floats
    temperature: Floats
    error: Floats

    def reads_for(self, chance: float) -> Longs:
        """Return how many reads show each row's optimum with some chance.

        Args:
            chance: above 0 and below 1.

        Raises:
            InputError: it is not.
        """
        chance = share("chance", chance, positive=True)
        if chance == 1.0:
            raise InputError("chance must be below 1: no number of reads is certain", chance=chance)
        missed = np.log1p(-np.clip(self.optimum, 1e-9, 1.0 - 1e-12))
        # A hair less, so that rounding adds no read.
        reads: Longs = np.ceil(np.log1p(-chance) / missed - 1e-9).astype(np.int64)
        return np.maximum(reads, 1)


def precision(program: Program, values: Coefficients, open_: Program, lift: Lift) -> Precision:
    """Return what to expect of every component; see `CompiledAttention.precision`.

    Args:
        program: what is sampled, priced and over bits.
        values: its coefficients on the machine.
        open_: the program before prices and encodings, whose constraints must hold.
        lift: from ``program`` to it.
    """
    placement, target = values.wiring.placement, values.wiring.placement.target
    component = placement.component
    count = int(component.max(initial=-1)) + 1
    # Stable: the first of each component is its lowest variable of a head.
    owned = np.argsort(program.variables.head < 0, kind="stable")
    first = np.full(count, -1, np.int64)
    first[component[owned[::-1]]] = owned[::-1]
    form = form_of(program.total(), program.variables.upper)
    rules, owner = _rules(open_, lift, component)
    unit = target.temperature * values.scale
    blocks = blocks_of(component, owner)
    state = _good_state(form, component, blocks)
    chances = kernels.block_chances(state, unit, blocks, form, rules, EXACT)
    lengths = np.bincount(component, placement.chain_lengths, count) / np.bincount(component)
    # A key's coefficient is twice a spin's field; a chain adds up the errors of its qubits.
    error = 2.0 * target.errors.field * np.sqrt(lengths) * values.scale
    return Precision(
        placement.submission[first],
        program.variables.head[first].astype(np.int64),
        program.variables.query[first].astype(np.int64),
        chances.feasible,
        chances.optimum,
        unit,
        error,
    )


def _good_state(form: kernels.Form, component: Longs, blocks: kernels.Blocks) -> Ints:
    """Return a state that no step and no exchange improves, the best of several starts on."""
    n, linear, couplers = len(form.linear), form.linear + form.square, form.couplers
    starts = np.random.default_rng(0).integers(0, 2, (n, _STARTS), dtype=np.int32)
    starts[:, 0] = 0
    end = segment_ids(couplers.ptr)
    energies = np.empty((_STARTS, len(blocks.ptr) - 1))
    for m in range(_STARTS):
        bits = starts[:, m]
        # Each coupler stands in the adjacency twice.
        among = np.bincount(end, couplers.value * bits[couplers.neighbour], minlength=n)
        part = bits * (linear + 0.5 * among)
        energies[m] = np.bincount(component, part, minlength=energies.shape[1])
    state: Ints = starts[np.arange(n), energies.argmin(axis=0)[component]]
    kernels.settle_bits(state, blocks, linear, couplers)
    return state


def _rules(open_: Program, lift: Lift, component: Longs) -> tuple[kernels.Limits, Longs]:
    """Return what must hold, in terms of the bits that are sampled, and the component of each."""
    from scipy import sparse

    c, upper = open_.constraints, open_.variables.upper.astype(np.float64)
    matrix = sparse.csr_array(c.matrix(len(open_)))
    rows = sparse.csr_array(matrix @ lift.matrix)
    rhs = c.rhs - matrix @ lift.constant
    equal = c.sense == Sense.EQ
    # Encodings may lift to values outside a variable's range.
    low = lift.constant + _side(lift, np.minimum)
    high = lift.constant + _side(lift, np.maximum)
    under, over = np.flatnonzero(low < -1e-9), np.flatnonzero(high > upper + 1e-9)
    map_ = sparse.csr_array(lift.matrix)
    every = sparse.csr_array(sparse.vstack([rows, -map_[under], map_[over]]))
    rhs = np.concatenate([rhs, lift.constant[under], upper[over] - lift.constant[over]])
    equal = np.concatenate([equal, np.zeros(len(under) + len(over), bool)])
    every.sum_duplicates()
    sizes = np.diff(every.indptr)
    live = np.flatnonzero(sizes)
    every, rhs, equal = every[live], rhs[live], equal[live]
    row = np.repeat(np.arange(len(live)), np.diff(every.indptr))
    owner = component[every.indices[every.indptr[:-1]]] if len(live) else np.zeros(0, np.int64)
    columns = np.asarray(every.indices, np.int64), np.asarray(every.data, np.float64)
    return limits(rhs, equal, row, *columns, lift.n_after), owner


def _side(lift: Lift, pick: np.ufunc) -> Array:
    """Return the sum of the negative, or the positive, entries of each row of a lift."""
    row = np.repeat(np.arange(lift.n_before), np.diff(lift.indptr))
    return np.bincount(row, pick(lift.data, 0.0), minlength=lift.n_before)
