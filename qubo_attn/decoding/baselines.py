"""Baselines: selections by scores that judge key by key, to stand beside what was optimised.

Each row keeps as many keys as it may, required ones first: those of the largest score. Rows that
are tied, or share a budget, add their scores up. With p = softmax(s), o the full output of the row
and b its background:

* ``top-k``: ``p_i``.
* ``value-distance``: ``p_i |v_i - b|``, the diagonal of `Output`.
* ``leave-one-out``: ``p_i / (1 - p_i) |v_i - o|``, what the output moves by without the key (the
  form of OBCache, arXiv 2510.07651).
* ``projected-value``: ``p_i |W_O v_i|_1`` (CriticalKV, arXiv 2502.03805, in one stage); without an
  output projection ``p_i |v_i|_1``.

Those of caches have one score for all queries of a head:

* ``accumulated``: ``sum_q p_qi``. ``mean-mass``: the mean over the queries that see the key.
* ``window``: the sum over the latest queries alone (observation window, as in SnapKV, arXiv
  2404.14469).
* ``first-and-latest``: the first four keys, then the latest (StreamingLLM, arXiv 2309.17453).
* ``heavy-hitters``: sums over the queries so far, in a cache that holds k keys at each query, half
  of them the latest, and never takes back what it dropped (the rule of H2O, arXiv 2306.14048).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Bools, Floats
from qubo_attn.common.brief import brief
from qubo_attn.common.checks import instance, one_of, whole
from qubo_attn.compilation.backgrounds import ties_of
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.decoding.decoders import (
    check_decoder,
    context_of,
    residual_background,
    weights_of,
)
from qubo_attn.decoding.lost_mass import distances, mean_values
from qubo_attn.errors import DecodeError, InputError
from qubo_attn.frontend.attention import Attention
from qubo_attn.frontend.start import heaviest_entries
from qubo_attn.ir.ties import Ties

BASELINES = (
    "top-k", "value-distance", "leave-one-out", "projected-value", "accumulated", "mean-mass",
    "window", "first-and-latest", "heavy-hitters",
)  # fmt: skip
_FIRST = 4


def baseline(name: str, compiled: Compilation, *, window: int = 32) -> Bools:
    """Return the selection of a baseline, under the counts, ties and budgets of a compilation.

    Args:
        name: one of `BASELINES`; see `qubo_attn.decoding.baselines` for the formulas.
        compiled: what it is to stand beside.
        window: queries that ``"window"`` looks at.

    Returns:
        bool, shape (H, Q, K), or (edges,) of a graph.

    Raises:
        InputError: there is no such baseline, or the window is none.
        DecodeError: it needs values, and there are none.

    Example:
        >>> import qubo_attn as qa
        >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.ExactlyK(2), target=None)
        >>> qa.baseline("top-k", compiled)[0, 0]
        array([ True,  True, False])
    """
    one_of("baseline", name, BASELINES)
    attention = instance("compiled", compiled, Compilation).attention
    window = whole("window", window, 1)
    if name in ("value-distance", "leave-one-out", "projected-value") and attention.values is None:
        raise DecodeError(f"baseline {name!r} needs values; compile with values=")
    ties = ties_of(compiled.recipe, attention)
    scores = _scores(name, compiled, window, ties)
    return np.array(
        attention.table(heaviest_entries(attention, compiled.recipe.selects, ties, scores))
    )


class Beside(NamedTuple):
    """Mean errors of a result and of every baseline, decoded alike.

    Attributes:
        decoder: the decoder, ``"renormalise"`` or ``"residual"``, of all of them.
        error: relative output error by name, mean over the rows that see a key; the result's own
            name is ``"result"``.
        layer: relative error of the layer by name, mean over queries; None without an output
            projection.

    Example:
        >>> import qubo_attn as qa
        >>> compiled = qa.compile(
        ...     [[[1.0, 0.5, 0.0]]],
        ...     1,
        ...     select=qa.OneHot(),
        ...     objective="output",
        ...     values=[[[2.0], [0.0], [-2.0]]],
        ...     target=None,
        ... )
        >>> table = compiled.solve(seed=1).beside(compiled)
        >>> table.decoder, table.error["result"] <= table.error["top-k"]
        ('residual', True)
    """

    decoder: str
    error: dict[str, float]
    layer: dict[str, float] | None

    def __repr__(self) -> str:
        return f"Beside(decoder={self.decoder!r}, error={brief(self.error)})"

    def __str__(self) -> str:
        lines = [f"mean relative output error, decoder {self.decoder}"]
        for name, error in sorted(self.error.items(), key=lambda entry: entry[1]):
            layer = "" if self.layer is None else f"   layer {self.layer[name]:.4f}"
            lines.append(f"{name:<18} {error:.4f}{layer}")
        return "\n".join(lines)


def beside(
    compiled: Compilation, selected: Bools, decoder: str | None = None, window: int = 32
) -> Beside:
    """Return the table of a selection and all baselines; see `AttentionResult.beside`."""
    instance("compiled", compiled, Compilation)
    name = compiled.recipe.objectives[0].decoder if decoder is None else decoder
    check_decoder(name)
    name = name if name in ("renormalise", "residual") else "renormalise"
    attention = compiled.attention
    if selected.shape != attention.logits.shape:
        raise InputError(
            f"the result has shape {selected.shape}, the compilation {attention.logits.shape}",
            argument="compiled",
        )
    if attention.values is None:
        raise DecodeError("output errors need values; compile with values=")
    contexts = {
        each: decoded(compiled, baseline(each, compiled, window=window), name) for each in BASELINES
    }
    contexts["result"] = decoded(compiled, selected, name)
    exact, seen = attention.outputs(attention.softmax), attention.sees
    error = {each: _mean(context - exact, exact, seen) for each, context in contexts.items()}
    if attention.projection is None:
        return Beside(name, error, None)
    whole_layer = _projected(exact, attention)
    layer = {
        each: _mean(
            _projected(context - exact, attention), whole_layer, np.asarray(seen.any(axis=0))
        )
        for each, context in contexts.items()
    }
    return Beside(name, error, layer)


def decoded(compiled: Compilation, selected: Bools, decoder: str) -> Floats:
    """Return the context of a selection by ``"renormalise"`` or ``"residual"``, shape (H, Q, d)."""
    attention = compiled.attention
    background = residual_background(compiled.backgrounds, [decoder] * attention.shape[0])
    weights = weights_of(decoder, attention, selected, background=background is not None)
    return context_of(attention, weights, background)


def _projected(vectors: Floats, attention: Attention) -> Floats:
    assert attention.projection is not None
    return np.asarray(np.einsum("hqd,hde->qe", vectors, attention.projection, optimize=True))


def _mean(gap: Floats, exact: Floats, seen: Bools) -> float:
    size = np.linalg.norm(exact, axis=-1)
    error = np.linalg.norm(gap, axis=-1) / np.where(size > 0, size, 1.0)
    return float(error[seen].mean()) if seen.any() else float("nan")


def _scores(name: str, compiled: Compilation, window: int, ties: Ties) -> Floats:
    """Return the score of every visible key, at least 0, in the order of the rows."""
    attention = compiled.attention
    rows, (heads, queries, keys) = attention.rows, attention.shape
    if name == "top-k":
        return rows.mass
    if name in ("value-distance", "leave-one-out", "projected-value"):
        return _of_values(name, compiled)
    if name == "heavy-hitters":
        return _heavy_hitters(compiled)
    if name == "first-and-latest":
        return np.where(rows.key < _FIRST, keys, rows.key) + 1.0
    of_key = np.repeat(rows.head.astype(np.int64) * keys, rows.sizes) + rows.key
    mass = rows.mass
    if name == "window":
        mass = np.where(np.repeat(rows.query >= queries - window, rows.sizes), mass, 0.0)
    total: Floats = np.asarray(np.bincount(of_key, mass, heads * keys), np.float64)
    queries_of_key = np.maximum(np.bincount(of_key, minlength=heads * keys), 1)
    if name == "mean-mass":
        total = total / queries_of_key
    if ties.queries:
        # The scores of a key are added up over the queries that see it.
        total = total / queries_of_key
    # Keys that have no sum go last, the heavier ones of a query first.
    return np.asarray(total[of_key] + 1e-9 * rows.mass)


def _of_values(name: str, compiled: Compilation) -> Floats:
    """Return scores that look at the values."""
    attention = compiled.attention
    rows, values = attention.rows, attention.values
    assert values is not None
    head = np.repeat(rows.head, rows.sizes)
    if name == "projected-value":
        seen = values if attention.projection is None else values @ attention.projection
        return np.asarray(rows.mass * np.abs(seen).sum(axis=-1)[head, rows.key])
    factor = rows.mass
    if name == "leave-one-out":
        centre = _of_rows(attention, attention.softmax)
        factor = factor / np.maximum(1.0 - factor, 1e-12)
    elif compiled.backgrounds is not None:
        centre = compiled.backgrounds[rows.head, rows.query]
    else:
        centre = mean_values(attention)
    return np.asarray(factor * distances(rows, values, centre))


def _of_rows(attention: Attention, weights: Floats) -> Floats:
    rows = attention.rows
    return attention.outputs(weights)[rows.head, rows.query]


def _heavy_hitters(compiled: Compilation) -> Floats:
    """Return what a cache of H2O's rule holds at each query: its latest keys, then large sums."""
    attention = compiled.attention
    rows, keys = attention.rows, attention.shape[2]
    endless, scores = np.array([keys]), np.zeros(len(rows.key))
    for head, select in enumerate(compiled.recipe.selects):
        k = int(getattr(select, "k", None) or select.counts(endless)[0])
        sums, held = np.zeros(keys), np.ones(keys, bool)
        for row in np.flatnonzero(rows.head == head).tolist():
            own = slice(int(rows.ptr[row]), int(rows.ptr[row + 1]))
            key, mass = rows.key[own], rows.mass[own]
            sums[key] += np.where(held[key], mass, 0.0)
            latest = np.arange(len(key)) >= len(key) - k // 2
            now = np.where(held[key], sums[key] + np.where(latest, 1e6, 0.0) + 1e-9, 0.0)
            rank = np.argsort(np.argsort(-now, kind="stable"), kind="stable")
            held[key] &= rank < k
            scores[own] = np.where(held[key], now, 1e-12 * mass)
    return scores
