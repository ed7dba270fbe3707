"""Objects in one line, and as a small table for notebooks, however large they are."""

from __future__ import annotations

import dataclasses
import html
from typing import Any

import numpy as np

# Characters of an object's line, and of one field in it.
_LINE, _FIELD = 240, 48
# Entries of a tuple that a notebook lists.
_LISTED = 20


class Brief:
    """Base of frozen dataclasses that show themselves in one line, and in notebooks as a table.

    Example:
        >>> from qubo_attn import Program
        >>> len(repr(Program.parse("x[0,0,0] : -2"))) < 300
        True
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        # Set before the decorator looks, which would spell arrays out.
        if "__repr__" not in vars(cls):
            cls.__repr__ = one_line  # type: ignore[method-assign]

    def _repr_html_(self) -> str:
        return small_table(self)


class Listed:
    """Base of tuples that say how many entries they have, and in notebooks list the first ones."""

    def __repr__(self) -> str:
        return f"{type(self).__name__} of {len(self)}"  # type: ignore[arg-type]

    def _repr_html_(self) -> str:
        first = list(self)[:_LISTED]  # type: ignore[call-overload]
        items = "".join(f"<li><code>{html.escape(repr(entry))}</code></li>" for entry in first)
        return f"<p><b>{html.escape(repr(self))}</b></p><ol start='0'>{items}</ol>"


def one_line(thing: Any) -> str:
    """Return a dataclass as one line of at most 240 characters: arrays by type and shape.

    Example:
        >>> from qubo_attn.ir.lift import Lift
        >>> one_line(Lift.identity(3))[:25]
        'Lift(data=float64[3], ind'
    """
    fields = (f"{name}={text}" for name, text in _texts(thing))
    return _cut(f"{type(thing).__name__}({', '.join(fields)})", _LINE)


def folding(text: str) -> str:
    """Return a text as HTML for notebooks; lines that are too long fold between words."""
    style = "white-space:pre-wrap;word-break:normal;overflow-wrap:anywhere"
    return f"<pre style='{style}'>{html.escape(text)}</pre>"


def scrolling(table: str) -> str:
    """Return a table for notebooks, which scrolls where it is wider than its place."""
    return f"<div style='overflow-x:auto'>{table}</div>"


def small_table(thing: Any) -> str:
    """Return the fields of a dataclass as an HTML table."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>"
        for name, text in _texts(thing)
    )
    return f"<p><b>{html.escape(type(thing).__name__)}</b></p>{scrolling(f'<table>{rows}</table>')}"


def brief(value: object) -> str:
    """Return a value in a few words.

    Example:
        >>> brief(np.zeros((2, 3))), brief((1, 2)), brief(list(range(100)))
        ('float64[2, 3]', '(1, 2)', 'list of 100')
    """
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{list(value.shape)}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _cut(one_line(value), _FIELD)
    if isinstance(value, (tuple, list, dict, set, frozenset)):
        small = len(value) <= 4 and all(isinstance(x, (str, int, float)) for x in value)
        return _cut(repr(value), _FIELD) if small else f"{type(value).__name__} of {len(value)}"
    return _cut(" ".join(repr(value).split()), _FIELD)


def _texts(thing: Any) -> list[tuple[str, str]]:
    return [(f.name, brief(getattr(thing, f.name))) for f in dataclasses.fields(thing) if f.repr]


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 4]} ..."
