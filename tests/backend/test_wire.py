"""Physical arrays and wire bytes, against dwave.embedding and the cloud client's own encoder."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np
import pytest
from dwave.cloud.coders import encode_problem_as_qp
from dwave.embedding import EmbeddedStructure, embed_bqm

import qubo_attn as qa
from qubo_attn.backend.wire import wire_data


class Solver:
    """What the client's encoder and `SolverOrder.of` read of a solver."""

    def __init__(self, qubits: list[int], couplers: list[list[int]]) -> None:
        self.properties = {"qubits": qubits, "couplers": couplers}
        self._encoding_qubits = qubits
        self._encoding_couplers = [tuple(pair) for pair in couplers]


def solver_of(target: qa.Target, *, seed: int | None = None) -> Solver:
    """A solver of the target's graph; with a seed in an order of its own, couplers turned."""
    qubits, couplers = target.qubits, target.qubits[target.couplers]
    if seed is not None:
        generator = np.random.default_rng(seed)
        qubits, couplers = generator.permutation(qubits), generator.permutation(couplers)
        couplers = np.where(
            generator.random(len(couplers))[:, None] < 0.5, couplers, couplers[:, ::-1]
        )
    return Solver(qubits.tolist(), couplers.tolist())


def encoded(solver: Solver, bqm: Any, *, undirected: bool = True) -> object:
    return encode_problem_as_qp(
        solver, dict(bqm.linear), dict(bqm.quadratic), bqm.offset, undirected_biases=undirected
    )


TARGETS = [
    "zephyr:3",
    "pegasus:3",
    qa.Target.zephyr(3, missing_qubits=0.05, missing_couplers=0.02, seed=1),
]


@pytest.fixture(scope="module", params=TARGETS, ids=str)
def compiled(request: pytest.FixtureRequest, minilm: dict[str, np.ndarray]) -> qa.CompiledAttention:
    return qa.compile(
        minilm["scores"],
        12,
        select=qa.ExactlyK(3),
        objective="output",
        values=minilm["value"],
        target=request.param,
    )


@pytest.mark.parametrize("seed", [None, 3])
def test_wire_data_is_the_clients(compiled: qa.CompiledAttention, seed: int | None) -> None:
    target = compiled.recipe.target
    solver = solver_of(target, seed=seed)
    order = qa.SolverOrder.of(target, solver)
    batch = compiled.wires(order)
    edges = target.graph().edges
    for part, data in zip(compiled.submissions, batch, strict=True):
        assert data == part.wire(order) == part.wire(solver)
        assert data == encoded(solver, part.embedded_bqm)
        assert data == encoded(solver, part.embedded_bqm, undirected=False)
        structure = EmbeddedStructure(edges, part.embedding)
        ocean = embed_bqm(part.bqm, structure, chain_strength=part.chain_strength)
        assert data == encoded(solver, ocean)
    if seed is None:
        assert compiled.wires() == batch


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 50])
def test_base64_is_the_standard_librarys(count: int) -> None:
    generator = np.random.default_rng(count)
    values = generator.normal(size=count)
    values[::3] = np.nan
    data = wire_data(values, values[:0], 0.5)
    assert data["lin"] == base64.b64encode(values.tobytes()).decode()
    assert data["quad"] == ""


def test_zeros_of_either_sign_go_out_as_plain_ones(compiled: qa.CompiledAttention) -> None:
    """Sums of dictionaries have no minus zero; equal models send equal bytes."""
    solver, part = solver_of(compiled.recipe.target), compiled.submissions[0]
    physical = part.physical
    assert physical is not None
    h, j = np.where(physical.h < 0, -0.0, physical.h), np.where(physical.j > 0, -0.0, physical.j)
    part = replace(part, physical=replace(physical, h=h, j=j))
    assert part.wire() == encoded(solver, part.embedded_bqm)
    values, order = compiled.coefficients, qa.SolverOrder.of(compiled.recipe.target)
    layout = compiled.wiring.layout(order, wire=False)
    fields, couplings = layout.place(*(-0.0 * column for column in values.physical))
    assert not np.signbit(fields).any()
    assert not np.signbit(couplings).any()


def test_hardware_arrays_are_the_embedded_models(compiled: qa.CompiledAttention) -> None:
    target = compiled.recipe.target
    solver = solver_of(target, seed=4)
    for order in (None, qa.SolverOrder.of(target, solver)):
        fields, couplings = compiled.hardware_arrays(order)
        listed = solver if order is not None else solver_of(target)
        for s, part in enumerate(compiled.submissions):
            bqm = part.embedded_bqm
            h = [bqm.linear.get(q, 0.0) for q in listed._encoding_qubits]
            j = [bqm.adj.get(u, {}).get(v, 0.0) for u, v in listed._encoding_couplers]
            np.testing.assert_array_equal(fields[s], h)
            np.testing.assert_array_equal(couplings[s], j)


def test_a_layout_serves_the_next_batch(compiled: qa.CompiledAttention) -> None:
    order = qa.SolverOrder.of(compiled.recipe.target)
    again = compiled.rebind(compiled.attention.logits[::-1])
    first = compiled.wiring.layout(order, wire=True)
    assert again.wiring.layout(order, wire=True) is first
    assert again.wiring is compiled.wiring
    solver = solver_of(compiled.recipe.target)
    for part, data in zip(again.submissions, again.wires(order), strict=True):
        assert data == encoded(solver, part.embedded_bqm)


def test_solvers_that_know_more_or_less(compiled: qa.CompiledAttention) -> None:
    target = compiled.recipe.target
    part = compiled.submissions[0]
    chain = next(chain for chain in part.embedding.values() if len(chain) > 1)
    more = solver_of(target)
    more.properties["qubits"] += [90_000, 90_001]
    more.properties["couplers"].append([90_000, 90_001])
    more._encoding_couplers.append((90_000, 90_001))
    assert part.wire(more) == encoded(more, part.embedded_bqm)
    less = solver_of(target.without([chain[0]], []))
    with pytest.raises(qa.TargetError, match=f"does not list qubit {chain[0]}, which is in use"):
        part.wire(less)
    bonds = [(u, v) for u, v in target.graph().edges if u in chain and v in chain]
    less = solver_of(target.without([], bonds[:1]))
    with pytest.raises(qa.TargetError, match="does not list coupler"):
        compiled.wires(less)
    with pytest.raises(qa.TargetError, match="object does not list its qubits and couplers"):
        part.wire(object())


def test_without_a_machine_there_is_nothing_to_send() -> None:
    compiled = qa.compile(np.zeros((1, 2, 5)), 1, select=qa.ExactlyK(2), target=None)
    assert compiled.wires() == ()
    assert compiled.hardware_arrays()[0].shape == (0, 0)
    with pytest.raises(qa.DecodeError, match="without a structured target"):
        compiled.submissions[0].wire()


def test_graphs_with_names_have_the_targets_own_order() -> None:
    graph = nx.relabel_nodes(nx.complete_graph(12), {v: f"q{v:02}" for v in range(12)})
    compiled = qa.compile(
        np.random.default_rng(1).normal(size=(1, 2, 5)), 1, select=qa.ExactlyK(2), target=graph
    )
    assert compiled.wires()[0] == compiled.submissions[0].wire()
    with pytest.raises(qa.TargetError, match="leave it out"):
        compiled.wires(Solver([0], []))
