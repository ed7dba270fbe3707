"""Precision: what of a row's coefficients stands out of a machine's errors, in bits.

The signal of a row is the standard deviation of its fields (and of its couplings), each shared by
the qubits of a chain (by the couplers that carry it), in hardware units: what all of them have in
common, as from a penalty, tells no key from another. Machines err in fields by 0.01 to 0.025 and in
couplings by 0.01 to 0.015 (integrated control errors, from the vendor's figures for Advantage);
`FIELD_ERROR` and `COUPLING_ERROR` are taken here. ``bits = log2(1 + signal / error)``: 0 without a
signal, 1 where it equals the error. On the dynamic range of QUBOs see Muecke, Gerlach and
Piatkowski (arXiv 2307.02195).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qubo_attn.backend.coefficients import Coefficients
from qubo_attn.common.arrays import Array, Floats, Longs
from qubo_attn.ir.program import Program
from qubo_attn.machine.limits import COUPLING_ERROR, FIELD_ERROR


@dataclass(frozen=True, eq=False)
class Precision:
    """Signal of every independent row on the machine; made by `CompiledAttention.precision`.

    Attributes:
        submission: int64, the submission that carries each row.
        head, query: int64, of the row (of the first one where a group is tied); -1 where a problem
            belongs to no single one.
        field, coupling: float64, signal of the fields and of the couplings, in hardware units.

    Example:
        >>> import numpy as np, qubo_attn as qa
        >>> scores = np.random.default_rng(0).normal(size=(2, 3, 8))
        >>> compiled = qa.compile(scores, 2, select=qa.ExactlyK(2), target="zephyr:2")
        >>> len(compiled.precision().field)
        6
    """

    submission: Longs
    head: Longs
    query: Longs
    field: Floats
    coupling: Floats

    @property
    def field_bits(self) -> Floats:
        """``log2(1 + signal / error)`` of the fields."""
        return np.log2(1.0 + self.field / FIELD_ERROR)

    @property
    def coupling_bits(self) -> Floats:
        """``log2(1 + signal / error)`` of the couplings."""
        return np.log2(1.0 + self.coupling / COUPLING_ERROR)

    @property
    def bits(self) -> Floats:
        """The better of both."""
        return np.maximum(self.field_bits, self.coupling_bits)


def precision(program: Program, values: Coefficients) -> Precision:
    """Return the signal of every component; see `CompiledAttention.precision`."""
    placement, plan = values.wiring.placement, values.wiring.plan
    component = placement.component
    count = int(component.max(initial=-1)) + 1
    # Stable: the first of each component is its lowest variable of a head.
    owned = np.argsort(program.variables.head < 0, kind="stable")
    first = np.full(count, -1, np.int64)
    first[component[owned[::-1]]] = owned[::-1]
    carriers = np.bincount(plan.coupling_of, minlength=len(plan.i))
    return Precision(
        placement.submission[first],
        program.variables.head[first].astype(np.int64),
        program.variables.query[first].astype(np.int64),
        _signal(values.h, 1.0 / placement.chain_lengths, component, count),
        _signal(values.coupling, 1.0 / np.maximum(carriers, 1), values.wiring.edge, count),
    )


def _signal(values: Floats, share: Floats, owner: Array, owners: int) -> Floats:
    """Return the standard deviation of each owner's values times their mean share.

    A lone value has nothing to stand out from but zero.
    """
    sizes = np.bincount(owner, minlength=owners)
    many = np.maximum(sizes, 1)
    mean = np.where(sizes > 1, np.bincount(owner, values, minlength=owners) / many, 0.0)
    spread = np.bincount(owner, (values - mean[owner]) ** 2, minlength=owners) / many
    shares = np.bincount(owner, share, minlength=owners) / many
    return np.asarray(np.sqrt(spread) * shares, dtype=np.float64)
