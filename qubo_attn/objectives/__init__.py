"""What a row minimises: each objective turns checked attention into coefficients.

The sign flips here and nowhere else: scores are maximised, energies minimised.
"""

from __future__ import annotations

from qubo_attn.errors import InputError
from qubo_attn.objectives.base import Objective
from qubo_attn.objectives.output import Output
from qubo_attn.objectives.redundancy import Redundancy
from qubo_attn.objectives.selection import Selection

__all__ = ["OBJECTIVES", "Objective", "Output", "Redundancy", "Selection", "objective_named"]

OBJECTIVES: dict[str, type[Objective]] = {
    "output": Output,
    "redundancy": Redundancy,
    "selection": Selection,
}


def objective_named(objective: str | Objective) -> Objective:
    """Return the objective itself, or the one of that name with its defaults.

    Raises:
        InputError: no objective has that name.
    """
    if not isinstance(objective, str):
        return objective
    if objective not in OBJECTIVES:
        raise InputError(
            f"unknown objective {objective!r}; one of {', '.join(OBJECTIVES)}", objective=objective
        )
    return OBJECTIVES[objective]()
