"""Rows that keep exactly k bits: taken out of a program, changed, and put back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qubo_attn import kernels
from qubo_attn.formulations.certificates import STEPS
from qubo_attn.ir.program import Program
from qubo_attn.ir.quadratic import Quadratic, Terms
from qubo_attn.ir.rows import lone_rows


def change_rows(
    program: Program, change: Callable[..., kernels.ChangedRows], *options: float
) -> tuple[Program, kernels.ChangedRows]:
    """Apply a kernel to every row that keeps exactly k bits and stands alone.

    Args:
        program: before; other rows stay as they are.
        change: `kernels.drop_couplers` or `kernels.compress_rows`.
        *options: its budget and what else it takes before the number of gradient steps.

    Returns:
        The program after, and what the change does to each row.
    """
    o, rows = program.objective, program.constraints.take(lone_rows(program))
    number, bias = np.arange(1.0, len(o) + 1.0), o.bias.copy()
    adjacency = kernels.adjacency(len(program), o.i, o.j, number)
    changed = change(rows.counted, o.linear, adjacency, bias, *options, STEPS)
    offset, terms = o.offset + float(changed.offset.sum()), Terms.nonzero(o.i, o.j, bias, True)
    objective = Quadratic(offset, changed.linear, couplers=terms)
    return program.replace(objective=objective), changed
