"""What becomes of rows as grids of walls while a machine cools: see `formulations.freezing`."""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Floats, Longs
from qubo_attn.formulations.freezing import feasible_walls, right_valley
from qubo_attn.formulations.proofs import by_walls, step_costs
from qubo_attn.formulations.walls import without_pairs
from qubo_attn.ir.columns import Kind, Role
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program
from qubo_attn.ir.rows import exact_rows


def frozen_chances(
    program: Program, component: Longs, open_: Program, lift: Lift
) -> tuple[Floats, Floats]:
    """Return the chances that every grid of a component holds, and ends in its optimum.

    Args:
        program: what is sampled, priced and over bits.
        component: of each of its variables.
        open_: the program before prices and encodings.
        lift: from ``program`` to it.

    Returns:
        Both chances, one entry a component; 1 where there is no grid.
    """
    priced, rows = program.constraints, open_.constraints
    count = int(component.max(initial=-1)) + 1
    feasible, optimum, weight = np.ones(count), np.ones(count), np.full(count, np.inf)
    walls = np.flatnonzero((priced.kind == Kind.WALL) & priced.priced)
    np.minimum.at(weight, component[priced.var[priced.ptr[walls]]], priced.weight[walls])
    index = np.flatnonzero(exact_rows(open_))
    first = rows.var[rows.ptr[index]]
    # Keys of a grid are made of its bits; the row's own bits stand for themselves elsewhere.
    made = lift.indptr[first + 1] > lift.indptr[first]
    index, bit = index[made], lift.indices[lift.indptr[first[made]]]
    grid = (program.variables.role[bit] == Role.ANCILLA) & np.isfinite(weight[component[bit]])
    index, owner = index[grid], component[bit[grid]]
    if not len(index):
        return feasible, optimum
    plain = without_pairs(open_, index)
    costs = step_costs(plain, plain.constraints.take(index))
    least = by_walls(plain, index, costs, np.zeros(len(index))).weight
    ratio = np.divide(weight[owner], least, out=np.full(len(least), np.inf), where=least > 0)
    keep = rows.rhs[index]
    places = np.diff(rows.ptr)[index] - keep
    holds = feasible_walls(ratio, places)
    np.multiply.at(feasible, owner, holds)
    np.multiply.at(optimum, owner, holds * right_valley(keep * places))
    return feasible, optimum
