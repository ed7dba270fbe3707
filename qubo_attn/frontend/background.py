"""Backgrounds: what stands for the keys that a row does not keep.

``residual`` writes a row's output as ``b + sum_i z_i p_i (v_i - b)``, and `Output` minimises the
error of that. The background b of a row is

* ``"mean"``: the mean value of the keys that the row sees;
* ``"carried"``: what other queries did not keep. Row r keeps its start (the keys of largest mass)
  and leaves ``rest_r``, the mass of the others, whose mean value is ``tail_r``; then

      b_q = sum_r rest_r tail_r / sum_r rest_r

  over the rows r of the head, q aside, that see no later key than q does: all earlier queries of a
  causal head, all other queries of one that looks both ways. Sums of earlier batches
  (`Attention.carried`, one vector a head) count as well. A row with nothing to carry has its mean;
* an array of the caller's own: shape (heads, d), or (heads, queries, d).

``"auto"`` is settled once, on the first batch: each head takes whichever of the first two brings
the start nearer to the output.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Array, Floats, own_array
from qubo_attn.common.checks import numbers, one_of
from qubo_attn.common.threads import SUMS, by_rows, rows_at
from qubo_attn.common.vocabulary import BACKGROUNDS
from qubo_attn.errors import InputError
from qubo_attn.frontend.attention import Attention, Rows

# A mass below this is rounding: it carries nothing.
_LEAST = 1e-12

# Names, one for all heads or one each; or vectors.
Background = str | tuple[str, ...] | tuple[Any, ...]


def read_background(given: Any) -> Background:
    """Return a background as an objective keeps it: a name, names, or vectors as nested tuples.

    Raises:
        InputError: it is none.

    Example:
        >>> read_background([[0.5, 1.0]])
        ((0.5, 1.0),)
    """
    if isinstance(given, str):
        return one_of("background", given, BACKGROUNDS)
    if isinstance(given, (tuple, list)) and given and all(isinstance(b, str) for b in given):
        return tuple(one_of("background", name, BACKGROUNDS[:2]) for name in given)
    vectors = numbers("background", given)
    if vectors.ndim not in (2, 3) or not vectors.size:
        raise InputError(
            f"background has shape {vectors.shape}; expected (heads, d) or (heads, queries, d), or "
            f"one of {', '.join(BACKGROUNDS)}",
            argument="background",
        )
    if not (np.abs(vectors) < 1e150).all():
        raise InputError("background must hold finite numbers", argument="background")
    nested: Background = _tuples(vectors.tolist())
    return nested


class Tails(NamedTuple):
    """What rows leave over, in the space of the values.

    Attributes:
        output: of each row, shape (rows, d).
        rest: value of what the start does not keep, and its mass, shape (rows, d + 1).
    """

    output: Floats
    rest: Floats


def tails(attention: Attention, rows: Rows) -> Tails:
    """Return what the start of each row leaves over."""
    values, kept = attention.values, rows.start
    assert values is not None
    assert kept is not None

    def work(part: slice) -> tuple[Floats, Floats]:
        ptr, entries = rows_at(rows.ptr, part)
        mass, key, head = rows.mass[entries], rows.key[entries], rows.head[part]
        left = np.where(kept[entries], 0.0, mass)
        output = kernels.row_outputs(ptr, mass, key, head, values)
        over = kernels.row_outputs(ptr, left, key, head, values)
        return output, np.column_stack([over, np.add.reduceat(left, ptr[:-1])])

    if not len(rows):
        width = values.shape[2]
        return Tails(np.zeros((0, width)), np.zeros((0, width + 1)))
    return Tails(*by_rows(work, rows.ptr, SUMS))


def means(attention: Attention, rows: Rows) -> Floats:
    """Return the mean value of the keys that each row sees, shape (rows, d)."""
    assert attention.values is not None
    weight = np.repeat(1.0 / rows.sizes, rows.sizes)
    return kernels.row_outputs(rows.ptr, weight, rows.key, rows.head, attention.values)


def row_backgrounds(attention: Attention, rows: Rows, given: Background) -> Floats:
    """Return the background of each row, shape (rows, d), in the space of the values.

    Args:
        attention: checked input, with values.
        rows: the rows, with their start where the background is carried.
        given: of `read_background`, ``"auto"`` settled.

    Raises:
        InputError: it does not fit the attention.
    """
    assert attention.values is not None
    heads, queries, _ = attention.shape
    width = attention.values.shape[2]
    if _names(given) is None:
        vectors = np.asarray(given, dtype=np.float64)
        if vectors.shape not in ((heads, width), (heads, queries, width)):
            raise InputError(
                f"background has shape {vectors.shape}; expected ({heads}, {width}) or "
                f"({heads}, {queries}, {width})",
                argument="background",
            )
        table = vectors[:, None] if vectors.ndim == 2 else vectors
        return np.ascontiguousarray(
            np.broadcast_to(table, (heads, queries, width))[rows.head, rows.query]
        )
    names = _names(given) or ()
    if len(names) not in (1, heads):
        raise InputError(
            f"background names {len(names)} heads, but there are {heads}", argument="background"
        )
    centre = means(attention, rows)
    carried = np.array([name == "carried" for name in names])
    of_head = np.broadcast_to(carried, heads)[rows.head]
    if of_head.any():
        vectors, known = _carried(attention, rows, tails(attention, rows).rest)
        centre = np.where((of_head & known)[:, None], vectors, centre)
    return own_array(centre)


def carried_after(attention: Attention, rows: Rows) -> Floats:
    """Return what this batch leaves to a carried background, with all before it.

    Returns:
        float64, shape (H, d + 1): sums of values, and their mass.
    """
    rest = tails(attention, rows).rest
    total = np.zeros((attention.shape[0], rest.shape[1]))
    if attention.carried is not None:
        total += attention.carried
    np.add.at(total, rows.head, rest)
    return own_array(total)


def settled_backgrounds(attention: Attention, rows: Rows) -> tuple[str, ...]:
    """Return for each head the background, mean or carried, that brings its start nearer."""
    assert attention.values is not None
    output, rest = tails(attention, rows)
    size = np.maximum(np.linalg.norm(output, axis=1), 1e-300)
    errors = np.zeros((2, attention.shape[0]))
    for n, name in enumerate(BACKGROUNDS[:2]):
        centre = row_backgrounds(attention, rows, name)
        gap = rest[:, :-1] - rest[:, -1:] * centre
        np.add.at(errors[n], rows.head, np.linalg.norm(gap, axis=1) / size)
    return tuple(BACKGROUNDS[int(carried < mean)] for mean, carried in errors.T)


def is_mean(given: Background) -> bool:
    """Return whether a background is the mean everywhere, which needs no start and no vectors."""
    return all(name == "mean" for name in _names(given) or ("",))


def is_carried(given: Background) -> bool:
    """Return whether any head carries its background, or may come to."""
    return any(name != "mean" for name in _names(given) or ())


def _names(given: Background) -> tuple[str, ...] | None:
    """Return the names of a background; None where it is vectors."""
    if isinstance(given, str):
        return (given,)
    return given if all(isinstance(name, str) for name in given) else None


def _carried(attention: Attention, rows: Rows, rest: Floats) -> tuple[Floats, Array]:
    """Return the carried background of each row, and where there is one."""
    heads = attention.shape[0]
    last = rows.key[rows.ptr[1:] - 1] if len(rows) else rows.key[:0]
    sums = np.empty_like(rest)
    for head in range(heads):
        own = np.flatnonzero(rows.head == head)
        order = own[np.argsort(last[own], kind="stable")]
        running = np.cumsum(rest[order], axis=0)
        if attention.carried is not None:
            running += attention.carried[head]
        # Rows of one last key see each other; each leaves itself out.
        end = np.searchsorted(last[order], last[order], side="right") - 1
        sums[order] = running[end] - rest[order]
    mass = sums[:, -1]
    known = mass > _LEAST
    vectors = np.divide(
        sums[:, :-1], mass[:, None], out=np.zeros_like(sums[:, :-1]), where=known[:, None]
    )
    return vectors, known


def _tuples(nested: Any) -> Any:
    """Return nested lists as tuples, which compare and hash."""
    return tuple(map(_tuples, nested)) if isinstance(nested, list) else nested
