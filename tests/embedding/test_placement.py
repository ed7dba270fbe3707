from __future__ import annotations

from collections import Counter

import dimod
import networkx as nx
import numpy as np
import pytest
from dimod.testing import assert_bqm_almost_equal
from dwave.embedding import EmbeddedStructure, embed_bqm, verify_embedding

import qubo_attn as qa
from qubo_attn.errors import EmbeddingError

TARGETS = [
    "zephyr:3",
    "pegasus:3",
    qa.Target.zephyr(3, missing_qubits=0.05, missing_couplers=0.02, seed=1),
]


def compile_on(
    target: object, data: dict[str, np.ndarray], **options: object
) -> qa.CompiledAttention:
    return qa.compile(
        data["scores"],
        len(data["scores"]),
        select=qa.ExactlyK(3),
        objective="output",
        values=data["value"],
        target=target,
        **options,
    )


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_every_submission_verifies_and_carries_every_row_once(
    target: object, smollm2: dict[str, np.ndarray]
) -> None:
    compiled = compile_on(target, smollm2)
    graph = compiled.recipe.target.graph()
    rows = Counter[tuple[int, int]]()
    for part in compiled.submissions:
        source = dimod.to_networkx_graph(part.bqm)
        verify_embedding(part.embedding, source, graph)
        used = [q for chain in part.embedding.values() for q in chain]
        assert len(used) == len(set(used)) == part.qubits
        rows.update(part.rows)
    assert set(rows.values()) == {1}
    seen = smollm2["scores"] > -np.inf
    assert len(rows) == (seen.sum(axis=-1) > 3).sum()


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_the_embedded_model_is_oceans(target: object, minilm: dict[str, np.ndarray]) -> None:
    """Same chains and chain strengths through dwave.embedding give the same coefficients."""
    compiled = compile_on(target, minilm)
    edges = compiled.recipe.target.graph().edges
    for part in compiled.submissions[:2]:
        structure = EmbeddedStructure(edges, part.embedding)
        expected = embed_bqm(part.bqm, structure, chain_strength=part.chain_strength)
        assert_bqm_almost_equal(part.embedded_bqm, expected, places=6)


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_coefficients_fill_the_ranges_and_never_leave_them(
    target: object, minilm: dict[str, np.ndarray]
) -> None:
    compiled = compile_on(target, minilm)
    machine = compiled.recipe.target
    assert machine is not None
    limit = machine.properties.get(
        "per_group_coupling_range", machine.properties.get("per_qubit_coupling_range")
    )
    placement = compiled.placement
    assert placement is not None
    for part in compiled.submissions:
        physical = part.physical
        assert physical is not None
        low, high = machine.properties["h_range"]
        assert low - 1e-9 <= physical.h.min() <= physical.h.max() <= high + 1e-9
        assert -2 - 1e-9 <= physical.j.min() <= physical.j.max() <= 1 + 1e-9
        owner = np.full(len(machine.qubits), -1)
        lengths = np.diff(physical.chain_ptr)
        owner[physical.chain_qubit] = np.repeat(placement.component[part.variables], lengths)
        totals = np.zeros(len(machine.qubits))
        np.add.at(totals, physical.u, physical.j)
        np.add.at(totals, physical.v, physical.j)
        assert limit[0] - 1e-9 <= totals.min() <= totals.max() <= limit[1] + 1e-9
        # Every component on its own reaches some limit.
        use = np.zeros(owner.max() + 1)
        np.maximum.at(use, owner[physical.qubit], np.abs(physical.h) / high)
        np.maximum.at(use, owner[physical.u], np.maximum(physical.j / 1, physical.j / -2))
        reached = use[np.unique(owner[physical.qubit])]
        assert (reached > 0.2).all()
        assert np.median(reached) == pytest.approx(1)


def test_model_energy_is_program_energy_over_scale(minilm: dict[str, np.ndarray]) -> None:
    compiled = compile_on("zephyr:3", minilm)
    form = compiled.program.total()
    part = compiled.submissions[0]
    generator = np.random.default_rng(0)
    bits = generator.integers(0, 2, len(part.variables))
    spins = dict(zip(part.variables.tolist(), (2 * bits - 1).tolist(), strict=True))
    place = np.full(len(compiled.program), -1)
    place[part.variables] = np.arange(len(part.variables))
    mine = place[form.i] >= 0
    expected = (form.linear[part.variables] * bits / part.scale).sum()
    i, j = place[form.i[mine]], place[form.j[mine]]
    expected += (form.bias[mine] * bits[i] * bits[j] / part.scale[i]).sum()
    assert part.bqm.energy(spins) == pytest.approx(expected, abs=1e-9)


def test_a_coupler_without_a_carrier_is_an_error(minilm: dict[str, np.ndarray]) -> None:
    compiled = compile_on("zephyr:3", minilm)
    form, placement = compiled.program.total(), compiled.placement
    assert placement is not None
    first, last = 0, len(compiled.program) - 1
    crossed = type(form)(form.offset, form.linear, [first], [last], [1.0])
    with pytest.raises(EmbeddingError, match="joins the chains of variables"):
        placement.plan(crossed)


def test_graphs_with_names() -> None:
    graph = nx.relabel_nodes(nx.complete_graph(12), {v: f"q{v:02}" for v in range(12)})
    compiled = qa.compile(
        np.random.default_rng(1).normal(size=(1, 2, 5)), 1, select=qa.ExactlyK(2), target=graph
    )
    (part,) = compiled.submissions
    assert all(q.startswith("q") for chain in part.embedding.values() for q in chain)
    sampler = dimod.StructureComposite(dimod.ExactSolver(), list(graph), list(graph.edges))
    assert compiled.solve(sampler).feasible.all()
