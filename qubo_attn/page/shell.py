"""The page around its parts: one file, no script, nothing loaded."""

from __future__ import annotations

from collections.abc import Sequence

from qubo_attn._version import __version__
from qubo_attn.page.markup import escape

_STYLE = """
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--soft:#5b6470;--line:#d5dae1;--card:#f6f8fa;
--blue:#2563eb;--amber:#d97706;--red:#b3261e;--green:#17733a;--gone:#80808055}
@media (prefers-color-scheme:dark){:root{--bg:#14171b;--fg:#e6e9ed;--soft:#a2abb7;--line:#3a414a;
--card:#1d2126;--blue:#7aa5f8;--amber:#f0a040;--red:#ff9b93;--green:#7fd69b}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1180px;padding:1rem;background:var(--bg);color:var(--fg);
font:16px/1.5 system-ui,sans-serif}
h1{font-size:1.7rem;line-height:1.2;margin:.5rem 0}h2{font-size:1.3rem;margin:0 0 .3rem}
h3{font-size:1.05rem;margin:.2rem 0}
section{border-top:1px solid var(--line);margin-top:2rem;padding-top:1.2rem}
.lead{max-width:75ch;margin:.2rem 0 1rem}p{margin:.4rem 0}a{color:var(--blue)}
nav{display:flex;flex-wrap:wrap;gap:.2rem 1rem;margin:.8rem 0}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.6rem;margin:1rem 0;
padding:0}
.tiles>div{background:var(--card);border:1px solid var(--line);border-radius:6px;padding:.5rem .7rem}
.tiles dt{color:var(--soft);font-size:.85rem}.tiles dd{margin:0;font-size:1.25rem;font-weight:600}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem;margin:.4rem 0}
th,td{padding:.25rem .7rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child{text-align:left;white-space:normal}thead th{color:var(--soft);font-weight:600;white-space:normal;
vertical-align:bottom}
pre,code{font:13px/1.45 ui-monospace,monospace}code{color:var(--soft)}
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:var(--card);border:1px solid var(--line);border-radius:6px;padding:.6rem;
margin:.4rem 0}
del,ins{text-decoration:none}del{color:var(--red)}ins{color:var(--green)}
.diff span,.more{color:var(--soft)}.more{font-style:italic}
details{margin:.4rem 0}summary{cursor:pointer;color:var(--blue)}
.stage{border-left:3px solid var(--line);padding-left:1rem;margin:1.4rem 0}
.step{display:inline-block;min-width:1.6em;text-align:center;border-radius:1em;background:var(--blue);
color:var(--bg)}
.labels{display:flex;flex-wrap:wrap;gap:.4rem}.labels span{background:var(--card);
border:1px solid var(--line);border-radius:1em;padding:0 .7em;font-size:.88rem}
.notes{margin:.3rem 0;padding-left:1.2rem;color:var(--soft);font-size:.92rem}
.store{position:absolute}
.chooser{border:0;padding:0;margin:0 0 .8rem;display:flex;flex-wrap:wrap;gap:.4rem;min-width:0}
.chooser legend{padding:0 0 .4rem;color:var(--soft)}
.chooser input{position:absolute;opacity:0}
.chooser label{cursor:pointer;border:2px solid var(--line);border-radius:6px;padding:.25rem;
text-align:center;font-size:.8rem;flex:1 1 6.5rem;max-width:9rem}
.chooser svg{width:100%;display:block}
.chooser input:checked+label{border-color:var(--blue);font-weight:700}
.chooser input:focus-visible+label{outline:3px solid var(--amber)}
@supports selector(:has(a)){.panel{display:none}}
.maps{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,20rem),1fr));gap:.5rem}
figure{margin:.4rem 0;min-width:0}figcaption{font-weight:600;font-size:.92rem}
.maps svg{width:100%;max-width:28rem;display:block}
svg text,.ticks text{fill:var(--fg);font:9px system-ui,sans-serif}
.ticks .axis{fill:var(--soft);font-size:11px}
.frame{fill:none;stroke:var(--line);stroke-width:1}
.scale{display:flex;flex-wrap:wrap;gap:.2rem .9rem;font-size:.85rem;color:var(--soft)}
.swatch{display:inline-block;width:1em;height:1em;border:1px solid var(--line);margin-right:.3em;
vertical-align:-.1em}
.swatch.kept,.bar i.kept{background:var(--amber)}.swatch.gone,.bar i.gone{background:var(--gone)}
.swatch.idle{background:var(--soft);opacity:.45}
.key.kept{color:var(--amber);font-weight:600}.key.gone{color:var(--soft);font-weight:600}
.bars{max-width:46rem}
.bar{display:grid;grid-template-columns:10rem 1fr 10.5rem;gap:.6rem;
align-items:center;font-size:.9rem;margin:.15rem 0}
.bar span{text-align:right;overflow-wrap:anywhere}
.bar i{height:1.05em;min-width:1px;display:block;border-radius:2px}.bar b{font-weight:500}
@media (max-width:600px){.bar{grid-template-columns:1fr auto;gap:0 .6rem;margin:.4rem 0}
.bar span{text-align:left}.bar i{grid-row:2;grid-column:1/-1}}
.bar i.ours{background:var(--amber)}.bar i.flat{background:var(--blue)}
.bar i.other{background:var(--blue);opacity:.6}
.plot{width:100%;max-width:46rem;display:block}.plot rect{fill:var(--blue)}
.plot text{font-size:13px}.base{stroke:var(--line)}.mark{stroke:var(--amber);stroke-width:2}
.plot .marked{fill:var(--amber)}
.chips{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,20rem),1fr));gap:1rem}
.chips figure:first-child{grid-column:1/-1}
.chip{width:100%;max-height:60rem;display:block}.chip path{fill:none;stroke-linecap:round}
.chip .idle{stroke:var(--soft);opacity:.45}
footer{border-top:1px solid var(--line);margin-top:2rem;padding-top:.8rem;color:var(--soft);
font-size:.85rem}
"""


def page(
    title: str, lead: str, facts: Sequence[tuple[str, str]], sections: Sequence[tuple[str, str, str]]
) -> str:
    """Return a page.

    Args:
        title: as text.
        lead: what was done, as HTML.
        facts: name (text) and value (HTML) of what matters most.
        sections: anchor, name in the table of contents, and HTML of each part.
    """
    tiles = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{value}</dd></div>" for name, value in facts
    )
    links = "".join(f'<a href="#{name}">{escape(said)}</a>' for name, said, _ in sections)
    body = "\n".join(part for _, _, part in sections)
    # An empty icon in place, as browsers ask for one otherwise.
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
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
<footer>Written by qubo-attn {escape(__version__)}. This file stands alone: it loads nothing.</footer>
</body>
</html>
"""
