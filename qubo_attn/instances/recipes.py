"""What instances are made of: an objective, what rows keep, and which rows are joined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from qubo_attn.frontend.coupling import Agreement, Coupling, Diversity
from qubo_attn.frontend.select import AtMostK, ExactlyK, OneHot, Select, SoftWeights
from qubo_attn.passes import TieVariables

# Levels of soft weights: two bits each.
_LEVELS = 3


@dataclass(frozen=True)
class Recipe:
    """How an instance is compiled.

    Attributes:
        kind: ``"row"``, ``"at-most"``, ``"soft"``, ``"tied"`` or ``"coupled"``.
        objective: name of what it minimises.
        keys: numbers of keys that a row may keep.
        select: returns what a row keeps, from such a number.
        bits: of each key.
        heads, queries: how many are tied or coupled.
        coupling: of the heads; None where they are tied, or there is one.
        needs: arrays that the objective needs.
    """

    kind: str
    objective: str
    keys: tuple[int, ...]
    select: Callable[[int], Select]
    bits: int = 1
    heads: int = 1
    queries: int = 1
    coupling: Coupling | None = None
    needs: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows have bits of their own."""
        return 1 if self.coupling is None else self.heads

    def options(self) -> dict[str, Any]:
        """Return options of `qubo_attn.compile` for joined rows."""
        if self.kind != "tied":
            return {"coupling": self.coupling}
        one = np.zeros(self.heads, np.int64)
        return {"tie": TieVariables.from_kv_head(one, queries=self.queries > 1)}


def _one(k: int) -> Select:
    return OneHot()


def _levels(k: int) -> Select:
    return SoftWeights(_LEVELS)


def _soft(k: int) -> Select:
    return SoftWeights(_LEVELS, k=k)


_VALUES, _KEYS = ("values",), ("keys",)
_FEW, _MORE = (2, 3), (2, 3, 4, 6, 8)
RECIPES = (
    Recipe("row", "output", _MORE, ExactlyK, needs=_VALUES),
    Recipe("soft", "output", (2, 3, 4), _soft, bits=3, needs=_VALUES),
    Recipe("tied", "output", _MORE, ExactlyK, heads=2, needs=_VALUES),
    Recipe("coupled", "output", _FEW, ExactlyK, heads=2, coupling=Diversity(), needs=_VALUES),
    Recipe("row", "redundancy", _MORE, ExactlyK, needs=_KEYS),
    Recipe("soft", "sparsemax", (1,), _levels, bits=2),
    Recipe("tied", "output", _MORE, ExactlyK, heads=1, queries=4, needs=_VALUES),
    Recipe("coupled", "redundancy", _FEW, ExactlyK, heads=2, coupling=Diversity(), needs=_KEYS),
    Recipe("row", "selection", _MORE, ExactlyK),
    Recipe("soft", "least_squares", (1,), _levels, bits=2),
    Recipe("at-most", "output", _MORE, AtMostK, needs=_VALUES),
    Recipe("coupled", "hard", (1,), _one, heads=3, coupling=Diversity()),
    Recipe("row", "renormalised", (2, 3, 4), ExactlyK, needs=_VALUES),
    Recipe("row", "layer", _MORE, ExactlyK, needs=("values", "output_projection")),
    Recipe("coupled", "boltzmann", (1,), _one, heads=3, coupling=Agreement()),
)
