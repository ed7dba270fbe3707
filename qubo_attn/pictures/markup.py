"""Pieces of HTML that all parts of a page share; text of the user is escaped here."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

import numpy as np

# The element of all that differs from run to run.
_VARIES = '<span class="varies">{}</span>'


def escape(thing: object) -> str:
    """Return ``thing`` as text of a page.

    Example:
        >>> escape("<b>")
        '&lt;b&gt;'
    """
    return html.escape(str(thing))


def varies(text: str) -> str:
    """Return a time or a size of memory, marked as differing from run to run."""
    return _VARIES.format(escape(text))


def section(name: str, title: str, lead: str, *parts: str) -> str:
    """Return one part of the page: a heading, an introduction, and its content.

    Args:
        name: name of its anchor.
        title: the heading, as text.
        lead: an introduction for a stranger, as HTML.
        parts: content, as HTML.
    """
    body = "\n".join(part for part in parts if part)
    return (
        f'<section id="{name}" aria-labelledby="{name}-title">\n'
        f'<h2 id="{name}-title">{escape(title)}</h2>\n<p class="lead">{lead}</p>\n{body}\n'
        "</section>"
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table that scrolls on its own where a page is narrow.

    Args:
        heads: titles of the columns, as text; the first column names the rows.
        rows: cells of every row, as HTML.
    """
    top = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    body = "\n".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
        for first, *cells in rows
    )
    return (
        f'<div class="wide" tabindex="0"><table><thead><tr>{top}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def details(summary: str, body: str, *, opened: bool = False) -> str:
    """Return ``body`` (HTML) folded away under ``summary`` (text)."""
    state = " open" if opened else ""
    return f"<details{state}><summary>{escape(summary)}</summary>\n{body}\n</details>"


def listed(items: Iterable[str]) -> str:
    """Return a list of texts; nothing where there is none."""
    entries = "".join(f"<li>{escape(item)}</li>" for item in items)
    return f'<ul class="notes">{entries}</ul>' if entries else ""


def count(number: float) -> str:
    """Return a whole number with separators.

    Example:
        >>> count(10800)
        '10,800'
    """
    return f"{int(number):,}"


def short(number: float) -> str:
    """Return a number in three digits; a dash where there is none.

    Example:
        >>> short(0.0312456), short(float("nan"))
        ('0.0312', '–')
    """
    return f"{number:.3g}" if np.isfinite(number) else "–"


def share(number: float) -> str:
    """Return a share in percent.

    Example:
        >>> share(0.8312)
        '83.1%'
    """
    return f"{number:.1%}" if np.isfinite(number) else "–"
