"""How the stand-in of `solver_api` reads its machine: spins of a problem, from a seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import dimod
import numpy as np

from tests.support.solver_machine import Decoded

# (problem, parameters of the call, its number) -> spins, shape (reads, qubits in use)
Reader: TypeAlias = Callable[[Decoded, dict[str, Any], int], np.ndarray]


def drawn(problem: Decoded, params: dict[str, Any], number: int) -> np.ndarray:
    """Reads at random, of equal problems the same: for tests that count calls alone."""
    size = (params.get("num_reads", 1), len(problem.active))
    seed = np.frombuffer(problem.h.tobytes() + problem.j.tobytes(), np.uint32)
    generator = np.random.default_rng([int(seed.sum(dtype=np.uint64)), params.get("x_number", 0)])
    return (2 * generator.integers(0, 2, size, np.int8) - 1).astype(np.int8)


def sampled(sampler: Any, **options: object) -> Reader:
    """Reads of any dimod sampler over the machine's qubits, such as a `SimulatedMachine`."""

    def read(problem: Decoded, params: dict[str, Any], number: int) -> np.ndarray:
        labels = problem.active.tolist()
        model = dimod.BinaryQuadraticModel.from_numpy_vectors(
            problem.h, (*problem.ends.T, problem.j), 0.0, "SPIN", variable_order=labels
        )
        found = sampler.sample(model, num_reads=params.get("num_reads", 1), **options)
        columns = [found.variables.index(label) for label in labels]
        spins = np.repeat(found.record.sample, found.record.num_occurrences, axis=0)
        return spins[:, columns].astype(np.int8)

    return read


class Ordered(dimod.Sampler):  # type: ignore[misc]
    """A sampler of which equal models get equal reads, in whatever order they list variables.

    Local samplers visit variables in the order of the model, and machines know no such order: what
    arrives at one are numbers of qubits, zeros of all couplers between them included.
    """

    def __init__(self, sampler: Any) -> None:
        self.sampler = sampler

    @property
    def parameters(self) -> dict[str, Any]:
        return dict(self.sampler.parameters)

    @property
    def properties(self) -> dict[str, Any]:
        return {}

    def sample(self, bqm: dimod.BinaryQuadraticModel, **options: Any) -> dimod.SampleSet:
        labels = sorted(bqm.variables)
        h, (i, j, bias), offset = bqm.to_numpy_vectors(labels, sort_indices=True)
        used = bias != 0
        model = dimod.BinaryQuadraticModel.from_numpy_vectors(
            h, (i[used], j[used], bias[used]), offset, bqm.vartype, variable_order=labels
        )
        known = {name: value for name, value in options.items() if name in self.parameters}
        return self.sampler.sample(model, **known)
