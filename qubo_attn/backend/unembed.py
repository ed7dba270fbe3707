"""Reads of qubits to reads of variables, by one of three ways to treat broken chains.

Votes, energies and counts of broken chains come from one kernel each; the caller's sample set is
only read.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Array, Floats, Longs, pointers
from qubo_attn.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Hashable

    import dimod

MAJORITY, DISCARD, DESCENT = "majority", "discard", "minimise-energy"
CHAIN_BREAK_METHODS = (MAJORITY, DISCARD, DESCENT)


def check_method(method: str) -> None:
    """Reject a way to treat broken chains that is not known.

    Raises:
        InputError: names it and those there are.
    """
    if method not in CHAIN_BREAK_METHODS:
        known = ", ".join(CHAIN_BREAK_METHODS)
        raise InputError(
            f"unknown chain_break_method {method!r}; one of {known}", chain_break_method=method
        )


@dataclass(frozen=True, eq=False)
class Reads:
    """Reads of a submission's variables.

    Attributes:
        samples: int8, shape (m, variables): spins from a model, bits from `Submission.read`.
        broken: float64, shape (m,), share of broken chains before they were mended.
        kept: int64, shape (m,), which reads of the sample set these are.
        energies: float64, shape (m,), by the submission's model; None where not asked for.
    """

    samples: Array
    broken: Floats
    kept: Longs
    energies: Floats | None = None


@dataclass(frozen=True, eq=False)
class Model:
    """A model for spins, in the order in which kernels read it.

    Attributes:
        offset, h: constant and fields.
        i, j, coupling: couplers, sorted by ``(i, j)`` with ``i < j``.
    """

    offset: float
    h: Floats
    i: Array
    j: Array
    coupling: Floats

    @cached_property
    def first(self) -> Longs:
        """Couplings of variable v are ``first[v]:first[v + 1]``."""
        return pointers(np.bincount(self.i, minlength=len(self.h)))

    @cached_property
    def members(self) -> tuple[Longs, Longs]:
        """Variables of each connected component, ascending, and where each component starts."""
        component = kernels.connected_components(len(self.h), self.i, self.j)
        return np.argsort(component, kind="stable"), pointers(np.bincount(component))

    def majority(self, samples: Array, column: Longs, ptr: Longs) -> Reads:
        """Return the majority of every chain, with energies; see `kernels.unembed_majority`."""
        count, chains = len(samples), len(ptr) - 1
        spins = np.empty((count, chains), np.int8)
        energies, broken = np.empty(count), np.empty(count, np.int64)
        kernels.unembed_majority(
            samples,
            column,
            ptr,
            self.offset,
            self.h,
            self.first,
            self.j,
            self.coupling,
            spins,
            energies,
            broken,
        )
        return Reads(spins, broken / max(chains, 1), np.arange(count), energies)

    def descent(self, samples: Array, column: Longs, ptr: Longs) -> Reads:
        """Return intact chains, and broken ones by descent; see `kernels.descend_breaks`."""
        count, chains = len(samples), len(ptr) - 1
        spins, broken = np.empty((count, chains), np.int8), np.empty(count, np.int64)
        i, j = self.i.astype(np.int32), self.j.astype(np.int32)
        first, neighbour, coupling = kernels.adjacency(len(self.h), i, j, self.coupling)
        kernels.descend_breaks(
            samples,
            column,
            ptr,
            *self.members,
            self.h,
            first,
            neighbour,
            coupling,
            spins,
            broken,
        )
        energies = kernels.spin_energies(
            spins, self.offset, self.h, self.first, self.j, self.coupling
        )
        return Reads(spins, broken / max(chains, 1), np.arange(count), energies)


def intact(reads: Reads) -> Reads:
    """Return the reads without a broken chain."""
    whole = np.flatnonzero(reads.broken == 0)
    energies = None if reads.energies is None else reads.energies[whole]
    return Reads(reads.samples[whole], reads.broken[whole], reads.kept[whole], energies)


def spins_of(sampleset: dimod.SampleSet) -> tuple[Array, dict[Hashable, int]]:
    """Return samples as int8 spins, the sample set untouched, and the column of each label."""
    samples = np.asarray(sampleset.record.sample)
    if sampleset.vartype.name == "BINARY":
        samples = 2 * samples.astype(np.int8) - 1
    labels = {label: column for column, label in enumerate(sampleset.variables)}
    return np.ascontiguousarray(samples, dtype=np.int8), labels
