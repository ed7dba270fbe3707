"""Equal results by either way: over HTTP through the real client, and from a local sampler."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from dwave.cloud.coders import encode_problem_as_qp
from dwave.samplers import SimulatedAnnealingSampler
from dwave.system import DWaveSampler
from dwave.system.testing import MockDWaveSampler

import qubo_attn as qa
from qubo_attn.jobs.transport import Request
from qubo_attn.jobs.wire_transport import WireTransport
from tests.conftest import ROOT, shared_files
from tests.support.solver_api import SolverApi
from tests.support.solver_reads import Ordered, sampled

ANNEALING = {"num_sweeps": 24, "beta_range": [0.1, 5.0], "seed": 3}
FILES = shared_files("attention/*.npz")[::17][:3]
GRAPHS = shared_files("qpu/*.json")
# Where there are none, one file of the project on ideal graphs.
INPUTS = FILES or sorted((ROOT / "fixtures" / "attention").glob("minilm*.npz"))[:1]
MACHINES = list(map(str, GRAPHS)) or ["zephyr:6", "pegasus:6"]


def mocked(sampler: DWaveSampler) -> MockDWaveSampler:
    """A local sampler of the same working graph and the same limits."""
    return MockDWaveSampler(
        nodelist=sampler.nodelist,
        edgelist=sampler.edgelist,
        properties=dict(sampler.properties),
        substitute_sampler=Ordered(SimulatedAnnealingSampler()),
        substitute_kwargs=ANNEALING,
        topology_type=sampler.properties["topology"]["type"],
        topology_shape=sampler.properties["topology"]["shape"],
    )


def same(one: qa.AttentionResult, other: qa.AttentionResult) -> None:
    for name in ("selected", "weights", "context", "feasible", "repaired", "energies"):
        a, b = getattr(one, name), getattr(other, name)
        if a is None:
            assert b is None
        else:
            assert a.tobytes() == b.tobytes(), name


@pytest.mark.data
@pytest.mark.parametrize("machine", MACHINES, ids=lambda m: Path(m).stem)
@pytest.mark.parametrize("file", INPUTS, ids=lambda f: f.stem)
def test_either_way(file: Path, machine: str, cache: qa.EmbeddingCache) -> None:
    with np.load(file) as data:
        scores, values = data["scores"], data["value"]
    reader = sampled(Ordered(SimulatedAnnealingSampler()), **ANNEALING)
    with (
        SolverApi(machine, reader=reader) as api,
        DWaveSampler(endpoint=api.endpoint, token=api.token, cache_enabled=False) as sampler,
    ):
        compiled = qa.compile(
            scores,
            len(scores),
            select=qa.ExactlyK(4),
            objective="output",
            values=values,
            target=sampler,
            cache=cache,
        )
        options = {"num_reads": 8, "answer_mode": "raw"}
        for part in compiled.submissions:
            part.validate(reads=8)
        far, near = compiled.solve(sampler, **options), compiled.solve(mocked(sampler), **options)
        same(far, near)
        same(compiled.submit(sampler, reads=8, answer_mode="raw").result(), near)
        times = [problem.timing["qpu_access_time"] for problem in api.problems.values()]
        planned = [call.microseconds for call in compiled.schedule(reads=8).calls]
        np.testing.assert_allclose(times, 2 * planned)
        order = qa.SolverOrder.of(compiled.recipe.target, sampler)
        intended, sent = (
            [
                encode_problem_as_qp(
                    sampler.solver,
                    dict(model.linear),
                    dict(model.quadratic),
                    part.embedded_offset,
                    undirected_biases=True,
                )
                for part, model in zip(compiled.submissions, models, strict=True)
            ]
            for models in (
                [part.embedded_bqm for part in compiled.submissions],
                [part.programmed_bqm for part in compiled.submissions],
            )
        )
        assert list(compiled.wires(order)) == intended
        _wires_are(api, WireTransport(sampler), compiled, sent)


def test_copies_by_either_way(minilm: dict[str, np.ndarray], cache: qa.EmbeddingCache) -> None:
    """Rows that sit several times: as many reads of each, and the same ones, with gauges too."""
    reader = sampled(Ordered(SimulatedAnnealingSampler()), **ANNEALING)
    with (
        SolverApi("zephyr:4", reader=reader) as api,
        DWaveSampler(endpoint=api.endpoint, token=api.token, cache_enabled=False) as sampler,
    ):
        compiled = qa.compile(
            minilm["scores"][:2, :4],
            select=qa.ExactlyK(3),
            slots=8,
            target=sampler,
            cache=cache,
            replicas="fill",
        )
        options = {"num_reads": 6, "answer_mode": "raw"}
        for gauges in (0, 2):
            far, near = (
                compiled.solve(way, seed=None, gauges=gauges, **options)
                for way in (sampler, mocked(sampler))
            )
            same(far, near)
            assert np.array_equal(far.reads.number, near.reads.number)
            seats = compiled.precision().seats
            assert far.reads.number.sum() == 6 * seats.sum() > 6 * len(seats)
        payloads = [part.wire(sampler) for part in compiled.submissions]
        assert list(compiled.wires(sampler)) == payloads


def _wires_are(
    api: SolverApi, way: WireTransport, compiled: qa.CompiledAttention, payloads: list[object]
) -> None:
    """What arrives by the way of wires is what the client encodes, byte by byte."""
    requests = [
        Request(part.index, f"wires/{part.index}", part, 1) for part in compiled.submissions
    ]
    for start in range(0, len(requests), way.batch):
        receipts = way.send(requests[start : start + way.batch])
        for receipt, payload in zip(receipts, payloads[start:], strict=False):
            data = api.problems[receipt.id].data
            assert json.dumps(data, sort_keys=True) == json.dumps(payload, sort_keys=True)


@pytest.mark.data
@pytest.mark.parametrize("machine", MACHINES, ids=lambda m: Path(m).stem)
def test_a_simulated_machine_behind_it(machine: str, minilm: dict[str, np.ndarray]) -> None:
    """The stand-in answers with a machine's errors and warmth, as the machine itself does."""
    near = qa.SimulatedMachine(machine, seed=5)
    reader = sampled(Ordered(near), seed=2)
    with (
        SolverApi(machine, reader=reader) as api,
        DWaveSampler(endpoint=api.endpoint, token=api.token, cache_enabled=False) as sampler,
    ):
        compiled = qa.compile(
            minilm["scores"][:2], 2, select=qa.ExactlyK(3), target=sampler, slots=1
        )
        (part,) = compiled.submissions[:1]
        far = sampler.sample(part.embedded_bqm, num_reads=10, answer_mode="raw")
        own = Ordered(near).sample(part.embedded_bqm, num_reads=10, seed=2)
        columns = [far.variables.index(v) for v in own.variables]
        np.testing.assert_array_equal(far.record.sample[:, columns], own.record.sample)
