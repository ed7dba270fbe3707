"""Lowering: checked attention and a recipe in, a compilation out."""

from __future__ import annotations

import time

from qubo_attn.common import memory
from qubo_attn.compilation.backgrounds import settled, ties_of
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.compilation.filling import filled
from qubo_attn.compilation.recipe import Recipe
from qubo_attn.compilation.structures import Structures
from qubo_attn.frontend.attention import Attention
from qubo_attn.frontend.coupling import couple
from qubo_attn.frontend.program import add_budgets, build_program
from qubo_attn.frontend.required import add_required
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program
from qubo_attn.ir.ties import Ties
from qubo_attn.passes import Embed, TieVariables
from qubo_attn.pipeline.pipeline import Pipeline, Stage
from qubo_attn.pipeline.rewrite import Rewrite


def lower(
    recipe: Recipe,
    attention: Attention,
    structures: Structures | None = None,
) -> Compilation:
    """Return the compilation of checked attention.

    Args:
        recipe: how to compile.
        attention: what to compile.
        structures: those of earlier compilations by this recipe; their placements and wirings
            serve again. New ones when None.

    Raises:
        InputError: the attention does not fit the recipe.
        EmbeddingError: a row does not fit the target; says how many keys would.
        PassError: a pass cannot run.
    """
    recipe = settled(recipe, attention)
    names = "+".join(dict.fromkeys(objective.name for objective in recipe.objectives))
    start = time.perf_counter()
    program, ties, notes = objective_program(recipe, attention)
    rewrite = Rewrite(program, Lift.identity(len(program)), notes=notes)
    first = Stage(names, names, rewrite, time.perf_counter() - start, memory.peak())
    passes = recipe.passes if recipe.embed is None else (*recipe.passes, recipe.embed)
    pipeline = Pipeline(passes, recipe.before, recipe.after, recipe.verify_each)
    structures = Structures() if structures is None else structures
    known = {TieVariables.name: ties, Embed.name: structures.placements}
    stages = (first, *pipeline.run(program, known))
    structures.keep(stages[-1].rewrite.placement, stages[-1].rewrite.notes)
    return filled(Compilation(attention, recipe, stages, structures))


def objective_program(
    recipe: Recipe, attention: Attention
) -> tuple[Program, Ties, tuple[str, ...]]:
    """Return the program before any pass, the ties of its heads, and notes on it."""
    ties = ties_of(recipe, attention)
    program = build_program(attention, recipe.objectives, recipe.selects, ties)
    program = add_budgets(program, recipe.selects, ties)
    program = add_required(program, attention, ties)
    program, notes = couple(program, recipe.couplings, attention.shape[0], ties)
    return program, ties, notes
