"""Lowering: checked attention and a recipe in, a compilation out."""

from __future__ import annotations

import time

from qubo_attn.common import memory
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.compilation.recipe import Recipe
from qubo_attn.embedding.placement import Placement, Plan
from qubo_attn.frontend.attention import Attention
from qubo_attn.frontend.coupling import couple
from qubo_attn.frontend.program import build_program
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program
from qubo_attn.passes import TieVariables
from qubo_attn.pipeline.pipeline import Pipeline, Stage
from qubo_attn.pipeline.rewrite import Rewrite


def lower(
    recipe: Recipe,
    attention: Attention,
    placement: Placement | None = None,
    plan: Plan | None = None,
) -> Compilation:
    """Return the compilation of checked attention.

    Args:
        recipe: how to compile.
        attention: what to compile.
        placement, plan: those of an earlier compilation; they serve again where the structure is
            the same.

    Raises:
        InputError: the attention does not fit the recipe.
        EmbeddingError: a row does not fit the target; says how many keys would.
        PassError: a pass cannot run.
    """
    names = "+".join(dict.fromkeys(objective.name for objective in recipe.objectives))
    start = time.perf_counter()
    program, notes = objective_program(recipe, attention)
    rewrite = Rewrite(program, Lift.identity(len(program)), notes=notes)
    first = Stage(names, names, rewrite, time.perf_counter() - start, memory.peak())
    passes = recipe.passes if recipe.embed is None else (*recipe.passes, recipe.embed)
    pipeline = Pipeline(passes, recipe.before, recipe.after, recipe.verify_each)
    stages = (first, *pipeline.run(program, placement))
    return Compilation(attention, recipe, stages, plan)


def objective_program(recipe: Recipe, attention: Attention) -> tuple[Program, tuple[str, ...]]:
    """Return the program before any pass, and notes on it."""
    ties = [step for step in recipe.passes if isinstance(step, TieVariables)]
    tie = ties[0] if ties else None
    program = build_program(attention, recipe.objectives, recipe.selects, tie)
    return couple(program, recipe.couplings, attention.shape[0], tie)
