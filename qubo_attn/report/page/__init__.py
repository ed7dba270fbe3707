"""What a compilation did to attention, as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qubo_attn.errors import InputError
from qubo_attn.pictures.markup import count, escape, plural, share
from qubo_attn.report.facts import submission_facts
from qubo_attn.report.page.attention import attention_section
from qubo_attn.report.page.chip import chip_section
from qubo_attn.report.page.example import example_section
from qubo_attn.report.page.example_row import example_row
from qubo_attn.report.page.machine import (
    chains_section,
    logical_section,
    precision_section,
    time_section,
)
from qubo_attn.report.page.outcome import compared, mean_error, outcome_section
from qubo_attn.report.page.shell import page
from qubo_attn.report.page.stages import stages_section

if TYPE_CHECKING:
    from qubo_attn.compiled import CompiledAttention
    from qubo_attn.decoding.decode import AttentionResult
    from qubo_attn.pipeline.pipeline import Stage


def attention_page(
    compiled: CompiledAttention,
    result: AttentionResult | None = None,
    *,
    tokens: Sequence[object] | None = None,
    reads: int = 1000,
) -> str:
    """Return the page of a compilation; see `CompiledAttention.html`."""
    heads, width, keys = compiled.attention.shape
    names = _names(tokens, keys)
    labels = names if width == keys else [str(query) for query in range(width)]
    submissions, machine = submission_facts(compiled, reads)
    row = example_row(compiled.stages)
    parts = [("attention", "Attention", attention_section(compiled, result, labels, names))]
    if row is not None:
        shown = example_section(compiled, result, row, labels, names)
        parts.append(("row", "One row", shown))
    if result is not None:
        parts.append(("outcome", "After solving", outcome_section(compiled, result)))
    peaks = [getattr(stage, "peak", None) for stage in compiled.stages]
    passes = compiled.recipe.passes
    shown = stages_section(compiled.stages, passes, peaks, (labels, names))
    parts.append(("pipeline", "Pipeline", shown))
    if compiled.placement is None or not len(compiled.program):
        parts.append(("models", "Models", logical_section(compiled.recipe.target, submissions)))
    else:
        lengths = compiled.placement.chain_lengths
        parts += [
            ("chip", "Chip", chip_section(compiled.program, compiled.placement)),
            ("chains", "Chains", chains_section(lengths)),
            ("precision", "Precision", precision_section(compiled)),
            ("time", "Machine time", time_section(submissions, machine)),
        ]
    return page(
        f"Attention of {plural(heads, 'head')}, compiled",
        _lead(compiled),
        _facts(compiled, result, machine),
        parts,
    )


def stages_page(stages: Sequence[Stage], title: str = "A program, compiled") -> str:
    """Return a page on the stages of any pipeline: what passes did to a program.

    For programs that are not attention rows as `qubo_attn.compile` makes them.

    Args:
        stages: what `Pipeline.run` returned; the first is the earliest that is shown.
        title: of the page.

    Raises:
        InputError: there is no stage.

    Example:
        >>> import numpy as np, qubo_attn as qa
        >>> q, k, v = np.random.default_rng(0).normal(size=(3, 2, 3, 4))
        >>> stages = qa.Pipeline((qa.Quantize(bits=8),)).run(qa.qama_program(q, k, v, bits=2))
        >>> "quantize" in qa.stages_page(stages, "QAMA in whole numbers")
        True
    """
    if not stages:
        raise InputError("there are no stages to show", argument="stages")
    program, placement = stages[-1].program, stages[-1].rewrite.placement
    parts = [("pipeline", "Pipeline", stages_section(stages))]
    if placement is not None and len(program):
        parts += [
            ("chip", "Chip", chip_section(program, placement)),
            ("chains", "Chains", chains_section(placement.chain_lengths)),
        ]
    facts = [(name, count(number)) for name, number in stages[-1].counts.items()]
    return page(title, f"What {plural(len(stages), 'stage')} made of a program.", facts, parts)


def _names(tokens: Sequence[object] | None, keys: int) -> list[str]:
    """Return the label of each key."""
    if tokens is None:
        return [str(key) for key in range(keys)]
    if len(tokens) != keys:
        raise InputError(
            f"tokens names {len(tokens)} keys, but there are {keys}",
            argument="tokens",
        )
    # How tokenisers write a space before a word; in a label it would only puzzle.
    return [str(token).lstrip("Ġ▁ ") or str(token) for token in tokens]


def _lead(compiled: CompiledAttention) -> str:
    heads, queries, keys = compiled.attention.shape
    selects = dict.fromkeys(map(str, compiled.recipe.selects))
    chosen = ", ".join(escape(select) for select in selects)
    target = compiled.recipe.target
    return (
        f"{plural(heads, 'head')}, each with {plural(queries, 'query')} looking at "
        f"{plural(keys, 'key')}. In every row (one query of one head) "
        f"a few keys were to be chosen: <code>{chosen}</code>. That choice was rewritten, step by "
        "step, into yes-or-no problems that "
        + (
            "any sampler of binary quadratic models takes."
            if target is None
            else f"<b>{escape(target.label or target.topology)}</b> takes as they are."
        )
    )


def _facts(
    compiled: CompiledAttention, result: AttentionResult | None, machine: dict[str, Any]
) -> list[tuple[str, str]]:
    first, last = compiled.stages[0].program, compiled.program
    facts = [
        ("rows", count(compiled.attention.shape[0] * compiled.attention.shape[1])),
        ("choices", f"{count(len(first))} → {count(len(last))} bits"),
        ("submissions", count(len(compiled.submissions))),
    ]
    if machine and machine["milliseconds"] is not None:
        facts.append(("machine time", f"{machine['milliseconds']:,.0f} ms"))
    if result is not None:
        facts.append(("feasible rows", share(float(result.feasible.mean()))))
        ours, *others = compared(compiled, result)
        if ours.errors is not None:
            facts.append(("output error", share(mean_error(ours.errors))))
            facts.append((f"… of {others[-1].name}", share(mean_error(others[-1].errors))))
    return facts
