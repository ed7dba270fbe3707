"""The cheapest settings of a layer's heads that keep an error budget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Floats, Longs
from qubo_attn.compiler import compile
from qubo_attn.frontend.attention import Attention
from qubo_attn.frontend.plan import LayerPlan, Setting


class Search(NamedTuple):
    """What is searched.

    Attributes:
        settings: the cheapest first.
        error: the budget.
        per: ``"head"`` or ``"layer"``: whose mean error keeps it.
        queries: how many queries are measured, evenly spaced; all when None.
        seed: of the solver.
    """

    settings: tuple[Setting, ...]
    error: float
    per: str
    queries: int | None
    seed: int


def cheapest(name: str, attentions: Sequence[Attention], search: Search) -> tuple[LayerPlan, bool]:
    """Return the plan of a layer, and whether it keeps the budget.

    Settings are tried in their order; each head, or the layer as a whole, takes the first whose
    error keeps the budget, and the one of smallest error where none does.

    Args:
        name: of the layer.
        attentions: what the layer had, once or more often, with values.
        search: what is searched.
    """
    heads, alone = attentions[0].shape[0], search.per == "head"
    errors, chosen = np.full(heads, np.inf), np.zeros(heads, np.int64)
    left = np.arange(heads)
    for number, setting in enumerate(search.settings):
        tried = head_errors(attentions, left, setting, search)
        better = tried < errors[left] if alone else np.full(heads, tried.mean() < errors.mean())
        errors[left[better]], chosen[left[better]] = tried[better], number
        kept = errors[left] if alone else np.full(heads, errors.mean())
        left = left[kept > search.error]
        if not len(left):
            break
    settings = tuple(search.settings[number] for number in chosen)
    return LayerPlan(name, settings, tuple(errors.tolist())), not len(left)


def head_errors(
    attentions: Sequence[Attention], heads: Longs, setting: Setting, search: Search
) -> Floats:
    """Return the mean relative error of the output of each head, 0 where no query sees a key.

    Args:
        attentions: what the layer had, with values.
        heads: which heads are measured.
        setting: how they select keys.
        search: which queries are measured, and the seed.
    """
    total, count = np.zeros(len(heads)), np.zeros(len(heads))
    for attention in attentions:
        assert attention.values is not None
        compiled = compile(
            attention.logits[heads],
            [setting.head] * len(heads),
            values=attention.values[heads],
            queries=measured(attention, setting, search.queries),
            slots=setting.slots,
            target=None,
            seed=search.seed,
        )
        errors = compiled.solve(seed=search.seed).output_errors(compiled.attention)
        total += np.nansum(errors, axis=1)
        count += np.isfinite(errors).sum(axis=1)
    return np.asarray(total / np.maximum(count, 1))


def measured(attention: Attention, setting: Setting, most: int | None) -> Longs:
    """Return the queries that are measured: evenly spaced ones of those that see a key.

    A background that is carried is made of all queries, so all are measured then.
    """
    sees = np.flatnonzero(attention.visible.any(axis=(0, 2)))
    if not len(sees):
        return np.arange(attention.shape[1])
    if most is None or most >= len(sees) or setting.background != "mean":
        return sees
    return sees[np.unique(np.linspace(0, len(sees) - 1, most).round().astype(np.int64))]
