"""Objectives: each turns checked attention into the coefficients that a row minimises.

The sign flips here and nowhere else: scores are maximised, energies minimised.
"""

from __future__ import annotations

from qubo_attn.common import vocabulary
from qubo_attn.common.checks import one_of, shown
from qubo_attn.errors import InputError
from qubo_attn.frontend.objectives.base import Objective, SoftObjective
from qubo_attn.frontend.objectives.boltzmann import Boltzmann
from qubo_attn.frontend.objectives.hard import Hard
from qubo_attn.frontend.objectives.layer import Layer
from qubo_attn.frontend.objectives.least_squares import LeastSquares
from qubo_attn.frontend.objectives.output import Output
from qubo_attn.frontend.objectives.redundancy import Redundancy
from qubo_attn.frontend.objectives.renormalised import Renormalised
from qubo_attn.frontend.objectives.selection import Selection
from qubo_attn.frontend.objectives.sparsemax import Sparsemax

__all__ = [
    "OBJECTIVES",
    "Boltzmann",
    "Hard",
    "Layer",
    "LeastSquares",
    "Objective",
    "Output",
    "Redundancy",
    "Renormalised",
    "Selection",
    "SoftObjective",
    "Sparsemax",
    "objective_named",
    "usual_objective",
]

OBJECTIVES: dict[str, type[Objective]] = {
    "boltzmann": Boltzmann,
    "hard": Hard,
    "layer": Layer,
    "least_squares": LeastSquares,
    "output": Output,
    "redundancy": Redundancy,
    "renormalised": Renormalised,
    "selection": Selection,
    "sparsemax": Sparsemax,
}
# The command line lists and completes the names without loading the objectives.
assert set(OBJECTIVES) == set(vocabulary.OBJECTIVES)


def usual_objective(with_values: bool) -> str:
    """Return the name of the objective where none is asked for.

    With values at hand, the error of the output is what a selection is for. Judged by scores alone,
    the best selection is as good as always plain top-k.
    """
    return "output" if with_values else "selection"


def objective_named(objective: str | Objective) -> Objective:
    """Return the objective itself, or the one of that name with its defaults.

    Raises:
        InputError: no objective has that name.
    """
    if not isinstance(objective, str):
        members = ("name", "decoder", "soft", "coefficients")
        if isinstance(objective, type) or not all(hasattr(objective, name) for name in members):
            raise InputError(
                f"objective must be a name or an objective, not {shown(objective)}",
                argument="objective",
                objective=objective,
            )
        return objective
    return OBJECTIVES[one_of("objective", objective, OBJECTIVES)]()
