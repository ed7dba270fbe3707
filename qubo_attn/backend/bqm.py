"""dimod models, made of sorted vectors: dimod's own fastest route."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qubo_attn.backend.model import Physical, Vectors

if TYPE_CHECKING:
    import dimod
    from numpy.typing import DTypeLike


def logical_model(vectors: Vectors, dtype: DTypeLike = np.float64) -> dimod.BinaryQuadraticModel:
    """Return a model labelled by program variable ids.

    Args:
        vectors: the model.
        dtype: of its biases.
    """
    import dimod

    labels = vectors.labels
    # Labels that are the positions need no list: dimod then keeps none.
    plain = bool((labels == np.arange(len(labels))).all())
    return dimod.BinaryQuadraticModel.from_numpy_vectors(
        vectors.linear,
        vectors.quadratic,
        vectors.offset,
        vectors.vartype,
        variable_order=None if plain else labels.tolist(),
        dtype=dtype,
    )


def physical_model(physical: Physical, offset: float) -> dimod.BinaryQuadraticModel:
    """Return a physical model, labelled by the machine's qubits.

    Args:
        physical: fields and couplings.
        offset: constant of the model.
    """
    import dimod

    place = np.full(len(physical.target.qubits), -1, np.int64)
    place[physical.qubit] = np.arange(len(physical.qubit))
    return dimod.BinaryQuadraticModel.from_numpy_vectors(
        physical.h,
        (place[physical.u], place[physical.v], physical.j),
        offset,
        "SPIN",
        variable_order=[physical.target.qubit_name(int(q)) for q in physical.qubit],
    )
