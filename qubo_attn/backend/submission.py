"""Submissions: machine programmings, each ready to submit."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from qubo_attn.backend.background import programmed
from qubo_attn.backend.bqm import logical_model, physical_model
from qubo_attn.backend.chain_strength import bounds
from qubo_attn.backend.model import Physical, Vectors
from qubo_attn.backend.unembed import MAJORITY, Reader, Reads
from qubo_attn.backend.validate import diagnose
from qubo_attn.backend.wire import SolverOrder, WireData, physical_wire
from qubo_attn.common.arrays import Array, Floats, Longs
from qubo_attn.common.checks import flag
from qubo_attn.common.files import path_of, write_file, writing
from qubo_attn.common.frozen import Sealed
from qubo_attn.errors import DecodeError, InputError, SubmissionError
from qubo_attn.interchange.bits import Bits
from qubo_attn.interchange.formats import format_of, write_bits, write_bqm
from qubo_attn.ir.columns import Constraints
from qubo_attn.machine.ranges import range_use
from qubo_attn.machine.target import Target

if TYPE_CHECKING:
    from collections.abc import Hashable

    import dimod
    from numpy.typing import DTypeLike


@dataclass(frozen=True, eq=False)
class Submission(Sealed):
    """Some rows of a program as one binary quadratic model, with its embedding.

    With a structured target, biases are in hardware units, for spins, and every independent
    component is scaled to the machine's ranges on its own (``scale``); without one the model is the
    program itself, over bits. Its variables are the ids of ``compiled.program``. Arrays are
    read-only, models and dictionaries are copies: what is done to one changes no later sample.

    Attributes:
        index: its number among the submissions.
        variables: int64, shape (n,), ids of the program variables it carries, ascending; ids beyond
            the program's are those of copies (``replicas`` of `qubo_attn.compile`).
        source: int64, shape (n,), the program variable that each is, or is a copy of.
        rows: (head, query) of each constraint row it carries.
        linear: float64, shape (n,), linear biases.
        i, j: whole numbers, shape (couplers,), both ends of each coupler, positions in
            ``variables``; sorted.
        bias: float64, shape (couplers,), quadratic biases.
        offset: constant of the model.
        vartype: ``"SPIN"`` or ``"BINARY"``.
        scale: float64, shape (n,), program energy per unit of the model's.
        physical: chains and physical arrays; None without a structured target.
        constraints: what the machine keeps itself (`Target.native`), over positions in
            ``variables``; None, and in no model, where every constraint has a price.

    Example:
        >>> import qubo_attn as qa
        >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target="zephyr:2")
        >>> part = compiled.submissions[0]
        >>> part.rows, part.bqm.num_variables
        (((0, 0),), 3)
        >>> part.embedded_bqm.num_variables == sum(map(len, part.embedding.values()))  # qubits
        True
    """

    index: int
    variables: Longs
    source: Longs
    rows: tuple[tuple[int, int], ...]
    linear: Floats
    i: Array
    j: Array
    bias: Floats
    offset: float
    vartype: str
    scale: Floats
    physical: Physical | None = None
    constraints: Constraints | None = None

    def to_vectors(self) -> Vectors:
        """Return the logical model as arrays; see `Submissions.to_vectors`."""
        return Vectors(
            self.linear, (self.i, self.j, self.bias), self.offset, self.variables, self.vartype
        )

    def to_bqm(self, dtype: DTypeLike = np.float64) -> dimod.BinaryQuadraticModel:
        """Return a new logical model.

        Args:
            dtype: type of the biases; ``numpy.float32`` takes half the memory, keeps seven digits.

        Raises:
            InputError: the machine keeps `constraints` itself, which such a model cannot hold.
        """
        if self.constraints is not None:
            raise InputError(
                f"submission {self.index} has {len(self.constraints)} constraints for the machine "
                "to keep, which a binary quadratic model cannot hold: export it as qplib, ommx or "
                "npz, or compile for a target without native=",
                submission=self.index,
            )
        return logical_model(self.to_vectors(), dtype)

    @property
    def bqm(self) -> dimod.BinaryQuadraticModel:
        """A copy of the logical model, labelled by program variable ids."""
        return self._bqm.copy()

    @property
    def embedding(self) -> dict[int, tuple[Hashable, ...]]:
        """The qubits of each variable's chain, by the machine's own labels; empty without one."""
        return dict(self._embedding)

    @property
    def chain_strength(self) -> dict[int, float]:
        """The chain strength of each variable, in hardware units; empty without a machine."""
        if self.physical is None:
            return {}
        return dict(zip(self.variables.tolist(), self.physical.strength.tolist(), strict=True))

    @property
    def chain_bound(self) -> dict[int, float]:
        """For each variable, the strength above which no optimum breaks its chain.

        In hardware units; proved in `qubo_attn.backend.chain_strength`. Empty without a machine.
        """
        return dict(self._chain_bound)

    @property
    def embedded_bqm(self) -> dimod.BinaryQuadraticModel:
        """A copy of the physical model, labelled by the machine's qubits, for its sampler.

        Its energy is that of `bqm` while all chains are intact.

        Raises:
            DecodeError: the submission was compiled without a structured target.
        """
        return self._embedded_bqm.copy()

    @property
    def programmed_bqm(self) -> dimod.BinaryQuadraticModel:
        """What `solve` and `submit` send, `embedded_bqm` less what the background adds."""
        return physical_model(self.programmed(), self.embedded_offset)

    def programmed(self, sign: Array | None = None) -> Physical:
        """Return the coefficients of `programmed_bqm`, in a gauge where one is given."""
        return self._programmed if sign is None else programmed(self._placed(), sign)

    @property
    def embedded_offset(self) -> float:
        """The constant of `embedded_bqm`, which takes back the couplings of intact chains."""
        return self.offset + self._placed().chain_offset

    @property
    def qubits(self) -> int:
        """Number of qubits in use; 0 without a machine."""
        return 0 if self.physical is None else len(self.physical.qubit)

    @property
    def longest_chain(self) -> int:
        """Qubits of the longest chain; 0 without a machine."""
        return 0 if self.physical is None else int(np.diff(self.physical.chain_ptr).max(initial=0))

    @cached_property
    def auto_scale(self) -> float:
        """What the machine's auto-scaling would divide by, as documented; 1 without a machine.

        Never above 1, as every component is scaled to the ranges on its own: auto-scaling has
        nothing to mend and is best switched off (``auto_scale=False``).
        """
        physical = self.physical
        if physical is None:
            return 1.0
        return range_use(physical.target, physical.qubit, physical.h, physical.coupler, physical.j)

    def wire(self, solver: SolverOrder | object = None) -> WireData:
        """Return `embedded_bqm` as a solver's client sends it; `CompiledAttention.wires` does all.

        The bytes are those of ``dwave.cloud.coders.encode_problem_as_qp``; they go into the
        ``data`` of a problem submission.

        Args:
            solver: what lists qubits and couplers, for example a ``DWaveSampler``, or a
                `SolverOrder` made of one, which is worked out once; None means the target's own
                order.

        Raises:
            DecodeError: the submission was compiled without a structured target.
            TargetError: a qubit or coupler in use is not among the solver's; names it.

        Example:
            >>> import qubo_attn as qa
            >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target="zephyr:2")
            >>> compiled.submissions[0].wire()["format"]
            'qp'
        """
        return physical_wire(self._placed(), self.embedded_offset, solver)

    def export(
        self, path: str | os.PathLike[str], format: str | None = None, *, embedded: bool = False
    ) -> None:
        """Write the model to a file; see `qubo_attn.interchange.formats`.

        Args:
            path: path of the file.
            format: as for `write_bqm`, or ``"qp"`` (what a D-Wave solver's client sends, over the
                target's own order of qubits); what the file's name ends in when None.
            embedded: write `embedded_bqm` in place of `bqm`.

        Raises:
            InputError: there is no such format, or it cannot hold `constraints`.
            DecodeError: the physical model is asked for, but there is no structured target.

        Example:
            >>> import tempfile, qubo_attn as qa
            >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target=None)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     compiled.submissions[0].export(f"{folder}/row.bqm")
            ...     qa.read_bqm(f"{folder}/row.bqm") == compiled.submissions[0].bqm
            True
        """
        file, embedded = path_of("path", path), flag("embedded", embedded)
        if format_of(file, format) == "qp":
            with writing(file):
                write_file(file, (json.dumps(self.wire()) + "\n").encode())
        elif self.constraints is not None and not embedded:
            form = self.linear, self.i, self.j, self.bias, self.offset
            write_bits(Bits(*form, self.constraints), file, format)
        else:
            write_bqm(self.embedded_bqm if embedded else self.bqm, path, format)

    def validate(
        self, target: Target | None = None, reads: int | None = None, **options: object
    ) -> None:
        """Check everything for which a machine would turn the submission down.

        Checked are working qubits and couplers, disjoint and connected chains, ranges of fields and
        couplings, and coupling totals per qubit or group. The physical model must carry the logical
        one. With ``reads``, reads and run time of a call are checked. `diagnose` lists all.

        Args:
            target: the machine as it is now; the one it was compiled for when None.
            reads: number of reads of one call; neither reads nor run time are checked when None.
            **options: other solver parameters of the call, as `CompiledAttention.schedule` takes.

        Raises:
            SubmissionError: the first violation; names the qubit or coupler.
        """
        errors = self.diagnose(target, reads, **options)
        if len(errors) > 1:
            errors[0].add_note(f"and {len(errors) - 1} more violations")
        if errors:
            raise errors[0]

    def diagnose(
        self, target: Target | None = None, reads: int | None = None, **options: object
    ) -> list[SubmissionError]:
        """Return an error for everything for which a machine would turn the submission down.

        Args:
            target, reads, options: as for `validate`.

        Returns:
            Errors with ``code``, ``submission`` and, where it has them, ``qubit``, ``coupler``,
            ``variable``, ``found``, ``limits``; none where a machine would take it.

        Example:
            >>> import qubo_attn as qa
            >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target="zephyr:2")
            >>> [error.code for error in compiled.submissions[0].diagnose(reads=20_000)]
            ['reads', 'run-duration']
        """
        return list(diagnose(self.index, self.to_vectors(), self.physical, target, reads, options))

    def unembed(
        self, sampleset: dimod.SampleSet, chain_break_method: str = MAJORITY
    ) -> dimod.SampleSet:
        """Return the logical samples of physical ones, with energies and broken chains' share.

        Args:
            sampleset: samples of `embedded_bqm`; it is not changed. Qubits beyond those in use are
                passed over. Occurrences and other fields of each read, and ``info``, are kept.
            chain_break_method: ``"majority"`` (a tie reads as one), ``"discard"`` (only reads
                without a broken chain are kept: few, where many rows share a programming), or
                ``"minimise-energy"`` (broken chains are set by greedy descent).

        Raises:
            DecodeError: a qubit of a chain is missing from the samples.
            InputError: the method is not known.
        """
        return self._reader.unembed(sampleset, chain_break_method)

    def read(self, sampleset: dimod.SampleSet, chain_break_method: str = MAJORITY) -> Reads:
        """Return samples as bits, shape (m, variables), and the share of broken chains of each.

        Samples over exactly its variables, or those of the program, are taken as they are; samples
        over qubits are unembedded, qubits beyond those in use passed over. Where both sets of
        labels are equal the samples are taken as logical: call `unembed` first if they are not.

        Args:
            sampleset: over variables or qubits; it is not changed.
            chain_break_method: see `unembed`.

        Raises:
            DecodeError: the samples are over neither.
            InputError: the method is not known.
        """
        return self._reader.read(sampleset, chain_break_method)

    @cached_property
    def _bqm(self) -> dimod.BinaryQuadraticModel:
        return self.to_bqm()

    @cached_property
    def _embedded_bqm(self) -> dimod.BinaryQuadraticModel:
        return physical_model(self._placed(), self.embedded_offset)

    @cached_property
    def _programmed(self) -> Physical:
        return programmed(self._placed())

    @cached_property
    def _embedding(self) -> dict[int, tuple[Hashable, ...]]:
        return {} if self.physical is None else self.physical.chains(self.variables)

    @cached_property
    def _chain_bound(self) -> dict[int, float]:
        if self.physical is None:
            return {}
        return dict(zip(self.variables.tolist(), bounds(self.physical).tolist(), strict=True))

    @cached_property
    def _reader(self) -> Reader:
        return Reader(self.index, self.to_vectors(), self.physical, self.source)

    def _placed(self) -> Physical:
        if self.physical is None:
            raise DecodeError(
                f"submission {self.index} was compiled without a structured target",
                submission=self.index,
            )
        return self.physical
