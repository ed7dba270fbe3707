"""Differences of two programs' texts, line by line, and texts cut short."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from itertools import chain, groupby, pairwise

from qubo_attn.common.words import plural
from qubo_attn.pictures.markup import escape

# Lines shown of each kind: of heads and variables, of couplers, of constraints.
_SHOWN = (48, 12, 24)
_WIDEST = 800
_CONTEXT = 2
# Share of a line that must be as it was for the rest to stand out.
_ALIKE = 0.5
_MARKS = {"-": "del", "+": "ins", " ": "span"}


def diff_html(before: str, after: str) -> str:
    r"""Return the difference of two programs' texts; lines beyond a limit are only counted.

    Example:
        >>> print(diff_html("a\nb\n", "a\nc\n"))
        <pre class="diff"><span>  a</span>
        <del>- b</del>
        <ins>+ <b>c</b></ins></pre>
        >>> diff_html("a", "a")
        ''
    """
    old, new = before.splitlines(), after.splitlines()
    if old == new:
        return ""
    lines = []
    for kind, run in groupby(_changes(old, new), key=_kind):
        lines += _some(kind, list(run))
    return f'<pre class="diff">{chr(10).join(lines)}</pre>'


def text_html(text: str) -> str:
    """Return a program's text; lines beyond a limit are only counted.

    Example:
        >>> text_html("offset 0")
        '<pre><span>offset 0</span></pre>'
    """
    lines = []
    for kind, run in groupby((f"  {line}" for line in text.splitlines()), key=_kind):
        lines += _some(kind, list(run), indent=2)
    return f"<pre>{chr(10).join(lines)}</pre>"


def _changes(old: list[str], new: list[str]) -> Iterator[str]:
    """Yield lines as `difflib.ndiff` does, without its hints, which cost a quadratic search."""
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for what, i, i_end, j, j_end in matcher.get_opcodes():
        if what == "equal":
            yield from (f"  {line}" for line in old[i:i_end])
            continue
        removed = [f"- {line}" for line in old[i:i_end]]
        added = [f"+ {line}" for line in new[j:j_end]]
        if len(removed) == len(added):
            yield from chain.from_iterable(zip(removed, added, strict=True))
        else:
            yield from (*removed, *added)


def _kind(line: str) -> int:
    """Tell variables from couplers from constraints."""
    return 2 if "]: " in line else 1 if "] * " in line else 0


def _some(kind: int, lines: list[str], indent: int = 0) -> list[str]:
    """Return lines of one kind: the first ones, long runs of unchanged ones cut short."""
    written: list[str] = []
    beyond: list[str] = []
    limit = _SHOWN[kind]
    for same, run in groupby(lines, key=lambda line: line[0] == " " and not indent):
        block = list(run)
        room = min(limit, _CONTEXT if same and len(block) > _CONTEXT + 1 else len(block))
        written += _marked(block[:room], indent)
        limit -= room
        if not limit:
            # From here on lines are only counted, all together.
            beyond += block[room:]
        elif room < len(block):
            written.append(_rest(block[room:], indent))
    return [*written, _rest(beyond, indent)] if beyond else written


def _rest(lines: list[str], indent: int) -> str:
    marks = [line[0] for line in lines]
    words = (("-", " removed"), ("+", " added"), (" ", "" if indent else " unchanged"))
    parts = [f"{plural(marks.count(m), 'line')}{word}" for m, word in words if m in marks]
    return f'<span class="more">… {", ".join(parts)}</span>'


def _marked(lines: list[str], indent: int) -> list[str]:
    marked = []
    for before, line in pairwise(["  ", *lines]):
        text = _cut(line[indent:])
        # Of a line put in place of another, the part that differs stands out.
        replaces = before[0] == "-" and line[0] == "+"
        shared = _shared(before[1:], text[1:]) + 1 if replaces else len(text)
        shared = shared if shared > _ALIKE * len(text) else len(text)
        news = f"<b>{escape(text[shared:])}</b>" if shared < len(text) else ""
        name = _MARKS[line[0]]
        marked.append(f"<{name}>{escape(text[:shared])}{news}</{name}>")
    return marked


def _shared(a: str, b: str) -> int:
    """Return how many characters two lines begin with in common."""
    unlike = (place for place, (x, y) in enumerate(zip(a, b, strict=False)) if x != y)
    return next(unlike, min(len(a), len(b)))


def _cut(text: str) -> str:
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 120]} … {text[-110:]}"
