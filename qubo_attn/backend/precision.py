"""Precision: what a warm machine returns of every row, and what its errors do to it.

A read is taken to come about in two steps. Bits whose chains have several qubits freeze first: such
a chain turns over a barrier of twice its strength, which takes too long below `FREEZE` times the
strength, in units of a field. They follow Boltzmann's law of the logical model at that temperature,
or at the machine's where it is hotter. Bits of one qubit then settle beside them by the same law at
the machine's own temperature. Errors of coefficients, broken chains and what is left of the
background susceptibility are not in these chances; they stand beside the temperature.

Walls of grids freeze long before: their chances are multiplied by `backend.walls.frozen_chances`.

The sums are exact for blocks of up to `EXACT` bits. For larger blocks they go over one good state
and all states one step from it (one bit changed, or a one exchanged for a zero). Where these have
pair terms, chances fall as their chains grow, by a measured law (`CROWDED`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qubo_attn import kernels
from qubo_attn.backend.coefficients import Coefficients
from qubo_attn.backend.walls import frozen_chances
from qubo_attn.common.arrays import Array, Floats, Ints, Longs, csr_rows, segment_ids
from qubo_attn.common.brief import Brief
from qubo_attn.common.checks import share
from qubo_attn.common.threads import by_rows, rows_at
from qubo_attn.errors import InputError
from qubo_attn.ir.blocks import blocks_of, form_of, limits
from qubo_attn.ir.columns import Sense
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program

EXACT = 16
# Freezing temperature per unit of chain strength: about 2 / ln(22,000), by `benchmarks/warm.py`.
FREEZE = 0.2
# States that a quick answer sums over, some tenths of a second.
QUICK = 1 << 22
# Of rows of more bits, and pair terms, many reads freeze in states that no single step makes good.
# Qubits beyond one a bit: so many do nothing, and so many more leave one read in e. Measured on the
# simulated machine, where the latter were 40 to 90.
SPARE, CROWDED = 15.0, 65.0
# A row of which a smaller share of reads is feasible drowns in the machine's heat.
DROWNS = 0.05
# States that the search for a good one starts from.
_STARTS = 8
# Bits of a part that a thread of its own works on.
_PART = 32


@dataclass(frozen=True, eq=False)
class Precision(Brief):
    """What to expect of every independent row; made by `CompiledAttention.precision`.

    Attributes:
        submission: int64, the submission that carries each row.
        head, query: int64, of the row (of the first one where a group is tied); -1 where a problem
            belongs to no single one.
        feasible: float64, chance that a read of the row holds its constraints; NaN where a report
            of many rows leaves it out.
        optimum: float64, chance that a read of the row is its optimum; likewise.
        temperature: float64, the machine's temperature in units of the row's objective.
        error: float64, standard deviation of what errors do to a key's coefficient, likewise.
        leak: float64, root mean square of what the background susceptibility adds to a key's
            coefficient by leaking fields over couplings, likewise; `solve` and `submit` subtract it
            from what they program.
        left: float64, what is left of that, likewise: fields at the end of their range make up for
            none of it.
        seats: int64, how often the row sits in its submission: once, and once more for each copy.
            Chances are means over all seats; the other figures are those of the first one.

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
    leak: Floats
    left: Floats
    seats: Longs

    def reads_for(self, chance: float) -> Longs:
        """Return how many reads of its submission show each row's optimum with some chance.

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
        return np.asarray(np.maximum(-(-reads // self.seats), 1), np.int64)


def some_rows(component: Longs, quick: bool) -> Longs:
    """Return all components, or some, spread evenly, where all would take long.

    Args:
        component: of each variable.
        quick: whether some do.
    """
    sizes = np.bincount(component)
    states = float((2.0 ** np.minimum(sizes, EXACT)).sum())
    step = int(np.ceil(states / QUICK)) if quick and len(sizes) else 1
    return np.asarray(np.arange(0, len(sizes), step), np.int64)


def precision(
    program: Program, values: Coefficients, open_: Program, lift: Lift, chosen: Longs
) -> Precision:
    """Return what to expect of every component; see `CompiledAttention.precision`.

    Args:
        program: what is sampled, priced and over bits.
        values: its coefficients on the machine.
        open_: the program before prices and encodings, whose constraints must hold.
        lift: from ``program`` to it.
        chosen: components, ascending, whose chances are worked out.
    """
    placement, target = values.wiring.placement, values.wiring.placement.target
    component = placement.component
    sizes = np.bincount(component)
    count = len(sizes)
    # Stable: the first of each component is its lowest variable of a head.
    owned = np.argsort(program.variables.head < 0, kind="stable")
    first = np.full(count, -1, np.int64)
    first[component[owned[::-1]]] = owned[::-1]
    unit = target.temperature * values.scale
    chances = np.full((2, count), np.nan)
    rules, few = _rules(open_, lift, component), sizes[chosen] <= EXACT
    for some in (chosen[few], chosen[~few]):
        if len(some):
            chances[:, some] = _chances(program, values, rules, some)
    chances *= frozen_chances(program, component, open_, lift)
    chances *= np.where(sizes > EXACT, _crowded(component, placement.chain_lengths, open_, lift), 1)
    lengths = np.bincount(component, placement.chain_lengths, count) / sizes
    # A key's coefficient is twice a spin's field; a chain adds up the errors of its qubits.
    error = 2.0 * target.errors.field * np.sqrt(lengths) * values.scale
    leak, left = (
        2.0 * np.sqrt(np.bincount(component, fields**2, count) / sizes) * values.scale
        for fields in values.wiring.leaks(*values.physical)
    )
    return Precision(
        placement.submission[first],
        program.variables.head[first].astype(np.int64),
        program.variables.query[first].astype(np.int64),
        chances[0],
        chances[1],
        unit,
        error,
        leak,
        left,
        np.ones(count, np.int64),
    )


def _chances(
    program: Program, values: Coefficients, rules: tuple[kernels.Limits, Longs], chosen: Longs
) -> kernels.Chances:
    """Return the chances of some components.

    Args:
        program, values: see `precision`.
        rules: see `_rules`.
        chosen: which components; all of at most ``EXACT`` bits, or all of more.
    """
    placement, (must, owner) = values.wiring.placement, rules
    form = form_of(program.total(), program.variables.upper)
    free = placement.chain_lengths < 2
    heat = kernels.Temperatures(
        placement.target.temperature * values.scale, frozen_at(values), free
    )
    every = blocks_of(placement.component, owner)
    ptr, entries = csr_rows(every.ptr, chosen)
    row_ptr, row_entries = csr_rows(every.row_ptr, chosen)
    var, row = every.var[entries], every.row[row_entries]
    var = var[np.lexsort((~free[var], segment_ids(ptr)))]
    exact, whole = (np.diff(ptr) <= EXACT).all(), kernels.Blocks(ptr, var, row_ptr, row)
    point = None if exact else _good_state(form, placement.component, whole)

    def work(some: slice) -> kernels.Chances:
        own_ptr, own = rows_at(ptr, some)
        own_row_ptr, own_rows = rows_at(row_ptr, some)
        part = kernels.Blocks(own_ptr, var[own], own_row_ptr, row[own_rows])
        warm = heat._replace(cold=heat.cold[chosen[some]], hot=heat.hot[chosen[some]])
        if point is None:
            return kernels.block_chances(warm, part, form, must)
        return kernels.step_chances(point, warm, part, form, must)

    return kernels.Chances(*by_rows(work, ptr, _PART))


def _crowded(component: Longs, lengths: Longs, open_: Program, lift: Lift) -> Floats:
    """Return how many reads of wide rows with pair terms do not freeze far from any good state.

    By how many qubits their chains have beyond one each; see `CROWDED`.
    """
    count = int(component.max(initial=-1)) + 1
    extra = np.bincount(component, lengths - 1.0, count)
    coupled, ends = np.zeros(count, bool), np.concatenate([open_.objective.i, open_.objective.j])
    ends = ends[lift.indptr[ends + 1] > lift.indptr[ends]]
    coupled[component[lift.indices[lift.indptr[ends]]]] = True
    return np.where(coupled, np.exp(-np.maximum(extra - SPARE, 0.0) / CROWDED), 1.0)


def frozen_at(values: Coefficients) -> Floats:
    """Return the temperature of each component's chains of several qubits, in program energy.

    That at which they freeze, or the machine's where it is hotter.
    """
    placement = values.wiring.placement
    component, long = placement.component, placement.chain_lengths > 1
    count = len(values.scale)
    chains = np.bincount(component, long, count)
    strength = np.bincount(component, values.strength * long, count) / np.maximum(chains, 1)
    return values.scale * np.maximum(placement.target.temperature, FREEZE * strength)


def _good_state(form: kernels.Form, component: Longs, blocks: kernels.Blocks) -> Ints:
    """Return a state that no step and no exchange improves, the best of several starts on.

    Args:
        form: the program; component: the block of each variable.
        blocks: those that need one; others end where they start.
    """
    n, linear, couplers = len(form.linear), form.linear + form.square, form.couplers
    starts = np.random.default_rng(0).integers(0, 2, (n, _STARTS), dtype=np.int32)
    starts[:, 0] = 0
    end = segment_ids(couplers.ptr)
    energies = np.empty((_STARTS, int(component.max(initial=-1)) + 1))
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
