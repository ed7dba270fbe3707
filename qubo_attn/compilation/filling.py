"""Copies in the room that the last submission leaves: which rows get them (``replicas="fill"``).

A read of a copy is one more read of its row. So that as many rows as can be have a read that is the
optimum, each next copy goes to the row that gains most by it. That is the row for which it is
likeliest that all reads so far miss the optimum, and those of one more copy do not. A row whose
reads are nearly always the optimum gains nothing, and nor does one whose reads never are.
"""

from __future__ import annotations

import dataclasses
from heapq import heappush, heapreplace

import numpy as np

from qubo_attn.common.arrays import Floats, Longs, own_array
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.embedding.component import Component
from qubo_attn.embedding.copies import Copies
from qubo_attn.embedding.room import Room, room_left
from qubo_attn.embedding.sparse import sparse_shapes
from qubo_attn.passes import Embed

# Reads of a submission that are reckoned with. On the simulated machine a thousand were worse: they
# send most copies to rows that even a thousand reads hardly ever show the optimum of.
READS = 100


def filled(compilation: Compilation) -> Compilation:
    """Return a compilation with copies where its recipe asks for them, and there is room.

    Args:
        compilation: without copies.

    Raises:
        EmbeddingError: never seen; see `Embed.packing`.
    """
    embed, placement = compilation.recipe.embed, compilation.placement
    if compilation.recipe.replicas is None or embed is None or placement is None:
        return compilation
    if not placement.submissions:
        return compilation
    component, sizes = placement.component, np.bincount(placement.component)
    rows = np.unique(component[placement.members[-1]])
    room = compilation.structures.room(placement, lambda: _room(compilation, embed, rows))
    chosen = np.zeros(0, np.int64)
    if len(room) and room.size.max() >= sizes[rows].min():
        chosen = shared_out(compilation.chances_of(rows), sizes[rows], room.size)
    seats = np.flatnonzero(chosen >= 0)
    if not len(seats):
        return compilation
    owner = rows[chosen[seats]]
    copies = Copies.seated(owner, sizes[owner], room, seats)
    return dataclasses.replace(compilation, copies=copies)


def _room(compilation: Compilation, embed: Embed, rows: Longs) -> Room:
    """Return the seats that the last submission leaves, whose components are ``rows``."""
    placement, program = compilation.placement, compilation.program
    assert placement is not None
    sizes = np.bincount(placement.component)[rows].tolist()
    shapes = sparse_shapes(program, placement.component)
    kinds = [
        Component(size, shapes.get(row)) for row, size in zip(rows.tolist(), sizes, strict=True)
    ]
    # The largest one opened the submission: its copies hold all others.
    packing = embed.packing(min(kinds, key=lambda kind: kind.rank)).packing
    return room_left(placement, packing, sizes, embed.seed, embed.longest_chain)


def shared_out(chances: Floats, sizes: Longs, seats: Longs) -> Longs:
    """Return the row that gets each seat, -1 where it holds none; small seats are dealt first.

    Args:
        chances: of each row, that one read of it is its optimum; every row sits once already.
        sizes: variables of each row.
        seats: chains of each seat.

    Example:
        >>> size, seats = np.array([4, 4, 4]), np.array([4, 4, 4])
        >>> shared_out(np.array([0.5, 0.001, 0.5]), size, seats)
        array([1, 1, 1])
        >>> shared_out(np.array([0.5, 0.5, 0.5]), size, seats)
        array([0, 1, 2])
    """
    # Logarithms: the chance that many reads miss underflows.
    missed = READS * np.log1p(-np.clip(chances, 1e-300, 1.0 - 1e-12))
    gain = missed + np.log(-np.expm1(missed))
    waiting, queue = np.argsort(sizes, kind="stable").tolist()[::-1], list[tuple[float, int]]()
    chosen = np.full(len(seats), -1, np.int64)
    for seat in np.argsort(seats, kind="stable").tolist():
        while waiting and sizes[waiting[-1]] <= seats[seat]:
            row = waiting.pop()
            heappush(queue, (-float(gain[row]), row))
        if queue:
            lack, row = queue[0]
            chosen[seat] = row
            heapreplace(queue, (lack - float(missed[row]), row))
    return own_array(chosen)
