"""Short HTML of programs, stages and results, for notebooks; the user's words are escaped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qubo_attn.pictures.diffs import text_html
from qubo_attn.pictures.markup import count, details, escape, listed, plural, short, table
from qubo_attn.report.page.example_row import is_written
from qubo_attn.report.page.stages import bound_of, counts_of

if TYPE_CHECKING:
    from qubo_attn.compiled import CompiledAttention
    from qubo_attn.ir.program import Program
    from qubo_attn.pipeline.pipeline import Stage
    from qubo_attn.pipeline.rewrite import Rewrite
    from qubo_attn.report.facts import Report

# Lines of variables, terms and constraints each.
_LINES = 8


def program_html(program: Program) -> str:
    """Return counts and the head of the text, which goes without couplers nobody wrote out."""
    constraints, written = program.constraints, is_written(program)
    couplers = plural(len(program.objective), "coupler") if written else "couplers not written out"
    facts = (
        f"<p><b>Program</b>: {plural(len(program), 'variable')}, {couplers}, "
        f"{plural(len(constraints), 'constraint')} ({count(constraints.priced.sum())} priced)</p>"
    )
    if not written:
        return facts
    return facts + details("text", text_html(program.text(limit=_LINES)), opened=True)


def rewrite_html(rewrite: Rewrite) -> str:
    """Return what a pass promises, its notes and the program after it."""
    promise = f"bound {short(rewrite.prove())}, margin {short(rewrite.margin)}"
    return f"<p>{escape(promise)}</p>{listed(rewrite.notes)}{program_html(rewrite.program)}"


def stage_html(stage: Stage) -> str:
    """Return a pass and what it did."""
    title = f"<b>{escape(stage.name)}</b> <code>{escape(stage.spec)}</code>"
    return f"<p>{title}, {stage.seconds:.3f} s</p>{rewrite_html(stage.rewrite)}"


def stages_html(stages: Sequence[Stage]) -> str:
    """Return the stages of a pipeline as a table."""
    columns = ("variables", "couplers", "constraints", "priced")
    rows = []
    for before, stage in zip((None, *stages), stages, strict=False):
        counts = counts_of(stage)
        numbers = (count(counts[name]) if name in counts else "–" for name in columns)
        bound = short(bound_of(before, stage))
        rows.append([escape(stage.name), *numbers, bound, f"{stage.seconds:.3f}"])
    return table(["stage", *columns, "bound", "seconds"], rows)


def compiled_html(compiled: CompiledAttention) -> str:
    """Return the stages and where the program goes; no submission is built for it."""
    heads, queries, keys = compiled.attention.shape
    target = compiled.recipe.target
    where = "logical models alone" if target is None else escape(target)
    if compiled.placement is not None:
        where += f", {plural(compiled.placement.submissions, 'submission')}"
    return (
        f"<p><b>Compiled attention</b>: {plural(heads, 'head')} × {plural(queries, 'query')} × "
        f"{plural(keys, 'key')}; {where}</p>{stages_html(compiled.stages)}"
        '<p>The whole story: <code>compiled.write_html("report.html")</code></p>'
    )


def report_html(report: Report) -> str:
    """Return a report as tables."""
    columns = ("variables", "couplers", "constraints", "priced")
    stages = [
        [
            escape(stage["name"]),
            *(escape(stage[name]) for name in columns),
            f"{stage['bound']:.4g}",
            f"{stage['seconds']:.3f}",
        ]
        for stage in report.stages
    ]
    parts = [
        [escape(part[name]) for name in ("index", "rows", *columns[:2], "qubits", "longest_chain")]
        for part in report.submissions
    ]
    rows = ", ".join(f"{number} {name}" for name, number in report.rows.items())
    return (
        table(["stage", *columns, "bound", "seconds"], stages)
        + table(
            ["submission", "rows", *columns[:2], "qubits", "longest chain"],
            parts,
        )
        + f"<p>rows: {escape(rows)}; target: {escape(report.target or 'none')}</p>"
        + details("all of it as text", f"<pre>{escape(report)}</pre>")
    )
