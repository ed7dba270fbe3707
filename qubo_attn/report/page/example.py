"""One row as an example, key by key: weights before and after, and what became of each key."""

from __future__ import annotations

import numpy as np

from qubo_attn.common.words import plural
from qubo_attn.pictures.bars import bars
from qubo_attn.pictures.markup import escape, section, share
from qubo_attn.report.page.subject import Subject

_MOST = 16


def example_section(subject: Subject, row: tuple[int, int]) -> str:
    """Return the keys of one row by softmax weight, and what became of each."""
    head, query = row
    result, left, weights = subject.result, subject.candidates[row], subject.softmax[row]
    order = np.argsort(-weights, kind="stable")
    order = order[subject.visible[row][order]]
    selected = np.zeros(len(weights), bool) if result is None else subject.selected[row]
    entries = []
    for key in order[:_MOST].tolist():
        fate, style = ("dropped", "gone") if not left[key] else ("candidate", "flat")
        text = share(float(weights[key]))
        if result is not None and selected[key]:
            fate, style = "kept", "kept"
            text += f" → {share(float(subject.weights[row][key]))}"
        label = subject.keys[key]
        name = label if label == str(key) else f"{key} {label}"
        entries.append((name, float(weights[key]), f"{text}, {fate}", style))
    label = subject.queries[query]
    what = f"query {query}" if label == str(query) else f"query {query} “{label}”"
    rest = order[_MOST:]
    more = (
        f"<p>{plural(len(rest), 'more key')} of less weight: {int((~left[rest]).sum())} dropped, "
        f"{int(selected[rest].sum())} kept.</p>"
        if len(rest)
        else ""
    )
    lead = (
        f"To see what that means, take {escape(what)} of head {head}. Bars are how much it looks "
        "at each key before compilation (softmax)"
    )
    lead += "; an arrow leads to its weight afterwards." if result is not None else "."
    return section("row", "One row of it, key by key", lead, bars(entries), more)
