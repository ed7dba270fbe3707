"""Heat maps of a result, head by head (needs matplotlib)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from qubo_attn.errors import InputError, MissingExtraError
from qubo_attn.pictures.heat import selected_map, weights_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from qubo_attn.common.arrays import Array
    from qubo_attn.decoding.decode import AttentionResult
    from qubo_attn.frontend.attention import Attention

_INCHES = 2.2
_DPI = 110


def plot(
    result: AttentionResult,
    attention: Attention | None = None,
    heads: Sequence[int] | None = None,
    file: str | Path | None = None,
) -> Figure:
    """Return a figure of the heads; see `AttentionResult.plot`."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError(
            "plotting needs matplotlib: pip install qubo-attn[plot]", extra="plot"
        ) from error
    chosen = range(len(result.selected)) if heads is None else heads
    for head in chosen:
        if not 0 <= head < len(result.selected):
            raise InputError(
                f"there is no head {head}: there are {len(result.selected)}, from 0", head=head
            )
    if attention is not None and attention.shape != result.selected.shape:
        raise InputError(
            f"attention has shape {attention.shape}, the result {result.selected.shape}; pass "
            "compiled.attention",
            argument="attention",
        )
    lines = 1 if attention is None else 2
    size = _INCHES * max(len(chosen), 1), _INCHES * lines + 0.4
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(lines, max(len(chosen), 1), squeeze=False)
    for place, head in enumerate(chosen):
        if attention is None:
            seen = np.ones(result.selected.shape[1:], bool)
        else:
            seen = attention.visible[head]
            _show(axes[0, place], weights_map(attention.softmax[head], seen), f"head {head}, given")
        kept = selected_map(result.weights[head], seen, result.selected[head])
        _show(axes[-1, place], kept, f"head {head}, selected")
    for line in axes:
        line[0].set_ylabel("query")
    for last in axes[-1]:
        last.set_xlabel("key")
    if file is not None:
        figure.savefig(file, dpi=_DPI)
    return figure


def _show(axes: Axes, pixels: Array, title: str) -> None:
    axes.imshow(pixels, interpolation="nearest", aspect="auto")
    axes.set_title(title, fontsize=9)
