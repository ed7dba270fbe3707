"""One query, key by key: the whole story in one row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from qubo_attn.pictures.bars import bars
from qubo_attn.pictures.markup import escape, plural, section, share
from qubo_attn.report.page.attention import candidates

if TYPE_CHECKING:
    from qubo_attn.compiled import CompiledAttention
    from qubo_attn.decoding.decode import AttentionResult

_MOST = 16


def example_section(
    compiled: CompiledAttention,
    result: AttentionResult | None,
    row: tuple[int, int],
    queries: Sequence[str],
    keys: Sequence[str],
) -> str:
    """Return the keys of one row by softmax weight, and what became of each."""
    head, query = row
    attention, left = compiled.attention, candidates(compiled)[row]
    weights = attention.softmax[row]
    order = np.argsort(-weights, kind="stable")
    order = order[attention.visible[row][order]]
    kept = np.zeros(len(weights), bool) if result is None else result.selected[row]
    entries = []
    for key in order[:_MOST].tolist():
        fate, style = ("dropped", "gone") if not left[key] else ("candidate", "flat")
        text = share(float(weights[key]))
        if kept[key]:
            assert result is not None
            fate, style = "kept", "kept"
            text += f" → {share(float(result.weights[row][key]))}"
        named = f"{key}" if keys[key] == str(key) else f"{key} {keys[key]}"
        entries.append((named, float(weights[key]), f"{text}, {fate}", style))
    what = f"query {query}" if queries[query] == str(query) else f"query {query} “{queries[query]}”"
    rest = order[_MOST:]
    more = (
        f"<p>{plural(len(rest), 'more key')} of less weight: {int((~left[rest]).sum())} dropped, "
        f"{int(kept[rest].sum())} kept.</p>"
        if len(rest)
        else ""
    )
    lead = (
        f"To see what that means, take {escape(what)} of head {head}. Bars are how much it looks "
        "at each key before compilation (softmax)"
    )
    lead += "; an arrow leads to its weight afterwards." if result is not None else "."
    return section("row", "One row of it, key by key", lead, bars(entries), more)
