"""Heat maps of heads as matplotlib figures."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from qubo_attn.common.arrays import Array, Bools, Floats
from qubo_attn.common.checks import one_of, several, whole
from qubo_attn.common.files import path_of, writing
from qubo_attn.errors import MissingExtraError
from qubo_attn.pictures.heat import selected_map, weights_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INCHES = 2.2


def new_figure(width: float, height: float) -> Figure:
    """Return an empty matplotlib figure of so many inches.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure as Plain
    except ImportError as error:
        raise MissingExtraError(
            "figures need matplotlib: pip install matplotlib (extra [plot])", extra="plot"
        ) from error

    class Figure(Plain):
        """A figure that notebooks show by themselves, without ``%matplotlib inline``."""

        def _repr_png_(self) -> bytes:
            file = BytesIO()
            self.savefig(file, format="png", dpi=110)
            return file.getvalue()

    return Figure(figsize=(width, height), layout="constrained")


def picture_path(file: object) -> Path:
    """Return the path of a picture, ``.png`` where its name ends in no format.

    Raises:
        MissingExtraError: matplotlib is not installed.
        InputError: it ends in one that matplotlib does not write, or is no path.
    """
    path = path_of("file", file)
    known = new_figure(1, 1).canvas.get_supported_filetypes()
    if not path.suffix:
        return path.with_name(f"{path.name}.png")
    one_of("format", path.suffix[1:].lower(), sorted(known))
    return path


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure to a file.

    Raises:
        InputError: the file cannot be written; names it.
    """
    with writing(path):
        figure.savefig(path, dpi=110)


def plot(
    selected: Bools,
    weights: Floats,
    given: tuple[Floats, Bools] | None = None,
    heads: Sequence[int] | None = None,
    file: str | Path | None = None,
) -> Figure:
    """Return a figure of what heads select, and above it what they were given.

    Args:
        selected: bool, shape (H, Q, K): the keys that were kept.
        weights: float64, same shape: what they weigh.
        given: softmax weights before, and which keys each row sees, same shape; left out when None.
        heads: which to draw; all when None.
        file: where to write the picture; nowhere when None.

    Raises:
        MissingExtraError: matplotlib is not installed.
        InputError: there is no such head, or the file is no picture.
    """
    picture = None if file is None else picture_path(file)
    chosen = range(len(selected)) if heads is None else several("heads", heads)
    heads = [whole("head", head, most=len(selected) - 1) for head in chosen]
    lines, columns = 1 if given is None else 2, max(len(heads), 1)
    figure = new_figure(_INCHES * columns, _INCHES * lines + 0.4)
    axes = figure.subplots(lines, columns, squeeze=False)
    for place, head in enumerate(heads):
        seen = np.ones(selected.shape[1:], bool)
        if given is not None:
            seen = given[1][head]
            _show(axes[0, place], weights_map(given[0][head], seen), f"head {head}, given")
        pixels = selected_map(weights[head], seen, selected[head])
        _show(axes[-1, place], pixels, f"head {head}, selected")
    for line in axes:
        line[0].set_ylabel("query")
    for last in axes[-1]:
        last.set_xlabel("key")
    if picture is not None:
        save_figure(figure, picture)
    return figure


def _show(axes: Axes, pixels: Array, title: str) -> None:
    from matplotlib.ticker import MaxNLocator

    for axis in (axes.xaxis, axes.yaxis):  # queries and keys are whole numbers
        axis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    if pixels.size:  # without queries or keys, an empty frame
        axes.imshow(pixels, interpolation="nearest", aspect="auto")
    axes.set_title(title, fontsize=9)
