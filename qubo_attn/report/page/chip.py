"""The chip with its packed rows, as a drawing that scales."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qubo_attn.common.arrays import Array, Longs
from qubo_attn.ir.program import Program
from qubo_attn.pictures.markup import escape, plural, section
from qubo_attn.report.drawing import places

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qubo_attn.embedding.placement import Placement
    from qubo_attn.machine.target import Target

_SIDE = 1000
_SHOWN = 4
_HEADS = 10
_COLOURS = (
    "#4477dd", "#ee7722", "#2a9d4a", "#d62f3f", "#8d62c9",
    "#9a6a4f", "#dd66b8", "#7f8b1e", "#12a5b8", "#b58900",
)  # fmt: skip


def chip_section(program: Program, placement: Placement) -> str:
    """Return a drawing of every submission, the first with its couplers."""
    target = placement.target
    lead = (
        "A machine has a fixed graph of qubits (dots). A bit that needs more neighbours than one "
        "qubit has becomes a <b>chain</b> of several that must agree (thick lines). Independent "
        "rows do not touch each other, so many are solved in one go; colours are heads."
    )
    where = _scaled(target)
    head = program.variables.head
    drawings = [
        _drawing(index, program, placement, where, members, index == 0)
        for index, members in enumerate(placement.members[:_SHOWN])
    ]
    more = placement.submissions - len(drawings)
    rest = f"<p>{plural(more, 'more submission')} not drawn.</p>" if more > 0 else ""
    body = f'<div class="chips">{"".join(drawings)}</div>{_legend(np.unique(head))}{rest}'
    return section("chip", "The chip", lead, body)


def _scaled(target: Target) -> Longs:
    """Return where each qubit is drawn, in whole units of the drawing, y downwards."""
    where = places(target)
    low, high = where.min(axis=0), where.max(axis=0)
    extent = max(float((high - low).max()), 1e-9)
    scaled = (where - low) / extent * _SIDE
    scaled[:, 1] = scaled[:, 1].max() - scaled[:, 1]
    return np.asarray(np.rint(scaled), np.int64)


def _drawing(
    index: int,
    program: Program,
    placement: Placement,
    where: Longs,
    members: Longs,
    couplers: bool,
) -> str:
    target = placement.target
    owner = np.full(len(target.qubits), -1, np.int64)
    for_chain = np.repeat(np.arange(len(program)), placement.chain_lengths)
    mine = np.isin(for_chain, members)
    owner[placement.chain_qubit[mine]] = for_chain[mine]
    used = int((owner >= 0).sum())
    rows = len(np.unique(placement.component[members]))
    says = (
        f"Submission {index} on {target.label}: {plural(rows, 'independent problem')}, "
        f"{used:,} of {plural(len(target.qubits), 'qubit')}"
    )
    dot = max(_SIDE / max(np.sqrt(len(where)), 1.0) / 3.2, 2.0)
    shown = [f'<path class="idle" stroke-width="{dot * 0.6:.1f}" d="{_dots(where[owner < 0])}"/>']
    ends = target.couplers
    a, b = owner[ends[:, 0]], owner[ends[:, 1]]
    head = np.where(owner >= 0, program.variables.head[owner], -2)
    chain = (a >= 0) & (a == b)
    # Within a problem every coupler between chains counts as used: rows are cliques, or nearly.
    between = (a >= 0) & (b >= 0) & (a != b)
    between &= placement.component[a] == placement.component[b]
    for number in np.unique(head[owner >= 0]).tolist():
        own = head[ends[:, 0]] == number
        colour = colour_of(number)
        parts = []
        if couplers:
            parts.append(
                f'<path stroke-width="0.7" opacity=".45" d="{_lines(where, ends[between & own])}"/>'
            )
        parts.append(
            f'<path stroke-width="{dot * 0.55:.1f}" d="{_lines(where, ends[chain & own])}"/>'
        )
        parts.append(f'<path stroke-width="{dot:.1f}" d="{_dots(where[head == number])}"/>')
        shown.append(f'<g stroke="{colour}"><title>{_name(number)}</title>{"".join(parts)}</g>')
    margin = dot
    width, height = where.max(axis=0) + 2 * margin
    return (
        f'<figure><svg viewBox="{-margin:.0f} {-margin:.0f} {width:.0f} {height:.0f}" role="img" '
        f'class="chip" aria-label="{escape(says)}">{"".join(shown)}</svg>'
        f"<figcaption>{escape(says)}</figcaption></figure>"
    )


def _dots(points: Longs) -> str:
    """Return a path of dots: lines of no length with round ends, each from the one before."""
    steps = np.diff(points, axis=0, prepend=np.zeros((1, 2), np.int64))
    return "".join(f"m{x} {y}h0" for x, y in steps.tolist())


def _lines(where: Longs, ends: Array) -> str:
    """Return a path of lines between places."""
    start, stop = where[ends[:, 0]], where[ends[:, 1]]
    along = stop - start
    # Relative moves are short: each starts where the last line ended.
    step = start - np.concatenate([np.zeros((1, 2), np.int64), stop[:-1]])[: len(start)]
    return "".join(
        f"m{x} {y}l{u} {v}" for (x, y), (u, v) in zip(step.tolist(), along.tolist(), strict=True)
    )


def _legend(heads: Sequence[int] | Longs) -> str:
    entries = "".join(
        f'<span><i class="swatch" style="background:{colour_of(int(head))}"></i>'
        f"{_name(int(head))}</span>"
        for head in heads
    )
    return f'<p class="scale">{entries}<span><i class="swatch idle"></i>idle qubit</span></p>'


def _name(head: int) -> str:
    return "no single head" if head < 0 else f"head {head}"


def colour_of(head: int) -> str:
    """Return the colour of a head, readable on white and on black.

    Example:
        >>> colour_of(0), colour_of(10)
        ('#4477dd', 'hsl(65 65% 52%)')
    """
    if head < 0:
        return "#808080"
    if head < _HEADS:
        return _COLOURS[head]
    # Steps of the golden ratio around the wheel never come back to the same colour.
    return f"hsl({360 * (head * 0.618034 % 1.0):.0f} 65% 52%)"
