"""Random losses of a machine: qubits and couplers that do not work, drawn with a seed."""

from __future__ import annotations

from numbers import Real

import numpy as np

from qubo_attn.common.arrays import Array, Longs
from qubo_attn.common.checks import shown, whole
from qubo_attn.errors import TargetError


def draw_losses(
    qubits: Longs, couplers: Array, missing_qubits: float, missing_couplers: float, seed: int
) -> tuple[Longs, Array]:
    """Return qubits that are lost, and couplers between others that are, by qubit number.

    Args:
        qubits: int64, numbers of the working qubits, ascending.
        couplers: int64, shape (couplers, 2), positions in ``qubits``.
        missing_qubits, missing_couplers: share of each, from 0 to below 1.
        seed: seed of the draw.

    Raises:
        TargetError: a share is not between 0 and 1.
    """
    shares = {"missing_qubits": missing_qubits, "missing_couplers": missing_couplers}
    for name, share in shares.items():
        if isinstance(share, bool) or not isinstance(share, Real) or not 0 <= share < 1:
            raise TargetError(f"{name} must be a share from 0 to below 1, not {shown(share)}")
    generator = np.random.default_rng(whole("seed", seed))
    count = round(missing_qubits * len(qubits))
    lost = generator.choice(qubits, count, replace=False, shuffle=False)
    live = ~np.isin(qubits, lost)
    rest = qubits[couplers[live[couplers].all(axis=1)]]
    pairs = rest[generator.choice(len(rest), round(missing_couplers * len(rest)), replace=False)]
    return lost, pairs
