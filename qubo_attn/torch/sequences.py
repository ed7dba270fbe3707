"""Options of one sequence's heads, for a batch of sequences, whose heads are compiled as one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Floats
from qubo_attn.common.checks import one_of, shown
from qubo_attn.errors import InputError
from qubo_attn.frontend.objectives import Objective
from qubo_attn.frontend.objectives.with_background import WithBackground
from qubo_attn.passes import TieVariables
from qubo_attn.pipeline.pipeline import Pass

# Ties by name, as on the command line.
TIES = ("kv-head", "kv")


class LayerHeads(NamedTuple):
    """What a layer knows of the heads of one sequence.

    Attributes:
        number: how many there are.
        kv_head: key/value head of each, or None.
        projection: W_O, shape (heads, d, model) or (model, heads * d), or None.
    """

    number: int
    kv_head: tuple[int, ...] | None = None
    projection: Floats | None = None


def check_tie(tie: object) -> TieVariables | str | None:
    """Return a tie that serves many sequences.

    Raises:
        InputError: it is none, or has groups that are yet to be found.

    Example:
        >>> check_tie("kv-head")
        'kv-head'
    """
    if isinstance(tie, str):
        return one_of("tie", tie, TIES)
    if tie is not None and not isinstance(tie, TieVariables):
        raise InputError(
            f"tie must be {' or '.join(map(repr, TIES))}, a qubo_attn.TieVariables or None, not "
            f"{shown(tie)}",
            argument="tie",
        )
    if tie is not None and tie.overlap is not None:
        raise InputError(
            "a layer takes ties with groups= of heads, not overlap=, which would find other groups "
            "in every batch",
            argument="tie",
        )
    return tie


def tie_of(tie: TieVariables | str | None, heads: LayerHeads) -> TieVariables | None:
    """Return the tie of one sequence's heads.

    Raises:
        InputError: it is that of key/value heads, and there are none; or it names a head too many.

    Example:
        >>> tie_of("kv-head", LayerHeads(4, (0, 0, 1, 1))).groups
        ((0, 1), (2, 3))
    """
    if isinstance(tie, str):
        if heads.kv_head is None:
            raise InputError(
                f"tie={tie!r} needs kv_head=, the key/value head of each head", argument="kv_head"
            )
        return TieVariables.from_kv_head(heads.kv_head, queries=tie == "kv")
    beyond = [] if tie is None else [h for group in tie.groups for h in group if h >= heads.number]
    if beyond:
        raise InputError(
            f"tie names head {beyond[0]}, but the layer has {heads.number}", head=beyond[0]
        )
    return tie


def tied(step: Pass, heads: int, sequences: int) -> Pass:
    """Return a pass for all sequences: heads are tied within each of them.

    Example:
        >>> tied(TieVariables(((0, 1),)), 2, 2).groups
        ((0, 1), (2, 3))
    """
    if not isinstance(step, TieVariables):
        return step
    groups = tuple(
        tuple(first + head for head in group)
        for first in range(0, heads * sequences, heads)
        for group in step.groups
    )
    return dataclasses.replace(step, groups=groups)


def objectives_of(objectives: Sequence[Objective], sequences: int) -> tuple[Objective, ...]:
    """Return the objectives of all sequences; a background for each head is so for each sequence.

    Args:
        objectives: one per head of a sequence.
        sequences: their number.

    Raises:
        InputError: an objective joins all heads, and there are several sequences.

    Example:
        >>> from qubo_attn import Output
        >>> objectives_of([Output(background=((1.0,),))], 2)[0].background
        ((1.0,), (1.0,))
    """
    if sequences > 1 and any(objective.name == "layer" for objective in objectives):
        raise InputError(
            "objective 'layer' joins all heads of a query, and these are of several sequences: "
            "hand in one sequence at a time",
            argument="objective",
        )
    return tuple(_repeated(objective, sequences) for objective in objectives) * sequences


def _repeated(objective: Objective, sequences: int) -> Objective:
    if not isinstance(objective, WithBackground) or isinstance(objective.as_read, str):
        return objective
    if sequences == 1 or (len(objective.as_read) == 1 and isinstance(objective.as_read[0], str)):
        return objective
    return dataclasses.replace(objective, background=objective.as_read * sequences)


def projection_of(projection: Floats | None, heads: int, sequences: int) -> Floats | None:
    """Return the output projection of the heads of all sequences, shape (heads, d, model).

    Args:
        projection: of one sequence, as `LayerHeads` has it.
        heads: of a sequence.
        sequences: their number.

    Example:
        >>> projection_of(np.arange(2.0).reshape(1, 2), 2, 2)[:, 0, 0]
        array([0., 1., 0., 1.])
    """
    if projection is None or sequences == 1:
        return projection
    if projection.ndim == 2 and projection.shape[1] % heads == 0:
        projection = projection.T.reshape(heads, -1, len(projection))
    return np.tile(projection, (sequences, 1, 1)) if projection.ndim == 3 else projection
