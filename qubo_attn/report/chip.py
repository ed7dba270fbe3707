"""Chip pictures as data: places of qubits, and the qubits and couplers of every head."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Array, Floats, Ints, Longs
from qubo_attn.common.words import plural
from qubo_attn.embedding.placement import Placement
from qubo_attn.machine.target import Target
from qubo_attn.machine.topology import layout

# Readable on white and on black, and apart for colour-blind readers too.
_COLOURS = ("#4e8aff", "#fc8c00", "#09bd90", "#ac2018", "#4b28fc", "#0b6484")
# Of the dots; heads of one colour differ by them.
MARKS = ("disc", "ring", "square", "frame")
_NO_HEAD = "#808080"
# In place of the head of a qubit that is not used.
_IDLE = -2


class HeadOnChip(NamedTuple):
    """What one head takes up on a chip.

    Attributes:
        name: the head in words; ancillas, and tied rows of many heads, belong to no single one.
        colour: the head's colour.
        mark: what its qubits are drawn as, one of `MARKS`.
        qubits: int64, positions of its qubits.
        chains: int64, shape (n, 2): couplers within its chains.
        couplers: int64, shape (n, 2): couplers between its chains and others of the same problem.
    """

    name: str
    colour: str
    mark: str
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


def chip_of(heads: Ints, placement: Placement, submission: int) -> Chip:
    """Return the chip of one submission of a placed program.

    Args:
        heads: head of each variable; -1 where a variable belongs to none.
        placement: of the variables.
        submission: its number.
    """
    target = placement.target
    if not placement.submissions:
        title = f"Nothing on {target.label}: no row has a choice to make"
        return Chip(title, np.arange(len(target.qubits)), ())
    members = placement.members[submission]
    chain = np.repeat(np.arange(len(heads)), placement.chain_lengths)
    used = np.isin(chain, members)
    owner = np.full(len(target.qubits), -1, np.int64)
    owner[placement.chain_qubit[used]] = chain[used]
    head = np.where(owner >= 0, heads[owner], _IDLE)
    ends = target.couplers
    a, b = owner[ends].T
    within = (a >= 0) & (a == b)
    # Within a problem every coupler between chains counts as used: rows are cliques, or nearly.
    between = (a >= 0) & (b >= 0) & (a != b) & (placement.component[a] == placement.component[b])
    parts = []
    for number in np.unique(head[owner >= 0]).tolist():
        of_head = head[ends[:, 0]] == number
        parts.append(
            HeadOnChip(
                "no single head" if number < 0 else f"head {number}",
                *head_look(number),
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
    return Chip(title, np.flatnonzero(owner < 0), tuple(parts))


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


def head_look(head: int) -> tuple[str, str]:
    """Return the colour and the mark of a head: 24 heads have 24 different looks.

    Example:
        >>> head_look(0), head_look(6)
        (('#4e8aff', 'disc'), ('#4e8aff', 'ring'))
    """
    if head < 0:
        return _NO_HEAD, MARKS[0]
    turn, colour = divmod(head, len(_COLOURS))
    return _COLOURS[colour], MARKS[turn % len(MARKS)]
