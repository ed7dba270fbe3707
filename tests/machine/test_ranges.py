from __future__ import annotations

import dataclasses

import dwave.graphs
import numpy as np
import pytest
from dwave.system.coupling_groups import coupling_groups

import qubo_attn as qa
from qubo_attn.machine.ranges import range_use, shares

TARGETS = [
    qa.Target.zephyr(3, missing_qubits=0.05, missing_couplers=0.03, seed=1),
    qa.Target.pegasus(3, missing_qubits=0.05, missing_couplers=0.03, seed=1),
]


def groups_of(target: qa.Target) -> list[list[tuple[int, int]]]:
    """The couplers that a machine totals together, by Ocean's own account."""
    edges = target.qubits[target.couplers].tolist()
    if target.topology == "pegasus":
        return [[tuple(e) for e in edges if q in e] for q in target.qubits.tolist()]
    graph = dwave.graphs.zephyr_graph(3, node_list=target.qubits.tolist(), edge_list=edges)
    return [[tuple(sorted(e)) for e in group] for group in coupling_groups(graph) if group]


def test_coupling_groups_are_oceans() -> None:
    target = TARGETS[0]
    found: dict[int, list[tuple[int, int]]] = {}
    for edge, groups in zip(
        target.qubits[target.couplers].tolist(), target.coupling_groups.tolist(), strict=True
    ):
        for group in groups:
            found.setdefault(group, []).append(tuple(edge))
    assert sorted(map(sorted, found.values())) == sorted(map(sorted, groups_of(target)))


@pytest.mark.parametrize("target", TARGETS, ids=str)
@pytest.mark.parametrize("shift", [-0.4, 0.0, 0.4])
def test_auto_scale_is_the_documented_factor(target: qa.Target, shift: float) -> None:
    generator = np.random.default_rng(5)
    h = generator.normal(size=len(target.qubits))
    j = generator.normal(size=len(target.couplers)) * 0.3 + shift
    edges = [tuple(e) for e in target.qubits[target.couplers].tolist()]
    value = dict(zip(edges, j.tolist(), strict=True))
    totals = np.array([sum(value[e] for e in group) for group in groups_of(target)])
    limit = target.limits.total
    expected = max(
        h.max() / target.limits.h[1],
        h.min() / target.limits.h[0],
        j.max() / 1,
        j.min() / -2,
        totals.max() / limit[1],
        totals.min() / limit[0],
        0,
    )
    everything = np.arange(len(h)), h, np.arange(len(j)), j
    assert range_use(target, *everything) == pytest.approx(expected)


def test_unknown_groups_are_bounded_by_sign() -> None:
    target = dataclasses.replace(TARGETS[0], topology="other")
    j = np.where(np.arange(len(target.couplers)) % 2, 0.9, -0.9)
    everything = np.zeros(0, np.int64), np.zeros(0), np.arange(len(j)), j
    assert range_use(target, *everything) >= range_use(TARGETS[0], *everything)


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_every_submission_fits_and_each_row_fills_its_ranges(
    target: qa.Target, minilm: dict[str, np.ndarray], cache: qa.EmbeddingCache
) -> None:
    compiled = qa.compile(
        minilm["scores"],
        12,
        select=qa.ExactlyK(3),
        objective="output",
        values=minilm["value"],
        target=target,
        cache=cache,
    )
    for part in compiled.submissions:
        p = part.physical
        assert part.auto_scale == pytest.approx(1, abs=1e-11)
        assert part.auto_scale <= 1
        owner = np.full(len(target.qubits), -1)
        lengths = np.diff(p.chain_ptr)
        owner[p.chain_qubit] = np.repeat(compiled.placement.component[part.variables], lengths)
        coupler = target.coupler_numbers(p.u, p.v)
        rows = np.unique(owner[p.qubit])
        joined = target.couplers[coupler], target.coupling_groups[coupler]
        use = shares(target, owner, rows.max() + 1, p.qubit, p.h, *joined, p.j)
        assert use[rows] == pytest.approx(1, abs=1e-11)
