"""The frame of a page: head, table of contents and footer; no script, nothing loaded."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from qubo_attn._version import __version__
from qubo_attn.pictures.markup import escape


def page(
    title: str,
    lead: str,
    facts: Sequence[tuple[str, str]],
    sections: Sequence[tuple[str, str, str]],
) -> str:
    """Return a page.

    Args:
        title: as text.
        lead: what was done, as HTML.
        facts: name (text) and value (HTML) of the most important facts.
        sections: anchor, name in the table of contents, and HTML of each part.
    """
    tiles = "".join(f"<div><dt>{escape(name)}</dt><dd>{value}</dd></div>" for name, value in facts)
    links = "".join(f'<a href="#{name}">{escape(said)}</a>' for name, said, _ in sections)
    body = "\n".join(part for _, _, part in sections)
    style = files("qubo_attn.report.page").joinpath("page.css").read_text(encoding="utf-8")
    # An empty icon in place, as browsers ask for one otherwise; the policy keeps the promise that
    # nothing is loaded or run, whatever the page holds.
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>
{style}</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
<p class="lead">{lead}</p>
<dl class="tiles">{tiles}</dl>
<nav aria-label="Contents">{links}</nav>
</header>
<main>
{body}
</main>
<footer>Written by qubo-attn {escape(__version__)}. This file stands alone: it loads
nothing.</footer>
</body>
</html>
"""
