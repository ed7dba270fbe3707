"""A plan's table as text: columns are left out where a line is too short."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

COLUMNS = (
    "layer", "heads", "k", "slots", "levels", "background", "error", "largest", "programmings",
    "ms",
)  # fmt: skip
# Columns that are left out where a line is too short, the first ones first.
_LEFT_OUT = ("background", "largest", "slots", "ms", "programmings", "levels")
# Columns of words, which stand to the left.
_WORDS = ("layer", "heads", "background")


def table_lines(rows: Sequence[dict[str, str]], width: int | None) -> list[str]:
    """Return a table as lines, its head first; columns that are empty are left out.

    Args:
        rows: cells by column; of `COLUMNS`.
        width: longest line; any when None.

    Example:
        >>> table_lines([{"layer": "attn", "k": "4"}], None)
        ['layer  k', 'attn   4']
    """
    columns = [name for name in COLUMNS if any(row.get(name) for row in rows)]
    sizes = {n: max(len(n), *(len(row.get(n, "")) for row in rows)) for n in columns}
    for name in _LEFT_OUT:
        if width is not None and sum(sizes[n] + 2 for n in columns) - 2 > width:
            columns = [other for other in columns if other != name]

    def line(row: dict[str, str]) -> str:
        cells = (
            row.get(n, "").ljust(sizes[n]) if n in _WORDS else row.get(n, "").rjust(sizes[n])
            for n in columns
        )
        return "  ".join(cells).rstrip()

    return [line(dict(zip(columns, columns, strict=True))), *map(line, rows)]


def numbers_text(numbers: Sequence[int]) -> str:
    """Return ascending numbers in short.

    Example:
        >>> numbers_text([0, 1, 2, 5, 7, 8])
        '0-2,5,7-8'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs)


def folded(text: str, width: int | None) -> list[str]:
    """Return a sentence as lines."""
    return [text] if width is None else textwrap.wrap(text, width)
