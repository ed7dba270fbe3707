"""Sparsify: drop keys that a row with a count of its own will not need.

* Rows with no choice left (k = 0, or as many keys as k) are fixed.
* ``dominance`` (lossless): key i is out of every optimum if at least k other keys beat it, that is,
  exchanging i for j lowers the energy whatever the rest is:
  ``a_j - a_i + sum_l max(b_jl - b_il, 0) < 0``; and in every optimum if it beats n - k others.
* ``slots`` (lossy): a row keeps its ``slots`` keys of largest softmax mass. The bound adds up, over
  rows, the dearest min(k, dropped) exchanges of a dropped key for a free kept one; for soft
  weights, the dearest exchange of one level times the levels that dropped keys could hold.

* ``nucleus`` (lossy): of those, the fewest keys that hold this share of the row's softmax mass, and
  never fewer than its count needs; rounded up to one of a few ``sizes``. The same bound; and the
  lost mass is at most one less the share.

Losing a mass d moves the row's attention, renormalised, by at most ``2 d max |v - vbar|``: what is
left weighs more by d / (1 - d), which moves it by d at most, and so do the lost terms. With values
at hand, `CompiledAttention.losses` says so row by row. For the ``output`` objective the bound is in
squared output error as it is.

After it, ``nucleus`` and ``dominance`` aside, every row is a complete graph over its slots,
whatever keys the data chose, so embeddings are found once and fit every later batch. With
``nucleus``, how many rows have which size depends on the data, but not the sizes; ``dominance``
leaves rows of any size. The default pipeline uses neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from numbers import Integral
from typing import ClassVar

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Array, Bools, Floats, Ints, Longs, own_array
from qubo_attn.common.threads import by_rows, rows_at
from qubo_attn.errors import InputError
from qubo_attn.ir.columns import Constraints
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program
from qubo_attn.ir.rows import bit_rows, exact_rows, gate_pairs, open_rows
from qubo_attn.ir.substitute import substitute
from qubo_attn.pipeline.pipeline import UNPRICED, WHOLE_ROWS, Fact
from qubo_attn.pipeline.rewrite import Rewrite, unchanged

# Two an octave: at most half as many keys again as the nucleus needs.
SIZES = (4, 6, 8, 12, 16, 24, 32, 48, 64)


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
        whole = isinstance(self.slots, Integral) and not isinstance(self.slots, bool)
        if self.slots is not None and (not whole or self.slots < 1):
            raise InputError(
                f"slots must be at least 1 and whole, not {self.slots!r}", slots=self.slots
            )
        if self.nucleus is not None and not 0 < self.nucleus <= 1:
            raise InputError(
                f"nucleus must be a share above 0 up to 1, not {self.nucleus}", nucleus=self.nucleus
            )
        whole = all(isinstance(size, Integral) and size >= 1 for size in self.sizes)
        if not whole or any(a >= b for a, b in pairwise(self.sizes)):
            raise InputError(
                f"sizes must be whole numbers from 1 on that ascend, not {self.sizes!r}",
                sizes=self.sizes,
            )

    def apply(self, program: Program) -> Rewrite:
        """Return the program without the keys that were fixed or dropped."""
        rows = program.constraints.take(open_rows(program))
        if not len(rows):
            return unchanged(program, "no rows with a count of their own")
        count = np.rint(rows.rhs).astype(np.int64)
        state = self._fixed(program, rows, count)
        kept = self._kept(program, rows, count, state)
        # The proof reads every coupler, the rest only those that stay: it is made on request.
        proof = None if kept.all() else partial(_loss, program, rows, count, kept)
        gone = (state != 0) | ~kept
        var, value = rows.var[gone], (state[gone] > 0).astype(np.float64)
        level, opener = gate_pairs(program)
        if len(level):
            # A level goes with its key.
            out = np.zeros(len(program), bool)
            out[var[value == 0]] = True
            level = level[out[opener]]
            var = np.concatenate([var, level])
            value = np.concatenate([value, np.zeros(len(level))])
        lift, index = _fix(len(program), var, value)
        sparse_program = substitute(program, lift, program.variables.take(index))
        notes = (
            f"{(state > 0).sum()} keys fixed in, {(state < 0).sum()} fixed out, "
            f"{(~kept & (state >= 0)).sum()} dropped",
            *_lost_mass(program, rows, kept),
        )
        bound = 0.0 if proof is None else None
        return Rewrite(sparse_program, lift, bound=bound, proof=proof, notes=notes)

    def _room(
        self, program: Program, rows: Constraints, count: Longs, slots: int | None = None
    ) -> Longs:
        """Return how many keys each row keeps: its slots, or as many as its count needs."""
        slots = (self.slots or 0) if slots is None else slots
        least = np.minimum.reduceat(program.variables.upper[rows.var], rows.ptr[:-1])
        return np.asarray(np.maximum(slots, -(-count // least)))

    def _fixed(self, program: Program, rows: Constraints, count: Longs) -> Array:
        """Return 1 for keys taken, -1 for keys left out, 0 for open ones, per entry of the rows."""
        exact = exact_rows(program.replace(constraints=rows))
        ungated = exact & ~_leveled(program, rows)
        row, state = rows.row, np.zeros(len(rows.var), np.int8)
        if self.dominance and ungated.any():
            part = rows.take(ungated)
            columns = _columns(program)
            found = kernels.dominated_keys(part.ptr, part.var, count[ungated], *columns)
            state[ungated[row]] = found
        full, none = exact & (count == np.diff(rows.ptr)), count == 0
        if full.any() or none.any():
            state = np.where(full[row], 1, np.where(none[row], -1, state)).astype(np.int8)
        return state

    def _kept(self, program: Program, rows: Constraints, count: Longs, state: Array) -> Bools:
        """Return which entries stay: those taken, then open ones by falling mass."""
        if self.slots is None and self.nucleus is None:
            return np.ones(len(rows.var), bool)
        row = rows.row
        mass = _priority(program)[rows.var]
        kept = np.ones(len(mass), bool)
        if self.slots is not None:
            room = self._room(program, rows, count)
            kept = kernels.heaviest(rows.ptr, state, mass, room)
        if self.nucleus is not None:
            rank = kernels.ranks(rows.ptr, state, mass)
            held, order = np.maximum(mass, 0), np.empty(len(rank), np.int64)
            order[rows.ptr[row] + rank] = np.arange(len(rank))
            total = np.bincount(row, weights=held, minlength=len(rows))
            before = np.empty(len(rank))
            running = np.cumsum(held[order]) - held[order]
            before[order] = running - running[rows.ptr[row]]
            inside = np.bincount(row[before < self.nucleus * total[row]], minlength=len(rows))
            fewest = np.maximum(inside, self._room(program, rows, count, slots=0))
            steps = np.array(self.sizes, np.int64)
            place = np.searchsorted(steps, fewest)
            steps = np.append(steps, 0)
            kept &= rank < np.maximum(fewest, steps[place])[row]
        return np.asarray(kept)


def _columns(program: Program) -> tuple[Floats, Ints, Longs, Ints, Floats]:
    """Return linear biases, upper values, and the couplers in both directions."""
    o = program.objective
    pair = o.i != o.j
    terms = (o.i, o.j, o.bias) if pair.all() else (o.i[pair], o.j[pair], o.bias[pair])
    return o.linear, program.variables.upper, *kernels.adjacency(len(program), *terms)


def _loss(program: Program, rows: Constraints, count: Longs, kept: Bools) -> float:
    """Return how much the optimum rises at most when only ``kept`` entries of the rows stay."""
    bits = bit_rows(program.replace(constraints=rows)) & ~_leveled(program, rows)
    row = rows.row
    part, columns = rows.take(bits), _columns(program)
    counts, stays = count[bits], kept[bits[row]]

    def costs(mine: slice) -> tuple[Array, ...]:
        ptr, entries = rows_at(part.ptr, mine)
        return (kernels.swap_costs(ptr, part.var[entries], counts[mine], stays[entries], *columns),)

    (swaps,) = by_rows(costs, part.ptr)
    if bits.all():
        return float(swaps.sum())
    up, down = _moves(program)
    upper = program.variables.upper
    level, opener = gate_pairs(program)
    # A key that is deselected takes its level down with it.
    down += np.bincount(
        opener, weights=np.maximum(down[level], 0) * upper[level], minlength=len(program)
    )
    dearest = np.full((2, len(rows)), -np.inf)
    np.maximum.at(dearest[0], row[kept], up[rows.var[kept]])
    np.maximum.at(dearest[1], row[~kept], down[rows.var[~kept]])
    dropped = np.bincount(row, weights=upper[rows.var] * ~kept, minlength=len(rows))
    lossy = ~bits & (dropped > 0)
    cost = np.maximum(dearest[0, lossy] + dearest[1, lossy], 0)
    return float(swaps.sum() + (cost * np.minimum(count[lossy], dropped[lossy])).sum())


def _leveled(program: Program, rows: Constraints) -> Bools:
    """Return which rows have keys with levels."""
    if not program.constraints.gated:
        return np.zeros(len(rows), bool)
    opens = np.zeros(len(program), bool)
    opens[gate_pairs(program)[1]] = True
    row = rows.row
    return np.asarray(np.bincount(row, weights=opens[rows.var], minlength=len(rows)) > 0)


def _moves(program: Program) -> tuple[Floats, Floats]:
    """Return the most that one step up, and one step down, of each variable can cost."""
    o, upper = program.objective, program.variables.upper.astype(np.float64)
    up, down = o.linear.copy(), -o.linear
    for ends, others in ((o.i, o.j), (o.j, o.i)):
        pair = o.i != o.j
        weight = o.bias[pair] * upper[others[pair]]
        up += np.bincount(ends[pair], weights=np.maximum(weight, 0), minlength=len(program))
        down -= np.bincount(ends[pair], weights=np.minimum(weight, 0), minlength=len(program))
    square = o.i == o.j
    steep = o.bias[square] * (2.0 * upper[o.i[square]] - 1.0)
    up[o.i[square]] += np.maximum(steep, o.bias[square])
    down[o.i[square]] -= np.minimum(steep, o.bias[square])
    return up, down


def _lost_mass(program: Program, rows: Constraints, kept: Bools) -> tuple[str, ...]:
    """Return a note on the softmax mass of dropped keys, where there are any with a mass."""
    if kept.all():
        return ()
    share = kernels.lost_shares(rows.ptr, rows.var, kept, program.variables.mass)
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


def _fix(n: int, var: Array, value: Floats) -> tuple[Lift, Longs]:
    """Return the lift that fixes ``var`` at ``value``, and the variables that stay."""
    constant, gone = np.zeros(n), np.zeros(n, bool)
    constant[var], gone[var] = value, True
    index = np.flatnonzero(~gone)
    source = np.full(n, -1, np.int64)
    source[index] = np.arange(len(index))
    own_array(source)
    return Lift.select(source, len(index), constant), index
