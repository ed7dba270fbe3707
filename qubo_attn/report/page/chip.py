"""The chip with its packed rows, as SVG."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qubo_attn.common.arrays import Array, Ints, Longs
from qubo_attn.common.words import plural
from qubo_attn.embedding.placement import Placement
from qubo_attn.machine.target import Target
from qubo_attn.pictures.markup import escape, section
from qubo_attn.report.chip import Chip, chip_of, places

_SIDE = 1000
_DRAWN = 4
# Of a picture of its own: room around it, where its title stands, room for an entry of its legend.
_MARGIN, _TITLE, _ENTRY = 16, -24, 122


def chip_section(heads: Ints, placement: Placement) -> str:
    """Return a drawing of every submission, the first with its couplers; see `chip_of`."""
    target = placement.target
    lead = (
        "A machine has a fixed graph of qubits (dots). A bit that needs more neighbours than one "
        "qubit has becomes a <b>chain</b> of several that must agree (thick lines). Independent "
        "rows do not touch each other, so many are solved in one go; colours and marks are heads."
    )
    where = _scaled(target)
    drawn = range(min(placement.submissions, _DRAWN))
    chips = [chip_of(heads, placement, submission) for submission in drawn]
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


def chip_picture(heads: Ints, placement: Placement, submission: int) -> str:
    """Return the drawing of one submission as an SVG file, on white, with title and legend."""
    where, chip = _scaled(placement.target), chip_of(heads, placement, submission)
    low, size = _TITLE - _MARGIN, where.max(axis=0)
    across = max(int(size[0]) // _ENTRY, 1)
    entries = [(part.name, part.colour, part.mark) for part in chip.heads]
    legend = "".join(
        f'<g transform="translate({place % across * _ENTRY} '
        f'{size[1] + 40 + place // across * 26})" stroke="{colour}">{_mark("m0 0h0", 14.0, mark)}'
        f'<text x="16" y="6" stroke="none" font-size="17">{name}</text></g>'
        for place, (name, colour, mark) in enumerate([*entries, ("idle", "#9aa3ad", "disc")])
    )
    height = size[1] + 40 + 26 * (len(entries) // across + 1) - low
    title = escape(chip.title)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{-_MARGIN} {low} '
        f'{size[0] + 2 * _MARGIN} {height}" font-family="sans-serif" fill="none" '
        f'stroke-linecap="round" role="img" aria-label="{title}">\n'
        "<style>.idle{stroke:#9aa3ad}.hole{stroke:#fff}text{fill:#1b1f24}</style>\n"
        f'<rect x="{-_MARGIN}" y="{low}" width="100%" height="100%" fill="#fff"/>\n'
        f'<text x="0" y="{_TITLE}" font-size="19">{title}</text>\n'
        f"{_content(chip, where, couplers=True)}{legend}\n</svg>\n"
    )


def _drawing(chip: Chip, where: Longs, couplers: bool) -> str:
    dot = _dot(where)
    width, height = where.max(axis=0) + 2 * dot
    title = escape(chip.title)
    return (
        f'<figure><svg viewBox="{-dot:.0f} {-dot:.0f} {width:.0f} {height:.0f}" role="img" '
        f'class="chip" aria-label="{title}">{_content(chip, where, couplers)}</svg>'
        f"<figcaption>{title}</figcaption></figure>"
    )


def _dot(where: Longs) -> float:
    """Return the width of a dot that leaves room between qubits."""
    return float(max(_SIDE / max(np.sqrt(len(where)), 1.0) / 2.4, 2.0))


def _content(chip: Chip, where: Longs, couplers: bool) -> str:
    """Return what is drawn: idle qubits, and the qubits, chains and couplers of every head."""
    dot = _dot(where)
    groups = [f'<path class="idle" stroke-width="{dot * 0.4:.1f}" d="{_dots(where[chip.idle])}"/>']
    for part in chip.heads:
        drawn = (
            f'<path stroke-width="{dot * 0.4:.1f}" d="{_lines(where, part.chains)}"/>'
            f"{_mark(_dots(where[part.qubits]), dot, part.mark)}"
        )
        if couplers:
            between = _lines(where, part.couplers)
            drawn = f'<path stroke-width="0.7" opacity=".45" d="{between}"/>{drawn}'
        groups.append(f'<g stroke="{part.colour}"><title>{part.name}</title>{drawn}</g>')
    return "".join(groups)


def _mark(dots: str, size: float, mark: str) -> str:
    """Return dots as discs, rings, squares or frames."""
    cap = ' stroke-linecap="square"' if mark in ("square", "frame") else ""
    # A square reaches as far from the dot's place as a disc, and is larger.
    width = size * 0.85 if cap else size
    drawn = f'<path{cap} stroke-width="{width:.1f}" d="{dots}"/>'
    if mark in ("ring", "frame"):
        drawn += f'<path{cap} class="hole" stroke-width="{width * 0.5:.1f}" d="{dots}"/>'
    return drawn


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
    looks = {part.name: (part.colour, part.mark) for chip in chips for part in chip.heads}
    entries = "".join(
        f'<span><svg class="chip look" viewBox="-8 -8 16 16" stroke="{colour}" aria-hidden="true">'
        f"{_mark('m0 0h0', 13.0, mark)}</svg>{name}</span>"
        for name, (colour, mark) in looks.items()
    )
    return f'<p class="scale">{entries}<span><i class="swatch idle"></i>idle qubit</span></p>'
