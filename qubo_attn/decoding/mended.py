"""Mended reads: every read of every row brought to its constraints, and the best one taken.

Repair works on the program as it was before prices and encodings. There, rows are counts, bounds,
budgets, levels and gates. Every point within the ranges has whole levels, whatever bits were
sampled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Array, Bools, Floats, Ints, Longs, csr_rows, read_only
from qubo_attn.common.threads import SUMS, by_rows
from qubo_attn.decoding.reads import PartReads
from qubo_attn.ir.blocks import blocks_of, form_of, gates_of, limits_of, without_gates
from qubo_attn.ir.columns import Constraints, Sense
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program

REPAIRS = ("every", "best", "none")
# Reads of rows of more bits are mended like those of any other block.
_WIDEST = 256


class Mended(NamedTuple):
    """The best point of a program, block by block.

    Attributes:
        point: float64, shape (1, n), once mended.
        raw: float64, shape (1, n), the reads behind it as sampled.
        feasible: share of the reads of each block that hold its constraints as sampled.
        sampled, mended, descended: least objective of a block in a read that holds them: as
            sampled, once mended, and after descent, constants excluded; infinite where none does.
        number: reads of each block, those of all its copies.
    """

    point: Floats
    raw: Floats
    feasible: Floats
    sampled: Floats
    mended: Floats
    descended: Floats
    number: Longs


def mend(
    program: Program, lift: Lift, parts: Iterable[PartReads], *, every: bool, descends: bool
) -> Mended:
    """Mend the reads of every block of a program, and take the best of each.

    Args:
        program: before prices and encodings.
        lift: from the program that was sampled to this one.
        parts: reads of the program that was sampled, all of its variables once.
        every: whether mended reads stand beside feasible ones, or serve where there are none.
        descends: whether reads descend by steps and exchanges once they hold all constraints.

    Returns:
        The best point, and figures of each block; ``program.components`` numbers the blocks.
    """
    blocks, quick = _Blocks.of(program), _counts(program, lift)
    point, figures = np.zeros((2, 1, len(program))), np.zeros((4, len(quick)))
    number = np.zeros(len(quick), np.int64)
    for reads in whole_reads(parts, lift, program.components):
        for chosen, work in (
            (reads.block[quick[reads.block]], blocks.mend_counts),
            (reads.block[~quick[reads.block]], blocks.mend_any),
        ):
            if not len(chosen):
                continue
            ptr, entries = csr_rows(blocks.all.ptr, chosen)
            var = blocks.all.var[entries]
            best = work(_Part(lift, reads, chosen, ptr, var), every, descends)
            point[0, 0, var] = best.point
            point[1, 0, var] = _picked(lift, var, reads, np.repeat(best.best, np.diff(ptr)))
            figures[:, chosen] = best.feasible, best.sampled, best.mended, best.descended
            number[chosen] = reads.weight.sum()
    feasible, sampled, mended, descended = figures
    return Mended(point[0], point[1], feasible, sampled, mended, descended, number)


class _Blocks(NamedTuple):
    """A program as kernels take it.

    Attributes:
        all: its blocks.
        constraints: those that are no gates.
        form, limits, gates: see `kernels.mend_reads`.
    """

    all: kernels.Blocks
    constraints: Constraints
    form: kernels.Form
    limits: kernels.Limits
    gates: kernels.Gates

    @classmethod
    def of(cls, program: Program) -> _Blocks:
        """Return the blocks of a program."""
        c, owner = without_gates(program)
        return cls(
            blocks_of(program.components, owner),
            c,
            form_of(program.objective, program.variables.upper),
            limits_of(c, len(program)),
            gates_of(program),
        )

    def mend_counts(self, part: _Part, every: bool, descends: bool) -> kernels.MendedReads:
        """Mend the reads of blocks that are one count of bits each, rows side by side."""
        c, row = self.constraints, self.all.row[self.all.row_ptr[part.block]]
        keep, equal = c.rhs[row].astype(np.int64), c.sense[row] == Sense.EQ
        rows = kernels.CountBlocks(part.ptr, read_only(part.var.astype(np.int32)), keep, equal)
        reads, source, form = part.reads, part.lift.sources, self.form
        assert source is not None
        bits = kernels.BitReads(reads.bits, reads.weight, reads.column[source])

        def work(some: slice) -> kernels.MendedReads:
            return kernels.mend_counts(
                bits, rows.part(some), form.linear, form.couplers, every, descends
            )

        least = SUMS // max(len(reads.weight), 1)
        return kernels.MendedReads(*by_rows(work, part.ptr, least))

    def mend_any(self, part: _Part, every: bool, descends: bool) -> kernels.MendedReads:
        """Mend the reads of any blocks."""
        line = np.zeros(len(self.form.linear), np.int64)
        line[part.var] = np.arange(len(part.var))
        levels = lifted(part.lift, part.var, part.reads)
        sampled = kernels.SampledReads(levels, line, part.reads.weight)
        row_ptr, row = csr_rows(self.all.row_ptr, part.block)
        blocks = kernels.Blocks(part.ptr, part.var, row_ptr, self.all.row[row])
        return kernels.mend_reads(
            sampled, blocks, self.form, self.limits, self.gates, every, descends
        )


class _Whole(NamedTuple):
    """Reads of whole blocks.

    Attributes:
        block: which blocks.
        bits: int8, shape (m, columns); weight: how often each read occurred.
        column: of each variable that was sampled; 0 for those that are not in here.
    """

    block: Longs
    bits: Array
    weight: Longs
    column: Longs


class _Part(NamedTuple):
    """Some of the blocks that reads are of.

    Attributes:
        lift: from what was sampled to the program of the blocks.
        reads: what was sampled.
        block: which blocks; ptr, var: their variables.
    """

    lift: Lift
    reads: _Whole
    block: Longs
    ptr: Longs
    var: Longs


def whole_reads(parts: Iterable[PartReads], lift: Lift, component: Longs) -> Iterator[_Whole]:
    """Yield the reads of blocks part by part, those of parts that share a block side by side."""
    parts = [seats for part in parts for seats in part.by_seats()]
    if not parts:
        return
    part_of = np.zeros(lift.n_after, np.int64)
    for number, part in enumerate(parts):
        part_of[part.variables] = number
    entry = component[np.repeat(np.arange(lift.n_before), np.diff(lift.indptr))]
    blocks = int(component.max(initial=-1)) + 1
    joined = kernels.connected_components(
        len(parts) + blocks,
        part_of[lift.indices].astype(np.int32),
        (len(parts) + entry).astype(np.int32),
    )
    group, group_of = joined[: len(parts)], joined[len(parts) :]
    # A block without any variable left is fixed; it goes with the first part.
    group_of = np.where(np.isin(group_of, group), group_of, group[0])
    for number in np.unique(group).tolist():
        members = [part for part, g in zip(parts, group, strict=True) if g == number]
        longest = max(members, key=lambda part: len(part.bits))
        column = np.zeros(lift.n_after, np.int64)
        variables = np.concatenate([part.variables for part in members])
        column[variables] = np.arange(len(variables))
        # Parts with fewer reads start again: a block that two share pairs theirs up.
        turns = np.arange(len(longest.bits))
        bits = [part.bits[turns % len(part.bits)] for part in members]
        joint = longest.bits if len(members) == 1 else np.concatenate(bits, axis=1)
        weight = np.asarray(longest.counts, np.int64)
        yield _Whole(np.flatnonzero(group_of == number), joint, weight, column)


def _counts(program: Program, lift: Lift) -> Bools:
    """Return which blocks are one count of bits, each of which was sampled as it is."""
    c, component = program.constraints, program.components
    count = int(component.max(initial=-1)) + 1
    source = lift.sources
    if source is None or c.gated or not len(c):
        return np.zeros(count, bool)
    fit = (source >= 0) & (lift.constant == 0) & (program.variables.upper == 1)
    fit &= program.objective.squares() == 0
    owner, sizes = component[c.var[c.ptr[:-1]]], np.bincount(component, minlength=count)
    good = np.bincount(c.row, c.coef != 1.0, len(c)) == 0
    good &= (c.rhs == np.rint(c.rhs)) & (c.rhs >= 0) & (c.rhs <= sizes[owner])
    good &= np.diff(c.ptr) == sizes[owner]
    plain = (sizes <= _WIDEST) & (np.bincount(owner, minlength=count) == 1)
    plain &= np.bincount(component, ~fit, count) == 0
    return np.asarray(plain & (np.bincount(owner, ~good, count) == 0))


def lifted(lift: Lift, var: Longs, reads: _Whole) -> Ints:
    """Return the level of each variable ``var`` in each read, shape (variables, m)."""
    from scipy import sparse

    matrix = sparse.csr_array(lift.matrix[var])
    local = sparse.csr_array(
        (matrix.data, reads.column[matrix.indices], matrix.indptr),
        shape=(len(var), reads.bits.shape[1]),
    )
    values = local @ reads.bits.T.astype(np.float64) + lift.constant[var][:, None]
    return np.ascontiguousarray(np.rint(values), np.int32)


def _picked(lift: Lift, var: Longs, reads: _Whole, read: Longs) -> Floats:
    """Return the level of each variable in a read of its own, as sampled."""
    from scipy import sparse

    matrix = sparse.csr_array(lift.matrix[var])
    entry = np.repeat(np.arange(len(var)), np.diff(matrix.indptr))
    bits = reads.bits[read[entry], reads.column[matrix.indices]]
    return lift.constant[var] + np.bincount(entry, matrix.data * bits, len(var))
