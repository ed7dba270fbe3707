"""Reads of variables out of samples: over the variables themselves, or over a machine's qubits.

Broken chains are treated in one of three ways. Votes, energies and counts of broken chains come
from one kernel each; the caller's sample set is only read.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from qubo_attn import kernels
from qubo_attn.backend.answers import check_answer
from qubo_attn.backend.model import Physical, Vectors
from qubo_attn.common.arrays import Array, Floats, Longs, pointers
from qubo_attn.common.checks import one_of
from qubo_attn.common.vocabulary import CHAIN_BREAK_METHODS
from qubo_attn.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Hashable

    import dimod

MAJORITY, DISCARD, DESCENT = CHAIN_BREAK_METHODS


def check_method(method: str) -> None:
    """Reject a way to treat broken chains that is not known.

    Raises:
        InputError: names it and those there are.
    """
    one_of("chain_break_method", method, CHAIN_BREAK_METHODS)


@dataclass(frozen=True, eq=False)
class Reads:
    """Reads of a submission's variables.

    Attributes:
        samples: int8, shape (m, variables): spins from `Reader.unembed`, bits from `Reader.read`;
            without those of copies where the samples had none.
        broken: float64, shape (m,), share of broken chains before they were mended.
        kept: int64, shape (m,), which reads of the sample set these are.
        energies: float64, shape (m,), by the submission's model; None where not asked for.
    """

    samples: Array
    broken: Floats
    kept: Longs
    energies: Floats | None = None

    @property
    def intact(self) -> Reads:
        """The reads without a broken chain."""
        whole = np.flatnonzero(self.broken == 0)
        energies = None if self.energies is None else self.energies[whole]
        return Reads(self.samples[whole], self.broken[whole], self.kept[whole], energies)


@dataclass(frozen=True, eq=False)
class Reader:
    """Reads a submission's variables out of sample sets.

    Attributes:
        index: number of the submission.
        model: the logical model; over spins where there is a machine.
        physical: chains; None without a machine.
        source: int64, the program variable that each variable is, or is a copy of; copies come
            last.
    """

    index: int
    model: Vectors
    physical: Physical | None
    source: Longs

    def unembed(self, sampleset: dimod.SampleSet, method: str) -> dimod.SampleSet:
        """Return the logical samples of physical ones; see `Submission.unembed`."""
        import dimod

        check_method(method)
        check_answer(self.index, sampleset)
        samples, labels = _spins_of(sampleset)
        reads = self._spins(samples, self._chains(labels), method)
        record = sampleset.record
        vectors = {
            name: record[name][reads.kept]
            for name in record.dtype.names
            if name not in ("sample", "energy", "chain_break_fraction")
        }
        return dimod.SampleSet.from_samples(
            (reads.samples, self.model.labels.tolist()),
            "SPIN",
            reads.energies,
            info=dict(sampleset.info),
            sort_labels=False,
            chain_break_fraction=reads.broken,
            **vectors,
        )

    def read(self, sampleset: dimod.SampleSet, method: str) -> Reads:
        """Return samples over variables or qubits as bits; see `Submission.read`."""
        check_method(method)
        check_answer(self.index, sampleset)
        samples, labels = _spins_of(sampleset)
        columns = self._variables(labels)
        if columns is not None:
            bits = np.ascontiguousarray(samples[:, columns] > 0, dtype=np.int8)
            broken = (
                np.asarray(sampleset.record.chain_break_fraction, dtype=np.float64)
                if "chain_break_fraction" in sampleset.record.dtype.names
                else np.zeros(len(bits))
            )
            return Reads(bits, broken, np.arange(len(bits)))
        if self.physical is None:
            raise DecodeError(
                f"submission {self.index}: the samples lack variables it carries",
                submission=self.index,
            )
        return self._bits(samples, self._chains(labels), method)

    def energies(
        self, sampleset: dimod.SampleSet, reads: int, sent: Physical | None = None
    ) -> Floats | None:
        """Return the energies of the first reads by the model that their labels are of.

        Args:
            sampleset: over variables or qubits, see `read`.
            reads: how many at most.
            sent: what the qubits were programmed with; the embedded model where left out.

        Returns:
            float64, shape (reads,); None where the labels are of neither model.
        """
        samples, labels = _spins_of(sampleset, reads)
        columns, physical = self._variables(labels), self.physical
        if columns is not None:
            if len(columns) < len(self.model.labels):
                return None  # the energies are those of a model without copies
            spins = samples[:, columns].astype(np.float64)
            states = spins if self.model.vartype == "SPIN" else (spins + 1.0) / 2.0
            h, (i, j, coupling), offset = self.model.linear, self.model.quadratic, self.model.offset
        elif physical is not None and all(q in labels for q in physical.names):
            place = np.zeros(len(physical.target.qubits), np.int64)
            place[physical.chain_qubit] = [labels[name] for name in physical.names]
            sent = physical if sent is None else sent
            states, h, coupling = samples.astype(np.float64), np.zeros(len(labels)), sent.j
            h[place[sent.qubit]] = sent.h
            i, j = place[sent.u], place[sent.v]
            offset = self.model.offset + physical.chain_offset
        else:
            return None
        return np.asarray(offset + states @ h + (states[:, i] * states[:, j]) @ coupling)

    def _variables(self, labels: dict[Hashable, int]) -> list[int] | None:
        """Return the columns of the variables; None where samples are not over those.

        Those of the program do: then there are no columns of copies.
        """
        ids = self.model.labels.tolist()
        if not set(ids) <= set(labels):
            ids = self.model.labels[self.model.labels == self.source].tolist()
        # Over the machine's qubits, some of which may be called as variables are.
        qubits = self.physical is not None and all(q in labels for q in self.physical.names)
        if not set(ids) <= set(labels) or (qubits and len(ids) != len(labels)):
            return None
        return [labels[v] for v in ids]

    def _spins(self, samples: Array, chains: kernels.Chains, method: str) -> Reads:
        """Return reads as spins, with energies."""
        if method == DESCENT:
            spins, broken = self._descended(samples, chains)
            energies = kernels.spin_energies(spins, self._spin_model)
        else:
            spins, energies, broken = kernels.unembed_majority(samples, chains, self._spin_model)
        reads = Reads(spins, self._shares(broken), np.arange(len(samples)), energies)
        return reads.intact if method == DISCARD else reads

    def _bits(self, samples: Array, chains: kernels.Chains, method: str) -> Reads:
        """Return reads as bits."""
        if method == DESCENT:
            spins, broken = self._descended(samples, chains)
            bits = (spins + 1) >> 1
        else:
            bits, broken = kernels.chain_votes(samples, chains, 0)
        reads = Reads(bits, self._shares(broken), np.arange(len(samples)))
        return reads.intact if method == DISCARD else reads

    def _descended(self, samples: Array, chains: kernels.Chains) -> tuple[Array, Longs]:
        i, j, coupling = self.model.quadratic
        n = len(self.model.linear)
        component = kernels.connected_components(n, i, j)
        both = kernels.adjacency(n, i.astype(np.int32), j.astype(np.int32), coupling)
        return kernels.descend_breaks(
            samples,
            chains,
            np.argsort(component, kind="stable"),
            pointers(np.bincount(component)),
            kernels.SpinModel(self.model.offset, self.model.linear, *both),
        )

    @cached_property
    def _spin_model(self) -> kernels.SpinModel:
        """The model with each coupling once, at its first spin; couplers come sorted."""
        i, j, coupling = self.model.quadratic
        first = pointers(np.bincount(i, minlength=len(self.model.linear)))
        return kernels.SpinModel(self.model.offset, self.model.linear, first, j, coupling)

    def _shares(self, broken: Longs) -> Floats:
        return broken / max(len(self.model.labels), 1)

    def _chains(self, labels: dict[Hashable, int]) -> kernels.Chains:
        """Return the columns of each chain's qubits, chain after chain."""
        if self.physical is None:
            raise DecodeError(
                f"submission {self.index} was compiled without a structured target",
                submission=self.index,
            )
        for name in self.physical.names:
            if name not in labels:
                raise DecodeError(
                    f"submission {self.index}: the samples hold neither its variables nor qubit "
                    f"{name!r} of its chains",
                    submission=self.index,
                    qubit=name,
                )
        columns = np.array([labels[name] for name in self.physical.names], np.int64)
        return kernels.Chains(columns, self.physical.chain_ptr)


def _spins_of(
    sampleset: dimod.SampleSet, reads: int | None = None
) -> tuple[Array, dict[Hashable, int]]:
    """Return samples as int8 spins, the sample set untouched, and the column of each label."""
    samples = np.asarray(sampleset.record.sample)[:reads]
    if sampleset.vartype.name == "BINARY":
        samples = 2 * samples.astype(np.int8) - 1
    labels = {label: column for column, label in enumerate(sampleset.variables)}
    return np.ascontiguousarray(samples, dtype=np.int8), labels
