"""The chip with its packed rows, as SVG."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qubo_attn.common.arrays import Array, Longs
from qubo_attn.embedding.placement import Placement
from qubo_attn.ir.program import Program
from qubo_attn.machine.target import Target
from qubo_attn.pictures.markup import escape, plural, section
from qubo_attn.report.chip import Chip, chip_of, places

_SIDE = 1000
_DRAWN = 4


def chip_section(program: Program, placement: Placement) -> str:
    """Return a drawing of every submission, the first with its couplers."""
    target = placement.target
    lead = (
        "A machine has a fixed graph of qubits (dots). A bit that needs more neighbours than one "
        "qubit has becomes a <b>chain</b> of several that must agree (thick lines). Independent "
        "rows do not touch each other, so many are solved in one go; colours are heads."
    )
    where = _scaled(target)
    drawn = range(min(placement.submissions, _DRAWN))
    chips = [chip_of(program, placement, submission) for submission in drawn]
    drawings = [_drawing(chip, where, chip is chips[0]) for chip in chips]
    more = placement.submissions - len(drawings)
    rest = f"<p>{plural(more, 'more submission')} not drawn.</p>" if more > 0 else ""
    body = f'<div class="chips">{"".join(drawings)}</div>{_legend(chips)}{rest}'
    return section("chip", "The chip", lead, body)


def _scaled(target: Target) -> Longs:
    """Return where each qubit is drawn, in whole units of the drawing, y downwards."""
    where = places(target)
    low, high = where.min(axis=0), where.max(axis=0)
    extent = max(float((high - low).max()), 1e-9)
    scaled = (where - low) / extent * _SIDE
    scaled[:, 1] = scaled[:, 1].max() - scaled[:, 1]
    return np.asarray(np.rint(scaled), np.int64)


def _drawing(chip: Chip, where: Longs, couplers: bool) -> str:
    dot = max(_SIDE / max(np.sqrt(len(where)), 1.0) / 3.2, 2.0)
    groups = [f'<path class="idle" stroke-width="{dot * 0.6:.1f}" d="{_dots(where[chip.idle])}"/>']
    for part in chip.heads:
        drawn = (
            f'<path stroke-width="{dot * 0.55:.1f}" d="{_lines(where, part.chains)}"/>'
            f'<path stroke-width="{dot:.1f}" d="{_dots(where[part.qubits])}"/>'
        )
        if couplers:
            between = _lines(where, part.couplers)
            drawn = f'<path stroke-width="0.7" opacity=".45" d="{between}"/>{drawn}'
        groups.append(f'<g stroke="{part.colour}"><title>{part.name}</title>{drawn}</g>')
    width, height = where.max(axis=0) + 2 * dot
    title = escape(chip.title)
    return (
        f'<figure><svg viewBox="{-dot:.0f} {-dot:.0f} {width:.0f} {height:.0f}" role="img" '
        f'class="chip" aria-label="{title}">{"".join(groups)}</svg>'
        f"<figcaption>{title}</figcaption></figure>"
    )


def _dots(points: Longs) -> str:
    """Return a path of dots: lines of no length with round ends, each from the one before."""
    steps = np.diff(points, axis=0, prepend=np.zeros((1, 2), np.int64))
    return "".join(f"m{x} {y}h0" for x, y in steps.tolist())


def _lines(where: Longs, ends: Array) -> str:
    """Return a path of lines between places."""
    # Relative moves are short: each starts where the last line ended.
    steps = np.diff(where[ends].reshape(-1, 2), axis=0, prepend=np.zeros((1, 2), np.int64))
    return "".join(f"m{x} {y}l{u} {v}" for x, y, u, v in steps.reshape(-1, 4).tolist())


def _legend(chips: Sequence[Chip]) -> str:
    colours = {part.name: part.colour for chip in chips for part in chip.heads}
    entries = "".join(
        f'<span><i class="swatch" style="background:{colour}"></i>{name}</span>'
        for name, colour in colours.items()
    )
    return f'<p class="scale">{entries}<span><i class="swatch idle"></i>idle qubit</span></p>'
