"""The chip as a matplotlib figure, with the rows of one submission coloured by head."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qubo_attn.common.arrays import Array, Floats, Ints
from qubo_attn.common.checks import whole
from qubo_attn.common.files import writing
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.embedding.placement import Placement
from qubo_attn.errors import InputError
from qubo_attn.pictures.plots import new_figure, picture_path, save_figure
from qubo_attn.report.chip import chip_of, places
from qubo_attn.report.page.chip import chip_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_INCHES = 10.0


def draw(compilation: Compilation, submission: int = 0, file: str | Path | None = None) -> Figure:
    """Return a figure of the chip; see `CompiledAttention.draw`.

    Raises:
        MissingExtraError: matplotlib is not installed.
        InputError: there is no such submission, no machine to draw, or the file is no picture.
    """
    picture = None if file is None else picture_path(file)
    figure = new_figure(_INCHES, _INCHES)
    placement, submission = _placed(compilation, submission)
    chip, where = chip_of(_heads(compilation), placement, submission), places(placement.target)
    # The area of a dot, in points squared, that leaves room between qubits.
    size = min((_INCHES * 72 / np.sqrt(len(where)) / 5.0) ** 2, 60.0)
    axes = figure.add_subplot()
    axes.margins(0.01)
    _lines(axes, where, placement.target.couplers, color="0.93", linewidths=0.3)
    _dots(axes, where[chip.idle], s=size, color="0.7", linewidths=0, label="idle", zorder=2)
    for part in chip.heads:
        colour = part.colour
        _lines(axes, where, part.couplers, color=colour, linewidths=0.5, alpha=0.4, zorder=3)
        _lines(axes, where, part.chains, color=colour, linewidths=1.8, zorder=3)
        look = {
            "marker": "s" if part.mark in ("square", "frame") else "o",
            "edgecolors": colour,
            "facecolors": "white" if part.mark in ("ring", "frame") else colour,
            "linewidths": 1.0,
        }
        _dots(axes, where[part.qubits], s=2.5 * size, label=part.name, zorder=4, **look)
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.set_title(chip.title, fontsize=13)
    columns = min(len(chip.heads) + 1, 8)
    figure.legend(
        loc="outside lower center", ncols=columns, frameon=False, markerscale=2.5, fontsize=10
    )
    if picture is not None:
        if picture.suffix.lower() == ".svg":
            write_svg(compilation, submission, picture)
        else:
            save_figure(figure, picture)
    return figure


def write_svg(compilation: Compilation, submission: int, file: Path) -> None:
    """Write the drawing of the HTML page as a picture of its own; it needs no matplotlib.

    Raises:
        InputError: there is no such submission, no machine to draw, or the file cannot be written.
    """
    placement, submission = _placed(compilation, submission)
    text = chip_picture(_heads(compilation), placement, submission)
    with writing(file):
        file.write_text(text, encoding="utf-8")


def _placed(compilation: Compilation, submission: int) -> tuple[Placement, int]:
    placement = compilation.seated.placement
    if placement is None:
        raise InputError("there is no chip to draw: compile for a structured target")
    # Where no row is left to submit, the chip is drawn as it is.
    return placement, whole("submission", submission, most=max(placement.submissions - 1, 0))


def _heads(compilation: Compilation) -> Ints:
    """Return the head of each variable that is placed."""
    heads: Ints = compilation.program.variables.head[compilation.seated.source]
    return heads


def _dots(axes: Axes, where: Floats, **style: Any) -> None:
    """Draw qubits as dots."""
    x, y = where.T
    axes.scatter(x, y, **style)


def _lines(axes: Axes, where: Floats, ends: Array, **style: Any) -> None:
    """Draw couplers as lines between places."""
    from matplotlib.collections import LineCollection

    axes.add_collection(LineCollection(list(where[ends]), **style))
