"""Backgrounds of a compilation: settled on its first batch, worked out for each."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from qubo_attn.common.arrays import Floats, own_array
from qubo_attn.compilation.recipe import Recipe
from qubo_attn.frontend.attention import Attention, Rows
from qubo_attn.frontend.background import (
    carried_after,
    is_carried,
    is_mean,
    row_backgrounds,
    settled_backgrounds,
)
from qubo_attn.frontend.objectives import Objective
from qubo_attn.frontend.objectives.with_background import WithBackground
from qubo_attn.frontend.program import row_variables
from qubo_attn.frontend.start import with_start
from qubo_attn.ir.ties import Ties
from qubo_attn.passes import TieVariables


def ties_of(recipe: Recipe, attention: Attention) -> Ties:
    """Return the ties of heads and queries."""
    tying = next((step for step in recipe.passes if isinstance(step, TieVariables)), None)
    if tying is None:
        return Ties()
    return tying.resolved(row_variables(attention, recipe.selects))


def settled(recipe: Recipe, attention: Attention) -> Recipe:
    """Return the recipe with every ``"auto"`` background settled on this attention."""
    if attention.values is None or all(_given(o) != "auto" for o in recipe.objectives):
        return recipe
    names = settled_backgrounds(attention, started_rows(recipe, attention))
    objectives = tuple(
        dataclasses.replace(objective, background=names)
        if isinstance(objective, WithBackground) and objective.background == "auto"
        else objective
        for objective in recipe.objectives
    )
    return dataclasses.replace(recipe, objectives=objectives)


def backgrounds_of(recipe: Recipe, attention: Attention) -> Floats | None:
    """Return the background of each row; see `Compilation.backgrounds`."""
    given = [_given(objective) for objective in recipe.objectives]
    if attention.values is None or all(map(is_mean, given)):
        return None
    rows = started_rows(recipe, attention) if any(map(is_carried, given)) else attention.rows
    table = np.zeros((*attention.shape[:2], attention.values.shape[2]))
    for background in dict.fromkeys(given):
        heads = np.array([other == background for other in given])
        own = rows.take(heads[rows.head])
        table[own.head, own.query] = row_backgrounds(attention, own, background)
    return own_array(table)


def carried_of(recipe: Recipe, attention: Attention) -> Floats | None:
    """Return what a batch leaves to the next; see `Compilation.carried`."""
    carries = any(is_carried(_given(objective)) for objective in recipe.objectives)
    if attention.values is None or not carries:
        return attention.carried
    return carried_after(attention, started_rows(recipe, attention))


def _given(objective: Objective) -> Any:
    return objective.background if isinstance(objective, WithBackground) else "mean"


def started_rows(recipe: Recipe, attention: Attention) -> Rows:
    """Return the rows with the selection that each starts from; see `with_start`."""
    ties = ties_of(recipe, attention)
    return with_start(attention, recipe.objectives, recipe.selects, ties)
