"""Couplers of rows that are tied, by products of matrices; see `qubo_attn.kernels.tied`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Array, Floats, Ints, Longs, own_array, pointers
from qubo_attn.common.frozen import Portable
from qubo_attn.common.threads import SUMS, by_rows
from qubo_attn.frontend.attention import Rows
from qubo_attn.ir.quadratic import Couplers


@dataclass(frozen=True, eq=False)
class TiedProducts(Couplers, Portable):
    """The couplers ``2 sum_r scale_r p_ri p_rj (u_ri.u_rj - shift_r)`` over the rows of a group.

    A group is of the rows that share variables, and has a coupler for each pair of its variables.

    Attributes:
        rows: the rows, in groups.
        values: shape (H, K, d), about the same point as the rows' centres.
        ptr, var: variables of group g are ``var[ptr[g]:ptr[g + 1]]``, ascending.
        key: of each variable.
    """

    rows: kernels.TiedRows
    values: Floats
    ptr: Longs
    var: Longs
    key: Ints

    @property
    def count(self) -> int:
        """Number of pairs of a group."""
        sizes = np.diff(self.ptr)
        return int((sizes * (sizes - 1) // 2).sum())

    @property
    def links(self) -> tuple[Array, Array]:
        """Each variable, and the first one of its group."""
        return np.repeat(self.var[self.ptr[:-1]], np.diff(self.ptr)), self.var

    def among(self, index: Longs | None) -> tuple[Ints, Ints, Floats]:
        """Return the couplers between some variables, sorted; see `Couplers`."""
        number = np.arange(len(self.key))
        if index is not None:
            number = np.full(len(self.key), -1)
            number[index] = np.arange(len(index))
        chosen = np.flatnonzero(number[self.var] >= 0)
        ptr, var = np.searchsorted(chosen, self.ptr), self.var[chosen]
        place = np.full(len(self.key), -1)
        place[var] = np.arange(len(var)) - np.repeat(ptr[:-1], np.diff(ptr))
        names, keys = number[var].astype(np.int32), self.key[var]

        def work(part: slice) -> tuple[Array, ...]:
            cut = slice(part.start, part.stop + 1)
            rows = self.rows._replace(group_ptr=self.rows.group_ptr[cut])
            return kernels.tied_couplers(rows, self.values, ptr[cut], names, keys, place)

        sizes = np.diff(ptr)
        i, j, bias = by_rows(work, pointers(sizes * sizes), SUMS)
        if (np.diff(names) > 0).all():
            return i, j, bias
        order = np.lexsort((j, i))
        return i[order], j[order], bias[order]


def tied_products(
    rows: Rows,
    values: Floats,
    centre: Floats,
    shift: Floats,
    scale: Floats,
    source: Array,
    n: int,
) -> TiedProducts | None:
    """Return the couplers of rows whose entries share variables.

    Args:
        rows: the rows; values, centre, shift, scale: see `CentredProducts`.
        source: the variable of each entry.
        n: number of variables.

    Returns:
        The couplers; None where a variable stands for several keys.
    """
    key = np.zeros(n, np.int32)
    key[source] = rows.key
    if not np.array_equal(key[source], rows.key):
        return None
    first = source[rows.ptr[:-1]]
    group = kernels.connected_components(n, np.repeat(first, rows.sizes), source)
    groups = int(group.max(initial=-1)) + 1
    # About the mean of the centres, products are of what differs.
    middle = np.zeros((len(values), values.shape[2]))
    np.add.at(middle, rows.head, centre)
    middle /= np.maximum(np.bincount(rows.head, minlength=len(values)), 1)[:, None]
    tied = kernels.TiedRows(
        rows.ptr,
        rows.mass,
        source,
        rows.head,
        own_array(centre - middle[rows.head]),
        shift,
        scale,
        pointers(np.bincount(group[first], minlength=groups)),
        np.argsort(group[first], kind="stable"),
    )
    return TiedProducts(
        tied,
        own_array(values - middle[:, None]),
        pointers(np.bincount(group, minlength=groups)),
        np.argsort(group, kind="stable"),
        key,
    )
