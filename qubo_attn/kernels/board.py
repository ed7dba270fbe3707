"""Copies of some graphs on a working graph, and which of its qubits are free."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Array, Longs
from qubo_attn.kernels._jit import kernel


class Copies(NamedTuple):
    """Disjoint copies of some graphs, with room for more.

    Attributes:
        qubits: int64, shape (most, widest), the qubits of each copy.
        chain: int64, the same shape, the chain that each qubit is in.
        sizes: int64, shape (most,), how many qubits each copy has.
        kind: int64, shape (most,), the graph that each copy embeds.
    """

    qubits: Array
    chain: Array
    sizes: Longs
    kind: Longs


class Board(NamedTuple):
    """Who holds each qubit.

    Attributes:
        owner: copy that holds each qubit, or -1.
        free: the free qubits, in the first entries.
        place: where in ``free`` each qubit is, or -1.
    """

    owner: Longs
    free: Longs
    place: Longs


@kernel
def board_of(copies: Copies, count: int, qubits: int) -> tuple[Board, int]:
    """Return the board with the first ``count`` copies on it, and how many qubits are free."""
    owner = np.full(qubits, -1, np.int64)
    for c in range(count):
        owner[copies.qubits[c, : copies.sizes[c]]] = c
    free, place = np.empty(qubits, np.int64), np.full(qubits, -1, np.int64)
    gaps = 0
    for q in range(qubits):
        if owner[q] < 0:
            free[gaps], place[q] = q, gaps
            gaps += 1
    return Board(owner, free, place), gaps


@kernel
def lift(c: int, last: int, gaps: int, copies: Copies, board: Board) -> int:
    """Take a copy off the board, put the last one in its place, and return the number of gaps."""
    for s in range(copies.sizes[c]):
        q = copies.qubits[c, s]
        board.owner[q], board.free[gaps], board.place[q] = -1, q, gaps
        gaps += 1
    if c != last:
        copies.qubits[c], copies.chain[c] = copies.qubits[last], copies.chain[last]
        copies.sizes[c], copies.kind[c] = copies.sizes[last], copies.kind[last]
        board.owner[copies.qubits[c, : copies.sizes[c]]] = c
    return gaps


@kernel
def lay(qubits: Longs, chain: Longs, c: int, gaps: int, copies: Copies, board: Board) -> int:
    """Put qubits, each in a chain, on the board as copy c, and return the number of gaps."""
    size = len(qubits)
    for q in qubits:
        board.owner[q] = c
        gaps -= 1
        last, hole = board.free[gaps], board.place[q]
        board.free[hole], board.place[last], board.place[q] = last, hole, -1
    copies.qubits[c, :size], copies.chain[c, :size] = qubits, chain
    copies.sizes[c] = size
    return gaps
