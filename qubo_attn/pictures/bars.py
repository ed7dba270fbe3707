"""Bar charts and histograms whose numbers can be read as text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qubo_attn.common.arrays import Floats
from qubo_attn.pictures.markup import count, escape

_WIDTH, _HEIGHT = 640, 190
_BASE = 150


def bars(rows: Sequence[tuple[str, float, str, str]]) -> str:
    """Return horizontal bars.

    Args:
        rows: of each bar its name, size, size in words and colour class.
    """
    largest = max((size for _, size, _, _ in rows if np.isfinite(size)), default=0.0) or 1.0
    body = "".join(
        f'<div class="bar"><span>{escape(name)}</span>'
        f'<i class="{style}" style="width:{100 * max(size, 0.0) / largest:.1f}%"></i>'
        f"<b>{escape(number)}</b></div>"
        for name, size, number, style in rows
    )
    return f'<div class="bars">{body}</div>'


def histogram(
    values: Floats, title: str, unit: str, mark: float | None = None, marked: str = ""
) -> str:
    """Return a histogram.

    Args:
        values: finite numbers.
        title: title of the histogram, as text.
        unit: unit of the values, as text.
        mark: value at which a line is drawn; no line when None.
        marked: meaning of that line, as text.
    """
    low = min(float(values.min()), 0.0 if mark is None else min(mark, 0.0))
    high = max(float(values.max()), low + 1e-9, mark or 0.0)
    counts, edges = np.histogram(values, bins=24, range=(low, high))
    x = (edges - low) / (high - low) * _WIDTH
    tall = counts / max(counts.max(), 1) * (_BASE - 24)
    drawn = "".join(
        f'<rect x="{left + 1:.1f}" y="{_BASE - size:.1f}" width="{right - left - 2:.1f}" '
        f'height="{size:.1f}"><title>{count(number)}: {start:.2f} to {end:.2f} {escape(unit)}'
        "</title></rect>"
        for left, right, size, number, start, end in zip(
            x[:-1], x[1:], tall, counts, edges[:-1], edges[1:], strict=True
        )
        if number
    )
    ticks = "".join(
        f'<text x="{place * _WIDTH / 4:.0f}" y="{_BASE + 16}" text-anchor="{anchor}">'
        f"{low + (high - low) * place / 4:.2g}</text>"
        for place, anchor in enumerate(("start", "middle", "middle", "middle", "end"))
    )
    line = ""
    if mark is not None:
        at = (mark - low) / (high - low) * _WIDTH
        near = "end" if at > _WIDTH / 2 else "start"
        line = (
            f'<line class="mark" x1="{at:.1f}" x2="{at:.1f}" y1="14" y2="{_BASE}"/>'
            f'<text class="marked" x="{at:.1f}" y="10" text-anchor="{near}">{escape(marked)}</text>'
        )
    middle = float(np.median(values))
    says = f"{title}: {low:.2g} to {high:.2g} {unit}, median {middle:.2f}"
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><svg class="plot" role="img" '
        f'viewBox="-4 -2 {_WIDTH + 8} {_HEIGHT}" aria-label="{escape(says)}">'
        f'<line class="base" x1="0" x2="{_WIDTH}" y1="{_BASE}" y2="{_BASE}"/>{drawn}{line}{ticks}'
        f'<text x="{_WIDTH / 2}" y="{_BASE + 34}" text-anchor="middle">{escape(unit)}</text></svg>'
        "</figure>"
    )
