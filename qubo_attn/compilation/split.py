"""Compilations whose rows were split into blocks: the whole rows, and one round after another."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from qubo_attn.compilation.compilation import Compilation
from qubo_attn.compilation.filling import filled
from qubo_attn.formulations.held import Held
from qubo_attn.passes import Embed, SplitRows
from qubo_attn.pipeline.pipeline import Pass, Pipeline


class Split(NamedTuple):
    """A compilation parted at the pass that splits its rows.

    Attributes:
        compiled: what was compiled: the first round.
        whole: the same up to that pass: whole rows.
        splitter: that pass.
        later: the passes after it, the embedding among them.
    """

    compiled: Compilation
    whole: Compilation
    splitter: SplitRows
    later: tuple[Pass, ...]

    @classmethod
    def of(cls, compiled: Compilation) -> Split | None:
        """Return a compilation parted; None where no row of it was split."""
        recipe, stages = compiled.recipe, compiled.stages
        for number, splitter in enumerate(recipe.passes):
            if isinstance(splitter, SplitRows) and not stages[number + 1].lift.is_identity:
                early = dataclasses.replace(recipe, passes=recipe.passes[:number], embed=None)
                whole = Compilation(
                    compiled.attention, early, stages[: number + 1], compiled.structures
                )
                last = () if recipe.embed is None else (recipe.embed,)
                return cls(compiled, whole, splitter, (*recipe.passes[number + 1 :], *last))
        return None

    def round(self, whole: Compilation, held: Held) -> Compilation:
        """Return the compilation of one round, of the class of the first one.

        Args:
            whole: whole rows; those of `whole` or, with other multipliers, of the same structure.
            held: where the rows stand.
        """
        recipe = dataclasses.replace(self.compiled.recipe, objectives=whole.recipe.objectives)
        passes = (self.splitter, *self.later)
        pipeline = Pipeline(passes, recipe.before, recipe.after, recipe.verify_each)
        known = {SplitRows.name: held, Embed.name: whole.structures.placements}
        stages = (*whole.stages, *pipeline.run(whole.stages[-1].program, known))
        whole.structures.keep(stages[-1].rewrite.placement, stages[-1].rewrite.notes)
        again = dataclasses.replace(self.compiled, recipe=recipe, stages=stages, copies=None)
        return filled(again)
