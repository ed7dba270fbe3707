"""The pipeline, stage by stage: what each is for, what it changed, and its text."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence

import numpy as np

from qubo_attn.common.arrays import Longs
from qubo_attn.common.words import plural
from qubo_attn.embedding.placement import Placement
from qubo_attn.formulations.certificates import Method
from qubo_attn.ir.program import Program, unpriced
from qubo_attn.passes.compress import dynamic_range
from qubo_attn.pictures.diffs import diff_html, text_html
from qubo_attn.pictures.markup import count, details, escape, listed, section, short, table
from qubo_attn.pictures.markup import varies as varying
from qubo_attn.pipeline.pipeline import Pass, Stage
from qubo_attn.report.page.example_row import example_row, is_written, part_of, row_members

# Lines of variables, terms and constraints each, of the row's text and of the whole program's.
_ROW_LINES = 600
_WHOLE_LINES = 6

_OBJECTIVES = {
    "selection": "prefers keys with large scores, and charges for two large ones together",
    "redundancy": "prefers keys with large scores, and charges for two that say the same",
    "output": "makes the kept keys reproduce the row's attention output as closely as they can",
    "sparsemax": "projects the scores onto weights of which most are zero",
    "least_squares": "brings a few soft weights as close to softmax as they come",
    "hard": "takes the largest scores",
    "boltzmann": "seeks no optimum: weights are how often a sampler visits each key",
}
_PASSES = {
    "tie-variables": "Heads (or queries) that are to share one selection get one variable for all.",
    "sparsify": "Keys that cannot matter, or matter least, are dropped, so that every row is small "
    "and of the same shape.",
    "canonicalize": "Keys that must or must not be kept are fixed, and equal constraints merged.",
    "compress": "Coefficients are rounded to fewer bits where that is proven not to move the best "
    "selection.",
    "drop-couplers": "Pair terms that cannot change the best selection are dropped.",
    "insert-penalties": "An annealer knows no constraints: each becomes a price for breaking it, "
    "just high enough that breaking never pays, as is proven.",
    "binarize-weights": "Variables with several levels become several bits; an annealer has "
    "nothing else.",
    "quantize": "Coefficients become whole numbers, as the target takes no others.",
    "embed": "Every bit gets a chain of qubits on the machine, and as many rows as fit share one "
    "programming.",
}


def stages_section(
    stages: Sequence[Stage],
    passes: Sequence[Pass] = (),
    tokens: tuple[Sequence[str], Sequence[str]] | None = None,
) -> str:
    """Return the pipeline as a table, and stage by stage.

    Args:
        stages: stages of a compilation, or of a pipeline of one's own.
        passes: the passes that made them, for a sentence on those of one's own.
        tokens: labels of queries and keys.
    """
    lead = (
        "A compiler lowers a problem step by step. Below is the problem after every step: "
        "<b>variables</b> are the choices still open, <b>couplers</b> the pairs of choices that "
        "matter to each other, <b>range</b> the bits it takes to tell all coefficients of a row "
        "apart (median). <b>Bound</b> is how much worse the best answer can get in that step (0: "
        "not at all), and <b>margin</b> by how much every forbidden answer is proven to lie above "
        "the best one; both in units of the energy that is minimised. In the text, "
        "<code>x[h,q,k]</code> is the choice whether query q of head h keeps key k; "
        "<code>mass</code> is its softmax weight, and a line ends with its coefficient."
    )
    row = example_row(stages)
    by_name = {pass_.name: pass_ for pass_ in passes}
    where = "" if row is None else _row_name(row, tokens)
    members = [] if row is None else row_members(stages, *row)
    texts = [
        part_of(stage.program, variables).text(limit=_ROW_LINES)
        for stage, variables in zip(stages, members, strict=False)
    ]
    parts = []
    for place, stage in enumerate(stages):
        before = stages[place - 1] if place else None
        pieces = [f"<p>{_sentence(stage, by_name.get(stage.name), place)}</p>"]
        pieces += [_changed(before, stage), _proof(stage), listed(stage.rewrite.notes)]
        if texts:
            pieces.append(_row_text(texts, place, where))
        if members and stage.rewrite.placement is not None:
            chains = _chains(stage.program, members[place], stage.rewrite.placement)
            pieces.append(details(f"The chains of {where}", chains))
        if (before is None or stage.program is not before.program) and is_written(stage.program):
            whole = text_html(stage.program.text(limit=_WHOLE_LINES))
            pieces.append(details("The head of the whole program's text", whole))
        parts.append(_article(place, stage, pieces))
    return section("pipeline", "What the compiler did", lead, _table(stages), *parts)


def _table(stages: Sequence[Stage]) -> str:
    rows = []
    for place, stage in enumerate(stages):
        counts, bits = counts_of(stage), range_of(stage.program)
        rows.append(
            [
                f'<a href="#stage{place}">{escape(stage.name)}</a>',
                count(counts["variables"]),
                count(counts["couplers"]) if "couplers" in counts else "not written out",
                f"{count(counts['constraints'])}, {count(counts['priced'])}",
                f"{bits:.1f}" if np.isfinite(bits) else "–",
                short(bound_of(stages[place - 1] if place else None, stage)),
                _margin(stage),
                varying(f"{stage.seconds:.2f}"),
                "–" if stage.peak is None else varying(f"{stage.peak:,.0f}"),
            ]
        )
    heads = ["stage", "variables", "couplers", "constraints, of which priced", "range, bits"]
    heads += ["bound", "margin", "seconds", "most memory so far, MiB"]
    return table(heads, rows)


def counts_of(stage: Stage) -> dict[str, int]:
    """Return the counts of a stage, without couplers where there are too many to be worked out."""
    if is_written(stage.program):
        return stage.counts
    constraints = stage.program.constraints
    return {
        "variables": len(stage.program),
        "constraints": len(constraints),
        "priced": int(constraints.priced.sum()),
    }


def bound_of(before: Stage | None, stage: Stage) -> float:
    """Return the bound of a stage; NaN where its proof takes couplers that are not written out."""
    rewrite = stage.rewrite
    if rewrite.bound is None and before is not None and not is_written(before.program):
        return float("nan")
    return rewrite.prove()


def range_of(program: Program) -> float:
    """Return the median dynamic range in bits of rows on their own, prices included.

    NaN where no row stands alone, variables are not bits, or couplers are not written out; see
    `qubo_attn.passes.compress`.
    """
    if not program.is_binary or not is_written(program):
        return float("nan")
    form = program.total() if program.is_unconstrained else program.objective
    ranges = dynamic_range(unpriced(program).replace(objective=form))
    ranges = ranges[np.isfinite(ranges)]
    return float(np.median(ranges)) if len(ranges) else float("nan")


def _margin(stage: Stage) -> str:
    if stage.rewrite.certificates is None and stage.rewrite.margin == 0:
        return "–"
    return short(stage.rewrite.margin)


def _article(place: int, stage: Stage, pieces: Sequence[str]) -> str:
    body = "\n".join(piece for piece in pieces if piece)
    return (
        f'<article class="stage" id="stage{place}"><h3><span class="step">{place}</span> '
        f"{escape(stage.name)}</h3>\n<code>{escape(stage.spec)}</code>\n{body}</article>"
    )


def _row_text(texts: Sequence[str], place: int, where: str) -> str:
    """Return the text of the example row, as changed by a stage."""
    if not place:
        return details(f"The text of {where}", text_html(texts[0]))
    diff = diff_html(texts[place - 1], texts[place])
    if not diff:
        return f"<p>The text of {escape(where)} stays as it was.</p>"
    return details(f"What changed in the text of {where}", diff, opened=True)


def _sentence(stage: Stage, pass_: Pass | None, place: int) -> str:
    """Return the purpose of a stage; for a pass of the user's own, the start of its docstring."""
    if stage.name in _PASSES:
        return escape(_PASSES[stage.name])
    if place == 0:
        aims = [_OBJECTIVES[name] for name in stage.name.split("+") if name in _OBJECTIVES]
        if aims:
            levels = "" if stage.program.is_binary else ", and how much it is to weigh"
            return (
                f"Your scores become one choice for each query and key, to keep it or not{levels}; "
                f"the best answer {escape('; or '.join(aims))}."
            )
        return "The problem as it was handed in."
    text = inspect.getdoc(type(pass_)) if pass_ is not None else None
    return escape(text.splitlines()[0] if text else "A pass of your own.")


def _changed(before: Stage | None, stage: Stage) -> str:
    """Return as short labels how the counts changed."""
    now = counts_of(stage)
    if before is None:
        names = ("variables", "couplers")
        return _labels(f"{count(now[name])} {name}" for name in names if name in now)
    was = counts_of(before)
    moved = [
        f"{name} {count(was[name])} → {count(now[name])}"
        for name in now
        if name in was and now[name] != was[name]
    ]
    bound = bound_of(before, stage)
    if bound > 0:
        moved.append(f"the optimum rises by {short(bound)} at most")
    elif bound == 0 and len(stage.program) != len(before.program):
        moved.append("the optimum stays")
    if stage.rewrite.restricts:
        moved.append("asks for more than before")
    return _labels(moved)


def _labels(texts: Iterable[str]) -> str:
    spans = "".join(f"<span>{escape(text)}</span>" for text in texts)
    return f'<p class="labels">{spans}</p>' if spans else ""


def _proof(stage: Stage) -> str:
    """Return the proofs of the prices, in words."""
    proofs = stage.rewrite.certificates
    if proofs is None or not len(proofs.index):
        return ""
    numbers = np.bincount(proofs.method, minlength=len(Method)).tolist()
    named = zip(numbers, Method, strict=True)
    by = ", ".join(f"{plural(n, 'row')} by {method.name.lower()}" for n, method in named if n)
    low, high = float(proofs.weight.min()), float(proofs.weight.max())
    return (
        f"<p><b>Certificate:</b> {by}; prices from {short(low)} to {short(high)}, least margin "
        f"{short(float(proofs.margin.min()))}. <code>compiled.certificates.recheck()</code> proves "
        "them again.</p>"
    )


def _row_name(row: tuple[int, int], tokens: tuple[Sequence[str], Sequence[str]] | None) -> str:
    name, query = f"head {row[0]}, query {row[1]}", row[1]
    if tokens is None or tokens[0][query] == str(query):
        return name
    return f"{name} (“{tokens[0][query]}”)"


def _chains(program: Program, members: Longs, placement: Placement) -> str:
    """Return the chain of qubits of each bit of the row."""
    lines = []
    for v in members.tolist():
        chain = placement.chain_qubit[placement.chain_ptr[v] : placement.chain_ptr[v + 1]]
        names = (str(placement.target.qubit_name(int(q))) for q in chain)
        lines.append(f"{program.label(v)}: {', '.join(names)}")
    return text_html("\n".join(lines))
