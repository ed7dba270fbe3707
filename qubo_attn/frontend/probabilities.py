"""Attention probabilities as models return them, ready to compile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import numpy as np

from qubo_attn.common.arrays import Array, Floats, Longs, first_place, split_masked
from qubo_attn.common.checks import numbers, whole
from qubo_attn.common.ragged import counts, sums
from qubo_attn.errors import InputError
from qubo_attn.frontend.graph import AttentionGraph

# Rows of half-precision probabilities over a thousand keys still add up to 1 within this.
_SUM_TOLERANCE = 0.05
# How far from 1 rows of half-precision probabilities add up, where logits are asked for: closer, as
# there all rows have to.
_CLOSE = 0.01


@overload
def from_attentions(attentions: AttentionGraph) -> AttentionGraph: ...


@overload
def from_attentions(attentions: Any, *, layer: int = -1, batch: int | None = 0) -> Floats: ...


def from_attentions(
    attentions: Any, *, layer: int = -1, batch: int | None = 0
) -> Floats | AttentionGraph:
    """Return logits of attention probabilities, such as ``output_attentions=True`` gives.

    The logit of a probability is its logarithm. It is -inf where the probability is zero: the model
    masked the key, or its weight underflowed. Softmax of the logits gives the probabilities back.
    Rows may add up to less than 1, as where a model has attention sinks and drops them after its
    softmax; softmax of their logits gives them scaled up to 1. Rows of NaN alone, which padding
    leaves beside others, see no key, and nor do rows of zeros. What is masked in a masked array
    counts as zero.

    The logits differ from those of the model by a constant of each row. Where rows keep an exact
    number of keys this changes ``selection`` alone, whose pairs multiply logits.

    Args:
        attentions: a tuple over layers of probabilities, shape (batch, heads, queries, keys), or of
            one layer; the batch axis may be missing. Torch tensors on any device, of any floating
            type, with or without gradients, and whatever else NumPy reads. Or a graph of them, as
            graph attention networks return them: a graph of logits comes back.
        layer: index of the layer in a tuple; negative numbers count from the end.
        batch: index of the sequence; None takes all sequences, the heads of one after the other.

    Returns:
        float64, shape (heads, queries, keys): the ``scores`` of `qubo_attn.compile`.

    Raises:
        InputError: there is no such layer or sequence, the layer is None, or entries are no
            probabilities; names the batch, head, query and key.

    Example:
        >>> import numpy as np, qubo_attn as qa
        >>> probabilities = np.array([[[[1.0, 0.0], [0.25, 0.75]]]])  # causal
        >>> scores = qa.from_attentions((probabilities,), layer=0)
        >>> scores.round(3)
        array([[[ 0.   ,   -inf],
                [-1.386, -0.288]]])
        >>> compiled = qa.compile(scores, len(scores), select=qa.OneHot(), target=None)
        >>> compiled.solve(seed=1).selected[0, 1]
        array([False,  True])
    """
    if isinstance(attentions, AttentionGraph):
        return _of_edges(attentions)
    given = _layer(attentions, layer)
    weights, (_, masked) = numbers("attentions", given), split_masked(given)
    if masked is not None:
        weights[masked] = 0.0
    if weights.ndim == 3:
        weights = weights[None]
    if weights.ndim != 4:
        raise InputError(
            f"attentions of a layer have shape {weights.shape}; expected (batch, heads, queries, "
            "keys) or (heads, queries, keys)",
            argument="attentions",
            shape=weights.shape,
        )
    first = 0
    if batch is not None:
        first = _index("batch", batch, len(weights))
        weights = weights[first : first + 1]
    blank = np.isnan(weights).all(axis=-1)
    weights[blank & ~blank.all(axis=-1, keepdims=True)] = 0.0
    _check(weights, first)
    sequences, heads, *rest = weights.shape
    weights = weights.reshape(sequences * heads, *rest)
    return np.log(weights, out=np.full(weights.shape, -np.inf), where=weights > 0)


def _of_edges(graph: AttentionGraph) -> AttentionGraph:
    """Return logits of the probabilities of edges."""
    weights, pattern = graph.scores, graph.pattern
    bad = ~((weights >= 0) & (weights <= 1 + _SUM_TOLERANCE))
    if bad.any():
        head, query, key = pattern.place(int(bad.argmax()))
        raise InputError(
            f"attentions hold {weights[bad.argmax()]:.6g} (head {head}, query {query}, key {key}; "
            f"{int(bad.sum())} such entries), which is no probability; logits go to "
            "qubo_attn.compile as they are",
            head=head,
            query=query,
            key=key,
        )
    total = sums(pattern.ptr, weights)
    odd = total > 1.0 + _SUM_TOLERANCE
    if odd.any():
        head, query = divmod(int(odd.argmax()), pattern.queries)
        raise InputError(
            f"attentions of head {head}, query {query} add up to {total[odd.argmax()]:.6g}, not 1 "
            f"or less ({int(odd.sum())} such rows): call model.eval(), as dropout scales them",
            head=head,
            query=query,
        )
    logits = np.log(weights, out=np.full(len(weights), -np.inf), where=weights > 0)
    return AttentionGraph(pattern, logits)


def refuse_probabilities(logits: Floats) -> None:
    """Reject probabilities where logits are asked for.

    Args:
        logits: shape (heads, queries, keys), -inf where masked.

    Raises:
        InputError: no entry is negative and every row adds up to 1, at least one over several keys.
            Rows of zeros and ones alone are not rejected: their order of keys is right.

    Example:
        >>> refuse_probabilities(np.array([[[0.5, 0.25, -0.25]]]))  # logits: nothing happens
    """
    # Nearly all logits are told from probabilities by their first row.
    if not (_adds_up(logits[:1, :1]) and _adds_up(logits)):
        return
    _refuse(np.count_nonzero((logits > 0) & (logits < 1), axis=-1))


def refuse_edge_probabilities(ptr: Longs, logits: Floats) -> None:
    """Reject probabilities where logits are asked for, in rows of any length.

    Args:
        ptr: int64, logits of row r are ``ptr[r]:ptr[r + 1]``.
        logits: see `refuse_probabilities`.
    """
    first = logits[: ptr[np.searchsorted(ptr, 1)]] if len(logits) else logits
    if not (_adds_up(first) and _edges_add_up(ptr, logits)):
        return
    _refuse(counts(ptr, (logits > 0) & (logits < 1)))


def _refuse(between: Array) -> None:
    """Reject rows of probabilities, where one has several between 0 and 1."""
    if (between > 1).any():
        raise InputError(
            "scores are probabilities: none is negative, and every row adds up to 1. Scores are "
            "logits, before softmax: use qubo_attn.from_attentions(probabilities), or "
            "--probabilities on the command line; logits that only look so may be raised, scores + "
            "1, as a constant changes no softmax",
            argument="scores",
        )


def _adds_up(rows: Floats) -> bool:
    """Return whether every row that sees a key adds up to 1, and no entry is negative."""
    seen = rows > -np.inf
    weights = np.where(seen, rows, 0.0)
    if not (seen.any() and ((weights >= 0) & (weights <= 1 + _CLOSE)).all()):
        return False
    off = np.abs(weights.sum(axis=-1) - 1.0) > _CLOSE
    return not (off & seen.any(axis=-1)).any()


def _edges_add_up(ptr: Longs, logits: Floats) -> bool:
    """Return what `_adds_up` does, of rows of any length."""
    seen = logits > -np.inf
    weights = np.where(seen, logits, 0.0)
    if not ((weights >= 0) & (weights <= 1 + _CLOSE)).all():
        return False
    off = np.abs(sums(ptr, weights) - 1.0) > _CLOSE
    return not (off & (counts(ptr, seen) > 0)).any()


def _layer(attentions: Any, layer: int) -> Any:
    if not isinstance(attentions, Sequence):
        return attentions
    if not attentions:
        raise InputError(
            "attentions hold no layer: load the model with attn_implementation='eager', as others "
            "do not return them, and call it with output_attentions=True; qa.capture needs neither",
            argument="attentions",
        )
    weights = attentions[_index("layer", layer, len(attentions))]
    if weights is None:
        raise InputError(
            f"attentions of layer {layer} are None: load the model with "
            "attn_implementation='eager', as others do not return them",
            layer=layer,
        )
    if isinstance(weights, tuple):
        raise InputError(
            "attentions are a tuple of tuples, as generate() returns them: one for each token; "
            "hand in that of one token, attentions[0] for the prompt",
            argument="attentions",
        )
    return weights


def _index(name: str, index: object, count: int) -> int:
    return whole(name, index, least=-count, most=count - 1) % count


def _check(weights: Floats, first: int) -> None:
    """Reject what is no probability, and rows that add up to more than 1."""
    bad = ~((weights >= 0) & (weights <= 1 + _SUM_TOLERANCE))
    if bad.any():
        b, head, query, key = first_place(bad)
        raise InputError(
            f"attentions hold {weights[b, head, query, key]:.6g} (batch {first + b}, head {head}, "
            f"query {query}, key {key}; {int(bad.sum())} such entries), which is no probability; "
            "logits go to qubo_attn.compile as they are",
            batch=first + b,
            head=head,
            query=query,
            key=key,
        )
    total = weights.sum(axis=-1)
    odd = total > 1.0 + _SUM_TOLERANCE
    if odd.any():
        b, head, query = first_place(odd)
        raise InputError(
            f"attentions of batch {first + b}, head {head}, query {query} add up to "
            f"{total[b, head, query]:.6g}, not 1 or less ({int(odd.sum())} such rows): "
            "call model.eval(), as dropout scales them",
            batch=first + b,
            head=head,
            query=query,
        )
