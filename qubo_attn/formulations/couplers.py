"""What `DropCouplers` and `Compress` share: rows out of a program, changed, and back into it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Array, Floats
from qubo_attn.errors import InputError
from qubo_attn.formulations.certificates import STEPS
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program
from qubo_attn.ir.quadratic import Quadratic
from qubo_attn.ir.rows import lone_rows
from qubo_attn.pipeline.rewrite import Rewrite

# Fields; per row the change of the offset, the bound, the error; and what the pass counts.
Changed = tuple[Floats, Floats, Floats, Floats, Array]
Change = Callable[..., Changed]


def check_budget(budget: float) -> None:
    """Reject a budget that is no share."""
    if not 0.0 <= budget <= 1.0:
        raise InputError(f"budget must be a share from 0 to 1, not {budget}", budget=budget)


def change_rows(program: Program, change: Change, *options: float) -> tuple[Rewrite, Array]:
    """Apply a kernel to every row that keeps exactly k bits and stands alone.

    Args:
        program: before; other rows stay as they are.
        change: `kernels.drop_couplers` or `kernels.compress_rows`.
        *options: its budget and what else it takes before the number of gradient steps.

    Returns:
        The rewrite without notes, and what the kernel counted in each row.
    """
    o, rows = program.objective, program.constraints.take(lone_rows(program))
    number, bias = np.arange(1.0, len(o) + 1.0), o.bias.copy()
    adjacency = kernels.adjacency(len(program), o.i, o.j, number)
    count = np.rint(rows.rhs).astype(np.int64)
    linear, offset, bound, error, counted = change(
        rows.ptr, rows.var, count, o.linear, *adjacency, bias, *options, STEPS
    )
    kept = bias != 0
    objective = Quadratic(o.offset + float(offset.sum()), linear, o.i[kept], o.j[kept], bias[kept])
    rewrite = Rewrite(
        program.replace(objective=objective),
        Lift.identity(len(program)),
        bound=float(bound.sum()),
        error=float(error.sum()),
    )
    return rewrite, counted
