"""True energies of whole rows, by which rounds over blocks are judged.

The objective of a component is its true energy, but for `Renormalised`. There the form that is
minimised at a multiplier t stands for the sum of the squared relative errors of the component's
rows, and t moves with the best selection so far.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qubo_attn.common.arrays import Bools, Floats
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.decoding.rounds import Errors, errors_of, joined_rows, restarted
from qubo_attn.formulations.held import component_energies
from qubo_attn.frontend.objectives.renormalised import Renormalised


@dataclass(frozen=True, eq=False)
class TrueEnergy:
    """What whole rows minimise.

    Attributes:
        whole: whole rows, with the multipliers of the best selection so far.
    """

    whole: Compilation

    @property
    def is_ratio(self) -> bool:
        """Whether energies are relative errors, squared."""
        return any(isinstance(o, Renormalised) for o in self.whole.recipe.objectives)

    def of(self, point: Floats) -> Floats:
        """Return the true energy of each component at a point of the whole rows."""
        program = self.whole.stages[-1].program
        if not self.is_ratio:
            return component_energies(program, point)
        relative = relative_squares(self.errors(self.selected(point)))
        count = int(program.components.max(initial=-1)) + 1
        # Rows of which nothing is left to choose are numbered above all components.
        summed = np.bincount(joined_rows(self.whole).ravel(), relative.ravel(), count)
        return np.asarray(summed[:count], np.float64)

    def selected(self, point: Floats) -> Bools:
        """Return the keys that are selected at a point, bool, shape (H, Q, K)."""
        v = self.whole.stages[0].program.variables
        back = self.whole.lift_to(0).lift(point[None])[0]
        table = np.zeros(self.whole.attention.shape, bool)
        table[v.head, v.query, v.key] = back > 0.5
        return table

    def errors(self, selected: Bools) -> Errors:
        """Return the renormalised errors of a selection."""
        return errors_of(self.whole.attention, selected)

    def moved(self, point: Floats) -> TrueEnergy:
        """Return the energy with the multipliers of a better point."""
        if not self.is_ratio:
            return self
        return TrueEnergy(restarted(self.whole, self.selected(point)))


def relative_squares(errors: Errors) -> Floats:
    """Return squared relative errors, huge where nothing is kept, and 0 of rows without keys."""
    return np.nan_to_num(errors.square / errors.size, nan=0.0, posinf=1e300)
