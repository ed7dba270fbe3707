"""Items of a stream: read and checked one at a time, as there is room for them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from qubo_attn.compilation.options import Options
from qubo_attn.compilation.recipe import Recipe
from qubo_attn.compiler import prepare
from qubo_attn.errors import InputError, QuboAttnError
from qubo_attn.frontend.attention import Attention
from qubo_attn.frontend.heads import Head, count_heads

Item: TypeAlias = ArrayLike | Mapping[str, ArrayLike]
_END: Any = object()
_ITEM = ("scores", "values", "keys", "mask")


@dataclass(frozen=True, eq=False)
class Entry:
    """An item that was read: checked attention, or why there is none.

    Attributes:
        number: from 0.
        recipe: how it is compiled.
        attention: checked; None where reading or checking failed.
        error: that failure.
    """

    number: int
    recipe: Recipe
    attention: Attention | None = None
    error: Exception | None = None

    def checked(self) -> Attention:
        """Return the attention, or raise what was wrong with it."""
        if self.attention is None:
            assert self.error is not None
            raise self.error
        return self.attention

    def named(self) -> _Naming:
        """Return a context that adds the item's number to errors."""
        return _Naming(self.number)


@dataclass(frozen=True)
class _Naming:
    """Adds an item's number to the errors raised within."""

    number: int

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, QuboAttnError):
            if "item" not in error.facts:
                error.add_facts(item=self.number)
                error.args = (f"item {self.number}: {error}",)
        elif isinstance(error, Exception):
            error.add_note(f"in item {self.number}")


class Source:
    """Reads and checks items, one at a time, up to the first that fails."""

    recipe: Recipe

    def __init__(
        self, items: Iterator[Item], heads: int | Sequence[Head], options: Options
    ) -> None:
        self.items, self.heads, self.options = items, heads, options
        self.number = 0

    def first(self) -> Entry | None:
        """Return the first item, if there is one; its recipe is that of all."""
        for item in self.items:
            self.number = 1
            with _Naming(0):
                given: dict[str, Any] = {**self.options, **_columns(item)}
                attention, recipe = prepare(heads=self.heads, **given)
            self.recipe = _masked(recipe, self.options.get("mask"))
            return Entry(0, recipe, attention)
        return None

    def __iter__(self) -> Iterator[Entry]:
        while True:
            number = self.number
            try:
                item = next(self.items, _END)
                if item is _END:
                    return
                self.number += 1
                entry = self._entry(number, item)
            except Exception as error:
                # Results of the items before it come first.
                yield Entry(number, self.recipe, error=error)
                return
            yield entry

    def _entry(self, number: int, item: Item) -> Entry:
        columns = _columns(item)
        mask, options = columns.get("mask", self.options.get("mask")), self.options
        attention = Attention.check(
            columns["scores"],
            count_heads(self.heads),
            values=columns.get("values", options.get("values")),
            keys=columns.get("keys", options.get("keys")),
            mask=mask,
            kv_head=options.get("kv_head"),
            required=options.get("required"),
            forbidden=options.get("forbidden"),
        )
        recipe = _masked(self.recipe, mask) if "mask" in columns else self.recipe
        return Entry(number, recipe, attention)


def _masked(recipe: Recipe, mask: ArrayLike | None) -> Recipe:
    return dataclasses.replace(recipe, mask=None if mask is None else np.array(mask))


def _columns(item: Item) -> dict[str, Any]:
    if not isinstance(item, Mapping):
        return {"scores": item}
    odd = [name for name in item if name not in _ITEM]
    if odd or "scores" not in item:
        found = f"it holds {odd[0]!r}" if odd else "it holds no 'scores'"
        raise InputError(
            f"an item is an array of scores or a mapping with scores and, as needed, values, keys "
            f"and mask; {found}",
            argument="items",
        )
    return {str(name): value for name, value in item.items()}
