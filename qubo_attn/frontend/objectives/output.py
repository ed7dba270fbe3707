"""Output: the k keys whose kept terms reproduce the attention output best.

    minimise  | sum_i (1 - z_i) w_i |^2,   w_i = p_i (v_i - b)

with p = softmax(s) over the row's keys and b the row's background, by default their mean value
(see `qubo_attn.frontend.background`). Decoded by ``residual``, ``b + sum_i z_i w_i``, the energy is
exactly the squared error of the row's output. With G = W W^T it is linear ``G_ii - 2 w_i.sum_j
w_j`` and quadratic ``2 G_ij``. With an output projection W_O lengths and products are those after
it: ``G = W M W^T``, ``M = W_O W_O^T``.

With `SoftWeights` of k keys, a kept key has a level x_i in 0..L as well, and weighs

    c_i = base_i z_i + step_i x_i,   x_i <= L z_i,
    step_i = 2 / (L + 1) min(rest / k, p_i),   base_i = p_i - floor(3 L / 7) step_i,

rest being the softmax mass that the k heaviest keys leave: what has to be shared out, in equal
parts but for no key more than its own mass. The energy ``| sum_i (p_i - c_i) (v_i - vbar) |^2`` is
again the squared error of what ``residual`` decodes. At L = 3 a light key weighs 1/2, 1, 3/2 or 2
times its softmax weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Array, Bools, Floats, Ints, Longs, ones, own_array, segment_ids
from qubo_attn.common.frozen import Portable
from qubo_attn.common.keywords import named_fields
from qubo_attn.common.threads import SUMS, by_rows, rows_at
from qubo_attn.frontend.attention import Attention, Rows
from qubo_attn.frontend.background import (
    Background,
    is_mean,
    row_backgrounds,
)
from qubo_attn.frontend.objectives.base import Objective, centred, needed
from qubo_attn.frontend.objectives.centred import CentredProducts
from qubo_attn.frontend.objectives.tied import TiedProducts, tied_products
from qubo_attn.frontend.objectives.with_background import WithBackground
from qubo_attn.ir.quadratic import Couplers, Quadratic, RowPairs


@named_fields
@dataclass(frozen=True)
class Output(WithBackground, Objective):
    """Smallest squared error of the attention output; needs the value vectors.

    Attributes:
        background: what stands for the keys that a row does not keep, in the energy and in the
            ``residual`` decoder. ``"mean"``: the mean value of the keys that the row sees.
            ``"carried"``: the mean of what other queries did not keep, see
            `qubo_attn.frontend.background`. ``"auto"``: for each head, the better of the two on the
            first batch. Also one of the first two for each head; or vectors, shape (heads, d) or
            (heads, queries, d), kept as nested tuples.

    Raises:
        InputError: the background is none of these.

    Example:
        Key 0 is the heaviest, but what is left out cancels better where key 1 is kept:

        >>> import qubo_attn as qa
        >>> compiled = qa.compile(
        ...     [[[0.5, 0.3, 0.0]]],
        ...     1,
        ...     select=qa.OneHot(),
        ...     objective=qa.Output(),
        ...     values=[[[1.0], [1.0], [-2.0]]],
        ...     target=None,
        ... )
        >>> compiled.solve(seed=1).selected[0, 0]
        array([False,  True, False])
    """

    name: ClassVar[str] = "output"
    decoder: ClassVar[str] = "residual"
    soft: ClassVar[bool] = False

    def coefficients(self, attention: Attention, rows: Rows) -> Quadratic:
        """Return ``|r|^2``, ``G_ii - 2 w_i.r`` and ``2 G_ij``."""
        values = needed(attention.measured, "values", self.name)
        given = self.as_read
        if not is_mean(given):
            return centred_form(attention, rows, measured_backgrounds(attention, rows, given))
        products = _Products(rows, values, attention.seen)
        # Only differences matter: about their mean, rows that see every key need no mean.
        middle = products.centred

        def work(part: slice) -> tuple[Floats, ...]:
            ptr, entries = rows_at(rows.ptr, part)
            columns = ptr, rows.mass[entries], rows.key[entries], rows.head[part]
            return kernels.output_linear(*columns, values, middle)

        offset, linear = by_rows(work, rows.ptr, SUMS)
        return Quadratic(float(offset.sum()), linear, couplers=products)

    def leveled(
        self, attention: Attention, rows: Rows, leveled: Longs, k: int, levels: int
    ) -> Quadratic:
        """Return the form over selections and levels, all of the one before all of the other.

        Args:
            attention: checked input.
            rows: the rows.
            leveled: the entries that have a level.
            k, levels: keys a row keeps, and the largest level of each.
        """
        values = needed(attention.measured, "values", self.name)
        base, step = level_weights(rows, k, levels)
        given = self.as_read
        centre = np.zeros((0, values.shape[2]))
        if not is_mean(given):
            centre = measured_backgrounds(attention, rows, given)
        couplers = _Levels(rows, values, base, step, leveled, centre, squares=levels > 1)

        def work(part: slice) -> tuple[Floats, ...]:
            return kernels.leveled_fields(couplers.entries(part))

        offset, selection, level, square = by_rows(work, rows.ptr, SUMS)
        # The square of a bit is the bit.
        fields = level if levels > 1 else level + square
        linear = np.concatenate([selection, fields[leveled]])
        return Quadratic(float(offset.sum()), own_array(linear), couplers=couplers)


def measured_backgrounds(attention: Attention, rows: Rows, given: Background) -> Floats:
    """Return the background of each row as `Attention.measured` has values, shape (rows, e)."""
    centre = row_backgrounds(attention, rows, given)
    if attention.projection is None:
        return centre
    return np.ascontiguousarray(np.einsum("rd,rde->re", centre, attention.metric[rows.head]))


def centred_form(attention: Attention, rows: Rows, centre: Floats) -> Quadratic:
    """Return the form of ``output`` with a background for each row, shape (rows, e)."""
    values = attention.measured
    assert values is not None

    def work(part: slice) -> tuple[Floats, ...]:
        ptr, entries = rows_at(rows.ptr, part)
        columns = ptr, rows.mass[entries], rows.key[entries], rows.head[part], values
        goal = kernels.row_outputs(*columns) - centre[part]
        flat = np.zeros(len(goal)), np.ones(len(goal))
        linear = kernels.centred_linear(*columns, centre[part], goal, *flat)
        return np.einsum("rd,rd->r", goal, goal), linear

    offset, linear = by_rows(work, rows.ptr, SUMS)
    flat = np.zeros(len(rows)), np.ones(len(rows))
    couplers = CentredProducts(rows, values, centre, *flat)
    return Quadratic(float(offset.sum()), linear, couplers=couplers)


@dataclass(frozen=True, eq=False)
class _Products(RowPairs, Portable):
    """The couplers ``2 w_i.w_j``."""

    rows: Rows
    values: Floats
    seen: Bools

    @cached_property
    def centred(self) -> Floats:
        """Values about the mean of those that any query sees."""
        return centred(self.values, self.seen)

    @property
    def ptr(self) -> Longs:
        return self.rows.ptr

    @cached_property
    def gram(self) -> Floats | None:
        """Products of all vectors of each head, where they serve every row of it.

        Rows that do not see all keys have mean values of their own; and the products of many keys
        would be more than a few rows ask for.
        """
        heads, keys, _ = self.values.shape
        entries = len(self.rows.key)
        if entries < len(self.rows) * keys or heads * keys * keys > 2 * entries:
            return None
        return kernels.gram_matrices(self.centred)

    def merged(self, source: Array, n: int) -> TiedProducts | None:
        rows = self.rows
        sums = kernels.row_outputs(rows.ptr, ones(len(rows.key)), rows.key, rows.head, self.values)
        flat = np.zeros(len(rows)), np.ones(len(rows))
        return tied_products(rows, self.values, sums / rows.sizes[:, None], *flat, source, n)

    def among(self, index: Longs | None) -> tuple[Ints, Ints, Floats]:
        rows, gram = self.rows, self.gram
        chosen = np.arange(len(rows.key)) if index is None else index
        chosen_ptr = np.searchsorted(chosen, rows.ptr)
        mass, key = rows.mass[chosen], rows.key[chosen]

        def work(part: slice) -> tuple[Array, ...]:
            # Row pointers as they are: the ends of couplers are positions among all chosen.
            cut = slice(part.start, part.stop + 1)
            if gram is not None:
                return kernels.gram_couplers(mass, key, rows.head[part], gram, chosen_ptr[cut])
            columns = (rows.mass, rows.key, rows.head[part], self.values, self.centred)
            return kernels.output_couplers(rows.ptr[cut], *columns, chosen_ptr[cut], chosen)

        i, j, bias = by_rows(work, chosen_ptr, SUMS)
        return i, j, bias


@dataclass(frozen=True, eq=False)
class _Levels(Couplers, Portable):
    """The couplers of selections and levels.

    Attributes:
        rows: the selections of their entries are the first variables.
        values: shape (H, K, d).
        base, step: weight of each entry at level 0, and of each level.
        leveled: the entries that have a level, in order: these are the other variables.
        centre: see `kernels.LeveledEntries`.
        squares: whether squares of levels are couplers.
    """

    rows: Rows
    values: Floats
    base: Floats
    step: Floats
    leveled: Longs
    centre: Floats
    squares: bool

    def entries(self, part: slice) -> kernels.LeveledEntries:
        """Return some rows as kernels take them; their pointers count all entries."""
        rows = self.rows
        ptr, head = rows.ptr[part.start : part.stop + 1], rows.head[part]
        centre = self.centre[part] if len(self.centre) else self.centre
        columns = rows.mass, self.base, self.step, rows.key, head, self.values
        return kernels.LeveledEntries(ptr, *columns, centre)

    @property
    def count(self) -> int:
        """Number of pairs of a row, and of squares."""
        ptr = self.rows.ptr
        sizes = np.diff(ptr) + np.diff(np.searchsorted(self.leveled, ptr))
        return int((sizes * (sizes - 1) // 2).sum()) + self.squares * len(self.leveled)

    @property
    def links(self) -> tuple[Array, Array]:
        """Each variable, and the first selection of its row."""
        first = self.rows.ptr[segment_ids(self.rows.ptr)]
        first = np.concatenate([first, first[self.leveled]])
        return first, np.arange(len(first))

    def among(self, index: Longs | None) -> tuple[Ints, Ints, Floats]:
        """Return the couplers between some variables, sorted; there may be zeros among them."""
        n = len(self.base)
        place = np.arange(n + len(self.leveled))
        if index is not None:
            place = np.full(len(place), -1, np.int64)
            place[index] = np.arange(len(index))
        level = np.full(n, -1, np.int64)
        level[self.leveled] = place[n:]
        chosen = np.flatnonzero((place[:n] >= 0) | (level >= 0))
        ptr = np.searchsorted(chosen, self.rows.ptr)
        ends = chosen, place[chosen], level[chosen]

        def work(part: slice) -> tuple[Array, ...]:
            cut, some = slice(part.start, part.stop + 1), slice(ptr[part.start], ptr[part.stop])
            own = kernels.ChosenEntries(ptr[cut] - ptr[part.start], *(end[some] for end in ends))
            return kernels.leveled_couplers(self.entries(part), own, self.squares)

        terms = kernels.LeveledTerms(*by_rows(work, ptr, SUMS))
        return (
            np.concatenate([terms.i, terms.level_i]),
            np.concatenate([terms.j, terms.level_j]),
            np.concatenate([terms.bias, terms.level_bias]),
        )


def level_weights(rows: Rows, k: int, levels: int) -> tuple[Floats, Floats]:
    """Return the weight of each entry of ``rows`` at level 0, and that of one level.

    Rows of at most k keys have weights to themselves: softmax, and no levels.
    """
    row, count = segment_ids(rows.ptr), np.full(len(rows), k)
    heavy = kernels.heaviest(rows.ptr, np.zeros(len(row), np.int8), rows.mass, count)
    heavy_mass = np.bincount(row, weights=rows.mass * heavy, minlength=len(rows))
    rest = np.where(rows.sizes > k, np.maximum(1.0 - heavy_mass, 0.0), 0.0)
    step = 2.0 / (levels + 1) * np.minimum((rest / k)[row], rows.mass)
    return rows.mass - (3 * levels // 7) * step, step
