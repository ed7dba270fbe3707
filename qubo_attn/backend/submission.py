"""One machine programming, ready to submit."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from qubo_attn import kernels
from qubo_attn.backend.model import Vectors
from qubo_attn.backend.unembed import (
    DESCENT,
    DISCARD,
    MAJORITY,
    Model,
    Reads,
    check_method,
    intact,
    spins_of,
)
from qubo_attn.backend.wire import SolverOrder, WireData, layout_of, wire_data
from qubo_attn.common.arrays import Array, Floats, Longs
from qubo_attn.common.files import write_file
from qubo_attn.common.frozen import Portable
from qubo_attn.errors import DecodeError
from qubo_attn.machine.ranges import range_use

if TYPE_CHECKING:
    from collections.abc import Hashable

    import dimod
    from numpy.typing import DTypeLike

    from qubo_attn.embedding.placement import Plan
    from qubo_attn.machine.target import Target


@dataclass(frozen=True, eq=False)
class Physical:
    """The physical side of a submission, as arrays.

    Attributes:
        target: the machine.
        chain_ptr, chain_qubit: int64, chains of the submission's variables, positions in the
            target's ``qubits``.
        strength: float64, chain strength of each variable, in hardware units.
        qubit, h: positions of the used qubits and their fields.
        u, v, j: positions of both qubits of each coupling, and its value; couplings between
            chains, then those within.
        plan: the index arrays of all submissions, from which these came.
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
    plan: Plan


@dataclass(frozen=True, eq=False)
class Submission(Portable):
    """Some rows of a program as one binary quadratic model, with its embedding.

    With a structured target, biases are in hardware units, for spins, and every independent
    component is scaled to the machine's ranges on its own (``scale``); without one the model is the
    program itself, over bits. Its variables are the ids of ``compiled.program``.

    Attributes:
        index: its number among the submissions.
        variables: int64, ids of the program variables it carries, ascending.
        rows: (head, query) of each constraint row it carries.
        linear, i, j, bias, offset: the model in columns; ``i, j`` are positions in ``variables``.
        vartype: ``"SPIN"`` or ``"BINARY"``.
        scale: float64, program energy per unit of the model's, for each variable.
        physical: chains and physical arrays; None without a structured target.

    Example:
        >>> import qubo_attn as qa
        >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target="zephyr:2")
        >>> part = compiled.submissions[0]
        >>> part.rows, part.bqm.num_variables
        (((0, 0),), 3)
        >>> part.embedded_bqm.num_variables == sum(map(len, part.embedding.values()))  # qubits
        True
        >>> part.validate(reads=1000)  # silent where a machine would take it
    """

    index: int
    variables: Longs
    rows: tuple[tuple[int, int], ...]
    linear: Floats
    i: Array
    j: Array
    bias: Floats
    offset: float
    vartype: str
    scale: Floats
    physical: Physical | None = None

    @cached_property
    def bqm(self) -> dimod.BinaryQuadraticModel:
        """The logical model, labelled by program variable ids."""
        return self.to_bqm()

    def to_bqm(self, dtype: DTypeLike = np.float64) -> dimod.BinaryQuadraticModel:
        """Return a new logical model.

        Args:
            dtype: of its biases; ``numpy.float32`` takes half the memory and keeps seven digits.
        """
        from qubo_attn.backend.bqm import fresh

        return fresh(self, dtype)

    def to_vectors(self) -> Vectors:
        """Return the logical model as arrays; see `Submissions.to_vectors`."""
        return Vectors(
            self.linear, (self.i, self.j, self.bias), self.offset, self.variables, self.vartype
        )

    @cached_property
    def plain(self) -> bool:
        """Whether the ids of its variables count from 0."""
        return bool((self.variables == np.arange(len(self.variables))).all())

    @cached_property
    def embedding(self) -> dict[int, tuple[Hashable, ...]]:
        """The qubits of each variable's chain, by the machine's own labels; empty without one."""
        physical = self.physical
        if physical is None:
            return {}
        name = physical.target.qubit_name
        return {
            int(v): tuple(name(int(q)) for q in physical.chain_qubit[start:end])
            for v, start, end in zip(
                self.variables, physical.chain_ptr[:-1], physical.chain_ptr[1:], strict=True
            )
        }

    @cached_property
    def chain_strength(self) -> dict[int, float]:
        """The chain strength of each variable, in hardware units; empty without a machine."""
        if self.physical is None:
            return {}
        return dict(zip(self.variables.tolist(), self.physical.strength.tolist(), strict=True))

    @cached_property
    def embedded_bqm(self) -> dimod.BinaryQuadraticModel:
        """The physical model, labelled by the machine's qubits; goes straight to its sampler.

        Raises:
            DecodeError: the submission was compiled without a structured target.
        """
        import dimod

        physical = self._placed()
        place = np.full(len(physical.target.qubits), -1, np.int64)
        place[physical.qubit] = np.arange(len(physical.qubit))
        names = [physical.target.qubit_name(int(q)) for q in physical.qubit]
        # As the chains' own couplings add nothing while intact, the model's energy is the logical.
        return dimod.BinaryQuadraticModel.from_numpy_vectors(
            physical.h,
            (place[physical.u], place[physical.v], physical.j),
            self.embedded_offset,
            "SPIN",
            variable_order=names,
        )

    @property
    def embedded_offset(self) -> float:
        """The constant of `embedded_bqm`: the couplings of intact chains are taken back."""
        physical = self._placed()
        return self.offset + physical.plan.chain_offset(physical.strength, self.variables)

    def wire(self, solver: SolverOrder | object = None) -> WireData:
        """Return the model as a solver's client sends it.

        The bytes are those of ``dwave.cloud.coders.encode_problem_as_qp`` for `embedded_bqm`;
        they go into the ``data`` of a problem submission. `CompiledAttention.wires` does all
        submissions at once.

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
        physical = self._placed()
        order = SolverOrder.of(physical.target, solver)
        layout = layout_of(physical.plan, order, True)
        return wire_data(*layout.place(self.index, physical.h, physical.j), self.embedded_offset)

    def export(
        self, path: str | os.PathLike[str], format: str | None = None, *, embedded: bool = False
    ) -> None:
        """Write the model to a file; see `qubo_attn.interchange.formats`.

        Args:
            path: of the file.
            format: ``"bqm"``, ``"json"``, or ``"qp"`` (what a D-Wave solver's client sends, over
                the target's own order of qubits); what the file's name ends in when None.
            embedded: write `embedded_bqm` in place of `bqm`.

        Raises:
            InputError: there is no such format.
            DecodeError: the physical model is asked for, but there is no structured target.

        Example:
            >>> import tempfile, qubo_attn as qa
            >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target=None)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     compiled.submissions[0].export(f"{folder}/row.bqm")
            ...     qa.read_bqm(f"{folder}/row.bqm") == compiled.submissions[0].bqm
            True
        """
        from qubo_attn.interchange.formats import format_of, write_bqm

        if format_of(Path(path), format) == "qp":
            write_file(Path(path), (json.dumps(self.wire()) + "\n").encode())
        else:
            write_bqm(self.embedded_bqm if embedded else self.bqm, path, format)

    @cached_property
    def _chain_names(self) -> list[Hashable]:
        physical = self._placed()
        return [physical.target.qubit_name(int(q)) for q in physical.chain_qubit]

    @cached_property
    def chain_bound(self) -> dict[int, float]:
        """For each variable, the strength above which no optimum breaks its chain.

        In hardware units; proved in `qubo_attn.backend.chain_strength`. Empty without a machine.
        """
        from qubo_attn.backend.chain_strength import bounds

        physical = self.physical
        if physical is None:
            return {}
        field = np.zeros(len(physical.target.qubits))
        field[physical.qubit] = physical.h
        ends = np.column_stack([physical.u, physical.v])
        owner = np.full(len(physical.target.qubits), -1, np.int64)
        lengths = np.diff(physical.chain_ptr)
        owner[physical.chain_qubit] = np.repeat(np.arange(len(lengths)), lengths)
        within = owner[physical.u] == owner[physical.v]
        proved = bounds(
            physical.chain_ptr,
            physical.chain_qubit,
            field[physical.chain_qubit],
            ends[~within],
            physical.j[~within],
            ends[within],
            owner[physical.u[within]],
            len(physical.target.qubits),
        )
        return dict(zip(self.variables.tolist(), proved.tolist(), strict=True))

    @cached_property
    def auto_scale(self) -> float:
        """What the machine's auto-scaling would divide by, as documented; 1 without a machine.

        Never above 1, as every component is scaled to the ranges on its own: auto-scaling has
        nothing to mend and is best switched off (``auto_scale=False``).
        """
        physical = self.physical
        if physical is None:
            return 1.0
        coupler = physical.target.coupler_numbers(physical.u, physical.v)
        return range_use(physical.target, physical.qubit, physical.h, coupler, physical.j)

    def validate(
        self, target: Target | None = None, reads: int | None = None, **options: object
    ) -> None:
        """Check everything for which a machine would turn the submission down.

        Working qubits and couplers, disjoint and connected chains, ranges of fields and couplings,
        coupling totals per qubit or group, and that the physical model carries the logical one;
        with ``reads``, also reads and run time of one call. `qubo_attn.backend.validate.diagnose`
        lists all violations.

        Args:
            target: the machine as it is now; the one it was compiled for when None.
            reads: of one call.
            **options: other solver parameters of the call: ``annealing_time``,
                ``programming_thermalization``, ``readout_thermalization``, in microseconds.

        Raises:
            SubmissionError: the first violation; names the qubit or coupler.
        """
        from qubo_attn.backend.validate import validate

        validate(self, target, reads, options)

    @property
    def qubits(self) -> int:
        """Qubits in use; 0 without a machine."""
        return 0 if self.physical is None else len(self.physical.qubit)

    @property
    def longest_chain(self) -> int:
        """Qubits of the longest chain; 0 without a machine."""
        if self.physical is None:
            return 0
        return int(np.diff(self.physical.chain_ptr).max(initial=0))

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
        import dimod

        check_method(chain_break_method)
        samples, labels = spins_of(sampleset)
        columns, ptr = self._columns(labels), self._placed().chain_ptr
        if chain_break_method == DESCENT:
            reads = self._model.descent(samples, columns, ptr)
        else:
            reads = self._model.majority(samples, columns, ptr)
        if chain_break_method == DISCARD:
            reads = intact(reads)
        record = sampleset.record
        kept = {
            name: record[name][reads.kept]
            for name in record.dtype.names
            if name not in ("sample", "energy", "chain_break_fraction")
        }
        return dimod.SampleSet.from_samples(
            (reads.samples, self.variables.tolist()),
            "SPIN",
            reads.energies,
            info=dict(sampleset.info),
            sort_labels=False,
            chain_break_fraction=reads.broken,
            **kept,
        )

    def read(self, sampleset: dimod.SampleSet, chain_break_method: str = MAJORITY) -> Reads:
        """Return samples as bits, shape (m, variables), and the share of broken chains of each.

        Samples over exactly the program's variables are taken as they are; samples over the
        machine's qubits are unembedded, qubits beyond those in use passed over. Where both sets of
        labels are equal the samples are taken as logical: call `unembed` first if they are not.

        Args:
            sampleset: over variables or qubits; it is not changed.
            chain_break_method: see `unembed`.

        Raises:
            DecodeError: the samples are over neither.
            InputError: the method is not known.
        """
        check_method(chain_break_method)
        spins, labels = spins_of(sampleset)
        own = set(self.variables.tolist())
        physical = self.physical is not None and all(q in labels for q in self._chain_names)
        if own == set(labels) or (own <= set(labels) and not physical):
            columns = [labels[int(v)] for v in self.variables]
            bits = np.ascontiguousarray(spins[:, columns] > 0, dtype=np.int8)
            names = sampleset.record.dtype.names
            broken = (
                np.asarray(sampleset.record.chain_break_fraction, dtype=np.float64)
                if "chain_break_fraction" in names
                else np.zeros(len(bits))
            )
            return Reads(bits, broken, np.arange(len(bits)))
        if self.physical is None:
            raise DecodeError(
                f"submission {self.index}: the samples lack variables it carries",
                submission=self.index,
            )
        return self._bits(spins, labels, chain_break_method)

    def _bits(self, samples: Array, labels: dict[Hashable, int], method: str) -> Reads:
        columns, ptr = self._columns(labels), self._placed().chain_ptr
        if method == DESCENT:
            found = self._model.descent(samples, columns, ptr)
            return Reads((found.samples + 1) >> 1, found.broken, found.kept)
        chains = len(self.variables)
        bits, broken = np.empty((len(samples), chains), np.int8), np.empty(len(samples), np.int64)
        kernels.chain_votes(samples, columns, ptr, 0, bits, broken)
        reads = Reads(bits, broken / max(chains, 1), np.arange(len(samples)))
        return intact(reads) if method == DISCARD else reads

    @cached_property
    def _model(self) -> Model:
        return Model(self.offset, self.linear, self.i, self.j, self.bias)

    def _columns(self, labels: dict[Hashable, int]) -> Longs:
        """Return the column of each chain's qubits, chain after chain."""
        self._placed()
        names = self._chain_names
        missing = [name for name in names if name not in labels]
        if missing:
            raise DecodeError(
                f"submission {self.index}: the samples hold neither its variables nor qubit "
                f"{missing[0]!r} of its chains",
                submission=self.index,
                qubit=missing[0],
            )
        return np.array([labels[name] for name in names], np.int64)

    def _placed(self) -> Physical:
        if self.physical is None:
            raise DecodeError(
                f"submission {self.index} was compiled without a structured target",
                submission=self.index,
            )
        return self.physical
