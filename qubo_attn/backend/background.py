"""What a machine is programmed with: coefficients in a gauge, less what the machine adds to them.

See `qubo_attn.machine.background`. A gauge comes first: its turn of a coupling at one end of the
range may have room that the coupling has not.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qubo_attn.backend.gauges import turned
from qubo_attn.backend.model import Physical
from qubo_attn.common.arrays import Array
from qubo_attn.machine.background import subtracted


def programmed(physical: Physical, sign: Array | None = None) -> Physical:
    """Return the coefficients to program, in a gauge and less the background susceptibility.

    Couplers between qubits in use that were without a coupling may get one.

    Args:
        physical: what is intended.
        sign: the gauge, int8, shape (chains,), see `draw_gauge`; None without one.
    """
    physical, target = physical if sign is None else turned(physical, sign), physical.target
    if not target.susceptibility:
        return physical
    fields, couplings = np.full(len(target.qubits), np.nan), np.zeros(len(target.couplers))
    fields[physical.qubit], couplings[physical.coupler] = physical.h, physical.j
    h, j = subtracted(target, fields, couplings)
    known = np.zeros(len(j), bool)
    known[physical.coupler] = True
    more = np.flatnonzero((j != 0) & ~known)
    u, v = target.couplers[more].T
    return replace(
        physical,
        h=h[physical.qubit],
        u=np.concatenate([u, physical.u]),
        v=np.concatenate([v, physical.v]),
        j=j[np.concatenate([more, physical.coupler])],
    )
