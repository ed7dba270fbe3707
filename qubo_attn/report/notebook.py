"""The short HTML of a compilation, for notebooks."""

from __future__ import annotations

from qubo_attn.common.brief import scrolling
from qubo_attn.common.words import plural
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.pictures.markup import count, escape, table
from qubo_attn.report.page.stages import counts_of
from qubo_attn.report.text import bound_text


def compiled_html(compilation: Compilation) -> str:
    """Return the stages and where the program goes; no submission is built for it."""
    heads, queries, keys = compilation.attention.shape
    target, placement = compilation.recipe.target, compilation.placement
    where = "logical models alone" if target is None else escape(target)
    if placement is not None:
        where += f", {plural(placement.submissions, 'submission')}"
    columns, rows = ("variables", "couplers", "constraints", "priced"), []
    for stage in compilation.stages:
        counts = counts_of(stage)
        numbers = (count(counts[name]) if name in counts else "–" for name in columns)
        bound = bound_text(stage.rewrite.bound)
        rows.append([escape(stage.name), *numbers, bound, f"{stage.seconds:.3f}"])
    stages = table(["stage", *columns, "bound", "seconds"], rows)
    return (
        f"<p><b>Compiled attention</b>: {plural(heads, 'head')} × {plural(queries, 'query')} × "
        f"{plural(keys, 'key')}; {where}</p>{scrolling(stages)}"
        '<p>The whole story: <code>compiled.write_html("report.html")</code></p>'
    )
