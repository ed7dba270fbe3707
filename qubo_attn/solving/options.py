"""Blocks of a program that are rows of options: see `qubo_attn.kernels.searching`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Bools, Floats, Ints, Longs, csr_rows, pointers, segment_ids
from qubo_attn.ir.blocks import without_gates
from qubo_attn.ir.columns import Constraints, Kind, Sense
from qubo_attn.ir.program import Program

# Options and weight of a row beyond which its tables alone are large.
_MOST_OPTIONS, _MOST_WEIGHT = 256, 4096


class OptionBlocks(NamedTuple):
    """Blocks that are rows of options.

    Attributes:
        block: int64, which blocks.
        rows: the same as rows.
    """

    block: Longs
    rows: kernels.OptionRows

    def take(self, index: Longs) -> OptionBlocks:
        """Return some of the blocks."""
        rows = self.rows
        ptr, entries = csr_rows(rows.ptr, index)
        columns = (rows.item, rows.first, rows.level, rows.second, rows.above)
        item, first, level, second, above = (column[entries] for column in columns)
        part = kernels.OptionRows(
            ptr, item, first, level, second, above, rows.weight[entries], rows.total[index],
            rows.equal[index],
        )  # fmt: skip
        return OptionBlocks(self.block[index], part)


def option_blocks(program: Program) -> OptionBlocks:
    """Return the blocks of a program whose keys are one row of options each.

    Besides gates, such a block has no constraint, or one, or several that have to hold exactly.
    Each constraint is a sum, with whole coefficients, of variables that are behind no gate. Every
    such variable of the block is in one. A bit opens the gate of one level at most. Several sums
    are one number in digits: weights are so far apart that no sum carries into the next.

    Args:
        program: before its constraints are priced.
    """
    c, owner = without_gates(program)
    block, upper = program.components, program.variables.upper
    count = int(block.max(initial=-1)) + 1
    held, fit = _levels(program)
    behind = np.zeros(len(program), bool)
    behind[held[held >= 0]] = True
    uses = np.bincount(c.var, minlength=len(program))
    fit &= (uses <= 1) & ~(behind & (uses > 0))
    items = np.bincount(block[~behind], minlength=count)
    size = np.bincount(
        block[~behind], np.where(held >= 0, upper[held] + 1, upper)[~behind], minlength=count
    )
    digit = _digits(c, owner, upper)
    sums, listed = np.bincount(owner, minlength=count), np.bincount(owner[c.row], minlength=count)
    total = np.where(sums > 0, np.bincount(owner, digit * c.rhs, count), items)
    good = (np.bincount(block, ~fit, count) == 0) & (size <= _MOST_OPTIONS)
    good &= (listed == items) | (sums == 0)
    good &= np.bincount(owner, ~_plain(c), count) == 0
    good &= (sums <= 1) | (np.bincount(owner, c.sense != Sense.EQ, count) == 0)
    good &= (total <= _MOST_WEIGHT) | (sums == 0)
    equal = np.zeros(count, bool)
    equal[owner] = c.sense == Sense.EQ
    unit = np.zeros(len(program), np.int64)
    unit[c.var] = (digit[c.row] * c.coef).clip(0, _MOST_WEIGHT + 1)
    total = np.where(good, total, 0).astype(np.int64)
    chosen = np.flatnonzero(good)
    var = np.flatnonzero(good[block] & ~behind)
    var = var[np.argsort(block[var], kind="stable")]
    return OptionBlocks(chosen, _rows(var, held, upper, unit, (block, chosen, total, equal)))


def _digits(c: Constraints, owner: Longs, upper: Ints) -> Floats:
    """Return what one of each constraint's sum weighs among those of its block."""
    digit, order = np.ones(len(c)), np.argsort(owner, kind="stable")
    reach = 1.0 + np.bincount(c.row, np.abs(c.coef) * upper[c.var], len(c))
    before, after = order[:-1], order[1:]
    joined = owner[before] == owner[after]
    # A block of more sums than that weighs too much, whatever they are.
    for _ in range(int(np.log2(_MOST_WEIGHT)) + 1 if joined.any() else 0):
        raised = np.minimum(digit[before] * reach[before], 2.0 * _MOST_WEIGHT)
        digit[after[joined]] = raised[joined]
    return digit


def _levels(program: Program) -> tuple[Longs, Bools]:
    """Return the level that each bit lets be above zero, -1 for none, and what is a row's so far.

    What is not: variables of gates over several, of bits with several gates, and of gates that
    bind more than they open.
    """
    c, upper = program.constraints, program.variables.upper
    held, fit = np.full(len(program), -1, np.int64), np.ones(len(program), bool)
    if not c.gated:
        return held, fit
    gates = c.take(c.kind == Kind.GATE)
    row, opens = gates.row, gates.coef < 0
    simple = (np.diff(gates.ptr) == 2) & (np.bincount(row, opens, len(gates)) == 1)
    simple &= (gates.rhs == 0) & (gates.sense == Sense.LE)
    pair = simple[row]
    bit, level = gates.var[opens & pair], gates.var[~opens & pair]
    room = -gates.coef[opens & pair] / gates.coef[~opens & pair]
    wide = (room >= upper[level]) & (upper[bit] == 1)
    uses = np.bincount(gates.var, minlength=len(program))
    wide &= (uses[bit] == 1) & (uses[level] == 1)
    fit[gates.var] = False
    held[bit[wide]] = level[wide]
    fit[bit[wide]] = fit[level[wide]] = True
    return held, fit


def _plain(c: Constraints) -> Bools:
    """Return which constraints sum up each of their variables a whole number of times."""
    good = np.bincount(c.row, (c.coef < 1) | (c.coef != np.rint(c.coef)), len(c)) == 0
    good &= np.bincount(c.row, c.coef > _MOST_WEIGHT, len(c)) == 0
    return np.asarray(good & (c.rhs == np.rint(c.rhs)) & (c.rhs >= 0) & (c.rhs <= _MOST_WEIGHT))


def _rows(
    var: Longs,
    held: Longs,
    upper: Ints,
    unit: Longs,
    blocks: tuple[Longs, Longs, Longs, Bools],
) -> kernels.OptionRows:
    """Return rows of options, of each item the largest values first.

    Args:
        var: the items, block by block.
        held: the level behind each variable; upper: largest values.
        unit: what one unit of each variable weighs; 0 where options weigh 1 each.
        blocks: the block of each variable; which blocks; total and sense of each block.
    """
    block, chosen, total, equal = blocks
    level = held[var]
    count = np.where(level >= 0, upper[level] + 1, upper[var])
    option = segment_ids(pointers(count))
    back = pointers(count)[option + 1] - np.arange(len(option))  # 1 for the last of an item
    first, second = var[option], level[option]
    value = np.where(second >= 0, 1, back)
    above = np.where(second >= 0, back - 1, 0)
    where = block[first]
    starts = pointers(np.bincount(block[var], minlength=len(total)))
    sizes = np.bincount(where, minlength=len(total))
    return kernels.OptionRows(
        pointers(sizes[chosen]),
        (option - starts[where]).astype(np.int32),
        first.astype(np.int32),
        value.astype(np.int32),
        second.astype(np.int32),
        above.astype(np.int32),
        np.maximum(unit[first] * value, 1),
        total[chosen],
        equal[chosen],
    )
