"""HTML pages of compilations; each is one file that loads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qubo_attn.common.arrays import Ints
from qubo_attn.common.checks import instance, several
from qubo_attn.common.words import plural
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.decoding.result import AttentionResult
from qubo_attn.embedding.placement import Placement
from qubo_attn.errors import InputError
from qubo_attn.pictures.markup import count, escape, share
from qubo_attn.pipeline.pipeline import Stage
from qubo_attn.report.facts import submission_facts
from qubo_attn.report.page.attention import attention_section
from qubo_attn.report.page.chip import chip_section
from qubo_attn.report.page.example import example_section
from qubo_attn.report.page.example_row import example_row
from qubo_attn.report.page.job import job_section
from qubo_attn.report.page.machine import (
    chains_section,
    logical_section,
    precision_section,
    time_section,
)
from qubo_attn.report.page.outcome import Comparison, compared, mean_error, outcome_section
from qubo_attn.report.page.proven import proven_section
from qubo_attn.report.page.shell import page
from qubo_attn.report.page.stages import stages_section
from qubo_attn.report.page.subject import Subject


def attention_page(
    compilation: Compilation,
    result: AttentionResult | None = None,
    *,
    tokens: Sequence[object] | None = None,
    reads: int = 1000,
) -> str:
    """Return the page of a compilation; see `CompiledAttention.html`."""
    subject = Subject.of(compilation, result, tokens)
    program, stages = compilation.program, compilation.stages
    placement, _, source = compilation.seated
    submissions, machine = submission_facts(compilation, reads)
    rivals = () if result is None else compared(subject.attention, result)
    row = example_row(stages)
    parts = []
    if subject.is_drawn:
        parts.append(("attention", "Attention", attention_section(subject)))
    if row is not None and subject.is_drawn:
        parts.append(("row", "One row", example_section(subject, row)))
    if result is not None:
        parts.append(("outcome", "After solving", outcome_section(subject, result, rivals)))
        parts.append(("proven", "Proven optima", proven_section(result)))
        if result.machine is not None:
            parts.append(("job", "Job", job_section(result, result.machine)))
    labels = subject.queries, subject.keys
    pipeline = stages_section(stages, compilation.recipe.passes, labels)
    parts.append(("pipeline", "Pipeline", pipeline))
    if placement is None or not len(program):
        logical = logical_section(compilation.recipe.target, submissions)
        parts.append(("models", "Models", logical))
    else:
        parts += [
            *_on_the_chip(program.variables.head[source], placement),
            ("precision", "Predicted chances", precision_section(compilation)),
            ("time", "Machine time", time_section(submissions, machine)),
        ]
    heads = plural(subject.attention.shape[0], "head")
    facts = _facts(compilation, result, machine, rivals)
    return page(f"Attention of {heads}, compiled", _lead(compilation), facts, parts)


def stages_page(stages: Sequence[Stage], title: str = "A program, compiled") -> str:
    """Return a page on the stages of any pipeline: what passes did to a program.

    For programs that are not attention rows as `qubo_attn.compile` makes them.

    Args:
        stages: what `Pipeline.run` returned; the page begins with the first.
        title: title of the page.

    Raises:
        InputError: there is no stage.

    Example:
        >>> import numpy as np, qubo_attn as qa
        >>> q, k, v = np.random.default_rng(0).normal(size=(3, 2, 3, 4))
        >>> stages = qa.Pipeline((qa.Quantize(bits=8),)).run(qa.qama_program(q, k, v, bits=2))
        >>> "quantize" in qa.stages_page(stages, "QAMA in whole numbers")
        True
    """
    stages = [instance("a stage", stage, Stage) for stage in several("stages", stages)]
    instance("title", title, str)
    if not stages:
        raise InputError("there are no stages to show", argument="stages")
    program, placement = stages[-1].program, stages[-1].rewrite.placement
    parts = [("pipeline", "Pipeline", stages_section(stages))]
    if placement is not None and len(program):
        parts += _on_the_chip(program.variables.head, placement)
    facts = [(name, count(number)) for name, number in stages[-1].counts.items()]
    return page(title, f"What {plural(len(stages), 'stage')} made of a program.", facts, parts)


def _on_the_chip(heads: Ints, placement: Placement) -> list[tuple[str, str, str]]:
    return [
        ("chip", "Chip", chip_section(heads, placement)),
        ("chains", "Chains", chains_section(placement.chain_lengths)),
    ]


def _lead(compilation: Compilation) -> str:
    heads, queries, keys = compilation.attention.shape
    selects = dict.fromkeys(map(str, compilation.recipe.selects))
    choices = ", ".join(escape(select) for select in selects)
    target = compilation.recipe.target
    return (
        f"{plural(heads, 'head')}, each with {plural(queries, 'query')} looking at "
        f"{plural(keys, 'key')}. In every row (one query of one head) "
        f"a few keys were to be chosen: <code>{choices}</code>. That choice was rewritten, step by "
        "step, into yes-or-no problems that "
        + (
            "any sampler of binary quadratic models takes."
            if target is None
            else f"<b>{escape(target.label or target.topology)}</b> takes as they are."
        )
    )


def _facts(
    compilation: Compilation,
    result: AttentionResult | None,
    machine: dict[str, Any],
    rivals: Sequence[Comparison],
) -> list[tuple[str, str]]:
    first, last = compilation.stages[0].program, compilation.program
    facts = [
        ("rows", count(compilation.attention.shape[0] * compilation.attention.shape[1])),
        ("choices", f"{count(len(first))} → {count(len(last))} bits"),
        ("submissions", count(len(compilation.submissions))),
    ]
    if compilation.attention.hidden_by_value:
        facts.append(("keys hidden by value", count(compilation.attention.hidden_by_value)))
    if machine and machine["milliseconds"] is not None:
        facts.append(("machine time", f"{machine['milliseconds']:,.0f} ms"))
    if result is not None:
        facts.append(("feasible rows", share(result.feasible_share)))
        ours, fairest = rivals[0], rivals[-1]
        if ours.errors is not None:
            facts.append(("output error", share(mean_error(ours.errors))))
            facts.append((f"… of {fairest.name}", share(mean_error(fairest.errors))))
    return facts
