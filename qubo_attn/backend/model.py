"""Submissions as plain arrays: the logical model, and the physical one with its chains."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Array, Floats, Longs, own_array
from qubo_attn.common.frozen import Sealed
from qubo_attn.machine.target import Target


class Vectors(NamedTuple):
    """A binary quadratic model in arrays, as ``dimod.BQM.from_numpy_vectors`` takes them.

    Attributes:
        linear: float64, shape (n,), one bias per variable.
        quadratic: both ends of each coupler, integers that count variables from 0, and float64
            biases; each of shape (couplers,).
        offset: the constant.
        labels: int64, shape (n,), ids of the variables in ``compiled.program``.
        vartype: ``"SPIN"`` or ``"BINARY"``.

    Example:
        >>> import qubo_attn as qa
        >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target=None)
        >>> compiled.submissions[0].to_vectors().vartype
        'BINARY'
    """

    linear: Floats
    quadratic: tuple[Array, Array, Floats]
    offset: float
    labels: Longs
    vartype: str


@dataclass(frozen=True, eq=False)
class Physical(Sealed):
    """The physical side of a submission, as arrays.

    Attributes:
        target: the machine.
        chain_ptr, chain_qubit: int64, chains of the submission's variables, positions in the
            target's ``qubits``.
        strength: float64, shape (variables,), chain strength, in hardware units.
        qubit, h: int64 and float64, shape (fields,): positions of the used qubits, and their
            fields.
        u, v, j: int64, int64 and float64, shape (couplings,): positions of both qubits of each
            coupling, and its value; couplings between chains, then those within.
    """

    target: Target
    chain_ptr: Longs
    chain_qubit: Longs
    strength: Floats
    qubit: Longs
    h: Floats
    u: Longs
    v: Longs
    j: Floats

    @cached_property
    def chain_of(self) -> Longs:
        """The chain of each of the target's qubits; -1 outside all chains, the last of several."""
        chain = np.full(len(self.target.qubits), -1, np.int64)
        lengths = np.diff(self.chain_ptr)
        chain[self.chain_qubit] = np.repeat(np.arange(len(lengths)), lengths)
        return own_array(chain)

    @cached_property
    def coupler(self) -> Longs:
        """Position in the target's ``couplers`` of each coupling; -1 where there is none."""
        return own_array(self.target.coupler_numbers(self.u, self.v))

    @cached_property
    def names(self) -> list[Hashable]:
        """The machine's own label of each of ``chain_qubit``."""
        return [self.target.qubit_name(int(q)) for q in self.chain_qubit]

    def chains(self, variables: Longs) -> dict[int, tuple[Hashable, ...]]:
        """Return the qubits of each chain, by the machine's own labels, keyed by ``variables``."""
        ends = zip(variables.tolist(), self.chain_ptr[:-1], self.chain_ptr[1:], strict=True)
        return {v: tuple(self.names[start:end]) for v, start, end in ends}

    @property
    def chain_offset(self) -> float:
        """The sum of the couplings of intact chains, taken back."""
        chain = self.chain_of[self.u]
        within = chain[chain == self.chain_of[self.v]]
        return chain_offset(self.strength, np.bincount(within, minlength=len(self.strength)))


def chain_offset(strength: Floats, links: Longs) -> float:
    """Return what the couplings of intact chains add up to, taken back.

    Args:
        strength: float64, chain strength of each variable, in the order of the variables.
        links: int64, couplings within the chain of each.
    """
    # One after another, as dwave.embedding adds them up: models are equal to the last bit.
    total = np.cumsum(strength * links)
    return float(total[-1]) if len(total) else 0.0
