"""Sparsify: drop keys that a row with a count of its own will not need.

* Rows with no choice left (k = 0, or as many keys as k) are fixed.
* ``dominance`` (lossless): key i is out of every optimum if at least k other keys beat it, that is,
  exchanging i for j lowers the energy whatever the rest is:
  ``a_j - a_i + sum_l max(b_jl - b_il, 0) < 0``; and in every optimum if it beats n - k others.
* ``slots`` (lossy): a row keeps its ``slots`` keys of largest softmax mass. The bound adds up, over
  rows, the costliest min(k, dropped) exchanges of a dropped key for a free kept one. For soft
  weights it is the costliest exchange of one level, times the levels that dropped keys could hold.

* ``nucleus`` (lossy): of those, the fewest keys that hold this share of the row's softmax mass, and
  never fewer than its count needs; rounded up to one of a few ``sizes``. The same bound; and the
  lost mass is at most one less the share.

Losing a mass d moves the row's attention, renormalised, by at most ``2 d max |v - vbar|``: what is
left weighs more by d / (1 - d), which moves it by d at most, and so do the lost terms. With values
at hand, `CompiledAttention.losses` says so row by row. For the ``output`` objective the bound is in
squared output error as it is.

* Levels whose coefficients are below rounding beside the largest of their block stay at 0, and the
  bound counts all that they could have added.

After it, ``nucleus`` and ``dominance`` aside, every row is a complete graph over its slots,
whatever keys the data chose, so embeddings are found once and fit every later batch. With
``nucleus``, how many rows have which size depends on the data, but not the sizes; ``dominance``
leaves rows of any size. The default pipeline uses neither.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import ClassVar

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Array, Bools, Floats, Longs
from qubo_attn.common.checks import flag, several, share, whole
from qubo_attn.common.frozen import replaced
from qubo_attn.common.keywords import named_fields
from qubo_attn.common.threads import by_rows
from qubo_attn.common.words import plural
from qubo_attn.errors import InputError
from qubo_attn.formulations.proofs import move_costs
from qubo_attn.ir.columns import Constraints, Sense
from qubo_attn.ir.program import Program
from qubo_attn.ir.quadratic import Quadratic
from qubo_attn.ir.rows import bit_rows, gate_pairs, open_rows
from qubo_attn.ir.substitute import fix
from qubo_attn.pipeline.pipeline import UNPRICED, WHOLE_ROWS, Fact
from qubo_attn.pipeline.rewrite import Rewrite, unchanged

# Two an octave: at most half as many keys again as the nucleus needs.
SIZES = (4, 6, 8, 12, 16, 24, 32, 48, 64)
# Energies of a block are rounded by a few of these shares of its largest coefficients.
_ROUNDING = float(np.finfo(np.float64).eps)
# Couplers that a proof holds at once.
_AT_ONCE = 2_000_000


@named_fields
@dataclass(frozen=True)
class Sparsify:
    """Drop keys, by proof or by softmax mass.

    Attributes:
        slots: most keys a row keeps; a row that must choose more keeps as many as it chooses. None
            keeps all.
        dominance: fix keys that every optimum leaves out or takes.
        nucleus: share of softmax mass to keep, above 0 up to 1; None keeps all.
        sizes: what the number of keys of a row's nucleus is rounded up to, ascending; beyond the
            last, and where there are none, it stays as it is.

    Example:
        >>> from qubo_attn import Program, Sparsify
        >>> program = Program.parse('''
        ... x[0,0,0] mass 0.7 : -2
        ... x[0,0,1] mass 0.2 : -1
        ... x[0,0,2] mass 0.1 : 3
        ... pick[0,0]: x[0,0,0] + x[0,0,1] + x[0,0,2] == 1
        ... ''')
        >>> rewrite = Sparsify(slots=2).apply(program)
        >>> len(rewrite.program), rewrite.prove()
        (2, 0.0)
    """

    slots: int | None = None
    dominance: bool = False
    nucleus: float | None = None
    sizes: tuple[int, ...] = SIZES

    name: ClassVar[str] = "sparsify"
    needs: ClassVar[frozenset[Fact]] = frozenset({UNPRICED})
    ensures: ClassVar[frozenset[Fact]] = frozenset()
    breaks: ClassVar[frozenset[Fact]] = frozenset({WHOLE_ROWS})

    def __post_init__(self) -> None:
        if self.slots is not None:
            object.__setattr__(self, "slots", whole("slots", self.slots, least=1))
        object.__setattr__(self, "dominance", flag("dominance", self.dominance))
        if self.nucleus is not None:
            nucleus = share("nucleus", self.nucleus, positive=True)
            object.__setattr__(self, "nucleus", nucleus)
        sizes = tuple(whole("sizes", size, least=1) for size in several("sizes", self.sizes))
        if any(a >= b for a, b in pairwise(sizes)):
            raise InputError(f"sizes must ascend, not {sizes!r}", argument="sizes", sizes=sizes)
        object.__setattr__(self, "sizes", sizes)

    def apply(self, program: Program) -> Rewrite:
        """Return the program without the keys that were fixed or dropped."""
        rows = program.constraints.take(open_rows(program))
        if not len(rows):
            return unchanged(program, "no rows with a count of their own")
        state = self._decided(program, rows)
        stays = self._stays(program, rows, state)
        # The proof reads every coupler, the rest only those that stay: it is made on request.
        proof = None if stays.all() else partial(_loss_by_parts, program, rows, stays)
        leaves = (state != 0) | ~stays
        var = rows.var[leaves]
        fixed, value = np.zeros(len(program), bool), np.zeros(len(program))
        fixed[var], value[var] = True, state[leaves] > 0
        # A level goes with its key.
        level, opener = gate_pairs(program)
        fixed[level[fixed[opener] & (value[opener] == 0)]] = True
        sparse_program, lift = fix(program, fixed, value)
        number = np.cumsum(~fixed) - 1
        idle, waste = _idle_levels(sparse_program, number[level[~fixed[level]]])
        if idle.any():
            sparse_program, step = fix(sparse_program, idle, np.zeros(len(idle)))
            lift = lift.then(step)
        notes = (
            f"{plural(int((state > 0).sum()), 'key', 'd')} fixed in, "
            f"{(state < 0).sum()} fixed out, {(~stays & (state >= 0)).sum()} dropped",
            *_lost_mass(program, rows, stays),
            *((f"{idle.sum()} levels of no worth stay at 0",) if idle.any() else ()),
        )
        if proof is None:
            return Rewrite(sparse_program, lift, bound=waste, notes=notes)
        return Rewrite(
            sparse_program, lift, bound=None, proof=partial(_sum, proof, waste), notes=notes
        )

    def _decided(self, program: Program, rows: Constraints) -> Array:
        """Return 1 for keys taken, -1 for keys left out, 0 for open ones, per entry of the rows."""
        state = np.zeros(len(rows.var), np.int8)
        exact = (rows.sense == Sense.EQ) & bit_rows(program.replace(constraints=rows))
        if self.dominance:
            plain = exact & ~_leveled(program, rows)
            part = rows.take(plain).counted
            o, upper = program.objective, program.variables.upper
            state[plain[rows.row]] = kernels.dominated_keys(part, o.linear, upper, o.adjacency())
        count = rows.counted.keep
        full, none = exact & (count == np.diff(rows.ptr)), count == 0
        if full.any() or none.any():
            state[none[rows.row]] = -1
            state[full[rows.row]] = 1
        return state

    def _stays(self, program: Program, rows: Constraints, state: Array) -> Bools:
        """Return which entries stay: those taken, then open ones by falling mass."""
        if self.slots is None and self.nucleus is None:
            return np.ones(len(rows.var), bool)
        # No row keeps fewer keys than its count needs.
        largest = np.minimum.reduceat(program.variables.upper[rows.var], rows.ptr[:-1])
        least = -(-rows.counted.keep // largest)
        mass, stays = _priority(program)[rows.var], np.ones(len(rows.var), bool)
        if self.slots is not None:
            stays = kernels.heaviest(rows.ptr, state, mass, np.maximum(self.slots, least))
        if self.nucleus is not None:
            order = np.lexsort((-mass, -state, rows.row))
            rank = np.arange(len(mass)) - rows.ptr[rows.row]
            size = np.maximum(_nucleus(rows, order, np.maximum(mass, 0), self.nucleus), least)
            sizes = np.array([*self.sizes, 0], np.int64)
            room = np.maximum(size, sizes[np.searchsorted(sizes[:-1], size)])
            stays[order] &= rank < room[rows.row]
        return stays


def _nucleus(rows: Constraints, order: Longs, mass: Floats, share: float) -> Longs:
    """Return how many entries of each row, in ``order``, hold a share of the row's mass."""
    row, before = rows.row, kernels.sums_before(rows.ptr, mass[order])
    total = np.bincount(row, weights=mass, minlength=len(rows))
    return np.bincount(row[before < share * total[row]], minlength=len(rows))


def _loss_by_parts(program: Program, rows: Constraints, stays: Bools) -> float:
    """Return what `_loss` does, with few of the couplers at hand at once where they are late."""
    if not program.objective.is_late or program.objective.coupler_count <= _AT_ONCE:
        return _loss(program, rows, stays)
    component = program.components
    sizes = np.bincount(component).astype(np.float64)
    part, loss = np.cumsum(sizes * sizes / 2) // _AT_ONCE, 0.0
    for number in np.unique(part):
        inside = part[component] == number
        own = inside[rows.var[rows.ptr[:-1]]]
        place = np.cumsum(inside) - 1
        some = rows.take(own)
        some = replaced(some, var=place[some.var])
        loss += _loss(_part(program, inside), some, stays[own[rows.row]])
    return loss


def _part(program: Program, inside: Bools) -> Program:
    """Return the program of some components alone."""
    c, o, index = program.constraints, program.objective, np.flatnonzero(inside)
    mine = c.take(inside[c.var[c.ptr[:-1]]])
    form = Quadratic(0.0, o.linear[index], couplers=o.among(index))
    constraints = replaced(mine, var=(np.cumsum(inside) - 1)[mine.var])
    return Program(program.variables.take(index), form, constraints)


def _loss(program: Program, rows: Constraints, stays: Bools) -> float:
    """Return how much the optimum rises at most when only some entries of the rows stay."""
    bits = bit_rows(program.replace(constraints=rows)) & ~_leveled(program, rows)
    part, keeps = rows.take(bits).counted, stays[bits[rows.row]]
    o, upper = program.objective, program.variables.upper
    columns = o.linear, upper, o.adjacency()

    def costs(some: slice) -> tuple[Floats]:
        entries = slice(int(part.ptr[some.start]), int(part.ptr[some.stop]))
        return (kernels.swap_costs(part.part(some), keeps[entries], *columns),)

    (swaps,) = by_rows(costs, part.ptr)
    if bits.all():
        return float(swaps.sum())
    up, down = move_costs(program, np.zeros(len(program)), upper.astype(np.float64))
    level, opener = gate_pairs(program)
    # A key that is deselected takes its level down with it.
    down += np.bincount(
        opener, weights=np.maximum(down[level], 0) * upper[level], minlength=len(program)
    )
    row, dearest = rows.row, np.full((2, len(rows)), -np.inf)
    np.maximum.at(dearest[0], row[stays], up[rows.var[stays]])
    np.maximum.at(dearest[1], row[~stays], down[rows.var[~stays]])
    dropped = np.bincount(row, weights=upper[rows.var] * ~stays, minlength=len(rows))
    lossy = ~bits & (dropped > 0)
    cost = np.maximum(dearest[0, lossy] + dearest[1, lossy], 0)
    return float(swaps.sum() + (cost * np.minimum(rows.counted.keep, dropped)[lossy]).sum())


def _sum(proof: Callable[[], float], waste: float) -> float:
    """Return what a proof proves, and what comes on top."""
    return proof() + waste


def _idle_levels(program: Program, level: Longs) -> tuple[Bools, float]:
    """Return which levels cannot change an energy by more than rounding, and what they can add.

    Args:
        program: without the keys that go, before its constraints are priced.
        level: int64, its levels.
    """
    idle = np.zeros(len(program), bool)
    if not len(level):
        return idle, 0.0
    o, upper = program.objective, program.variables.upper.astype(np.float64)
    pairs, n = np.abs(o.bias) * upper[o.i] * upper[o.j], len(program)
    worth = np.abs(o.linear) * upper + np.bincount(o.i, pairs, n)
    worth += np.bincount(o.j, np.where(o.i == o.j, 0.0, pairs), n)
    largest = np.zeros(int(program.components.max(initial=-1)) + 1)
    np.maximum.at(largest, program.components, worth)
    idle[level] = worth[level] <= _ROUNDING * largest[program.components[level]]
    return idle, float(worth[idle].sum())


def _leveled(program: Program, rows: Constraints) -> Bools:
    """Return which rows have keys with levels."""
    opens = np.zeros(len(program), bool)
    opens[gate_pairs(program)[1]] = True
    return np.asarray(np.bincount(rows.row, weights=opens[rows.var], minlength=len(rows)) > 0)


def _lost_mass(program: Program, rows: Constraints, stays: Bools) -> tuple[str, ...]:
    """Return a note on the softmax mass of dropped keys, where there are any with a mass."""
    if stays.all():
        return ()
    share = kernels.lost_shares(rows.ptr, rows.var, stays, program.variables.mass)
    if np.isnan(share).any():
        return ()
    return (
        f"lost softmax mass: {share.max():.3g} at most in a row, {share.mean():.3g} on average",
    )


def _priority(program: Program) -> Floats:
    """Return the mass of each variable or, where it has none, its own gain."""
    mass = program.variables.mass
    bare = np.isnan(mass)
    return np.where(bare, -program.objective.linear, mass) if bare.any() else mass
