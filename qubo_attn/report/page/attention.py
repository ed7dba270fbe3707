"""Maps of every head: attention as given, as left to choose from, and as selected."""

from __future__ import annotations

import numpy as np

from qubo_attn.common.arrays import Array, Bools
from qubo_attn.common.words import plural
from qubo_attn.pictures import heat
from qubo_attn.pictures.markup import escape, section, share
from qubo_attn.pictures.png import png_uri
from qubo_attn.report.page.subject import Subject

_SCALE = (0.01, 0.04, 0.1, 0.25, 0.5, 1.0)


def attention_section(subject: Subject) -> str:
    """Return the maps of all heads, with a chooser that needs no script."""
    heads, result = subject.attention.shape[0], subject.result
    lead = (
        "Each map is one head. A line is a query, and the stronger a square's colour, the more "
        "that query looks at that key; empty squares are keys it does not see, or next to nothing. "
        "<b>Given</b> is the softmax of your scores. <b>Candidates</b> are the "
        'keys the compiler left to choose from (dropped ones are <span class="key gone">grey'
        "</span>)."
    )
    if result is not None:
        lead += (
            ' <b>Selected</b> is what came back: kept keys are <span class="key kept">amber</span>,'
            " stronger with more weight; what is still blue was not kept and shares the rest."
        )
    frame = heat.Frame.of(subject.queries, subject.keys)
    pictures, chooser, panels = [], [], []
    for head in range(heads):
        names, maps, facts = [], [], _facts(subject, head)
        for title, pixels in _maps(subject, head):
            name, uri = f"{title[0]}{head}", png_uri(heat.shrunk(pixels, heads))
            names.append(name)
            pictures.append(heat.picture(name, uri, frame))
            maps.append(heat.large(name, title, f"head {head}, {title}: {facts}", frame))
        checked = " checked" if head == 0 else ""
        chooser.append(
            f'<input type="radio" name="head" id="head{head}"{checked}>'
            f'<label for="head{head}">{heat.small((names[0], names[-1]), frame)}'
            f"<span>head {head}</span></label>"
        )
        panels.append(
            f'<div class="panel" id="panel{head}"><h3>Head {head}</h3>'
            f'<p>{escape(facts)}</p><div class="maps">{"".join(maps)}</div></div>'
        )
    hidden = (
        f'<svg width="0" height="0" class="store" aria-hidden="true"><defs>{"".join(pictures)}'
        f"{heat.axes(subject.queries, subject.keys, frame)}</defs></svg>"
    )
    picked = "\n".join(
        f".heads:has(#head{head}:checked) #panel{head}{{display:block}}" for head in range(heads)
    )
    return section(
        "attention",
        "Your attention, before and after",
        lead,
        f"<style>{picked}</style>{hidden}",
        f'<div class="heads"><fieldset class="chooser"><legend>Choose a head: given and '
        f"{'selected' if result is not None else 'candidates'}</legend>{''.join(chooser)}"
        f"</fieldset>{_scale()}{''.join(panels)}</div>",
    )


def _maps(subject: Subject, head: int) -> list[tuple[str, Array]]:
    result = subject.result
    seen, softmax = subject.visible[head], subject.softmax[head]
    maps = [
        ("given", heat.weights_map(softmax, seen)),
        ("candidates", heat.candidates_map(softmax, seen, subject.candidates[head])),
    ]
    if result is not None:
        pixels = heat.selected_map(subject.weights[head], seen, subject.selected[head])
        maps.append(("selected", pixels))
    return maps


def _facts(subject: Subject, head: int) -> str:
    """Return in words what a head's maps show."""
    attention, result = subject.attention, subject.result
    rows = subject.visible[head].any(axis=-1)
    if not rows.any():
        return "No query of this head sees any key."
    softmax = subject.softmax[head][rows]
    seen, left = subject.visible[head][rows], subject.candidates[head][rows]
    text = (
        f"Queries see {_span(seen)}; the compiler left {_span(left)} to choose from, which "
        f"hold {share(float((softmax * left).sum(-1).mean()))} of the softmax weight on average."
    )
    if result is not None:
        selected = subject.selected[head][rows]
        text += (
            f" The solution keeps {_span(selected)}, which hold "
            f"{share(float((softmax * selected).sum(-1).mean()))}."
        )
        if result.context is not None:
            error = result.output_errors(attention)[head][rows]
            text += f" Its output is off by {share(float(np.nanmean(error)))} on average."
    if not rows.all():
        text += f" {plural(int((~rows).sum()), 'query')} without any key."
    return text


def _span(keys: Bools) -> str:
    """Return in words how many keys rows have."""
    counts = keys.sum(axis=-1)
    low, high = int(counts.min()), int(counts.max())
    return plural(high, "key") if low == high else f"{low} to {plural(high, 'key')}"


def _scale() -> str:
    """Return the legend of the colours."""
    steps = "".join(
        f'<span><i class="swatch" style="background:rgb(37 99 235/{weight**0.5:.2f})"></i>'
        f"{weight:.0%}</span>"
        for weight in _SCALE
    )
    return (
        f'<p class="scale"><span>softmax weight:</span>{steps}'
        '<span><i class="swatch kept"></i>kept key</span>'
        '<span><i class="swatch gone"></i>dropped key</span></p>'
    )
