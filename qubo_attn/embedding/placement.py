"""Placement of a program: submissions, chains, and the plan that fills physical arrays.

The structure (chains, and which physical couplers carry which logical ones) is worked out once; a
batch of new values is then one pass over its index arrays.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Floats, Ints, Longs, csr_rows, own_array, pointers, read_only
from qubo_attn.common.frozen import Columns
from qubo_attn.errors import EmbeddingError
from qubo_attn.ir.quadratic import Quadratic
from qubo_attn.machine.target import Target


@dataclass(frozen=True, eq=False)
class Placement(Columns):
    """Chains of every variable of a program, in submissions that each fit the machine.

    Attributes:
        target: the machine.
        submission: int64, the submission that carries each variable.
        component: int64, the connected component of each variable.
        chain_ptr, chain_qubit: int64, the chain of each variable, as positions in the target's
            ``qubits``.
        structure: hash of the components it was made for.
    """

    target: Target
    submission: Longs
    component: Longs
    chain_ptr: Longs
    chain_qubit: Longs
    structure: str

    @property
    def submissions(self) -> int:
        """Number of machine programmings."""
        return int(self.submission.max(initial=-1)) + 1

    @cached_property
    def chain_lengths(self) -> Longs:
        """Qubits of each variable's chain."""
        return own_array(np.diff(self.chain_ptr))

    @cached_property
    def digest(self) -> str:
        """A hash of the chains: equal exactly where two placements on one machine are."""
        digest = hashlib.sha256(self.structure.encode())
        for column in (self.submission, self.chain_ptr, self.chain_qubit):
            digest.update(column.tobytes())
        return digest.hexdigest()

    @cached_property
    def members(self) -> tuple[Longs, ...]:
        """The variables of each submission, ascending."""
        order = own_array(np.argsort(self.submission, kind="stable"))
        cuts = np.searchsorted(self.submission[order], np.arange(1, self.submissions))
        return tuple(np.split(order, cuts)) if self.submissions else ()

    def plan(self, form: Quadratic) -> Plan:
        """Return the index arrays that spread ``form``'s structure over the chains.

        Args:
            form: the program as one quadratic form.

        Raises:
            EmbeddingError: a coupler of the form has no coupler on the machine.
        """
        n = len(self.submission)
        first = pointers(np.bincount(form.i, minlength=n))
        owner = np.full(len(self.target.qubits), -1, np.int64)
        parts = [
            kernels.match_couplers(
                self.chain_ptr,
                self.chain_qubit,
                members,
                first,
                form.j,
                self.target.adjacency,
                owner,
            )
            for members in self.members
        ]
        columns = zip(*parts, strict=True) if parts else ((np.zeros(0, np.int64),),) * 4
        logical, physical, within, link = (np.concatenate(column) for column in columns)
        carriers = np.bincount(logical, minlength=len(form))
        if (carriers == 0).any():
            t = int(np.flatnonzero(carriers == 0)[0])
            raise EmbeddingError(
                f"no coupler of {self.target.label} joins the chains of variables "
                f"{form.i[t]} and {form.j[t]}",
                variables=(int(form.i[t]), int(form.j[t])),
            )
        order = np.argsort(self.submission, kind="stable")
        spread, carrier = np.repeat(order, self.chain_lengths[order]), self.submission[form.i]
        return Plan(
            i=form.i,
            j=form.j,
            logical=np.argsort(carrier, kind="stable"),
            logical_ptr=pointers(np.bincount(carrier, minlength=self.submissions)),
            field_of=spread,
            field_qubit=self.chain_qubit[csr_rows(self.chain_ptr, order)[1]],
            field_parts=self.chain_lengths[spread].astype(np.float64),
            coupling_of=logical,
            coupling_coupler=physical,
            coupling_parts=carriers[logical],
            chain_of=within,
            chain_coupler=link,
            field_ptr=pointers(np.bincount(self.submission[spread], minlength=self.submissions)),
            coupling_ptr=pointers([len(part[0]) for part in parts]),
            chain_ptr=pointers([len(part[2]) for part in parts]),
        )


@dataclass(frozen=True, eq=False)
class Plan(Columns):
    """Index arrays from logical to physical coefficients, submission after submission.

    Attributes:
        i, j: int32, the logical couplers it was made for.
        logical, logical_ptr: the logical couplers of each submission.
        field_of, field_qubit: variable and qubit of each physical field.
        field_parts: float64, among how many qubits that variable's field is shared.
        coupling_of, coupling_coupler: logical and physical coupler of each physical coupling
            between chains.
        coupling_parts: float64, among how many the logical one is shared.
        chain_of, chain_coupler: variable and physical coupler of each coupling within a chain.
        field_ptr, coupling_ptr, chain_ptr: where each submission's entries start.
    """

    i: Ints
    j: Ints
    logical: Longs
    logical_ptr: Longs
    field_of: Longs
    field_qubit: Longs
    field_parts: Floats
    coupling_of: Longs
    coupling_coupler: Longs
    coupling_parts: Floats
    chain_of: Longs
    chain_coupler: Longs
    field_ptr: Longs
    coupling_ptr: Longs
    chain_ptr: Longs

    def fill(self, h: Floats, coupling: Floats, strength: Floats) -> tuple[Floats, Floats]:
        """Return physical fields, and couplings: those between chains, then those within chains.

        Args:
            h: float64, field of each variable, for spins.
            coupling: float64, value of each logical coupler, for spins.
            strength: float64, chain strength of each variable.
        """
        shares = kernels.Shares(
            self.field_of,
            self.field_parts,
            self.coupling_of,
            self.coupling_parts,
            self.chain_of,
        )
        columns = read_only(h), read_only(coupling), read_only(strength)
        return kernels.fill_physical(shares, *columns)
