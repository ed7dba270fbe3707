"""Items of a stream: read and checked one at a time, as there is room for them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeAlias

from numpy.typing import ArrayLike

from qubo_attn.compilation.options import Options
from qubo_attn.compilation.recipe import Recipe
from qubo_attn.compiler import prepare
from qubo_attn.errors import InputError, QuboAttnError
from qubo_attn.frontend.attention import Attention
from qubo_attn.frontend.heads import Head, count_heads
from qubo_attn.frontend.hidden import read_mask
from qubo_attn.frontend.scores import Scores

RawItem: TypeAlias = Scores | Mapping[str, Scores]
_END: Any = object()
# What an item may hold, and which options of `compile` are arrays like those.
_COLUMNS = ("scores", "values", "keys", "mask")
_ARRAYS = (
    "values", "keys", "mask", "kv_head", "required", "forbidden", "output_projection", "carried",
    "queries",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Item:
    """An item of a stream, checked.

    Attributes:
        number: from 0.
        recipe: how it is compiled; items differ in their masks alone.
        attention: what is compiled.
    """

    number: int
    recipe: Recipe
    attention: Attention


@contextmanager
def naming(number: int) -> Iterator[None]:
    """Add the number of an item to the errors raised within."""
    try:
        yield
    except QuboAttnError as error:
        if "item" not in error.facts:
            error.add_facts(item=number)
            error.args = (f"item {number}: {error}",)
        raise
    except Exception as error:
        error.add_note(f"in item {number}")
        raise


def read_items(
    raw_items: Iterable[RawItem], heads: int | Sequence[Head], options: Options
) -> Iterator[Item]:
    """Yield the items of a stream; the recipe is made with the first.

    Raises:
        InputError: an item does not fit; names it.
    """
    source = iter(raw_items)
    recipe: Recipe | None = None
    for number in count():
        with naming(number):
            raw = next(source, _END)
            if raw is _END:
                return
            columns = _columns(raw)
            inputs: dict[str, Any] = {**options, **columns}
            if recipe is None:
                attention, recipe = prepare(heads=heads, **inputs)
                recipe = _masked(recipe, options.get("mask"))
            else:
                arrays = {name: inputs.get(name) for name in _ARRAYS}
                attention = Attention.check(inputs["scores"], count_heads(heads), **arrays)
            item_recipe = _masked(recipe, columns["mask"]) if "mask" in columns else recipe
        yield Item(number, item_recipe, attention)


def _columns(raw: RawItem) -> dict[str, Any]:
    if not isinstance(raw, Mapping):
        return {"scores": raw}
    unknown = [name for name in raw if name not in _COLUMNS]
    if unknown or "scores" not in raw:
        content = f"it holds {unknown[0]!r}" if unknown else "it holds no 'scores'"
        raise InputError(
            f"an item is an array of scores or a mapping with scores and, as needed, values, keys "
            f"and mask; {content}",
            argument="items",
        )
    return dict(raw)


def _masked(recipe: Recipe, mask: ArrayLike | None) -> Recipe:
    return dataclasses.replace(recipe, mask=None if mask is None else read_mask(mask))
