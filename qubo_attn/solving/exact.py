"""Exact solving: blocks that are rows of options are searched, from end to end or by a bound."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Bools, Floats, csr_rows, segment_ids
from qubo_attn.common.threads import by_rows
from qubo_attn.ir.program import Program
from qubo_attn.solving.options import OptionBlocks, option_blocks
from qubo_attn.solving.solution import Solution, Way

# Selections of a row that are searched one by one: bounds hardly tell levels apart.
_MOST_STATES, _MOST_LEVELED = 2.0**15, 2.0**19
# Steps of each search for a bound: more hardly lift it.
_BOUND_STEPS = 30
# Share of all choices that rows with levels are given under a bound, which tells the levels of one
# key hardly apart: what is not proven by then seldom is later.
_OF_LEVELS = 0.01


def solve_exactly(program: Program, most_steps: int) -> Solution:
    """Return the optimum of every block that a search proves, and what it met of some others.

    Args:
        program: before its constraints are priced.
        most_steps: choices after which the search of a block ends unproven.
    """
    objective, solution = program.objective, Solution.nothing(program)
    form = objective.linear, objective.squares(), objective.adjacency()
    blocks = option_blocks(program)
    searched = _search(blocks.rows, form, None, most_steps)
    _enter(solution, blocks, searched)
    large = np.flatnonzero(~searched.proven & np.isinf(searched.energy))
    if len(large):
        _search_bounded(solution, blocks.take(large), form, most_steps)
    return solution


_Form: TypeAlias = "tuple[Floats, Floats, kernels.Adjacency]"  # loads no kernel here


def _search(
    rows: kernels.OptionRows, form: _Form, low: kernels.Minorants | None, most_steps: int
) -> kernels.SearchedRows:
    """Search rows, under a bound where there is one."""
    if low is None:
        low = kernels.Minorants(np.full(len(rows.total), -np.inf), np.zeros(len(rows.item)))
    constant, slope = low
    states = np.where(_leveled(rows), _MOST_LEVELED, _MOST_STATES)

    def work(some: slice) -> kernels.SearchedRows:
        entries = slice(rows.ptr[some.start], rows.ptr[some.stop])
        part = kernels.Minorants(constant[some], slope[entries])
        return kernels.search_rows(rows.part(some), *form, part, states[some], most_steps)

    return kernels.SearchedRows(*by_rows(work, rows.ptr))


def _search_bounded(solution: Solution, blocks: OptionBlocks, form: _Form, most_steps: int) -> None:
    """Search rows of many selections under a bound, and enter what came of them."""
    rows = blocks.rows

    def work(some: slice) -> kernels.Minorants:
        return kernels.bound_rows(rows.part(some), *form, _BOUND_STEPS)

    constant, slope = by_rows(work, rows.ptr)
    leveled = _leveled(rows)
    for some, steps in ((~leveled, most_steps), (leveled, int(_OF_LEVELS * most_steps) + 1)):
        index = np.flatnonzero(some & np.isfinite(constant))
        if len(index):
            part, entries = blocks.take(index), csr_rows(rows.ptr, index)[1]
            low = kernels.Minorants(constant[index], slope[entries])
            _enter(solution, part, _search(part.rows, form, low, steps))


def _leveled(rows: kernels.OptionRows) -> Bools:
    """Return which rows have levels."""
    return np.bincount(segment_ids(rows.ptr), rows.second >= 0, len(rows.total)) > 0


def _enter(solution: Solution, blocks: OptionBlocks, searched: kernels.SearchedRows) -> None:
    """Write down what came of a search: optima, and points that are not proven."""
    met, rows = np.isfinite(searched.energy), blocks.rows
    block = blocks.block[met]
    solution.way[block] = np.where(searched.proven[met], Way.EXACT, Way.SWAP)
    solution.proven[block], solution.energy[block] = searched.proven[met], searched.energy[met]
    solution.bound[blocks.block] = searched.bound
    chosen = np.flatnonzero(searched.chosen & np.repeat(met, np.diff(rows.ptr)))
    solution.point[rows.first[chosen]] = rows.level[chosen]
    two = chosen[rows.second[chosen] >= 0]
    solution.point[rows.second[two]] = rows.above[two]
