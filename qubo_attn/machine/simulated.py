"""Simulated machine: annealing of embedded problems with the errors and the warmth of a machine.

A stand-in for a machine, not a model of its physics: coefficients get Gaussian errors and what the
background susceptibility adds, then spins are annealed to the stated temperature and held there.
Freeze-out, readout errors, drift and errors of unused couplers are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dimod
import numpy as np

from qubo_attn.common.arrays import Floats, Longs, first_place
from qubo_attn.common.checks import number, whole
from qubo_attn.errors import InputError, SubmissionError, TargetError
from qubo_attn.machine.background import susceptible
from qubo_attn.machine.ranges import ROUNDING, coupling_totals, outside
from qubo_attn.machine.target import Target

READS = 100
SWEEPS = 256


class SimulatedMachine(dimod.Sampler, dimod.Structured):  # type: ignore[misc]
    """A structured sampler that treats embedded problems as a machine does.

    It turns down what a machine would turn down, adds the machine's errors to the coefficients,
    samples at its temperature, and returns raw reads with a ``timing`` dict.

    Args:
        target: the machine: what `Target.of` reads.
        temperature: in units of a field; the target's where None, like the following ones.
        field_error: standard deviation of fields, in hardware units.
        coupling_error: standard deviation of couplings, in hardware units.
        susceptibility: background susceptibility, see `Target.susceptibility`.
        seed: seed of the machine's own errors, static for each qubit and coupler, and of its reads
            where a call brings no ``seed``.

    Raises:
        TargetError: the target is no machine with a working graph.
        InputError: a figure is out of range.

    Example:
        >>> import qubo_attn as qa
        >>> machine = qa.SimulatedMachine("zephyr:2", seed=1)
        >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target=machine)
        >>> compiled.solve(machine, num_reads=20, seed=2).selected[0, 0]
        array([ True, False, False])
    """

    def __init__(
        self,
        target: object = "zephyr:12",
        *,
        temperature: float | None = None,
        field_error: float | None = None,
        coupling_error: float | None = None,
        susceptibility: float | None = None,
        seed: int = 0,
    ) -> None:
        machine = Target.of(target)
        if machine is None or not machine.is_structured:
            raise TargetError("a simulated machine needs a working graph, e.g. 'zephyr:12'")
        errors = machine.errors
        figures = {
            "temperature": machine.temperature if temperature is None else temperature,
            "field_error": errors.field if field_error is None else field_error,
            "coupling_error": errors.coupling if coupling_error is None else coupling_error,
        }
        figures = {name: number(name, value, 0.0, 1e6) for name, value in figures.items()}
        if figures["temperature"] == 0.0:
            raise InputError("temperature must be above 0", argument="temperature")
        chi = machine.susceptibility if susceptibility is None else susceptibility
        figures["susceptibility"] = number("susceptibility", chi, -1.0, 1.0)
        self.target = machine
        self.temperature = figures["temperature"]
        self.field_error = figures["field_error"]
        self.coupling_error = figures["coupling_error"]
        self.susceptibility = figures["susceptibility"]
        self.seed = whole("seed", seed)
        names = [machine.qubit_name(p) for p in range(len(machine.qubits))]
        self._place = {name: place for place, name in enumerate(names)}
        self._nodes = names
        self._edges = [(names[u], names[v]) for u, v in machine.couplers.tolist()]
        topology = {"type": machine.topology, "shape": list(machine.shape)}
        self._properties = {**machine.properties, "topology": topology, **figures}
        self._properties["chip_id"] = f"{machine.label}, simulated"

    # -- what dimod asks ----------------------------------------------------------------------

    @property
    def nodelist(self) -> list[Any]:
        """The working qubits, by the machine's own labels."""
        return self._nodes

    @property
    def edgelist(self) -> list[tuple[Any, Any]]:
        """The working couplers, by the labels of both qubits."""
        return self._edges

    @property
    def properties(self) -> dict[str, Any]:
        """Ranges, topology and warmth, under the names that a solver publishes them."""
        return self._properties

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The keywords of `sample`."""
        names = ("num_reads", "seed", "programming_seed", "num_sweeps")
        return {name: [] for name in names}

    def sample(
        self,
        bqm: dimod.BinaryQuadraticModel,
        *,
        num_reads: int = READS,
        seed: int | None = None,
        programming_seed: int | None = None,
        num_sweeps: int = SWEEPS,
    ) -> dimod.SampleSet:
        """Return raw reads of an embedded problem.

        Args:
            bqm: over working qubits and couplers, in hardware units.
            num_reads: number of reads.
            seed: seed of the reads; the machine's own where None.
            programming_seed: draws the errors anew, as another programming does.
            num_sweeps: sweeps of each anneal; the second half runs at the machine's temperature.

        Returns:
            A sample set over the qubits of ``bqm``, one row a read, energies by ``bqm``;
            ``info["timing"]`` holds the vendor's timing model where the machine has one.

        Raises:
            SubmissionError: a qubit or coupler does not work, or a coefficient is out of range;
                names it.
            InputError: a keyword is out of range.
        """
        from dwave.samplers import SimulatedAnnealingSampler

        reads, sweeps = whole("num_reads", num_reads, 1), whole("num_sweeps", num_sweeps, 2)
        state = whole("seed", self.seed if seed is None else seed) % 2**31
        model = bqm.change_vartype("SPIN", inplace=False)
        qubit, h, coupler, j = self._placed(model)
        self._check(qubit, h, coupler, j)
        h, coupler, j = self._programmed(qubit, h, coupler, j, programming_seed)
        place = np.full(len(self.target.qubits), -1, np.int64)
        place[qubit] = np.arange(len(qubit))
        u, v = place[self.target.couplers[coupler]].T
        noisy = dimod.BinaryQuadraticModel.from_numpy_vectors(h, (u, v, j), 0.0, "SPIN")
        schedule = self._schedule(h, u, v, j, sweeps)
        samples = SimulatedAnnealingSampler().sample(
            noisy,
            num_reads=reads,
            seed=state,
            beta_schedule_type="custom",
            beta_schedule=schedule,
            num_sweeps_per_beta=1,
        )
        columns = np.argsort(np.array(samples.variables, dtype=np.int64))
        spins = samples.record.sample[:, columns]
        labels = [self._nodes[q] for q in qubit]
        answer = dimod.SampleSet.from_samples_bqm(
            (spins, labels), model, info=self._info(len(qubit), reads), sort_labels=False
        )
        return answer.change_vartype(bqm.vartype, inplace=False)

    # -- what a machine does ------------------------------------------------------------------

    def _placed(self, model: dimod.BinaryQuadraticModel) -> tuple[Longs, Floats, Longs, Floats]:
        """Return positions of qubits with their fields, and of couplers with their couplings."""
        labels = list(model.variables)
        missing = next((label for label in labels if label not in self._place), None)
        if missing is not None:
            raise SubmissionError(
                f"qubit {missing!r} does not work on {self.target.label}",
                code="dead-qubit",
                qubit=missing,
            )
        h, (i, j, coupling), _ = model.to_numpy_vectors(labels)
        qubit = np.array([self._place[label] for label in labels], np.int64)
        coupler = self.target.coupler_numbers(qubit[i], qubit[j])
        dead = np.flatnonzero((coupler < 0) & (coupling != 0))
        if len(dead):
            pair = labels[i[dead[0]]], labels[j[dead[0]]]
            raise SubmissionError(
                f"no working coupler joins qubits {pair[0]!r} and {pair[1]!r} on "
                f"{self.target.label}",
                code="dead-coupler",
                coupler=pair,
            )
        return qubit, h, coupler[coupler >= 0], coupling[coupler >= 0]

    def _check(self, qubit: Longs, h: Floats, coupler: Longs, j: Floats) -> None:
        """Turn down coefficients and totals that are out of range."""
        limits, names = self.target.limits, self._nodes
        _check_range("h-range", "field", h, limits.h, [names[q] for q in qubit])
        _check_range("j-range", "coupling", j, limits.j, [self._edges[c] for c in coupler])
        if limits.total is None or not len(j):
            return
        place, total = coupling_totals(self.target, coupler, j)
        bad = outside(total, limits.total, ROUNDING)
        if bad.any():
            (p,) = first_place(bad)
            raise SubmissionError(
                f"the couplings of qubit {names[place[p] // 2]!r} add up to {total[p]:.6g}, beyond "
                f"{list(limits.total)} for each {limits.per}",
                code="coupling-total",
                found=float(total[p]),
                limits=limits.total,
            )

    def _programmed(
        self, qubit: Longs, h: Floats, coupler: Longs, j: Floats, programming: int | None
    ) -> tuple[Floats, Longs, Floats]:
        """Return the coefficients that the machine sets: fields, couplers and couplings."""
        target = self.target
        fields, couplings = np.zeros(len(target.qubits)), np.zeros(len(target.couplers))
        fields[qubit], couplings[coupler] = h, j
        if self.susceptibility:
            more = susceptible(target, fields, couplings, self.susceptibility)
            fields, couplings = fields + more[0], couplings + more[1]
        own = np.zeros(len(target.qubits), bool)
        own[qubit] = True
        # Errors of couplers to qubits that are not in use do nothing.
        inside = np.flatnonzero(own[target.couplers].all(axis=1) & (couplings != 0))
        entropy = (
            [self.seed]
            if programming is None
            else [self.seed, whole("programming_seed", programming) + 1]
        )
        generator = np.random.default_rng(entropy)
        fields += self.field_error * generator.standard_normal(len(fields))
        couplings += self.coupling_error * generator.standard_normal(len(couplings))
        return fields[qubit], inside, couplings[inside]

    def _schedule(self, h: Floats, u: Longs, v: Longs, j: Floats, sweeps: int) -> Floats:
        """Return inverse temperatures: down to the machine's, then held there."""
        cold = 1.0 / self.temperature
        total = np.abs(h)
        for end in (u, v):
            total += np.bincount(end, np.abs(j), minlength=len(h))
        hot = min(np.log(2) / (2 * max(total.max(initial=0.0), 1e-9)), cold)
        ramp = np.geomspace(hot, cold, sweeps // 2)
        return np.concatenate([ramp, np.full(sweeps - len(ramp), cold)])

    def _info(self, qubits: int, reads: int) -> dict[str, Any]:
        timing = self.target.timing
        if timing is None:
            return {"timing": {}}
        access = timing.access(qubits, reads)
        return {
            "timing": {
                "qpu_access_time": access,
                "qpu_programming_time": timing.programming + timing.programming_thermalization,
                "qpu_sampling_time": access
                - timing.programming
                - timing.programming_thermalization,
                "qpu_anneal_time_per_sample": timing.annealing,
                "qpu_readout_time_per_sample": timing.readout(qubits),
                "qpu_delay_time_per_sample": timing.delay,
            }
        }


def _check_range(
    code: str, what: str, values: Floats, limits: tuple[float, float], names: Sequence[Any]
) -> None:
    """Turn down the first value beyond its range, or none that is a number."""
    bad = outside(values, limits, ROUNDING)
    if bad.any():
        (p,) = first_place(bad)
        raise SubmissionError(
            f"the {what} of {names[p]!r} is {values[p]:.6g}, beyond {list(limits)}",
            code=code,
            found=float(values[p]),
            limits=limits,
        )
