"""Disjoint copies of one component on a working graph, and the check that they fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Bools, Longs, pointers, read_only
from qubo_attn.common.frozen import Columns
from qubo_attn.embedding.component import Component
from qubo_attn.errors import EmbeddingError
from qubo_attn.machine.target import Target

NO_BOUND = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class Packing(Columns):
    """Disjoint embeddings of one component, those with the shortest chains first.

    Attributes:
        component: what is embedded.
        ptr: int64; chain c of copy r is ``qubit[ptr[r * size + c]:ptr[r * size + c + 1]]``.
        qubit: int64, positions in the target's ``qubits``; within a copy of a clique short chains
            come first.
    """

    component: Component
    ptr: Longs
    qubit: Longs

    @classmethod
    def of(cls, component: Component, copies: Sequence[Sequence[Longs]]) -> Packing:
        """Return copies given as chains, in their order."""
        chains = [chain for copy in copies for chain in copy]
        ptr = pointers([len(chain) for chain in chains])
        return cls(component, ptr, np.concatenate(chains))

    @classmethod
    def ordered(cls, component: Component, copies: Sequence[Sequence[Longs]]) -> Packing:
        """Return copies given as chains: short chains first in a clique, compact copies first."""
        sets = [[np.sort(chain) for chain in copy] for copy in copies]
        if component.shape is None:
            sets = [sorted(copy, key=_chain_order) for copy in sets]
        sets.sort(key=lambda copy: (max(map(len, copy)), sum(map(len, copy)), copy[0][0]))
        return cls.of(component, sets)

    def __len__(self) -> int:
        return (len(self.ptr) - 1) // self.size

    @property
    def size(self) -> int:
        """Chains of each copy."""
        return self.component.size

    @property
    def longest_chain(self) -> int:
        """Qubits of the longest chain."""
        return int(np.diff(self.ptr).max(initial=0))

    @property
    def shortest_possible(self) -> int:
        """Qubits of the longest chain of the copy where that is shortest."""
        return int(np.diff(self.ptr).reshape(-1, self.size).max(axis=1).min())

    @property
    def is_well_formed(self) -> bool:
        """Whether pointers and qubits describe whole copies of non-empty chains."""
        ptr = self.ptr
        return bool(
            self.size >= 1
            and len(ptr) > 1
            and (len(ptr) - 1) % self.size == 0
            and ptr[0] == 0
            and ptr[-1] == len(self.qubit)
            and (np.diff(ptr) >= 1).all()
        )

    def fits(self, target: Target) -> bool:
        """Return whether every copy is a disjoint, connected embedding with all its couplers."""
        # Every edge of a copy takes a coupler: a clique of too many nodes is never written out.
        room = self.component.edge_count <= len(target.couplers)
        return self.is_well_formed and room and bool(self.whole(target).all())

    def whole(self, target: Target) -> Bools:
        """Return for each copy whether it is an embedding on ``target``; -1 is no qubit."""
        return kernels.whole_copies(
            read_only(self.ptr),
            read_only(self.qubit),
            self.size,
            self.component.edges,
            target.adjacency,
        )

    def checked(self, target: Target) -> Packing:
        """Return the packing itself: a wrong embedding must not leave a search.

        Raises:
            EmbeddingError: it does not fit; never seen.
        """
        if not self.fits(target):
            raise EmbeddingError(
                f"the packing of {self.component.name} does not verify on {target.label}"
            )
        return self

    def copies(self) -> list[list[Longs]]:
        """Return the chains of each copy."""
        chains = np.split(self.qubit, self.ptr[1:-1])
        return [chains[at : at + self.size] for at in range(0, len(chains), self.size)]


def chains_of(qubits: Longs, chain: Longs, size: int) -> list[Longs]:
    """Return the qubits of each of ``size`` chains, given the chain of each qubit."""
    return [qubits[chain == c] for c in range(size)]


def within(copies: list[list[Longs]], bound: int) -> list[list[Longs]]:
    """Return the copies without a chain longer than ``bound``."""
    return [copy for copy in copies if max(map(len, copy)) <= bound]


def _chain_order(chain: Longs) -> tuple[int, int]:
    return len(chain), int(chain[0])
