"""A model over bits, with the constraints that are left to the machine: what files hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from qubo_attn.common.arrays import Array, Floats
from qubo_attn.ir.columns import Constraints

if TYPE_CHECKING:
    import dimod


class Bits(NamedTuple):
    """A model over bits.

    Attributes:
        linear: float64, shape (n,).
        low, high: the ends of each coupler, ``low < high``, sorted.
        bias: float64, one for each coupler.
        offset: constant.
        constraints: linear constraints that states must satisfy; none for a QUBO.
    """

    linear: Floats
    low: Array
    high: Array
    bias: Floats
    offset: float
    constraints: Constraints = Constraints.none()

    @classmethod
    def of(cls, bqm: dimod.BinaryQuadraticModel) -> Bits:
        """Return a model of dimod's, its variables by their order."""
        model = bqm if bqm.vartype.name == "BINARY" else bqm.change_vartype("BINARY", inplace=False)
        linear, (one, other, bias), offset = model.to_numpy_vectors(list(model.variables))
        low, high = np.minimum(one, other), np.maximum(one, other)
        order = np.lexsort((high, low))
        ends = low[order].astype(np.int64), high[order].astype(np.int64)
        return cls(linear.astype(np.float64), *ends, bias[order].astype(np.float64), float(offset))

    def refuse_constraints(self) -> None:
        """Refuse a model with constraints.

        Raises:
            ValueError: it has some.
        """
        if len(self.constraints):
            raise ValueError(f"it holds {len(self.constraints)} constraints; a QUBO has none")

    def model(self) -> dimod.BinaryQuadraticModel:
        """Return it as a model of dimod's.

        Raises:
            ValueError: it has constraints.
        """
        import dimod

        self.refuse_constraints()
        couplers = self.low, self.high, self.bias
        return dimod.BinaryQuadraticModel.from_numpy_vectors(
            self.linear, couplers, self.offset, "BINARY"
        )
