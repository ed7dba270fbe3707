"""Exact solving: blocks of few selections are searched from end to end."""

from __future__ import annotations

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.threads import by_rows
from qubo_attn.ir.program import Program
from qubo_attn.solving.options import option_blocks
from qubo_attn.solving.solution import Solution, Way

# Selections of a row that are searched one by one.
MOST_STATES = 2.0**20


def solve_exactly(program: Program, most_steps: int) -> Solution:
    """Return the optimum of every block that a search proves, and nothing of the others.

    Args:
        program: before its constraints are priced.
        most_steps: choices after which the search of a block ends unproven.
    """
    blocks, objective = option_blocks(program), program.objective
    rows, linear, square = blocks.rows, objective.linear, objective.squares()
    couplers = objective.adjacency()
    nothing = np.full(len(blocks.block), -np.inf), np.zeros(len(rows.item))

    def work(some: slice) -> kernels.SearchedRows:
        part = rows.part(some)
        low = kernels.Minorants(nothing[0][some], nothing[1][: len(part.item)])
        return kernels.search_rows(part, linear, square, couplers, low, MOST_STATES, most_steps)

    searched = kernels.SearchedRows(*by_rows(work, rows.ptr))
    count = int(program.components.max(initial=-1)) + 1
    solution = Solution(
        np.zeros(len(program)),
        np.full(count, Way.SETTLED, np.uint8),
        np.zeros(count, bool),
        np.full(count, np.inf),
        np.full(count, -np.inf),
    )
    block = blocks.block[searched.proven]
    solution.way[block], solution.proven[block] = Way.EXACT, True
    solution.energy[block] = searched.energy[searched.proven]
    solution.bound[blocks.block] = searched.bound
    taken = np.flatnonzero(searched.chosen & np.repeat(searched.proven, np.diff(rows.ptr)))
    solution.point[rows.first[taken]] = rows.level[taken]
    two = taken[rows.second[taken] >= 0]
    solution.point[rows.second[two]] = rows.above[two]
    return solution
