"""Annealing under constraints: blocks that no search proves, by exchanges that keep them."""

from __future__ import annotations

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Bools, csr_rows
from qubo_attn.common.threads import by_rows, rows_at
from qubo_attn.ir.blocks import blocks_of, form_of, gates_of, limits_of, without_gates
from qubo_attn.ir.program import Program
from qubo_attn.solving.solution import Solution, Way

# Turns of every variable if nothing else is said, and how often a block is annealed.
SWEEPS, STARTS = 64, 2
# Seeds of blocks are this far apart, so that another seed starts none of them alike.
_APART = 1_000_003


def improve(
    program: Program, solution: Solution, which: Bools, seed: int, sweeps: int = SWEEPS
) -> None:
    """Anneal blocks by exchanges, and enter what is better than what a solution has.

    Args:
        program: before its constraints are priced.
        solution: filled; a block for which no point is met stays as it is.
        which: the blocks.
        seed: of all choices.
        sweeps: turns of every variable.
    """
    constraints, owner = without_gates(program)
    everything, index = blocks_of(program.components, owner), np.flatnonzero(which)
    ptr, entries = csr_rows(everything.ptr, index)
    row_ptr, row_entries = csr_rows(everything.row_ptr, index)
    var, row = everything.var[entries], everything.row[row_entries]
    form = form_of(program.objective, program.variables.upper)
    limits, gates = limits_of(constraints, len(program)), gates_of(program)
    seeds = (seed + _APART * index) % 2**31

    def work(some: slice) -> kernels.SwappedBlocks:
        of_vars, of_rows = rows_at(ptr, some), rows_at(row_ptr, some)
        blocks = kernels.Blocks(of_vars[0], var[of_vars[1]], of_rows[0], row[of_rows[1]])
        return kernels.swap_blocks(blocks, form, limits, gates, sweeps, STARTS, seeds[some])

    swapped = kernels.SwappedBlocks(*by_rows(work, ptr))
    better = swapped.energy < solution.energy[index]
    some = np.repeat(better, np.diff(ptr))
    solution.point[var[some]] = swapped.point[some]
    solution.energy[index[better]] = swapped.energy[better]
    solution.way[index[better]] = Way.SWAP
