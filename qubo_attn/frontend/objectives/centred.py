"""Couplers of rows whose values are taken about a centre of the row's own."""

from __future__ import annotations

from dataclasses import dataclass

from qubo_attn import kernels
from qubo_attn.common.arrays import Array, Floats, Ints, Longs
from qubo_attn.common.frozen import Portable
from qubo_attn.common.threads import SUMS, by_rows
from qubo_attn.frontend.attention import Rows
from qubo_attn.frontend.objectives.tied import TiedProducts, tied_products
from qubo_attn.ir.quadratic import RowPairs, rows_of


@dataclass(frozen=True, eq=False)
class CentredProducts(RowPairs, Portable):
    """The couplers ``2 scale p_i p_j (u_i.u_j - shift)``, u_i = v_i - centre.

    Attributes:
        rows: the rows.
        values: shape (H, K, d).
        centre: of each row, shape (rows, d).
        shift, scale: of each row.
    """

    rows: Rows
    values: Floats
    centre: Floats
    shift: Floats
    scale: Floats

    @property
    def ptr(self) -> Longs:
        """Where each row's variables start."""
        return self.rows.ptr

    def among(self, index: Longs | None) -> tuple[Ints, Ints, Floats]:
        """Return the couplers between some variables, sorted; see `Couplers`."""
        ptr, chosen = rows_of(self.rows.ptr, index)
        mass, key = self.rows.mass[chosen], self.rows.key[chosen]

        def work(part: slice) -> tuple[Ints, Ints, Floats]:
            # Row pointers as they are: the ends of couplers are positions among all chosen.
            own = ptr[part.start : part.stop + 1]
            columns = own, mass, key, self.rows.head[part], self.values
            rest = self.centre[part], self.shift[part], self.scale[part]
            return kernels.centred_couplers(*columns, *rest)

        i, j, bias = by_rows(work, ptr, SUMS)
        return i, j, bias

    def merged(self, source: Array, n: int) -> TiedProducts | None:
        """Return the couplers of rows that share variables; see `Couplers`."""
        rest = self.values, self.centre, self.shift, self.scale
        return tied_products(self.rows, *rest, source, n)
