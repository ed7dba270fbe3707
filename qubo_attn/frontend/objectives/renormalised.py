"""Renormalised: the keys whose own softmax comes nearest to the attention output.

Whatever takes a mask (a cache, ``scaled_dot_product_attention``) renormalises what is kept,

    o(z) = sum_i z_i p_i v_i / sum_i z_i p_i,

so with o the full output the squared error is a ratio of two quadratics,

    |o(z) - o|^2 = z'N z / z'D z,   N_ij = p_i p_j (v_i - o).(v_j - o),   D_ij = p_i p_j.

Dinkelbach (Management Science 13, 492, 1967): at t, the squared error of any selection at hand,

    minimise  F_t(z) = scale z'(N - t D) z.

A selection with F_t < 0 has a smaller error than the one that gave t; where the least F_t is 0,
that one is optimal. `CompiledAttention.solve` takes several rounds: each starts from the best
selection so far. ``scale`` is one over ``|o|^2`` and the squared mass that the start keeps, so
energies are in units of the squared relative error; of tied rows it weighs them alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from qubo_attn import kernels
from qubo_attn.common.arrays import Bools, Floats, places_in
from qubo_attn.common.checks import one_of, several, whole
from qubo_attn.common.keywords import named_fields
from qubo_attn.common.ragged import counts
from qubo_attn.common.threads import SUMS, by_rows, rows_at
from qubo_attn.errors import InputError
from qubo_attn.frontend.attention import Attention, Rows
from qubo_attn.frontend.objectives.base import Objective, needed
from qubo_attn.frontend.objectives.centred import CentredProducts
from qubo_attn.ir.quadratic import Quadratic

MOST_ROUNDS = 1000
# Mass that counts as kept at least: a row that keeps next to nothing does not outweigh all others.
_LEAST_MASS = 1e-3


@named_fields
@dataclass(frozen=True)
class Renormalised(Objective):
    """Smallest squared error of the output that the kept keys give by themselves; needs values.

    Attributes:
        start: whose error is to be bettered: ``"top-k"``, the keys of largest mass (of tied rows
            together), or a bool array of shape (heads, queries, keys). It is kept as the kept keys
            of each row, nested tuples of shape (heads, queries), and may be given so.
        rounds: most rounds of `CompiledAttention.solve`; each starts from the best selection of the
            one before.

    Raises:
        InputError: the start is no selection, or the rounds are no whole number from 1 to 1000.

    Example:
        Key 0 is the heaviest, but key 1 lies nearer to the output:

        >>> import qubo_attn as qa
        >>> compiled = qa.compile(
        ...     [[[0.5, 0.3, 0.0]]],
        ...     1,
        ...     select=qa.OneHot(),
        ...     objective=qa.Renormalised(),
        ...     values=[[[2.0], [0.0], [-2.0]]],
        ...     target=None,
        ... )
        >>> result = compiled.solve(seed=1)
        >>> result.selected[0, 0]
        array([False,  True, False])
        >>> print(result.rounds.states[0, 0])
        optimal
    """

    start: str | ArrayLike = "top-k"
    rounds: int = 6

    name: ClassVar[str] = "renormalised"
    decoder: ClassVar[str] = "renormalise"
    soft: ClassVar[bool] = False
    starts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "rounds", whole("rounds", self.rounds, 1, MOST_ROUNDS))
        if isinstance(self.start, str):
            one_of("start", self.start, ("top-k",))
        else:
            object.__setattr__(self, "start", _kept_keys(self.start))

    def entries(self, attention: Attention) -> Bools | None:
        """Return which visible keys the start keeps; None for the keys of largest mass.

        Raises:
            InputError: it does not fit the attention; names head, query and key.
        """
        if isinstance(self.start, str):
            return None
        start: Any = self.start
        heads, queries, keys = attention.shape
        if len(start) != heads or any(len(rows) != queries for rows in start):
            raise InputError(
                f"start is for {len(start)} heads; expected the kept keys of {heads} heads and "
                f"{queries} queries",
                argument="start",
            )
        sizes = np.array([[len(row) for row in rows] for rows in start], np.int64).ravel()
        key = np.array([key for rows in start for row in rows for key in row], np.int64)
        row = np.repeat(np.arange(len(sizes)), sizes)
        rows = attention.rows
        number = rows.head.astype(np.int64) * queries + rows.query
        there = np.asarray(np.repeat(number * keys, rows.sizes) + rows.key, np.int64)
        place = np.where(key < keys, places_in(there, row * keys + key), -1)
        if (place < 0).any():
            at = int((place < 0).argmax())
            h, q, k = int(row[at]) // queries, int(row[at]) % queries, int(key[at])
            raise InputError(
                f"start keeps key {k} of head {h}, query {q}, which the query does not see",
                argument="start",
                head=h,
                query=q,
                key=k,
            )
        kept = np.zeros(len(there), bool)
        kept[place] = True
        return kept

    def coefficients(self, attention: Attention, rows: Rows) -> Quadratic:
        """Return the form of ``scale z'(N - t D) z``.

        Raises:
            InputError: there are no values.
        """
        values = needed(attention.measured, "values", self.name)
        kept = rows.start
        assert kept is not None

        def work(part: slice) -> tuple[Floats, ...]:
            ptr, entries = rows_at(rows.ptr, part)
            columns = ptr, rows.mass[entries], rows.key[entries], rows.head[part], values
            output = kernels.row_outputs(*columns)
            square, held = kernels.kept_errors(*columns, output, kept[entries])
            size = np.einsum("rd,rd->r", output, output)
            size = np.where(size > 1e-300, size, 1.0)
            # Where nothing is kept, an output of zero is what is to be bettered.
            shift = np.where(np.isfinite(square), square, size)
            scale = 1.0 / (size * np.maximum(held, _LEAST_MASS) ** 2)
            goal = np.zeros_like(output)
            linear = kernels.centred_linear(*columns, output, goal, shift, scale)
            return linear, output, shift, scale

        linear, *centred = by_rows(work, rows.ptr, SUMS)
        return Quadratic(0.0, linear, couplers=CentredProducts(rows, values, *centred))


def kept_keys(attention: Attention, selected: Bools) -> tuple[tuple[tuple[int, ...], ...], ...]:
    """Return the kept keys of each row of a selection, a table or column: a start.

    Example:
        >>> attention = Attention.check([[[1.0, 0.0], [0.5, 2.0]]])
        >>> kept_keys(attention, np.array([[[True, False], [True, True]]]))
        (((0,), (0, 1)),)
    """
    rows, kept = attention.rows, attention.entries(selected)
    sizes = np.zeros(attention.shape[:2], np.int64)
    sizes[rows.head, rows.query] = counts(rows.ptr, kept)
    cuts = np.cumsum(sizes.ravel())[:-1]
    parts = iter(np.split(rows.key[kept], cuts)) if sizes.size else iter(())
    return tuple(tuple(tuple(next(parts).tolist()) for _ in head) for head in sizes)


def _kept_keys(start: Any) -> tuple[tuple[tuple[int, ...], ...], ...]:
    """Return the kept keys of each row, from a table of bools or from themselves."""
    table = start if isinstance(start, np.ndarray) else None
    if table is not None and table.dtype == np.bool_ and table.ndim == 3:
        rows = table.reshape(-1, table.shape[-1])
        cuts = np.cumsum(np.count_nonzero(rows, axis=1))[:-1]
        parts = iter(np.split(np.nonzero(rows)[1], cuts))
        heads, queries, _ = table.shape
        return tuple(
            tuple(tuple(next(parts).tolist()) for _ in range(queries)) for _ in range(heads)
        )
    if table is not None and table.dtype.kind not in "iu":
        raise InputError(
            f"start has shape {table.shape} and type {table.dtype}; expected bools of shape "
            "(heads, queries, keys)",
            argument="start",
        )
    return tuple(
        tuple(
            tuple(whole("a key of start", key) for key in several("a row of start", row))
            for row in several("a head of start", rows)
        )
        for rows in several("start", start)
    )
