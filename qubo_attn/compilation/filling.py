"""Copies in the room that the last submission leaves: which rows get them (``replicas="fill"``).

A read of a copy is one more read of its row. So that as many rows as can be have a read that is the
optimum, each next copy goes to the row that gains most by it. That is the row for which it is
likeliest that all reads so far miss the optimum, and those of one more copy do not. A row whose
reads are nearly always the optimum gains nothing, and nor does one whose reads never are.
"""

from __future__ import annotations

import dataclasses
from heapq import heapify, heapreplace

import numpy as np

from qubo_attn.common.arrays import Floats, Longs, own_array
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.embedding.component import Component
from qubo_attn.embedding.copies import Copies, free_seats
from qubo_attn.embedding.sparse import sparse_shapes

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
    shapes = sparse_shapes(compilation.program, component)
    kinds = [Component(int(sizes[row]), shapes.get(row)) for row in rows.tolist()]
    # The largest one opened the submission: its copies hold all others.
    packing = embed.packing(min(kinds, key=lambda kind: kind.rank)).packing
    seats = free_seats(placement, packing)
    fits = np.array([packing.component.holds(kind) for kind in kinds])
    rows = rows[fits]
    if not len(seats) or not len(rows):
        return compilation
    chances = compilation.chances_of(rows)
    chosen = rows[shared_out(chances, len(seats))]
    copies = Copies.seated(chosen, sizes[chosen], packing, seats)
    return dataclasses.replace(compilation, copies=copies)


def shared_out(chances: Floats, seats: int) -> Longs:
    """Return the row that gets each of some seats, in order of the seats.

    Args:
        chances: of each row, that one read of it is its optimum; every row sits once already.
        seats: how many there are.

    Example:
        >>> shared_out(np.array([0.5, 0.001, 0.5]), 3), shared_out(np.array([0.5, 0.5]), 3)
        (array([1, 1, 1]), array([0, 1, 0]))
    """
    # Logarithms: the chance that many reads miss underflows.
    missed = READS * np.log1p(-np.clip(chances, 1e-300, 1.0 - 1e-12))
    gain = missed + np.log(-np.expm1(missed))
    queue = [(-each, row) for row, each in enumerate(gain.tolist())]
    heapify(queue)
    chosen = np.empty(seats, np.int64)
    for seat in range(seats):
        lack, row = queue[0]
        chosen[seat] = row
        heapreplace(queue, (lack - float(missed[row]), row))
    return np.asarray(own_array(chosen))
