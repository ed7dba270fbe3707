"""Kernels from logical to physical arrays: fields, couplings and chains."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Floats, Longs
from qubo_attn.kernels._jit import kernel


class Shares(NamedTuple):
    """The logical coefficient of which each physical one is a share.

    Attributes:
        field_of, field_parts: int64 and float64, shape (fields,): variable of each physical field,
            and among how many qubits that variable's field is shared.
        coupling_of, coupling_parts: int64 and float64, shape (couplings,): logical coupler of each
            coupling between chains, and among how many couplings it is shared.
        chain_of: int64, shape (links,), variable of each coupling within a chain.
    """

    field_of: Longs
    field_parts: Floats
    coupling_of: Longs
    coupling_parts: Floats
    chain_of: Longs


@kernel
def fill_physical(
    shares: Shares, h: Floats, coupling: Floats, strength: Floats
) -> tuple[Floats, Floats]:
    """Return physical fields, and couplings: those between chains, then those within chains.

    Args:
        shares: which logical coefficient each physical one is a share of.
        h, coupling, strength: logical fields, couplings, and chain strength of each variable.
    """
    fields = np.empty(len(shares.field_of))
    for p in range(len(fields)):
        fields[p] = h[shares.field_of[p]] / shares.field_parts[p]
    between = len(shares.coupling_of)
    couplings = np.empty(between + len(shares.chain_of))
    for p in range(between):
        couplings[p] = coupling[shares.coupling_of[p]] / shares.coupling_parts[p]
    for p in range(len(shares.chain_of)):
        couplings[between + p] = -strength[shares.chain_of[p]]
    return fields, couplings


@kernel
def place_values(values: Floats, place: Longs, whole: Floats) -> None:
    """Write each of ``values`` to its place in ``whole``; other entries are left as they are."""
    # A zero of either sign is written as a plain one, as the sums of a model's dictionaries are.
    for p in range(len(values)):
        whole[place[p]] = values[p] + 0.0
