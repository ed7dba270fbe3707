"""Layer: all heads of a query in one problem, by the error of what the layer puts out.

    minimise  | sum_h sum_i (1 - z_hi) w_hi W_h |^2,   w_hi = p_hi (v_hi - b_h)

with W_h the output projection of head h and b_h its background (see `Output`). Errors of heads
cancel each other, so the couplers run across heads as well: ``2 w_hi W_h W_g' w_gj'``. Decoded by
``residual``, the energy is exactly the squared error of the layer's output.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Array, Floats, Ints, Longs, own_array, pointers, segment_ids
from qubo_attn.common.frozen import Portable
from qubo_attn.common.keywords import named_fields
from qubo_attn.common.threads import SUMS, by_rows, rows_at
from qubo_attn.errors import InputError
from qubo_attn.frontend.attention import Attention, Rows
from qubo_attn.frontend.background import (
    row_backgrounds,
)
from qubo_attn.frontend.objectives.base import Objective, needed
from qubo_attn.frontend.objectives.with_background import WithBackground
from qubo_attn.ir.quadratic import Couplers, Quadratic


@named_fields
@dataclass(frozen=True)
class Layer(WithBackground, Objective):
    """Smallest squared error of a layer's output; needs values and the output projection.

    The rows of a query are one component over all heads: nine heads of eight slots are a clique of
    72 variables.

    Attributes:
        background: see `Output`.

    Raises:
        InputError: the background is none.

    Example:
        Two heads whose errors cancel, as the layer adds them up:

        >>> import numpy as np, qubo_attn as qa
        >>> compiled = qa.compile(
        ...     np.zeros((2, 1, 2)),
        ...     2,
        ...     select=qa.OneHot(),
        ...     objective=qa.Layer(background=[[0.0], [0.0]]),
        ...     values=[[[4.0], [-2.0]], [[-4.0], [2.0]]],
        ...     output_projection=np.ones((2, 1, 1)),
        ...     target=None,
        ... )
        >>> result = compiled.solve(seed=1)
        >>> result.layer_errors(compiled.attention, absolute=True)
        array([0.])
    """

    name: ClassVar[str] = "layer"
    decoder: ClassVar[str] = "residual"
    soft: ClassVar[bool] = False

    def coefficients(self, attention: Attention, rows: Rows) -> Quadratic:
        """Return ``|r|^2``, ``|w W|^2 - 2 w W.r`` and ``2 w W.w' W'``, r the sum of all ``w W``.

        Raises:
            InputError: there are no values, or no output projection.
        """
        values = needed(attention.values, "values", self.name)
        if attention.projection is None:
            raise InputError(
                "objective 'layer' needs output_projection=, an array of shape (heads, d, model) "
                "or (model, heads * d)",
                argument="output_projection",
            )
        weight = attention.projection
        basis, factor = np.linalg.qr(weight.transpose(0, 2, 1))
        centre = row_backgrounds(attention, rows, self.as_read)

        def outputs(part: slice) -> tuple[Floats]:
            ptr, entries = rows_at(rows.ptr, part)
            columns = rows.mass[entries], rows.key[entries], rows.head[part]
            return (kernels.row_outputs(ptr, *columns, values),)

        missing = by_rows(outputs, rows.ptr, SUMS)[0] - centre
        goal = np.zeros((attention.shape[1], weight.shape[2]))
        np.add.at(goal, rows.query, _times(missing, rows, weight))
        # Lengths and products with the goal need each head's own part of the layer's space alone.
        short = np.ascontiguousarray(values @ factor.transpose(0, 2, 1))
        middle = _times(centre, rows, factor.transpose(0, 2, 1))
        own_goal = _times(goal[rows.query], rows, basis)

        def work(part: slice) -> tuple[Floats]:
            ptr, entries = rows_at(rows.ptr, part)
            columns = ptr, rows.mass[entries], rows.key[entries], rows.head[part], short
            flat = np.zeros(len(ptr) - 1), np.ones(len(ptr) - 1)
            return (kernels.centred_linear(*columns, middle[part], own_goal[part], *flat),)

        linear = by_rows(work, rows.ptr, SUMS)[0]
        offset = float((goal[np.unique(rows.query)] ** 2).sum())
        couplers = _Across(rows, own_array(values @ weight), _times(centre, rows, weight))
        return Quadratic(offset, linear, couplers=couplers)


def _times(vectors: Floats, rows: Rows, matrices: Floats) -> Floats:
    """Return vectors of rows, each times the matrix of its head."""
    out = np.empty((len(rows), matrices.shape[2]))
    for head, matrix in enumerate(matrices):
        own = rows.head == head
        out[own] = vectors[own] @ matrix
    return out


@dataclass(frozen=True, eq=False)
class _Across(Couplers, Portable):
    """The couplers of all pairs of a query's variables, in whichever heads they are."""

    rows: Rows
    values: Floats
    centre: Floats

    @property
    def count(self) -> int:
        """Number of pairs of a query's variables."""
        sizes = np.bincount(self.rows.query, weights=self.rows.sizes).astype(np.int64)
        return int((sizes * (sizes - 1) // 2).sum())

    @property
    def links(self) -> tuple[Array, Array]:
        """Each variable, and the first one of its query."""
        rows = self.rows
        _, first, query = np.unique(rows.query, return_index=True, return_inverse=True)
        return rows.ptr[first[query]][segment_ids(rows.ptr)], np.arange(len(rows.key))

    def among(self, index: Longs | None) -> tuple[Ints, Ints, Floats]:
        """Return the couplers between some variables, sorted; there may be zeros among them."""
        rows = self.rows
        chosen = np.arange(len(rows.key)) if index is None else index
        row = segment_ids(rows.ptr)[chosen]
        query = rows.query[row]
        order = np.argsort(query, kind="stable")
        ptr = pointers(np.bincount(query, minlength=1))
        columns = rows.mass[chosen], rows.key[chosen], rows.head[row], self.values
        return kernels.layer_couplers(ptr, order, *columns, self.centre, row)
