"""From a mock of a real machine back to attention, against a slow reference with loops alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import dimod
import numpy as np
import pytest
from dwave.system.testing import MockDWaveSampler

import qubo_attn as qa
from qubo_attn.ir.program import Program
from tests.conftest import shared_files

DECODERS = ("renormalise", "residual", "levels", "marginals")
JOBS = {
    "output": {"select": qa.ExactlyK(4), "objective": "output"},
    "soft": {"select": qa.SoftWeights(levels=3), "objective": "sparsemax", "slots": 6},
}


def mock_of(target: qa.Target) -> MockDWaveSampler:
    return MockDWaveSampler(
        nodelist=target.qubits.tolist(),
        edgelist=target.qubits[target.couplers].tolist(),
        topology_type=target.topology,
        topology_shape=list(target.shape),
        parameter_warnings=False,
        exact_solver_cutoff=0,
        substitute_kwargs={"seed": 1},
    )


def with_breaks(sampleset: dimod.SampleSet, share: float, seed: int) -> dimod.SampleSet:
    """Flip a share of the qubits, more of them in later reads; give reads occurrences."""
    generator = np.random.default_rng(seed)
    samples = sampleset.record.sample
    slope = np.linspace(0, 2 * share, len(samples))[:, None]
    flips = generator.random(samples.shape) < slope
    return dimod.SampleSet.from_samples(
        (np.where(flips, -samples, samples), list(sampleset.variables)),
        "SPIN",
        np.zeros(len(samples)),
        num_occurrences=generator.integers(1, 4, len(samples)),
    )


Label = tuple[int, int]


class Rows:
    """Variables, couplers and the one constraint of each head and query of a program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        o, c = program.objective, program.constraints
        self.variables = self.by_label(range(len(program)))
        self.terms = self.by_label(o.i.tolist())
        self.picks = self.by_label(c.var[c.ptr[:-1]].tolist())

    def by_label(self, variables: Iterable[int]) -> dict[Label, list[int]]:
        v, groups = self.program.variables, defaultdict[Label, list[int]](list)
        for index, u in enumerate(variables):
            groups[int(v.head[u]), int(v.query[u])].append(index)
        return groups

    def excess(self, label: Label, point: Mapping[int, float]) -> float:
        c = self.program.constraints
        (r,) = self.picks[label]
        entries = range(int(c.ptr[r]), int(c.ptr[r + 1]))
        return sum(float(c.coef[e]) * point[int(c.var[e])] for e in entries) - float(c.rhs[r])

    def objective(self, label: Label, point: Mapping[int, float]) -> float:
        """Energy of one row, penalty excluded."""
        o = self.program.objective
        energy = sum(float(o.linear[v]) * point[v] for v in self.variables[label])
        for t in self.terms[label]:
            energy += float(o.bias[t]) * point[int(o.i[t])] * point[int(o.j[t])]
        return energy

    def step_cost(self, label: Label, v: int, step: float, point: Mapping[int, float]) -> float:
        """What a step of one variable adds to the objective."""
        o = self.program.objective
        cost = step * float(o.linear[v])
        for t in self.terms[label]:
            i, j, bias = int(o.i[t]), int(o.j[t]), float(o.bias[t])
            if i == j == v:
                cost += bias * ((point[v] + step) ** 2 - point[v] ** 2)
            elif v in (i, j):
                cost += step * bias * point[j if v == i else i]
        return cost


class Reference:
    """Majority, choice of reads, lift, repair and decoding, one number at a time."""

    def __init__(self, compiled: qa.CompiledAttention, samplesets: list[dimod.SampleSet]) -> None:
        self.compiled = compiled
        self.reads: list[dict[int, float]] = [{} for _ in samplesets[0].record]
        self.mean: dict[int, float] = {}
        broken = total = 0.0
        for part, sampleset in zip(compiled.submissions, samplesets, strict=True):
            columns = {label: c for c, label in enumerate(sampleset.variables)}
            reads: list[dict[int, float]] = []
            counts = [int(n) for n in sampleset.record.num_occurrences]
            for sample, count in zip(sampleset.record.sample.tolist(), counts, strict=True):
                bits, breaks = dict[int, float](), 0
                for v, chain in part.embedding.items():
                    spins = [sample[columns[q]] for q in chain]
                    bits[v] = 1.0 if sum(spins) >= 0 else 0.0
                    breaks += len(set(spins)) > 1
                reads.append(bits)
                broken += count * breaks / len(bits)
                total += count
            for v in part.embedding:
                on = [count * bits[v] for count, bits in zip(counts, reads, strict=True)]
                self.mean[v] = sum(on) / sum(counts)
            for read, bits in zip(self.reads, reads, strict=True):
                read |= bits
        self.broken = broken / total

    def lifted(self, point: dict[int, float], late: int, early: int) -> dict[int, float]:
        """From after stage ``late`` to after stage ``early``, entry by entry."""
        for stage in reversed(self.compiled.stages[early + 1 : late + 1]):
            a = stage.lift.arrays()
            before = {}
            for v in range(int(a["shape"][0])):
                entries = range(int(a["indptr"][v]), int(a["indptr"][v + 1]))
                terms = [float(a["data"][e]) * point[int(a["indices"][e])] for e in entries]
                before[v] = float(a["constant"][v]) + sum(terms)
            point = before
        return point

    def mended(self) -> tuple[dict[int, float], set[Label]]:
        """The point over the first program's variables, and the rows that needed mending."""
        stages = self.compiled.stages
        last = next(s for s, stage in enumerate(stages) if stage.name == "insert-penalties") - 1
        rows, repaired = Rows(stages[last].program), set()
        points = [self.lifted(read, len(stages) - 1, last) for read in self.reads]
        best = dict(points[0])
        for label, mine in rows.variables.items():
            feasible = [point for point in points if rows.excess(label, point) == 0]
            if not feasible:
                repaired.add(label)
                feasible = [self.stepped(rows, label, dict(point)) for point in points]
            chosen = min(feasible, key=lambda point: rows.objective(label, point))
            best |= {v: chosen[v] for v in mine}
        return self.lifted(best, last, 0), repaired

    def stepped(self, rows: Rows, label: Label, point: dict[int, float]) -> dict[int, float]:
        """Steps of one row, the cheapest first, until its constraint holds."""
        upper = rows.program.variables.upper.tolist()
        while (excess := rows.excess(label, point)) != 0:
            step = -1.0 if excess > 0 else 1.0
            free = [v for v in rows.variables[label] if 0 <= point[v] + step <= upper[v]]
            costs = [rows.step_cost(label, v, step, point) for v in free]
            point[free[costs.index(min(costs))]] += step
        return point

    def weights(self, decoder: str, point: dict[int, float]) -> np.ndarray:
        attention, first = self.compiled.attention, self.compiled.stages[0].program.variables
        levels, visible = np.zeros(attention.shape), attention.logits > -np.inf
        if decoder == "marginals":
            point = self.lifted(self.mean, len(self.compiled.stages) - 1, 0)
        for v in range(len(first)):
            levels[first.head[v], first.query[v], first.key[v]] = point[v]
        weights = np.zeros(attention.shape)
        for h, q in np.ndindex(*attention.shape[:2]):
            logits = attention.logits[h, q]
            mass = np.exp(logits - logits.max())
            mass /= mass.sum()
            kept = np.where(levels[h, q] > 0.5, mass, 0.0)
            if decoder == "marginals":
                weights[h, q] = levels[h, q]
            elif decoder == "levels":
                weights[h, q] = levels[h, q] / levels[h, q].sum()
            elif decoder == "renormalise":
                weights[h, q] = kept / kept.sum()
            else:
                weights[h, q] = kept + visible[h, q] * (1 - kept.sum()) / visible[h, q].sum()
        return weights


@pytest.mark.data
@pytest.mark.parametrize(
    ("machine", "job", "file", "reads", "share"),
    [
        ("advantage2_system4_1", "output", "smollm2-causal_d06_L14_n19", 6, 0.05),
        ("advantage2_system4_1", "output", "minilm_d02_L1_n10", 2, 0.3),
        ("advantage2_system4_1", "soft", "minilm_d01_L0_n8", 6, 0.05),
        ("advantage_system4_1", "output", "minilm_d07_L0_n24", 4, 0.1),
    ],
)
def test_reads_of_a_real_machine_decode_as_the_reference_does(
    machine: str, job: str, file: str, reads: int, share: float, cache: qa.EmbeddingCache
) -> None:
    graphs, data = shared_files(f"qpu/{machine}.json"), shared_files(f"attention/{file}.npz")
    if not graphs or not data:
        pytest.skip("the shared data set is absent")
    target = qa.Target.from_json(graphs[0])
    with np.load(data[0]) as arrays:
        scores, values = arrays["scores"], arrays["value"]
    compiled = qa.compile(
        scores, len(scores), values=values, target=target, cache=cache, **JOBS[job]
    )
    assert len(compiled.submissions) > 1
    mock = mock_of(target)
    samplesets = [
        with_breaks(mock.sample(part.embedded_bqm, num_reads=reads), share, s)
        for s, part in enumerate(compiled.submissions)
    ]
    reference = Reference(compiled, samplesets)
    point, repaired = reference.mended()
    for decoder in DECODERS:
        result = compiled.decode(samplesets, decoder, repair="best", descend=False)
        np.testing.assert_allclose(
            result.weights, reference.weights(decoder, point), rtol=0, atol=1e-12
        )
    assert {(int(h), int(q)) for h, q in np.argwhere(result.repaired)} == repaired
    assert {(int(h), int(q)) for h, q in np.argwhere(~result.feasible)} == repaired
    assert result.chain_break_fraction == pytest.approx(reference.broken, abs=1e-12)
    # Chains of one qubit cannot break.
    assert result.chain_break_fraction > share / 4
    if share >= 0.3:
        assert 0 < len(repaired) < result.feasible.size
