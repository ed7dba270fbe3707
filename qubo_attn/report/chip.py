"""Chip pictures as data: places of qubits, and the qubits and couplers of every head."""

from __future__ import annotations

import colorsys
from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Array, Floats, Longs
from qubo_attn.embedding.placement import Placement
from qubo_attn.ir.program import Program
from qubo_attn.machine.target import Target
from qubo_attn.machine.topology import layout
from qubo_attn.pictures.markup import plural

# Readable on white and on black.
_COLOURS = (
    "#4477dd", "#ee7722", "#2a9d4a", "#d62f3f", "#8d62c9",
    "#9a6a4f", "#dd66b8", "#7f8b1e", "#12a5b8", "#b58900",
)  # fmt: skip
_NO_HEAD = "#808080"
# In place of the head of a qubit that is not used.
_IDLE = -2


class HeadOnChip(NamedTuple):
    """What one head takes up on a chip.

    Attributes:
        name: the head in words; ancillas, and tied rows of many heads, belong to no single one.
        colour: the head's colour.
        qubits: int64, positions of its qubits.
        chains: int64, shape (n, 2): couplers within its chains.
        couplers: int64, shape (n, 2): couplers between its chains and others of the same problem.
    """

    name: str
    colour: str
    qubits: Longs
    chains: Array
    couplers: Array


class Chip(NamedTuple):
    """A machine with the rows of one submission.

    Attributes:
        title: what is shown, in words.
        idle: int64, positions of the qubits that are not used.
        heads: what every head takes up.
    """

    title: str
    idle: Longs
    heads: tuple[HeadOnChip, ...]


def chip_of(program: Program, placement: Placement, submission: int) -> Chip:
    """Return the chip of one submission of a placed program."""
    target = placement.target
    if not placement.submissions:
        title = f"Nothing on {target.label}: no row has a choice to make"
        return Chip(title, np.arange(len(target.qubits)), ())
    members = placement.members[submission]
    chain = np.repeat(np.arange(len(program)), placement.chain_lengths)
    used = np.isin(chain, members)
    owner = np.full(len(target.qubits), -1, np.int64)
    owner[placement.chain_qubit[used]] = chain[used]
    head = np.where(owner >= 0, program.variables.head[owner], _IDLE)
    ends = target.couplers
    a, b = owner[ends].T
    within = (a >= 0) & (a == b)
    # Within a problem every coupler between chains counts as used: rows are cliques, or nearly.
    between = (a >= 0) & (b >= 0) & (a != b) & (placement.component[a] == placement.component[b])
    heads = []
    for number in np.unique(head[owner >= 0]).tolist():
        of_head = head[ends[:, 0]] == number
        heads.append(
            HeadOnChip(
                "no single head" if number < 0 else f"head {number}",
                head_colour(number),
                np.flatnonzero(head == number),
                ends[within & of_head],
                ends[between & of_head],
            )
        )
    problems = len(np.unique(placement.component[members]))
    title = (
        f"Submission {submission} on {target.label}: {plural(problems, 'independent problem')}, "
        f"{int((owner >= 0).sum()):,} of {plural(len(target.qubits), 'qubit')}"
    )
    return Chip(title, np.flatnonzero(owner < 0), tuple(heads))


def places(target: Target) -> Floats:
    """Return where each qubit is drawn, shape (qubits, 2)."""
    if target.is_grid:
        return layout(target.topology, target.shape, target.qubits)
    import networkx as nx

    graph = nx.Graph()
    graph.add_nodes_from(range(len(target.qubits)))
    graph.add_edges_from(target.couplers.tolist())
    where = nx.spring_layout(graph, seed=0)
    return np.array([where[q] for q in range(len(target.qubits))])


def head_colour(head: int) -> str:
    """Return the colour of a head, readable on white and on black.

    Example:
        >>> head_colour(0), head_colour(10)
        ('#4477dd', '#c7d435')
    """
    if head < 0:
        return _NO_HEAD
    if head < len(_COLOURS):
        return _COLOURS[head]
    # Steps of the golden ratio around the wheel never come back to the same colour.
    colour = colorsys.hls_to_rgb(head * 0.618034 % 1.0, 0.52, 0.65)
    return "#" + "".join(f"{round(255 * part):02x}" for part in colour)
