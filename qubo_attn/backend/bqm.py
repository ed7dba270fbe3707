"""dimod models of submissions, made of sorted vectors: dimod's own fastest route."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import dimod
    from numpy.typing import DTypeLike

    from qubo_attn.backend.submission import Submission


def fresh(part: Submission, dtype: DTypeLike = np.float64) -> dimod.BinaryQuadraticModel:
    """Return a model of sorted vectors."""
    import dimod

    # Labels that are the positions need no list: dimod then keeps none.
    return dimod.BinaryQuadraticModel.from_numpy_vectors(
        part.linear,
        (part.i, part.j, part.bias),
        part.offset,
        part.vartype,
        variable_order=None if part.plain else part.variables.tolist(),
        dtype=dtype,
    )
