"""The next batch: new attention by an old recipe, on the structures that were met before."""

from __future__ import annotations

import dataclasses

from numpy.typing import ArrayLike

from qubo_attn.compilation.compilation import Compilation
from qubo_attn.compilation.lower import lower
from qubo_attn.errors import InputError
from qubo_attn.frontend.attention import Attention
from qubo_attn.frontend.hidden import read_mask
from qubo_attn.frontend.scores import Scores


def lower_again(earlier: Compilation, scores: Scores, **given: ArrayLike | None) -> Compilation:
    """Return the compilation of the next batch; see `CompiledAttention.rebind`.

    Args:
        earlier: any compilation by the recipe.
        scores: logits of the next batch, with as many heads.
        **given: ``values``, ``keys``, ``mask``, ``required`` and ``forbidden``; those of the
            earlier batch where None.

    Raises:
        InputError: an argument does not fit, or one of the earlier batch does not fit this one.
    """
    recipe, old = earlier.recipe, earlier.attention
    kept = {"mask": recipe.mask, "required": old.required, "forbidden": old.forbidden}
    pattern = old.pattern
    if pattern is not None:
        flags = {flag: column for flag, column in kept.items() if flag != "mask"}
        kept |= {f: None if c is None else pattern.as_given(c) for f, c in flags.items()}
    arrays = given | {name: kept[name] for name in kept if given[name] is None}
    arrays |= {"output_projection": old.projection, "carried": earlier.carried}
    try:
        attention = Attention.check(
            scores,
            old.shape[0],
            kv_head=recipe.kv_head,
            queries=recipe.queries,
            earlier=old,
            **arrays,
        )
    except InputError as error:
        name = error.facts.get("argument")
        if name in given and given[str(name)] is None:
            error.args = (f"{error}; these are of the batch before: give {name}= of this one",)
        raise
    if given["mask"] is not None:
        recipe = dataclasses.replace(recipe, mask=read_mask(given["mask"]))
    # What was loaded, or came from another process, has not met its own structure yet.
    last = earlier.stages[-1].rewrite
    earlier.structures.keep(last.placement, last.notes)
    return lower(recipe, attention, earlier.structures)
