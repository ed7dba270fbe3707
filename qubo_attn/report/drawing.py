"""The chip, with the rows of one submission coloured by head (needs matplotlib)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from qubo_attn.common.arrays import Bools, Floats
from qubo_attn.errors import InputError, MissingExtraError
from qubo_attn.machine.topology import layout

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from qubo_attn.backend.submission import Submission
    from qubo_attn.compiled import CompiledAttention
    from qubo_attn.machine.target import Target

_INCHES = 10.0
_IDLE = "0.7"
# Ancillas and tied rows over all queries belong to no single head.
_NO_HEAD = "0.35"


def draw(
    compiled: CompiledAttention, submission: int = 0, file: str | Path | None = None
) -> Figure:
    """Return a figure of the chip; see `CompiledAttention.draw`.

    Raises:
        MissingExtraError: matplotlib is not installed.
        InputError: there is no such submission, or no machine to draw.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError(
            "drawing needs matplotlib: pip install qubo-attn[plot]", extra="plot"
        ) from error
    parts = compiled.submissions
    if not 0 <= submission < len(parts):
        raise InputError(
            f"there is no submission {submission}: there are {len(parts)}, from 0",
            submission=submission,
        )
    part = parts[submission]
    if part.physical is None:
        raise InputError("there is no chip to draw: compile for a structured target")
    target = part.physical.target
    where = places(target)
    head = compiled.program.variables.head[part.variables]
    figure = Figure(figsize=(_INCHES, _INCHES), layout="constrained")
    axes = figure.add_subplot()
    axes.margins(0.01)
    _chip(axes, target, where)
    for number in np.unique(head):
        _rows(axes, part, head == number, where, int(number))
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.set_title(
        f"submission {submission} on {target.label}: {len(part.rows)} rows, {part.qubits} of "
        f"{len(target.qubits)} qubits",
        fontsize=13,
    )
    columns = min(len(np.unique(head)) + 1, 8)
    figure.legend(
        loc="outside lower center", ncols=columns, frameon=False, markerscale=2.5, fontsize=10
    )
    if file is not None:
        figure.savefig(file, dpi=110)
    return figure


def places(target: Target) -> Floats:
    """Return where each qubit is drawn."""
    if target.is_grid:
        return layout(target.topology, target.shape, target.qubits)
    import networkx as nx

    graph = nx.Graph()
    graph.add_nodes_from(range(len(target.qubits)))
    graph.add_edges_from(target.couplers.tolist())
    where = nx.spring_layout(graph, seed=0)
    return np.array([where[q] for q in range(len(target.qubits))])


def _chip(axes: Axes, target: Target, where: Floats) -> None:
    """Draw all working qubits and couplers, faintly."""
    from matplotlib.collections import LineCollection

    axes.add_collection(LineCollection(list(where[target.couplers]), colors="0.93", linewidths=0.3))
    x, y = where.T
    axes.scatter(x, y, s=_size(where), color=_IDLE, linewidths=0, label="idle", zorder=2)


def _rows(axes: Axes, part: Submission, wanted: Bools, where: Floats, head: int) -> None:
    """Draw the chains of one head, and thinner what couples them."""
    from matplotlib.collections import LineCollection

    physical = part.physical
    assert physical is not None
    chain = np.full(len(where), -1, np.int64)
    chain[physical.chain_qubit] = np.repeat(np.arange(len(wanted)), np.diff(physical.chain_ptr))
    mine = physical.chain_qubit[wanted[chain[physical.chain_qubit]]]
    colour, size = _colour(head), 2.5 * _size(where)
    a, b = chain[physical.u], chain[physical.v]
    for chosen, width, opacity in (((a != b), 0.5, 0.4), ((a == b), 1.8, 1.0)):
        inside = chosen & wanted[a]
        lines = list(where[np.column_stack([physical.u[inside], physical.v[inside]])])
        axes.add_collection(
            LineCollection(lines, colors=[colour], linewidths=width, alpha=opacity, zorder=3)
        )
    x, y = where[mine].T
    name = "no head" if head < 0 else f"head {head}"
    axes.scatter(x, y, s=size, color=[colour], linewidths=0, label=name, zorder=4)


def _size(where: Floats) -> float:
    """Return the area of a dot, in points squared, that leaves room between qubits."""
    return float(min((_INCHES * 72 / np.sqrt(len(where)) / 5.0) ** 2, 60.0))


def _colour(head: int) -> object:
    from matplotlib import colormaps

    if head < 0:
        return _NO_HEAD
    if head < 10:
        return colormaps["tab10"](head)
    # Steps of the golden ratio around the wheel never come back to the same colour.
    return tuple(0.8 * part for part in colormaps["hsv"](head * 0.618034 % 1.0)[:3])
