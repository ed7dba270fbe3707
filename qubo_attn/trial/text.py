"""A trial as text, for terminals of any width."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from qubo_attn.common.words import plural
from qubo_attn.trial.attempt import Attempt

COLUMNS = (
    "keys", "error", "of top-k", "renorm.", "gain", "qubits", "programmings", "ms", "feasible",
    "optimal", "as top-k",
)  # fmt: skip
# Columns that are left out where a line is too short, the first ones first.
_LEFT_OUT = ("qubits", "renorm.", "programmings", "ms", "optimal", "feasible", "of top-k")
_NONE = "-"


def trial_text(
    attempts: Sequence[Attempt],
    best: Attempt,
    skipped: Sequence[int],
    reads: int,
    width: int | None,
) -> str:
    """Return a trial as text; see `Trial.text`."""
    lines = [*_folded([_subject(best, reads)], width), *_table(attempts, width)]
    return "\n".join([*lines, *_folded(_notes(attempts, best, skipped), width)])


def columns_of(attempts: Sequence[Attempt]) -> list[str]:
    """Return the columns that any attempt has something in."""
    texts = [cells(attempt) for attempt in attempts]
    return [name for name in COLUMNS if any(text[name] != _NONE for text in texts)]


def cells(attempt: Attempt) -> dict[str, str]:
    """Return the figures of an attempt by column, as text."""

    def number(value: float | None, digits: str) -> str:
        return _NONE if value is None else format(value, digits)

    return {
        "keys": str(attempt.k),
        "error": number(attempt.ours, ".3f"),
        "of top-k": number(attempt.top_k, ".3f"),
        "renorm.": number(attempt.renormalised, ".3f"),
        "gain": _NONE if attempt.ours is None else f"{attempt.gain:.0%}",
        "qubits": number(attempt.qubits, ","),
        "programmings": number(attempt.programmings, ","),
        "ms": number(attempt.milliseconds, ",.0f"),
        "feasible": _chance(attempt.feasible),
        "optimal": _chance(attempt.optimum),
        # Where there are errors, these say more.
        "as top-k": _NONE if attempt.ours is not None else _share(attempt),
    }


def _chance(chance: float | None) -> str:
    if chance is None:
        return _NONE
    return "<0.01" if 0 < chance < 0.005 else f"{chance:.2f}"


def _share(attempt: Attempt) -> str:
    return f"{attempt.same_as_top_k / attempt.rows:.0%}"


def verdict_of(attempts: Sequence[Attempt], best: Attempt) -> str:
    """Return in one sentence whether it pays."""
    if best.ours is None or best.top_k is None or best.renormalised is None:
        rows = sum(attempt.rows for attempt in attempts)
        same = sum(attempt.same_as_top_k for attempt in attempts)
        what = "equals top-k in every row" if same == rows else f"equals top-k in {same / rows:.0%}"
        of_rows = "" if same == rows else " of the rows"
        return (
            f"without values the objective looks at scores alone, and the selection {what}{of_rows}"
            "; give value vectors (an array value in the file, values= in Python) for a selection "
            "that can do better"
        )
    rival = min(best.top_k, best.renormalised)
    if best.gain <= 0:
        return "no gain: top-k has no more output error with any of these numbers of keys"
    return (
        f"keep {plural(best.k, 'key')}: the output is off by {best.ours:.1%}, by top-k "
        f"{rival:.1%}, which is {best.gain:.0%} less error{_on_a_machine(best)}"
    )


def _on_a_machine(best: Attempt) -> str:
    if best.optimum is None:
        return ""
    return f"; a read of a machine is the median row's optimum with chance {best.optimum:.2g}"


def _subject(best: Attempt, reads: int) -> str:
    compiled = best.compiled
    heads, queries, keys = compiled.attention.shape
    target = compiled.recipe.target
    where = "no machine" if target is None else f"{target}, {reads:,} reads of each programming"
    return (
        f"{plural(heads * queries, 'row')} ({plural(heads, 'head')}, {plural(queries, 'query')}, "
        f"{plural(keys, 'key')}); "
        f"objective {', '.join(dict.fromkeys(o.name for o in compiled.recipe.objectives))}; {where}"
    )


def _notes(attempts: Sequence[Attempt], best: Attempt, skipped: Sequence[int]) -> list[str]:
    """Return what the columns mean, who found the selections, and the verdict."""
    notes = []
    if best.ours is not None:
        notes.append(
            "error: mean relative error of the attention output; of top-k: the largest scores, "
            "decoded alike; renorm.: with weights that add up to 1; gain: over the better one"
        )
    else:
        notes.append("as top-k: rows that keep just their heaviest keys, as top-k does")
    if best.feasible is not None:
        notes.append(
            "feasible, optimal: predicted chances of one read of the median row; ms: of the machine"
        )
    proven, rows = (sum(getattr(each, name) for each in attempts) for name in ("proven", "rows"))
    share = "all" if proven == rows else f"{proven / rows:.1%} of the"
    notes.append(
        f"the local solver found these selections, {share} rows at their proven optimum; "
        "no machine was asked"
    )
    if skipped:
        names = ", ".join(map(str, skipped))
        notes.append(f"left out: {names} keys, as no row sees more than that")
    return [*notes, f"verdict: {verdict_of(attempts, best)}"]


def _table(attempts: Sequence[Attempt], width: int | None) -> list[str]:
    """Return a line of titles and a line for each attempt; columns that do not fit are left out."""
    texts = [dict(zip(COLUMNS, COLUMNS, strict=True)), *map(cells, attempts)]
    sizes = {name: max(len(text[name]) for text in texts) for name in columns_of(attempts)}
    room = float("inf") if width is None else width
    for name in _LEFT_OUT:
        if sum(sizes.values()) + len(sizes) - 1 <= room:
            break
        sizes.pop(name, None)
    gap = "  " if sum(sizes.values()) + 2 * (len(sizes) - 1) <= room else " "
    return [gap.join(f"{text[name]:>{size}}" for name, size in sizes.items()) for text in texts]


def _folded(lines: Sequence[str], width: int | None) -> list[str]:
    if width is None:
        return list(lines)
    fold = textwrap.TextWrapper(
        width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
    return [part for line in lines for part in fold.wrap(line)]
